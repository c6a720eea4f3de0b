"""TLS as the hub serves it: 1.2 and 1.3 with forward secrecy, and a certificate that is renewed without a restart."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog

from hanmaru.config import Tls

log = structlog.get_logger()

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2, Mozilla's "intermediate" without the finite-field groups; TLS 1.3 has no weak ones to leave out."""


class TlsError(Exception):
    """A certificate that cannot be used; the text says which file and why."""


class Certificate:
    """The certificate in use, and the context that gives it to every new connection."""

    def __init__(self, settings: Tls) -> None:
        """Load the files that the settings name; raises TlsError."""
        assert settings.certificate
        assert settings.key
        self._files = settings.certificate, settings.key
        self._stamp = self._stamps()
        self.current = self._load()
        self.context = _context()
        self.context.load_cert_chain(*self._files)
        # Loading into the live context would keep an old certificate of another key type beside the new one.
        self.context.sni_callback = self._choose

    def renew(self) -> bool:
        """Take changed files up; return whether they are in use now. Files that do not fit leave the old ones in use.

        Reads files: call it in a thread.
        """
        stamp = self._stamps()
        if stamp == self._stamp:
            return False
        self._stamp = stamp  # what does not fit is said once, not every second
        try:
            self.current = self._load()
        except TlsError as error:
            log.error("certificate not renewed; the old one stays in use", reason=str(error))
            return False
        log.info("certificate renewed", file=str(self._files[0]), expires=self.expires().isoformat())
        return True

    def expires(self) -> datetime:
        """Return when the certificate in the file ends."""
        from cryptography import x509

        return x509.load_pem_x509_certificates(self._files[0].read_bytes())[0].not_valid_after_utc

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self.current

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._files]

    def _load(self) -> ssl.SSLContext:
        for path in self._files:
            try:
                path.read_bytes()
            except OSError as error:
                raise TlsError(f"cannot read {path}: {error.strerror}") from None
        certificate, key = self._files
        context = _context()
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise TlsError(f"the key in {key} is not the key of the certificate in {certificate}") from None
            raise TlsError(f"{certificate} and {key} are no PEM certificate and key: {error.reason}") from None
        except ValueError:
            raise TlsError(f"the key in {key} needs a password; give one without") from None
        if self.expires() < datetime.now(UTC):
            log.warning("certificate has expired", file=str(certificate), expires=self.expires().isoformat())
        return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _no_password() -> str:
    raise ValueError
