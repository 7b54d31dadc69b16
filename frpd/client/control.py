"""ControlSession: frpc's side of one logged-in session."""

from __future__ import annotations

from collections.abc import Callable

from frpd.auth.token import Credential
from frpd.client.credentials import Credentials
from frpd.client.nathole.answers import Answers
from frpd.client.proxy_table import ProxyTable, Send
from frpd.entropy import Entropy
from frpd.errors import FrpError, TransportError
from frpd.log import PrefixLogger
from frpd.net.address import host_of
from frpd.net.endpoint import Endpoint
from frpd.net.netwatch import has_address
from frpd.net.tcp_info import TcpInfo
from frpd.proto import native
from frpd.proto.message.types import (
    CloseProxy,
    LoginResp,
    Message,
    NatHoleResp,
    NewProxyResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.proto.seal import StreamSeal
from frpd.proto.seal_keys import NONCE_BYTES, stream_context, work_context
from frpd.proto.seal_session import SessionSeal
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.base import OnEndpoint, OnFailed, ServerLink
from frpd.transports.first_record import FirstRecord
from frpd.transports.link import stream_id_of
from frpd.transports.messages import MessageStream
from frpd.transports.work import WorkStream

# A server may ask for work connections without end; this many may be unused.
MAX_IDLE_WORK_CONNS = 16_384
# A server that says nothing for so long after the network changed is out of reach.
PROBE_SECONDS = 3.0
# A stream that the server opens brings its StartWorkConn along.
START_SECONDS = 10.0


class ControlSession:
    """One session with the server. Loop thread only.

    Args:
        loop: the loop.
        link: opens work connections; closed with the session.
        stream: the control stream, encrypted already.
        run_id: our name.
        features: what both ends are able to, see frpd.proto.native.
        server_version: what the server says it is, frp's number.
        server_udp: where it helps clients to punch holes, up to 0.48.
        seal: of a sealed session.
        entropy: for the nonces of a sealed one, and for names.
        credentials: for pings and work connections.
        table: the proxies.
        heartbeat_interval_seconds: between pings; <= 0 for none.
        heartbeat_timeout_seconds: without a pong the session is lost; <= 0 for never.
        log: with the run id.
        on_lost: called once when the session has ended by itself.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        link: ServerLink,
        stream: MessageStream,
        *,
        run_id: str,
        features: frozenset[str],
        server_version: str = "",
        server_udp: tuple[str, int] | None = None,
        seal: SessionSeal | None,
        entropy: Entropy,
        credentials: Credentials,
        table: ProxyTable,
        heartbeat_interval_seconds: float,
        heartbeat_timeout_seconds: float,
        log: PrefixLogger,
        on_lost: Callable[[str], None],
    ) -> None:
        self.run_id = run_id
        self.refusal = ""  # of our login, when it came this late
        self.features = features
        self.server_version = server_version
        self.server_udp = server_udp
        self.seal = seal
        self.log = log
        self.answers = Answers(loop, stream.send, entropy)
        self.send = stream.send
        self._loop = loop
        self._link = link
        self._stream = stream
        self._entropy = entropy
        self._credentials = credentials
        self._table = table
        self._interval = heartbeat_interval_seconds
        self._timeout = heartbeat_timeout_seconds
        self._on_lost = on_lost
        self._last_pong = loop.now()
        self._ping_timer: Timer | None = None
        self._pong_timer: Timer | None = None
        self._retry_timer: Timer | None = None
        self._probe_timer: Timer | None = None
        self._probed_at = 0.0
        self._idle: set[WorkConn] = set()
        self._awaited: dict[WorkConn, float] = {}  # since when they are late; oldest first
        self._await_timer: Timer | None = None
        self._opening = 0  # work connections that were asked for and are not open yet
        self._closed = False
        stream.on_message = self._on_message
        stream.on_end = self._on_end
        if native.DIRECT_STREAM in features:
            link.accept_streams(self._work_accepted, rising_ids=seal is not None)

    def start(self) -> None:
        """Register the proxies and begin to ping."""
        self._table.register(self._stream.send, self._loop.now())
        self._arm_ping()
        self._arm_pong()
        self._arm_retry()

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        """Open a stream for a visitor of ours; exactly one of the two is called, until close()."""
        self._link.open_stream(on_open, on_failed)

    def change_proxies(self, change: Callable[[Send, float], None]) -> None:
        """Have the table changed while the server looks on."""
        change(self._stream.send, self._loop.now())
        self._arm_retry()

    def tcp_info(self) -> TcpInfo | None:
        """Return what the kernel knows of the connection; None if it says nothing."""
        bearer = self._link.bearer
        ends = None if bearer is None else bearer.ends()
        return None if ends is None else ends.tcp

    def withdraw(self) -> None:
        """Have the server take no more visitors; those connected stay."""
        for name in self._table.entries:
            if self._table.running(name) is not None:
                self._stream.send(CloseProxy(proxy_name=name))

    def probe(self) -> None:
        """The network has changed: find out soon whether the server can still be reached."""
        local = self._link.local_address
        if local is not None and not has_address(local):
            self.lost(f"{host_of(local)} is no longer an address of this machine")
            return
        self._end_probe()
        self._probed_at = self._loop.now()
        self._probe_timer = self._loop.call_later(PROBE_SECONDS, self._probe_due)
        self._send_ping()

    def close(self) -> None:
        """End the session without a word to on_lost. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.answers.close()
        for timer in (
            self._ping_timer,
            self._pong_timer,
            self._retry_timer,
            self._probe_timer,
            self._await_timer,
        ):
            if timer is not None:
                timer.cancel()
        unused = [*self._idle, *self._awaited]
        self._idle.clear()
        self._awaited.clear()
        for work in unused:
            work.close()
        self._table.session_lost(self._loop.now())
        self._stream.close()
        self._link.close()
        if self.seal is not None:
            self.seal.erase()

    def lost(self, reason: str) -> None:
        """The session is over: close everything and tell the owner."""
        if not self._closed:
            self.close()
            self._on_lost(reason)

    # What the server says.

    def _on_message(self, message: Message) -> None:
        if isinstance(message, ReqWorkConn):
            self._open_work()
        elif isinstance(message, NewProxyResp):
            self._table.answered(message, self._loop.now())
            self._arm_retry()
        elif isinstance(message, Pong):
            self._on_pong(message)
        elif isinstance(message, LoginResp):
            # A sealed session: it could not be told before we had proved ourselves.
            self.refusal = message.error
            self.lost(f"the server refused our login: {message.error}")
        elif isinstance(message, NatHoleResp):
            if not self.answers.answered(message):
                self.log.debug("the server's answer to a hole punching came too late")
        else:
            self.log.warning("ignored a %s on the control stream", type(message).__name__)

    def _on_pong(self, pong: Pong) -> None:
        if pong.error:
            self.lost(f"the server refused our heartbeat: {pong.error}")
            return
        self._last_pong = self._loop.now()
        self._end_probe()
        self.log.debug("receive heartbeat from server")

    def _on_end(self, error: FrpError | None) -> None:
        self.lost(str(error or "closed by the server"))

    # Heartbeats and retries.

    def _arm_ping(self) -> None:
        if self._interval > 0:
            self._ping_timer = self._loop.call_later(self._interval, self._ping)

    def _arm_pong(self) -> None:
        if self._interval > 0 and self._timeout > 0:
            when = self._last_pong + self._timeout
            self._pong_timer = self._loop.call_at(when, self._pong_due, when)

    def _pong_due(self, when: float) -> None:
        if self._last_pong + self._timeout > when:
            self._arm_pong()
        else:
            silent = self._loop.now() - self._last_pong
            self.lost(f"no heartbeat from the server for {silent:.0f} s")

    def _ping(self) -> None:
        self._send_ping()
        self._arm_ping()

    def _send_ping(self) -> None:
        self.log.debug("send heartbeat to server")
        self._credentials.for_ping(self._say_ping, self._no_credential)

    def _say_ping(self, credential: Credential) -> None:
        if not self._closed:
            self._stream.send(Ping(*credential))

    def _no_credential(self, reason: str) -> None:
        self.log.warning("%s", reason)

    def _probe_due(self) -> None:
        # On a slow link the answer waits behind our own data: other bytes count as well.
        silent_until = max(self._probed_at, self._link.last_input_at()) + PROBE_SECONDS
        if silent_until > self._loop.now():
            self._probe_timer = self._loop.call_at(silent_until, self._probe_due)
        else:
            self.lost("no answer since the network has changed")

    def _end_probe(self) -> None:
        if self._probe_timer is not None:
            self._probe_timer.cancel()
            self._probe_timer = None

    def _arm_retry(self) -> None:
        if self._retry_timer is not None:
            self._retry_timer.cancel()
            self._retry_timer = None
        when = self._table.next_retry()
        if when is not None and not self._closed:
            self._retry_timer = self._loop.call_at(when, self._retry)

    def _retry(self) -> None:
        self._table.retry(self._stream.send, self._loop.now())
        self._arm_retry()

    # Work connections.

    def _open_work(self) -> None:
        if len(self._idle) + self._opening >= MAX_IDLE_WORK_CONNS:
            self.log.warning("the server asks for too many work connections; ignored")
            return
        self._opening += 1
        self._link.open_stream(self._work_opened, self._work_failed)

    def _work_opened(self, endpoint: Endpoint) -> None:
        self._opening -= 1
        if self._closed:
            endpoint.abort()
            return
        if self.seal is not None:
            self._bring(endpoint, *self._sealed_hello(self.seal, endpoint))
            return

        def bring(credential: Credential) -> None:
            if self._closed:
                endpoint.abort()
            else:
                self._bring(endpoint, NewWorkConn(self.run_id, *credential), None)

        def failed(reason: str) -> None:
            self._no_credential(reason)
            endpoint.abort()

        self._credentials.for_work(bring, failed)

    def _bring(self, endpoint: Endpoint, hello: NewWorkConn, seal: StreamSeal | None) -> None:
        work = WorkConn(self._loop, endpoint, seal, self._work_started, self._work_ended)
        work.send(hello)
        self._idle.add(work)

    def _sealed_hello(
        self, session: SessionSeal, endpoint: Endpoint
    ) -> tuple[NewWorkConn, StreamSeal]:
        """Return how a work stream of ours begins; without mux it proves whose it is."""
        hello = NewWorkConn(self.run_id)
        stream_id = stream_id_of(endpoint)
        if stream_id is not None:
            return hello, session.work(stream_context(stream_id))
        hello.nonce = self._entropy.token_bytes(NONCE_BYTES)
        hello.proof = session.prove(self.run_id, hello.nonce)
        return hello, session.work(work_context(hello.nonce))

    def _work_accepted(self, endpoint: Endpoint) -> None:
        """The server opened a stream for a visitor; it says at once for whom."""
        if self._closed or len(self._awaited) >= MAX_IDLE_WORK_CONNS:
            endpoint.abort()
            return
        seal, stream_id = None, stream_id_of(endpoint)
        if self.seal is not None and stream_id is not None:
            seal = self.seal.work(stream_context(stream_id))
        work = WorkConn(self._loop, endpoint, seal, self._work_started, self._work_ended)
        self._awaited[work] = self._loop.now() + START_SECONDS
        if self._await_timer is None:  # one for all: nearly every one is over at once
            self._await_timer = self._loop.call_later(START_SECONDS, self._await_due)

    def _await_due(self) -> None:
        self._await_timer = None
        now = self._loop.now()
        for work, late in list(self._awaited.items()):
            if late > now:
                self._await_timer = self._loop.call_at(late, self._await_due)
                return
            work.time_out()

    def _work_failed(self, error: TransportError) -> None:
        self._opening -= 1
        self.log.warning("cannot open a work connection: %s", error)

    def _work_started(self, work: WorkConn, start: StartWorkConn) -> None:
        self._drop_unused(work)
        if start.error:
            self.log.warning("the server refused a work connection: %s", start.error)
            work.close()
            return
        entry = self._table.visited(start.proxy_name)
        if entry is None or entry.server is None:
            self.log.warning("a visitor for [%s], which does not run", start.proxy_name)
            work.close()
            return
        entry.server.on_work(work.detach(), start)

    def _drop_unused(self, work: WorkConn) -> None:
        if self._awaited.pop(work, None) is None:
            self._idle.discard(work)

    def _work_ended(self, work: WorkConn, error: FrpError | None) -> None:
        self._drop_unused(work)
        if error is not None:
            self.log.debug("an unused work connection ended: %s", error)


class WorkConn:
    """A work connection that waits for its visitor."""

    __slots__ = ("_on_ended", "_on_started", "_seal", "_stream")

    def __init__(
        self,
        loop: SelectorLoop,
        endpoint: Endpoint,
        seal: StreamSeal | None,
        on_started: Callable[[WorkConn, StartWorkConn], None],
        on_ended: Callable[[WorkConn, FrpError | None], None],
    ) -> None:
        self._on_started = on_started
        self._on_ended = on_ended
        self._seal = seal
        self._stream: MessageStream | FirstRecord
        if seal is None:
            self._stream = MessageStream(loop, endpoint, self._on_message, self._on_end)
        else:
            self._stream = FirstRecord(endpoint, seal, self._on_message, self._on_end)

    def send(self, hello: NewWorkConn) -> None:
        """Say whose it is."""
        self._stream.send(hello)

    def time_out(self) -> None:
        """It was to start by now: drop it."""
        self._on_end(TransportError("no StartWorkConn in time"))
        self._stream.abort()

    def detach(self) -> WorkStream:
        """Give up the stream, with what came behind StartWorkConn."""
        return WorkStream(self._stream.detach(), self._seal)

    def close(self) -> None:
        """Close it unused. Idempotent."""
        self._stream.close()

    def _on_message(self, message: Message) -> None:
        if isinstance(message, StartWorkConn):
            self._on_started(self, message)
        else:
            self._on_end(TransportError(f"unexpected {type(message).__name__}"))
            self._stream.abort()

    def _on_end(self, error: FrpError | None) -> None:
        self._on_ended(self, error)
