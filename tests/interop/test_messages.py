"""Go's decoder and ours, given the same frames: what one takes the other takes."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from frpd.auth.token import privilege_key
from frpd.clock import unix_now
from frpd.proto.message.codec import MAX_BODY_BYTES
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS
from tests.helpers.stage import TOKEN, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer

HEADER = struct.Struct(">cq")


def frame(body: str | bytes, kind: bytes = b"o", size: int | None = None) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    return HEADER.pack(kind, len(data) if size is None else size) + data


def login(**more: object) -> str:
    """Return the body of a Login that is let in."""
    now = unix_now()
    fields = {"version": "0.51.3", "privilege_key": privilege_key(TOKEN, now), "timestamp": now}
    return json.dumps(fields | more)


def ending_in(text: str) -> str:
    """Return the same with this at its end."""
    return f"{login()[:-1]},{text}}}"


def padded(size: int) -> str:
    return login().ljust(size)


OK, REFUSED, CLOSED = "ok", "refused", "closed"
FRAMES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a login": (lambda: frame(login()), OK),
    # Frames.
    "an unknown type": (lambda: frame(login(), b"z"), CLOSED),
    "a type above all letters": (lambda: frame(login(), b"\x80"), CLOSED),
    "a negative length": (lambda: frame(login(), size=-1), CLOSED),
    "the lowest length": (lambda: frame(login(), size=-(2**63)), CLOSED),
    "the highest length": (lambda: frame(login(), size=2**63 - 1), CLOSED),
    "as long as it may be": (lambda: frame(padded(MAX_BODY_BYTES)), OK),
    "longer by one byte": (lambda: frame(padded(MAX_BODY_BYTES + 1)), CLOSED),
    "a ping first": (lambda: frame("{}", b"h"), CLOSED),
    "a proxy first": (lambda: frame("{}", b"p"), CLOSED),
    "the answer to a login": (lambda: frame("{}", b"1"), CLOSED),
    # Objects.
    "no fields": (lambda: frame("{}"), REFUSED),
    "a list": (lambda: frame("[]"), CLOSED),
    "a text": (lambda: frame('"x"'), CLOSED),
    "a number": (lambda: frame("5"), CLOSED),
    "cut short": (lambda: frame(login()[:-1]), CLOSED),
    "a letter behind it": (lambda: frame(login() + "x"), CLOSED),
    "two objects": (lambda: frame(login() + "{}"), CLOSED),
    "white space around it": (lambda: frame(f" \n\t{login()} \r\n"), OK),
    "a byte order mark": (lambda: frame(b"\xef\xbb\xbf" + login().encode()), CLOSED),
    "a comma too many": (lambda: frame(login()[:-1] + ",}"), CLOSED),
    "a comment": (lambda: frame(login()[:-1] + "/* x */}"), CLOSED),
    "other quotes": (lambda: frame(login().replace('"', "'")), CLOSED),
    # Names.
    "an unknown field": (lambda: frame(login(never={"a": [1, None]})), OK),
    "a field without a name": (lambda: frame(ending_in('"":1')), OK),
    "names in capitals": (
        lambda: frame(json.dumps({key.upper(): one for key, one in json.loads(login()).items()})),
        OK,
    ),
    "a field twice, of which the last counts": (lambda: frame(ending_in('"timestamp":0')), REFUSED),
    # Types.
    "a text for a number": (lambda: frame(login(pool_count="1")), CLOSED),
    "a number for a text": (lambda: frame(login(hostname=5)), CLOSED),
    "a truth for a text": (lambda: frame(login(hostname=True)), CLOSED),
    "an object for a text": (lambda: frame(login(hostname={})), CLOSED),
    "nothing for a text": (lambda: frame(login(hostname=None)), OK),
    "nothing for a number": (lambda: frame(login(pool_count=None)), OK),
    # Numbers.
    "a fraction of zero": (lambda: frame(ending_in('"pool_count":1.0')), CLOSED),
    "an exponent": (lambda: frame(ending_in('"pool_count":1e2')), CLOSED),
    "above 64 bits": (lambda: frame(ending_in('"pool_count":9223372036854775808')), CLOSED),
    "thousands of digits": (lambda: frame(ending_in('"pool_count":' + "1" * 5000)), CLOSED),
    "zero with a sign": (lambda: frame(ending_in('"pool_count":-0')), OK),
    "a zero ahead": (lambda: frame(ending_in('"pool_count":01')), CLOSED),
    "a plus": (lambda: frame(ending_in('"pool_count":+1')), CLOSED),
    "no number": (lambda: frame(ending_in('"never":NaN')), CLOSED),
    "infinite": (lambda: frame(ending_in('"never":-Infinity')), CLOSED),
    # Texts.
    "not UTF-8": (lambda: frame(ending_in('"hostname":"#"').encode().replace(b"#", b"\xff")), OK),
    "half of a character": (lambda: frame(ending_in(r'"hostname":"\ud800"')), OK),
    "an unknown escape": (lambda: frame(ending_in(r'"hostname":"\x41"')), CLOSED),
    "a control character": (lambda: frame(ending_in('"hostname":"a\x01b"')), CLOSED),
    "a tab": (lambda: frame(ending_in('"hostname":"a\tb"')), CLOSED),
    "an escaped zero byte": (lambda: frame(ending_in(r'"hostname":"a\u0000b"')), OK),
    "lists in lists": (lambda: frame(ending_in(f'"never":{"[" * 900}{"]" * 900}')), OK),
}
OURS: dict[str, tuple[Callable[[], bytes], str]] = {
    # Go: the text is closed with the object, or the connection waits for more of it.
    "no bytes": (lambda: frame(""), CLOSED),
    "nothing": (lambda: frame("null"), REFUSED),
    # Go takes them; for us they are a depth that nobody needs.
    "4000 lists in lists": (lambda: frame(ending_in(f'"never":{"[" * 4000}{"]" * 4000}')), CLOSED),
    # A negative count ends Go's whole process.
    "the lowest number": (lambda: frame(ending_in('"pool_count":-9223372036854775808')), OK),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], int]]:
    """Return what tells the port of a running frps of a folder of programs."""
    stage = Stage(tmp_path_factory.mktemp("servers"))
    ports: dict[Path, int] = {}

    def port_of(folder: Path) -> int:
        if folder not in ports:
            ports[folder] = free_port()
            common = {"bind_addr": "127.0.0.1", "bind_port": ports[folder], "token": TOKEN}
            stage.frps({**common, "tcp_mux": False}, folder=folder)
        return ports[folder]

    yield port_of
    stage.close()


def outcome(port: int, data: bytes) -> str:
    """Send this first, and return what comes of it."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        sock.sendall(data)
        try:
            answer = sock.recv(65536)
            while answer and len(answer) < HEADER.size + HEADER.unpack_from(answer)[1]:
                answer += sock.recv(65536)
        except ConnectionResetError:
            return CLOSED
    if not answer:
        return CLOSED
    return REFUSED if json.loads(answer[HEADER.size :]).get("error") else OK


@pytest.mark.parametrize("name", FRAMES)
def test_frps_takes_what_go_takes(peer: GoPeer, name: str, servers: Callable[[Path], int]) -> None:
    make, expected = FRAMES[name]
    assert outcome(servers(peer.folder), make()) == expected
    assert outcome(servers(BIN), make()) == expected


@pytest.mark.parametrize("name", OURS)
def test_frps_survives_what_go_does_not(
    end_peer: GoPeer, name: str, servers: Callable[[Path], int]
) -> None:
    make, expected = OURS[name]
    assert outcome(servers(BIN), make()) == expected, end_peer
