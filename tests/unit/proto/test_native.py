from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.native import (
    DEFLATE,
    DIRECT_STREAM,
    FEATURES,
    HALF_CLOSE,
    SEAL,
    UDP_BINARY,
    choose,
    describe,
    offer,
    read_answer,
    read_public_key,
    willing,
)

ALL = frozenset({HALF_CLOSE, DIRECT_STREAM, SEAL, DEFLATE, UDP_BINARY})
CLIENT = b"c" * 32
SERVER = b"\xff\xfe" * 16


def test_two_ends_agree_on_what_both_know() -> None:
    chosen, answer = choose(offer({HALF_CLOSE, "newer"}), {HALF_CLOSE, "other"})
    assert chosen == {HALF_CLOSE}
    assert answer == {"v": 1, "chosen": ["half-close"]}
    assert read_answer(answer, {HALF_CLOSE, "newer"}) == {HALF_CLOSE}


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_an_end_is_willing_to_do_what_it_can(mode: str) -> None:
    assert willing(mode, mux=True, deflates=True, seals=True) == ALL
    assert willing(mode, mux=False, deflates=False, seals=False) == {HALF_CLOSE, UDP_BINARY}


def test_an_end_that_is_off_does_nothing() -> None:
    assert willing("off", mux=True, deflates=True, seals=True) == frozenset()


def test_the_log_names_what_holds_and_the_lack_of_a_seal() -> None:
    assert describe({SEAL, DEFLATE}) == "frpd[deflate,seal]"
    assert describe({HALF_CLOSE}) == "frpd[half-close] legacy cipher"


def test_the_offer_is_plain_json() -> None:
    assert offer(FEATURES) == {"v": 1, "features": ["half-close", "udp-binary"]}


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


def test_two_ends_agree_on_seal_and_exchange_keys() -> None:
    offered = offer(ALL, CLIENT)
    assert offered["pub"] == base64.b64encode(CLIENT).decode()
    chosen, answer = choose(offered, {SEAL, DEFLATE}, SERVER)
    assert chosen == {SEAL, DEFLATE}
    assert read_public_key(offered) == CLIENT
    assert read_answer(answer, ALL) == {SEAL, DEFLATE}
    assert read_public_key(answer) == SERVER


def test_seal_is_neither_offered_nor_chosen_without_a_key() -> None:
    assert offer({SEAL, DEFLATE}) == {"v": 1, "features": ["deflate"]}
    assert choose(offer({SEAL}, CLIENT), {SEAL}) == (frozenset(), {"v": 1, "chosen": []})


def test_a_key_that_serves_nothing_is_not_sent() -> None:
    assert offer({DEFLATE}, CLIENT) == {"v": 1, "features": ["deflate"]}
    _, answer = choose(offer({DEFLATE, SEAL}, CLIENT), {DEFLATE}, SERVER)
    assert answer == {"v": 1, "chosen": ["deflate"]}


GOOD = base64.b64encode(CLIENT).decode()


@pytest.mark.parametrize(
    "pub",
    [
        None,
        1,
        "",
        [GOOD],
        GOOD[:-1],
        GOOD + "=",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        "=" * 44,
        "\u00e9" * 44,
        "\ud800" * 44,
        GOOD[:20] + "\n" + GOOD[21:],
        GOOD[:20] + "-" + GOOD[21:],
    ],
)
def test_a_damaged_key_takes_seal_away_and_nothing_else(pub: object) -> None:
    names = ["seal", "deflate"]
    value = {"v": 1, "features": names, "chosen": names, "pub": pub}
    assert read_public_key(value) is None
    chosen, answer = choose(value, ALL, SERVER)
    assert chosen == {DEFLATE}
    assert answer == {"v": 1, "chosen": ["deflate"]}
    assert read_answer(value, ALL) == {DEFLATE}


@pytest.mark.parametrize("value", [None, 1, "pub", [], {}])
def test_no_object_has_no_key(value: object) -> None:
    assert read_public_key(value) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["v", "features", "pub"]), inner)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_garbage_never_raises_and_never_adds(value: object) -> None:
    assert choose(value, FEATURES)[0] <= FEATURES
    assert read_answer(value, FEATURES) <= FEATURES
