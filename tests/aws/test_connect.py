"""Who Slipway is, and who sent what: as STS and SQS say it over the wire, byte for byte."""

from __future__ import annotations

import pytest

from slipway.aws.adapters.queue import SENDER
from slipway.aws.connect import STS, CallerIdentity, Identity
from slipway.aws.sdk.clients import Clients
from slipway.core.call_errors import CallFailed, Denied, UnknownResult
from tests.aws.conftest import Open, make_caller, make_queue
from tests.aws.servers import Behaviour, answer, raw, serving

ARN = "arn:aws:sts::123456789012:assumed-role/s/i"
OWN = "AROASLIPWAYROLEID0001:i-0123456789abcdef0"
RECEIVED = {
    "MessageId": "m-1",
    "ReceiptHandle": "r-1",
    "Body": "{}",
    "Attributes": {"ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1795428000000"},
}


def caller_is(user_id: str) -> Behaviour:
    told = f"<UserId>{user_id}</UserId><Account>123456789012</Account><Arn>{ARN}</Arn>"
    return xml(200, f"<GetCallerIdentityResponse {NS}><GetCallerIdentityResult>{told}</GetCallerIdentityResult>{META}")


NS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
META = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"


def xml(status: int, text: str) -> Behaviour:
    return answer(status, text.encode(), headers={"Content-Type": "text/xml"})


def refused(status: int, code: str) -> Behaviour:
    return xml(status, f"<ErrorResponse {NS}><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>")


def identity(clients: Clients) -> Identity:
    return Identity(clients.open, make_caller(attempts=2))


async def test_slipway_learns_who_it_is_with_one_call_in_the_form_that_sts_reads(clients_at: Open) -> None:
    async with serving(caller_is(OWN)) as server, clients_at(server.url) as clients:
        assert await identity(clients).get() == CallerIdentity(OWN, "123456789012", ARN)
        (seen,) = server.seen
        assert seen.body == b"Action=GetCallerIdentity&Version=2011-06-15"
        assert "/sts/aws4_request" in seen.headers["authorization"]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (refused(403, "ExpiredToken"), Denied),
        (refused(503, "ServiceUnavailable"), UnknownResult),
        (raw(b"", then="reset"), UnknownResult),
        (answer(200, b""), UnknownResult),
        (answer(200, b"<html><body>Welcome</body></html>"), UnknownResult),
        (answer(200, {"UserId": "AIDA"}), UnknownResult),
        (caller_is(""), UnknownResult),
    ],
    ids=["expired", "unavailable", "reset", "nothing", "html", "json", "nobody"],
)
async def test_who_cannot_learn_who_it_is_is_nobody(clients_at: Open, behaviour: Behaviour, kind: type[CallFailed]) -> None:
    async with serving(behaviour) as server, clients_at(server.url) as clients:
        with pytest.raises(kind):
            await identity(clients).get()


async def test_after_a_lost_answer_it_is_asked_again(clients_at: Open) -> None:
    async with serving(raw(b"", then="reset"), caller_is(OWN)) as server, clients_at(server.url) as clients:
        assert await identity(clients).get() == CallerIdentity(OWN, "123456789012", ARN)
        assert await clients.open(STS) is await clients.open(STS)


async def test_sqs_is_asked_who_sent_a_message(clients_at: Open) -> None:
    told = RECEIVED | {"Attributes": RECEIVED["Attributes"] | {SENDER: "AIDATEAM"}}  # type: ignore[operator]
    async with serving(answer(200, {"Messages": [told, RECEIVED]})) as server, clients_at(server.url) as clients:
        asked, silent = await make_queue(clients).receive(10, wait_seconds=0, attempt=None)
        assert (asked.sender, silent.sender) == ("AIDATEAM", None)
        assert SENDER in server.seen[0].json["MessageSystemAttributeNames"]  # type: ignore[operator]


async def test_a_sender_that_is_no_text_is_nobody(clients_at: Open) -> None:
    told = RECEIVED | {"Attributes": RECEIVED["Attributes"] | {SENDER: 5}}  # type: ignore[operator]
    async with serving(answer(200, {"Messages": [told]})) as server, clients_at(server.url) as clients:
        (message,) = await make_queue(clients).receive(10, wait_seconds=0, attempt=None)
        assert message.sender is None
