"""SNS's forms: what botocore would have sent, only faster."""

from __future__ import annotations

from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from service.aws.forms import encode_form
from tests.aws.conftest import Open, make_topic
from tests.aws.servers import Seen, answer, serving
from tests.aws.test_wire_matrix import EVENT, OPERATIONS

encodable = st.text(st.characters(codec="utf-8"))


@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,30}", fullmatch=True), encodable))
def test_a_form_reads_back_as_what_was_put_in(fields: dict[str, str]) -> None:
    params: dict[str, object] = {"body": fields}
    encode_form(params)
    body = params["body"]
    assert isinstance(body, bytes)
    assert dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(fields))) == fields


async def test_sns_is_sent_a_form_with_its_length_and_type(clients_at: Open) -> None:
    async with serving(answer(200, OPERATIONS["PublishBatch"].good)) as server, clients_at(server.url) as clients:
        assert await make_topic(clients).publish([EVENT]) == [None]
        (seen,) = server.seen
        assert _form_of(seen)["PublishBatchRequestEntries.member.1.Message"] == EVENT.body
        assert seen.headers["content-type"].startswith("application/x-www-form-urlencoded")


def _form_of(seen: Seen) -> dict[str, str]:
    return dict(parse_qsl(seen.body.decode("ascii"), strict_parsing=True))
