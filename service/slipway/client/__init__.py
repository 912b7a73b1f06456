"""Slipway's own client: put a request on the queue, and follow it to its end.

async with opened() as client:
    ticket = await client.submit({"modelDeploymentName": "bot", "modelArn": "arn:aws:bedrock:…"})
    async for news in client.follow(ticket):
        print(news.state, news.text)
"""

from slipway.client.client import Client, open_client
from slipway.core.diagnostics.follow import StatusChange, Ticket
from slipway.core.schema.rejection import RequestRejected

__all__ = ["Client", "RequestRejected", "StatusChange", "Ticket", "open_client"]
