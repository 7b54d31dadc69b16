"""frpd.server.plugins.hook: one question by HTTP, and what may go wrong with it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from frpd.config.server import ServerPluginConfig
from frpd.errors import PluginError
from frpd.server.plugins.content import LOGIN, Verdict
from frpd.server.plugins.hook import MAX_ANSWER_BYTES, Hook
from tests.helpers.authority import Authority
from tests.helpers.clock import MockClock
from tests.helpers.hook_server import HookServer
from tests.helpers.ports import free_port

HookOf = Callable[..., Hook]
KEPT = Verdict(reject=False, reason="", changed=None)


@pytest.fixture
def hook_of() -> Iterator[HookOf]:
    with ExitStack() as made:

        def make(addr: str, path: str = "/handler", *, verify: bool = False) -> Hook:
            config = ServerPluginConfig(
                name="h", addr=addr, path=path, ops=(LOGIN,), tls_verify=verify
            )
            return made.enter_context(closing(Hook(config, MockClock())))

        yield make


def ask(hook: Hook, seconds: float = 30.0) -> Verdict:
    return hook.ask(LOGIN, {"user": "ü"}, "0123456789abcdef", hook._clock.now() + seconds)


def test_a_question_looks_like_frp_s(hook_of: HookOf, plugin: HookServer) -> None:
    assert ask(hook_of(plugin.address)) == KEPT
    (question,) = plugin.questions
    assert question.path == "/handler?version=0.1.0&op=Login"
    assert question.body == {"version": "0.1.0", "op": "Login", "content": {"user": "ü"}}
    assert question.headers["X-Frp-Reqid"] == "0123456789abcdef"
    assert question.headers["Content-Type"] == "application/json"


def test_the_next_question_takes_the_same_connection(hook_of: HookOf, plugin: HookServer) -> None:
    hook = hook_of(f"http://{plugin.address}", "/a?b=c")
    ask(hook)
    ask(hook)
    first, second = plugin.questions
    assert first.connection == second.connection
    assert first.path == "/a?b=c&version=0.1.0&op=Login"


def test_a_connection_that_was_closed_meanwhile_is_made_anew(
    hook_of: HookOf, plugin: HookServer
) -> None:
    hook = hook_of(plugin.address)
    ask(hook)
    (kept,) = hook._idle
    kept.sock.shutdown(socket.SHUT_RDWR)
    assert ask(hook) == KEPT
    (fresh,) = hook._idle
    assert fresh is not kept


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (500, "do http request error code: 500"),
        (302, "do http request error code: 302"),
        (b"<html>", "the answer is not JSON"),
        (b" " * (MAX_ANSWER_BYTES + 1), "its answer is longer than"),
    ],
)
def test_what_is_no_answer(
    hook_of: HookOf, plugin: HookServer, answer: bytes | int, reason: str
) -> None:
    plugin.answer = lambda _: answer
    hook = hook_of(plugin.address)
    with pytest.raises(PluginError, match=reason):
        ask(hook)
    plugin.answer = lambda _: {"unchange": True}
    assert ask(hook) == KEPT


def test_nobody_there(hook_of: HookOf) -> None:
    with pytest.raises(PluginError, match="refused"):
        ask(hook_of(f"127.0.0.1:{free_port()}"))


def test_who_does_not_answer_is_given_up(hook_of: HookOf, plugin: HookServer) -> None:
    plugin.gate.clear()
    with pytest.raises(PluginError, match="timed out"):
        ask(hook_of(plugin.address), seconds=0.05)
    with pytest.raises(PluginError, match="no answer in time"):
        ask(hook_of(plugin.address), seconds=-1.0)


def test_https_with_and_without_a_check(
    hook_of: HookOf, plugin: HookServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    plugin.use_tls(context)
    addr = f"https://{plugin.address}"
    assert ask(hook_of(addr)) == KEPT
    with pytest.raises(PluginError, match="certificate"):
        ask(hook_of(addr, verify=True))
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)
    assert ask(hook_of(addr, verify=True)) == KEPT
