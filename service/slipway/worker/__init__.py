"""What Slipway does: asyncio, structlog and narrow Protocols of its own; never botocore."""
