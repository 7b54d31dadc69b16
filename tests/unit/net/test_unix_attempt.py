"""Connections to Unix sockets: made at once, refused with a reason, or tried again."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from frpd.net.connector import Connector
from frpd.net.pipes import Pipe, PipePool
from frpd.net.resolver import Resolver
from frpd.net.stream import SocketStream
from frpd.net.unix_attempt import UnixAttempt
from tests.helpers.world import World, world

__all__ = ["world"]


class Scene:
    """One attempt, and what came of it."""

    def __init__(self, world: World, path: str) -> None:
        self.world = world
        self.streams: list[SocketStream] = []
        self.errors: list[str] = []
        connector = Connector(world.loop, Resolver(world.pool))
        self.attempt: UnixAttempt = connector.connect_unix(
            path,
            self.streams.append,
            lambda error: self.errors.append(str(error)),
            timeout_seconds=10.0,
        )
        world.owners.callback(self.close)

    @property
    def silent(self) -> bool:
        return not self.streams and not self.errors

    def close(self) -> None:
        for stream in self.streams:
            stream.close()


def listening(stack: ExitStack, address: str, backlog: int = 5) -> socket.socket:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.bind(address)
    sock.listen(backlog)
    return sock


def test_a_socket_is_reached_and_carries_bytes(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = listening(world.stack, path)
    scene = Scene(world, path)
    assert not scene.streams  # never before connect_unix has returned
    world.turn(2)
    [stream] = scene.streams
    assert stream.describe() == path
    peer, _ = server.accept()
    with peer:
        stream.write(b"hello")
        assert peer.recv(10) == b"hello"
    assert (stream.splices, scene.errors) == (True, [])
    assert stream.ends() is None  # the kernel knows it by no addresses


def test_its_payload_is_spliced(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = listening(world.stack, path)
    scene = Scene(world, path)
    world.turn(2)
    [stream] = scene.streams
    peer, _ = server.accept()
    with peer, closing(PipePool(65536, 1 << 20)) as pool:
        peer.send(b"x" * 1000)
        stream.splice_with(pool)
        pipe = stream.read_pipe(4096)
        assert isinstance(pipe, Pipe)
        assert pipe.held == 1000
        assert stream.write_pipe(pipe, 4096) == 1000
        stream.pipe_moved(1000)
        assert peer.recv(2000) == b"x" * 1000


def test_an_abstract_name_begins_with_an_at_sign(world: World) -> None:
    name = f"frpd-test-{id(world)}"
    listening(world.stack, f"\0{name}")
    scene = Scene(world, f"@{name}")
    world.turn(2)
    assert len(scene.streams) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nobody", "connect: no such file or directory"),
        ("file", "connect: connection refused"),
        ("n" * 200, "connect: af_unix path too long"),
        ("a\0b", "connect: "),
    ],
    ids=["missing", "no socket", "too long", "zero byte"],
)
def test_a_failure_names_the_path_and_the_reason(
    world: World, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    scene = Scene(world, f"{tmp_path}/{name}")
    world.turn(2)
    [error] = scene.errors
    assert error.startswith(f"dial unix {tmp_path}/{name}: {reason}")
    assert not scene.streams


def test_a_service_with_too_many_waiting_is_tried_until_the_time_is_up(
    world: World, tmp_path: Path
) -> None:
    path = str(tmp_path / "s")
    server = listening(world.stack, path, backlog=0)
    first = Scene(world, path)
    world.turn(2)
    assert len(first.streams) == 1  # it fills the queue
    second, third = Scene(world, path), Scene(world, path)
    world.turn(2)
    third.attempt.cancel()
    world.pass_time(5.0)
    assert second.silent
    server.accept()[0].close()
    world.advance(1.0)
    assert len(second.streams) == 1
    late = Scene(world, path)
    world.pass_time(11.0)
    assert late.errors == [f"dial unix {path}: connect: too many connections wait for the service"]
    assert third.silent


def test_a_cancelled_attempt_stays_silent(world: World, tmp_path: Path) -> None:
    scene = Scene(world, str(tmp_path / "nobody"))
    scene.attempt.cancel()
    scene.attempt.cancel()
    world.turn(3)
    assert scene.silent
