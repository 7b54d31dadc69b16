"""Logins on trial: as frpc would do it, by the same code, and dropped right after the answer.

Each has a run id of its own, so that no client that runs is replaced.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from frpd.auth.token import TokenAuthenticator
from frpd.cli.doctor.own_loop import OwnLoop
from frpd.client.login_attempt import NO_SEAL, Entry, LoginAttempt, Offer, make_login
from frpd.client.way import way_to_server
from frpd.config.client import ClientConfig
from frpd.entropy import SystemEntropy
from frpd.errors import ConfigError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.proto import native
from frpd.proto.ciphers import derive_key
from frpd.transports.base import ServerLink, make_link
from frpd.transports.stretched import StretchedSecret

RUN_ID_BYTES: Final = 8


class Outcome(enum.Enum):
    """How a login went."""

    ENTERED = "entered"
    REFUSED = "refused"
    """The server, or our own check of it, said no."""
    UNANSWERED = "unanswered"
    """There was no answer that frp knows."""


@dataclass(frozen=True, slots=True)
class LoginResult:
    """What became of one login.

    Attributes:
        text: the server's words, or why there is no answer.
        version: of the server, once it has let us in.
        features: what both ends speak; see frpd.proto.native.
    """

    outcome: Outcome
    text: str = ""
    version: str = ""
    features: frozenset[str] = frozenset()

    @property
    def is_answered(self) -> bool:
        """Whether it was frp that answered."""
        return self.outcome is not Outcome.UNANSWERED


def log_in(
    tries: Sequence[ClientConfig], seconds: float, now_unix: Callable[[], int]
) -> list[LoginResult]:
    """Log in by each of these settings, all at the same time; return what became of each.

    Args:
        tries: variants of one [common]. Whoever is to seal has the token of the first.
        seconds: for all of them.
        now_unix: the time that the logins name.
    """
    with OwnLoop(tries[0].dns_server) as own:
        token = tries[0].token.reveal() if tries[0].native != native.OFF else None
        secret = StretchedSecret(own.pool, token)
        trials = [_Trial(own, common, secret, now_unix) for common in tries]
        for trial in trials:
            trial.start(seconds)
        own.run(lambda: all(trial.result for trial in trials), seconds)
        for trial in trials:
            trial.close()
        secret.close()
    silent = LoginResult(Outcome.UNANSWERED, f"no answer to the login within {seconds:.0f} s")
    return [trial.result or silent for trial in trials]


class _Trial:
    """One login on the loop."""

    def __init__(
        self,
        own: OwnLoop,
        common: ClientConfig,
        secret: StretchedSecret,
        now_unix: Callable[[], int],
    ) -> None:
        self.result: LoginResult | None = None
        self._own = own
        # Nobody shall open connections for us.
        self._common = replace(common, pool_count=0)
        self._secret = secret
        self._now_unix = now_unix
        self._entropy = SystemEntropy()
        self._link: ServerLink | None = None
        self._endpoint: Endpoint | None = None
        self._attempt: LoginAttempt | None = None

    def start(self, seconds: float) -> None:
        """Dial."""
        common = replace(self._common, dial_server_timeout=max(int(seconds), 1))
        try:
            transport = way_to_server(self._own.loop, self._own.connector, common, self._entropy)
        except ConfigError as error:
            self._failed(TransportError(str(error)))
            return
        self._link = make_link(
            self._own.loop,
            transport,
            is_mux=common.tcp_mux,
            keepalive_seconds=0,
            on_lost=self._lost,
        )
        self._link.open_stream(self._opened, self._failed)

    def close(self) -> None:
        """Drop what there is."""
        if self._endpoint is not None:
            self._endpoint.abort()
        if self._attempt is not None:
            self._attempt.close()
        if self._link is not None:
            self._link.close()

    def _opened(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._secret.when_ready(self._say)

    def _say(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        common = self._common
        psk = None if common.native == native.OFF else self._secret.value
        if common.native == native.REQUIRE and psk is None:
            endpoint.abort()
            self._refused(NO_SEAL)
            return
        credential = TokenAuthenticator(common.token, 0).login_fields(self._now_unix())
        run_id = self._entropy.token_bytes(RUN_ID_BYTES).hex()
        self._attempt = LoginAttempt(
            self._own.loop,
            endpoint,
            make_login(common, credential, run_id),
            Offer(common, psk, self._entropy),
            cipher_key=derive_key(common.token.reveal()),
            on_entered=self._entered,
            on_refused=self._refused,
            on_failed=self._failed,
        )

    def _entered(self, entry: Entry) -> None:
        self._settle(LoginResult(Outcome.ENTERED, "", entry.answer.version, entry.features))

    def _refused(self, reason: str) -> None:
        self._settle(LoginResult(Outcome.REFUSED, reason))

    def _failed(self, error: TransportError) -> None:
        self._settle(LoginResult(Outcome.UNANSWERED, str(error)))

    def _lost(self, reason: str) -> None:
        self._settle(LoginResult(Outcome.UNANSWERED, reason))

    def _settle(self, result: LoginResult) -> None:
        if self.result is None:
            self.result = result
