"""The table of visitors: silence, bounds, order."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from frpd.selector_loop import SelectorLoop
from frpd.udp.flows import Flow, FlowTable
from tests.helpers.clock import MockClock


class Table:
    """A FlowTable on a clock of the test's, and who left it."""

    def __init__(self, *, idle_seconds: float = 60.0, limit: int = 3) -> None:
        self.clock = MockClock()
        self.loop = SelectorLoop(self.clock)
        self.left: list[tuple[str, str]] = []
        self.names: dict[Flow, str] = {}
        self.flows: FlowTable[str, Flow] = FlowTable(
            self.loop, self._closed, idle_seconds=idle_seconds, limit=limit
        )

    def add(self, *names: str) -> None:
        for name in names:
            flow = Flow()
            self.names[flow] = name
            self.flows.add(name, flow)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.loop.run_turn()
        self.loop.run_turn()

    def _closed(self, flow: Flow, reason: str) -> None:
        self.left.append((self.names[flow], reason))


def test_a_silent_flow_is_forgotten() -> None:
    table = Table()
    table.add("a")
    table.advance(59.0)
    assert table.left == []
    table.advance(1.0)
    assert table.left == [("a", "fell silent")]
    assert table.flows.find("a") is None
    assert (len(table.flows), table.flows.expired) == (0, 1)


def test_a_flow_that_is_heard_stays() -> None:
    table = Table()
    table.add("a", "b")
    for _ in range(5):
        table.advance(40.0)
        assert table.flows.find("a") is not None
    assert table.left == [("b", "fell silent")]
    table.advance(60.0)
    assert table.left[1:] == [("a", "fell silent")]


def test_one_timer_serves_all_flows_and_goes_with_the_last() -> None:
    table = Table(limit=1000)
    table.add(*map(str, range(500)))
    assert table.loop.timer_count == 1
    table.advance(60.0)
    assert len(table.left) == 500
    assert table.loop.timer_count == 0
    table.add("again")
    assert table.loop.timer_count == 1


def test_the_one_silent_longest_gives_way() -> None:
    table = Table(limit=3)
    table.add("a", "b", "c")
    table.advance(1.0)
    table.flows.find("a")
    table.add("d")
    assert table.left == [("b", "gave way to others")]
    assert (len(table.flows), table.flows.evicted) == (3, 1)


def test_clear_closes_all_and_leaves_no_timer() -> None:
    table = Table()
    table.add("a", "b")
    table.flows.clear("closed")
    table.flows.clear("closed")
    assert table.left == [("a", "closed"), ("b", "closed")]
    assert table.loop.timer_count == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 50)),
        max_size=60,
    )
)
def test_it_is_a_table_by_least_recent_use_with_a_deadline(steps: list[tuple[str, float]]) -> None:
    table = Table(idle_seconds=60.0, limit=4)
    model: OrderedDict[str, float] = OrderedDict()
    for name, pause in steps:
        table.advance(pause)
        now = table.clock.now()
        for other in [key for key, heard in model.items() if heard <= now - 60.0]:
            del model[other]
        flow = table.flows.find(name)
        assert (flow is not None) == (name in model)
        if flow is None:
            table.add(name)
            if len(model) >= 4:
                model.popitem(last=False)
        model[name] = now
        model.move_to_end(name)
        assert len(table.flows) == len(model) <= 4
