"""Deny counts more than allow, and what is not in a list of allowed ones is not."""

from __future__ import annotations

import pytest

from frpd.net import access_list
from frpd.net.access_list import AccessList


def test_an_empty_list_admits_everybody() -> None:
    assert AccessList(()).admits("192.0.2.1")
    assert AccessList(()).admits("visitor")


def test_only_who_is_allowed_may_enter() -> None:
    lan = AccessList(("10.0.0.0/8", "2001:db8::/32"))
    assert lan.admits("10.1.2.3")
    assert lan.admits("2001:db8::5")
    assert not lan.admits("192.0.2.1")
    assert not lan.admits("::1")


def test_who_is_denied_may_not_though_he_is_allowed_as_well() -> None:
    most = AccessList(("10.0.0.0/8",), ("10.9.0.0/16",))
    assert most.admits("10.1.2.3")
    assert not most.admits("10.9.0.1")


def test_without_allowed_ones_only_the_denied_stay_outside() -> None:
    lax = AccessList((), ("192.0.2.7",))
    assert lax.admits("192.0.2.8")
    assert not lax.admits("192.0.2.7")


def test_a_zone_does_not_hide_an_address() -> None:
    assert not AccessList((), ("fe80::/10",)).admits("fe80::1%eth0")


def test_what_is_no_address_is_not_admitted_by_a_list() -> None:
    assert not AccessList((), ("192.0.2.7",)).admits("")
    assert not AccessList(("0.0.0.0/0",)).admits("example.com")


def test_decisions_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_list, "MAX_REMEMBERED", 2)
    some = AccessList((), ("192.0.2.0/30",))
    assert [some.admits(f"192.0.2.{last}") for last in range(8)] == [False] * 4 + [True] * 4


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0"):
        AccessList(("10.0.0.1/8",))
