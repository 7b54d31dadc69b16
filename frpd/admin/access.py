"""Who may ask what by TCP: logins, peers of this machine, and pages of other origins.

A gate looks at the WSGI environment of a request and says why it is refused, or None. It is
asked on any thread.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from frpd.admin.lock_out import LockOut
from frpd.config.secret import Secret
from frpd.log import get_logger
from frpd.proto.http.basic import parse_basic

FAILURE_PAUSE_SECONDS: Final = 0.2
"""Before a failed login is answered, as in frp."""

STILL_DEFAULT: Final = (
    "the dashboard has its default password and so answers only this machine; "
    "set dashboard_user and dashboard_pwd in frps.ini"
)
OPEN_API: Final = (
    "the admin API has no password, so only this machine may change anything; "
    "set admin_user and admin_pwd in frpc.ini"
)
STRANGE_HOST: Final = (
    "the admin API has no password, so it must be asked for by an address, not by this name; "
    "set admin_user and admin_pwd in frpc.ini"
)
FOREIGN_PAGE: Final = "a page of another origin may not do that"

Environ = Mapping[str, Any]

_never = threading.Event()
_log = get_logger("frpd.admin.access")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: int
    message: str
    retry_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password; both empty means that none are asked for."""

    user: str
    password: Secret

    @property
    def are_empty(self) -> bool:
        """Whether none are asked for."""
        return not self.user and not self.password

    @property
    def are_default(self) -> bool:
        """Whether everybody knows them."""
        return (self.user, self.password.reveal()) == ("admin", "admin")

    def match(self, authorization: str) -> bool:
        """Compare with a header's value; takes the same time whatever is wrong."""
        user, password = parse_basic(authorization) or ("", "")
        right_user = hmac.compare_digest(_bytes(user), _bytes(self.user))
        return hmac.compare_digest(_bytes(password), _bytes(self.password.reveal())) and right_user


class Gate(Protocol):
    """Who lets requests in."""

    def refuse(self, environ: Environ, *, changes: bool) -> Refusal | None:
        """Return why a request is refused, or None.

        Args:
            environ: of WSGI.
            changes: whether it changes something, by whatever method.
        """


class ControlGate:
    """Of the control socket: who could connect may do everything."""

    def refuse(self, environ: Environ, *, changes: bool) -> Refusal | None:
        """See Gate.refuse."""
        del environ, changes
        return None


class TcpGate:
    """Of a TCP port.

    Args:
        credentials: returns what to ask for.
        pause: waits so many seconds.
        lock_out: who has to wait; by default nobody yet.
    """

    def __init__(
        self,
        credentials: Callable[[], Credentials],
        pause: Callable[[float], object] = _never.wait,
        lock_out: LockOut | None = None,
    ) -> None:
        self._lock_out = LockOut() if lock_out is None else lock_out
        self._credentials = credentials
        self._pause = pause
        self._told_default = False

    def refuse(self, environ: Environ, *, changes: bool) -> Refusal | None:
        """See Gate.refuse."""
        credentials = self._credentials()
        if credentials.are_empty:
            refusal = _refuse_open(environ, changes=changes)
        else:
            refusal = self._refuse_login(environ, credentials)
        if refusal is None and changes and not is_same_origin(environ):
            return Refusal(403, FOREIGN_PAGE)
        return refusal

    def _refuse_login(self, environ: Environ, credentials: Credentials) -> Refusal | None:
        if credentials.are_default and not is_of_this_machine(environ):
            if not self._told_default:
                self._told_default = True
                _log.warning("%s was refused: %s", environ.get("REMOTE_ADDR"), STILL_DEFAULT)
            return Refusal(403, STILL_DEFAULT)
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if not authorization:
            return Refusal(401, "Unauthorized")
        address = str(environ.get("REMOTE_ADDR", ""))
        left = self._lock_out.seconds_left(address)
        if left:  # also with the right password: else one could go on guessing
            return _wait(left)
        if credentials.match(authorization):
            return None
        _log.warning("%s: wrong user or password", address)
        seconds = self._lock_out.failed(address)
        if seconds:
            _log.warning("%s is locked out of the API for %.0f s", address, seconds)
            return _wait(seconds)
        self._pause(FAILURE_PAUSE_SECONDS)
        return Refusal(401, "Unauthorized")


def _wait(seconds: float) -> Refusal:
    whole = math.ceil(seconds)
    return Refusal(429, f"too many wrong passwords; try again in {whole} s", whole)


def _refuse_open(environ: Environ, *, changes: bool) -> Refusal | None:
    if changes and not is_of_this_machine(environ):
        return Refusal(403, OPEN_API)
    # A page can lead its own name to our address, and is of the same origin then.
    return None if is_plain_host(environ.get("HTTP_HOST", "")) else Refusal(403, STRANGE_HOST)


def is_of_this_machine(environ: Environ) -> bool:
    """Whether a request comes from here, and not from a reverse proxy here."""
    if any(name in environ for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")):
        return False
    try:
        address = ipaddress.ip_address(environ.get("REMOTE_ADDR", "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_plain_host(value: str) -> bool:
    """Whether a Host field has an address, localhost, our host name, or nothing."""
    host = _host_of_field(value)
    if not host or host in ("localhost", socket.gethostname().lower()):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_same_origin(environ: Environ) -> bool:
    """Whether a request is a page's of ours, or no page's at all."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site in ("same-origin", "none")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return True
    _, _, authority = origin.partition("://")
    return bool(authority) and authority.lower() == environ.get("HTTP_HOST", "").lower()


def is_browser(environ: Environ) -> bool:
    """Whether a request looks like one that a page may have caused."""
    marks = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE", "HTTP_REFERER")
    return any(name in environ for name in marks) or environ.get("HTTP_USER_AGENT", "").startswith(
        "Mozilla/"
    )


def _host_of_field(value: str) -> str:
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.rpartition(":")[0].lower() if ":" in value else value.lower()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
