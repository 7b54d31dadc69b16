"""frpd.admin.shelf: a copy for several askers."""

from __future__ import annotations

from frpd.admin.shelf import KEEP_SECONDS, Shelf


def test_a_young_copy_is_shared_by_those_who_may_have_it() -> None:
    now = [0.0]
    made: list[float] = []
    shelf: Shelf[float] = Shelf(lambda: now[0])

    def make() -> float:
        made.append(now[0])
        return now[0]

    assert shelf.recent(make) == shelf.recent(make) == 0.0
    now[0] = KEEP_SECONDS / 2
    assert shelf.recent(make) == 0.0
    assert shelf.fresh(make) == shelf.recent(make) == KEEP_SECONDS / 2
    now[0] += KEEP_SECONDS
    assert shelf.recent(make) == now[0]
    shelf.clear()
    assert shelf.recent(make) == now[0]
    assert len(made) == 4
