"""User and password of a plugin."""

from __future__ import annotations

import pytest

from frpd.client.plugins.login import Login
from frpd.config.params import Params


def login(user: str = "", password: str = "") -> Login:
    return Login(Params({"u": user, "p": password}), "u", "p")


def test_nothing_configured_is_no_demand() -> None:
    assert not Login(Params(), "u", "p").is_demanded
    assert not login().is_demanded


@pytest.mark.parametrize(("user", "password"), [("a", ""), ("", "b"), ("a", "b")])
def test_one_of_them_is_a_demand_for_both(user: str, password: str) -> None:
    made = login(user, password)
    assert made.is_demanded
    assert made.admits(user.encode(), password.encode())
    assert not made.admits(user.encode(), password.encode() + b"x")
    assert not made.admits(b"x" + user.encode(), password.encode())


def test_texts_are_compared_as_the_bytes_of_the_file() -> None:
    made = login("j\u00fcrgen", b"\xff".decode("utf-8", "surrogateescape"))
    assert made.admits("j\u00fcrgen".encode(), b"\xff")
