"""Members, turns and refusals."""

from __future__ import annotations

from frpd.server.groups.roster import MAX_TRIES, REFUSAL_SECONDS, Roster
from frpd.server.groups.strategy import LEAST_CONNECTIONS
from tests.unit.server.groups.test_strategy import One

IP = "192.0.2.1"


def roster_of(*members: One, strategy: str = "", first: int = 0) -> Roster[One]:
    roster: Roster[One] = Roster(strategy, first)
    for member in members:
        roster.add(member)
    return roster


def test_turns_begin_where_they_are_told_to() -> None:
    a, b = One("a"), One("b")
    assert [roster_of(a, b).choose(IP, 0) for _ in range(1)] == [a]
    roster = roster_of(a, b, first=1)
    assert [roster.choose(IP, 0) for _ in range(4)] == [b, a, b, a]


def test_nobody_is_chosen_of_nobody() -> None:
    assert roster_of().choose(IP, 0) is None


def test_who_has_left_is_out_at_once() -> None:
    a, b = One("a"), One("b")
    roster = roster_of(a, b)
    roster.remove(a)
    roster.refused(a, 0)
    assert [roster.choose(IP, 0) for _ in range(3)] == [b, b, b]
    assert roster.members == (b,)


def test_who_has_refused_is_asked_last_for_a_while() -> None:
    a, b = One("a"), One("b")
    roster = roster_of(a, b)
    roster.refused(a, 100)
    assert {roster.choose(IP, 101) for _ in range(3)} == {b}
    assert roster.choose(IP, 101, [b]) is a
    later = 100 + REFUSAL_SECONDS
    assert {roster.choose(IP, later) for _ in range(2)} == {a, b}


def test_when_all_have_refused_all_are_asked() -> None:
    a, b = One("a"), One("b")
    roster = roster_of(a, b)
    roster.refused(a, 0)
    roster.refused(b, 0)
    assert {roster.choose(IP, 1) for _ in range(2)} == {a, b}


def test_a_visitor_is_given_to_so_many_and_no_more() -> None:
    members = [One(str(number)) for number in range(MAX_TRIES + 3)]
    roster, tried = roster_of(*members), list[One]()
    while (member := roster.choose(IP, 0, tried)) is not None:
        assert member not in tried
        tried.append(member)
    assert len(tried) == MAX_TRIES


def test_it_knows_strategies_by_their_names() -> None:
    a, b = One("a"), One("b")
    a.counters.opened()
    roster = roster_of(a, b, strategy=LEAST_CONNECTIONS)
    assert [roster.choose(IP, 0) for _ in range(3)] == [b, b, b]


def test_a_member_is_proven_until_it_refuses() -> None:
    a, b = One("a"), One("b")
    roster = roster_of(a)
    assert not roster.is_proven(a)
    roster.served(a)
    roster.served(b)
    assert (roster.is_proven(a), roster.is_proven(b)) == (True, False)
    roster.refused(a, 0)
    assert not roster.is_proven(a)
    roster.served(a)
    roster.remove(a)
    assert not roster.is_proven(a)
