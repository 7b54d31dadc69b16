"""Chaos of networks: a far client's wire is cut, half cut, bad or blind, under checked traffic."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import wait_until
from tests.helpers.wire import need_wires
from tests.helpers.wired import CARRIERS, ELSEWHERE, HEARTBEATS, PORTS, Wired, wired

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

# Of connections that our own visitors give up halfway asyncio leaves some to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

BACK_SECONDS = 30.0
"""Bound for everything to be back, on a busy machine; the figures are in docs/reliability.md."""
SHORT_SECONDS = 1.5
"""A hole that no heartbeat notices."""
LONG_SECONDS = HEARTBEATS["heartbeat_timeout"] + 4.0
SPARE_FILES = 12
"""Work connections in stock."""
PATIENT = {"heartbeat_timeout": 30}
_no_quic = pytest.mark.skipif(
    importlib.util.find_spec("aioquic") is None, reason="aioquic is not installed"
)
EACH = pytest.mark.parametrize(
    "carrier", [pytest.param(one, marks=_no_quic if one == "quic" else ()) for one in CARRIERS]
)
CUTS = pytest.mark.parametrize(
    "cut",
    [{"cut_there": True, "cut_back": True}, {"cut_there": True}, {"cut_back": True}],
    ids=["both", "there", "back"],
)


@pytest.fixture(autouse=True)
def _wires() -> None:
    need_wires()


def pause(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


def back(lab: Wired, record: Record, name: str = "seconds_until_back") -> float:
    """Wait until all comes back; record the seconds."""
    seconds = lab.traffic.wait_until_back(BACK_SECONDS)
    record(name, round(seconds, 1))
    return seconds


def test_a_cut_longer_than_heartbeats_is_heard_of_and_healed(
    stage: Stage, record_property: Record
) -> None:
    with wired(stage, "mux") as lab, lab.visit() as visitor:
        lab.wire.be(cut_there=True, cut_back=True)
        record_property("seconds_until_heard", round(lab.until_over(visitor, BACK_SECONDS), 1))
        lab.programs["frpc"].wait_for("session with the server lost: no heartbeat")
        lab.wire.be()
        back(lab, record_property)


@pytest.mark.full
@EACH
@CUTS
def test_after_a_long_black_hole_all_is_back(
    stage: Stage, carrier: str, cut: dict[str, bool], record_property: Record
) -> None:
    with wired(stage, carrier) as lab:
        first = lab.rest()
        with lab.visit() as visitor:
            lab.wire.be(**cut)
            begun = time.monotonic()
            record_property("seconds_until_heard", round(lab.until_over(visitor, BACK_SECONDS), 1))
            pause(LONG_SECONDS - (time.monotonic() - begun))
        lab.wire.be()
        back(lab, record_property)
        record_property("grown", lab.check_leaks(first, SPARE_FILES))
        assert lab.logins() > 1


@pytest.mark.full
@EACH
@CUTS
def test_a_short_black_hole_cuts_nobody(
    stage: Stage, carrier: str, cut: dict[str, bool], record_property: Record
) -> None:
    with (
        wired(stage, carrier, server=PATIENT, client=PATIENT) as lab,
        lab.visit() as visitor,
    ):
        lab.wire.be(**cut)
        visitor.sendall(b"into the dark")
        pause(SHORT_SECONDS)
        lab.wire.be()
        begun = time.monotonic()
        assert visitor.recv(100) == b"into the dark"
        record_property("seconds_until_answer", round(time.monotonic() - begun, 1))
        back(lab, record_property)
        assert lab.logins() == 1


@pytest.mark.full
@EACH
@pytest.mark.parametrize("moved", [False, True], ids=["same address", "another address"])
def test_a_machine_that_vanished_is_forgotten_and_finds_its_ports_free(
    stage: Stage, carrier: str, moved: bool, record_property: Record
) -> None:
    with wired(stage, carrier) as lab:
        first = lab.rest()
        lab.wire.be(cut_there=True, cut_back=True)
        lab.programs["frpc"].kill()
        begun = time.monotonic()
        port = f"tcp/{PORTS['tcp']}"
        wait_until(lambda: port not in lab.listens("frps"), "the port is free", BACK_SECONDS)
        record_property("seconds_until_forgotten", round(time.monotonic() - begun, 1))
        if moved:
            lab.ip(lab.client, "address flush dev wire0")
            lab.ip(lab.client, f"address add {ELSEWHERE}/24 dev wire0")
        lab.wire.be()
        lab.start("frpc")
        back(lab, record_property)
        del first["frpc"]  # another process
        record_property("grown", lab.check_leaks(first, SPARE_FILES))


@pytest.mark.full
@pytest.mark.timeout(180)
@EACH
def test_a_bad_wire_spoils_no_byte(stage: Stage, carrier: str, record_property: Record) -> None:
    with wired(stage, carrier, server=PATIENT, client=PATIENT) as lab:
        lab.wire.be(delay=40, jitter=5, loss=5, twice=2, overtakes=2)
        good = {name: channel.good for name, channel in lab.traffic.channels.items()}
        pause(60)
        moved = {name: one.good - good[name] for name, one in lab.traffic.channels.items()}
        record_property("transfers", moved)
        lab.traffic.check()
        assert all(moved.values()), moved
        lab.wire.be()
        back(lab, record_property)
        assert lab.logins() == 1
