"""StretchedSecret: worked out beside the loop, and whoever waits is called."""

from __future__ import annotations

import pytest

from frpd.proto.seal_keys import stretch
from frpd.transports.stretched import StretchedSecret
from tests.helpers.world import World


def test_whoever_waits_is_called_when_it_is_there(world: World) -> None:
    secret = StretchedSecret(world.pool, "token")
    called: list[bytes | None] = []
    secret.when_ready(lambda: called.append(secret.value))
    assert (secret.is_pending, secret.value, called) == (True, None, [])
    world.until(lambda: called)
    assert called == [stretch("token")]
    secret.when_ready(lambda: called.append(b"at once"))
    assert called[1:] == [b"at once"]


def test_what_was_begun_before_is_taken(world: World) -> None:
    secret = StretchedSecret(world.pool, "token", lambda: b"made before")
    called: list[bytes | None] = []
    secret.when_ready(lambda: called.append(secret.value))
    world.until(lambda: called)
    assert called == [b"made before"]


@pytest.mark.parametrize("nothing", ["", None])
def test_nothing_is_not_stretched(world: World, nothing: str | None) -> None:
    secret = StretchedSecret(world.pool, nothing)
    called: list[bytes | None] = []
    secret.when_ready(lambda: called.append(secret.value))
    assert (secret.is_pending, called) == (False, [None])


def test_one_that_fails_is_told_as_none(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_secret: str) -> bytes:
        raise MemoryError("no 32 MiB")

    monkeypatch.setattr("frpd.proto.seal_keys.stretch", fail)
    secret = StretchedSecret(world.pool, "token")
    called: list[bytes | None] = []
    secret.when_ready(lambda: called.append(secret.value))
    world.until(lambda: called)
    assert called == [None]
    assert "seal is not possible: no 32 MiB" in caplog.text


def test_a_pool_that_takes_nothing_leaves_it_at_none(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.pool.close()
    secret = StretchedSecret(world.pool, "token")
    assert not secret.is_pending
    assert "seal is not possible" in caplog.text


def test_a_closed_one_calls_nobody(world: World) -> None:
    secret = StretchedSecret(world.pool, "token")
    secret.when_ready(lambda: pytest.fail("called"))
    secret.close()
    world.settle()
    assert secret.value is None
