"""Go's yamux and ours, asked the same things frame by frame: what must not differ does not.

Each script is played to frps by a client, and to frpc by a server, that are nothing but frames.
What both programs do is held to one table; where ours does otherwise on purpose, the row says so
and why.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    Login,
    LoginResp,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.proto.yamux.frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack_header,
)
from tests.helpers.peers import login_message
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS
from tests.helpers.raw_mux import RawControl, RawMux
from tests.helpers.stage import TOKEN, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.peers_go import GoPeer

CONTROL, WORK, STRANGE, MORE = 1, 3, 99, 101
MUCH = 8 * 1024 * 1024  # above every window that Go grants


@dataclass(frozen=True, slots=True)
class Row:
    """One script, and what comes of it.

    Attributes:
        parts: what is sent once a visitor and its work stream talk.
        is_over: the session is.
        cuts: the visitor is cut off.
        answers: frames with flags that come back, beside the answer to our ping.
        ours: what our end does otherwise.
        why: the reason.
    """

    parts: tuple[bytes, ...]
    is_over: bool = False
    cuts: bool = False
    answers: frozenset[tuple[int, int, int]] = field(default=frozenset())
    ours: Row | None = None
    why: str = ""

    def but(self, why: str, **changes: object) -> Row:
        """Return the row of which ours differs by these, and why."""
        return replace(self, ours=replace(self, **changes), why=why)  # type: ignore[arg-type]


def frame(kind: int, flags: int, stream: int, value: int, payload: bytes = b"") -> bytes:
    return pack_header(kind, flags, stream, value) + payload


def update(flags: int, stream: int, value: int = 0) -> bytes:
    return frame(WINDOW_UPDATE, flags, stream, value)


def data(payload: bytes, flags: int = 0, stream: int = WORK) -> bytes:
    return frame(DATA, flags, stream, len(payload), payload)


def answers(*found: tuple[int, int, int]) -> frozenset[tuple[int, int, int]]:
    return frozenset(found)


ENDED = answers((WINDOW_UPDATE, FIN, WORK))

ROWS = {
    # Ends of streams.
    "reset": Row((update(RST, WORK),), cuts=True),
    "reset on data": Row((data(b"abc", RST),), cuts=True),
    "reset twice": Row((update(RST, WORK) * 2,), cuts=True),
    "end": Row((update(FIN, WORK),), cuts=True, answers=ENDED),
    "end on data": Row((data(b"abc", FIN),), cuts=True, answers=ENDED),
    "data behind the end": Row((update(FIN, WORK), data(b"abc")), cuts=True, answers=ENDED),
    "reset behind the end": Row((update(FIN, WORK), update(RST, WORK)), cuts=True),
    "end twice": Row((update(FIN, WORK) * 2,), is_over=True),
    # Streams that are none.
    "data for nobody": Row((data(b"abcd", stream=STRANGE),)),
    "credit for nobody": Row((update(0, STRANGE, 4),)),
    "end of nobody": Row((update(FIN, STRANGE),)),
    "reset of nobody": Row((update(RST, STRANGE),)),
    "data for stream 0": Row((data(b"abc", stream=0),)),
    # Opens.
    "acknowledged again": Row((update(ACK, WORK),)),
    "opened in use": Row((update(SYN, WORK),), is_over=True),
    "opened and reset at once": Row((update(SYN | RST, MORE),)),
    # Windows.
    "more than the window": Row((frame(DATA, 0, WORK, MUCH),), is_over=True),
    "credit above 32 bits": Row((update(0, WORK, 0xFFFF_FFFF),)).but(
        "Go's counter begins again at 0, and the stream may stall", is_over=True
    ),
    "data of no bytes": Row((data(b""),)),
    # Frames.
    "another version": Row((b"\1" + update(0, WORK)[1:],), is_over=True),
    "another type": Row((frame(4, 0, WORK, 0),), is_over=True),
    "flags that nobody knows": Row((update(0x1230, WORK),)),
    # The session's own.
    "ping": Row((frame(PING, SYN, 0, 7),), answers=answers((PING, ACK, 0))),
    "ping on a stream": Row((frame(PING, SYN, WORK, 7),), answers=answers((PING, ACK, 0))),
    "answer to no ping": Row((frame(PING, ACK, 0, 7),)),
    "go away": Row((frame(GO_AWAY, 0, 0, 0),)),
    "go away for a violation": Row((frame(GO_AWAY, 0, 0, 1),), is_over=True),
    "go away for an inner error": Row((frame(GO_AWAY, 0, 0, 2),), is_over=True),
    "go away for no known reason": Row((frame(GO_AWAY, 0, 0, 9),), is_over=True),
}
ACCEPTED = answers((WINDOW_UPDATE, ACK, MORE + 1))
ROWS_OF_FRPC = {
    **ROWS,
    "opened by the server": Row((update(SYN, MORE - 1),)).but(
        "Go leaves it unanswered for ever",
        answers=answers((WINDOW_UPDATE, ACK, MORE - 1), (WINDOW_UPDATE, RST, MORE - 1)),
    ),
}
ROWS_OF_FRPS = {
    **ROWS,
    "opened and ended at once": Row(
        (update(SYN | FIN, MORE),), answers=answers((WINDOW_UPDATE, FIN, MORE))
    ),
    "opened with an even number": Row((update(SYN, MORE + 1),), answers=ACCEPTED),
    "opened with a lower number": Row(
        (update(SYN, MORE + 1), update(SYN, MORE - 1)),
        answers=ACCEPTED | {(WINDOW_UPDATE, ACK, MORE - 1)},
    ),
    "opened as stream 0": Row((update(SYN, 0),), answers=answers((WINDOW_UPDATE, ACK, 0))),
    "opened with the last number": Row(
        (update(SYN, 0xFFFF_FFFF),), answers=answers((WINDOW_UPDATE, ACK, 0xFFFF_FFFF))
    ),
    "control stream reset": Row((update(RST, CONTROL),)).but(
        "Go keeps the connection until the client notices", is_over=True
    ),
    "control stream ended": Row((update(FIN, CONTROL),)).but(
        "Go keeps the connection until the client notices", is_over=True
    ),
}


class Talk:
    """A session in which a visitor and a work stream have just talked."""

    def __init__(self, mux: RawMux, visitor: socket.socket) -> None:
        self.mux = mux
        self.visitor = visitor
        self._mark = len(mux.frames)

    def play(self, row: Row) -> None:
        self.mux.send(*row.parts)

    def check(self, row: Row) -> None:
        """Wait for what the row says, and for nothing else."""
        if row.is_over:
            self.mux.until(lambda: bool(self.mux.end))
            return
        self.mux.until(lambda: self._told() >= row.answers)
        if row.cuts:
            read_to_end(self.visitor)
        self.mux.settle()
        assert not self.mux.end
        assert self._told() == row.answers
        if not row.cuts:
            self._still_talks()

    def _told(self) -> frozenset[tuple[int, int, int]]:
        """Return the flagged frames of the script; those of the control stream are frp's."""
        own = [frame for frame in self.mux.frames[self._mark :] if frame.stream != CONTROL]
        return frozenset(
            (one.kind, one.flags, one.stream)
            for one in own
            if one.flags and not (one.kind == PING and one.value > 0xFFFF)
        )

    def _still_talks(self) -> None:
        before = len(self.mux.data(WORK))
        self.visitor.sendall(b"and still")
        self.mux.until(lambda: len(self.mux.data(WORK)) >= before + 9)
        assert self.mux.data(WORK)[before:] == b"and still"


def read_to_end(sock: socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, int]]:
    """The port of a running frps for each folder of programs, started when asked for."""
    stage = Stage(tmp_path_factory.mktemp("servers"))

    class Started(dict[Path, int]):
        def __missing__(self, folder: Path) -> int:
            port = self[folder] = free_port()
            stage.frps({"bind_addr": "127.0.0.1", "bind_port": port, "token": TOKEN}, folder=folder)
            return port

    yield Started()
    stage.close()


def talk_to_frps(port: int) -> Talk:
    """Log in, take a port, and let a visitor say hello."""
    mux = RawMux(socket.create_connection(("127.0.0.1", port)))
    mux.send(update(SYN, CONTROL))
    control = RawControl(mux, CONTROL)
    control.send(login_message(TOKEN))
    run_id = control.receive(LoginResp).run_id
    control.encrypt(TOKEN)
    remote_port = free_port()
    name = f"p{remote_port}"  # Go forgets the one before when it gets round to it
    control.send(NewProxy(proxy_name=name, proxy_type="tcp", remote_port=remote_port))
    assert not control.receive(NewProxyResp).error
    mux.send(update(SYN, WORK), data(encode_message(NewWorkConn(run_id=run_id))))
    visitor = socket.create_connection(("127.0.0.1", remote_port), SECONDS)
    visitor.sendall(b"hello")
    mux.until(lambda: mux.data(WORK).endswith(b"hello"))
    mux.settle()
    return Talk(mux, visitor)


def hold(talk: Talk, row: Row) -> None:
    """Play a script, and look at what it came to."""
    try:
        talk.play(row)
        talk.check(row)
    finally:
        talk.visitor.close()
        talk.mux.close()


@pytest.mark.parametrize("script", ROWS_OF_FRPS)
def test_frps_answers_as_go_does(peer: GoPeer, script: str, servers: dict[Path, int]) -> None:
    row = ROWS_OF_FRPS[script]
    hold(talk_to_frps(servers[peer.folder]), row)
    hold(talk_to_frps(servers[BIN]), row.ours or row)


def talk_to_frpc(stage: Stage, listener: socket.socket, service: socket.socket) -> Talk:
    """Let a client in, and let its service say hello."""
    mux = RawMux(listener.accept()[0])
    control = RawControl(mux, CONTROL)
    mux.send(update(ACK, CONTROL))
    control.receive(Login)
    control.send(LoginResp(version="0.21.0", run_id="0123456789abcdef"))
    control.encrypt(TOKEN)
    control.receive(NewProxy)
    control.send(NewProxyResp(proxy_name="p", remote_addr=":1"))
    control.send(ReqWorkConn())
    mux.until(lambda: mux.data(WORK) != b"")
    mux.send(update(ACK, WORK), data(encode_message(StartWorkConn(proxy_name="p"))))
    visited = service.accept()[0]
    visited.settimeout(SECONDS)
    visited.sendall(b"hello")
    mux.until(lambda: mux.data(WORK).endswith(b"hello"))
    mux.settle()
    return Talk(mux, visited)


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", free_port()))
    sock.settimeout(SECONDS)
    return sock


@pytest.mark.parametrize("script", ROWS_OF_FRPC)
def test_frpc_answers_as_go_does(peer: GoPeer, script: str, stage: Stage) -> None:
    row = ROWS_OF_FRPC[script]
    for folder, expected in ((peer.folder, row), (BIN, row.ours or row)):
        with listening() as listener, listening() as service:
            stage.frpc(
                {
                    "server_addr": "127.0.0.1",
                    "server_port": listener.getsockname()[1],
                    "token": TOKEN,
                    "pool_count": 0,
                    **peer.client_settings("frpc"),
                },
                {"p": {"local_port": service.getsockname()[1], "remote_port": 6000}},
                folder=folder,
                wait_for=(),
            )
            hold(talk_to_frpc(stage, listener, service), expected)
