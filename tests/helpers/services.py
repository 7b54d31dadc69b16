"""Local services to expose: small ones in a thread of the test, and sshd, nginx and iperf3."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS, need_tool, wait_until
from tests.helpers.visitors import refuses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

    from tests.helpers.programs import Program
    from tests.helpers.stage import Stage

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHUNK = 262_144
BACKLOG = 4096
_NO_LINGER = struct.pack("ii", 1, 0)


class Service:
    """A TCP service on loopback in a thread of its own.

    Args:
        handler: serves one connection; an end of the connection ends it silently.
        port: where; 0 for any.
    """

    def __init__(self, handler: Handler, port: int = 0) -> None:
        self._handler = handler
        self._sock = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self.port: int = self._sock.getsockname()[1]
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="local service", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut all connections. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(SECONDS)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        # its default of 100 makes the kernel drop visitors of a crowd without a word
        server = await asyncio.start_server(
            self._connected, sock=self._sock, limit=CHUNK, backlog=BACKLOG
        )
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(3):  # what was aborted is closed in one of the next turns
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._handler(reader, writer)
            writer.close()
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back, and the end too."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def late_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer only when the visitor has said that it has no more: length and checksum."""
    size, digest = 0, hashlib.sha256()
    while data := await reader.read(CHUNK):
        size += len(data)
        digest.update(data)
    writer.write(late_answer_to(size, digest))
    await writer.drain()
    writer.write_eof()


def late_answer_to(size: int, digest: hashlib._Hash) -> bytes:
    """Return what late_answer says."""
    return f"{size} {digest.hexdigest()}\n".encode()


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say half an answer, and send RST when the visitor asks for the other half."""
    writer.write(b"half an answer")
    await reader.readexactly(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    raise ConnectionAbortedError


def flood(data: bytes) -> Handler:
    """Return a handler that sends ``data``, and then waits for the end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), CHUNK):
            writer.write(data[start : start + CHUNK])
            await writer.drain()
        await reader.read()

    return handler


def says(word: bytes) -> Handler:
    """Return a handler that says who it is, and ends."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(word)
        await writer.drain()

    return handler


def wait_for_port(program: Program, port: int) -> None:
    """Wait until a program listens on a port."""

    def listens() -> bool:
        assert program.process.poll() is None, f"{program.name} ended:\n{program.output}"
        return not refuses(port)

    wait_until(listens, f"{program.name} listens on {port}")


@dataclass(slots=True)
class Sshd:
    """A real OpenSSH server and a key that it lets in."""

    port: int
    folder: Path
    user: str

    def options(self, port_flag: str, port: int) -> list[str]:
        """Return options for ssh or scp to reach it through a port."""
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        flags = [word for setting in settings for word in ("-o", setting)]
        return ["-F", "none", "-i", str(self.folder / "key"), *flags, port_flag, str(port)]


def start_sshd(stage: Stage) -> Sshd:
    """Start sshd on loopback with keys of its own."""
    program, keygen = need_tool("sshd"), need_tool("ssh-keygen")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # privilege separation wants it
    folder = stage.folder / "ssh"
    folder.mkdir()
    for name in ("host_key", "key"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (folder / "authorized_keys").write_text((folder / "key.pub").read_text())
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "MaxStartups 100\nSubsystem sftp internal-sftp\n"
    )
    sshd = stage.start("sshd", program, "-D", "-e", "-f", str(folder / "config"))
    sshd.wait_for("Server listening on")
    return Sshd(port, folder, getpass.getuser())


def start_nginx(stage: Stage) -> int:
    """Start nginx on loopback with one page of 4 KiB; return its port."""
    program = need_tool("nginx")
    folder = stage.folder / "nginx"
    (folder / "www").mkdir(parents=True)
    (folder / "www" / "index.html").write_bytes(os.urandom(2048).hex().encode())
    port = free_port()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nworker_processes 1;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{ access_log off; {temporary}\n"
        f"client_body_temp_path {folder}/body; keepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}/www; }} }}\n"
    )
    command = (program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "conf"))
    wait_for_port(stage.start("nginx", *command), port)
    return port


def start_iperf(stage: Stage) -> int:
    """Start an iperf3 server on loopback; return its port."""
    port = free_port()
    command = (need_tool("iperf3"), "-s", "-B", "127.0.0.1", "-p", str(port), "--forceflush")
    stage.start("iperf3", *command).wait_for("Server listening")
    return port
