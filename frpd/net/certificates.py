"""SSL contexts as frp wants them: from files that may change, or from a certificate of our own.

Without a trusted CA neither side verifies the other, as in frp; with one, both
do. Names and messages use the keys of frps.ini and frpc.ini.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from frpd.clock import unix_now
from frpd.errors import ConfigError
from frpd.log import get_logger

CHECK_SECONDS: Final = 5.0
"""How old the answer may be to whether a file has changed."""

CERT_KEY: Final = "tls_cert_file"
KEY_KEY: Final = "tls_key_file"
CA_KEY: Final = "tls_trusted_ca_file"

_OWN_VALID_SECONDS: Final = 10 * 365 * 86400
_OWN_BACKDATED_SECONDS: Final = 3600  # a client's clock may be behind
_PEM_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_PEM_KEY: Final = b"PRIVATE KEY-----"
_PEM_ENCRYPTED: Final = (b"ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")

_log = get_logger("frpd.net.certificates")


class Contexts(Protocol):
    """Gives the context for the next connection."""

    def current(self) -> ssl.SSLContext:
        """Return it. Loop thread only; may read files.

        Raises:
            ConfigError: there is none, and there was none before.
        """


_Built = TypeVar("_Built")


class ReloadingContext(Generic[_Built]):
    """Contexts: built anew when one of its files has changed. Loop thread only.

    What is built may be something else than a context of ssl.
    When the new files cannot be used, the context that was there stays, and the
    log says so once. Connections that are open keep theirs in any case.

    Args:
        build: makes the context; raises ConfigError.
        files: what it is made from; without any it is built on first use, and for good.
        now: the clock's.
        check_seconds: how often the files are looked at, at most.

    Raises:
        ConfigError: it cannot be built from the files as they are now.
    """

    __slots__ = ("_build", "_check_seconds", "_context", "_files", "_next_check", "_now", "_seen")

    def __init__(
        self,
        build: Callable[[], _Built],
        files: tuple[str, ...],
        *,
        now: Callable[[], float],
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._build = build
        self._files = files
        self._now = now
        self._check_seconds = check_seconds
        self._next_check = now() + check_seconds
        self._seen = [_fingerprint(path) for path in files]
        self._context = build() if files else None

    def current(self) -> _Built:
        """See Contexts.current."""
        if self._context is None:
            self._context = self._build()
        elif self._files and (now := self._now()) >= self._next_check:
            self._next_check = now + self._check_seconds
            seen = [_fingerprint(path) for path in self._files]
            if seen != self._seen:
                self._seen = seen
                self._rebuild()
        return self._context

    def _rebuild(self) -> None:
        try:
            self._context = self._build()
        except ConfigError as error:
            _log.warning(
                "the certificates have changed and cannot be used, so the old ones stay: %s", error
            )
        else:
            _log.info("the certificates have changed: %s", ", ".join(self._files))


def server_contexts(
    cert_file: str, key_file: str, trusted_ca_file: str, *, now: Callable[[], float]
) -> ReloadingContext[ssl.SSLContext]:
    """Return what a server serves; see server_context. An empty path is none.

    Raises:
        ConfigError: names key and file.
    """
    return ReloadingContext(
        lambda: server_context(cert_file, key_file, trusted_ca_file),
        _used(cert_file, key_file, trusted_ca_file),
        now=now,
    )


def client_contexts(
    cert_file: str, key_file: str, trusted_ca_file: str, *, now: Callable[[], float]
) -> ReloadingContext[ssl.SSLContext]:
    """Return what a client uses; see client_context. An empty path is none.

    Raises:
        ConfigError: names key and file.
    """
    return ReloadingContext(
        lambda: client_context(cert_file, key_file, trusted_ca_file),
        _used(cert_file, key_file, trusted_ca_file),
        now=now,
    )


def server_context(cert_file: str, key_file: str, trusted_ca_file: str) -> ssl.SSLContext:
    """Return a server's context.

    Without both of certificate and key it makes a certificate of its own, as frp
    does. With a CA every client must show a certificate of it.

    Raises:
        ConfigError: names key and file.
    """
    context = _bare_context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_TICKET  # a session outlives no reload, and nobody resumes one
    context.num_tickets = 0
    if trusted_ca_file:
        _trust(context, trusted_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    if _is_pair(cert_file, key_file):
        _load(context, cert_file, key_file)
    else:
        try:
            with _as_file(own_certificate(unix_now())) as path:
                context.load_cert_chain(path)
        except OSError as error:
            raise ConfigError(f"cannot use a certificate of our own: {error}") from error
    return context


def client_context(cert_file: str, key_file: str, trusted_ca_file: str) -> ssl.SSLContext:
    """Return a client's context.

    With a CA the server must show a certificate of it for the name that was
    asked for; without one, anything.

    Raises:
        ConfigError: names key and file.
    """
    context = _bare_context(ssl.PROTOCOL_TLS_CLIENT)
    if trusted_ca_file:
        _trust(context, trusted_ca_file)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if _is_pair(cert_file, key_file):
        _load(context, cert_file, key_file)
    return context


def own_certificate(now: int) -> bytes:
    """Return a new key and a certificate that it has signed itself, as PEM.

    On P-256, which takes 2 ms where frp's RSA takes 100; no peer verifies it.

    Args:
        now: Unix seconds.
    """
    # These modules take as long to import as most others of a frps together.
    from cryptography import x509  # noqa: PLC0415 - as said above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])  # Go frp's has none either
    start = datetime.datetime.fromtimestamp(now - _OWN_BACKDATED_SECONDS, datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(seconds=_OWN_VALID_SECONDS))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _bare_context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _is_pair(cert_file: str, key_file: str) -> bool:
    """Return whether both are there; one alone counts for nothing, as in frp."""
    if bool(cert_file) != bool(key_file):
        there, missing = (CERT_KEY, KEY_KEY) if cert_file else (KEY_KEY, CERT_KEY)
        _log.warning("%s is ignored, since there is no %s", there, missing)
    return bool(cert_file and key_file)


def _used(*paths: str) -> tuple[str, ...]:
    return tuple(path for path in paths if path)


def _fingerprint(path: str) -> tuple[int, int, int] | None:
    """Return what changes when a file does; None if it cannot be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: str, key: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot read {path}: {reason}", key=key) from error


def _trust(context: ssl.SSLContext, path: str) -> None:
    if _PEM_CERTIFICATE not in _read(path, CA_KEY):
        raise ConfigError(f"{path} holds no certificate in PEM format", key=CA_KEY)
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{path} is damaged: {error}", key=CA_KEY) from error
    # As in Go, whatever the file names is trusted, also if it is no root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _load(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    certificate, key = _read(cert_file, CERT_KEY), _read(key_file, KEY_KEY)
    if _PEM_CERTIFICATE not in certificate:
        raise ConfigError(f"{cert_file} holds no certificate in PEM format", key=CERT_KEY)
    if _PEM_KEY not in key:
        raise ConfigError(f"{key_file} holds no private key in PEM format", key=KEY_KEY)
    if any(mark in key for mark in _PEM_ENCRYPTED):
        raise ConfigError(f"{key_file} is protected by a password; frp has none", key=KEY_KEY)
    _warn_if_expired(certificate, cert_file)
    try:
        # Without a password it would ask at the terminal for one.
        context.load_cert_chain(cert_file, key_file, password="")
    except (ssl.SSLError, OSError) as error:
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            reason = f"{key_file} is not the key of {cert_file}"
        else:
            reason = f"{cert_file} and {key_file} cannot be used: {error}"
        raise ConfigError(reason, key=KEY_KEY) from error


def certificate_end(pem: bytes) -> float | None:
    """Return until when the first certificate is good, in Unix seconds; None if it is none."""
    # Only who has files pays for this import.
    from cryptography import x509  # noqa: PLC0415 - as said above

    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    # Before 42 there is only the one without a zone, which later ones warn of.
    end = getattr(certificate, "not_valid_after_utc", None)
    if end is None:
        end = certificate.not_valid_after.replace(tzinfo=datetime.UTC)
    seconds: float = end.timestamp()
    return seconds


def _warn_if_expired(pem: bytes, path: str) -> None:
    end = certificate_end(pem)
    if end is not None and end <= unix_now():  # OpenSSL will say better what is none
        when = datetime.datetime.fromtimestamp(end, datetime.UTC)
        _log.warning("%s: %s has expired on %s", CERT_KEY, path, when)


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Yield the path of a file in memory, since OpenSSL is only given files here."""
    fd = os.memfd_create("frpd-tls", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
