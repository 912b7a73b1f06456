"""Who is meant: the account and Region that a call is signed for, or that a change of terms or faults names."""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Mapping
from typing import Final, NamedTuple

ACCOUNT_ID: Final = "123456789012"
REGION: Final = "us-east-1"
_SCOPE: Final = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[a-z0-9-]+)/")
_TEMPORARY: Final = re.compile(r"ASIA(?P<half>[A-Z2-7]{8})(?P<odd>[A-Z2-7]).*")
_OFFSET: Final = 1 << 39
_PARTITIONS: Final = {
    "us-gov-": "aws-us-gov",
    "cn-": "aws-cn",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}


class Place(NamedTuple):
    """One account and Region."""

    account_id: str = ACCOUNT_ID
    region: str = REGION

    def __str__(self) -> str:
        """Name it in records: by its Region, where it is in the account that everybody has who assumed no role."""
        return self.region if self.account_id == ACCOUNT_ID else f"{self.account_id}/{self.region}"


def signed_for(authorization: str) -> Place:
    """Answer the place that a call is signed for. Long-lived keys, whatever they are, are of one account."""
    found = _SCOPE.search(authorization)
    return Place(account_of(found["key"]), found["region"]) if found else Place()


def account_of(key: str) -> str:
    """Answer the account of a role's temporary key. Its number is in the key, as it is on AWS, and in those of moto."""
    found = _TEMPORARY.fullmatch(key)
    half = int.from_bytes(b32decode(found["half"]), "big") - _OFFSET if found else -1
    if found is None or half < 0:
        return ACCOUNT_ID
    return f"{2 * half + (not 'A' <= found['odd'] <= 'P'):012d}"


def named_in(query: Mapping[str, str]) -> Place | None:
    """Answer the place that `?account=…&region=…` names; None where neither is given, which means all."""
    if not {"account", "region"} & set(query):
        return None
    return Place(query.get("account", ACCOUNT_ID), query.get("region", REGION))


def partition_of(region: str) -> str:
    """Return the partition that a Region is in, by its prefix."""
    return next((partition for prefix, partition in _PARTITIONS.items() if region.startswith(prefix)), "aws")
