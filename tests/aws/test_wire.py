"""Every way in which the wire can fail a Create: each must be seen for what it may mean, and none may be repeated."""

import asyncio
import json

import pytest

from slipway.aws.sdk.clients import Clients
from slipway.core.bedrock import Created, Status
from slipway.core.call_errors import CallFailed, Denied, QuotaFull, Refused, ResourceMissing, Throttled, UnknownResult
from tests.aws.conftest import QUEUE_URL, Open, make_bedrock, make_caller
from tests.aws.servers import (
    ARN,
    DATE_SECONDS,
    Behaviour,
    answer,
    created,
    error,
    head,
    raw,
    serving,
    trickle,
)

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
GOOD = json.dumps({"customModelDeploymentArn": ARN}).encode()

UNKNOWN: dict[str, Behaviour] = {
    "reset before the response": raw(b"", then="reset"),
    "end before the response": raw(b"", then="end"),
    "black hole": raw(b"", then="silence"),
    "reset within the headers": raw(head(202, len(GOOD))[:40], then="reset"),
    "end within the headers": raw(head(202, len(GOOD))[:40], then="end"),
    "silence within the headers": raw(head(202, len(GOOD))[:40], then="silence"),
    "truncated body": raw(head(202, len(GOOD)) + GOOD[:-20], then="end"),
    "reset within the body": raw(head(202, len(GOOD)) + GOOD[:-20], then="reset"),
    "truncated chunk": raw(b"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + GOOD[:20], then="end"),
    "trickle": trickle(head(202, 10_000_000) + GOOD),
    "garbage status line": raw(b"?!\x00\xff garbage\r\n\r\n", then="end"),
    "oversized header": raw(b"HTTP/1.1 202 X\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n", then="end"),
    "200 with nothing": answer(200, b""),
    "200 with HTML": answer(200, b"<html><body>Welcome</body></html>"),
    "200 with truncated JSON": answer(200, GOOD[:-2]),
    "200 with broken JSON": answer(200, b'{"customModelDeploymentArn": }'),
    "200 with a JSON list": answer(200, [ARN]),
    "200 without an ARN": answer(202, {}),
    "200 with null for an ARN": answer(202, {"customModelDeploymentArn": None}),
    "200 with another thing's ARN": answer(202, {"customModelDeploymentArn": MODEL}),
    "204": raw(b"HTTP/1.1 204 X\r\n\r\n"),
    "300": answer(300, {"customModelDeploymentArn": ARN}),
    "304": raw(b"HTTP/1.1 304 X\r\n\r\n"),
    "500 with a document": error(500, "InternalServerException"),
    "503 with a throttle's document": error(503, "ThrottlingException"),
    "502 with HTML": answer(502, b"<html><body>Bad Gateway</body></html>"),
    "404 with HTML": answer(404, b"<html><body>Not Found</body></html>"),
    "400 with nothing": answer(400, b""),
    "429 with nothing": answer(429, b""),
    "400 with broken JSON": answer(400, b'{"message": '),
    "408": error(408, "RequestTimeoutException"),
}

NOT_APPLIED: dict[str, tuple[Behaviour, type[CallFailed]]] = {
    "quota": (error(400, "ServiceQuotaExceededException"), QuotaFull),
    "invalid": (error(400, "ValidationException"), Refused),
    "no model": (error(404, "ResourceNotFoundException"), ResourceMissing),
    "not allowed": (error(403, "AccessDeniedException"), Denied),
    "expired": (error(403, "ExpiredTokenException"), Denied),
}


async def create(clients: Clients, call_timeout: float = 0.4) -> Created:
    bedrock = make_bedrock(clients, make_caller(call_timeout=call_timeout))
    return await bedrock.create(name="n", model_arn=MODEL, description=None, tags=[], token="one")


async def failures_of_create(clients_at: Open, faults: dict[str, Behaviour]) -> dict[str, type[CallFailed]]:
    failures = {}
    async with serving(*faults.values()) as server, clients_at(server.url) as clients:
        for sent, fault in enumerate(faults, 1):
            with pytest.raises(CallFailed) as failed:
                await create(clients)
            failures[fault] = type(failed.value)
            assert len(server.seen) == sent, f"{fault} was repeated"
            assert failed.value.__cause__ is not None or failed.value.code == "UnreadableAnswer"
    return failures


async def test_a_create_is_applied_when_its_answer_says_so(clients_at: Open) -> None:
    async with serving(created()) as server, clients_at(server.url) as clients:
        made = await create(clients)
        assert made.arn == ARN
        assert DATE_SECONDS <= made.at <= DATE_SECONDS + 1.0, "a `Date` has whole seconds"


async def test_what_cannot_be_read_is_unknown_and_not_repeated(clients_at: Open) -> None:
    assert await failures_of_create(clients_at, UNKNOWN) == dict.fromkeys(UNKNOWN, UnknownResult)


async def test_an_error_document_says_that_nothing_was_applied(clients_at: Open) -> None:
    faults = {fault: behaviour for fault, (behaviour, _) in NOT_APPLIED.items()}
    assert await failures_of_create(clients_at, faults) == {fault: kind for fault, (_, kind) in NOT_APPLIED.items()}


async def test_nobody_listens(clients_at: Open) -> None:
    async with serving(created()) as server:
        url = server.url
    async with clients_at(url) as clients:
        with pytest.raises(UnknownResult, match=r"ConnectionFailed: cannot connect to 127.0.0.1:\d+ \(Connection refused\)$"):
            await create(clients)


async def test_a_redirect_is_an_error_and_nothing_goes_where_it_points(clients_at: Open) -> None:
    async with serving(created()) as elsewhere:
        away = {"Location": f"{elsewhere.url}/"}
        redirects = {str(status): answer(status, b"", headers=away) for status in (301, 302, 303, 307, 308)}
        assert await failures_of_create(clients_at, redirects) == dict.fromkeys(redirects, UnknownResult)
        assert elsewhere.seen == []


async def test_a_redirected_read_goes_nowhere_either(clients_at: Open) -> None:
    async with (
        serving(created()) as elsewhere,
        serving(answer(302, b"", headers={"Location": f"{elsewhere.url}/"})) as server,
        clients_at(server.url) as clients,
    ):
        with pytest.raises(UnknownResult, match="Http302"):
            await make_bedrock(clients, make_caller(attempts=1)).get("n")
        assert server.seen[0].headers["x-amz-security-token"] == "made-up-session-token"
        assert elsewhere.seen == []


async def test_a_stale_connection_is_unknown_and_the_next_call_has_a_fresh_one(clients_at: Open) -> None:
    async with serving(created(), raw(b"", then="end"), created()) as server, clients_at(server.url) as clients:
        await create(clients)
        with pytest.raises(UnknownResult):
            await create(clients)
        await create(clients)
        assert len(server.connections) == 2


async def test_a_throttled_create_is_repeated_with_the_same_token(clients_at: Open) -> None:
    async with serving(error(429, "ThrottlingException"), created()) as server, clients_at(server.url) as clients:
        assert (await create(clients, call_timeout=5.0)).arn == ARN
        assert [request.json["clientRequestToken"] for request in server.seen] == ["one"] * 2


async def test_a_create_that_is_always_throttled_ends_as_throttled(clients_at: Open) -> None:
    async with serving(error(429, "ThrottlingException")) as server, clients_at(server.url) as clients:
        caller = make_caller(attempts=2)
        with pytest.raises(Throttled):
            await make_bedrock(clients, caller).create(name="n", model_arn=MODEL, description=None, tags=[], token="one")
        assert len(server.seen) == 2
        rate = caller.limiters["CreateCustomModelDeployment"].rate
        assert rate is not None


async def test_a_read_is_repeated_after_a_lost_answer(clients_at: Open) -> None:
    known = {
        "customModelDeploymentArn": ARN,
        "modelDeploymentName": "n",
        "modelArn": MODEL,
        "createdAt": "2026-11-23T10:00:00.5Z",
        "status": "HIBERNATING",
    }
    lost = raw(b"", then="reset")
    async with serving(lost, answer(200, b""), answer(200, known)) as server, clients_at(server.url) as clients:
        seen = await make_bedrock(clients).get("n")
        assert seen is not None
        assert seen.status is Status.UNKNOWN
        assert seen.status_text == "HIBERNATING"
        assert seen.created_at == DATE_SECONDS + 0.5


async def test_calls_that_hang_do_not_hold_up_others_for_longer_than_their_time_out(clients_at: Open) -> None:
    async with serving(raw(b"", then="silence")) as server, clients_at(server.url) as clients:
        loop = asyncio.get_running_loop()
        began = loop.time()
        caller = make_caller(call_timeout=0.3, most_open=4, attempts=1)
        bedrock = make_bedrock(clients, caller)
        answers = await asyncio.gather(*(bedrock.get(f"n{i}") for i in range(12)), return_exceptions=True)
        assert all(isinstance(each, UnknownResult) for each in answers)
        assert caller.limiters["GetCustomModelDeployment"].waiting == 0
        assert loop.time() - began < 3 * 0.3 + 2.0


async def test_waiting_for_a_connection_of_a_full_pool_is_bounded_too(clients_at: Open) -> None:
    async with serving(raw(b"", then="silence")) as server, clients_at(server.url) as clients:
        caller = make_caller(attempts=1)

        async def receive(call_timeout: float) -> list[str]:
            with pytest.raises(UnknownResult, match="Timeout"):
                await caller.call(
                    "ReceiveMessage",
                    lambda: clients.receive.receive_message(QueueUrl=QUEUE_URL),
                    call_timeout=call_timeout,
                )
            return [seen.path for seen in server.seen]

        *_, seen_by_last = await asyncio.gather(receive(0.8), receive(0.8), receive(0.8), receive(0.4))
        assert len(seen_by_last) == 3


async def test_who_is_cancelled_is_cancelled(clients_at: Open) -> None:
    async with serving(raw(b"", then="silence")) as server, clients_at(server.url) as clients:
        caller = make_caller()
        call = asyncio.ensure_future(make_bedrock(clients, caller).get("n"))
        await server.arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await caller.limiters["GetCustomModelDeployment"].acquire()
