"""KeyRing: which keys a login is checked with: those of [common], or of its user.

All tokens are stretched from the start on. At its first login would be too late: it would
take longer than that of a user whom nobody knows, and so tell strangers which users there are.
"""

from __future__ import annotations

from dataclasses import replace

from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.config.users import UserConfig
from frpd.entropy import Entropy
from frpd.net.access_list import AccessList
from frpd.proto import native
from frpd.server.login_keys import LoginKeys
from frpd.transports.stretch_queue import QueuedSecret, StretchQueue
from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool

NOBODYS_BYTES = 32


class KeyRing:
    """The keys of one configuration. Loop thread only.

    Who must not log in at all gets keys that nobody has: all is as with a wrong token, to
    the answer and to the time that it takes.

    Args:
        pool: stretches tokens.
        config: of the server.
        entropy: for what nobody has.
        common: of [common].
        queue: of tokens to stretch.
        former: the ring in force; a token that it has is not stretched again.

    Attributes:
        common: as given.
        secrets: of users with a token of their own, stretched.
    """

    def __init__(
        self,
        pool: WorkerPool,
        config: ServerConfig,
        entropy: Entropy,
        common: LoginKeys,
        *,
        queue: StretchQueue,
        former: KeyRing | None = None,
    ) -> None:
        self.common = common
        self._pool = pool
        self._entropy = entropy
        self._queue = queue
        self._users_only = config.users_only
        self._own: dict[str, LoginKeys] = {}
        self.secrets: dict[str, QueuedSecret] = {}
        self._access = {
            user.name: AccessList(user.allow_cidrs, user.deny_cidrs) for user in config.users
        }
        for user in config.users:
            if user.token:
                self._own[user.name] = self._make(config, user, former)
        self._nobody = self._make_nobody(config) if self._can_refuse(config) else None

    @classmethod
    def begin(cls, pool: WorkerPool, config: ServerConfig, entropy: Entropy) -> KeyRing:
        """Return the first one of a server."""
        common = LoginKeys.begin(pool, config)
        return cls(pool, config, entropy, common, queue=StretchQueue(pool))

    def renewed(self, config: ServerConfig) -> KeyRing:
        """Return the one of another configuration. Call retire() on this one if that is used.

        Raises:
            LimitError: nobody has the time to stretch the token.
        """
        common = self.common.renewed(self._pool, config)
        return KeyRing(self._pool, config, self._entropy, common, queue=self._queue, former=self)

    def of(self, user: str, host: str) -> LoginKeys:
        """Return what a client has to know that says who it is, and comes from there."""
        if self._nobody is not None and self.remark(user, host):
            return self._nobody
        return self._own.get(user, self.common)

    def remark(self, user: str, host: str) -> str:
        """Return why nobody can be this user, for the log; "" if somebody can."""
        access = self._access.get(user)
        if access is None:
            return f"there is no user {user[:64]!r}" if self._users_only else ""
        return "" if access.admits(host) else f"user {user!r} may not come from {host}"

    def retire(self, successor: KeyRing) -> None:
        """Forget the tokens that the next ring has no more; who waits for them is told."""
        kept = set(map(id, successor.secrets.values()))
        for secret in self.secrets.values():
            if id(secret) not in kept:
                secret.give_up()

    def close(self) -> None:
        """Call nobody back. Idempotent."""
        self.common.close()
        self._queue.close()
        for secret in self.secrets.values():
            secret.close()

    def _make(self, config: ServerConfig, user: UserConfig, former: KeyRing | None) -> LoginKeys:
        text = user.token.reveal()
        if config.native == native.OFF:
            secret = StretchedSecret(self._pool, None)
        else:
            known = None if former is None else former.secrets.get(user.name)
            if known is None or known.text != text or not known.is_worth_keeping:
                known = self._queue.add(text)
            secret = self.secrets[user.name] = known
        return LoginKeys(replace(config, token=user.token), secret, user=user.name)

    def _make_nobody(self, config: ServerConfig) -> LoginKeys:
        token = Secret(self._entropy.token_bytes(NOBODYS_BYTES).hex())
        secret = StretchedSecret(self._pool, None)
        if config.native != native.OFF:
            secret.value = self._entropy.token_bytes(NOBODYS_BYTES)
        return LoginKeys(replace(config, token=token), secret)

    def _can_refuse(self, config: ServerConfig) -> bool:
        return config.users_only or any(
            user.allow_cidrs or user.deny_cidrs for user in config.users
        )
