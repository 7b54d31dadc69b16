"""What kind of NAT: by what two STUN servers saw."""

from __future__ import annotations

import pytest

from frpd.errors import RemoteProtocolError
from frpd.server.nathole.classify import NatFeature, classify

KINDS = [
    (["1.1.1.1:5", "1.1.1.1:5"], "EasyNAT", "BehaviorNoChange", 0, False),
    (["1.1.1.1:5", "2.2.2.2:5"], "HardNAT", "BehaviorIPChanged", 0, False),
    (["1.1.1.1:5", "1.1.1.1:6"], "HardNAT", "BehaviorPortChanged", 1, True),
    (["1.1.1.1:10", "1.1.1.1:5"], "HardNAT", "BehaviorPortChanged", 5, True),
    (["1.1.1.1:5", "1.1.1.1:11"], "HardNAT", "BehaviorPortChanged", 6, False),
    (["1.1.1.1:5", "1.1.1.1:9", "1.1.1.1:4"], "HardNAT", "BehaviorPortChanged", 5, True),
    (["1.1.1.1:5", "2.2.2.2:6"], "HardNAT", "BehaviorBothChanged", 0, False),
]


@pytest.mark.parametrize(("mapped", "nat_type", "behavior", "difference", "regular"), KINDS)
def test_a_nat_is_known_by_what_differs(
    mapped: list[str], nat_type: str, behavior: str, difference: int, regular: bool
) -> None:
    nat = classify(mapped, ["10.0.0.1"])
    assert (nat.kind.nat_type, nat.kind.behavior) == (nat_type, behavior)
    assert (nat.ports_difference, nat.is_regular) == (difference, regular)
    assert nat.is_hard is (nat_type == "HardNAT")
    assert not nat.is_public


def test_who_has_the_address_itself_is_public() -> None:
    assert classify(["1.1.1.1:5", "1.1.1.1:5"], ["10.0.0.1", "1.1.1.1"]).is_public
    assert classify(["1.1.1.1:5", "2.2.2.2:5"], ["2.2.2.2"]).is_public


@pytest.mark.parametrize("mapped", [[], ["1.1.1.1:5"]])
def test_one_address_tells_nothing(mapped: list[str]) -> None:
    with pytest.raises(RemoteProtocolError, match="not enough addresses"):
        classify(mapped, [])


def test_people_read_it_in_frp_s_words() -> None:
    def told(nat: NatFeature) -> str:
        return nat.describe()

    assert told(classify(["1.1.1.1:5"] * 2, [])) == "EasyNAT (BehaviorNoChange)"
    assert (
        told(classify(["1.1.1.1:5"] * 2, ["1.1.1.1"]))
        == "EasyNAT (BehaviorNoChange, public network)"
    )
    hard = classify(["1.1.1.1:5", "1.1.1.1:6"], [])
    assert told(hard) == "HardNAT (BehaviorPortChanged), regular ports"
