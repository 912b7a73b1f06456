"""Batches over real HTTP: they partly fail with HTTP 200, and what is not answered is unknown."""

import json

import pytest

from slipway.core.call_errors import Denied, ReceiptExpired, Refused, ResourceMissing, Throttled, UnknownResult
from slipway.core.events.publish import Publication
from slipway.core.sqs.messages import Outgoing
from tests.aws.conftest import Open, make_queue, make_topic
from tests.aws.servers import Behaviour, answer, raw, serving

FAILED = [
    {"Id": "1", "SenderFault": True, "Code": "ReceiptHandleIsInvalid", "Message": "stale"},
    {"Id": "2", "SenderFault": False, "Code": "InternalError", "Message": "oh"},
]


async def test_each_entry_has_its_answer(clients_at: Open) -> None:
    body = {"Successful": [{"Id": "0"}], "Failed": FAILED}
    async with serving(answer(200, body)) as server, clients_at(server.url) as clients:
        queue = make_queue(clients)
        extended = await queue.extend(["a", "b", "c", "d"], 120)
        deleted = await queue.delete(["a", "b", "c", "d"])
        for answers in (extended, deleted):
            assert [type(each) for each in answers] == [type(None), ReceiptExpired, UnknownResult, UnknownResult]
        assert server.seen[0].json["Entries"] == [
            {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": 120} for place, receipt in enumerate("abcd")
        ]


async def test_the_same_receipt_is_sent_once_and_answered_wherever_it_stood(clients_at: Open) -> None:
    body = {"Successful": [{"Id": "0"}], "Failed": FAILED[:1]}
    async with serving(answer(200, body)) as server, clients_at(server.url) as clients:
        answers = await make_queue(clients).delete(["a", "b", "a"])
        assert [type(each) for each in answers] == [type(None), ReceiptExpired, type(None)]
        assert len(json.loads(server.seen[0].body)["Entries"]) == 2


async def test_a_call_that_fails_as_a_whole_raises(clients_at: Open) -> None:
    gone = answer(400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"})
    async with serving(gone) as server, clients_at(server.url) as clients:
        with pytest.raises(ResourceMissing):
            await make_queue(clients).delete(["a"])


async def test_a_lost_answer_is_asked_for_again(clients_at: Open) -> None:
    body = {"Successful": [{"Id": "0"}], "Failed": []}
    async with serving(raw(b"", then="reset"), answer(200, body)) as server, clients_at(server.url) as clients:
        assert await make_queue(clients).extend(["a"], 0) == [None]
        assert len(server.seen) == 2


NO_DOCUMENT: dict[str, Behaviour] = {
    "nothing": answer(200, b""),
    "HTML": answer(200, b"<html>hello</html>"),
    "truncated": answer(200, b'{"Messages": [{"MessageId": "m"'),
    "broken": answer(200, b'{"Messages": [}'),
    "message without receipt": answer(200, {"Messages": [{"MessageId": "m", "Body": "b"}]}),
    "redirect": answer(307, b"", headers={"Location": "http://127.0.0.1:9/"}),
    "reset": raw(b"", then="reset"),
}


async def test_what_is_no_answer_is_not_taken_for_an_empty_queue_nor_repeated(clients_at: Open) -> None:
    async with serving(*NO_DOCUMENT.values()) as server, clients_at(server.url) as clients:
        queue = make_queue(clients)
        for sent, fault in enumerate(NO_DOCUMENT, 1):
            with pytest.raises(UnknownResult):
                await queue.receive(10, wait_seconds=0, attempt=None)
            assert len(server.seen) == sent, fault


async def test_an_empty_queue(clients_at: Open) -> None:
    async with serving(answer(200, {}), answer(200, {"Messages": []})) as server, clients_at(server.url) as clients:
        queue = make_queue(clients)
        assert await queue.receive(10, wait_seconds=0, attempt=None) == []
        assert await queue.receive(10, wait_seconds=0, attempt=None) == []


async def test_each_message_that_is_sent_has_its_answer(clients_at: Open) -> None:
    body = {"Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}], "Failed": FAILED[1:]}
    async with serving(answer(200, body)) as server, clients_at(server.url) as clients:
        answers = await make_queue(clients).send([Outgoing(body) for body in "abc"])
        assert [type(each) for each in answers] == [type(None), UnknownResult, UnknownResult]
        assert server.seen[0].json["Entries"] == [
            {"Id": str(place), "MessageBody": body, "MessageAttributes": {}} for place, body in enumerate("abc")
        ]


def published(inside: str) -> Behaviour:
    text = f"<PublishBatchResponse><PublishBatchResult>{inside}</PublishBatchResult></PublishBatchResponse>"
    return answer(200, text.encode(), headers={"Content-Type": "text/xml"})


def event(number: int, size: int = 10) -> Publication:
    return Publication(str(number), {"x": "x" * (size - 8)}, {"status": "Active"}, "n")


def members(*ids: int) -> str:
    return "".join(f"<member><Id>{each}</Id><MessageId>m</MessageId></member>" for each in ids)


async def test_each_event_has_its_answer(clients_at: Open) -> None:
    failed = (
        "<member><Id>1</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>"
        "<member><Id>2</Id><Code>KMSDisabled</Code><SenderFault>true</SenderFault></member>"
        "<member><Id>3</Id><Code>Throttled</Code><SenderFault>true</SenderFault></member>"
        "<member><Id>4</Id><Code>InvalidParameter</Code><SenderFault>true</SenderFault></member>"
    )
    body = published(f"<Successful>{members(0)}</Successful><Failed>{failed}</Failed>")
    async with serving(body) as server, clients_at(server.url) as clients:
        answers = await make_topic(clients).publish([event(number) for number in range(6)])
        assert [type(each) for each in answers] == [type(None), UnknownResult, Denied, Throttled, Refused, UnknownResult]


async def test_what_does_not_fit_in_one_call_goes_in_several(clients_at: Open) -> None:
    one = published(f"<Successful>{members(0)}</Successful>")
    async with serving(one, answer(403, b"", headers={}), one) as server, clients_at(server.url) as clients:
        answers = await make_topic(clients).publish([event(number, 200_000) for number in range(3)])
        assert [type(each) for each in answers] == [type(None), UnknownResult, type(None)]
        assert len(server.seen) == 3, "the second is not repeated here"
    ten = published(f"<Successful>{members(*range(10))}</Successful>")
    two = published(f"<Successful>{members(0, 1)}</Successful>")
    async with serving(ten, two) as server, clients_at(server.url) as clients:
        assert await make_topic(clients).publish([event(number) for number in range(12)]) == [None] * 12


async def test_an_unreadable_publish_is_unknown_for_every_event(clients_at: Open) -> None:
    async with serving(answer(200, b"<html>")) as server, clients_at(server.url) as clients:
        answers = await make_topic(clients).publish([event(0), event(1)])
        assert [type(each) for each in answers] == [UnknownResult, UnknownResult]
