"""A client with one visitor, its scripted server, and what is sealed between them."""

from __future__ import annotations

import socket
from typing import Any

from frpd.client.proxy_table import Phase
from frpd.client.visitors.port import PortVisitor
from frpd.client.visitors.stcp import StcpVisitor
from frpd.config.secret import Secret
from frpd.config.visitors import StcpVisitorConfig, VisitorConfig
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import LoginResp, NewVisitorConn
from frpd.proto.native import choose, read_public_key
from frpd.proto.seal_keys import SessionKeys, public_key, transcript_hash
from frpd.proto.seal_session import SessionSeal
from tests.helpers.peers import TOKEN, Talker, Wire
from tests.helpers.ports import free_port
from tests.helpers.seal import quick_stretch
from tests.helpers.world import World
from tests.unit.client.home import Home, Session

SK = "stcp-Key"
PRIVATE = b"s" * 32


class Guest(Home):
    """A client with a visitor and nothing else."""

    def __init__(
        self,
        world: World,
        *,
        mux: bool = True,
        kind: type[VisitorConfig] = StcpVisitorConfig,
        **fields: Any,
    ) -> None:
        keys = {key: fields.pop(key) for key in list(fields) if key in ("native", "user")}
        self.port = free_port()
        settings: dict[str, Any] = {
            "name": "vault_v",
            "section": "vault_v",
            "server_name": "vault",
            "sk": Secret(SK),
            "bind_port": self.port,
        } | fields
        super().__init__(world, mux=mux, proxies=(), visitors=(kind(**settings),), **keys)

    @property
    def visitor(self) -> StcpVisitor:
        visitor = self.port_visitor
        assert isinstance(visitor, StcpVisitor)
        return visitor

    @property
    def port_visitor(self) -> PortVisitor:
        (entry,) = self.service.visitors.entries.values()
        assert isinstance(entry.visitor, PortVisitor)
        return entry.visitor

    def enter(self) -> Session:
        session = self.session().accept()
        self.world.until(lambda: self.port_visitor.phase is Phase.RUNNING)
        return session

    def enter_sealed(self, *features: str) -> tuple[Session, SessionSeal]:
        """Return a session that is sealed, and the server's end of the seal."""
        session = self.session()
        wanted = {"seal", "half-close", *features}
        _, answer = choose(session.login.frpd, wanted, public_key(PRIVATE))
        frame = encode_message(LoginResp(version="0.51.3", run_id="abc", frpd=answer))
        theirs = read_public_key(session.login.frpd)
        assert theirs is not None
        keys = SessionKeys(
            psk=quick_stretch(TOKEN),
            private_key=PRIVATE,
            peer_public_key=theirs,
            transcript=transcript_hash(session.control._decoder.last_frame, frame),
        )
        seal = SessionSeal(keys, is_client=False)
        self.world.peers.remove(session.control)  # what comes on it is not for its decoder
        session.control.stream.write(frame + seal.control().start())
        self.world.until(lambda: self.visitor.phase is Phase.RUNNING)
        return session, seal

    def refuses(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) != 0

    def user(self) -> Wire:
        return Wire.to(self.world, self.port)


def asked(session: Session) -> tuple[Talker, NewVisitorConn]:
    """Return the stream that a user made the client open, and what was asked on it."""
    talker = Talker(session.world, session.next_stream())
    return talker, talker.receive(NewVisitorConn)
