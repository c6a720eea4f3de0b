"""TLS by configuration, with certificates made here and real connections."""

import os
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from hanmaru.config import Tls
from hanmaru.tls import Certificate, TlsError
from tests.running import COMMAND, environment, running

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(key: Key, password: bytes | None = None) -> bytes:
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)


def write(folder: Path, name: str, key: Key | None = None) -> Tls:
    """Write a self-signed certificate for localhost and its key; return the settings that name them."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    settings = Tls(certificate=folder / "hub.pem", key=folder / "hub.key")
    for path, content in (
        (settings.certificate, made.public_bytes(serialization.Encoding.PEM)),
        (settings.key, pem(key)),
    ):
        assert path
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)
    return settings


def ask(url: str, trusted: bytes, server_name: str | None = "localhost") -> tuple[int, dict[str, str], str, str]:
    """Return status, headers, TLS version and the certificate's name; the certificate is verified with the name."""
    context = ssl.create_default_context(cadata=trusted.decode())
    context.check_hostname = server_name is not None
    port = urlsplit(url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=20) as plain:
        sock = context.wrap_socket(plain, server_hostname=server_name)
        certificate = sock.getpeercert()
        assert certificate
        connection = HTTPSConnection("localhost", port)
        connection.sock = sock
        connection.request("GET", "/healthz", headers={"Host": "hub.example"})
        answer = connection.getresponse()
        answer.read()
        version = sock.version() or ""
        connection.close()
    name = dict(pair for part in certificate["subject"] for pair in part)["commonName"]
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, version, name


def test_the_hub_speaks_tls_and_takes_a_renewed_certificate_up(tmp_path: Path) -> None:
    tls = write(tmp_path, "first")
    assert tls.certificate
    assert tls.key
    first = tls.certificate.read_bytes()
    settings = {"TLS__CERTIFICATE": str(tls.certificate), "TLS__KEY": str(tls.key), "SERVICES": ""}
    with running(tmp_path, **settings) as hub:
        assert hub.url.startswith("https://")
        status, headers, version, name = ask(hub.url, first)
        assert (status, version, name) == (200, "TLSv1.3", "first")
        assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"

        tls.key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))  # half of a renewal
        assert (
            "is not the key of the certificate"
            in hub.logged("certificate not renewed; the old one stays in use")["reason"]
        )
        assert ask(hub.url, first)[3] == "first"

        write(tmp_path, "second", rsa.generate_private_key(65537, 2048))
        hub.logged("certificate renewed")
        second = tls.certificate.read_bytes()
        assert ask(hub.url, second)[3] == "second"
        assert ask(hub.url, second, server_name=None)[3] == "second"  # a client that names no server
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(hub.url, first)

        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ECDHE-RSA-AES128-SHA:AES128-SHA256")  # neither authenticated nor forward secret
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", urlsplit(hub.url).port or 0)) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="localhost")


def test_tls_is_1_2_at_least(tmp_path: Path) -> None:
    context = Certificate(write(tmp_path, "hub")).current
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    weak = [c["name"] for c in context.get_ciphers() if "GCM" not in c["name"] and "CHACHA" not in c["name"]]
    assert weak == []


def refusal(settings: Tls) -> str:
    with pytest.raises(TlsError) as refused:
        Certificate(settings)
    return str(refused.value)


def test_files_that_cannot_be_used_are_said_in_a_line(tmp_path: Path) -> None:
    good = write(tmp_path, "hub")
    assert good.key
    missing = good.model_copy(update={"certificate": tmp_path / "none.pem"})
    assert refusal(missing) == f"cannot read {tmp_path / 'none.pem'}: No such file or directory"
    good.key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    assert "is not the key of the certificate" in refusal(good)
    good.key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), b"a password"))
    assert "needs a password" in refusal(good)
    good.key.write_bytes(os.urandom(200))
    assert "are no PEM certificate and key" in refusal(good)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"TLS__CERTIFICATE": "none.pem", "TLS__KEY": "none.key"}, "cannot read none.pem"),
        ({"TLS__CERTIFICATE": "none.pem"}, "give both tls.certificate and tls.key"),
    ],
)
def test_a_start_without_a_usable_certificate_ends_at_once(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    command = [COMMAND, "up", "--port", "0", "--data", str(tmp_path)]
    began = time.monotonic()
    done = subprocess.run(
        command, env=environment(**settings), capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert time.monotonic() - began < 30
