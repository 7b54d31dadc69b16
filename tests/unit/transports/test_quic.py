"""QuicLink: frpc's streams over one connection to a whole frps, and where there is none."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest

from frpd.errors import ConfigError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.transports import TRANSPORTS
from frpd.transports.base import LinkMaker
from frpd.transports.quic import QuicLink, QuicTransport
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.transports.test_over_tcp import bare_way


def link_to(world: World, port: int, lost: list[str], **changes: Any) -> QuicLink:
    transport = TRANSPORTS["quic"](replace(bare_way(world), host="127.0.0.1", port=port, **changes))
    assert isinstance(transport, LinkMaker)
    link = transport.make_link(lost.append)
    assert isinstance(link, QuicLink)
    return link


def test_a_port_that_nobody_listens_on_is_told_at_once(world: World) -> None:
    failures: list[TransportError] = []
    port = free_port()
    link = link_to(world, port, [])
    link.open_stream(lambda _stream: None, failures.append)
    world.until(lambda: failures)
    assert "connection refused" in str(failures[0])
    assert str(failures[0]).startswith(f"dial quic 127.0.0.1:{port}: ")
    assert world.loop.watch_count == 0


def test_a_server_that_is_silent_is_given_up_in_time(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        failures: list[TransportError] = []
        lost: list[str] = []
        link = link_to(world, deaf.getsockname()[1], lost, timeout_seconds=3)
        opened: list[Endpoint] = []
        link.open_stream(opened.append, failures.append)
        world.pass_time(4, step=0.2)
        assert "no QUIC handshake in time" in str(failures[0])
        assert (len(failures), opened, lost) == (1, [], [])
        assert (world.loop.watch_count, world.loop.timer_count) == (0, 0)


def test_one_that_is_closed_while_it_dials_says_nothing(world: World) -> None:
    told: list[object] = []
    link = link_to(world, free_port(), [])
    link.open_stream(told.append, told.append)
    link.close()
    link.close()
    world.settle()
    assert (told, link.local_address, link.bearer) == ([], None, None)
    assert link.last_input_at() == float("-inf")


def test_files_that_cannot_be_used_are_told_before_anything_is_dialled(world: World) -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.crt"):
        QuicTransport(replace(bare_way(world), tls_files=("", "", "/nowhere/ca.crt")))


def test_without_the_library_one_sentence_says_what_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'frpd\[quic\]'"):
        TRANSPORTS["quic"](bare_way(world))
