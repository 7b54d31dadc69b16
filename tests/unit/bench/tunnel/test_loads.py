from __future__ import annotations

import json

import pytest

from bench.tunnel.loads import output_of, parse_iperf, parse_wrk
from bench.tunnel.processes import MeasurementError

WRK = """Running 1s test @ http://127.0.0.1:80/
  1 threads and 64 connections
  Latency Distribution
     50%  639.00us
     75%    1.00ms
     99%    2.50ms
  4000 requests in 1.00s, 0.6MB read
"""
RATE = "Requests/sec:   3999.50\n"


def test_wrk_times_are_read_in_microseconds() -> None:
    figures = parse_wrk(WRK + RATE)
    assert figures == {
        "per_s": 3999.5,
        "count": 4000.0,
        "p50_us": 639.0,
        "p99_us": 2500.0,
        "errors": 0.0,
    }


def test_wrk_socket_errors_are_counted() -> None:
    text = WRK + "  Socket errors: connect 1, read 2, write 0, timeout 4\n" + RATE
    assert parse_wrk(text)["errors"] == 7.0


def test_a_run_of_refusals_is_no_result() -> None:
    with pytest.raises(MeasurementError, match="4000 of 4000"):
        parse_wrk(WRK + "  Non-2xx or 3xx responses: 4000\n" + RATE)


@pytest.mark.parametrize("text", ["", WRK, WRK.replace("4000", "0") + RATE])
def test_wrk_without_answers_is_no_result(text: str) -> None:
    with pytest.raises(MeasurementError, match="no answers"):
        parse_wrk(text)


def test_iperf_counts_what_arrived() -> None:
    answer = {
        "end": {
            "sum_sent": {"bytes": 9, "bits_per_second": 9e9},
            "sum_received": {"bytes": 5, "bits_per_second": 4e9},
        }
    }
    assert parse_iperf(json.dumps(answer)) == {"gbit_s": 4.0, "bytes": 5}


def test_what_iperf_complains_of_is_told() -> None:
    with pytest.raises(MeasurementError, match="no route"):
        parse_iperf('{"error": "no route"}')


def test_a_load_that_fails_says_why() -> None:
    with pytest.raises(MeasurementError, match=r"^sh failed: out of luck$"):
        output_of(["/bin/sh", "-c", "echo out of luck >&2; exit 3"], 1)
