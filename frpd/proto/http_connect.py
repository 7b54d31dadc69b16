"""HTTP CONNECT, the asking side: frp's request, and a strict, bounded reading of the answer.

The request is byte for byte what Go frpc (0.22 to 0.70) writes. Status 200 alone opens
the tunnel, as with Go. What stands behind the answer's head is the tunnel's.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frpd.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_HEAD_BYTES: Final = 16 * 1024
"""Most bytes of the answer's head, its last empty line included."""
MAX_REASON_CHARS: Final = 120
"""Most of a proxy's own words that are repeated."""

OK: Final = 200
NOT_AUTHENTICATED: Final = (407, 401)  # tinyproxy says 401 when the password is wrong

_BEGINNING: Final = b"HTTP/1."
_HEAD_END = re.compile(rb"\n\r?\n")  # a bare LF ends a line too, as RFC 9112 2.2 lets it
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_AUTHORITY = re.compile(r"[\x21-\x7e]+")
_SCHEME = re.compile(rb"[ \t]*([0-9A-Za-z-]{1,32})(?:[ \t,]|$)")


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of a proxy's answer.

    Attributes:
        status: three digits.
        reason: the proxy's words behind them, shortened; may be empty.
        challenges: the ways to authenticate that it offers, such as ``Basic``.
    """

    status: int
    reason: str
    challenges: tuple[str, ...] = ()


def connect_request(host: str, port: int, credentials: tuple[bytes, bytes] | None = None) -> bytes:
    """Return a CONNECT request.

    Args:
        host: a name in ASCII, or an address.
        port: at that host.
        credentials: user and password for Basic, as they are on the wire.

    Raises:
        LocalProtocolError: the host cannot be in a request line.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not host or not _AUTHORITY.fullmatch(target):
        raise LocalProtocolError(f"{host!r} cannot be asked of an HTTP proxy")
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: Mozilla/5.0"]
    if credentials is not None:
        basic = binascii.b2a_base64(b":".join(credentials), newline=False).decode()
        lines.append(f"Proxy-Authorization: Basic {basic}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class HttpConnectClient:
    """Asks one proxy for one tunnel. After an error it is of no use any more.

    Send what ``data_to_send`` returns, feed what comes, until ``is_ready`` or ``refusal``
    says how it ended; then ``take_rest`` has the tunnel's first bytes.

    Args:
        host: see connect_request.
        port: likewise.
        credentials: likewise.

    Raises:
        LocalProtocolError: see connect_request.
    """

    __slots__ = ("_outgoing", "_received", "_with_credentials", "answer")

    def __init__(
        self, host: str, port: int, credentials: tuple[bytes, bytes] | None = None
    ) -> None:
        self.answer: Answer | None = None
        self._outgoing = connect_request(host, port, credentials)
        self._with_credentials = credentials is not None
        self._received = bytearray()

    @property
    def is_ready(self) -> bool:
        """Whether the tunnel is open."""
        return self.answer is not None and self.answer.status == OK

    @property
    def refusal(self) -> str | None:
        """Why there will be no tunnel, once the proxy has said so."""
        if self.answer is None or self.is_ready:
            return None
        said = f"{self.answer.status} {self.answer.reason}".rstrip()
        if self.answer.status not in NOT_AUTHENTICATED:
            return said
        offered = ", ".join(self.answer.challenges)
        wants = f" (it takes {offered})" if offered else ""
        if self._with_credentials:
            return f"{said}: it does not accept the user and password given{wants}"
        return f"{said}: it wants a user and a password{wants}, and none are given"

    def data_to_send(self) -> bytes:
        """Return what to send now, each byte once."""
        outgoing, self._outgoing = self._outgoing, b""
        return outgoing

    def receive_data(self, data: Buffer) -> None:
        """Take bytes of the proxy.

        Raises:
            RemoteProtocolError: it does not speak HTTP, or says too much.
        """
        seen = len(self._received)
        self._received += data
        if self.answer is not None:
            return
        if not self._received.startswith(_BEGINNING[: len(self._received)]):
            raise RemoteProtocolError("the answer is not HTTP")
        end = _HEAD_END.search(self._received, max(seen - 2, 0), MAX_HEAD_BYTES)
        if end is not None:
            self.answer = _parse(bytes(self._received[: end.end()]))
            del self._received[: end.end()]
        elif len(self._received) >= MAX_HEAD_BYTES:
            raise RemoteProtocolError(f"the answer's head is longer than {MAX_HEAD_BYTES} bytes")

    def take_rest(self) -> bytes:
        """Return the bytes behind the answer's head, each once."""
        if self.answer is None:
            return b""
        rest = bytes(self._received)
        self._received.clear()
        return rest


def _parse(head: bytes) -> Answer:
    first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")[:-2]]
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise RemoteProtocolError("the answer's status line is malformed")
    challenges: list[str] = []
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise RemoteProtocolError("the answer has a malformed header line")
        if header[1].lower() == b"proxy-authenticate" and (scheme := _SCHEME.match(header[2])):
            challenges.append(scheme[1].decode())
    reason = (match[2] or b"").decode("utf-8", "replace").strip()[:MAX_REASON_CHARS]
    return Answer(int(match[1]), reason, tuple(dict.fromkeys(challenges)))
