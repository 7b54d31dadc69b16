"""Kinds of NAT, and addresses as text."""

from __future__ import annotations

import pytest

from frpd.errors import RemoteProtocolError
from frpd.proto.nat import nat_of, read_address

A, B = ("198.51.100.7", 4000), ("198.51.100.8", 4000)
A_NEXT, B_NEXT = ("198.51.100.7", 4001), ("198.51.100.8", 4001)


@pytest.mark.parametrize(
    ("mapped", "described"),
    [
        ((A, A), "EasyNAT (BehaviorNoChange)"),
        ((A,), "EasyNAT (BehaviorNoChange)"),
        ((A, B), "HardNAT (BehaviorIPChanged)"),
        ((A, A_NEXT), "HardNAT (BehaviorPortChanged)"),
        ((A, B_NEXT), "HardNAT (BehaviorBothChanged)"),
    ],
)
def test_what_differs_tells_the_kind(mapped: tuple[tuple[str, int], ...], described: str) -> None:
    assert nat_of(mapped, ()).describe() == described


def test_who_is_seen_under_an_address_of_his_own_is_public() -> None:
    kind = nat_of((A, A), ("10.0.0.1", A[0]))
    assert kind.is_public
    assert kind.describe() == "EasyNAT (BehaviorNoChange, public network)"


@pytest.mark.parametrize("text", ["198.51.100.7:4000", "198.051.100.007:04000"])
def test_an_address_is_read(text: str) -> None:
    assert read_address(text) == A


@pytest.mark.parametrize(
    "text",
    [
        *("", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3:5", "1.2.3.256:5", "[::1]:5"),
        *("1.2.3.4:5 ", "1.2.3.-4:5", "1.2.3.\u0664:5", ":5", "a:5", "localhost:5"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not an address"):
        read_address(text)
