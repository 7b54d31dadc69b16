from __future__ import annotations

from typing import Any

import pytest
import snappy
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.snappy import MAX_BLOCK_BYTES, MAX_CHUNK_BYTES, SnappyDecoder, SnappyEncoder
from tests.unit.proto.vectors import b64, load

WRITER_CASES: list[dict[str, Any]] = load("snappy_streams")["writer_cases"]
READER_CASES: list[dict[str, str]] = load("snappy_streams")["reader_cases"]

IDENTIFIER = b"\xff\x06\x00\x00sNaPpY"
SENTENCE = b"the quick brown fox jumps over the lazy dog. "

REFUSALS = {
    "no stream identifier": "snappy: no stream identifier",
    "unskippable chunk 0x02": "snappy: unknown chunk type 0x02",
    "bad crc": "snappy: wrong checksum",
}


def checksum(plain: bytes) -> bytes:
    crc = crc32c(plain)
    masked: int = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")


def chunk(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "little") + body


def stored(plain: bytes) -> bytes:
    return chunk(1, checksum(plain) + plain)


def compressed(block: bytes, plain: bytes) -> bytes:
    return chunk(0, checksum(plain) + block)


def lcg(length: int, seed: int) -> bytes:
    """Return the incompressible bytes of the golden files."""
    out = bytearray()
    x = seed
    for _ in range(length):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append(x >> 24)
    return bytes(out)


NOISE = lcg(MAX_BLOCK_BYTES + 10, 1)


def split_steps(plain: bytes, case: dict[str, Any]) -> list[bytes]:
    blocks = []
    position = 0
    for step in case["steps"]:
        blocks.append(plain[position : position + step["write_len"]])
        position += step["write_len"]
    return blocks


@pytest.mark.parametrize("case", WRITER_CASES, ids=lambda case: case["name"])
def test_what_frp_wrote_is_read_and_ours_is_read_back(case: dict[str, Any]) -> None:
    plain = SnappyDecoder().decode(b64(case["wire_b64"]))
    assert len(plain) == case["plain_len"]
    if "plain_b64" in case:
        assert plain == b64(case["plain_b64"])
    encoder, decoder = SnappyEncoder(), SnappyDecoder()
    for block in split_steps(plain, case):
        assert decoder.decode(encoder.encode(block)) == block


@pytest.mark.parametrize("case", WRITER_CASES, ids=lambda case: case["name"])
def test_we_cut_and_store_where_frp_does(case: dict[str, Any]) -> None:
    theirs = b64(case["wire_b64"])
    encoder = SnappyEncoder()
    plain = SnappyDecoder().decode(theirs)
    ours = b"".join(map(encoder.encode, split_steps(plain, case)))
    assert kinds(ours) == kinds(theirs)


def kinds(wire: bytes) -> list[int]:
    found = []
    position = 0
    while position < len(wire):
        found.append(wire[position])
        position += 4 + int.from_bytes(wire[position + 1 : position + 4], "little")
    return found


@pytest.mark.parametrize("case", READER_CASES, ids=lambda case: case["name"])
def test_decoder_decides_as_frp_did(case: dict[str, str]) -> None:
    wire = b64(case["wire_b64"])
    if case["error"]:
        with pytest.raises(RemoteProtocolError) as caught:
            SnappyDecoder().decode(wire)
        assert str(caught.value) == REFUSALS[case["name"]]
    else:
        assert SnappyDecoder().decode(wire) == b64(case["decoded_b64"])


def test_nothing_encodes_to_nothing_before_and_after_the_identifier() -> None:
    encoder = SnappyEncoder()
    assert encoder.encode(b"") == b""
    assert encoder.encode(memoryview(b"a")) == IDENTIFIER + stored(b"a")
    assert encoder.encode(b"") == b""
    assert encoder.encode(bytearray(b"b")) == stored(b"b")


def test_compressed_form_is_used_only_if_it_saves_an_eighth() -> None:
    plain = NOISE[:1000]
    for repeated in range(0, 1000, 10):
        mixed = plain + bytes(repeated)
        wire = SnappyEncoder().encode(mixed)[len(IDENTIFIER) :]
        saves = len(snappy.compress(mixed)) < len(mixed) - len(mixed) // 8
        assert wire[0] == (0 if saves else 1)


def test_the_largest_legal_chunks_are_read() -> None:
    plain = NOISE[:MAX_BLOCK_BYTES]
    block = snappy.compress(plain)
    assert 4 + len(block) <= MAX_CHUNK_BYTES
    assert SnappyDecoder().decode(IDENTIFIER + stored(plain)) == plain
    assert SnappyDecoder().decode(IDENTIFIER + compressed(block, plain)) == plain
    padding = chunk(0xFE, bytes(MAX_CHUNK_BYTES))
    assert SnappyDecoder().decode(IDENTIFIER + padding + stored(b"a")) == b"a"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\x00", "no stream identifier"),
        (
            IDENTIFIER + b"\x00" + (MAX_CHUNK_BYTES + 1).to_bytes(3, "little"),
            "chunk of 76495 bytes",
        ),
        (IDENTIFIER + b"\xfe\xff\xff\xff", "chunk of 16777215 bytes"),
        (IDENTIFIER + b"\x01\x05\x00\x01", "uncompressed chunk of 65541 bytes"),
        (IDENTIFIER + b"\x00\x03\x00\x00", "chunk without a checksum"),
        (IDENTIFIER + b"\x01\x00\x00\x00", "chunk without a checksum"),
        (IDENTIFIER + b"\x7f\x00\x00\x00", "unknown chunk type 0x7f"),
    ],
)
def test_a_bad_head_is_refused_before_its_body_arrives(head: bytes, reason: str) -> None:
    decoder = SnappyDecoder()
    with pytest.raises(RemoteProtocolError, match=reason):
        decoder.decode(head.ljust(4, b"\x00"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (compressed(b"", b""), "block without a length"),
        (compressed(b"\x80", b""), "block without a length"),
        (compressed(b"\xff\xff\xff\xff\xff\x00", b""), "block without a length"),
        (compressed(b"\x81\x80\x04\x00", b""), "block of 65537 plain bytes"),
        (compressed(b"\xff\xff\xff\xff\x7f", b""), "block of 34359738367 plain bytes"),
        (compressed(b"\x05\x10hell", b"hello"), "damaged block"),
        (compressed(b"\x05\x10hello!", b"hello"), "damaged block"),
        (compressed(b"\x05\x01\x09", b"hello"), "damaged block"),
        (compressed(b"\x05\x10hello", b"hella"), "wrong checksum"),
        (chunk(1, checksum(b"hella") + b"hello"), "wrong checksum"),
        (chunk(0xFF, b"sNaPpX"), "wrong stream identifier"),
        (chunk(0xFF, b"sNaPp"), "wrong stream identifier"),
        (chunk(0xFF, b"sNaPpYY"), "wrong stream identifier"),
    ],
)
def test_a_bad_chunk_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^snappy: {reason}$"):
        SnappyDecoder().decode(IDENTIFIER + stored(b"before") + body)


def test_an_empty_block_is_legal() -> None:
    assert SnappyDecoder().decode(IDENTIFIER + compressed(b"\x00", b"") + stored(b"")) == b""


def test_a_length_written_with_more_bytes_than_needed_is_legal() -> None:
    wire = IDENTIFIER + compressed(b"\x85\x80\x80\x80\x00\x10hello", b"hello")
    assert SnappyDecoder().decode(wire) == b"hello"


def test_decoder_stays_failed() -> None:
    decoder = SnappyDecoder()
    for data in (b"\x00\x00\x00\x00", IDENTIFIER, b""):
        with pytest.raises(RemoteProtocolError, match="no stream identifier"):
            decoder.decode(data)


def test_the_densest_block_keeps_the_stated_bound() -> None:
    copies = (MAX_BLOCK_BYTES - 60) // 64
    densest = b"\x00" + b"a" + (b"\xfe\x01\x00" * copies)
    length = 1 + 64 * copies
    preamble = bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
    wire = IDENTIFIER + compressed(preamble + densest, b"a" * length)
    decoded = SnappyDecoder().decode(wire)
    assert decoded == b"a" * length
    assert 20 * len(wire) < len(decoded) <= 22 * len(wire)


BLOCKS = st.lists(
    st.binary(max_size=80)
    | st.builds(lambda text, count: text * count, st.binary(max_size=20), st.integers(0, 50))
    | st.integers(65530, 65540).map(lambda length: NOISE[:length]),
    max_size=4,
)


@given(BLOCKS, st.data())
def test_any_split_decodes_to_the_same_bytes(blocks: list[bytes], data: st.DataObject) -> None:
    encoder = SnappyEncoder()
    wire = b"".join(map(encoder.encode, blocks))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    decoder = SnappyDecoder()
    plain = b"".join(
        decoder.decode(memoryview(wire)[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    )
    assert plain == b"".join(blocks)


def test_one_byte_at_a_time_decodes_to_the_same_bytes() -> None:
    plain = SENTENCE * 40
    wire = SnappyEncoder().encode(plain) + chunk(0x80, b"skip me") + stored(b"end")
    decoder = SnappyDecoder()
    decoded = b"".join(decoder.decode(wire[at : at + 1]) for at in range(len(wire)))
    assert decoded == plain + b"end"


HOSTILE = st.lists(
    st.builds(chunk, st.sampled_from([0, 1, 2, 0x80, 0xFE, 0xFF]), st.binary(max_size=40))
    | st.builds(compressed, st.binary(max_size=40), st.binary(max_size=4))
    | st.builds(
        lambda plain, at, byte: compressed(
            snappy.compress(plain)[:at] + bytes([byte]) + snappy.compress(plain)[at + 1 :], plain
        ),
        st.binary(min_size=1, max_size=60),
        st.integers(0, 60),
        st.integers(0, 255),
    )
    | st.binary(max_size=20),
    max_size=4,
)


@given(HOSTILE)
def test_random_chunks_give_bytes_or_remote_protocol_errors(chunks: list[bytes]) -> None:
    wire = IDENTIFIER + b"".join(chunks)
    decoder = SnappyDecoder()
    try:
        decoded = decoder.decode(wire)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            decoder.decode(b"")
    else:
        assert len(decoded) <= 22 * len(wire)
