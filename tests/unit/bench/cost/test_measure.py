from __future__ import annotations

import pytest

from bench.cost.__main__ import DEFAULT, OPERATIONS
from bench.cost.measure import operations
from bench.tunnel.__main__ import chosen
from bench.tunnel.processes import MeasurementError


def test_bulk_is_counted_in_megabytes() -> None:
    [bulk] = chosen("bulk_up")
    assert operations(bulk, {"gbit_s": 0.8}, 3.0) == pytest.approx(300)


def test_all_else_is_counted_in_pieces() -> None:
    [trips] = chosen("rtt_1")
    assert operations(trips, {"per_s": 100.0}, 3.0) == pytest.approx(300)


def test_what_has_no_operations_cannot_be_told() -> None:
    [idle] = chosen("idle")
    with pytest.raises(MeasurementError, match="idle has no operations"):
        operations(idle, {"kib_per_connection": 3.0}, 1.0)


def test_all_that_is_measured_has_a_name_for_people() -> None:
    assert {one.name for one in chosen(DEFAULT)} <= set(OPERATIONS)
    chosen(",".join(OPERATIONS))  # and no name is of an unknown scenario
