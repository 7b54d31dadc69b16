from __future__ import annotations

from bench.cost.ends import Cpu
from bench.cost.table import Cost, rows, table, written_calls


def test_calls_are_summed_and_the_frequent_ones_named_first() -> None:
    assert written_calls({"close": 1.0, "recvfrom": 8.0, "brk": 0.02}) == (
        "9.0",
        "recvfrom 8.00, close 1.00",
    )
    assert written_calls({}) == ("", "")


def test_a_row_tells_of_the_cheapest_round() -> None:
    frps = Cost([Cpu(9.0, 2.0), Cpu(4.0, 5.0)], {"read": 2.0})
    frpc = Cost([Cpu(1.0, 1.0)])
    assert rows("round trip", "frpd", (frps, frpc)) == [
        "| round trip | frpd | frps | 9.0 | 4.0 | 5.0 | 2.0 | read 2.00 |",
        "| round trip | frpd | frpc | 2.0 | 1.0 | 1.0 |  |  |",
    ]


def test_what_was_not_measured_has_no_row() -> None:
    assert rows("round trip", "frpd", (Cost(), Cost())) == []


def test_head_rule_and_rows_have_as_many_cells() -> None:
    cost = Cost([Cpu(1.0, 1.0)], {"read": 1.0})
    lines = table(rows("round trip", "frpd", (cost, cost))).splitlines()
    assert len({line.count("|") for line in lines}) == 1
