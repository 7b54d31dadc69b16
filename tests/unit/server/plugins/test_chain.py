"""frpd.server.plugins.chain: several plugins in order, and nobody waits for a stranger's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from frpd.config.server import ServerPluginConfig
from frpd.errors import PluginError
from frpd.proto.message.types import NewProxy
from frpd.server.plugins.chain import (
    DECISION_SECONDS,
    MAX_PER_CLIENT,
    MAX_REASON_CHARACTERS,
    MAX_UNDECIDED,
    Hooks,
)
from frpd.server.plugins.content import CLOSE_PROXY, LOGIN, NEW_PROXY
from tests.helpers.hook_server import KEEP, HookServer, Question
from tests.helpers.ports import free_port
from tests.helpers.world import FixedEntropy, World


class Office:
    """Hooks, and what was said of the questions."""

    def __init__(self, world: World, *addresses: str, ops: tuple[str, ...] = (NEW_PROXY,)) -> None:
        plugins = [
            ServerPluginConfig(name=f"p{number}", addr=address, ops=ops)
            for number, address in enumerate(addresses)
        ]
        self.world = world
        self.hooks = Hooks(world.loop, plugins, FixedEntropy())
        world.owners.callback(self.hooks.close)
        self.done: list[NewProxy] = []
        self.refused: list[str] = []

    def ask(self, name: str = "web", key: str = "me", **facts: Any) -> None:
        self.hooks.ask(
            NEW_PROXY,
            key,
            NewProxy(name),
            facts,
            on_done=self.done.append,
            on_refused=lambda error: self.refused.append(str(error)),
        )

    def until_decided(self) -> None:
        self.world.until(lambda: not self.hooks.undecided)


@pytest.fixture
def second() -> Iterator[HookServer]:
    server = HookServer()
    yield server
    server.close()


def test_only_what_is_wanted_is_asked(world: World, plugin: HookServer) -> None:
    hooks = Office(world, plugin.address).hooks
    assert (hooks.want(NEW_PROXY), hooks.want(LOGIN)) == (True, False)
    hooks.use(())
    assert not hooks.want(NEW_PROXY)


def test_each_sees_what_the_one_before_has_changed(
    world: World, plugin: HookServer, second: HookServer
) -> None:
    plugin.answer = lambda question: {"content": question.content | {"remote_port": 7}}
    second.answer = lambda question: {"content": question.content | {"subdomain": "x"}}
    office = Office(world, plugin.address, second.address)
    office.ask(user={"user": "bob"})
    office.until_decided()
    assert office.done == [NewProxy("web", remote_port=7, subdomain="x")]
    (question,) = second.questions
    assert question.content == {"proxy_name": "web", "remote_port": 7, "user": {"user": "bob"}}
    ids = {asked.headers["X-Frp-Reqid"] for asked in plugin.questions + second.questions}
    assert len(ids) == 1


def test_the_first_no_is_the_last_word(
    world: World, plugin: HookServer, second: HookServer
) -> None:
    plugin.answer = lambda _: {"reject": True, "reject_reason": "not today"}
    office = Office(world, plugin.address, second.address)
    office.ask()
    office.until_decided()
    assert (office.done, office.refused, second.questions) == ([], ["not today"], [])


def test_a_reason_has_to_fit_into_a_message(world: World, plugin: HookServer) -> None:
    plugin.answer = lambda _: {"reject": True, "reject_reason": "x" * (MAX_REASON_CHARACTERS + 1)}
    office = Office(world, plugin.address)
    office.ask()
    office.until_decided()
    assert office.refused == ["x" * MAX_REASON_CHARACTERS]


def test_an_empty_content_wipes_the_message(world: World, plugin: HookServer) -> None:
    plugin.answer = lambda _: {}
    office = Office(world, plugin.address)
    office.ask()
    office.until_decided()
    assert office.done == [NewProxy()]


def test_who_cannot_be_asked_has_said_no_and_the_log_tells_why(
    world: World, plugin: HookServer, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.answer = lambda _: {"content": {"remote_port": "x"}}
    office = Office(world, plugin.address)
    office.ask()
    office.until_decided()
    assert office.refused == ["send NewProxy request to plugin error"]
    assert "plugin [p0] error: NewProxy: remote_port" in caplog.text


def test_the_end_of_a_proxy_is_told_to_all_whatever_they_say(
    world: World, plugin: HookServer
) -> None:
    office = Office(world, f"127.0.0.1:{free_port()}", plugin.address, ops=(CLOSE_PROXY,))
    plugin.answer = lambda _: {"reject": True}
    office.hooks.tell_closed("me", "web", {"user": {}})
    office.until_decided()
    assert [asked.content for asked in plugin.questions] == [{"proxy_name": "web", "user": {}}]


def test_a_plugin_that_is_slow_about_one_client_is_not_slow_about_others(
    world: World, plugin: HookServer
) -> None:
    plugin.gate.clear()
    office = Office(world, plugin.address)
    for number in range(MAX_PER_CLIENT + 2):
        office.ask(f"{number}", key="slow")
    world.until(lambda: len(plugin.questions) == MAX_PER_CLIENT)
    office.ask("quick", key="other")
    world.until(lambda: len(plugin.questions) == MAX_PER_CLIENT + 1)
    assert plugin.questions[-1].content["proxy_name"] == "quick"
    plugin.gate.set()
    office.until_decided()
    assert (len(office.done), office.refused) == (MAX_PER_CLIENT + 3, [])


def test_no_answer_in_time_is_a_no(world: World, plugin: HookServer) -> None:
    plugin.gate.clear()
    office = Office(world, plugin.address)
    for _ in range(MAX_PER_CLIENT + 1):
        office.ask()
    world.until(lambda: len(plugin.questions) == MAX_PER_CLIENT)
    world.advance(DECISION_SECONDS + 1)
    assert office.refused == ["send NewProxy request to plugin error"] * (MAX_PER_CLIENT + 1)
    assert office.hooks.undecided == 0


def test_too_many_questions_are_refused(world: World, plugin: HookServer) -> None:
    plugin.gate.clear()
    office = Office(world, plugin.address)
    for _ in range(MAX_UNDECIDED + 1):
        office.ask()
    world.turn(2)
    assert len(office.refused) == 1


def test_a_cancelled_question_is_answered_to_nobody(world: World, plugin: HookServer) -> None:
    office = Office(world, plugin.address)
    asked: list[Question] = []

    def answer(question: Question) -> dict[str, Any]:
        asked.append(question)
        return KEEP

    plugin.answer = answer
    fate: list[object] = []
    decision = office.hooks.ask(
        NEW_PROXY, "me", NewProxy("a"), {}, on_done=fate.append, on_refused=fate.append
    )
    decision.cancel()
    office.until_decided()
    assert fate == []


def test_at_the_end_all_are_refused(world: World, plugin: HookServer) -> None:
    plugin.gate.clear()
    office = Office(world, plugin.address)
    for _ in range(MAX_PER_CLIENT + 1):
        office.ask()
    office.hooks.close()
    office.hooks.close()
    assert office.refused == [str(PluginError("the server stops"))] * (MAX_PER_CLIENT + 1)
