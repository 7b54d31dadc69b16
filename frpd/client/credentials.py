"""Credentials: what a login, a ping or a work connection shows, by the method of the file.

With ``token`` it is there at once. With ``oidc`` a worker fetches it by OAuth 2.0 client
credentials (RFC 6749, section 4.4), and it is kept until shortly before it expires.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote_plus

from frpd.auth.token import Credential, TokenAuthenticator
from frpd.clock import unix_now
from frpd.config.client import ClientConfig
from frpd.errors import FrpError, LimitError, TransportError
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool

EARLY_SECONDS: Final = 10.0
"""A token that expires within so long is none any more."""
MAX_WAITING: Final = 1024

OnCredential = Callable[[Credential], None]
OnFailed = Callable[[str], None]


class Credentials(Protocol):
    """Loop thread only. Each calls one of the two, maybe before it returns."""

    def for_login(self, then: OnCredential, failed: OnFailed) -> None:
        """Get what a Login shows."""

    def for_ping(self, then: OnCredential, failed: OnFailed) -> None:
        """Get what a Ping shows."""

    def for_work(self, then: OnCredential, failed: OnFailed) -> None:
        """Get what a NewWorkConn shows."""


class TokenCredentials:
    """Of the method ``token``."""

    def __init__(self, common: ClientConfig) -> None:
        self._auth = TokenAuthenticator(
            common.token,
            0,
            heartbeats=common.authenticate_heartbeats,
            new_work_conns=common.authenticate_new_work_conns,
        )

    def for_login(self, then: OnCredential, failed: OnFailed) -> None:
        """See Credentials.for_login."""
        then(self._auth.login_fields(unix_now()))

    def for_ping(self, then: OnCredential, failed: OnFailed) -> None:
        """See Credentials.for_ping."""
        then(self._auth.ping_fields(unix_now()))

    def for_work(self, then: OnCredential, failed: OnFailed) -> None:
        """See Credentials.for_work."""
        then(self._auth.new_work_conn_fields(unix_now()))


class Fetched(NamedTuple):
    """A token, and for how many seconds it holds; 0 where nobody says."""

    token: str
    seconds: float


class OidcCredentials:
    """Of the method ``oidc``.

    Args:
        loop: for the time.
        pool: fetches tokens.
        common: ours.
    """

    def __init__(self, loop: SelectorLoop, pool: WorkerPool, common: ClientConfig) -> None:
        self._loop = loop
        self._pool = pool
        self._common = common
        self._token = ""
        self._good_until = 0.0
        self._waiting: list[tuple[OnCredential, OnFailed]] = []

    def for_login(self, then: OnCredential, failed: OnFailed) -> None:
        """See Credentials.for_login."""
        if self._token and self._loop.now() < self._good_until:
            then(Credential(self._token))
            return
        if len(self._waiting) >= MAX_WAITING:
            failed("too much waits for an OIDC token")
            return
        self._waiting.append((then, failed))
        if len(self._waiting) == 1:
            self._fetch()

    def for_ping(self, then: OnCredential, failed: OnFailed) -> None:
        """See Credentials.for_ping."""
        if self._common.authenticate_heartbeats:
            self.for_login(then, failed)
        else:
            then(Credential())

    def for_work(self, then: OnCredential, failed: OnFailed) -> None:
        """See Credentials.for_work."""
        if self._common.authenticate_new_work_conns:
            self.for_login(then, failed)
        else:
            then(Credential())

    def _fetch(self) -> None:
        common = self._common
        try:
            self._pool.submit(lambda: fetch_token(common), self._got, self._failed)
        except LimitError as error:
            self._failed(error)

    def _got(self, got: Fetched) -> None:
        self._token = got.token
        self._good_until = self._loop.now() + got.seconds - EARLY_SECONDS
        waiting, self._waiting = self._waiting, []
        for then, _ in waiting:
            then(Credential(got.token))

    def _failed(self, error: Exception) -> None:
        text = str(error) if isinstance(error, FrpError) else repr(error)
        waiting, self._waiting = self._waiting, []
        for _, failed in waiting:
            failed(f"couldn't generate OIDC token for login: {text}")


def make_credentials(loop: SelectorLoop, pool: WorkerPool, common: ClientConfig) -> Credentials:
    """Return those of ``authentication_method``."""
    if common.authentication_method == "oidc":
        return OidcCredentials(loop, pool, common)
    return TokenCredentials(common)


def seals_with_token(common: ClientConfig) -> bool:
    """Whether the token is a secret; with another method it may be empty, and is none then."""
    return common.authentication_method != "oidc" or bool(common.token.reveal())


def fetch_token(common: ClientConfig) -> Fetched:
    """Ask the provider for a token; it blocks.

    Raises:
        TransportError: there is none to be had.
    """
    from frpd.net.fetch import fetch_json  # noqa: PLC0415 - slow to import, and few clients need it

    form = {"grant_type": "client_credentials", **common.oidc_additional}
    if common.oidc_audience:
        form["audience"] = common.oidc_audience
    if common.oidc_scope:
        form["scope"] = common.oidc_scope
    url, secret = common.oidc_token_endpoint_url, common.oidc_client_secret.reveal()
    pair = f"{quote_plus(common.oidc_client_id)}:{quote_plus(secret)}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    try:
        answer = fetch_json(url, form, basic)
    except TransportError:
        # Some providers want to be told who asks in the form.
        known = {"client_id": common.oidc_client_id, "client_secret": secret}
        answer = fetch_json(url, form | known)
    return _read(answer)


def _read(answer: Mapping[str, object]) -> Fetched:
    token, seconds = answer.get("access_token"), answer.get("expires_in", 0)
    if not isinstance(token, str) or not token:
        raise TransportError("the provider's answer has no access_token")
    if isinstance(seconds, str) and seconds.isdecimal():
        seconds = int(seconds)
    return Fetched(token, float(seconds) if isinstance(seconds, int | float) else 0.0)
