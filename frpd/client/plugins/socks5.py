"""Plugin socks5: visitors name whom they want to reach from this machine.

Names are looked up here. CONNECT and UDP ASSOCIATE are served; BIND, which frp does not
serve either, would open ports of this machine to whoever comes first.
"""

from __future__ import annotations

import errno
import math
import socket
from typing import Final

from frpd.client.plugins.base import Guest, GuestServer
from frpd.client.plugins.login import Login
from frpd.client.plugins.socks5_udp import Association, open_association
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.config.proxies import ProxyConfig
from frpd.errors import FrpError, RemoteProtocolError, TransportError
from frpd.net.address import join_host_port, literal_family
from frpd.net.connector import DialError
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketStream
from frpd.proto.message.types import StartWorkConn
from frpd.proto.socks5 import Command, Host, Packet, Reply
from frpd.proto.socks5_server import Socks5Server

HANDSHAKE_SECONDS: Final = 30.0
"""From a visitor's first byte's place in line to its whole request."""
MAX_ASSOCIATIONS: Final = 256
"""UDP associations of one proxy at a time; each holds two sockets."""

_REPLIES: Final = {
    errno.ECONNREFUSED: Reply.CONNECTION_REFUSED,
    errno.ENETUNREACH: Reply.NETWORK_UNREACHABLE,
    errno.EAFNOSUPPORT: Reply.NETWORK_UNREACHABLE,
    errno.EADDRNOTAVAIL: Reply.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Reply.HOST_UNREACHABLE,
    errno.ETIMEDOUT: Reply.HOST_UNREACHABLE,
    errno.EACCES: Reply.NOT_ALLOWED,
    errno.EPERM: Reply.NOT_ALLOWED,
}


def serve_socks5(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin."""
    login = Login(config.plugin_params, "plugin_user", "plugin_passwd")

    def welcome(server: GuestServer, work: Endpoint, start: StartWorkConn) -> Guest:
        return Socks5Guest(server, work, start, login)

    return GuestServer(context, config, welcome)


class Socks5Guest(Guest):
    """One visitor."""

    def __init__(
        self, server: GuestServer, work: Endpoint, start: StartWorkConn, login: Login
    ) -> None:
        super().__init__(server, work, start)
        self._machine = Socks5Server(login.admits if login.is_demanded else None)
        self._local: SocketStream | None = None
        self.association: Association | None = None

    def begin(self) -> None:
        """See Guest.begin."""
        self.set_deadline(HANDSHAKE_SECONDS)
        self.listen()

    def received(self, data: bytes) -> None:
        """See Guest.received."""
        if self.association is not None:
            return  # nothing is to be said any more; only the end counts
        machine = self._machine
        try:
            machine.receive_data(data)
        except RemoteProtocolError as error:
            self._log_refusal(str(error))
            self.drop("no SOCKS5")
            return
        if machine.refusal is not None:
            self._log_refusal(machine.refusal)
            self.say(machine.data_to_send(), self.finish)
        elif machine.request is not None:
            self.say(machine.data_to_send(), self._carry_out)
        else:
            self.say(machine.data_to_send(), self.listen)

    def retire(self) -> None:
        """See Guest.retire: who has made its request is served."""
        if self._machine.request is None and self._machine.refusal is None:
            self.drop("the proxy was changed")

    def left(self) -> None:
        """See Guest.left."""
        if self._local is not None:
            self._local.abort()
        if self.association is not None:
            self.association.close()

    def _carry_out(self) -> None:
        request = self._machine.request
        assert request is not None
        self.set_deadline(math.inf)
        if request.code == Command.CONNECT:
            self.dial(host_text(request.host), request.port, self._connected, self._unreachable)
        elif request.code == Command.UDP_ASSOCIATE:
            self._associate(request)
        else:
            self._refuse(Reply.COMMAND_NOT_SUPPORTED, f"command {request.code} is not served")

    # CONNECT.

    def _connected(self, local: SocketStream) -> None:
        self._local = local
        self._machine.reply(Reply.SUCCEEDED)  # our address there is nobody's affair
        self.set_deadline(HANDSHAKE_SECONDS)
        self.say(self._machine.data_to_send(), self._open_tunnel)

    def _open_tunnel(self) -> None:
        local, self._local = self._local, None
        assert local is not None
        self.work.unread(self._machine.take_rest())
        self.join(local)

    def _unreachable(self, error: TransportError) -> None:
        self._refuse(reply_to(error), str(error))

    # UDP ASSOCIATE.

    def _associate(self, request: Packet) -> None:
        others = sum(
            1 for guest in self.server.guests if getattr(guest, "association", None) is not None
        )
        if others >= MAX_ASSOCIATIONS:
            self._refuse(Reply.GENERAL_FAILURE, "too many UDP associations")
            return
        announced = None if isinstance(request.host, str) else host_text(request.host)
        try:
            self.association = open_association(self, announced, request.port, self.start.src_addr)
        except FrpError as error:
            self._refuse(Reply.COMMAND_NOT_SUPPORTED, str(error))
            return
        address = self.association.address
        where = join_host_port(address[0], address[1])
        self.context.log.debug("%s has a UDP association at %s", self.source, where)
        self._machine.reply(Reply.SUCCEEDED, packed(address[0]), address[1])
        self.say(self._machine.data_to_send(), self.listen)

    # Refusals.

    def _refuse(self, code: Reply, reason: str) -> None:
        self._log_refusal(reason)
        self._machine.reply(code)
        self.set_deadline(HANDSHAKE_SECONDS)
        self.say(self._machine.data_to_send(), self.finish)

    def _log_refusal(self, reason: str) -> None:
        self.context.log.info("socks5 request of %s refused: %s", self.source, reason)


def reply_to(error: TransportError) -> Reply:
    """Return the code for a dial that failed."""
    if isinstance(error, DialError):
        return _REPLIES.get(error.code, Reply.GENERAL_FAILURE)
    return Reply.HOST_UNREACHABLE  # the name could not be looked up


def host_text(host: Host) -> str:
    """Return a host as the resolver takes it; names that are UTF-8 become text."""
    if isinstance(host, bytes):
        family = socket.AF_INET if len(host) == 4 else socket.AF_INET6
        return socket.inet_ntop(family, host)
    if host.isascii():
        return host
    return host.encode("ascii", "surrogateescape").decode("utf-8", "replace")


def packed(address: str) -> bytes:
    """Return the bytes of an IP literal."""
    family = literal_family(address)
    assert family is not None
    return socket.inet_pton(family, address.partition("%")[0])
