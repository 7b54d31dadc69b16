"""Every message of frp's wire protocol v1, one dataclass each, and their table.

The union of what frp 0.20 to 0.70 send. An attribute has the name of its JSON
field unless its metadata says otherwise, and fields stand in the order of frp
0.70, so that what we write can be compared with recordings byte by byte. A
missing field and a zero value are the same thing on this wire. Attributes that
carry a secret do not appear in a repr.

Annotations are read by frpd.proto.message.fields; a new kind of field needs a
row there. This module knows no bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeAlias

EMULATED_VERSION: Final = "0.51.3"
"""The version we tell Go peers.

Servers up to 0.51.3 refuse clients below 0.18.0, and count anything that is
not three numbers as 0, so it has three parts. 0.51.3 is the last version that
still makes that check: a peer that adapts to us by version (udp wrappers from
0.34, the newer hole punching from 0.49) finds the behaviour that we have.
"""

EARLY_A: Final = "a"
"""Hole punching as in frp up to 0.24."""
EARLY_B: Final = "b"
"""Hole punching as in frp 0.25 to 0.48."""

Uint16: TypeAlias = int
"""A port; a peer that sends another number breaks the protocol."""


@dataclass(slots=True)
class ClientSpec:
    """What kind of client logs in; meant for clients inside the server's process."""

    type: str = ""
    always_auth_pass: bool = False


@dataclass(slots=True)
class UdpAddress:
    """A UDP address; Go writes all three names, capitalised. ``ip`` is unchecked text."""

    ip: str = field(default="", metadata={"json": "IP", "always": True})
    port: int = field(default=0, metadata={"json": "Port", "always": True})
    zone: str = field(default="", metadata={"json": "Zone", "always": True})


@dataclass(slots=True)
class PortsRange:
    """Ports ``from_`` to ``to``, both included."""

    from_: int = field(default=0, metadata={"json": "from"})
    to: int = 0


@dataclass(slots=True)
class DetectBehavior:
    """How one end of a hole punching has to try; ``read_timeout`` is in milliseconds."""

    role: str = ""
    mode: int = 0
    ttl: int = 0
    send_delay_ms: int = 0
    read_timeout: int = 0
    candidate_ports: list[PortsRange] = field(default_factory=list)
    send_random_ports: int = 0
    listen_random_ports: int = 0


@dataclass(slots=True)
class Message:
    """Base of all messages; TYPE is the byte that leads its frame."""

    TYPE: ClassVar[int]


@dataclass(slots=True)
class Login(Message):
    """First message of a control stream, client to server, clear text."""

    TYPE: ClassVar[int] = ord("o")

    version: str = ""
    hostname: str = ""
    os: str = ""
    arch: str = ""
    user: str = ""
    privilege_key: str = field(default="", repr=False)
    timestamp: int = 0
    run_id: str = ""
    client_id: str = ""
    metas: dict[str, str] = field(default_factory=dict)
    client_spec: ClientSpec | None = None
    pool_count: int = 0
    frpd: dict[str, object] | None = None
    """Ours, see frpd.proto.native: Go ignores it, and None leaves it out."""


@dataclass(slots=True)
class LoginResp(Message):
    """Answer to Login, clear text; all later messages are encrypted."""

    TYPE: ClassVar[int] = ord("1")

    version: str = ""
    run_id: str = ""
    server_udp_port: int = 0
    error: str = ""
    frpd: dict[str, object] | None = None
    """Ours, see frpd.proto.native: Go ignores it, and None leaves it out."""


@dataclass(slots=True)
class NewProxy(Message):
    """Client asks the server to register one proxy."""

    TYPE: ClassVar[int] = ord("p")

    proxy_name: str = ""
    proxy_type: str = ""
    use_encryption: bool = False
    use_compression: bool = False
    bandwidth_limit: str = ""
    bandwidth_limit_mode: str = ""
    group: str = ""
    group_key: str = field(default="", repr=False)
    group_strategy: str = field(default="", metadata={"json": "frpd_group_strategy"})
    """Ours, see frpd.server.groups.strategy: Go ignores it."""
    allow_cidrs: list[str] = field(default_factory=list, metadata={"json": "frpd_allow_cidrs"})
    """Ours, as the next three, see frpd.server.visitor_gates: Go ignores them."""
    deny_cidrs: list[str] = field(default_factory=list, metadata={"json": "frpd_deny_cidrs"})
    max_connections: int = field(default=0, metadata={"json": "frpd_max_connections"})
    max_connection_rate: str = field(default="", metadata={"json": "frpd_max_connection_rate"})
    metas: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    remote_port: int = 0
    custom_domains: list[str] = field(default_factory=list)
    subdomain: str = ""
    locations: list[str] = field(default_factory=list)
    http_user: str = ""
    http_pwd: str = field(default="", repr=False)
    host_header_rewrite: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)
    route_by_http_user: str = ""
    sk: str = field(default="", repr=False)
    allow_users: list[str] = field(default_factory=list)
    multiplexer: str = ""


@dataclass(slots=True)
class NewProxyResp(Message):
    """Answer to NewProxy; match by ``proxy_name``, the order is free."""

    TYPE: ClassVar[int] = ord("2")

    proxy_name: str = ""
    remote_addr: str = ""
    error: str = ""


@dataclass(slots=True)
class CloseProxy(Message):
    """Client withdraws a proxy; has no answer."""

    TYPE: ClassVar[int] = ord("c")

    proxy_name: str = ""


@dataclass(slots=True)
class NewWorkConn(Message):
    """First message of a work stream, client to server."""

    TYPE: ClassVar[int] = ord("w")

    run_id: str = ""
    privilege_key: str = field(default="", repr=False)
    timestamp: int = 0
    nonce: bytes = field(default=b"", metadata={"json": "frpd_nonce"})
    """Ours, as is the proof, see frpd.proto.seal_keys: of a sealed session without tcp_mux."""
    proof: bytes = field(default=b"", repr=False, metadata={"json": "frpd_proof"})


@dataclass(slots=True)
class ReqWorkConn(Message):
    """Server asks for one more work stream."""

    TYPE: ClassVar[int] = ord("r")


@dataclass(slots=True)
class StartWorkConn(Message):
    """Server gives a work stream to a proxy; payload may follow in the same segment."""

    TYPE: ClassVar[int] = ord("s")

    proxy_name: str = ""
    src_addr: str = ""
    dst_addr: str = ""
    src_port: Uint16 = 0
    dst_port: Uint16 = 0
    error: str = ""


@dataclass(slots=True)
class NewVisitorConn(Message):
    """First message of a visitor stream, visitor to server.

    In a sealed session one that names the session only goes ahead of it, in clear.
    """

    TYPE: ClassVar[int] = ord("v")

    run_id: str = ""
    proxy_name: str = ""
    sign_key: str = field(default="", repr=False)
    timestamp: int = 0
    use_encryption: bool = False
    use_compression: bool = False
    nonce: bytes = field(default=b"", metadata={"json": "frpd_nonce"})
    """Ours, as is the proof: in clear as in NewWorkConn, sealed in the place of ``sign_key``."""
    proof: bytes = field(default=b"", repr=False, metadata={"json": "frpd_proof"})


@dataclass(slots=True)
class NewVisitorConnResp(Message):
    """Answer to NewVisitorConn; payload may follow in the same segment."""

    TYPE: ClassVar[int] = ord("3")

    proxy_name: str = ""
    error: str = ""
    half_closes: bool = field(default=False, metadata={"json": "frpd_half_close"})
    """Ours: the end of one direction travels alone, all the way to the service."""


@dataclass(slots=True)
class Ping(Message):
    """Heartbeat of the client; the fields are filled with the HeartBeats scope only."""

    TYPE: ClassVar[int] = ord("h")

    privilege_key: str = field(default="", repr=False)
    timestamp: int = 0


@dataclass(slots=True)
class Pong(Message):
    """Answer to Ping; an ``error`` ends the session."""

    TYPE: ClassVar[int] = ord("4")

    error: str = ""


@dataclass(slots=True)
class UdpPacket(Message):
    """One datagram inside a udp work stream: payload, local and remote address."""

    TYPE: ClassVar[int] = ord("u")

    c: bytes = b""
    l: UdpAddress | None = None  # noqa: E741 - the name on the wire
    r: UdpAddress | None = None


@dataclass(slots=True)
class NatHoleVisitor(Message):
    """A visitor wants a hole punched; all but the key and name since 0.49."""

    TYPE: ClassVar[int] = ord("i")

    transaction_id: str = ""
    proxy_name: str = ""
    pre_check: bool = False
    protocol: str = ""
    sign_key: str = field(default="", repr=False)
    timestamp: int = 0
    mapped_addrs: list[str] = field(default_factory=list)
    assisted_addrs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class NatHoleClient(Message):
    """The owner of an xtcp proxy answers a hole punching."""

    TYPE: ClassVar[int] = ord("n")

    transaction_id: str = ""
    proxy_name: str = ""
    sid: str = ""
    mapped_addrs: list[str] = field(default_factory=list)
    assisted_addrs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class NatHoleResp(Message):
    """Server tells both ends where to punch; the two plain addresses up to 0.48."""

    TYPE: ClassVar[int] = ord("m")

    transaction_id: str = ""
    sid: str = ""
    visitor_addr: str = ""
    client_addr: str = ""
    protocol: str = ""
    candidate_addrs: list[str] = field(default_factory=list)
    assisted_addrs: list[str] = field(default_factory=list)
    detect_behavior: DetectBehavior | None = None
    error: str = ""
    early: str = field(default="", metadata={"json": "frpd_early"})
    """Ours: the owner punches as EARLY_A or EARLY_B, by the server's UDP port."""


@dataclass(slots=True)
class NatHoleClientDetectOK(Message):
    """The owner's hole is open (0.25 to 0.48)."""

    TYPE: ClassVar[int] = ord("d")


@dataclass(slots=True)
class NatHoleSid(Message):
    """Names a hole punching to the other end."""

    TYPE: ClassVar[int] = ord("5")

    transaction_id: str = ""
    sid: str = ""
    response: bool = False
    nonce: str = ""
    early: str = field(default="", metadata={"json": "frpd_early"})
    """Ours: the visitor punches as EARLY_A or EARLY_B; the server's best guess."""


@dataclass(slots=True)
class NatHoleReport(Message):
    """Client tells the server how a hole punching went (since 0.49)."""

    TYPE: ClassVar[int] = ord("6")

    sid: str = ""
    success: bool = False


MESSAGES: dict[int, type[Message]] = {
    ord("o"): Login,
    ord("1"): LoginResp,
    ord("p"): NewProxy,
    ord("2"): NewProxyResp,
    ord("c"): CloseProxy,
    ord("w"): NewWorkConn,
    ord("r"): ReqWorkConn,
    ord("s"): StartWorkConn,
    ord("v"): NewVisitorConn,
    ord("3"): NewVisitorConnResp,
    ord("h"): Ping,
    ord("4"): Pong,
    ord("u"): UdpPacket,
    ord("i"): NatHoleVisitor,
    ord("n"): NatHoleClient,
    ord("m"): NatHoleResp,
    ord("d"): NatHoleClientDetectOK,
    ord("5"): NatHoleSid,
    ord("6"): NatHoleReport,
}
