from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError
from frpd.proto.buffer import Buffer
from frpd.proto.http.body import (
    ENDLESS,
    FORBIDDEN_TRAILERS,
    MAX_EXTENSION_BYTES,
    MAX_EXTENSIONS_BYTES,
    MAX_TRAILER_BYTES,
    MAX_TRAILER_FIELDS,
    ChunkedBody,
    Dechunker,
    FixedBody,
    Framing,
    NoBody,
    UntilClose,
)
from frpd.proto.http.errors import HttpError

TWO_CHUNKS = b"5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"
# What chunk sizes, extensions and line ends are made of, so that a search finds near misses.
PIECES = st.sampled_from(
    [
        b"0",
        b"1",
        b"5",
        b"a",
        b"F",
        b"\r\n",
        b"\r",
        b"\n",
        b";",
        b"=",
        b'"',
        b" ",
        b"x: y",
        b":",
        b"-",
    ]
)
chunk_lists = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def chunked(payloads: list[bytes], trailers: bytes = b"") -> bytes:
    chunks = [b"%x\r\n%b\r\n" % (len(payload), payload) for payload in payloads]
    return b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


def cuts(data: bytes, places: list[int]) -> Iterator[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return (data[start:end] for start, end in itertools.pairwise(ends))


def outcome(pieces: Iterator[bytes]) -> tuple[str, int, bytes]:
    """Return how a chunked body came out, how long it was and what it carried."""
    body, dechunker = ChunkedBody(), Dechunker()
    length, payload = 0, b""
    try:
        for piece in pieces:
            taken = body.take(piece)
            payload += dechunker.feed(piece[:taken])
            assert body.over == dechunker.over
            length += taken
            if taken < len(piece):
                break
    except HttpError as error:
        return error.reason, 0, b""
    return ("over" if body.over else "more to come"), length, payload


def test_no_body_is_over_at_once() -> None:
    body = NoBody()
    assert (body.over, body.opaque(), body.take(b"GET /")) == (True, 0, 0)
    body.passed(0)
    body.eof()
    with pytest.raises(LocalProtocolError):
        body.passed(1)


def test_a_fixed_body_ends_after_its_length() -> None:
    body = FixedBody(10)
    assert (body.over, body.opaque()) == (False, 10)
    assert body.take(b"abc") == 3
    body.passed(4)
    assert (body.over, body.opaque()) == (False, 3)
    assert body.take(memoryview(b"abcGET")) == 3
    assert (body.over, body.opaque(), body.take(b"GET")) == (True, 0, 0)
    body.eof()


def test_a_fixed_body_notices_its_early_end() -> None:
    body = FixedBody(2)
    body.passed(1)
    with pytest.raises(HttpError):
        body.eof()
    with pytest.raises(LocalProtocolError):
        body.passed(2)


def test_a_body_until_close_has_all_bytes() -> None:
    body = UntilClose()
    assert (body.over, body.opaque(), body.take(b"abc")) == (False, ENDLESS, 3)
    body.passed(1 << 40)
    body.eof()
    assert (body.over, body.opaque(), body.take(b"abc")) == (True, 0, 0)
    body.passed(0)
    with pytest.raises(LocalProtocolError):
        body.passed(1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_chunks_are_followed_through_any_buffer(kind: Callable[[bytes], Buffer]) -> None:
    body = ChunkedBody()
    assert body.take(kind(TWO_CHUNKS + b"GET")) == len(TWO_CHUNKS)
    assert body.over
    assert body.take(kind(b"GET")) == 0
    body.eof()
    assert Dechunker().feed(kind(TWO_CHUNKS)) == b"hello0123456789"


def test_payload_of_a_chunk_may_pass_unseen() -> None:
    body = ChunkedBody()
    assert body.opaque() == 0
    assert body.take(b"ffffff\r\nabc") == 11
    assert body.opaque() == 0xFFFFFF - 3
    body.passed(0xFFFFFF - 4)
    assert body.opaque() == 1
    with pytest.raises(LocalProtocolError):
        body.passed(2)
    body.passed(1)
    assert (body.opaque(), body.over) == (0, False)
    assert body.take(b"\r\n0\r\n\r\n") == 7
    assert body.over


@pytest.mark.parametrize("length", range(len(TWO_CHUNKS)))
def test_an_early_end_of_chunks_is_noticed_everywhere(length: int) -> None:
    body, dechunker = ChunkedBody(), Dechunker()
    assert body.take(TWO_CHUNKS[:length]) == length
    dechunker.feed(TWO_CHUNKS[:length])
    for ended in (body, dechunker):
        with pytest.raises(HttpError):
            ended.eof()


def test_a_whole_body_taken_apart_ends_well() -> None:
    dechunker = Dechunker()
    assert dechunker.feed(TWO_CHUNKS + b"GET") == b"hello0123456789"
    assert dechunker.over
    dechunker.eof()


@given(chunk_lists, st.lists(st.integers(0, 500), max_size=8), st.binary(max_size=5))
def test_any_cut_of_chunks_is_the_same_body(
    payloads: list[bytes], places: list[int], rest: bytes
) -> None:
    wire = chunked(payloads, b"a: b\r\n")
    assert outcome(cuts(wire + rest, places)) == ("over", len(wire), b"".join(payloads))


@given(st.lists(PIECES, max_size=24).map(b"".join), st.lists(st.integers(0, 99), max_size=6))
def test_any_cut_of_nonsense_is_judged_alike(wire: bytes, places: list[int]) -> None:
    whole = outcome(iter([wire]))
    by_bytes = outcome(bytes((byte,)) for byte in wire)
    in_pieces = outcome(cuts(wire, places))
    assert in_pieces == by_bytes == whole


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_an_http_error(wire: bytes) -> None:
    outcome(iter([wire]))
    outcome(iter([b"5\r\nhello\r\n" + wire]))
    outcome(iter([b"0\r\n" + wire]))


@pytest.mark.parametrize(
    "begun",
    [
        *(b"g", b"5 ", b"-", b"0x", b"11111111111111111", b"5;\x00", b"5\rx", b"5\n"),
        *(b"1\r\nxy", b"1\r\nx\ra", b"1\r\nx\r\n\r"),
        *(b"0\r\n\x00", b"0\r\na\n", b"0\r\na\rb"),
    ],
)
def test_what_cannot_become_a_chunk_is_refused_without_its_end(begun: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        ChunkedBody().take(begun)
    assert caught.value.status == 400


def extended(nbytes: int) -> bytes:
    return b"1;" + b"a" * (nbytes - 1) + b"\r\nx\r\n"


def test_extensions_are_bounded_one_by_one() -> None:
    wire = extended(MAX_EXTENSION_BYTES)
    assert ChunkedBody().take(wire) == len(wire)
    for refused in (extended(MAX_EXTENSION_BYTES + 1), extended(100_000), b"1;" + b"a" * 1000):
        with pytest.raises(HttpError):
            ChunkedBody().take(refused)


def test_extensions_are_bounded_together() -> None:
    body = ChunkedBody()
    for _ in range(MAX_EXTENSIONS_BYTES // MAX_EXTENSION_BYTES):
        body.take(extended(MAX_EXTENSION_BYTES))
    with pytest.raises(HttpError):
        body.take(extended(1 + 1))


def test_trailers_are_bounded_in_bytes_and_in_number() -> None:
    line = b"a: " + b"b" * (MAX_TRAILER_BYTES - 5) + b"\r\n"
    for allowed in (chunked([], line), chunked([], b"a:\r\n" * MAX_TRAILER_FIELDS)):
        assert ChunkedBody().take(allowed) == len(allowed)
    for refused in (
        chunked([], line + b"a:\r\n"),
        chunked([], b"a:\r\n" * (MAX_TRAILER_FIELDS + 1)),
        b"0\r\na: " + b"b" * MAX_TRAILER_BYTES,
    ):
        with pytest.raises(HttpError):
            ChunkedBody().take(refused)


@pytest.mark.parametrize("name", sorted(FORBIDDEN_TRAILERS))
def test_a_trailer_cannot_say_what_heads_say(name: str) -> None:
    with pytest.raises(HttpError, match="forbidden trailer"):
        ChunkedBody().take(f"0\r\n{name.title()}: x\r\n".encode())


def test_many_small_chunks_in_one_buffer_are_many_chunks() -> None:
    wire = chunked([b"hello"] * 3000)
    assert ChunkedBody().take(wire) == len(wire)
    assert Dechunker().feed(wire) == b"hello" * 3000


def test_every_tracker_is_a_framing() -> None:
    framings: list[Framing] = [NoBody(), FixedBody(1), UntilClose(), ChunkedBody()]
    assert [framing.over for framing in framings] == [True, False, False, False]


def test_the_longest_chunk_there_is_may_begin() -> None:
    body = ChunkedBody()
    assert body.take(b"7fffffffffffffff\r\nabc") == 21
    assert body.opaque() == (1 << 63) - 1 - 3
