from __future__ import annotations

from frpd.metrics.counters import ProxyCounters


def test_a_proxy_s_visitors_and_bytes_are_counted() -> None:
    counters = ProxyCounters()
    counters.opened()
    counters.opened()
    counters.closed(10, 200)
    assert counters == ProxyCounters(
        connections_open=1, connections_total=2, bytes_in=10, bytes_out=200
    )
