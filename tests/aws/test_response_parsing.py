"""The fast reader of timestamps is exact: whatever it reads, it reads as botocore's own does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from aiobotocore.session import AioSession
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from slipway.aws.sdk.transport import read_http_date, read_timestamp
from tests.aws.servers import DATE, DATE_SECONDS

offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=offsets)  # noqa: DTZ001  hypothesis adds the zones


@given(times, st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]))
def test_iso_8601(time: datetime, timespec: str) -> None:
    text = time.isoformat(timespec=timespec)
    assert read_timestamp(text) == parse_timestamp(text)


@given(times, st.integers(1, 9))
def test_iso_8601_in_utc_with_any_number_of_decimals(time: datetime, decimals: int) -> None:
    fraction = f"{time.microsecond:06d}789"[:decimals]
    text = f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{fraction}Z"
    assert read_timestamp(text) == parse_timestamp(text)


@given(st.one_of(st.integers(0, 2**33), st.floats(0, 2**33)))
def test_seconds_since_the_epoch(seconds: float) -> None:
    assert read_timestamp(seconds) == parse_timestamp(seconds)
    assert read_timestamp(str(seconds)) == parse_timestamp(str(seconds))


@pytest.mark.parametrize("text", [DATE, "2026-11-23T10:00:00 UTC", "20261123T100000Z", "2026-11-23 10:00:00+00:00"])
def test_other_ways_to_write_it(text: str) -> None:
    assert read_timestamp(text).timestamp() == DATE_SECONDS


def test_without_a_zone_it_is_utc() -> None:
    assert read_timestamp("2026-11-23T10:00:00").timestamp() == DATE_SECONDS


@pytest.mark.parametrize("text", ["", "soon", "2026-13-45T99:00:00Z"])
def test_what_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        read_timestamp(text)


def test_http_dates() -> None:
    assert read_http_date(DATE) == DATE_SECONDS
    with pytest.raises((ValueError, TypeError)):
        read_http_date("")


async def test_it_is_what_clients_read_with() -> None:
    session = AioSession()
    factory = session.get_component("response_parser_factory")
    factory.set_parser_defaults(timestamp_parser=read_timestamp)
    model = await session.get_service_model("bedrock")
    shape = model.operation_model("ListCustomModelDeployments").output_shape
    body = b'{"modelDeploymentSummaries": [{"createdAt": "2026-11-23T10:00:00Z"}]}'
    answer = {"headers": {}, "status_code": 200, "body": body, "context": {}}
    read = await factory.create_parser("rest-json").parse(answer, shape)
    assert read["modelDeploymentSummaries"] == [{"createdAt": datetime.fromtimestamp(DATE_SECONDS, UTC)}]
