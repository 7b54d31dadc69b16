from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.native import FEATURES, HALF_CLOSE, choose, offer, read_answer


def test_two_ends_agree_on_what_both_know() -> None:
    chosen, answer = choose(offer({HALF_CLOSE, "newer"}), {HALF_CLOSE, "other"})
    assert chosen == {HALF_CLOSE}
    assert answer == {"v": 1, "chosen": ["half-close"]}
    assert read_answer(answer, {HALF_CLOSE, "newer"}) == {HALF_CLOSE}


def test_the_offer_is_plain_json() -> None:
    assert offer(FEATURES) == {"v": 1, "features": ["half-close"]}


def test_an_frpd_that_shares_nothing_is_answered() -> None:
    assert choose(offer({"newer"}), FEATURES) == (frozenset(), {"v": 1, "chosen": []})


def test_a_peer_that_offers_nothing_is_a_go_frp() -> None:
    assert choose(None, FEATURES) == (frozenset(), None)
    assert read_answer(None, FEATURES) == frozenset()


def test_a_server_cannot_choose_what_was_not_offered() -> None:
    assert read_answer({"v": 1, "chosen": ["half-close", "seal"]}, {"other"}) == frozenset()


@pytest.mark.parametrize("key", ["features", "chosen"])
@pytest.mark.parametrize("names", [None, 1, "half-close", {"half-close": 1}])
def test_names_that_are_no_list_count_as_absent(key: str, names: object) -> None:
    value = {"v": 1, key: names}
    assert choose(value, FEATURES) == (frozenset(), None)
    assert read_answer(value, FEATURES) == frozenset()


def test_names_that_are_no_text_are_skipped() -> None:
    value: dict[str, object] = {"v": 1, "features": [1, None, ["x"], {}, "half-close"]}
    assert choose(value, FEATURES)[0] == {HALF_CLOSE}


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_version_counts_as_absent(version: object) -> None:
    value = {"v": version, "features": ["half-close"], "chosen": ["half-close"]}
    assert choose(value, FEATURES) == (frozenset(), None)
    assert read_answer(value, FEATURES) == frozenset()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["v", "features", "x"]), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_garbage_never_raises_and_never_adds(value: object) -> None:
    assert choose(value, FEATURES)[0] <= FEATURES
    assert read_answer(value, FEATURES) <= FEATURES
