"""A user and a password: both, either or none of them demanded."""

from __future__ import annotations

import pytest

from frpd.auth.basic import BasicLogin


@pytest.mark.parametrize(
    ("login", "named", "admitted"),
    [
        (("", ""), None, True),
        (("", ""), ("anyone", "at all"), True),
        (("ann", "secret"), None, False),
        (("ann", "secret"), ("ann", "secret"), True),
        (("ann", "secret"), ("ann", "wrong"), False),
        (("ann", "secret"), ("bob", "secret"), False),
        (("ann", ""), ("ann", ""), True),
        (("ann", ""), ("ann", "x"), False),
        (("", "secret"), ("", "secret"), True),
        (("ä", "\udcff"), ("ä", "\udcff"), True),
        (("ä", "\udcff"), ("ä", "\ud800"), False),
    ],
)
def test_both_have_to_be_right(
    login: tuple[str, str], named: tuple[str, str] | None, admitted: bool
) -> None:
    assert BasicLogin(*login).admits(named) is admitted
