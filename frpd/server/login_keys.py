"""LoginKeys: what a client has to know to log in, and what is derived from it.

A session keeps those of its login: its pings, its work connections and their ciphers
go on with them when the server has got others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from frpd.auth.oidc import Expected, OidcAuthenticator
from frpd.auth.token import Signed, TokenAuthenticator
from frpd.config.server import ServerConfig
from frpd.errors import LimitError
from frpd.proto import native
from frpd.proto.ciphers import derive_key
from frpd.server.provider_keys import ProviderKeys
from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool


class LoginKeys:
    """What follows from the token and the keys about it. Loop thread only.

    Args:
        config: of the server.
        secret: its token, stretched; without a value when nothing may be sealed.
        provider: has the keys of the identity provider; None with another method.
        user: whose they are alone; "" for all without keys of their own.

    Attributes:
        auth: checks what logins, pings and work connections say.
        cipher_key: of frp's own cipher.
        secret: as given.
        provider: as given.
        user: as given.
    """

    __slots__ = ("_text", "auth", "cipher_key", "provider", "secret", "user")

    def __init__(
        self,
        config: ServerConfig,
        secret: StretchedSecret,
        provider: ProviderKeys | None = None,
        *,
        user: str = "",
    ) -> None:
        self.provider = provider
        self.user = user
        self.auth = _authenticator(config, provider)
        self.cipher_key = derive_key(config.token.reveal())
        self.secret = secret
        self._text = _to_stretch(config)

    @classmethod
    def begin(cls, pool: WorkerPool, config: ServerConfig) -> LoginKeys:
        """Return the first ones of a server; a worker stretches the token."""
        is_oidc = config.authentication_method == "oidc"
        provider = ProviderKeys(pool, config.oidc_issuer) if is_oidc else None
        return cls(config, StretchedSecret(pool, _to_stretch(config)), provider)

    def when_ready(self, message: Signed, then: Callable[[], None]) -> None:
        """Call ``then``, maybe now, when all is there that this is checked with."""
        if self.provider is None:
            then()
        else:
            self.provider.prepare(message.privilege_key, then)

    @property
    def can_seal(self) -> bool:
        """Whether the stretched token is there, or will be."""
        return self.secret.is_pending or self.secret.value is not None

    def renewed(self, pool: WorkerPool, config: ServerConfig) -> LoginKeys:
        """Return those of another configuration; the same token is not stretched again.

        Raises:
            LimitError: nobody has the time to stretch the token.
        """
        text = _to_stretch(config)
        if text == self._text and self.can_seal:
            return LoginKeys(config, self.secret, self.provider)
        keys = LoginKeys(config, StretchedSecret(pool, text), self.provider)
        if text and not keys.can_seal:
            raise LimitError("the token cannot be stretched now: too much waits for the workers")
        return keys

    def close(self) -> None:
        """Call nobody back. Idempotent."""
        self.secret.close()


def _to_stretch(config: ServerConfig) -> str | None:
    token = config.token.reveal()
    if config.native == native.OFF or (config.authentication_method == "oidc" and not token):
        return None
    return token


def _authenticator(
    config: ServerConfig, provider: ProviderKeys | None
) -> TokenAuthenticator | OidcAuthenticator:
    if provider is None:
        return TokenAuthenticator(
            config.token,
            config.authentication_timeout,
            heartbeats=config.authenticate_heartbeats,
            new_work_conns=config.authenticate_new_work_conns,
        )
    expected = Expected(
        config.oidc_issuer,
        config.oidc_audience,
        skip_expiry=config.oidc_skip_expiry_check,
        skip_issuer=config.oidc_skip_issuer_check,
    )
    return OidcAuthenticator(
        provider,
        expected,
        heartbeats=config.authenticate_heartbeats,
        new_work_conns=config.authenticate_new_work_conns,
    )
