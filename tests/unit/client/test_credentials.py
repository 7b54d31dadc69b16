"""Credentials: tokens of a provider, fetched when they are needed and kept while they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from frpd.auth.token import Credential
from frpd.client.credentials import make_credentials, seals_with_token
from frpd.config.client import ClientConfig
from frpd.config.params import Params
from frpd.config.secret import Secret
from tests.helpers.oidc_provider import CLIENT, SECRET, OidcProvider
from tests.helpers.world import World, world

__all__ = ["world"]


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    provider = OidcProvider()
    yield provider
    provider.close()


class Desk:
    """Credentials of a client, and what they were."""

    def __init__(self, world: World, provider: OidcProvider, **keys: Any) -> None:
        known: dict[str, Any] = {
            "authentication_method": "oidc",
            "oidc_client_id": CLIENT,
            "oidc_client_secret": Secret(SECRET),
            "oidc_token_endpoint_url": provider.token_url,
        }
        self.world = world
        self.common = ClientConfig(**(known | keys))
        self.credentials = make_credentials(world.loop, world.pool, self.common)
        self.got: list[Credential] = []
        self.failed: list[str] = []

    def login(self) -> None:
        count = len(self.got) + len(self.failed)
        self.credentials.for_login(self.got.append, self.failed.append)
        self.world.until(lambda: len(self.got) + len(self.failed) > count)


def test_a_token_is_asked_for_once_and_kept(world: World, provider: OidcProvider) -> None:
    extra = Params({"resource": "x"})
    desk = Desk(world, provider, oidc_audience="frp", oidc_scope="a b", oidc_additional=extra)
    desk.credentials.for_login(desk.got.append, desk.failed.append)
    desk.login()
    world.until(lambda: len(desk.got) == 2)
    desk.login()
    assert len(set(desk.got)) == 1
    (form,) = provider.forms
    assert form == {
        "grant_type": "client_credentials",
        "audience": "frp",
        "scope": "a b",
        "resource": "x",
    }


def test_it_is_fetched_anew_before_it_expires(world: World, provider: OidcProvider) -> None:
    desk = Desk(world, provider)
    desk.login()
    world.advance(285)
    desk.login()
    assert len(provider.forms) == 1
    world.advance(10)
    desk.login()
    assert len(provider.forms) == 2


def test_one_without_an_end_is_not_kept(world: World, provider: OidcProvider) -> None:
    provider.lives_seconds = None
    desk = Desk(world, provider)
    desk.login()
    desk.login()
    assert len(provider.forms) == 2


def test_who_asks_may_be_told_in_the_form_too(world: World, provider: OidcProvider) -> None:
    provider.in_form_only = True
    desk = Desk(world, provider)
    desk.login()
    assert len(desk.got) == 1


def test_a_refusal_is_told_without_the_secret(world: World, provider: OidcProvider) -> None:
    desk = Desk(world, provider, oidc_client_secret=Secret("wrong"))
    desk.login()
    (reason,) = desk.failed
    assert reason.startswith("couldn't generate OIDC token for login: http://")
    assert "status 401" in reason
    assert "wrong" not in reason


def test_pings_and_work_connections_show_one_only_in_their_scope(
    world: World, provider: OidcProvider
) -> None:
    desk = Desk(world, provider, authenticate_heartbeats=True)
    desk.login()
    desk.credentials.for_ping(desk.got.append, desk.failed.append)
    desk.credentials.for_work(desk.got.append, desk.failed.append)
    assert desk.got[1:] == [desk.got[0], Credential()]


def test_an_empty_token_seals_nothing_with_oidc(world: World, provider: OidcProvider) -> None:
    assert not seals_with_token(Desk(world, provider).common)
    assert seals_with_token(Desk(world, provider, token=Secret("x")).common)
    assert seals_with_token(ClientConfig())
