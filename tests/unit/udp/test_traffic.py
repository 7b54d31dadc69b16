"""What passed, in numbers."""

from __future__ import annotations

from frpd.udp.traffic import Traffic


def test_all_losses_count_as_dropped() -> None:
    traffic = Traffic(
        datagrams_in=100,
        dropped_long=1,
        dropped_blocked=2,
        dropped_unknown=4,
        dropped_unsent=8,
        dropped_refused=16,
        refused=32,
    )
    assert traffic.dropped == 31
    assert traffic.describe() == (
        "100 datagrams in, 0 out, 31 dropped (1 too long, 2 with a full work connection,"
        " 4 for nobody, 8 not sent, 16 of visitors refused)"
    )
