"""WorkDesk: from a NewWorkConn to the client that the work connection is for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from frpd.errors import AuthError, ConnectionLost, FrpError
from frpd.log import get_logger
from frpd.net.endpoint import Endpoint
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import NewWorkConn, StartWorkConn
from frpd.proto.seal_keys import stream_context, work_context
from frpd.server.connection import Connection
from frpd.server.control import ControlSession
from frpd.server.plugins.chain import Hooks
from frpd.server.plugins.content import NEW_WORK_CONN, user_facts
from frpd.transports.link import stream_id_of
from frpd.transports.work import WorkStream

_log = get_logger("frpd.server.service")


class WorkDesk:
    """Decides about work connections. Loop thread only.

    Args:
        clients: who has logged in, by run id.
        hooks: are asked.
        told: what a client may hear of an error.
    """

    def __init__(
        self,
        clients: Mapping[str, ControlSession],
        hooks: Hooks,
        told: Callable[[str, str], str],
    ) -> None:
        self._clients = clients
        self._hooks = hooks
        self._told = told

    def receive(self, connection: Connection, hello: NewWorkConn, work: Endpoint) -> bool:
        """See Identities.work_connection."""
        control = self._clients.get(hello.run_id)
        if control is None:
            _log.warning("%s: no client has run id [%s]", connection.peer, hello.run_id)
            return False
        shared = connection.is_mux or control.connection.is_mux
        if shared and connection is not control.connection:
            # A run id is no secret: who has logged in here may not serve for another.
            control.log.warning("%s: work connection of another client", connection.peer)
            return False
        if not self._hooks.want(NEW_WORK_CONN):
            return self._decide(control, connection, hello, work)

        def done(changed: NewWorkConn) -> None:
            if not self._decide(control, connection, changed, work):
                work.close()

        def refused(error: FrpError) -> None:
            self._refuse(control, connection, work, error)
            work.close()

        facts = user_facts(control.login, control.run_id)
        self._hooks.ask(
            NEW_WORK_CONN, control.run_id, hello, facts, on_done=done, on_refused=refused
        )
        return True

    def _decide(
        self, control: ControlSession, connection: Connection, hello: NewWorkConn, work: Endpoint
    ) -> bool:
        if control.seal is not None:
            return self._take_sealed(control, connection, hello, work)
        if not control.auth.new_work_conns:
            return control.work_arrived(WorkStream(work))
        if control.keys.provider is None:
            return self._take_checked(control, connection, hello, work)

        def ready() -> None:
            if not self._take_checked(control, connection, hello, work):
                work.close()

        control.keys.when_ready(hello, ready)
        return True

    def _take_checked(
        self, control: ControlSession, connection: Connection, hello: NewWorkConn, work: Endpoint
    ) -> bool:
        try:
            control.auth.verify_new_work_conn(hello)
        except AuthError as error:
            self._refuse(control, connection, work, error)
            return False
        return control.work_arrived(WorkStream(work))

    def _refuse(
        self, control: ControlSession, connection: Connection, work: Endpoint, error: FrpError
    ) -> None:
        control.log.warning("%s: work connection refused: %s", connection.peer, error)
        if control.seal is not None:
            return
        told = self._told(str(error), "invalid NewWorkConn")
        with contextlib.suppress(ConnectionLost):
            work.write(encode_message(StartWorkConn(error=told)))

    def _take_sealed(
        self, control: ControlSession, connection: Connection, hello: NewWorkConn, work: Endpoint
    ) -> bool:
        """Take a work connection of a sealed session; without mux it has to prove itself."""
        seal = control.seal
        assert seal is not None
        stream_id = stream_id_of(work)
        if stream_id is not None:
            context = stream_context(stream_id)
        elif seal.admits(hello.run_id, hello.nonce, hello.proof):
            context = work_context(hello.nonce)
        else:
            control.log.warning("%s: work connection without a proof, or again", connection.peer)
            return False
        return control.work_arrived(WorkStream(work, seal.work(context)))
