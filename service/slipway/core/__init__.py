"""What Slipway knows: plain functions and frozen values, without I/O, clock, asyncio or AWS."""
