"""KeyRing: whose token a login is checked with, and what strangers cannot tell."""

from __future__ import annotations

from dataclasses import replace

from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.config.users import UserConfig
from frpd.proto.ciphers import derive_key
from frpd.server.key_ring import KeyRing
from tests.helpers.seal import quick_stretch
from tests.helpers.world import FixedEntropy, World
from tests.unit.server.conftest import world

__all__ = ["world"]

ALICE = UserConfig(name="alice", token=Secret("a"), allow_cidrs=("10.0.0.0/8",))
BOB = UserConfig(name="bob", token=Secret("b"))
GUEST = UserConfig(name="guest")
CONFIG = ServerConfig(token=Secret("c"), users=(ALICE, BOB, GUEST))


def begun(world: World, config: ServerConfig = CONFIG) -> KeyRing:
    ring = KeyRing.begin(world.pool, config, FixedEntropy())
    world.owners.callback(ring.close)
    world.until(lambda: not any(one.is_pending for one in ring.secrets.values()))
    world.until(lambda: not ring.common.secret.is_pending)
    return ring


def test_a_user_has_the_keys_of_its_token(world: World) -> None:
    ring = begun(world)
    keys = ring.of("bob", "1.2.3.4")
    assert (keys.user, keys.cipher_key) == ("bob", derive_key("b"))
    assert keys.secret.value == quick_stretch("b")
    assert ring.of("guest", "1.2.3.4") is ring.of("nobody", "1.2.3.4") is ring.common


def test_who_may_not_log_in_has_to_know_what_nobody_does(world: World) -> None:
    ring = begun(world, replace(CONFIG, users_only=True))
    wrong, unknown = ring.of("alice", "1.2.3.4"), ring.of("mallory", "1.2.3.4")
    assert wrong is unknown
    assert wrong.user == ""
    assert wrong.secret.value not in (None, quick_stretch("a"), quick_stretch("c"))
    assert wrong.cipher_key not in (derive_key(""), derive_key("a"), derive_key("c"))
    assert ring.of("alice", "10.1.2.3").user == "alice"
    assert ring.of("guest", "1.2.3.4") is ring.common
    assert ring.remark("mallory", "1.2.3.4") == "there is no user 'mallory'"
    assert ring.remark("alice", "1.2.3.4") == "user 'alice' may not come from 1.2.3.4"
    assert ring.remark("bob", "1.2.3.4") == ""


def test_without_native_nobody_can_seal_either(world: World) -> None:
    ring = begun(world, replace(CONFIG, users_only=True, native="off"))
    assert not any(ring.of(user, "10.1.1.1").can_seal for user in ("alice", "bob", "x"))
    assert ring.secrets == {}


def test_the_same_token_of_a_user_is_not_stretched_again(world: World) -> None:
    ring = begun(world)
    users = (replace(ALICE, max_clients=1), replace(BOB, token=Secret("new")))
    new = ring.renewed(replace(CONFIG, users=users))
    ring.retire(new)
    assert new.secrets["alice"] is ring.secrets["alice"]
    assert new.secrets["bob"].is_pending
    world.until(lambda: not new.secrets["bob"].is_pending)
    assert new.of("bob", "").secret.value == quick_stretch("new")
    assert ring.of("bob", "").secret.value == quick_stretch("b")
    assert new.of("guest", "") is new.common


def test_who_waits_for_a_token_that_is_gone_is_told(world: World) -> None:
    ring = KeyRing.begin(world.pool, CONFIG, FixedEntropy())
    world.owners.callback(ring.close)
    called: list[int] = []
    ring.secrets["alice"].when_ready(lambda: called.append(1))
    ring.secrets["bob"].when_ready(lambda: called.append(2))
    new = ring.renewed(replace(CONFIG, users=(ALICE,)))
    ring.retire(new)
    assert called == [2]
    world.until(lambda: called == [2, 1])
