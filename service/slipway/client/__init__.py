"""Slipway's client: submit a request, and follow it to its outcome.

async with open_client() as client:
    ticket = await client.submit({"modelDeploymentName": "bot", "modelArn": "arn:aws:bedrock:…"})
    async for change in client.follow(ticket):
        print(change.state, change.text)
"""

from slipway.client.client import Client, open_client
from slipway.core.diagnostics.follow import StatusChange, Ticket
from slipway.core.schema.rejection import RequestRejected

__all__ = ["Client", "RequestRejected", "StatusChange", "Ticket", "open_client"]
