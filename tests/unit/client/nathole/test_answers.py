"""Answers: questions to the server, each with its answer."""

from __future__ import annotations

import pytest

from frpd.client.nathole import answers as answers_module
from frpd.client.nathole.answers import ANSWER_SECONDS, Answers, Question
from frpd.entropy import SystemEntropy
from frpd.errors import LimitError
from frpd.proto.message.types import NatHoleResp, NatHoleVisitor
from tests.helpers.world import World


class Asked:
    """One questioner's view."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[Question] = []
        self.got: list[NatHoleResp] = []
        self.failed: list[str] = []
        self.answers = Answers(world.loop, self.sent.append, SystemEntropy())

    def ask(self) -> str:
        self.answers.ask(
            NatHoleVisitor(proxy_name="vault"),
            self.got.append,
            lambda error: self.failed.append(str(error)),
        )
        return self.sent[-1].transaction_id


def test_each_answer_finds_its_question_whatever_the_order(world: World) -> None:
    asked = Asked(world)
    first, second = asked.ask(), asked.ask()
    assert first != second
    assert asked.answers.answered(NatHoleResp(second, sid="2"))
    assert asked.answers.answered(NatHoleResp(first, sid="1"))
    assert [answer.sid for answer in asked.got] == ["2", "1"]
    assert not asked.answers.answered(NatHoleResp(first))
    assert not asked.answers.answered(NatHoleResp("a stranger's"))
    assert world.loop.timer_count == 0


def test_who_gets_no_answer_in_time_hears_so_once(world: World) -> None:
    asked = Asked(world)
    name = asked.ask()
    world.advance(ANSWER_SECONDS)
    assert asked.failed == ["no answer from the server within 5 s"]
    assert not asked.answers.answered(NatHoleResp(name))


def test_the_end_of_the_session_fails_who_waits_and_takes_no_more(world: World) -> None:
    asked = Asked(world)
    asked.ask()
    asked.answers.close()
    asked.answers.close()
    assert asked.failed == ["the session with the server has ended"]
    with pytest.raises(LimitError, match="ended"):
        asked.ask()


def test_a_cancelled_question_is_forgotten(world: World) -> None:
    asked = Asked(world)
    asking = asked.answers.ask(
        NatHoleVisitor(), asked.got.append, lambda error: asked.failed.append(str(error))
    )
    asking.cancel()
    asking.cancel()
    world.advance(ANSWER_SECONDS)
    assert not asked.answers.answered(NatHoleResp(asked.sent[0].transaction_id))
    assert not asked.got
    assert not asked.failed


def test_only_so_many_may_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MAX_ASKED", 2)
    asked = Asked(world)
    asked.ask()
    asked.ask()
    with pytest.raises(LimitError, match="2 questions"):
        asked.ask()
    asked.answers.close()
