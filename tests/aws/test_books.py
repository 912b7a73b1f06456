"""What is left out of botocore's books, nobody looks for: what is asked of them is answered as botocore itself answers it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from service.aws.books import USED, new_session

SERVICES = ("sqs", "sns", "bedrock", "bedrock-runtime", "stepfunctions", "sagemaker", "sts", "sso", "sso-oidc")
BOOKS = ("service-2", "endpoint-rule-set-1")
REGIONS = ("us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1", "aws-global")


@pytest.fixture(scope="module")
def books() -> Any:
    return new_session().get_component("data_loader")


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_known_as_botocore_knows_it(books: Any, service: str, book: str) -> None:
    assert books.load_service_model(service, book) == Loader().load_service_model(service, book)


@pytest.mark.parametrize("region", REGIONS)
def test_endpoints_are_where_botocore_has_them(books: Any, region: str) -> None:
    ours, own = EndpointResolver(books.load_data("endpoints")), EndpointResolver(Loader().load_data("endpoints"))
    assert {each: ours.construct_endpoint(each, region) for each in USED} == {
        each: own.construct_endpoint(each, region) for each in USED
    }


def test_a_service_that_is_none_is_not_known(books: Any) -> None:
    with pytest.raises(DataNotFoundError):
        books.load_data("nosuchservice/2020-01-01/service-2")
    assert "nosuchservice" not in books.list_available_services("service-2")


def test_books_of_ones_own_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "sqs" / "2999-01-01"
    own.mkdir(parents=True)
    (own / "service-2.json").write_text('{"metadata": {"its": "own"}}', "utf-8")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    books = new_session().get_component("data_loader")
    assert books.load_service_model("sqs", "service-2") == {"metadata": {"its": "own"}}
    assert books.search_paths == AioSession().get_component("data_loader").search_paths
