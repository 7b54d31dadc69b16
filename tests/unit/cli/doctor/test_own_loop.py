"""A loop of one check's own."""

from __future__ import annotations

import errno
import socket
import threading
from pathlib import Path

from frpd.cli.doctor.own_loop import OwnLoop, Place
from tests.helpers.ports import free_port


def test_each_place_is_dialled_and_tells_what_became_of_it(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as service,
        socket.socket(socket.AF_UNIX) as unix,
        OwnLoop() as own,
    ):
        unix.bind(path)
        unix.listen()
        up, down, there, missing = own.dial(
            [
                Place("127.0.0.1", service.getsockname()[1]),
                Place("127.0.0.1", free_port()),
                Place(path=path),
                Place(path=path + "x"),
            ],
            10.0,
        )
    assert up.error == ""
    assert down.code == errno.ECONNREFUSED
    assert there.error == ""
    assert missing.error


def test_who_drops_packets_is_told_from_who_refuses() -> None:
    """A queue that is full takes no more, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, OwnLoop() as own:
        port = full.getsockname()[1]
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        (outcome,) = own.dial([Place("127.0.0.1", port)], 0.3)
        for caller in callers:
            caller.close()
    assert outcome.code == errno.ETIMEDOUT


def test_a_name_is_looked_up() -> None:
    with OwnLoop() as own:
        found = own.look_up("localhost", 80, 10.0)
        assert not isinstance(found, str)
        assert found[0][1][1] == 80


def test_a_look_up_that_hangs_is_given_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with OwnLoop(f"127.0.0.1:{silent.getsockname()[1]}") as own:
            assert own.look_up("x.example", 80, 0.1) == "lookup x.example: no answer within 0 s"


def test_what_never_ends_is_left() -> None:
    end = threading.Event()
    with OwnLoop() as own:
        own.pool.submit(end.wait, lambda _: None, lambda _: None)
        assert not own.run(lambda: False, 0.05)
        assert own.run(lambda: True, 0.05)
    end.set()
