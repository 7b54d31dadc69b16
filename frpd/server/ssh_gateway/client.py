"""SshClient: one SSH connection of a user, from its banner to its end.

For the room's thread, but for what says otherwise. Until the server has let the client in it is
a stranger, which gets a bounded time (at the door), a bounded number of bytes (here), one session
and one forwarding, and not a word of what it says goes to a log.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import asyncssh

from frpd.errors import ConfigError, FrpError
from frpd.log import get_logger
from frpd.proto.message.types import StartWorkConn
from frpd.server.guard.penalties import Offence
from frpd.server.ssh_gateway.command import HelpWanted, Wanted, read_command, usage
from frpd.server.ssh_gateway.joint import LOST, join
from frpd.server.ssh_gateway.settings import (
    COMMAND_SECONDS,
    MAX_FILE_BYTES,
    MAX_STRANGER_BYTES,
    WINDOW_BYTES,
    SshSettings,
)
from frpd.server.ssh_gateway.tunnel import Near, Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.server.ssh_gateway.room import Room

    Session = asyncssh.SSHServerSession[str]

_Wish = TypeVar("_Wish")

KEEPALIVE_SECONDS: Final = 30
KEEPALIVES: Final = 3
GOODBYE_SECONDS: Final = 1.0
MAX_SOFTWARE_CHARS: Final = 64
ENDS: Final = ("\x03", "\x04")
"""Ctrl-C and Ctrl-D, of a terminal that is raw."""

NO_FORWARD: Final = "nothing to expose: no -R :80:HOST:PORT was given"
NO_COMMAND: Final = "no command was given"
BAD_COMMAND: Final = "its command cannot be used"

_log = get_logger("frpd.server.ssh_gateway")


class Desk(Protocol):
    """Where a client reports what the reactor has to know; for the room's thread."""

    def stream_came(self, sock: socket.socket) -> None:
        """Hand a stream to the server."""

    def key_accepted(self, user: str) -> None:
        """It has a key that is let in; the user is the key's comment, "" if it has none."""

    def ended(self, reason: str, offence: Offence | None) -> None:
        """It is gone; as what that counts if it never was let in."""


class SshClient(asyncssh.SSHServer):
    """What asyncssh calls the application of one connection.

    Args:
        room: whose thread this is for.
        settings: host key, and whose keys are let in.
        desk: is told.
        spare_name: part of the proxy's name if the user has none.
    """

    def __init__(self, room: Room, settings: SshSettings, desk: Desk, spare_name: str) -> None:
        self._room = room
        self._settings = settings
        self._desk = desk
        self._spare_name = spare_name
        self._conn: _Connection | None = None
        self._chan: asyncssh.SSHServerChannel[str] | None = None
        self._command: asyncio.Future[str] | None = None
        self._forwarding: asyncio.Future[tuple[str, int]] | None = None
        self._running: asyncio.Task[None] | None = None
        self._keys = ""
        self._user = ""
        self._offence: Offence | None = Offence.NOAUTH
        self._stranger_bytes = MAX_STRANGER_BYTES
        self._why = ""
        self._over = False

    # For the reactor's thread: see FarEnd.

    def let_in(self) -> None:
        """See FarEnd.let_in."""
        self._room.call(self._let_in)

    def leave(self) -> None:
        """See FarEnd.leave."""
        self._room.call(self._leave)

    def cut(self, reason: str) -> None:
        """See FarEnd.cut."""
        self._room.call(self._cut, reason)

    # From here on for the room's thread.

    def begin(self, sock: socket.socket, first: bytes) -> None:
        """Speak SSH on a connection that was accepted.

        Args:
            sock: owned from now on.
            first: what was read from it already.
        """
        loop = asyncio.get_running_loop()
        self._command, self._forwarding = loop.create_future(), loop.create_future()
        self._room.spawn(self._begin(loop, sock, first))

    async def _begin(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, first: bytes
    ) -> None:
        try:
            options = _options(self, self._settings)
            await loop.connect_accepted_socket(
                lambda: _Connection(loop, options, self, first), sock
            )
        except OSError as error:
            sock.close()
            self.connection_lost(error)

    def heard(self, count: int) -> bool:
        """Count what a stranger sends; False if that is too much."""
        if self._stranger_bytes < 0:
            return True
        self._stranger_bytes -= count
        if self._stranger_bytes >= 0:
            return True
        self._offence = Offence.PROTOCOL
        self._why = f"more than {MAX_STRANGER_BYTES} bytes before its login"
        return False

    # What asyncssh calls, in this order.

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """The connection begins."""
        assert isinstance(conn, _Connection)
        self._conn = conn
        if self._over:
            conn.abort()

    def begin_auth(self, username: str) -> bool:
        """Whether a key is asked for; the name means nothing, as in frp."""
        path = self._settings.authorized_keys_file
        if not path:
            return False
        assert self._conn is not None
        try:
            with open(path, encoding="utf-8") as file:  # anew, so that edits count at once
                self._keys = file.read(MAX_FILE_BYTES)
            self._conn.set_authorized_keys(asyncssh.import_authorized_keys(self._keys))
        except (OSError, ValueError) as error:
            _log.error("ssh gateway: nobody can enter: %s: %s", path, error)
            self._offence = None
        return True

    def key_tried(self, key_data: bytes, *, is_good: bool, is_signed: bool) -> None:
        """A key was offered, or a signature by it was checked."""
        if not is_good:
            self._offence, self._why = Offence.AUTHFAIL, "no key that is let in"
        elif is_signed:
            self._user = comment_of(self._keys, key_data)
            self._desk.key_accepted(self._user)

    def auth_completed(self) -> None:
        """SSH is content; the server still has to be."""
        self._offence, self._why = Offence.NOAUTH, ""
        self._running = self._room.spawn(self._run())

    def server_requested(self, listen_host: str, listen_port: int) -> asyncssh.SSHListener | bool:
        """Take -R once; frps listens by itself."""
        assert self._forwarding is not None
        if self._forwarding.done() or not listen_port:  # frp takes more, and serves the first
            return False
        self._forwarding.set_result((listen_host, listen_port))
        return _Forwarding(self._forwarding_cancelled)

    def session_requested(self) -> Session | bool:
        """Take a session once."""
        return _Session(self) if self._chan is None else False

    def session_began(self, chan: asyncssh.SSHServerChannel[str]) -> None:
        """There is somewhere to write to."""
        self._chan = chan

    def asked(self, command: str) -> None:
        """The user has given a command; "" for a shell."""
        assert self._command is not None
        if not self._command.done():
            self._command.set_result(command)

    def quit(self) -> None:
        """The user wants to end it."""
        self._cut("the user has ended it")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over. Idempotent."""
        if self._over and self._conn is None:
            return
        self._over, self._conn = True, None
        if self._running is not None:
            self._running.cancel()
        if isinstance(exc, (asyncssh.ProtocolError, asyncssh.MACError)):
            self._offence = Offence.PROTOCOL if self._offence is not None else None
        self._desk.ended(self._why or _how(exc), self._offence)

    # The user's wish.

    async def _run(self) -> None:
        try:
            await self._say_goodbye(*await self._serve_wish())
        finally:
            if self._conn is not None:
                self._conn.abort()  # does nothing where it was closed

    async def _serve_wish(self) -> tuple[str, int]:
        """Do what the user wants as long as that goes; return the last words and a status."""
        try:
            wanted, forwarding = await self._wanted()
            await self._serve(wanted, forwarding)
        except HelpWanted as wish:
            return str(wish), 0
        except ConfigError as error:
            self._why = BAD_COMMAND
            return str(error), 1
        except FrpError as error:
            return str(error), 1
        return "the server has ended the session", 1

    async def _wanted(self) -> tuple[Wanted, tuple[str, int]]:
        command = await _in_time(self._command, NO_COMMAND)
        if not command.strip():
            raise ConfigError(f"{NO_COMMAND}\n{usage('')}")
        wanted = read_command(command, spare_name=self._spare_name, user=self._user)
        return wanted, await _in_time(self._forwarding, NO_FORWARD)

    async def _serve(self, wanted: Wanted, forwarding: tuple[str, int]) -> None:
        conn = self._conn
        assert conn is not None

        async def on_work(near: Near, rest: bytes, start: StartWorkConn) -> None:
            with contextlib.suppress(*LOST):
                far = await conn.open_connection(
                    *forwarding, start.src_addr, start.src_port, window=WINDOW_BYTES
                )
                far[1].write(rest)
                await join(near, far, conn.may_send.wait)

        def on_address(address: str) -> None:
            self._say(_greeting(wanted, address))

        software = str(conn.get_extra_info("client_version") or "")
        await Tunnel(
            wanted,
            _plain(software.removeprefix("SSH-2.0-")),
            give=self._desk.stream_came,
            on_address=on_address,
            on_work=on_work,
        ).run()

    def _say(self, text: str, *, is_error: bool = False) -> None:
        if self._chan is None or self._chan.is_closing():
            return
        text += "\n"
        if self._chan.get_terminal_type():  # a terminal that is raw
            text = text.replace("\n", "\r\n")
        with contextlib.suppress(OSError):
            (self._chan.write_stderr if is_error else self._chan.write)(text)

    async def _say_goodbye(self, text: str, status: int) -> None:
        self._say(text, is_error=status != 0)
        if self._chan is not None and not self._chan.is_closing():
            self._chan.exit(status)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._chan.wait_closed()
        self._cut(text.partition("\n")[0])

    # Ends.

    def _let_in(self) -> None:
        self._stranger_bytes = -1
        self._offence = None

    def _leave(self) -> None:
        if self._running is None:
            self._cut("refused")

    def _cut(self, reason: str) -> None:
        self._why = self._why or reason
        self._over = True
        if self._conn is not None:
            self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, reason)

    def _forwarding_cancelled(self) -> None:
        # asyncssh calls this at the end of the connection too.
        asyncio.get_running_loop().call_soon(self._cut, "the forwarding was cancelled")


class _Connection(asyncssh.SSHServerConnection):
    """asyncssh's, with bounds: on what strangers send, and on what waits to be sent."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        client: SshClient,
        first: bytes,
    ) -> None:
        super().__init__(loop, options)
        self._client = client
        self._first = first
        self.may_send = asyncio.Event()
        self.may_send.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if self._first:
            self.data_received(self._first)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """See asyncio.Protocol."""
        if self._client.heard(len(data)):
            super().data_received(data, datatype)
        else:
            self.abort()

    def pause_writing(self) -> None:
        """See asyncio.Protocol; asyncssh itself goes by the peer's windows alone."""
        self.may_send.clear()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.may_send.set()

    async def validate_public_key(
        self, username: str, key_data: bytes, msg: bytes, signature: bytes
    ) -> bool:
        """Tell which key it was."""
        is_good = await super().validate_public_key(username, key_data, msg, signature)
        self._client.key_tried(key_data, is_good=is_good, is_signed=bool(msg))
        return is_good


class _Session(asyncssh.SSHServerSession[str]):
    """The session that has the command."""

    def __init__(self, client: SshClient) -> None:
        self._client = client
        self._is_terminal = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[str]) -> None:
        """It is open."""
        self._client.session_began(chan)

    def pty_requested(self, term_type: str, term_size: object, term_modes: object) -> bool:
        """A terminal is fine (ssh -t)."""
        self._is_terminal = True
        return True

    def shell_requested(self) -> bool:
        """There is no shell, but something to say about it."""
        self._client.asked("")
        return True

    def exec_requested(self, command: str) -> bool:
        """Here it is."""
        self._client.asked(command)
        return True

    def data_received(self, data: str, datatype: int | None) -> None:
        """A raw terminal sends Ctrl-C as a character."""
        if self._is_terminal and any(end in data for end in ENDS):
            self._client.quit()

    def eof_received(self) -> bool:
        """Stay: the user's input may be /dev/null."""
        return True


class _Forwarding(asyncssh.SSHListener):
    """A forwarding that listens nowhere: the proxy does."""

    def __init__(self, on_close: Callable[[], None]) -> None:
        super().__init__()
        self._on_close = on_close

    def close(self) -> None:
        """The user has cancelled it."""
        self._on_close()

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""


def comment_of(authorized_keys: str, key_data: bytes) -> str:
    """Return the comment of a key, which is the name of the user in frp; "" if it has none."""
    blob = base64.b64encode(key_data).decode()
    for line in authorized_keys.splitlines():
        before, found, behind = line.partition(blob)
        if found and not before.lstrip().startswith("#"):
            return behind.strip()
    return ""


@lru_cache(maxsize=2)
def _host_key(data: bytes) -> asyncssh.SSHKey:
    """Read a host key once: to check one of RSA takes 55 ms."""
    return asyncssh.import_private_key(data)


def _options(client: SshClient, settings: SshSettings) -> asyncssh.SSHServerConnectionOptions:
    return asyncssh.SSHServerConnectionOptions(
        server_factory=lambda: client,
        server_host_keys=[_host_key(settings.host_key)],
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        compression_algs=["none"],  # or a stranger's few bytes may become many here
        agent_forwarding=False,
        allow_scp=False,
        line_editor=False,
        login_timeout=0,  # the door has one, from the first byte to the login at frps
        keepalive_interval=KEEPALIVE_SECONDS,
        keepalive_count_max=KEEPALIVES,
        encoding="utf-8",
        errors="replace",
    )


async def _in_time(wish: asyncio.Future[_Wish] | None, otherwise: str) -> _Wish:
    assert wish is not None
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            return await asyncio.shield(wish)
    except TimeoutError:
        raise ConfigError(otherwise) from None


def _how(exc: Exception | None) -> str:
    """Return how it has left; the text of an error may be the user's, and of any length."""
    return "it left" if exc is None else f"it left ({type(exc).__name__})"


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:MAX_SOFTWARE_CHARS]


def _greeting(wanted: Wanted, address: str) -> str:
    """Return what frp says once a tunnel is there, for scripts that wait for it."""
    facts = {
        "User": wanted.user,
        "ProxyName": wanted.request.proxy_name,
        "Type": wanted.request.proxy_type,
        "RemoteAddress": address,
    }
    told = "".join(f"{name}: {value}\n" for name, value in facts.items())
    return f"\nfrp (via SSH) (Ctrl+C to quit)\n\n{told}"
