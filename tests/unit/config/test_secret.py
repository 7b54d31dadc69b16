from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frpd.config.secret import NO_SECRET, Secret

TEXT = st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))


def test_nothing_that_prints_shows_the_text() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"


def test_a_secret_is_no_text() -> None:
    assert not isinstance(Secret("a"), str)
    assert Secret("a") != "a"


@given(TEXT, TEXT)
def test_matches_and_equality_follow_the_text(one: str, two: str) -> None:
    assert Secret(one).matches(two) == (one == two) == (Secret(one) == Secret(two))
    assert Secret(one).reveal() == one
    assert hash(Secret(one)) == hash(Secret(one))


def test_empty_is_false() -> None:
    assert not NO_SECRET
    assert Secret("0")
