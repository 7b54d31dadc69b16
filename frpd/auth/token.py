"""frp's method ``token``: MD5 over a shared secret and a Unix time.

Source: frp's server control and pkg/auth. The texts of AuthError reach the
peer and equal frp's. The secret's MD5 is no proof against someone who can
listen; that is the wire format's weakness, not a choice of ours.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final, NamedTuple, Protocol

from frpd.errors import AuthError

_OLDEST_CLIENT: Final = (0, 18, 0)
_VERSION_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class SecretText(Protocol):
    """A masked text, such as frpd.config.secret.Secret."""

    def reveal(self) -> str:
        """Return the text."""


class Signed(Protocol):
    """What carries a credential: Login, Ping or NewWorkConn."""

    @property
    def privilege_key(self) -> str:
        """Return the peer's key."""

    @property
    def timestamp(self) -> int:
        """Return the Unix time that went into the key."""


class SignedLogin(Signed, Protocol):
    """Login, as far as it is checked here."""

    @property
    def version(self) -> str:
        """Return the client's version."""


class Credential(NamedTuple):
    """The fields of those names in Login, Ping or NewWorkConn."""

    privilege_key: str = ""
    timestamp: int = 0


def privilege_key(token: str, timestamp: int) -> str:
    """Return the key for a token, or with an sk the sign_key of a visitor."""
    text = f"{token}{timestamp}".encode("utf-8", "surrogateescape")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


class TokenAuthenticator:
    """Both ends of the method.

    Args:
        token: the shared secret; may be empty.
        authentication_timeout_seconds: how old a login's time may be; 0 does not ask.
        heartbeats: pings carry and need a key too.
        new_work_conns: new work connections carry and need a key too.
    """

    __slots__ = ("_heartbeats", "_new_work_conns", "_timeout_seconds", "_token")

    def __init__(
        self,
        token: SecretText,
        authentication_timeout_seconds: int,
        *,
        heartbeats: bool = False,
        new_work_conns: bool = False,
    ) -> None:
        self._token = token
        self._timeout_seconds = authentication_timeout_seconds
        self._heartbeats = heartbeats
        self._new_work_conns = new_work_conns

    def login_fields(self, now_unix: int) -> Credential:
        """Return the client's fields for Login."""
        return Credential(privilege_key(self._token.reveal(), now_unix), now_unix)

    def ping_fields(self, now_unix: int) -> Credential:
        """Return the client's fields for Ping."""
        return self.login_fields(now_unix) if self._heartbeats else Credential()

    def new_work_conn_fields(self, now_unix: int) -> Credential:
        """Return the client's fields for NewWorkConn."""
        return self.login_fields(now_unix) if self._new_work_conns else Credential()

    @property
    def heartbeats(self) -> bool:
        """Whether pings need a key."""
        return self._heartbeats

    @property
    def new_work_conns(self) -> bool:
        """Whether new work connections need a key."""
        return self._new_work_conns

    def for_session(self) -> TokenAuthenticator:
        """Return what checks one session: all are alike here."""
        return self

    def verify_login(
        self, login: SignedLogin, now_unix: int, *, proves_later: bool = False
    ) -> None:
        """Check a client's version, time and key, in frp's order.

        A time in the future is fine, as it is for frp.

        Args:
            login: what the client said.
            now_unix: the Unix time.
            proves_later: it may leave the key out, which tells listeners
                something: by another way it has yet to prove the token.

        Raises:
            AuthError: refused.
        """
        check_version(login.version)
        if 0 < self._timeout_seconds < now_unix - login.timestamp:
            raise AuthError("authorization timeout")
        if not (proves_later and not login.privilege_key) and not self._holds(login):
            raise AuthError("authorization failed")

    def verify_ping(self, ping: Signed) -> None:
        """Check a heartbeat if its scope is on.

        Raises:
            AuthError: refused.
        """
        if self._heartbeats and not self._holds(ping):
            raise AuthError("token in heartbeat doesn't match token from configuration")

    def verify_new_work_conn(self, message: Signed) -> None:
        """Check a new work connection if its scope is on.

        Raises:
            AuthError: refused.
        """
        if self._new_work_conns and not self._holds(message):
            raise AuthError("token in NewWorkConn doesn't match token from configuration")

    def _holds(self, message: Signed) -> bool:
        expected = privilege_key(self._token.reveal(), message.timestamp)
        return hmac.compare_digest(expected.encode(), message.privilege_key.encode())


def check_version(version: str) -> None:
    """Refuse clients that are too old.

    Raises:
        AuthError: this one is.
    """
    if _version_numbers(version) < _OLDEST_CLIENT:
        raise AuthError("Please upgrade your frpc version to at least 0.18.0")


def _version_numbers(version: str) -> tuple[int, int, int]:
    """Return three numbers; as in frp, too few parts or an odd part count as 0."""
    parts = version.split(".")
    if len(parts) < len(_OLDEST_CLIENT):
        return 0, 0, 0
    first, second, third = (
        int(part) if _VERSION_NUMBER.fullmatch(part) else 0 for part in parts[:3]
    )
    return first, second, third
