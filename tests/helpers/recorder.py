"""A frps that writes down what a frpc says, and lets it have whatever it wants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from frpd.auth.token import privilege_key
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import LoginResp, NewProxyResp
from frpd.proto.wrappers import CipherCodec

if TYPE_CHECKING:
    import socket

Json = dict[str, Any]
HEADER_BYTES = 9


class Recorder:
    """Talks to each connection of a frpc with ``tcp_mux = false`` and ``tls_enable = false``.

    Args:
        token: that the client should have; with another one nothing of its control stream is read.
    """

    def __init__(self, token: str) -> None:
        self.logins: list[Json] = []
        self.proxies: dict[str, Json] = {}
        self.visits: list[Json] = []
        self._token = token

    def knows(self, login: Json) -> bool:
        """Return whether a login was made with our token."""
        known: bool = login["privilege_key"] == privilege_key(self._token, login["timestamp"])
        return known

    def talk(self, sock: socket.socket) -> None:
        """Serve one connection until its end."""
        kind, message = _read(sock)
        if kind == b"v":
            self.visits.append(message)
        if kind != b"o":
            return
        self.logins.append(message)
        sock.sendall(encode_message(LoginResp("0.51.3", "of the recorder", 0, "")))
        if not self.knows(message):
            while sock.recv(4096):  # it cannot be read
                pass
            return
        cipher = CipherCodec(derive_key(self._token), b"\7" * IV_BYTES)
        while True:
            kind, message = _read(sock, cipher)
            if kind == b"p":
                name = message["proxy_name"]
                self.proxies[name] = message
                sock.sendall(cipher.encode(encode_message(NewProxyResp(name, ":1", ""))))


def _read(sock: socket.socket, cipher: CipherCodec | None = None) -> tuple[bytes, Json]:
    """Return type and content of the next message. Raises ConnectionError at the end."""
    if cipher is None:
        kind, size = _parts(_exactly(sock, HEADER_BYTES))
        return kind, json.loads(_exactly(sock, size))
    kind, size = _parts(_decoded(sock, cipher, HEADER_BYTES))
    return kind, json.loads(_decoded(sock, cipher, size))


def _parts(header: bytes) -> tuple[bytes, int]:
    return header[:1], int.from_bytes(header[1:], "big")


def _decoded(sock: socket.socket, cipher: CipherCodec, size: int) -> bytes:
    data = b""
    while len(data) < size:  # what comes first is no text yet
        data += cipher.decode(_exactly(sock, size - len(data)))
    return data


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("the end")
        data += piece
    return data
