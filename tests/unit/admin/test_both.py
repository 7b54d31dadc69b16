"""frpd.admin.both: what frps and frpc have in common."""

from __future__ import annotations

import os

import pytest

from frpd import __version__, log
from frpd.admin import both
from frpd.admin.access import ControlGate
from frpd.admin.web_app import AdminApp
from frpd.clock import unix_now
from frpd.net.stream import SocketEnds
from frpd.net.tcp_info import TcpInfo
from frpd.proto.native import SEAL
from tests.helpers.world import World
from tests.unit.admin.wsgi import Caller


@pytest.fixture
def app() -> AdminApp:
    return AdminApp(lambda _environ: ControlGate())


def test_a_program_says_which_it_is_and_since_when() -> None:
    about = both.about("frps", unix_now() - 10.0, "/etc/frp/frps.ini")
    assert about["config_file"] == "/etc/frp/frps.ini"
    assert (about["program"], about["version"], about["pid"]) == ("frps", __version__, os.getpid())
    assert isinstance(about["uptime_seconds"], float)
    assert 9 <= about["uptime_seconds"] < 1000
    assert about["log_level"] == log.level()


def test_figures_of_the_loop(world: World) -> None:
    world.turn(3)
    assert both.loop_figures(world.loop)["turns"] == 3


def test_round_trips_are_null_where_nobody_knows_them() -> None:
    nothing = {"rtt_ms": None, "retransmits": None}
    assert both.tcp_figures(None) == both.tcp_figures(SocketEnds("a:1", "b:2")) == nothing
    known = SocketEnds("a:1", "b:2", TcpInfo(1.5, 3))
    assert both.tcp_figures(known) == {"rtt_ms": 1.5, "retransmits": 3}


def test_round_trips_are_for_few_connections(app: AdminApp) -> None:
    app.get("/n", both.conns_asked_for)
    call = Caller(app)
    assert call.get("/n").json == [1000, False]
    assert call.get("/n?limit=7").json == [7, False]
    assert call.get("/n?limit=201&tcp=1").json == [both.MAX_TCP_CONNS, True]
    assert call.get("/n?tcp=1&limit=x").status == 400


def test_protocols_in_words() -> None:
    assert both.speaks((), "0.21.0") == "frp 0.21.0, legacy cipher"
    assert both.speaks(("half-close",), "0.51.3") == "frpd, legacy cipher"
    assert both.speaks((SEAL,), "0.51.3") == "frpd, sealed"
    assert both.weaknesses((SEAL,), tls=False) == both.weaknesses((), tls=True) == []
    assert len(both.weaknesses((), tls=False)) == 2
