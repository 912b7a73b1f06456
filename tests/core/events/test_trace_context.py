"""Where a trace begins: who sent the request, who had it before, and an id that is the same for ever where nobody says."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.events.publish import Times, announce_rejection
from slipway.core.events.schema import event_schema
from slipway.core.events.trace_context import TRACEPARENT, TraceParent, TraceStart, read_trace_parent, trace_start, with_trace
from slipway.core.sqs import continuations
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import TRACE_HEADER, Message
from tests.support.bodies import GOOD, message, sns

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{SPAN}-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ROOT = "1-5759e988-bd862e3fe1be46a994272793"


def of(**attributes: str) -> Message:
    return message(attributes=attributes)


def test_whoever_sent_it_is_the_parent() -> None:
    assert trace_start(Delivery.of(of(traceparent=SENT))) == TraceStart(TRACE, TraceParent(TRACE, SPAN, is_sampled=True))


def test_sns_says_it_in_its_envelope() -> None:
    envelope = sns(json.dumps(GOOD)) | {"MessageAttributes": {"traceparent": {"Type": "String", "Value": SENT}}}
    assert trace_start(Delivery.of(message(envelope))) == trace_start(Delivery.of(of(traceparent=SENT)))
    assert trace_start(Delivery.of(message(envelope, attributes={"traceparent": OTHER}))) == trace_start(
        Delivery.of(of(traceparent=OTHER))
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"traceparent"',
        f'{{"traceparent": "{SENT}"}}',
        '{"Type": "Notification", "MessageAttributes": {"traceparent": 1}}',
        '{"traceparent": ' + "[" * 100_000,
    ],
    ids=lambda body: body[:30],
)
def test_what_only_resembles_an_envelope_says_nothing(body: str) -> None:
    assert trace_start(Delivery.of(message(body))) == trace_start(Delivery.of(message()))


def test_w3c_goes_before_xray() -> None:
    assert (
        trace_start(Delivery.of(of(traceparent=SENT, AWSTraceHeader=f"Root={ROOT};Parent={SPAN};Sampled=0"))).trace_id == TRACE
    )


@pytest.mark.parametrize(
    ("header", "parent", "is_sampled"),
    [
        (f"Root={ROOT};Parent={SPAN};Sampled=1", SPAN, True),
        (f"Sampled=0; Parent={SPAN}; Root={ROOT}; Lineage=a:1|b:2", SPAN, False),
        (f"Root={ROOT};Parent={SPAN};Sampled=?", SPAN, True),
        (f"Root={ROOT};Parent={SPAN}", SPAN, True),
        (f"Root={ROOT};Sampled=1", None, True),
        (f"Root={ROOT};Parent=0000000000000000;Sampled=1", None, True),
    ],
)
def test_xray_says_it_in_its_own_way(header: str, parent: str | None, *, is_sampled: bool) -> None:
    trace_id = ROOT.replace("-", "")[1:]
    expected = TraceStart(trace_id, TraceParent(trace_id, parent, is_sampled) if parent else None)
    assert trace_start(Delivery.of(of(AWSTraceHeader=header))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        SENT.upper(),
        SENT[:-1],
        SENT + "-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        SENT + "\n",
    ],
)
def test_what_is_no_context_is_as_if_it_were_not_there(text: str) -> None:
    assert read_trace_parent(text) is None
    assert trace_start(Delivery.of(of(traceparent=text))) == trace_start(Delivery.of(of()))


def test_a_later_version_of_w3cs_is_read_as_far_as_it_is_known() -> None:
    assert read_trace_parent(f"cc-{TRACE}-{SPAN}-03-what-the-future-will-be-like") == TraceParent(TRACE, SPAN, is_sampled=True)
    assert str(read_trace_parent(SENT)) == SENT
    assert str(read_trace_parent(SENT[:-2] + "00")) == SENT[:-2] + "00"


def test_without_a_context_the_trace_is_the_origins_whoever_receives_it_however_often() -> None:
    first = message()
    handed_on = continuations.write_continuation(Delivery.of(first), is_fifo=False, trace=OTHER)
    then = message(message_id="another", attributes=handed_on.attributes, receive_count=3)
    assert trace_start(Delivery.of(then)).trace_id == trace_start(Delivery.of(first)).trace_id
    assert trace_start(Delivery.of(first)).parent is trace_start(Delivery.of(then)).parent is None
    assert trace_start(Delivery.of(message(message_id="another"))).trace_id != trace_start(Delivery.of(first)).trace_id


def test_who_handed_it_on_is_no_parent() -> None:
    handed_on = continuations.write_continuation(Delivery.of(of(traceparent=SENT)), is_fifo=False, trace=OTHER)
    assert trace_start(Delivery.of(message(attributes=handed_on.attributes))) == TraceStart(
        TRACE, read_trace_parent(SENT), read_trace_parent(OTHER)
    )


def test_one_who_does_not_trace_takes_along_what_another_had_said() -> None:
    once = continuations.write_continuation(Delivery.of(message()), is_fifo=True, trace=OTHER)
    twice = continuations.write_continuation(Delivery.of(message(attributes=once.attributes)), is_fifo=True)
    assert trace_start(Delivery.of(message(attributes=twice.attributes))).before == read_trace_parent(OTHER)
    assert once.deduplication_id == continuations.write_continuation(Delivery.of(message()), is_fifo=True).deduplication_id, (
        "the same hand-over"
    )


@given(st.text(), st.text())
def test_nothing_in_a_message_breaks_it(w3c: str, xray: str) -> None:
    begun = trace_start(Delivery.of(message(attributes={TRACEPARENT: w3c, TRACE_HEADER: xray})))
    assert int(begun.trace_id, 16)
    assert begun.parent is None or begun.parent.trace_id == begun.trace_id


def test_an_event_says_where_it_comes_from_in_body_and_attributes() -> None:
    plain = announce_rejection("m-1", "r-1", "NotJson", "no", Times(2.0, 1.0), "urn:slipway:123456789012:us-east-1")
    assert with_trace(plain, None) is plain
    told = with_trace(plain, SENT)
    assert told.attributes == {**plain.attributes, "traceparent": SENT}
    assert json.loads(told.body) == json.loads(plain.body) | {"traceparent": SENT}
    assert told.event_id == plain.event_id
    jsonschema.Draft202012Validator(event_schema()).validate(json.loads(told.body))
