"""Whose certificate a server shows is looked at: real TLS on loopback, with authorities of the test's own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from slipway.core.call_errors import CallFailed, UnknownResult
from tests.aws.conftest import Open, make_bedrock, make_caller
from tests.aws.servers import Server, answer, serving


def _certificate(path: Path, host: str) -> Path:
    """Write a certificate of this host, and its key; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@asynccontextmanager
async def serving_as(certificate: Path) -> AsyncIterator[Server]:
    """Within, a server shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with serving(answer(200, {"modelDeploymentSummaries": []}), tls=context) as server:
        yield server


async def _met(clients_at: Open, url: str) -> CallFailed | None:
    async with clients_at(url) as clients:
        try:
            await make_bedrock(clients, make_caller(attempts=1)).page(created_after=None, status=None, token=None)
        except CallFailed as failed:
            return failed
    return None


async def test_the_right_host_is_talked_to(clients_at: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = _certificate(tmp_path / "right", "localhost")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    async with serving_as(certificate) as server:
        assert await _met(clients_at, server.url) is None


@pytest.mark.parametrize(("host", "is_trusted"), [("elsewhere.example", True), ("localhost", False)])
async def test_another_host_or_an_unknown_authority_is_told_nothing(
    clients_at: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, *, is_trusted: bool
) -> None:
    certificate = _certificate(tmp_path / "shown", host)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate if is_trusted else _certificate(tmp_path / "trusted", host)))
    async with serving_as(certificate) as server:
        failed = await _met(clients_at, server.url)
        assert isinstance(failed, UnknownResult)
        assert "certificate verify failed" in failed.text
        assert server.seen == []


async def test_all_clients_share_one_context(clients_at: Open) -> None:
    async with clients_at("https://localhost:9") as clients:
        contexts = set()
        for client in (clients.receive, clients.bedrock, clients.topic):
            async with client._endpoint.http_session.make_connector() as connector:  # noqa: SLF001  there is no other way to see
                contexts.add(connector._ssl)  # noqa: SLF001  as above
        assert len(contexts) == 1
