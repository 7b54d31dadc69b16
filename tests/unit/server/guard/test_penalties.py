"""Tests of server.guard.penalties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.config.penalties import NO_PENALTIES, NetBlockSize, PenaltyRules
from frpd.server.guard.penalties import Offence, Penalties

V4, OTHER, V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1"
FAIL, LEFT = Offence.AUTHFAIL, Offence.NOAUTH


def table(text: str = "", size: NetBlockSize | None = None, *exempt: str) -> Penalties:
    return Penalties(PenaltyRules.parse(text), size or NetBlockSize(), exempt)


def test_offences_add_up_and_are_enforced_only_from_min_on() -> None:
    penalties = table("authfail:5 min:15")
    assert [penalties.offend(V4, FAIL, 100.0) for _ in range(2)] == [0.0, 0.0]
    assert penalties.refused(V4, 100.0) == 0.0
    assert penalties.offend(V4, FAIL, 100.0) == 15.0
    assert penalties.refused(V4, 104.0) == 11.0
    assert penalties.refused(OTHER, 104.0) == 0.0


def test_an_enforced_penalty_is_enforced_to_its_end_and_then_begins_anew() -> None:
    penalties = table("protocol:20 noauth:1 min:15")
    penalties.offend(V4, Offence.PROTOCOL, 0.0)
    assert penalties.refused(V4, 19.5) == 0.5
    assert penalties.refused(V4, 20.0) == 0.0
    assert penalties.offend(V4, LEFT, 20.0) == 0.0
    assert penalties.refused(V4, 20.0) == 0.0


def test_slow_offences_are_forgotten_as_they_come() -> None:
    penalties = table("noauth:1 min:3")
    for now in range(100):
        assert penalties.offend(V4, LEFT, float(now)) == 0.0


def test_a_penalty_never_goes_beyond_max() -> None:
    penalties = table("authfail:50 max:60")
    for _ in range(9):
        penalties.offend(V4, FAIL, 7.0)
    assert penalties.refused(V4, 7.0) == 60.0


def test_each_offence_has_its_own_price_and_one_of_nothing_leaves_no_trace() -> None:
    penalties = table("noauth:0 refuseconnection:40")
    assert penalties.offend(V4, LEFT, 0.0) == 0.0
    assert penalties.rows(0.0) == []
    assert penalties.offend(V4, Offence.REFUSECONNECTION, 0.0) == 40.0


def test_a_source_is_as_wide_as_its_block() -> None:
    penalties = table("authfail:20", NetBlockSize(24, 64))
    penalties.offend(V4, FAIL, 0.0)
    penalties.offend(V6, FAIL, 0.0)
    assert penalties.refused(OTHER, 0.0) == 20.0
    assert penalties.refused("2001:db8::ffff", 0.0) == 20.0
    assert penalties.refused("192.0.3.1", 0.0) == 0.0
    assert {one.source for one in penalties.rows(0.0)} == {"192.0.2.0/24", "2001:db8::/64"}
    assert [one.source for one in penalties.rows(0.0, limit=1)] == ["2001:db8::/64"]


def test_nothing_is_held_against_who_is_exempt() -> None:
    penalties = table("authfail:20", None, "192.0.2.1", "2001:db8::/32")
    for host in (V4, V6):
        assert penalties.offend(host, FAIL, 0.0) == 0.0
        assert penalties.refused(host, 0.0) == 0.0
    assert penalties.offend(OTHER, FAIL, 0.0) == 20.0


def test_who_becomes_exempt_is_no_longer_refused_and_others_still_are() -> None:
    rules = PenaltyRules.parse("authfail:20")
    penalties = Penalties(rules)
    penalties.offend(V4, FAIL, 0.0)
    penalties.offend(OTHER, FAIL, 0.0)
    penalties.use(rules, NetBlockSize(), (V4,))
    assert (penalties.refused(V4, 1.0), penalties.refused(OTHER, 1.0)) == (0.0, 19.0)


def test_another_width_or_off_begins_with_a_clean_slate() -> None:
    for rules, size in (
        (PenaltyRules(authfail=20.0), NetBlockSize(24)),
        (NO_PENALTIES, NetBlockSize()),
    ):
        penalties = table("authfail:20")
        penalties.offend(V4, FAIL, 0.0)
        penalties.use(rules, size, ())
        assert penalties.refused(V4, 0.0) == 0.0
        assert penalties.rows(0.0) == []


def test_switched_off_it_holds_nothing_against_anyone() -> None:
    penalties = table("off")
    assert [penalties.offend(V4, FAIL, 0.0) for _ in range(99)] == [0.0] * 99
    assert penalties.refused(V4, 0.0) == 0.0


def test_a_full_table_forgets_who_would_be_free_first() -> None:
    penalties = table("authfail:20 protocol:30 max-sources4:2")
    penalties.offend("192.0.2.1", Offence.PROTOCOL, 0.0)
    penalties.offend("192.0.2.2", FAIL, 0.0)
    penalties.offend("192.0.2.3", FAIL, 1.0)
    assert [one.source for one in penalties.rows(1.0)] == ["192.0.2.1", "192.0.2.3"]
    assert penalties.offend(V6, FAIL, 1.0) == 20.0


def test_a_full_table_may_refuse_all_of_its_family_but_the_exempt() -> None:
    penalties = table("authfail:20 max-sources4:1 overflow:deny-all", None, "192.0.2.9")
    penalties.offend(V4, FAIL, 0.0)
    assert penalties.refused(OTHER, 5.0) == 15.0
    assert penalties.offend(OTHER, FAIL, 5.0) == 15.0
    assert penalties.refused("192.0.2.9", 5.0) == 0.0
    assert penalties.refused(V6, 5.0) == 0.0
    assert penalties.refused(OTHER, 20.0) == 0.0
    assert penalties.offend(OTHER, FAIL, 20.0) == 20.0


def test_penalties_can_be_forgiven_by_address_by_source_or_all() -> None:
    penalties = table("authfail:20", NetBlockSize(24, 64))
    for host in (V4, "198.51.100.1", V6):
        penalties.offend(host, FAIL, 0.0)
    assert penalties.clear("192.0.2.200") == 1
    assert penalties.clear("2001:db8::/64") == 1
    assert penalties.clear("203.0.113.5") == 0
    assert penalties.refused(V4, 0.0) == 0.0
    assert penalties.clear() == 1
    assert penalties.rows(0.0) == []
    assert penalties.offend(V4, FAIL, 1.0) == 20.0


def test_it_tells_who_has_offended_how_often_and_for_how_long() -> None:
    penalties = table("authfail:10 noauth:1 min:15")
    for offence in (FAIL, LEFT, FAIL):
        penalties.offend(V4, offence, 0.0)
    penalties.offend(OTHER, LEFT, 0.0)
    first, second = penalties.rows(0.5)
    assert (first.source, first.seconds_left, first.is_enforced) == (V4, 20.5, True)
    assert (first.offences, first.last) == (3, FAIL)
    assert (second.source, second.is_enforced, second.last) == (OTHER, False, LEFT)


def test_an_enforced_penalty_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    penalties = table("authfail:5 min:15")
    for _ in range(9):
        penalties.offend(V4, FAIL, 0.0)
        penalties.refused(V4, 0.0)
    assert caplog.messages == ["penalty: 192.0.2.1 refused for 15 s (authfail)"]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6), st.sampled_from(list(Offence)), st.integers(0, 9), st.booleans()
        ),
        max_size=30,
    )
)
@settings(max_examples=50)
def test_the_table_is_bounded_whatever_comes(
    steps: list[tuple[int, Offence, int, bool]],
) -> None:
    penalties, now = table("max-sources4:3 authfail:3 min:5 max:30"), 0.0
    for number, offence, pause, is_forgiven in steps:
        now += pause
        host = f"192.0.2.{number}"
        if is_forgiven:
            penalties.clear(host)
        seconds = penalties.offend(host, offence, now)
        assert penalties.refused(host, now) == seconds <= 30.0
        assert len(penalties.rows(now)) <= 3


def test_many_offences_of_one_source_leave_the_others_ends_in_order() -> None:
    penalties = table("authfail:1 protocol:300 min:1 max-sources4:2")
    penalties.offend(V4, Offence.PROTOCOL, 0.0)
    for now in range(500):
        penalties.offend(OTHER, FAIL, now / 1000)
    penalties.offend("192.0.2.3", FAIL, 1.0)
    assert [one.source for one in penalties.rows(1.0)] == [OTHER, "192.0.2.3"]
