"""How the clients are opened: with the SDK's own settings, and without what of it would surprise."""

import random
from pathlib import Path

import pytest
from aiobotocore.credentials import AioRefreshableCredentials

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.connect import connect
from slipway.aws.sdk.clients import open_clients
from slipway.aws.sdk.credentials import CredentialRefresher
from slipway.aws.sdk.regions import NotConfigured
from slipway.aws.sdk.transport import StrictHttpSession
from slipway.core.call_errors import CallFailed, Denied
from slipway.core.requests.targets import DEFAULT, Home, Role, TargetSettings
from tests.aws.conftest import QUEUE_URL, TOPIC_ARN, Open, make_bedrock, make_caller, make_queue, make_topic
from tests.aws.servers import ARN, answer, serving


async def test_each_purpose_has_a_client_and_a_pool_of_its_own(clients_at: Open) -> None:
    async with clients_at("http://127.0.0.1:9") as clients:
        every = [clients.receive, clients.leases, clients.bedrock, clients.topic]
        sessions = {id(client._endpoint.http_session) for client in every}  # noqa: SLF001  there is no other way to see
        assert len(sessions) == 4
        for client in every:
            assert isinstance(client._endpoint.http_session, StrictHttpSession)  # noqa: SLF001  as above
            assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 1}
        assert clients.receive.meta.config.read_timeout > 20
        assert clients.home == Home("aws", "123456789012", "us-east-1")
        assert clients.keeper is None, "keys that do not run out"


async def test_each_service_may_have_an_endpoint_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", "http://127.0.0.1:2")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:3")
    async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2) as clients:
        assert clients.bedrock.meta.endpoint_url == "http://127.0.0.1:2"
        assert clients.receive.meta.endpoint_url == "http://127.0.0.1:3"
        assert clients.topic.meta.endpoint_url == "http://127.0.0.1:1"
        assert clients.bedrock.meta.region_name == "eu-central-1"
        assert clients.leases.meta.region_name == "us-east-1"
        assert clients.home.region == "eu-central-1"


async def test_a_profile_gives_region_and_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile team]\nregion = ap-south-1\naws_access_key_id = AKIDTEAM\naws_secret_access_key = made-up\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "team")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2) as clients:
        assert clients.bedrock.meta.region_name == "ap-south-1"


async def test_a_profile_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(NotConfigured, match=r"AWS's own settings are not right: .*nobody"):
        async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2):
            pass


async def test_no_credentials_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Denied, match="no AWS credentials were found"):
        async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2):
            pass


async def test_credentials_that_expire_are_kept_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    role = {"AccessKeyId": "AKIDROLE", "SecretAccessKey": "made-up", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"}
    async with serving(answer(200, role)) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/role")
        async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2) as clients:
            credentials = clients.bedrock._request_signer._credentials  # noqa: SLF001  there is no other way to see
            assert isinstance(credentials, AioRefreshableCredentials)
            assert credentials._refresh.__func__ is CredentialRefresher.refresh  # noqa: SLF001  as above
            assert clients.keeper is not None
            assert clients.keeper.seconds_left() > 365 * 86_400


async def test_a_call_says_who_makes_it_and_is_signed_for_its_region(clients_at: Open) -> None:
    body = b"<R><GetTopicAttributesResult><Attributes><entry><key>Owner</key><value>me</value></entry></Attributes>"
    body += b"</GetTopicAttributesResult></R>"
    async with serving(answer(200, body)) as server, clients_at(server.url) as clients:
        await make_topic(clients).check()
        headers = server.seen[0].headers
        assert headers["user-agent"].startswith("slipway/0 aiobotocore/")
        assert "/us-east-1/sns/aws4_request" in headers["authorization"]


async def test_everything_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, {"Successful": [{"Id": "0"}], "Failed": []})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        async with connect(
            queue_url=QUEUE_URL,
            topic_arn=TOPIC_ARN,
            visibility_seconds=120,
            call_timeout=10.0,
            most_polls=2,
            version="0",
            rng=random.Random(1),
        ) as aws:
            assert await aws.queue.delete(["a"]) == [None]
            assert aws.tally == {("DeleteMessageBatch", "Applied"): 1}
            assert [list(limiters) for limiters in aws.limiters] == [[], ["DeleteMessageBatch"], [], [], []]


async def test_a_proxy_of_the_environment_is_gone_through(clients_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, {"modelDeploymentSummaries": []})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        async with clients_at("http://bedrock.invalid") as clients:
            await make_bedrock(clients).page(created_after=None, status=None, token=None)
        (seen,) = proxy.seen
    assert seen.path.startswith("http://bedrock.invalid/")


async def test_a_bedrock_api_key_is_sent_to_bedrock_alone(clients_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-EXAMPLE")
    said = {
        "modelDeploymentSummaries": [],
        "output": {"message": {"content": [{"text": "ready"}]}},
        "Successful": [{"Id": "0"}],
    }
    async with serving(answer(200, said)) as server, clients_at(server.url) as clients:
        bedrock = Bedrock(clients.bedrock, make_caller(), open_client=clients.open)
        await bedrock.page(created_after=None, status=None, token=None)
        await bedrock.converse(ARN, "say ready", 10)
        await make_queue(clients).delete(["receipt"])
        signed = [seen.headers["authorization"] for seen in server.seen]
    assert signed[:2] == ["bearer bedrock-api-key-example"] * 2  # as the server reads it
    assert signed[2].startswith("aws4-hmac-sha256 ")


async def test_a_role_of_another_account_is_not_replaced_by_a_bedrock_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-EXAMPLE")
    wanted = (
        TargetSettings(DEFAULT),
        TargetSettings("research", role=Role("arn:aws:iam::210987654321:role/slipway", "slipway")),
    )
    async with serving(answer(200, {"modelDeploymentSummaries": []})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        opening = open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2, wanted=wanted)
        async with opening as clients:
            with pytest.raises(CallFailed):  # the role cannot be assumed here, and so nothing is asked of Bedrock
                await Bedrock(clients.bedrocks["research"], make_caller(attempts=1)).page(
                    created_after=None, status=None, token=None
                )
        assert not [seen for seen in server.seen if "bearer" in seen.headers.get("authorization", "")]
