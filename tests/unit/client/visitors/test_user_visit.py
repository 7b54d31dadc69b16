"""UserVisit: users are counted, wait, are relayed, handed over or sent away."""

from __future__ import annotations

from frpd.client.visitors.base import VisitorContext
from frpd.client.visitors.call import Admitted
from frpd.client.visitors.user_visit import UserVisit
from frpd.config.visitors import StcpVisitorConfig, VisitorConfig
from frpd.entropy import SystemEntropy
from frpd.errors import TransportError
from frpd.log import get_logger
from frpd.metrics.counters import ProxyCounters
from frpd.relay.relay import Running
from tests.helpers.duplex import Duplex
from tests.helpers.world import World


class Port:
    """A visitor's port, and the relays of its client."""

    def __init__(self, world: World) -> None:
        self.relays: set[Running] = set()
        self.context = VisitorContext(
            loop=world.loop,
            pool=world.pool,
            entropy=SystemEntropy(),
            relays=self,
            log=get_logger("tests").prefixed("vv"),
        )
        self.config: VisitorConfig = StcpVisitorConfig(name="u.vv", section="vv", server_name="x")
        self.counters = ProxyCounters()
        self.waiting: set[UserVisit] = set()
        self.cancelled = 0

    def relay_started(self, relay: Running) -> None:
        self.relays.add(relay)

    def relay_ended(self, relay: Running) -> None:
        self.relays.discard(relay)

    def make(self) -> None:
        """A call that comes to nothing by itself."""

    def cancel(self) -> None:
        self.cancelled += 1


def test_an_admitted_user_is_relayed_and_counted_and_its_end_is_told(world: World) -> None:
    port = Port(world)
    user, mine = world.endpoints()
    stream, far = world.endpoints()
    over: list[str] = []
    visit = UserVisit(port, user)
    visit.ask(port)
    assert port.counters.connections_open == 1
    assert (visit.progress().owner, visit.progress().source) == ("u.vv", user.describe())
    visit.admitted(Admitted(stream, half_closes=False, on_over=lambda: over.append("over")))
    assert not port.waiting
    service = Duplex(far)
    asker = Duplex(mine, b"question")
    world.until(lambda: service.got == b"question")
    assert list(port.relays) == [visit]
    assert visit.socket() is not None
    service.send(b"answer")
    world.until(lambda: asker.got == b"answer")
    far.close()
    world.until(lambda: asker.end == "eof")
    assert not over
    mine.close()
    world.until(lambda: over == ["over"])
    assert not port.relays
    assert (port.counters.connections_open, port.counters.bytes_in) == (0, 8)
    assert port.counters.bytes_out == 6


def test_a_relay_can_be_cut(world: World) -> None:
    port = Port(world)
    user, mine = world.endpoints()
    stream, far = world.endpoints()
    visit = UserVisit(port, user)
    visit.abort("nothing to cut yet")
    visit.admitted(Admitted(stream, half_closes=True))
    visit.abort("cut")
    asker, service = Duplex(mine), Duplex(far)
    world.until(lambda: asker.end and service.end)
    assert port.counters.connections_open == 0


def test_a_refused_user_and_one_who_gives_up_are_sent_away(world: World) -> None:
    port = Port(world)
    for refuse in (True, False):
        user, mine = world.endpoints()
        visit = UserVisit(port, user)
        visit.ask(port)
        if refuse:
            visit.refused(TransportError("nobody there"))
        else:
            visit.give_up()
        asker = Duplex(mine)
        world.until(lambda asker=asker: asker.end)  # type: ignore[misc] # mypy knows no default
        assert not port.waiting
        mine.close()
    assert port.cancelled == 1
    assert (port.counters.connections_open, port.counters.connections_total) == (0, 2)


def test_a_user_who_leaves_is_somebody_elses(world: World) -> None:
    port = Port(world)
    user, mine = world.endpoints()
    visit = UserVisit(port, user)
    visit.ask(port)
    assert visit.leave() is user
    assert not port.waiting
    assert port.counters.connections_open == 0
    asker = Duplex(mine, b"still here")
    world.settle()
    assert not asker.end
    assert bytes(user.read(100)) == b"still here"  # type: ignore[arg-type] # it has come
    user.close()
    mine.close()
