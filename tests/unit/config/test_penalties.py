"""Tests of config.penalties."""

from __future__ import annotations

import pytest

from frpd.config.penalties import (
    DENY_ALL,
    NO_PENALTIES,
    PENALTIES,
    NetBlockSize,
    PenaltyRules,
)


def test_what_is_not_named_keeps_its_default() -> None:
    rules = PenaltyRules.parse("authfail:1m grace-exceeded:2.5 max-sources6:7 overflow6:deny-all")
    assert rules == PenaltyRules(
        authfail=60.0, grace_exceeded=2.5, max_sources6=7, overflow6=DENY_ALL
    )
    assert rules.noauth == PENALTIES.noauth


@pytest.mark.parametrize("text", ["off", "no", " OFF "])
def test_penalties_can_be_switched_off(text: str) -> None:
    assert PenaltyRules.parse(text) == NO_PENALTIES


def test_rules_are_written_as_they_are_read() -> None:
    rules = PenaltyRules.parse("noauth:0, min:0.5 max:1h max-sources4:9 overflow:deny-all")
    assert PenaltyRules.parse(str(rules)) == rules
    assert PenaltyRules.parse(str(NO_PENALTIES)) == NO_PENALTIES
    assert str(PENALTIES).startswith("authfail:5 noauth:1 grace-exceeded:10 protocol:10 ")


@pytest.mark.parametrize(
    "text",
    ["authfail", "authfail:", "authfail:x", "authfail:-1", "authfail:5d", "crash:90", "overflow:no",
     "max-sources4:0", "max-sources4:1e3", "max-sources6:99999999999", "authfail:5;noauth:1",
     "is_on:1", "is-on:1", ":5"],
)  # fmt: skip
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition(" ")[0]):
        PenaltyRules.parse(text)


def test_the_width_of_a_source_is_read_for_both_families() -> None:
    assert NetBlockSize.parse("24:48") == NetBlockSize(24, 48)
    assert NetBlockSize.parse("24") == NetBlockSize(24, 64)
    assert str(NetBlockSize.parse(" 0 : 128 ")) == "0:128"


@pytest.mark.parametrize("text", ["33", "32:129", "a", "32:", "-1", "32:64:1", " "])
def test_a_width_that_no_address_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        NetBlockSize.parse(text)
