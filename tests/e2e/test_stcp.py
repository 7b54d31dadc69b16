"""stcp: a visitor's port leads to a service that only those who know the secret reach."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers.loads import checksum, make_file, scp, ssh
from tests.helpers.modes import MODES
from tests.helpers.ports import free_port, is_free
from tests.helpers.programs import wait_until
from tests.helpers.services import Service, late_answer, late_answer_to, start_sshd
from tests.helpers.stage import TOKEN, WRAPPERS, Stage
from tests.helpers.visitors import (
    echoes,
    exchange,
    is_over,
    read_to_end,
    refuses,
    visit,
    wait_for_echo,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.helpers.programs import Settings

MEBIBYTE = 1 << 20
SK = "e2e sk"


def listens(name: str) -> str:
    """Return the pattern of the line that says that a visitor's port is open."""
    return rf"\[{name}\] start visitor success"


class Trio:
    """frps, the frpc that has the services, and the frpc that visits them.

    Args:
        stage: for the programs.
        services: local port by proxy name.
        mux: tcp_mux of all.
        proxy: more settings for each proxy.
        visitor: more settings for each visitor; there is one for each proxy.
        common: more settings for [common] of all three.
    """

    def __init__(
        self,
        stage: Stage,
        services: Mapping[str, int],
        *,
        mux: bool = True,
        proxy: Mapping[str, Settings] | None = None,
        visitor: Mapping[str, Settings] | None = None,
        common: Settings | None = None,
    ) -> None:
        proxy, visitor = proxy or {}, visitor or {}
        self.stage = stage
        self.bind_port = free_port()
        self.ports = {name: free_port() for name in services}
        both = {"token": TOKEN, "tcp_mux": mux, **(common or {})}
        self.server = {"bind_addr": "127.0.0.1", "bind_port": self.bind_port, **both}
        to_server = {"server_addr": "127.0.0.1", "server_port": self.bind_port, **both}
        self.frps = stage.frps(self.server)
        self.owner = stage.frpc(
            to_server,
            {
                name: {**secret(), "local_port": port, **proxy.get(name, {})}
                for name, port in services.items()
            },
        )
        self.guest = stage.frpc(
            to_server,
            {
                f"{name}_v": {**visiting(name, port), **visitor.get(name, {})}
                for name, port in self.ports.items()
            },
            wait_for=(),
        )
        for name in services:
            self.guest.wait_for(listens(f"{name}_v"))

    def restart_server(self) -> None:
        self.frps = self.stage.frps(self.server)


def secret() -> dict[str, object]:
    return {"type": "stcp", "sk": SK, "local_ip": "127.0.0.1"}


def visiting(name: str, port: int) -> dict[str, object]:
    bind = {"bind_addr": "127.0.0.1", "bind_port": port}
    return {"type": "stcp", "role": "visitor", "server_name": name, "sk": SK, **bind}


class Local:
    """Services with distinct manners at their ends, and what they heard."""

    def __init__(self, stack: contextlib.ExitStack, echo_port: int) -> None:
        self.heard: list[bytes] = []
        self.ports = {
            "echo": echo_port,
            "late": stack.enter_context(Service(late_answer)).port,
            "first": stack.enter_context(Service(self._end_first)).port,
            "dead": free_port(),
        }

    async def _end_first(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say goodbye, and listen on."""
        writer.write(b"no more from me")
        writer.write_eof()
        self.heard.append(await reader.read(-1))


@pytest.fixture(scope="module")
def local(echo_port: int) -> Iterator[Local]:
    with contextlib.ExitStack() as stack:
        yield Local(stack, echo_port)


# Proxy and visitor, by what the two legs have and who is behind it.
ENTRIES = [f"{wrapper}-{wrapper}-echo" for wrapper in WRAPPERS] + [
    "plain-both-echo",
    "encrypted-compressed-echo",
    "plain-plain-late",
    "both-both-late",
    "plain-plain-first",
    "both-both-first",
    "plain-plain-dead",
]
WRONG: dict[str, Settings] = {
    "wrong-plain": {"sk": "guess"},
    "wrong-encrypted": {"sk": "guess", **WRAPPERS["encrypted"]},
    "absent": {"server_name": "other"},
}
ECHOES = [name for name in ENTRIES if name.endswith("-echo")]


@pytest.fixture(
    scope="module",
    params=[(True, "auto"), (False, "auto"), (True, "off")],
    ids=["mux-sealed", "direct-sealed", "mux-legacy"],
)
def trio(request: pytest.FixtureRequest, module_stage: Stage, local: Local) -> Iterator[Trio]:
    """Three programs with an entry for each kind."""
    mux, native = request.param
    services = {name: local.ports[name.split("-")[2]] for name in ENTRIES}
    yield Trio(
        module_stage,
        services | dict.fromkeys(WRONG, local.ports["echo"]),
        mux=mux,
        proxy={name: WRAPPERS[name.split("-")[0]] for name in ENTRIES},
        visitor={**{name: WRAPPERS[name.split("-")[1]] for name in ENTRIES}, **WRONG},
        common={"native": native},
    )
    module_stage.close()


@pytest.mark.parametrize("name", ECHOES)
def test_binary_data_comes_back_as_it_was(trio: Trio, name: str) -> None:
    data = os.urandom(MEBIBYTE // 2) + bytes(range(256)) * 512 + b"a" * (MEBIBYTE // 2)
    with visit(trio.ports[name]) as user:
        assert exchange(user, data) == data


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_single_bytes_are_not_held_back(trio: Trio, wrapper: str) -> None:
    with visit(trio.ports[f"{wrapper}-{wrapper}-echo"]) as user:
        for number in range(64):
            assert exchange(user, bytes([number])) == bytes([number])


def test_many_users_at_once_get_their_own_bytes(trio: Trio) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(visit(trio.ports["both-both-echo"])) for _ in range(20)]
        words = [os.urandom(10_000) for _ in users]
        for user, word in zip(users, words, strict=True):
            user.sendall(word)
        for user, word in zip(users, words, strict=True):
            assert user.recv(len(word), socket.MSG_WAITALL) == word


def half_closes(trio: Trio) -> bool:
    """Return whether the ends are told apart: with native = off they are Go's."""
    return bool(trio.frps.count(r"frpd\["))


@pytest.mark.parametrize("wrapper", ["plain", "both"])
def test_ends_travel_alone_both_ways(trio: Trio, local: Local, wrapper: str) -> None:
    word, data = os.urandom(16), os.urandom(300_000)
    with visit(trio.ports[f"{wrapper}-{wrapper}-first"]) as user:
        assert read_to_end(user) == b"no more from me"
        if not half_closes(trio):
            return  # an end of a Go end is the end of both directions
        user.sendall(word)
        user.shutdown(socket.SHUT_WR)
        wait_until(lambda: word in local.heard, "the service heard it all")
    with visit(trio.ports[f"{wrapper}-{wrapper}-late"]) as user:
        user.sendall(data)
        user.shutdown(socket.SHUT_WR)
        assert read_to_end(user) == late_answer_to(len(data), hashlib.sha256(data))


def test_a_dead_service_is_told_at_once(trio: Trio) -> None:
    with visit(trio.ports["plain-plain-dead"]) as user:
        wait_until(lambda: is_over(user), "the user is sent away")
    trio.owner.wait_for(r"\[plain-plain-dead\].*connection refused")


# Who may visit.


@pytest.mark.parametrize("name", ["wrong-plain", "wrong-encrypted"])
def test_a_wrong_sk_is_refused_and_both_logs_say_so(trio: Trio, name: str) -> None:
    with visit(trio.ports[name]) as user:
        wait_until(lambda: is_over(user), "the user is sent away")
    text = rf"visitor connection of \[{name}\] auth failed"
    trio.guest.wait_for(rf"\[{name}_v\] start new visitor connection error: {text}")
    trio.frps.wait_for(rf"visitor refused: {text}")
    assert echoes(trio.ports["plain-plain-echo"])


def test_a_proxy_that_is_not_there_is_told(trio: Trio) -> None:
    assert not echoes(trio.ports["absent"])
    trio.guest.wait_for(r"\[absent_v\] .*custom listener for \[other\] doesn't exist")


def test_nothing_is_left_of_users_who_were_served_and_refused(trio: Trio) -> None:
    programs = (trio.frps, trio.guest)
    served, refused = (trio.ports[name] for name in ("plain-plain-echo", "wrong-plain"))
    assert echoes(served)
    before = [program.descriptors() for program in programs]
    for _ in range(10):
        assert echoes(served)
        assert not echoes(refused)
    for program, count in zip(programs, before, strict=True):
        program.wait_for_descriptors(count)


@pytest.fixture(scope="module")
def to_server(module_stage: Stage) -> dict[str, object]:
    """How an frpc reaches an frps that all of the following tests share."""
    port = free_port()
    module_stage.frps({"bind_addr": "127.0.0.1", "bind_port": port, "token": TOKEN})
    return {"server_addr": "127.0.0.1", "server_port": port, "token": TOKEN}


def test_allow_users_decides_whose_visitors_come(
    stage: Stage, to_server: dict[str, object], echo_port: int
) -> None:
    allowed = {"same": "", "some": "ann, carl", "all": "*", "others": "carl"}
    users = {name: {"allow_users": text} if text else {} for name, text in allowed.items()}
    proxy = {**secret(), "local_port": echo_port}
    stage.frpc({**to_server, "user": "bob"}, {name: {**proxy, **users[name]} for name in allowed})
    ports = {name: free_port() for name in allowed}
    visitors = {
        f"{name}_v": {**visiting(name, ports[name]), "server_user": "bob"} for name in ports
    }
    ann = stage.frpc({**to_server, "user": "ann"}, visitors, wait_for=())
    for name in visitors:
        ann.wait_for(listens(name))
    reached = {name: echoes(port) for name, port in ports.items()}
    assert reached == {"same": False, "some": True, "all": True, "others": False}
    ann.wait_for(r"visitor connection of \[bob.same\] user \[ann\] not allowed")


# Coming and going.


@pytest.mark.parametrize(
    "mux", [True, pytest.param(False, marks=pytest.mark.full)], ids=["mux", "direct"]
)
def test_visitors_and_proxies_come_back_after_the_server(
    stage: Stage, echo_port: int, mux: bool
) -> None:
    trio = Trio(stage, {"echo": echo_port}, mux=mux)
    port = trio.ports["echo"]
    assert echoes(port)
    trio.frps.kill()
    wait_until(lambda: refuses(port), "without a session the port is closed")
    trio.restart_server()
    wait_for_echo(port)
    assert trio.guest.count(listens("echo_v")) == 2
    with visit(port) as user:
        assert exchange(user, b"hello") == b"hello"
        trio.owner.kill()
        wait_until(lambda: is_over(user), "the service has gone with its owner")
    assert not echoes(port)


def test_one_frpc_has_proxies_and_visitors_and_a_taken_port_harms_only_its_own(
    stage: Stage, to_server: dict[str, object], echo_port: int
) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as holder:
        taken, port = holder.getsockname()[1], free_port()
        frpc = stage.frpc(
            {**to_server, "shutdown_drain_seconds": 30},
            {
                "echo": {**secret(), "local_port": echo_port},
                "taken_v": visiting("echo", taken),
                "free_v": visiting("echo", port),
                "none_v": visiting("echo", -1),
            },
            wait_for=("echo",),
        )
        frpc.wait_for(
            rf"\[taken_v\] start error: listen tcp 127.0.0.1:{taken}: bind: address already in use"
        )
        frpc.wait_for(rf"127.0.0.1:{taken} is held by .*\(pid {os.getpid()}\)")
        for name in ("free_v", "none_v"):
            frpc.wait_for(listens(name))
        with visit(port) as user:
            assert exchange(user, b"before") == b"before"
            frpc.process.terminate()
            wait_until(lambda: is_free(port), "the port is free at once")
            assert exchange(user, b"after" * 10_000) == b"after" * 10_000
            assert frpc.process.poll() is None
        assert frpc.wait() == 0


@pytest.mark.full
@MODES
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_openssh_logs_in_and_copies(stage: Stage, mux: bool, wrapper: str) -> None:
    sshd = start_sshd(stage)
    both = {"ssh": WRAPPERS[wrapper]}
    trio = Trio(stage, {"ssh": sshd.port}, mux=mux, proxy=both, visitor=both)
    port = trio.ports["ssh"]
    assert ssh(sshd, port, "echo logged in as $(id -un)") == f"logged in as {sshd.user}\n"
    source: Path = make_file(stage.folder / "source", 64)
    there, back = stage.folder / "there", stage.folder / "back"
    scp(sshd, port, str(source), f"{sshd.user}@127.0.0.1:{there}")
    scp(sshd, port, f"{sshd.user}@127.0.0.1:{there}", str(back))
    assert checksum(source) == checksum(there) == checksum(back)
