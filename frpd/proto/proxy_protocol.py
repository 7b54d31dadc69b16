"""The PROXY protocol, versions 1 and 2: what a balancer says of a connection before its bytes.

We write such headers for local services, and read those of balancers in front of frps. The
format is HAProxy's, doc/proxy-protocol.txt. Checksums and other TLVs are passed over: whoever
may send headers at all is trusted by its address.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

VERSIONS: Final = ("v1", "v2")
MAX_LINE_BYTES: Final = 107
"""Of version 1, with its end: the longest that two addresses can make."""
MAX_BODY_BYTES: Final = 4096
"""Of version 2: addresses, and what balancers like to add."""
MAX_HEADER_BYTES: Final = 16 + MAX_BODY_BYTES

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_LINE_START: Final = b"PROXY "
_HEAD = Struct(">12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_STREAM, _DATAGRAM = 0x01, 0x02
_UNSPECIFIED, _INET, _INET6, _UNIX = range(4)
_ADDRESSES: Final = {_INET: Struct(">4s4sHH"), _INET6: Struct(">16s16sHH")}
_UNIX_BYTES: Final = 216

Address: TypeAlias = tuple[str, int]
IpAddress: TypeAlias = IPv4Address | IPv6Address


class Header(NamedTuple):
    """What was read.

    Attributes:
        source: who connected to the balancer; None where the connection is the balancer's own,
            or it does not know.
        size: bytes of the header; what follows them is payload.
    """

    source: Address | None
    size: int


def encode(version: str, source: Address, destination: Address, *, datagram: bool = False) -> bytes:
    """Return a header.

    Both addresses are of one family in it: where they are not, IPv4 is written as mapped.

    Args:
        version: one of VERSIONS.
        source: the visitor: an address literal and a port.
        destination: where it has connected to.
        datagram: it came by UDP, which version 1 has no words for.
    """
    hosts = _one_family(source[0], destination[0])
    ports = source[1], destination[1]
    is_ipv4 = isinstance(hosts[0], IPv4Address)
    if version == "v1":
        if datagram:
            return b"PROXY UNKNOWN\r\n"
        family = "TCP4" if is_ipv4 else "TCP6"
        texts = (_text(host) for host in hosts)
        return f"PROXY {family} {' '.join(texts)} {ports[0]} {ports[1]}\r\n".encode()
    kind = _INET if is_ipv4 else _INET6
    layout = _ADDRESSES[kind]
    head = _HEAD.pack(
        SIGNATURE, _PROXY, kind << 4 | (_DATAGRAM if datagram else _STREAM), layout.size
    )
    return head + layout.pack(hosts[0].packed, hosts[1].packed, *ports)


def decode(data: Buffer) -> Header | None:
    """Return the header that the data begins with; None if it may be one, but is not whole.

    Raises:
        RemoteProtocolError: it does not begin with a header.
    """
    held = bytes(data[:MAX_HEADER_BYTES])
    if held[:1] == SIGNATURE[:1]:
        return _decode_binary(held)
    if held[: len(_LINE_START)] != _LINE_START[: len(held)]:
        raise RemoteProtocolError("no PROXY protocol header")
    return _decode_line(held)


def _decode_line(held: bytes) -> Header | None:
    end = held.find(b"\r\n", 0, MAX_LINE_BYTES)
    if end < 0:
        if len(held) >= MAX_LINE_BYTES:
            raise RemoteProtocolError(f"PROXY line longer than {MAX_LINE_BYTES} bytes")
        return None
    size = end + 2
    words = held[len(_LINE_START) : end].split(b" ")
    if words[0] == b"UNKNOWN":
        return Header(None, size)
    if len(words) != 5 or words[0] not in (b"TCP4", b"TCP6"):
        raise RemoteProtocolError("PROXY line not understood")
    version = 4 if words[0] == b"TCP4" else 6
    hosts = [_parse_host(word, version) for word in words[1:3]]
    ports = [_parse_port(word) for word in words[3:]]
    return Header((hosts[0], ports[0]), size)


def _decode_binary(held: bytes) -> Header | None:
    if held[: len(SIGNATURE)] != SIGNATURE[: len(held)]:
        raise RemoteProtocolError("no PROXY protocol header")
    if len(held) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(held)
    if command not in (_LOCAL, _PROXY):
        raise RemoteProtocolError(f"PROXY header of version and command {command:#04x}")
    if length > MAX_BODY_BYTES:
        raise RemoteProtocolError(f"PROXY header of {length} bytes; {MAX_BODY_BYTES} are taken")
    size = _HEAD.size + length
    if len(held) < size:
        return None
    if command == _LOCAL:
        return Header(None, size)
    return Header(_source(held[_HEAD.size : size], family), size)


def _source(body: bytes, family: int) -> Address | None:
    kind, transport = family >> 4, family & 0x0F
    if kind > _UNIX or transport > _DATAGRAM:
        raise RemoteProtocolError(f"PROXY header of family {family:#04x}")
    layout = _ADDRESSES.get(kind)
    needed = _UNIX_BYTES if kind == _UNIX else 0 if layout is None else layout.size
    if len(body) < needed:
        raise RemoteProtocolError("PROXY header too short for its addresses")
    if layout is None or not transport:
        return None
    packed, _, port, _ = layout.unpack_from(body)
    return str(ipaddress.ip_address(packed)), port


def _parse_host(word: bytes, version: int) -> str:
    try:
        host = ipaddress.ip_address(word.decode("ascii"))
    except ValueError as error:
        raise RemoteProtocolError("PROXY line with something that is no address") from error
    if host.version != version or b"%" in word:
        raise RemoteProtocolError("PROXY line with an address of another family")
    return str(host)


def _parse_port(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 5 and (word[:1] != b"0" or word == b"0")):
        raise RemoteProtocolError("PROXY line with something that is no port")
    port = int(word)
    if port > 0xFFFF:
        raise RemoteProtocolError("PROXY line with something that is no port")
    return port


def _one_family(*hosts: str) -> tuple[IpAddress, ...]:
    parsed = tuple(_plain(host) for host in hosts)
    if len({host.version for host in parsed}) == 1:
        return parsed
    return tuple(
        IPv6Address(b"\0" * 10 + b"\xff\xff" + host.packed) if host.version == 4 else host
        for host in parsed
    )


def _plain(host: str) -> IpAddress:
    """Return an address without its zone, and IPv4 also where it comes mapped."""
    parsed = ipaddress.ip_address(host.partition("%")[0])
    return (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed


def _text(host: IpAddress) -> str:
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        return f"::ffff:{host.ipv4_mapped}"
    return str(host)
