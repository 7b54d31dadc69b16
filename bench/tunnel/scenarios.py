"""What is measured: one row per scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.tunnel import loads
from bench.tunnel.implementations import Tunnel, answers_http, echoes_datagrams
from bench.tunnel.settings import HOST, Proxy, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_CONNECTIONS: Final = 3000

_ECHO = Setting(Proxy("echo"))
_IPERF = Setting(Proxy("iperf"))
_WEB = Setting(Proxy("web"))
_VHOST = Setting(Proxy("web", kind="http"))
_ENCRYPTED = ("use_encryption = true",)
_COMPRESSED = ("use_compression = true",)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row.

    Attributes:
        name: as ``--only`` and the table have it.
        about: one line for people.
        figure: the figure that counts (bench.tunnel.report.FIGURES).
        setting: what the tunnel shall carry.
        measure: puts on the load.
        tools: programs it needs beside cc.
        serves: for what an implementation may lack: whether this one has it.
    """

    name: str
    about: str
    figure: str
    setting: Setting
    measure: Callable[[loads.Turn], loads.Figures]
    tools: tuple[str, ...] = ()
    serves: Callable[[Tunnel], bool] | None = None


def _bulk(name: str, about: str, setting: Setting, *options: str) -> Scenario:
    def measure(turn: loads.Turn) -> loads.Figures:
        return loads.iperf(turn, *options)

    return Scenario(name, about, "gbit_s", setting, measure, ("iperf3",))


def _poured(name: str, about: str, lines: tuple[str, ...], payload: str) -> Scenario:
    setting = Setting(Proxy("sink", lines=lines))
    return Scenario(name, about, "gbit_s", setting, lambda turn: loads.pour(turn, payload))


def _http(name: str, about: str, connections: int, *, vhost: bool, close: bool) -> Scenario:
    def measure(turn: loads.Turn) -> loads.Figures:
        return loads.http(turn, connections, vhost=vhost, close=close)

    setting, serves = (_VHOST, _serves_http) if vhost else (_WEB, None)
    return Scenario(name, about, "per_s", setting, measure, ("nginx", "wrk"), serves)


def _serves_http(tunnel: Tunnel) -> bool:
    return answers_http(tunnel.ports.vhost, HOST)


def _serves_udp(tunnel: Tunnel) -> bool:
    return echoes_datagrams(tunnel.ports.entrance)


SCENARIOS: Final = (
    Scenario("start", "both ends, until the first echo", "ready_s", _ECHO, loads.start),
    _bulk("bulk_up", "one TCP stream, visitor to service", _IPERF),
    _bulk("bulk_down", "one TCP stream, service to visitor", _IPERF, "-R"),
    _bulk("bulk_4", "four TCP streams up", _IPERF, "-P", "4"),
    _bulk("bulk_nomux", "one stream up, tcp_mux = false", Setting(Proxy("iperf"), tcp_mux=False)),
    _poured("encrypted", "one stream up, use_encryption", _ENCRYPTED, "random"),
    _poured("comp_text", "one stream of log lines up, use_compression", _COMPRESSED, "text"),
    _poured("comp_random", "one stream of random bytes up, use_compression", _COMPRESSED, "random"),
    _poured("both_text", "log lines up, encrypted, compressed", _ENCRYPTED + _COMPRESSED, "text"),
    _poured(
        "both_random", "random bytes up, encrypted, compressed", _ENCRYPTED + _COMPRESSED, "random"
    ),
    Scenario(
        "rtt_1",
        "64 B and their echo on 1 connection",
        "per_s",
        _ECHO,
        lambda turn: loads.round_trips(turn, 1),
    ),
    Scenario(
        "rtt_64",
        "64 B and their echo on 64 connections",
        "per_s",
        _ECHO,
        lambda turn: loads.round_trips(turn, 64),
    ),
    Scenario("cps", "connect, one echo, close; 32 at once", "per_s", _ECHO, loads.new_connections),
    Scenario(
        "cps_nomux",
        "the same, tcp_mux = false, pool of 50",
        "per_s",
        Setting(Proxy("echo"), tcp_mux=False, pool=50),
        loads.new_connections,
    ),
    _http("http_tcp", "GETs through a tcp proxy, 64 kept alive", 64, vhost=False, close=False),
    _http("http_vhost", "GETs to a virtual host, 64 kept alive", 64, vhost=True, close=False),
    _http("http_close", "GETs to a virtual host, closing, 32 at once", 32, vhost=True, close=True),
    Scenario(
        "udp",
        "512 B datagrams and their echoes, 8 visitors",
        "per_s",
        Setting(Proxy("echo", kind="udp")),
        loads.datagrams,
        serves=_serves_udp,
    ),
    _bulk("bulk_kcp", "one stream up, protocol = kcp", Setting(Proxy("iperf"), protocol="kcp")),
    Scenario(
        "rtt1_kcp",
        "64 B and their echo on 1 connection, protocol = kcp",
        "per_s",
        Setting(Proxy("echo"), protocol="kcp"),
        lambda turn: loads.round_trips(turn, 1),
    ),
    _bulk("bulk_quic", "one stream up, protocol = quic", Setting(Proxy("iperf"), protocol="quic")),
    Scenario(
        "rtt1_quic",
        "64 B and their echo on 1 connection, protocol = quic",
        "per_s",
        Setting(Proxy("echo"), protocol="quic"),
        lambda turn: loads.round_trips(turn, 1),
    ),
    Scenario(
        "idle",
        f"memory of {IDLE_CONNECTIONS} idle connections, both ends",
        "kib_per_connection",
        _ECHO,
        lambda turn: loads.idle(turn, IDLE_CONNECTIONS),
    ),
)
