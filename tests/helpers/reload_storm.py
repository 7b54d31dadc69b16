"""A storm of reloads: proxies come, go and change while checksummed streams pass through others."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.helpers.ports import free_port, is_free
from tests.helpers.programs import BIN, SECONDS, Program, ini, wait_until
from tests.helpers.stage import TOKEN, WRAPPERS, Stage, started, tcp
from tests.helpers.visitors import echoes, refuses, visit

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    Sections = dict[str, dict[str, object]]

LOCAL = "127.0.0.1"
BLOCK_BYTES = 65_536
RELOADED = "success reload conf"
MAX_GROWTH_BYTES = 24 << 20
"""Of one program, over a whole storm: some of it is what an allocator keeps."""


class Traffic:
    """Visitors in a thread of their own, one for each port, who get back what they send.

    Each sends blocks of noise, waits for each to come back, and never leaves before ``end``.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.blocks = dict.fromkeys(ports, 0)
        self._faults: dict[str, str] = {}
        self._ports = ports
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def moved(self, blocks: int) -> bool:
        """Return whether so many blocks, or more, have come back to everybody."""
        self.check()
        return min(self.blocks.values()) >= blocks

    def check(self) -> None:
        """Fail if anybody has lost a byte."""
        assert not self._faults, self._faults

    def end(self) -> None:
        """Have all of them leave, and fail if anybody has lost a byte."""
        self._ending.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        self.check()

    def _run(self) -> None:
        asyncio.run(self._visit_all())

    async def _visit_all(self) -> None:
        await asyncio.gather(*(self._visit(name, port) for name, port in self._ports.items()))

    async def _visit(self, name: str, port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(LOCAL, port)
            sent, came = hashlib.sha256(), hashlib.sha256()
            while not self._ending.is_set():
                block = os.urandom(BLOCK_BYTES)
                sent.update(block)
                writer.write(block)
                came.update(await reader.readexactly(BLOCK_BYTES))
                assert came.digest() == sent.digest(), "other bytes than were sent"
                self.blocks[name] += 1
            writer.close()
            await writer.wait_closed()
        except Exception as error:  # it fails the test, in the thread of the test
            self._faults[name] = repr(error)


class Storm:
    """frps and frpc with some proxies that stay, and many that do not.

    Args:
        stage: of the test.
        local_port: an echo service.
        count: how many tcp proxies change.
        folder: of frps.
        mux: tcp_mux.
    """

    def __init__(
        self,
        stage: Stage,
        local_port: int,
        count: int,
        *,
        folder: Path = BIN,
        mux: bool = True,
    ) -> None:
        self._stage = stage
        self._random = random.Random(count)
        self._local_port = local_port
        self.steady = {f"steady-{wrapper}": free_port() for wrapper in WRAPPERS}
        self.ports = [free_port() for _ in range(count)]
        self._visitor_ports = [free_port() for _ in range(4)]
        self.bind_port, self._admin_port = free_port(), free_port()
        both = {"token": TOKEN, "tcp_mux": mux}
        self.frps = stage.frps(
            {"bind_addr": LOCAL, "bind_port": self.bind_port, **both}, folder=folder
        )
        self._common = {
            "server_addr": LOCAL,
            "server_port": self.bind_port,
            "admin_port": self._admin_port,
            **both,
        }
        self.sections = self.calm()
        self.path = stage.write(self._text())
        self.frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(self.path))
        for name in self.steady:
            self.frpc.wait_for(started(name))
        self._held: list[socket.socket] = []

    def calm(self) -> Sections:
        """Return the sections that the storm begins with, and ends with."""
        return {
            **self._steady(),
            **{f"p{place}": self._tcp(port) for place, port in enumerate(self.ports)},
            **{f"v{place}": _visitor(port) for place, port in enumerate(self._visitor_ports)},
            "udp": {**self._tcp(self.bind_port), "type": "udp"},
        }

    def squall(self) -> Sections:
        """Return other sections: some gone, some changed, ports in other hands, in any order."""
        draw = self._random
        ports = draw.sample(self.ports, len(self.ports))
        made: Sections = {}
        for place, port in enumerate(self.ports):
            fate = draw.randrange(4)
            if fate == 0:
                continue
            taken = ports[place] if fate == 1 else port
            ports_in_use = {section.get("remote_port") for section in made.values()}
            if taken in ports_in_use:
                continue
            made[f"p{place}"] = self._tcp(taken) | (WRAPPERS["both"] if fate == 2 else {})
        moved = draw.sample(self._visitor_ports, 3)
        made |= {f"v{place}": _visitor(port) for place, port in enumerate(moved)}
        made["udp"] = {**self._tcp(self.bind_port), "type": "udp"} | WRAPPERS["compressed"]
        made |= self._steady()
        names = draw.sample(list(made), len(made))
        return {name: made[name] for name in names}

    def reload(self, sections: Sections) -> None:
        """Have frpc serve other sections."""
        mark = self.frpc.said()
        self.sections = sections
        self.path.write_text(self._text())
        self.frpc.signal(signal.SIGHUP)
        self.frpc.wait_for(RELOADED, since=mark)

    def disturb(self) -> None:
        """Leave visitors behind at proxies that will change or go."""
        for port in self._random.sample(self.ports, 4):
            with contextlib.suppress(OSError):
                guest = visit(port)
                self._held.append(guest)
                guest.sendall(b"here")

    def leave(self) -> None:
        """Have those visitors leave."""
        for guest in self._held:
            guest.close()
        self._held.clear()

    def check(self) -> None:
        """Fail unless exactly what the file says is there, and works."""
        wanted = {name for name, keys in self.sections.items() if keys.get("role") != "visitor"}

        def all_run() -> bool:
            status = self._status()
            return {row["name"] for row in status} == wanted and all(
                row["status"] == "running" for row in status
            )

        wait_until(all_run, f"all run: {self._status()}")
        taken = {keys["remote_port"] for keys in self.sections.values() if keys["type"] == "tcp"}
        for port in self.ports:
            if port in taken:
                assert echoes(port)
            else:  # frps may come to it a moment later than frpc
                wait_until(lambda port=port: refuses(port), f"port {port} is closed")  # type: ignore[misc]
        bound = {keys["bind_port"] for keys in self.sections.values() if "bind_port" in keys}
        for port in self._visitor_ports:
            assert is_free(port) is (port not in bound)
            assert port not in bound or echoes(port)

    def _status(self) -> list[dict[str, Any]]:
        url = f"http://{LOCAL}:{self._admin_port}/api/status"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=SECONDS) as answer:
            rows: dict[str, list[dict[str, Any]]] = json.load(answer)
        return [row for kind in rows.values() for row in kind or ()]

    def _steady(self) -> Sections:
        made = {
            name: self._tcp(port) | WRAPPERS[name.removeprefix("steady-")]
            for name, port in self.steady.items()
        }
        vault = {"type": "stcp", "sk": "key", "local_ip": LOCAL, "local_port": self._local_port}
        return {**made, "vault": vault}

    def _tcp(self, remote_port: int) -> dict[str, object]:
        return tcp(self._local_port, remote_port)

    def _text(self) -> str:
        return ini({"common": self._common, **self.sections})


def _visitor(port: int) -> dict[str, object]:
    secret = {"type": "stcp", "role": "visitor", "server_name": "vault", "sk": "key"}
    return {**secret, "bind_addr": LOCAL, "bind_port": port}


def rage(storm: Storm, rounds: int, *, spare: int = 0) -> int:
    """Reload so often under traffic; return how many blocks passed in the meantime.

    At the end each end may hold ``spare`` descriptors more than before.
    """
    storm.check()
    storm.reload(storm.squall())  # what is made once, is made now
    storm.reload(storm.calm())
    storm.check()
    before = {program: _held(program) for program in (storm.frps, storm.frpc)}
    traffic = Traffic(storm.steady)
    wait_until(lambda: traffic.moved(1), "traffic flows")
    for number in range(rounds):
        storm.disturb()
        storm.reload(storm.squall())
        traffic.check()
        if number % 8 == 7:
            storm.check()
            storm.leave()
    storm.check()
    storm.leave()
    moved = min(traffic.blocks.values())
    wait_until(lambda: traffic.moved(moved + 2), "traffic flows on")
    storm.reload(storm.calm())
    storm.check()
    traffic.end()
    for program, (descriptors, memory) in before.items():
        program.wait_for_descriptors(descriptors + spare)
        assert program.pss() - memory < MAX_GROWTH_BYTES
    assert not storm.frpc.count("start error|Traceback")
    return sum(traffic.blocks.values())


def _held(program: Program) -> tuple[int, int]:
    return program.descriptors(), program.pss()
