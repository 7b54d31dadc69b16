"""LoginKeys: what follows from the token, and what a new configuration makes anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.auth.token import Credential, privilege_key
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig
from frpd.errors import AuthError, LimitError
from frpd.proto.ciphers import derive_key
from frpd.server.login_keys import LoginKeys
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World

CONFIG = ServerConfig(token=Secret("old"), authenticate_heartbeats=True)


def begun(world: World, config: ServerConfig = CONFIG) -> LoginKeys:
    keys = LoginKeys.begin(world.pool, config)
    world.until(lambda: not keys.secret.is_pending)
    return keys


def test_another_token_is_stretched_anew_and_the_old_keys_stay_what_they_were(
    world: World,
) -> None:
    old = begun(world)
    new = old.renewed(world.pool, replace(CONFIG, token=Secret("new")))
    assert new.secret.is_pending
    world.until(lambda: not new.secret.is_pending)
    assert (old.secret.value, new.secret.value) == (quick_stretch("old"), quick_stretch("new"))
    assert (old.cipher_key, new.cipher_key) == (derive_key("old"), derive_key("new"))
    ping = Credential(privilege_key("old", 1), 1)
    old.auth.verify_ping(ping)
    with pytest.raises(AuthError):
        new.auth.verify_ping(ping)


def test_the_same_token_is_not_stretched_again(world: World) -> None:
    old = begun(world)
    new = old.renewed(world.pool, replace(CONFIG, authenticate_heartbeats=False))
    assert new.secret is old.secret
    new.auth.verify_ping(Credential())


def test_native_on_and_off_makes_and_forgets_the_stretched_token(world: World) -> None:
    off = replace(CONFIG, native="off")
    keys = begun(world, off)
    assert not keys.can_seal
    assert keys.renewed(world.pool, CONFIG).can_seal
    assert not begun(world).renewed(world.pool, off).can_seal


def test_an_empty_token_seals_nothing_and_is_no_error(world: World) -> None:
    assert not begun(world).renewed(world.pool, ServerConfig()).can_seal


def test_without_a_worker_for_it_there_are_no_new_keys(world: World) -> None:
    keys = begun(world)
    world.pool.close()
    with pytest.raises(LimitError, match="cannot be stretched"):
        keys.renewed(world.pool, replace(CONFIG, token=Secret("new")))
    keys.renewed(world.pool, replace(CONFIG, authentication_timeout=1))
