"""Datagrams on the work stream of a udp proxy, as every Go frp writes them.

One UDPPacket message each: the datagram in base64 in a JSON object, with the visitor's
address. The server writes that address, the client copies it back verbatim. The two
shapes that Go ends write are taken apart without a JSON parser; whatever else
is a legal message goes through the general decoder (frp pkg/proto/udp).
"""

from __future__ import annotations

import binascii
import ipaddress
import json
import re
from binascii import a2b_base64, b2a_base64
from struct import Struct
from typing import TYPE_CHECKING, Final, NoReturn

from frpd.errors import RemoteProtocolError
from frpd.net.address import join_host_port
from frpd.proto.message.codec import MAX_BODY_BYTES, MessageDecoder, encode_message
from frpd.proto.message.types import MESSAGES, Ping, UdpAddress, UdpPacket

if TYPE_CHECKING:
    from frpd.net.endpoint import Buffer

MAX_DATAGRAM_BYTES: Final = 7500
"""In base64 and with the longest address that stays below MAX_BODY_BYTES."""
MAX_VISITOR_BYTES: Final = 192
"""Of an address as JSON. A zone is the name of an interface, which has 15 bytes."""
MAX_KNOWN_TAILS: Final = 2048
WRAPPED_SINCE: Final = (0, 34)
"""Before, Go's ends ignored use_encryption and use_compression of udp proxies."""

_HEAD = Struct(">Bq")
_HEAD_BYTES = _HEAD.size
_PACKET = UdpPacket.TYPE
_FRONT = b'{"c":"'
_FRONT_BYTES = len(_FRONT)
_MIDDLE = b'","r":'
_AROUND_BYTES = len(_FRONT) + len(_MIDDLE) + 1

# A packet of Go's without an escape anywhere: (the tail behind the payload), (the address in it).
_PLAIN = re.compile(
    rb'\{"c":"[^"\\]*("(?:,"l":null)?,"r":(\{"IP":"[^"\\]*","Port":\d+,"Zone":"[^"\\]*"\})\})'
)

_unpack_head = _HEAD.unpack_from
_pack_head = _HEAD.pack


def wraps_udp(version: str) -> bool:
    """Return whether a Go end of this version wraps the work streams of udp proxies.

    Args:
        version: such as ``0.33.0``; what is no number counts as new.
    """
    numbers = version.split(".")[:2]
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return True
    return tuple(map(int, numbers)) >= WRAPPED_SINCE


class GoPackets:
    """Both directions of one work stream."""

    __slots__ = ("_decoder", "_error", "_rest", "_tails")

    keepalive = encode_message(Ping())
    max_datagram_bytes = MAX_DATAGRAM_BYTES

    def __init__(self) -> None:
        self._rest = b""
        self._error = ""
        self._decoder = MessageDecoder()
        self._tails: dict[bytes, bytes] = {}  # what follows the payload -> the visitor in it

    @staticmethod
    def name_visitor(host: str, port: int, scope: int = 0) -> bytes:
        """Return a visitor's address as Go writes it.

        Args:
            host: an IPv4 or IPv6 literal without a zone.
            port: its port.
            scope: of a link-local IPv6 address, else 0.
        """
        zone = str(scope) if scope else ""
        return _address_json(UdpAddress(str(ipaddress.ip_address(host)), port, zone))

    @staticmethod
    def describe_visitor(name: bytes) -> str:
        """Return such a name for people."""
        address = json.loads(name)
        return join_host_port(address["IP"], address["Port"])

    @staticmethod
    def append(out: bytearray, visitor: bytes, datagram: Buffer) -> None:
        """Append a message to ``out``; at most ``max_datagram_bytes`` of datagram."""
        text = b2a_base64(datagram, newline=False)
        out += _pack_head(_PACKET, _AROUND_BYTES + len(text) + len(visitor))
        out += b"%b%b%b%b}" % (_FRONT, text, _MIDDLE, visitor)

    def receive_data(self, data: Buffer) -> dict[bytes, list[Buffer]]:
        """Return the datagrams that ``data`` completes: by visitor, each in order.

        What is kept for the next call is less than one message.

        Raises:
            RemoteProtocolError: the peer sent something illegal, now or earlier.
        """
        if self._error:
            raise RemoteProtocolError(self._error)
        held = self._rest + data
        found: dict[bytes, list[Buffer]] = {}
        at, end = 0, len(held)
        while end - at >= _HEAD_BYTES:
            kind, size = _unpack_head(held, at)
            start = at + _HEAD_BYTES
            stop = start + size
            if not 0 <= size <= MAX_BODY_BYTES or kind not in MESSAGES:
                self._refuse(held[at:start])
            if stop > end:
                break
            if kind != _PACKET or not self._take_plain(held, start, stop, found):
                self._take_any(held[at:stop], found)
            at = stop
        self._rest = held[at:]
        return found

    def _take_plain(
        self, held: bytes, start: int, stop: int, found: dict[bytes, list[Buffer]]
    ) -> bool:
        """Take a packet apart that looks like those before it; False if it does not."""
        text_end = held.find(b'"', start + _FRONT_BYTES, stop)
        if text_end < 0 or not held.startswith(_FRONT, start):
            return False
        visitor = self._tails.get(held[text_end:stop])
        if visitor is None:
            return False
        try:
            datagram = a2b_base64(held[start + _FRONT_BYTES : text_end], strict_mode=True)
        except binascii.Error:
            return False
        found.setdefault(visitor, []).append(datagram)
        return True

    def _take_any(self, frame: bytes, found: dict[bytes, list[Buffer]]) -> None:
        """Take any message apart; all but packets say no more than that the peer is alive."""
        self._decoder.receive_data(frame)
        try:
            message = self._decoder.next_message()
        except RemoteProtocolError as error:
            self._fail(str(error))
        if not isinstance(message, UdpPacket) or message.r is None:
            return
        visitor = _address_json(message.r)
        if len(visitor) > MAX_VISITOR_BYTES:
            self._fail(f"udp: a visitor's address of {len(visitor)} bytes")
        found.setdefault(visitor, []).append(message.c)
        plain = _PLAIN.fullmatch(frame, _HEAD_BYTES)
        if plain is not None and plain[2] == visitor:
            if len(self._tails) >= MAX_KNOWN_TAILS:
                self._tails.clear()
            self._tails[plain[1]] = visitor

    def _refuse(self, head: bytes) -> NoReturn:
        """Fail in the words of the decoder."""
        try:
            self._decoder.receive_data(head)
            self._decoder.next_message()
        except RemoteProtocolError as error:
            self._fail(str(error))
        raise AssertionError("the decoder takes this head")

    def _fail(self, reason: str) -> NoReturn:
        self._error, self._rest = reason, b""
        raise RemoteProtocolError(reason)


def _address_json(address: UdpAddress) -> bytes:
    """Return an address exactly as Go writes it."""
    ip, zone = json.dumps(address.ip), json.dumps(address.zone)
    return f'{{"IP":{ip},"Port":{address.port},"Zone":{zone}}}'.encode()
