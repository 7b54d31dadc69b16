"""Inbox: order, whoever has to wait."""

from __future__ import annotations

import pytest

from frpd.errors import LimitError
from frpd.proto.message.types import CloseProxy, Message, Ping
from frpd.server.inbox import MAX_WAITING, Inbox


def test_what_comes_during_a_decision_comes_after_it_in_order() -> None:
    handled: list[Message] = []

    def handle(message: Message) -> None:
        handled.append(message)
        if isinstance(message, CloseProxy):
            inbox.hold()

    inbox = Inbox(handle)
    ping, first, second = Ping(), CloseProxy("a"), CloseProxy("b")
    for message in (ping, first, ping, second, ping):
        inbox.receive(message)
    assert handled == [ping, first]
    assert inbox.is_held
    inbox.go_on()
    assert handled == [ping, first, ping, second]
    inbox.go_on()
    assert handled == [ping, first, ping, second, ping]
    assert not inbox.is_held


def test_it_is_bounded_and_forgets_when_closed() -> None:
    handled: list[Message] = []
    inbox = Inbox(handled.append)
    inbox.hold()
    for _ in range(MAX_WAITING):
        inbox.receive(Ping())
    with pytest.raises(LimitError):
        inbox.receive(Ping())
    inbox.close()
    inbox.go_on()
    assert handled == []
