"""VisitorTable: all visitors start and stop together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.client.nathole.answers import Answers
from frpd.client.proxy_table import Phase
from frpd.client.reload import diff
from frpd.client.visitors.base import Session, Visitor
from frpd.client.visitors.table import VisitorTable
from frpd.config.visitors import StcpVisitorConfig, VisitorConfig, XtcpVisitorConfig
from frpd.metrics.counters import ProxyCounters
from frpd.proto.message.types import Message
from frpd.proto.seal_session import SessionSeal
from frpd.transports.base import OnEndpoint, OnFailed


class Noted:
    """A visitor that notes what it is told."""

    def __init__(self) -> None:
        self.counters = ProxyCounters()
        self.phase = Phase.NEW
        self.error = ""
        self.told: list[object] = []

    def start(self, session: Session) -> None:
        self.told.append(session)

    def stop(self) -> None:
        self.told.append("stop")

    def close(self) -> None:
        self.told.append("close")


class NoSession:
    run_id = "abc"
    features: frozenset[str] = frozenset()
    server_version = ""
    server_udp: tuple[str, int] | None = None
    answers: Answers
    seal: SessionSeal | None = None

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        raise AssertionError

    def send(self, message: Message) -> None:
        raise AssertionError


def test_all_that_can_be_served_start_and_stop_with_the_session() -> None:
    made: list[Noted] = []

    def build(config: VisitorConfig) -> Visitor | None:
        if config.visitor_type != "stcp":
            return None
        made.append(Noted())
        return made[-1]

    configs = [
        StcpVisitorConfig(name="u.one", section="one", server_name="u.x"),
        XtcpVisitorConfig(name="u.odd", section="odd", server_name="u.x"),
        StcpVisitorConfig(name="u.two", section="two", server_name="u.x"),
    ]
    table = VisitorTable(configs, build)
    assert {name: entry.visitor is None for name, entry in table.entries.items()} == {
        "u.one": False,
        "u.odd": True,
        "u.two": False,
    }
    session = NoSession()
    table.start(session)
    table.stop()
    table.close()
    assert [visitor.told for visitor in made] == [[session, "stop", "close"]] * 2


def server(name: str) -> StcpVisitorConfig:
    return StcpVisitorConfig(name=name, section=name, server_name="x", bind_port=9000)


@pytest.mark.parametrize("session", [NoSession(), None], ids=["online", "offline"])
def test_a_reload_closes_all_that_go_before_it_starts_others(session: Session | None) -> None:
    told: list[tuple[str, object]] = []

    class Teller(Noted):
        def __init__(self, config: VisitorConfig) -> None:
            super().__init__()
            self.name = f"{config.name}:{config.bind_port}"

        def start(self, session: Session) -> None:
            told.append((self.name, session))

        def close(self) -> None:
            told.append((self.name, "close"))

    old = [server("keep"), server("move"), server("go")]
    new = [server("come"), replace(old[1], bind_port=9001), old[0]]
    table = VisitorTable(old, Teller)
    kept = table.entries["keep"]
    table.reload(new, diff(old, new), session)
    assert list(table.entries) == ["come", "move", "keep"]
    assert table.entries["keep"] is kept
    closed = [("go:9000", "close"), ("move:9000", "close")]
    started = [("come:9000", session), ("move:9001", session)]
    assert told == (closed + started if session else closed)
