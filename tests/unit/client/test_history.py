"""frpd.client.history: what has become of the sessions."""

from __future__ import annotations

from frpd.client.history import MAX_EVENTS, Event, SessionHistory
from frpd.proto.message.types import LoginResp
from tests.helpers.world import World
from tests.unit.client.home import Home


def test_the_newest_comes_first_and_the_oldest_goes() -> None:
    history = SessionHistory()
    for index in range(MAX_EVENTS + 1):
        history.note(Event.LOST, str(index))
    events = history.newest_first()
    assert len(events) == MAX_EVENTS
    assert (events[0].text, events[-1].text) == (str(MAX_EVENTS), "1")


def test_what_fails_again_and_again_is_one_event() -> None:
    history = SessionHistory()
    for reason in ("no route", "no route", "refused", "no route"):
        history.note(Event.UNREACHABLE, reason)
    history.note(Event.CONNECTED, "run id me")
    history.note(Event.CONNECTED, "run id me")
    found = [(one.event, one.text, one.times) for one in history.newest_first()]
    assert found == [
        (Event.CONNECTED, "run id me", 1),
        (Event.CONNECTED, "run id me", 1),
        (Event.UNREACHABLE, "no route", 1),
        (Event.UNREACHABLE, "refused", 1),
        (Event.UNREACHABLE, "no route", 2),
    ]


def test_a_client_remembers_its_logins(world: World) -> None:
    home = Home(world, login_fail_exit=False)
    session = home.session()
    session.control.send(LoginResp(error="bad token"))
    facts = home.service.session_facts
    world.until(lambda: facts().history)
    (event,) = facts().history
    assert (event.event, event.text) == (Event.REFUSED, "bad token")
