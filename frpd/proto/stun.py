"""STUN as far as a client needs it: ask a server how it sees us, and where its other address is.

Hole punching asks two addresses with one socket and compares the answers.

Reference: RFC 5389 (messages, XOR-MAPPED-ADDRESS), RFC 5780 (OTHER-ADDRESS), RFC 3489
(MAPPED-ADDRESS and CHANGED-ADDRESS of old servers).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

TRANSACTION_BYTES: Final = 12
MAX_MESSAGE_BYTES: Final = 1500
MAX_ATTRIBUTES: Final = 64

BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101
BINDING_ERROR: Final = 0x0111
COOKIE: Final = 0x2112A442

MAPPED_ADDRESS: Final = 0x0001
CHANGED_ADDRESS: Final = 0x0005
ERROR_CODE: Final = 0x0009
XOR_MAPPED_ADDRESS: Final = 0x0020
OTHER_ADDRESS: Final = 0x802C

_IPV4: Final = 0x01
_HEAD: Final = Struct("!HHI12s")
_ATTRIBUTE: Final = Struct("!HH")
_ADDRESS: Final = Struct("!xBH4s")
_COOKIE_BYTES: Final = COOKIE.to_bytes(4, "big")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says; only addresses of IPv4 count.

    Attributes:
        mapped: how it sees the socket that asked; None if it does not say.
        other: its other address; None if it has none.
    """

    mapped: Address | None
    other: Address | None


def binding_request(transaction: bytes) -> bytes:
    """Return the datagram that asks.

    Args:
        transaction: 12 random bytes.
    """
    return _HEAD.pack(BINDING_REQUEST, 0, COOKIE, transaction)


def read_answer(datagram: Buffer, transaction: bytes) -> Answer | None:
    """Return what answers a request; None for a datagram that is no answer to it.

    Args:
        datagram: from whoever.
        transaction: of the request.

    Raises:
        RemoteProtocolError: the server refused, or its answer cannot be read.
    """
    if not _HEAD.size <= len(datagram) <= MAX_MESSAGE_BYTES:
        return None
    kind, size, cookie, named = _HEAD.unpack_from(datagram)
    if cookie != COOKIE or named != transaction or kind not in (BINDING_SUCCESS, BINDING_ERROR):
        return None
    if size != len(datagram) - _HEAD.size:
        raise RemoteProtocolError("stun: the length is not the message's")
    found = _attributes(bytes(datagram[_HEAD.size :]))
    if kind == BINDING_ERROR:
        raise RemoteProtocolError(f"stun: refused with error {_error_code(found)}")
    mapped = _address(found.get(XOR_MAPPED_ADDRESS), is_xored=True)
    other = _address(found.get(OTHER_ADDRESS))
    return Answer(
        mapped=mapped or _address(found.get(MAPPED_ADDRESS)),
        other=other or _address(found.get(CHANGED_ADDRESS)),
    )


def _attributes(body: bytes) -> dict[int, bytes]:
    """Return them by kind; the first one of each counts (RFC 5389, 15)."""
    found: dict[int, bytes] = {}
    at = 0
    for _ in range(MAX_ATTRIBUTES):
        if at == len(body):
            return found
        if len(body) - at < _ATTRIBUTE.size:
            raise RemoteProtocolError("stun: an attribute is cut short")
        kind, size = _ATTRIBUTE.unpack_from(body, at)
        at += _ATTRIBUTE.size
        if len(body) - at < size:
            raise RemoteProtocolError("stun: an attribute is cut short")
        found.setdefault(kind, body[at : at + size])
        at = min(at + (size + 3 & ~3), len(body))  # old servers leave the last padding out
    raise RemoteProtocolError(f"stun: more than {MAX_ATTRIBUTES} attributes")


def _address(value: bytes | None, *, is_xored: bool = False) -> Address | None:
    if value is None or len(value) != _ADDRESS.size:
        return None
    family, port, ip = _ADDRESS.unpack(value)
    if family != _IPV4:
        return None
    if is_xored:
        port ^= COOKIE >> 16
        ip = bytes(a ^ b for a, b in zip(ip, _COOKIE_BYTES, strict=True))
    if not port or not any(ip):
        return None  # what RFC 3489 servers say that have no other address
    return ".".join(map(str, ip)), port


def _error_code(found: dict[int, bytes]) -> int:
    value = found.get(ERROR_CODE, b"")
    return value[2] % 8 * 100 + value[3] % 100 if len(value) >= 4 else 0
