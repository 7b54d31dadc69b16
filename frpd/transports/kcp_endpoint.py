"""KcpEndpoint: an Endpoint over one KCP conversation.

What is written leaves at the end of the loop's turn, in as few system calls as the wire
needs. KCP has no close: our own ends say it beside KCP (frpd/proto/kcp_parting.py), and a
peer that does not understand that is given up after a while.

Strangers are held to what frpd/proto/kcp_stranger.py says, until they are let in.
"""

from __future__ import annotations

import socket
from typing import Final

from frpd.errors import ConnectionLost
from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Buffer, Callback, Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.net.stream import SocketEnds
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import Farewell, Kind, Parting, read_farewell
from frpd.proto.kcp_stranger import Stranger
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.kcp_wire import KcpWire, SocketWire

CLOSE_SECONDS: Final = 10.0
"""How long close() waits until the peer has everything."""
IDLE_SECONDS: Final = 60.0
"""After such a silence one of our own ends is asked whether it is there."""
HALF_OPEN_SECONDS: Final = 60.0
"""A peer that cannot say that it has ended may be silent so long after we have."""
WRITABLE_BYTES: Final = 64 * 1024
"""Whoever waits to write is called once there is so much room, not for each datagram's."""

_log = get_logger("frpd.transports.kcp_endpoint")


class KcpEndpoint:
    """An Endpoint, and the Bearer of a connection. Loop thread only.

    Whoever owns the wire calls receive() with each datagram, then serve().

    Args:
        loop: the loop.
        kcp: the conversation, fresh; its clock is the loop's plus ``clock_ahead``.
        wire: takes what is to be sent.
        peer: the other side's address as the kernel gave it.
        clock_ahead: for a stranger something that he cannot guess.
        is_stranger: hold the peer to what strangers are held to, until let_in().
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_await_proof",
        "_close_timer",
        "_closing",
        "_eof_told",
        "_flush_planned",
        "_heard_at",
        "_kcp",
        "_loop",
        "_lost",
        "_on_readable",
        "_on_writable",
        "_over",
        "_parting",
        "_pushed_back",
        "_quiet",
        "_received",
        "_scheduled",
        "_shut",
        "_stranger",
        "_timer",
        "_wire",
        "_written",
        "on_failure",
        "peer",
    )

    carrier = "kcp"

    def __init__(
        self,
        loop: SelectorLoop,
        kcp: KcpConnection,
        wire: KcpWire,
        peer: SockAddr,
        *,
        clock_ahead: float = 0.0,
        is_stranger: bool = False,
    ) -> None:
        self.on_failure: Callback | None = None
        self.peer = peer
        self._loop = loop
        self._kcp = kcp
        self._wire = wire
        self._ahead = clock_ahead
        self._stranger = Stranger() if is_stranger else None
        self._await_proof: list[Callback] = []
        self._parting = Parting(kcp.conversation)
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._pushed_back = b""
        self._written = self._received = 0
        self._scheduled = self._flush_planned = False
        self._shut = False  # we have ended our direction
        self._closing = False  # closed here; what was taken is on its way
        self._over = False  # nothing goes through the wire any more
        self._lost = ""  # the peer is gone: why
        self._heard_at = loop.now()
        self._quiet = True  # nothing has come from it
        self._eof_told = False
        self._timer: Timer | None = None
        self._close_timer: Timer | None = None

    @classmethod
    def over_socket(
        cls,
        loop: SelectorLoop,
        sock: socket.socket,
        conversation: int,
        *,
        send_window: int = 1024,
        receive_window: int = 1024,
    ) -> KcpEndpoint:
        """Return an endpoint over a connected UDP socket, which it owns from now on.

        A peer that does not understand our way to close goes unnoticed; above it something
        has to ask whether it is alive, as yamux does.
        """
        kcp = KcpConnection(
            conversation, now=loop.now(), send_window=send_window, receive_window=receive_window
        )
        wire = SocketWire(loop, sock)
        made = cls(loop, kcp, wire, wire.peer)
        wire.serve(made)
        return made

    # For whoever owns the wire.

    @property
    def conversation(self) -> int:
        """Its number."""
        return self._kcp.conversation

    @property
    def is_stranger(self) -> bool:
        """Whether it was not let in so far."""
        return self._stranger is not None

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has never been heard."""
        return self._quiet

    def receive(self, datagram: Buffer) -> None:
        """Take one datagram, whatever it is. Call serve() after the last of a batch."""
        if self._over:
            return
        if self._stranger is not None and not self._admits(self._stranger, datagram):
            return
        now = self._loop.now()
        farewell = read_farewell(datagram)
        if farewell is None:
            self._kcp.receive_datagram(datagram, now + self._ahead)
        elif farewell.conversation != self._kcp.conversation:
            return
        else:
            self._parting.receive(farewell)
        self._heard_at = now
        self._quiet = False

    def serve(self) -> None:
        """Act on what was received: tell who watches, and answer."""
        if self._over:
            return
        if self._parting.was_reset:
            self.lose("connection reset by peer")
            return
        self._plan_flush()
        if self._closing:
            self._kcp.read(self._kcp.readable_bytes)  # nobody will
        else:
            self._deliver()

    def lose(self, reason: str) -> None:
        """The peer is gone; what it said before can still be read."""
        if self._over:
            return
        self._lost = reason
        self._let_go()
        if self._on_readable is not None or self._on_writable is not None:
            self._schedule()
        elif self._eof_told and self.on_failure is not None:
            self._loop.call_soon(self.on_failure)

    # Bearer.

    def describe(self) -> str:
        """Return the peer's address."""
        return format_address(self.peer)

    def local_address(self) -> SockAddr:
        """See Bearer.local_address."""
        if self._over:
            raise ConnectionLost(self._lost or "closed here")
        return self._wire.local_address()

    def ends(self) -> SocketEnds | None:
        """See Bearer.ends."""
        if self._over:
            return None
        return SocketEnds(format_address(self._wire.local_address()), self.describe())

    def let_in(self) -> None:
        """See Bearer.let_in: we may send as much as there is."""
        self._stranger = None

    def when_proven(self, call: Callback) -> None:
        """See BearerStream.when_proven."""
        if self._stranger is None or self._stranger.is_proven:
            call()
        else:
            self._await_proof.append(call)

    # Endpoint.

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read."""
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back[:limit], self._pushed_back[limit:]
            return data
        data = self._kcp.read(limit)
        if data:
            self._received += len(data)
            self._plan_flush()  # the window may have opened
            return data
        if self._has_ended:
            self._eof_told = True
            return Outcome.EOF
        if self._lost:
            raise ConnectionLost(self._lost)
        return Outcome.EMPTY

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread."""
        if len(data):
            self._pushed_back = bytes(data) + self._pushed_back
            if self._on_readable is not None:
                self._schedule()

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: copied into KCP's queue."""
        if self._is_broken:
            raise ConnectionLost(self._lost or "the connection is closed")
        taken = self._kcp.send(data)
        if taken:
            self._written += taken
            self._plan_flush()
        return taken

    def room(self) -> int:
        """See Endpoint.room."""
        return 1 if self._is_broken else self._kcp.room()  # let the write say so

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if self._closing:
            return
        self._on_readable = on_readable
        self._on_writable = on_writable
        if self._is_wanted:
            self._schedule()

    def shutdown_write(self) -> None:
        """See Endpoint.shutdown_write; only our own ends hear of it."""
        if not (self._shut or self._closing or self._over):
            self._shut = True
            self._parting.say(Kind.END, self._written, self._loop.now())
            self._plan_flush()

    def close(self) -> None:
        """See Endpoint.close: what was taken has 10 s to arrive."""
        if self._closing:
            return
        self._closing = True
        self._on_readable = self._on_writable = None
        if self._over:
            return
        self._close_timer = self._loop.call_later(CLOSE_SECONDS, self.abort)
        if not self._parting.peer_is_gone:
            self._parting.say(Kind.GONE, self._written, self._loop.now())
        self._flush()  # now: whoever closes may be about to stop the loop

    def abort(self) -> None:
        """See Endpoint.abort; only our own ends hear of it."""
        self._closing = True
        self._on_readable = self._on_writable = None
        if not self._over:
            self._send([Farewell(self._kcp.conversation, Kind.RESET).encode()])
            self._let_go()

    @property
    def splices(self) -> bool:
        """It never does: bytes come in segments."""
        return False

    def splice_with(self, pool: PipePool | None) -> None:
        """Nothing to do."""

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See Endpoint.read_pipe: use read()."""
        return Outcome.COPY

    def pipe_moved(self, nbytes: int) -> None:
        """Not used."""

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """Not used: it does not splice."""
        raise AssertionError

    # Inside.

    def _admits(self, stranger: Stranger, datagram: Buffer) -> bool:
        """Whether to take what a stranger sends; it may be the proof that he is there."""
        may_enter = stranger.may_enter(datagram)
        if stranger.is_proven and self._await_proof:
            calls, self._await_proof = self._await_proof, []
            for call in calls:
                call()
        return may_enter

    @property
    def _has_ended(self) -> bool:
        """Whether all of the peer's direction has been read."""
        heard = self._parting.heard
        return heard is not None and self._received >= heard

    @property
    def _is_broken(self) -> bool:
        """Whether nothing can be written any more."""
        return bool(self._lost) or self._shut or self._closing or self._parting.peer_is_gone

    @property
    def _is_wanted(self) -> bool:
        """Whether somebody watches for what is the case."""
        if self._on_readable is not None and (
            self._kcp.readable_bytes or self._pushed_back or self._lost or self._has_ended
        ):
            return True
        return self._on_writable is not None and (
            self._is_broken or self._kcp.room() >= WRITABLE_BYTES
        )

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._deliver_later)

    def _deliver_later(self) -> None:
        self._scheduled = False
        self._deliver()

    def _deliver(self) -> None:
        kcp = self._kcp
        try:
            if self._on_readable is not None and (
                kcp.readable_bytes or self._pushed_back or self._lost or self._has_ended
            ):
                self._on_readable()
            if self._on_writable is not None and (self._is_broken or kcp.room() >= WRITABLE_BYTES):
                self._on_writable()
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("a callback of %s failed", self.describe())
            self.abort()
            if self.on_failure is not None:
                self.on_failure()
            return
        if self._is_wanted:
            self._schedule()

    def _plan_flush(self) -> None:
        if not (self._flush_planned or self._over):
            self._flush_planned = True
            self._loop.call_at_turn_end(self._flush)

    def _flush(self) -> None:
        """Send what may leave, and see what is due next."""
        self._flush_planned = False
        if self._over:
            return
        now, kcp = self._loop.now(), self._kcp
        datagrams = kcp.datagrams_to_send(now + self._ahead)
        datagrams += self._parting.datagrams_to_send(now)
        if datagrams:
            self._send(datagrams)
            if self._on_writable is not None and self._is_wanted:
                self._schedule()  # what has left makes room
        silent = now - self._heard_at
        if kcp.is_dead or (self._has_fallen_silent and not self._closing):
            self.lose("the peer does not answer any more")
        elif self._is_half_open and silent >= HALF_OPEN_SECONDS:
            self.lose(f"silent for {HALF_OPEN_SECONDS:g} s after we had ended")
        elif self._closing and self._is_settled:
            self._let_go()
        else:
            if silent >= IDLE_SECONDS and self._may_ask:
                self._parting.say(Kind.END if self._shut else Kind.ASK, self._written, now)
            self._rearm(now)

    @property
    def _is_settled(self) -> bool:
        """Whether the peer has all, and knows that there is no more, or never will."""
        parting = self._parting
        if parting.peer_is_gone:
            return True
        knows = parting.is_taken or parting.has_given_up
        return knows and not self._kcp.unsent_or_unacked

    @property
    def _has_fallen_silent(self) -> bool:
        """Whether one of our own ends does not answer."""
        return self._parting.has_given_up and self._parting.peer_is_ours

    @property
    def _may_ask(self) -> bool:
        """Whether the peer can be asked if it is there: it may be one of ours."""
        parting = self._parting
        return not (parting.is_waiting or parting.has_given_up or self._closing)

    @property
    def _is_half_open(self) -> bool:
        """Whether we have ended, and the peer does not understand that."""
        return self._shut and self._parting.has_given_up and not self._closing

    def _send(self, datagrams: list[bytes]) -> None:
        if self._stranger is not None:
            datagrams = self._stranger.may_leave(datagrams)
        if datagrams:
            self._wire.send(datagrams)

    def _rearm(self, now: float) -> None:
        deadline = self._kcp.next_deadline()
        if deadline is not None:
            deadline -= self._ahead
        said = self._parting.next_deadline()
        if said is not None and (deadline is None or said < deadline):
            deadline = said
        if self._is_half_open or self._may_ask:
            silent = self._heard_at + min(HALF_OPEN_SECONDS, IDLE_SECONDS)
            deadline = silent if deadline is None else min(deadline, silent)
        if deadline is None:
            return
        timer = self._timer
        if timer is not None:
            if timer.when <= deadline:
                return  # then it is asked again
            timer.cancel()
        self._timer = self._loop.call_at(max(deadline, now), self._deadline_passed)

    def _deadline_passed(self) -> None:
        self._timer = None
        self._kcp.handle_deadline(self._loop.now() + self._ahead)
        self._flush()

    def _let_go(self) -> None:
        self._over = True
        for timer in (self._timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._close_timer = None
        self._wire.release()
