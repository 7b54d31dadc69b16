"""WebSocket frames that carry one byte stream (RFC 6455, section 5).

The stream is the concatenation of all payloads: frame and message boundaries
mean nothing, and text is never checked to be text, since frp up to 0.69 sends
binary data as text. Payload is handed on as it comes; only heads and control
frames are ever held.

Half an end: a close frame ends its sender's direction. It is answered by our
own, which goes out when our direction ends and not before, so that a half-close
travels. A peer that knows no half-close, as Go's, drops the connection with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from frpd.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.proto.buffer import Buffer

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MASK_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 1 << 31
"""Most payload in one frame. It is never held, so this only refuses nonsense."""
MAX_CONTROL_BYTES: Final = 125

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_IN_2: Final = 126
_LENGTH_IN_8: Final = 127
_START_BYTES: Final = 2
_KNOWN: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

_NORMAL: Final = (1000).to_bytes(2, "big")
_PROTOCOL_ERROR: Final = (1002).to_bytes(2, "big")

# A long integer is made and unmade byte by byte; this size was measured to be best.
_XOR_BLOCK_BYTES: Final = 4096

Xor: TypeAlias = "Callable[[Buffer, bytes], bytes]"


def xor_mask(data: Buffer, mask: bytes) -> bytes:
    """Return ``data`` with the 4 bytes of ``mask`` laid over it again and again."""
    size = len(data)
    whole = size - size % _XOR_BLOCK_BYTES
    if not whole:
        return _xor_short(data, mask)
    block = int.from_bytes(mask * (_XOR_BLOCK_BYTES // MASK_BYTES), "little")
    with memoryview(data) as view:
        parts = [
            (int.from_bytes(view[start : start + _XOR_BLOCK_BYTES], "little") ^ block).to_bytes(
                _XOR_BLOCK_BYTES, "little"
            )
            for start in range(0, whole, _XOR_BLOCK_BYTES)
        ]
        parts.append(_xor_short(view[whole:], mask))
    return b"".join(parts)


def _xor_short(data: Buffer, mask: bytes) -> bytes:
    size = len(data)
    laid = int.from_bytes((mask * (size // MASK_BYTES + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ laid).to_bytes(size, "little")


def encode_frame(opcode: int, payload: Buffer, mask: bytes | None, xor: Xor = xor_mask) -> bytes:
    """Return one unfragmented frame; ``mask`` is for a client's."""
    size = len(payload)
    masked = 0 if mask is None else _MASKED
    if size < _LENGTH_IN_2:
        head = bytes((_FIN | opcode, masked | size))
    elif size < 1 << 16:
        head = bytes((_FIN | opcode, masked | _LENGTH_IN_2)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, masked | _LENGTH_IN_8)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return b"".join((head, mask, xor(payload, mask)))


class WebSocketCodec:
    """Both directions of one WebSocket behind its handshake. After an error it stays failed.

    Args:
        mask_source: returns 4 unpredictable bytes for each frame of a client;
            None for the server's side, which does not mask.
        opcode: what data goes out as; what comes in may be either.
        xor: does what xor_mask does, perhaps faster.
    """

    __slots__ = (
        "_answer",
        "_error",
        "_finished",
        "_fragmented",
        "_held",
        "_left",
        "_mask",
        "_mask_source",
        "_needed",
        "_opcode",
        "_reason",
        "_xor",
        "ended",
    )

    def __init__(
        self,
        mask_source: Callable[[], bytes] | None,
        *,
        opcode: int = BINARY,
        xor: Xor = xor_mask,
    ) -> None:
        self.ended = False
        """The peer has ended its direction by a close frame."""
        self._mask_source = mask_source
        self._opcode = opcode
        self._xor = xor
        self._held = bytearray()  # an unfinished head, or control frame
        self._needed = _START_BYTES  # how long it will be, as far as we know
        self._left = 0  # payload that is still to come
        self._mask = b""  # for its next bytes
        self._fragmented = False  # a message has begun and its last frame is to come
        self._answer = b""
        self._finished = False
        self._reason = ""  # why the peer's end is not a true one
        self._error: str | None = None

    # Out.

    def encode(self, data: Buffer) -> bytes:
        """Return ``data`` as one frame; b"" for b""."""
        return self._frame(self._opcode, data) if len(data) else b""

    def finish(self) -> bytes:
        """Return the close frame that ends our direction, once."""
        return self._close(_NORMAL)

    def answers(self) -> bytes:
        """Return what the peer is owed, as a rule nothing: a pong, or a last close frame.

        Of several pings only the last is answered (RFC 6455, 5.5.3), so it is bounded.
        """
        answer, self._answer = self._answer, b""
        return answer

    # In.

    def decode(self, data: Buffer) -> Buffer:
        """Return the payload in ``data``, maybe none; it may be a part of ``data`` itself.

        What comes behind a close frame is ignored.

        Raises:
            RemoteProtocolError: the peer broke the protocol, now or earlier.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        view = memoryview(data)
        position, size = 0, len(view)
        parts: list[Buffer] = []
        while position < size and not self.ended:
            if self._left:
                part = view[position : position + self._left]
                parts.append(self._payload(part))
                position += len(part)
            else:
                position += self._take_head(view[position : position + self._missing])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def receive_eof(self) -> None:
        """Check that the peer's direction ended where it may: between frames.

        Without a close frame too: frp's peers often just close the connection.

        Raises:
            RemoteProtocolError: it was cut inside a frame, or ended for an error.
        """
        if self._reason:
            raise RemoteProtocolError(self._reason)
        if self._left or self._held:
            raise RemoteProtocolError("websocket: cut inside a frame")

    @property
    def _missing(self) -> int:
        return self._needed - len(self._held)

    def _payload(self, part: memoryview) -> Buffer:
        self._left -= len(part)
        if not self._mask:
            return part
        plain = self._xor(part, self._mask)
        turn = len(part) % MASK_BYTES
        if turn:
            self._mask = self._mask[turn:] + self._mask[:turn]
        return plain

    def _take_head(self, piece: memoryview) -> int:
        """Add to the unfinished head; return how much that was."""
        held = self._held
        held += piece
        if len(held) == self._needed:
            if self._needed == _START_BYTES:
                self._needed = self._check_start(held[0], held[1])
            if len(held) == self._needed:
                self._needed = _START_BYTES
                self._held = bytearray()
                self._begin(held)
        return len(piece)

    def _check_start(self, first: int, second: int) -> int:
        """Check a frame's first bytes; return the length of its head, or of it if it is control."""
        opcode, length = first & _OPCODE, second & _LENGTH
        if first & _RESERVED:
            self._fail("reserved bits are set")
        if opcode not in _KNOWN:
            self._fail(f"unknown opcode {opcode}")
        if bool(second & _MASKED) == (self._mask_source is not None):
            self._fail("frame is masked" if second & _MASKED else "frame is not masked")
        head = _START_BYTES + {_LENGTH_IN_2: 2, _LENGTH_IN_8: 8}.get(length, 0)
        if second & _MASKED:
            head += MASK_BYTES
        if opcode < CLOSE:
            self._check_order(opcode, bool(first & _FIN))
            return head
        if not first & _FIN or length > MAX_CONTROL_BYTES:
            self._fail("control frame is long or in fragments")
        return head + length

    def _check_order(self, opcode: int, is_last: bool) -> None:
        if (opcode == CONTINUATION) != self._fragmented:
            self._fail("fragments are out of order")
        self._fragmented = not is_last

    def _begin(self, held: bytearray) -> None:
        """Note what a complete head says, or do what a control frame asks for."""
        opcode, length = held[0] & _OPCODE, held[1] & _LENGTH
        position = _START_BYTES
        if length >= _LENGTH_IN_2:
            position += 2 if length == _LENGTH_IN_2 else 8
            shortest = _LENGTH_IN_2 if length == _LENGTH_IN_2 else 1 << 16
            length = int.from_bytes(held[_START_BYTES:position], "big")
            if not shortest <= length <= MAX_FRAME_BYTES:
                self._fail(f"frame length {length}")
        mask = b""
        if held[1] & _MASKED:
            mask = bytes(held[position : position + MASK_BYTES])
            position += MASK_BYTES
        if opcode < CLOSE:
            self._left, self._mask = length, mask
            return
        payload = bytes(held[position:])
        self._control(opcode, self._xor(payload, mask) if mask else payload)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            if not self._finished:
                self._answer = self._frame(PONG, payload)
        elif opcode == CLOSE:
            if len(payload) == 1:
                self._fail("half a close code")
            self.ended = True
            if payload[:2] not in (b"", _NORMAL):
                text = payload[2:].decode("utf-8", "replace")
                code = int.from_bytes(payload[:2], "big")
                self._reason = f"websocket: closed by the peer with code {code} {text}".rstrip()

    def _frame(self, opcode: int, payload: Buffer) -> bytes:
        mask = None if self._mask_source is None else self._mask_source()
        return encode_frame(opcode, payload, mask, self._xor)

    def _close(self, code: bytes) -> bytes:
        if self._finished:
            return b""
        self._finished = True
        self._answer = b""
        return self._frame(CLOSE, code)

    def _fail(self, reason: str) -> NoReturn:
        self._error = f"websocket: {reason}"
        self._answer = self._close(_PROTOCOL_ERROR)
        raise RemoteProtocolError(self._error)
