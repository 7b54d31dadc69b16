"""VisitorDesk: from a visitor's stream to the secret proxy that it asks for.

The stream comes on the connection of the client that visits (tcp_mux), or on one
of its own, which has proved nothing: that stays under the door until here it
has shown that it knows the sk. In a sealed session the request and its answer
are sealed records, and a clear message in front says which session's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.errors import ConnectionLost, FrpError, ProxyError
from frpd.log import get_logger
from frpd.net.endpoint import Endpoint
from frpd.proto import native
from frpd.proto.message.types import NewVisitorConn, NewVisitorConnResp
from frpd.proto.seal_keys import VISIT, stream_context, work_context
from frpd.selector_loop import SelectorLoop
from frpd.server.connection import Connection
from frpd.server.control import ControlSession
from frpd.server.guard.guesses import Guesses
from frpd.server.guard.penalties import Offence
from frpd.server.proxies.base import Proxy
from frpd.server.proxies.stcp import StcpProxy, signs
from frpd.server.proxies.work_call import introduction
from frpd.server.visitor_caller import Caller
from frpd.transports.link import stream_id_of
from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool

SEALED_ONLY = (
    "this server takes visitors of sealed sessions only (native = require): use an frpd client"
    " that has the same token and is not set to native = off"
)
# So many different refusals of one connection are told; then they are only noise.
MAX_TOLD = 8

_log = get_logger("frpd.server.visitor_desk")


class VisitorDesk:
    """Decides about visitors of secret proxies. Loop thread only.

    Args:
        loop: the loop.
        pool: stretches secrets.
        config: of the server.
        entropy: for ciphers.
        clients: who has logged in, by run id.
        proxies: all there are, by name.
        told: what a client may hear of an error.
        guesses: wrong keys that were tried.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        pool: WorkerPool,
        config: ServerConfig,
        entropy: Entropy,
        *,
        clients: Mapping[str, ControlSession],
        proxies: Mapping[str, Proxy],
        told: Callable[[str, str], str],
        guesses: Guesses,
    ) -> None:
        self._guesses = guesses
        self._loop = loop
        self._pool = pool
        self._entropy = entropy
        self._clients = clients
        self._proxies = proxies
        self._told = told
        self._refusals: WeakKeyDictionary[Connection, set[str]] = WeakKeyDictionary()
        self.use(config)

    def use(self, config: ServerConfig) -> None:
        """Decide by these from now on."""
        self._mode = config.native
        self._silence_seconds = config.login_timeout_seconds

    def receive(self, connection: Connection, endpoint: Endpoint, request: NewVisitorConn) -> None:
        """See Identities.visitor_connection."""
        caller = Caller(self._loop, connection, endpoint, request)
        try:
            caller.client = self._client_of(connection, request)
        except ProxyError as error:
            self._send_away(caller, error)
            return
        if caller.client is not None and caller.client.is_sealed:
            self._receive_sealed(caller, endpoint)
        else:
            self._decide(caller)

    def _client_of(self, connection: Connection, request: NewVisitorConn) -> ControlSession | None:
        """Return who visits. Without tcp_mux only the run id says so, and since 0.50 only.

        Raises:
            ProxyError: nobody, or somebody else.
        """
        run_id = request.run_id
        client = self._clients.get(run_id)
        if connection.is_mux:
            if not run_id:
                known = (one for one in self._clients.values() if one.connection is connection)
                client = next(known, None)
            is_own = client is not None and client.connection is connection
        else:
            if not run_id and self._mode == native.REQUIRE:
                raise ProxyError(SEALED_ONLY)
            is_own = not run_id or (client is not None and not client.connection.is_mux)
        if not is_own:
            raise ProxyError(f"no client control found for run id [{run_id}]")
        return client

    def _receive_sealed(self, caller: Caller, endpoint: Endpoint) -> None:
        context = self._context_of(caller, endpoint)
        if context is None:
            self._complain(caller, "not sealed as its client's session is, or seen before")
            caller.drop()
            return

        def failed(error: FrpError | None) -> None:
            self._complain(caller, str(error or "it left without a request"))
            caller.drop()

        def silent() -> None:
            self._complain(caller, "no request in time")
            caller.drop()

        caller.read_sealed(context, lambda: self._decide(caller), failed)
        if caller.connection.is_mux:  # else the door has the deadline
            caller.expect_within(self._silence_seconds, silent)

    def _context_of(self, caller: Caller, endpoint: Endpoint) -> bytes | None:
        """Return the context of a sealed stream; None if it is none, or not of the session."""
        request, client = caller.request, caller.client
        if request.proxy_name or client is None or client.seal is None:
            return None
        stream_id = stream_id_of(endpoint)
        if stream_id is not None:
            return stream_context(stream_id)
        if client.seal.admits(request.run_id, request.nonce, request.proof, VISIT):
            return work_context(request.nonce)
        return None

    # What it asks for; checks in frp's order.

    def _decide(self, caller: Caller) -> None:
        request = caller.request
        try:
            proxy = self._find(request)
            if not caller.is_sealed:
                is_signed = proxy.is_signed(request.sign_key, request.timestamp)
                self._check(caller, proxy, knows_sk=is_signed)
        except ProxyError as error:
            self._send_away(caller, error)
            return
        if caller.is_sealed:
            secret = proxy.stretched(self._pool)
            secret.when_ready(lambda: self._decide_sealed(caller, proxy, secret))
        else:
            self._let_in(caller, proxy)

    def _decide_sealed(self, caller: Caller, proxy: StcpProxy, stretched: StretchedSecret) -> None:
        """Go on once the sk is stretched; meanwhile much may have ended."""
        client, secret = caller.client, stretched.value or b""
        is_over = client is None or self._clients.get(client.run_id) is not client
        if is_over or not proxy.is_open:
            caller.drop()  # and with the session the keys for an answer
            return
        if proxy.has_secret and not secret:  # that is our fault
            self._send_away(caller, ProxyError(f"proxy [{proxy.name}] has no keys now"))
            return
        try:
            self._check(caller, proxy, knows_sk=caller.has_proof(secret))
        except ProxyError as error:
            self._send_away(caller, error)
        else:
            self._let_in(caller, proxy, secret)

    def _find(self, request: NewVisitorConn) -> StcpProxy:
        """Return the proxy of this name.

        Raises:
            ProxyError: there is none that takes visitors.
        """
        proxy = self._proxies.get(request.proxy_name)
        if not isinstance(proxy, StcpProxy) or not proxy.is_open:
            signs("", request.sign_key, request.timestamp)  # takes as long as with a proxy
            raise ProxyError(f"custom listener for [{request.proxy_name}] doesn't exist")
        return proxy

    def _check(self, caller: Caller, proxy: StcpProxy, *, knows_sk: bool) -> None:
        """Raise ProxyError if this visitor may not enter."""
        name, connection = proxy.name, caller.connection
        self._guesses.check(proxy, connection.source)
        if not knows_sk:
            connection.when_proven(lambda: self._guesses.wrong(proxy, connection.source))
            if not connection.is_mux:
                connection.accuse(Offence.AUTHFAIL)
            raise ProxyError(f"visitor connection of [{name}] auth failed")
        if not proxy.admits(caller.user):
            raise ProxyError(f"visitor connection of [{name}] user [{caller.user}] not allowed")
        reason = proxy.refuses(caller.describe(), caller.connection.source)
        if reason:
            raise ProxyError(f"visitor connection of [{name}] refused: {reason}")

    def _let_in(self, caller: Caller, proxy: StcpProxy, secret: bytes = b"") -> None:
        connection = caller.connection
        features = caller.features
        answer = NewVisitorConnResp(proxy_name=proxy.name)
        answer.half_closes = native.HALF_CLOSE in features and proxy.half_closes
        try:
            # Who visits is the visiting client, as far as we see.
            source, destination = connection.peer_host_port(), connection.local_host_port()
        except ConnectionLost:
            caller.drop()
            return
        if not caller.answer(answer):
            caller.drop()
            return
        connection.let_in()
        proxy.on_visitor(
            caller.payload(proxy.cipher_key, secret, self._entropy),
            introduction(proxy.name, source, destination),
            half_closes=native.HALF_CLOSE in features,
        )

    # Who may not.

    def _send_away(self, caller: Caller, error: ProxyError) -> None:
        self._complain(caller, str(error))
        told = self._told(str(error), "register visitor conn error")
        caller.send_away(NewVisitorConnResp(caller.request.proxy_name, told))

    def _complain(self, caller: Caller, reason: str) -> None:
        """Log a refusal, once for each connection: who guesses fills no log."""
        told = self._refusals.setdefault(caller.connection, set())
        if reason not in told and len(told) < MAX_TOLD:
            told.add(reason)
            _log.warning("%s: visitor refused: %s", caller.describe(), reason)
