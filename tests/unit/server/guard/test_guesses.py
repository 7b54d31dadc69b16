"""Tests of server.guard.guesses; what visitors hear of it is in the tests of the visitor desk."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, cast

import pytest

from frpd.config.penalties import PenaltyRules
from frpd.config.server import ServerConfig
from frpd.errors import ProxyError
from frpd.server.guard.guesses import Guesses
from tests.helpers.clock import MockClock

if TYPE_CHECKING:
    from frpd.server.proxies.base import Proxy

HOST, OTHER = "192.0.2.1", "192.0.2.2"
CONFIG = ServerConfig(per_source_penalties=PenaltyRules.parse("authfail:10 min:15"))


class Vault:
    """As much of a proxy as is looked at."""

    name = "vault"


def proxy() -> Proxy:
    return cast("Proxy", Vault())


def test_who_guesses_has_to_wait_at_that_proxy_and_nowhere_else() -> None:
    clock = MockClock()
    guesses, guessed, other = Guesses(clock.now, CONFIG), proxy(), proxy()
    guesses.wrong(guessed, HOST)
    guesses.check(guessed, HOST)
    guesses.wrong(guessed, HOST)
    with pytest.raises(ProxyError, match=r"too many wrong keys for \[vault\]: wait 20 s"):
        guesses.check(guessed, HOST)
    guesses.check(guessed, OTHER)
    guesses.check(other, HOST)
    clock.advance(20.0)
    guesses.check(guessed, HOST)


def test_the_log_says_at_which_proxy(caplog: pytest.LogCaptureFixture) -> None:
    guesses, guessed = Guesses(MockClock().now, CONFIG), proxy()
    for _ in range(5):
        guesses.wrong(guessed, HOST)
    assert caplog.messages == ["penalty: 192.0.2.1 refused at [vault] for 20 s (authfail)"]


def test_a_reload_counts_for_what_is_remembered() -> None:
    guesses, guessed = Guesses(MockClock().now, CONFIG), proxy()
    guesses.wrong(guessed, HOST)
    guesses.wrong(guessed, HOST)
    guesses.use(ServerConfig(per_source_penalty_exempt_list=(HOST,)))
    guesses.check(guessed, HOST)


def test_nothing_is_remembered_of_a_proxy_that_is_gone() -> None:
    guesses, guessed = Guesses(MockClock().now, CONFIG), proxy()
    guesses.wrong(guessed, HOST)
    del guessed
    gc.collect()
    assert not guesses._held
