"""A man in the middle: takes the object ``frpd`` out of logins as they pass.

Runs as a program: ``python stripper.py PORT SERVER_PORT WHAT``,
where WHAT is ``login``, ``answer`` or ``both``. It reads frp's messages, over
yamux as well as without it, rewrites them and their lengths, and passes on
everything else as it came. Prints ``ready`` when it listens, ``stripped
Login`` or ``stripped LoginResp`` for each message that it changed.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading

NAMES = {ord("o"): "Login", ord("1"): "LoginResp"}
YAMUX_HEADER = struct.Struct(">BBHII")
FRP_HEADER = struct.Struct(">Bq")


def strip_message(data: bytes) -> bytes | None:
    """Return a Login or LoginResp without the object, and what stands behind it; None if cut."""
    if len(data) < FRP_HEADER.size:
        return None
    kind, length = FRP_HEADER.unpack_from(data)
    if kind not in NAMES:
        return data
    end = FRP_HEADER.size + length
    if len(data) < end:
        return None
    fields = json.loads(data[FRP_HEADER.size : end])
    if fields.pop("frpd", None) is not None:
        print("stripped", NAMES[kind], flush=True)  # noqa: T201 - it is a program
    body = json.dumps(fields).encode()
    return FRP_HEADER.pack(kind, len(body)) + body + data[end:]


class Direction:
    """Bytes of one direction of one connection; changes its first message."""

    def __init__(self) -> None:
        self._held = b""
        self._done = False

    def change(self, data: bytes) -> bytes:
        """Return what to pass on."""
        if self._done:
            return data
        self._held += data
        if self._held[:1] == b"\0":
            return self._change_frames()
        changed = strip_message(self._held)
        if changed is None:
            return b""
        self._done = True
        return changed

    def _change_frames(self) -> bytes:
        """Pass whole yamux frames on; the first with payload begins with the message."""
        passed = b""
        while len(self._held) >= YAMUX_HEADER.size and not self._done:
            version, kind, flags, stream_id, length = YAMUX_HEADER.unpack_from(self._held)
            end = YAMUX_HEADER.size + (length if kind == 0 else 0)
            if len(self._held) < end:
                break
            frame, self._held = self._held[:end], self._held[end:]
            if kind == 0 and length:
                payload = strip_message(frame[YAMUX_HEADER.size :])
                assert payload is not None, "a login in several frames"
                frame = YAMUX_HEADER.pack(version, kind, flags, stream_id, len(payload)) + payload
                self._done = True
            passed += frame
        if self._done:
            passed, self._held = passed + self._held, b""
        return passed


def pass_on(source: socket.socket, sink: socket.socket, direction: Direction | None) -> None:
    """Move one direction to its end."""
    try:
        while data := source.recv(65536):
            sink.sendall(data if direction is None else direction.change(data))
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for sock in (source, sink):
            sock.close()


def main() -> None:
    port, server_port, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    listener = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)  # noqa: T201 - it is a program
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", server_port))
        up = Direction() if what in ("login", "both") else None
        down = Direction() if what in ("answer", "both") else None
        for job in ((client, server, up), (server, client, down)):
            threading.Thread(target=pass_on, args=job, daemon=True).start()


if __name__ == "__main__":
    main()
