"""ProviderKeys, with a whole server: logins, pings and work connections by OIDC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from frpd.proto.message.types import Ping, Pong, StartWorkConn
from frpd.server.provider_keys import PAUSE_SECONDS
from tests.helpers.oidc_provider import AUDIENCE, OidcProvider
from tests.helpers.peers import ScriptedClient
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]


@pytest.fixture(scope="module")
def shared() -> Iterator[OidcProvider]:
    provider = OidcProvider()
    yield provider
    provider.close()


@pytest.fixture
def provider(shared: OidcProvider) -> OidcProvider:
    shared.looks = 0
    return shared


def house_of(world: World, provider: OidcProvider, **keys: Any) -> House:
    known = {"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE}
    return House(world, authentication_method="oidc", **(known | keys))


def error_of(house: House, token: str) -> str:
    client = ScriptedClient(house.world, house.port, mux=False)
    error = client.login(privilege_key=token).error
    client.close()
    return error


def test_who_has_a_token_is_let_in_and_the_keys_are_fetched_once(
    world: World, provider: OidcProvider
) -> None:
    house = house_of(world, provider)
    assert error_of(house, provider.token()) == ""
    assert error_of(house, provider.token(aud=["x", AUDIENCE], sub="bob")) == ""
    assert provider.looks == 1


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "oidc: token is expired"),
        ({"exp": "never"}, "oidc: token is expired"),
        ({"nbf": 9_999_999_999}, "oidc: current time before the nbf"),
        ({"aud": "x"}, "oidc: expected audience"),
        ({"iss": "https://other"}, "oidc: id token issued by a different provider"),
    ],
)
def test_a_token_that_does_not_hold(
    world: World, provider: OidcProvider, claims: dict[str, Any], reason: str
) -> None:
    error = error_of(house_of(world, provider), provider.token(**claims))
    assert error.startswith(f"invalid OIDC token in login: {reason}")


def test_nobody_signs_but_the_provider(world: World, provider: OidcProvider) -> None:
    house = house_of(world, provider)
    good = provider.token()
    public = provider.documents()["/jwks"]["keys"][1]["n"]
    said = jwt.decode(good, options={"verify_signature": False})
    forged = [
        jwt.encode(said, "", "none"),
        jwt.encode(said, public, "HS256", {"kid": "one"}),
        good[:-8] + "AAAAAAAA",
    ]
    for token in forged:
        assert "failed to verify id token signature" in error_of(house, token)
    for token in ("", "a.b.c", "x" * 9500):
        assert "malformed jwt" in error_of(house, token)


def test_the_skip_keys_skip(world: World, provider: OidcProvider) -> None:
    house = house_of(
        world,
        provider,
        oidc_audience="",
        oidc_skip_expiry_check=True,
        oidc_skip_issuer_check=True,
    )
    assert error_of(house, provider.token(exp=1, iss="x", aud="y")) == ""


def test_a_new_key_is_looked_for_but_not_at_everybodys_pace(
    world: World, provider: OidcProvider
) -> None:
    house = house_of(world, provider)
    assert error_of(house, provider.token()) == ""
    provider.rotate("two")
    assert "signature" in error_of(house, provider.token())
    world.advance(PAUSE_SECONDS + 1)
    assert error_of(house, provider.token()) == ""
    assert provider.looks == 2


def test_without_a_provider_nobody_is_let_in_until_it_is_there(
    world: World, provider: OidcProvider
) -> None:
    house = house_of(world, provider, oidc_issuer=f"{provider.issuer}/other")
    assert "no keys of the provider" in error_of(house, provider.token())


def test_later_tokens_are_of_who_logged_in(world: World, provider: OidcProvider) -> None:
    house = house_of(
        world, provider, authenticate_heartbeats=True, authenticate_new_work_conns=True
    )
    client = house.client(privilege_key=provider.token())
    client.control.send(Ping(provider.token()))
    assert client.control.receive(Pong) == Pong()
    client.work(privilege_key=provider.token())
    session = house.service.controls[client.run_id]
    world.until(lambda: session.work_conns.ready == 1)
    other = client.work(privilege_key=provider.token(sub="eve"))
    assert "different OIDC subject" in other.receive(StartWorkConn).error
    assert "malformed" in client.work().receive(StartWorkConn).error
    client.control.send(Ping(provider.token(sub="eve")))
    assert "different OIDC subject" in client.control.receive(Pong).error
    world.until(lambda: not house.service.controls)
