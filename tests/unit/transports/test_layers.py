"""LayeredTransport: one handshake after the other, under one deadline."""

from __future__ import annotations

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.transports.base import Dialing, OnEndpoint, OnFailed
from frpd.transports.layers import LayeredTransport
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World


class Step:
    """A transport or a layer that answers when it is told to."""

    local_address = ("192.0.2.1", 5000)
    bearer = None

    def __init__(self) -> None:
        self.began_on: list[Endpoint] = []
        self.cancelled = 0
        self.ready: OnEndpoint | None = None
        self.failed: OnFailed | None = None

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> Dialing:
        self.ready, self.failed = on_connected, on_failed
        return self

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        self.began_on.append(endpoint)
        return self.dial(on_ready, on_failed)

    def cancel(self) -> None:
        self.cancelled += 1


class Climb:
    """A transport in two layers, and what came of dialling it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bare, self.proxy, self.tls = Step(), Step(), Step()
        self.connected: list[Endpoint] = []
        self.errors: list[str] = []
        transport = LayeredTransport(
            world.loop, self.bare, [self.proxy, self.tls], timeout_seconds=5
        )
        self.address = transport.local_address
        self.dialing = transport.dial(
            self.connected.append, lambda error: self.errors.append(str(error))
        )


def up(step: Step, endpoint: Endpoint) -> None:
    assert step.ready is not None
    step.ready(endpoint)


def test_each_layer_begins_on_what_the_last_one_gave(world: World) -> None:
    climb = Climb(world)
    carriers = [ScriptedEndpoint(world.loop) for _ in range(3)]
    up(climb.bare, carriers[0])
    assert climb.proxy.began_on == [carriers[0]]
    up(climb.proxy, carriers[1])
    assert climb.tls.began_on == [carriers[1]]
    assert climb.connected == []
    up(climb.tls, carriers[2])
    assert climb.connected == [carriers[2]]
    assert climb.address == Step.local_address
    world.advance(10)
    assert climb.errors == []


def test_a_failure_is_told_once(world: World) -> None:
    climb = Climb(world)
    up(climb.bare, ScriptedEndpoint(world.loop))
    assert climb.proxy.failed is not None
    climb.proxy.failed(TransportError("407"))
    world.advance(10)
    assert (climb.errors, climb.tls.began_on, world.loop.timer_count) == (["407"], [], 0)


def test_the_time_is_for_all_of_it_together(world: World) -> None:
    climb = Climb(world)
    world.advance(3)
    up(climb.bare, ScriptedEndpoint(world.loop))
    world.advance(3)
    assert climb.errors == ["no end of the handshake with scripted within 5 s"]
    assert climb.proxy.cancelled == 1


def test_while_it_dials_the_transport_keeps_the_time_and_gives_the_reason(world: World) -> None:
    climb = Climb(world)
    world.advance(5)
    assert climb.errors == []
    assert climb.bare.failed is not None
    climb.bare.failed(TransportError("dial tcp 192.0.2.9:7000: i/o timeout"))
    assert climb.errors == ["dial tcp 192.0.2.9:7000: i/o timeout"]


def test_cancel_stops_the_step_under_way_silently(world: World) -> None:
    climb = Climb(world)
    climb.dialing.cancel()
    climb.dialing.cancel()
    world.advance(10)
    assert (climb.bare.cancelled, climb.errors, climb.connected) == (1, [], [])
