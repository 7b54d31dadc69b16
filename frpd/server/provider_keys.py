"""ProviderKeys: the public keys of an OIDC provider, fetched when a token needs one.

They are found as OpenID Connect Discovery 1.0 says: the issuer's address has a document that
names the place of the keys. A provider changes them now and then, so a token that
names an unknown one makes us look again, but not at everybody's pace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from frpd.auth.oidc import key_id_of
from frpd.errors import AuthError, FrpError, LimitError, TransportError
from frpd.log import get_logger
from frpd.workers import WorkerPool

PAUSE_SECONDS: Final = 10.0
"""Between two looks at the provider, whatever clients say."""
MAX_WAITING: Final = 1024

_log = get_logger("frpd.server.oidc")
_Keys = list[tuple[str, Any]]


class ProviderKeys:
    """See auth.oidc.KeySource. Loop thread only.

    Args:
        pool: fetches.
        issuer: the provider's address.
    """

    def __init__(self, pool: WorkerPool, issuer: str) -> None:
        self._pool = pool
        self._issuer = issuer
        self._keys: _Keys = []
        self._waiting: list[Callable[[], None]] = []
        self._looked_at = float("-inf")
        self.problem = "the provider was not asked yet"

    def keys(self, key_id: str | None) -> list[Any]:
        """See KeySource.keys."""
        return [key for name, key in self._keys if key_id in (None, name) or not name]

    def prepare(self, token: str, then: Callable[[], None]) -> None:
        """Call ``then``, maybe now, when the key of this token is there or cannot be had."""
        try:
            key_id = key_id_of(token)
        except AuthError:
            then()
            return
        has_key = not self.problem and any(key_id in (None, name) for name, _ in self._keys)
        is_busy = bool(self._waiting)
        if has_key or len(self._waiting) >= MAX_WAITING or not (is_busy or self._may_look()):
            then()
            return
        self._waiting.append(then)
        if not is_busy:
            self._look()

    def _may_look(self) -> bool:
        return self._pool.now() >= self._looked_at + PAUSE_SECONDS

    def _look(self) -> None:
        self._looked_at = self._pool.now()
        issuer = self._issuer
        try:
            self._pool.submit(lambda: fetch_keys(issuer), self._found, self._failed)
        except LimitError as error:
            self._failed(error)

    def _found(self, keys: _Keys) -> None:
        self._keys, self.problem = keys, ""
        _log.info("%d keys of the OIDC provider %s", len(keys), self._issuer)
        self._go_on()

    def _failed(self, error: Exception) -> None:
        text = str(error) if isinstance(error, FrpError) else repr(error)
        _log.warning("no keys of the OIDC provider %s: %s", self._issuer, text)
        if not self._keys:  # else those that we have may still do
            self.problem = f"no keys of the provider: {text}"
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()


def fetch_keys(issuer: str) -> _Keys:
    """Return a provider's keys with their ids; it blocks.

    Raises:
        TransportError: they cannot be had.
    """
    # Only here: an HTTP client and the library are slow to import, and few servers need them.
    import jwt  # noqa: PLC0415

    from frpd.net.fetch import fetch_json  # noqa: PLC0415 - slow to import, see above

    found = fetch_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise TransportError(f"its issuer is {found.get('issuer')!r}, not oidc_issuer = {issuer!r}")
    listed = fetch_json(str(found.get("jwks_uri", ""))).get("keys")
    keys: _Keys = []
    for item in listed if isinstance(listed, list) else []:
        try:
            if item.get("kty") == "oct":
                continue  # no secret that is public
            keys.append((str(item.get("kid", "")), jwt.PyJWK(item).key))
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            continue  # of a kind that we cannot check
    return keys
