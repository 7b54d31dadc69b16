"""ProxyTable: phases, retries and log lines, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from frpd.client.proxies.base import ServesWork
from frpd.client.proxy_table import Phase, ProxyTable, new_proxy_message
from frpd.client.reload import diff
from frpd.config.kinds import parse_bandwidth
from frpd.config.params import Params
from frpd.config.proxies import (
    HttpProxyConfig,
    ProxyConfig,
    StcpProxyConfig,
    TcpProxyConfig,
    UdpProxyConfig,
)
from frpd.config.secret import Secret
from frpd.errors import ProxyError
from frpd.log import get_logger
from frpd.metrics.counters import ProxyCounters
from frpd.proto.message.types import CloseProxy, NewProxy, NewProxyResp, StartWorkConn
from frpd.transports.work import WorkStream


class Nobody:
    """Satisfies ServesWork."""

    counters = ProxyCounters()

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        pytest.fail("no work is expected")

    def retire(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing to close."""


def server_of(config: ProxyConfig) -> ServesWork:
    if config.proxy_type == "tcp":
        return Nobody()
    raise ProxyError(f"proxy type [{config.proxy_type}] is not supported yet")


class Desk:
    """A table, and what it asked the server for."""

    def __init__(self, configs: Sequence[ProxyConfig]) -> None:
        self.configs: Sequence[ProxyConfig] = configs
        self.table = ProxyTable(configs, server_of, get_logger("frpd.client"))
        self.sent: list[NewProxy | CloseProxy] = []

    def phase(self, name: str) -> Phase:
        return self.table.entries[name].phase

    def answer(self, name: str, error: str = "", now: float = 0.0) -> None:
        self.table.answered(NewProxyResp(name, "" if error else ":6000", error), now)

    def reload(self, *configs: ProxyConfig, online: bool = True) -> list[str]:
        """Return the names of the entries that went."""
        changes = diff(self.configs, configs)
        self.configs = configs
        send = self.sent.append if online else None
        return [entry.config.name for entry in self.table.reload(configs, changes, send, 7.0)]

    def run(self) -> None:
        """Have all of them running."""
        self.table.register(self.sent.append, 0.0)
        for config in self.configs:
            self.answer(config.name)
        self.sent.clear()

    def names(self) -> list[str]:
        names = [message.proxy_name for message in self.sent]
        self.sent.clear()
        return names


WEB = TcpProxyConfig(name="user.web", section="web", local_port=80, remote_port=6000)
SSH = TcpProxyConfig(name="user.ssh", section="ssh", local_port=22)


@pytest.fixture
def desk() -> Desk:
    return Desk([WEB, SSH])


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{getattr(r, 'prefix', '')}{r.getMessage()}" for r in caplog.records]


def test_every_proxy_is_asked_for_in_file_order(desk: Desk) -> None:
    assert desk.phase("user.web") is Phase.NEW
    desk.table.register(desk.sent.append, 0.0)
    assert desk.names() == ["user.web", "user.ssh"]
    assert desk.phase("user.web") is Phase.WAIT_START


def test_a_good_answer_starts_the_proxy_and_says_so_by_its_bare_name(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.web")
    assert desk.phase("user.web") is Phase.RUNNING
    assert desk.table.entries["user.web"].remote_addr == ":6000"
    assert lines(caplog) == ["[web] start proxy success"]
    running = desk.table.running("user.web")
    assert running is desk.table.entries["user.web"]
    assert desk.table.running("user.ssh") is None
    assert desk.table.running("nobody") is None


def test_a_refused_proxy_is_asked_for_again_after_thirty_seconds(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.web")
    desk.answer("user.ssh", "port not allowed", now=5.0)
    assert desk.phase("user.ssh") is Phase.START_ERROR
    assert desk.table.entries["user.ssh"].error == "port not allowed"
    assert lines(caplog) == ["[ssh] start error: port not allowed"]
    desk.names()
    assert desk.table.next_retry() == 35.0
    desk.table.retry(desk.sent.append, 34.9)
    assert desk.names() == []
    desk.table.retry(desk.sent.append, 35.0)
    assert desk.names() == ["user.ssh"]
    assert desk.table.next_retry() == 55.0
    desk.answer("user.ssh")
    assert desk.table.entries["user.ssh"].error == ""
    assert desk.table.next_retry() is None


def test_an_unanswered_proxy_is_asked_for_again_after_twenty_seconds(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.web")
    desk.names()
    assert desk.table.next_retry() == 20.0
    desk.table.retry(desk.sent.append, 20.0)
    assert desk.names() == ["user.ssh"]


def test_a_second_answer_does_not_stop_a_proxy_that_runs(desk: Desk) -> None:
    """A slow server answers both requests: yes, and then that the name is in use."""
    desk.table.register(desk.sent.append, 0.0)
    desk.table.retry(desk.sent.append, 20.0)
    desk.answer("user.web")
    desk.answer("user.web", "proxy name [user.web] is already in use")
    assert desk.phase("user.web") is Phase.RUNNING


def test_answers_for_others_are_ignored(desk: Desk) -> None:
    desk.answer("of somebody else")
    desk.answer("user.web")  # nobody had asked
    assert desk.phase("user.web") is Phase.NEW


def test_without_a_session_nothing_runs_and_the_next_one_asks_again(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.web")
    desk.names()
    desk.table.session_lost(0.0)
    assert desk.phase("user.web") is Phase.CLOSED
    assert desk.table.running("user.web") is None
    assert desk.table.next_retry() is None
    desk.table.register(desk.sent.append, 100.0)
    assert desk.names() == ["user.web", "user.ssh"]


def test_a_type_that_we_do_not_have_is_said_once_and_never_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk([UdpProxyConfig(name="dns", section="dns"), SSH])
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.ssh", "port not allowed")
    desk.table.retry(desk.sent.append, 30.0)
    assert desk.names() == ["user.ssh", "user.ssh"]
    assert desk.phase("dns") is Phase.START_ERROR
    said = [line for line in lines(caplog) if "not supported" in line]
    assert len(said) == 1
    assert said[0].startswith("[dns] start error: proxy type")


MOVED = replace(WEB, remote_port=7000)
MAIL = TcpProxyConfig(name="user.mail", section="mail", local_port=25)


def close(name: str) -> CloseProxy:
    return CloseProxy(proxy_name=name)


def test_a_reload_touches_only_what_differs_and_frees_before_it_takes(desk: Desk) -> None:
    desk.run()
    ssh = desk.table.entries["user.ssh"]
    gone = desk.reload(MAIL, SSH, MOVED)
    assert gone == ["user.web"]
    assert desk.sent == [
        close("user.web"),
        new_proxy_message(MOVED),
        new_proxy_message(MAIL),
    ]
    assert list(desk.table.entries) == ["user.mail", "user.ssh", "user.web"]
    assert desk.table.entries["user.ssh"] is ssh
    assert desk.phase("user.ssh") is Phase.RUNNING
    assert desk.phase("user.web") is Phase.WAIT_START
    assert desk.table.entries["user.web"].since == 7.0


def test_a_removed_proxy_is_closed_and_forgotten(desk: Desk) -> None:
    desk.run()
    assert desk.reload(SSH) == ["user.web"]
    assert desk.sent == [close("user.web")]
    assert desk.table.running("user.web") is None
    assert list(desk.table.entries) == ["user.ssh"]


def test_a_proxy_that_was_refused_needs_no_closing(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.web", "port not allowed")
    desk.answer("user.ssh")
    desk.sent.clear()
    desk.reload(SSH)
    assert desk.sent == []


def test_a_proxy_that_waits_for_its_answer_is_closed_all_the_same(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.answer("user.ssh")
    desk.sent.clear()
    desk.reload(SSH)
    assert desk.sent == [close("user.web")]
    desk.answer("user.web")
    assert "user.web" not in desk.table.entries


@pytest.mark.parametrize("late", ["", "port not allowed"])
def test_a_late_answer_to_the_old_settings_is_not_taken_for_one_to_the_new(
    desk: Desk, late: str
) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.reload(MOVED, SSH)
    desk.answer("user.web", late)
    assert desk.phase("user.web") is Phase.WAIT_START
    desk.answer("user.web", "port already used")
    assert desk.phase("user.web") is Phase.START_ERROR
    assert desk.table.entries["user.web"].error == "port already used"


def test_a_visitor_may_overtake_the_answer_but_not_a_change_of_settings(desk: Desk) -> None:
    assert desk.table.visited("user.web") is None
    desk.table.register(desk.sent.append, 0.0)
    assert desk.table.visited("user.web") is desk.table.entries["user.web"]
    desk.reload(MOVED, SSH)
    assert desk.table.visited("user.web") is None  # it may be for the old ones
    desk.answer("user.web")
    desk.answer("user.web")
    assert desk.table.visited("user.web") is not None
    desk.table.session_lost(1.0)
    assert desk.table.visited("user.web") is None
    desk.table.register(desk.sent.append, 2.0)
    assert desk.table.visited("user.web") is not None
    desk.answer("user.web", "port not allowed")
    assert desk.table.visited("user.web") is None
    assert desk.table.visited("nobody") is None


def test_answers_of_several_incarnations_are_told_apart(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.reload(MOVED, SSH)
    desk.reload(SSH)
    desk.reload(WEB, SSH)
    for error in ("", "port already used"):
        desk.answer("user.web", error)
        assert desk.phase("user.web") is Phase.WAIT_START
    desk.answer("user.web")
    assert desk.phase("user.web") is Phase.RUNNING
    desk.reload(MOVED, SSH)
    desk.answer("user.web")
    assert desk.phase("user.web") is Phase.RUNNING


def test_a_request_made_twice_has_two_late_answers(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.table.retry(desk.sent.append, 20.0)
    desk.reload(MOVED, SSH)
    desk.answer("user.web")
    desk.answer("user.web", "proxy name [user.web] is already in use")
    assert desk.phase("user.web") is Phase.WAIT_START
    desk.answer("user.web")
    assert desk.phase("user.web") is Phase.RUNNING


def test_a_new_session_owes_no_answers_to_the_old_one(desk: Desk) -> None:
    desk.table.register(desk.sent.append, 0.0)
    desk.reload(MOVED, SSH)
    desk.table.session_lost(1.0)
    desk.table.register(desk.sent.append, 2.0)
    desk.answer("user.web")
    assert desk.phase("user.web") is Phase.RUNNING


def test_answers_that_nobody_asked_for_are_not_owed(desk: Desk) -> None:
    for _ in range(3):
        desk.answer("user.mail")
    desk.run()
    desk.reload(WEB, SSH, MAIL)
    desk.answer("user.mail")
    assert desk.phase("user.mail") is Phase.RUNNING


def test_without_a_session_a_reload_changes_the_table_only(desk: Desk) -> None:
    assert desk.reload(MOVED, MAIL, online=False) == ["user.ssh", "user.web"]
    assert desk.sent == []
    assert desk.phase("user.mail") is Phase.NEW
    desk.table.register(desk.sent.append, 0.0)
    assert desk.sent == [new_proxy_message(MOVED), new_proxy_message(MAIL)]


def test_what_a_reload_brought_is_asked_for_again_when_it_is_refused(desk: Desk) -> None:
    desk.run()
    desk.reload(WEB, SSH, MAIL)
    desk.answer("user.mail", "port already used", now=10.0)
    desk.names()
    desk.table.retry(desk.sent.append, 40.0)
    assert desk.names() == ["user.mail"]


def test_a_reload_may_bring_what_cannot_be_served(desk: Desk) -> None:
    desk.run()
    desk.reload(WEB, SSH, UdpProxyConfig(name="dns", section="dns"))
    assert desk.sent == []
    assert desk.phase("dns") is Phase.START_ERROR
    desk.reload(WEB, SSH)
    assert desk.sent == []


def test_the_request_carries_what_the_server_needs() -> None:
    config = TcpProxyConfig(
        name="user.web",
        section="web",
        remote_port=6000,
        use_encryption=True,
        use_compression=True,
        group="g",
        group_key=Secret("k"),
        metas=Params({"a": "b"}),
    )
    assert new_proxy_message(config) == NewProxy(
        proxy_name="user.web",
        proxy_type="tcp",
        remote_port=6000,
        use_encryption=True,
        use_compression=True,
        group="g",
        group_key="k",
        metas={"a": "b"},
    )


@pytest.mark.parametrize(
    ("group", "strategy", "told"),
    [
        ("g", "round_robin", ""),
        ("g", "source_hash", "source_hash"),
        ("", "source_hash", ""),
    ],
)
def test_a_strategy_is_told_when_it_is_not_the_usual_one(
    group: str, strategy: str, told: str
) -> None:
    config = TcpProxyConfig(name="a", section="a", group=group, group_strategy=strategy)
    assert new_proxy_message(config).group_strategy == told


def test_a_type_s_own_settings_are_told() -> None:
    http = HttpProxyConfig(
        name="web",
        section="web",
        custom_domains=("a.example", "b.example"),
        subdomain="www",
        locations=("/", "/api"),
        http_user="guest",
        http_pwd=Secret("pass"),
        route_by_http_user="alice",
        host_header_rewrite="inside.example",
        headers=Params({"X-From-Where": "frp"}),
    )
    assert new_proxy_message(http) == NewProxy(
        proxy_name="web",
        proxy_type="http",
        custom_domains=["a.example", "b.example"],
        subdomain="www",
        locations=["/", "/api"],
        http_user="guest",
        http_pwd="pass",
        route_by_http_user="alice",
        host_header_rewrite="inside.example",
        headers={"X-From-Where": "frp"},
    )
    stcp = StcpProxyConfig(name="s", section="s", sk=Secret("key"), allow_users=("*",))
    assert new_proxy_message(stcp) == NewProxy(
        proxy_name="s", proxy_type="stcp", sk="key", allow_users=["*"]
    )


@pytest.mark.parametrize(
    ("mode", "told", "here"), [("client", "", 1024 * 1536), ("server", "server", 0)]
)
def test_the_server_is_told_of_a_limit_and_of_who_keeps_it_unless_we_do(
    mode: str, told: str, here: int
) -> None:
    limit = parse_bandwidth("1.5MB")
    assert limit is not None
    config = TcpProxyConfig(name="a", section="a", bandwidth_limit=limit, bandwidth_limit_mode=mode)
    message = new_proxy_message(config)
    assert (message.bandwidth_limit, message.bandwidth_limit_mode) == ("1.5MB", told)
    assert config.client_bytes_per_second == here
