"""Whom the agent trusts over TLS."""

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from device_agent.connection import pairing
from device_agent.connection.websocket import connect
from hub.dial import in_words
from tests.device_agent.far_hub import far_hub
from tests.tcp_server import tcp_server


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + signed.public_bytes(pem))
    return file


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_hub_that_no_authority_vouches_for_never_sees_the_token(tls, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with far_hub(tls) as hub:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(hub.url, hub.token)
    assert hub.requests == []


async def test_a_hub_with_a_certificate_for_another_name_never_sees_the_token(tls, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with far_hub(tls) as hub:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(hub.url.replace("localhost", "127.0.0.1"), hub.token)
    assert hub.requests == []


async def test_a_hub_whose_certificate_is_trusted_is_spoken_to(tls, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with far_hub(tls) as hub:
        wire = await connect(hub.url, hub.token)
        wire.send("not a hello")
        assert '"type":"error"' in await wire.recv()
        await wire.close(1000)
    assert len(hub.requests) == 1


async def test_a_hub_without_tls_is_told_in_plain_words():
    async def plain_http(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read()  # until the other end has had enough

    async with tcp_server(plain_http) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(ssl.SSLError) as refused:
            await connect(url, "token")
        with pytest.raises(pairing.PairingFailed) as unpaired:
            await pairing.begin(url, {})
    sentence = "what listens there does not speak TLS; its address may begin with http:"
    assert in_words(refused.value) == sentence
    assert unpaired.value.message == f"{url}/oauth/device_authorization: {sentence}"
