"""`slipway.client` in a program of somebody's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.client import RequestRejected, open_client
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.daemons import MODEL, daemon

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(1.0, 1.5))


async def test_submit_and_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        for name, value in box.environment().items():
            monkeypatch.setenv(name, value)
        async with open_client(daemons=[f"http://127.0.0.1:{process.port}"]) as client:
            ticket = await client.submit({"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"})
            assert (ticket.request_id, ticket.name) == ("r-1", "bot")
            heard = [news async for news in client.follow(ticket)]
            assert [news.is_terminal for news in heard] == [False] * (len(heard) - 1) + [True]
            assert (heard[-1].state, heard[-1].arn) == ("Active", box.bedrock.account().made[0].arn)
            with pytest.raises(RequestRejected, match="did you mean modelArn"):
                await client.submit({"modelDeploymentName": "bot", "modelarn": MODEL})
        await process.until(lambda: len(process.lines("request.accepted")) == 1)


async def test_following_goes_on_while_a_daemon_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalAws(terms=replace(QUICK, creation_seconds=(3600.0, 3600.0))) as box:
        for name, value in box.environment().items():
            monkeypatch.setenv(name, value)
        async with daemon(box, SLIPWAY_VISIBILITY_TIMEOUT="10") as first:
            await first.until(lambda: bool(first.lines("daemon.started")))
            async with open_client(daemons=[f"http://127.0.0.1:{first.port}"]) as client:
                ticket = await client.submit({"modelDeploymentName": "bot", "modelArn": MODEL})
                sources = []
                async for news in client.follow(ticket):
                    sources.append(news.source)
                    if (news.state, news.source) == ("Creating", "daemon"):
                        await first.end(9)
                    if (news.state, news.source) == ("Creating", "Bedrock"):
                        box.bedrock.account().made[0].ends = box.bedrock.now()
                assert (news.state, news.source) == ("Active", "Bedrock")
                assert "daemon" in sources
