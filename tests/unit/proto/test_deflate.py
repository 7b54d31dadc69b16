from __future__ import annotations

import random
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.deflate import (
    LIBRARY,
    MAX_BLOCK_BYTES,
    MAX_DEFLATED_BYTES,
    MAX_RATIO,
    STORED_AFTER_FAILURE,
    DeflateCodec,
    DeflateDecoder,
    DeflateEncoder,
    Library,
    find_library,
)
from frpd.proto.wrappers import StreamCodec
from tests.unit.proto.vectors import load

CASES: list[dict[str, Any]] = load("deflate")["cases"]
PLAIN_ZLIB = Library(zlib, zlib.error)
LIBRARIES = [pytest.param(LIBRARY, id=LIBRARY.module.__name__), pytest.param(PLAIN_ZLIB, id="zlib")]
both = pytest.mark.parametrize("library", LIBRARIES)

SENTENCE = b"the quick brown fox jumps over the lazy dog. "
TEXT = b"".join(b"%d: %s" % (number * 7919, SENTENCE) for number in range(4000))
NOISE = random.Random(1).randbytes(300_000)


def records(wire: bytes) -> list[tuple[int, bytes]]:
    found = []
    position = 0
    while position < len(wire):
        end = position + 4 + int.from_bytes(wire[position + 1 : position + 4], "big")
        found.append((wire[position], wire[position + 4 : end]))
        position = end
    return found


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def kinds(wire: bytes) -> list[int]:
    return [kind for kind, _ in records(wire)]


@both
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_documented_records_are_read_whole_and_byte_by_byte(
    case: dict[str, Any], library: Library
) -> None:
    wire = bytes.fromhex(case["wire"])
    for step in (len(wire), 1):
        decoder = DeflateDecoder(library)
        pieces = [wire[at : at + step] for at in range(0, len(wire), step)]
        if case["error"]:
            with pytest.raises(RemoteProtocolError) as caught:
                list(map(decoder.decode, pieces))
            assert str(caught.value) == case["error"]
        else:
            assert b"".join(map(decoder.decode, pieces)) == bytes.fromhex(case["plain"])


@both
def test_each_write_arrives_whole_at_once(library: Library) -> None:
    left, right = DeflateCodec(library), DeflateCodec(library)
    for data in (b"a", b"", TEXT, b"k", NOISE, TEXT, bytes(200_000), bytearray(b"z")):
        assert right.decode(left.encode(data)) == data
        assert left.decode(right.encode(memoryview(data))) == data


def test_both_libraries_understand_each_other() -> None:
    for ours, theirs in ((LIBRARY, PLAIN_ZLIB), (PLAIN_ZLIB, LIBRARY)):
        codecs: tuple[StreamCodec, StreamCodec] = (DeflateCodec(ours), DeflateCodec(theirs))
        for data in (TEXT, NOISE, SENTENCE, TEXT):
            assert codecs[1].decode(codecs[0].encode(data)) == data


def test_zlib_stands_in_where_zlib_ng_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    assert find_library() == PLAIN_ZLIB


def test_zlib_ng_is_used_where_it_is_installed() -> None:
    module = pytest.importorskip("zlib_ng.zlib_ng")
    assert find_library().module is module


@both
def test_text_shrinks_and_later_text_profits_from_earlier(library: Library) -> None:
    assert len(DeflateEncoder(library).encode(TEXT)) * 4 < len(TEXT)
    encoder = DeflateEncoder(library)
    early, late = encoder.encode(SENTENCE * 2), encoder.encode(SENTENCE * 2)
    assert len(late) * 2 < len(early)


@both
def test_after_a_record_that_saves_too_little_sixteen_are_stored(library: Library) -> None:
    encoder = DeflateEncoder(library)
    wire = b"".join(encoder.encode(NOISE[at : at + 1000]) for at in range(0, 40_000, 1000))
    cycle = [1] + [0] * STORED_AFTER_FAILURE
    assert kinds(wire) == (cycle * 3)[:40]


@both
def test_saving_an_eighth_is_enough(library: Library) -> None:
    probe = 4096
    for repeated in range(0, probe, 64):
        encoder = DeflateEncoder(library)
        wire = encoder.encode(NOISE[: probe - repeated] + bytes(repeated))
        ((_, body),) = records(wire)
        worth_it = 8 * (probe - len(body)) >= probe
        assert kinds(encoder.encode(SENTENCE)) == [1 if worth_it else 0]


@both
def test_a_trial_is_short_until_one_succeeds(library: Library) -> None:
    wire = DeflateEncoder(library).encode(TEXT)
    decoder = DeflateDecoder(library)
    lengths = [len(decoder.decode(record(kind, body))) for kind, body in records(wire)]
    assert lengths[:2] == [4096, MAX_BLOCK_BYTES]


def test_a_keystroke_is_stored_and_judges_nothing() -> None:
    encoder = DeflateEncoder()
    assert encoder.encode(b"k") == record(0, b"k")
    assert kinds(encoder.encode(TEXT))[0] == 1
    assert kinds(encoder.encode(b"k" * 15) + encoder.encode(TEXT)) == [0, 1, 1, 1, 1]


@both
def test_no_record_passes_the_bounds_of_the_format(library: Library) -> None:
    nine_bits = bytes(range(144, 256)) * 600  # what zlib-ng's level 1 likes least
    encoder, decoder = DeflateEncoder(library), DeflateDecoder(library)
    for data in (TEXT, random.Random(2).sample(nine_bits, len(nine_bits)), NOISE, bytes(200_000)):
        for kind, body in records(encoder.encode(bytes(data))):
            plain = decoder.decode(record(kind, body))
            assert 0 < len(body) <= (MAX_DEFLATED_BYTES if kind else MAX_BLOCK_BYTES)
            assert 0 < len(plain) <= min(MAX_BLOCK_BYTES, MAX_RATIO * len(body))


def test_a_writer_that_does_too_well_is_padded_to_the_ratio() -> None:
    encoder = DeflateEncoder()
    encoder.encode(bytes(4096))
    ((kind, body),) = records(encoder.encode(bytes(MAX_BLOCK_BYTES)))
    assert kind == 1
    assert MAX_BLOCK_BYTES // MAX_RATIO <= len(body) < MAX_BLOCK_BYTES // MAX_RATIO + 5
    assert body.endswith(b"\x00\x00\x00\xff\xff" * 50)


def bomb(plain_bytes: int, body_bytes: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = stream.compress(bytes(plain_bytes)) + stream.flush(zlib.Z_SYNC_FLUSH)
    return body + b"\x00\x00\x00\xff\xff" * (-(len(body) - body_bytes) // 5)


@both
def test_a_bomb_is_refused(library: Library) -> None:
    with pytest.raises(RemoteProtocolError, match="inflates to more than"):
        DeflateDecoder(library).decode(record(1, bomb(50_000_000, 0)))
    fits = record(1, bomb(MAX_BLOCK_BYTES, 3000))
    assert DeflateDecoder(library).decode(fits) == bytes(MAX_BLOCK_BYTES)
    with pytest.raises(RemoteProtocolError, match=r"inflates to more than 65536$"):
        DeflateDecoder(library).decode(record(1, bomb(MAX_BLOCK_BYTES + 1, 3000)))


def test_the_decoder_stays_failed() -> None:
    decoder = DeflateDecoder()
    for data in (b"\x09\x00\x00\x01", record(0, b"x"), b""):
        with pytest.raises(RemoteProtocolError, match="unknown record kind 9"):
            decoder.decode(data)


BLOCKS = st.lists(
    st.binary(max_size=80)
    | st.builds(lambda text, count: text * count, st.binary(max_size=20), st.integers(0, 50))
    | st.integers(65530, 65540).map(lambda length: NOISE[:length]),
    max_size=4,
)


@given(BLOCKS, st.data())
def test_any_split_decodes_to_the_same_bytes(blocks: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(map(DeflateEncoder().encode, blocks))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    decoder = DeflateDecoder()
    plain = b"".join(
        decoder.decode(memoryview(wire)[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    )
    assert plain == b"".join(blocks)


def damaged(plain: bytes, at: int, byte: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = bytearray(stream.compress(plain) + stream.flush(zlib.Z_SYNC_FLUSH))
    body[at % len(body)] = byte
    return record(1, bytes(body))


HOSTILE = st.lists(
    st.builds(record, st.integers(0, 2), st.binary(max_size=40))
    | st.builds(damaged, st.binary(max_size=60), st.integers(0, 60), st.integers(0, 255))
    | st.binary(max_size=20),
    max_size=5,
)


@pytest.mark.parametrize("library", LIBRARIES)
@given(chunks=HOSTILE)
def test_hostile_bytes_give_bytes_or_remote_protocol_errors(
    library: Library, chunks: list[bytes]
) -> None:
    wire = b"".join(chunks)
    decoder = DeflateDecoder(library)
    try:
        decoded = decoder.decode(wire)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            decoder.decode(b"")
    else:
        assert len(decoded) <= MAX_RATIO * len(wire)
