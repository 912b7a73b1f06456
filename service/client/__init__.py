"""Slipway's own client: what asks a daemon, and what puts requests on the queue."""
