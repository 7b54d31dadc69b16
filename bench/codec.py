"""What messages, the stream cipher and snappy cost: python bench/codec.py [--runs 5].

Figures are per second of CPU time of this process, so a busy machine does not
bend them much; runs of all kinds are interleaved. Bulk is measured in chunks
of 64 KiB and in the 1 KiB of small traffic, text and random bytes apart.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import Login, Message, NewProxy, Ping, StartWorkConn, UdpPacket
from frpd.proto.wrappers import CipherCodec, SnappyCodec, StreamCodec

Bench = Callable[[], tuple[int, float]]
"""Runs once; returns how many units passed, and in how many CPU seconds."""

MESSAGES: Final = (
    Login(version="0.51.3", os="linux", arch="amd64", privilege_key="0" * 32, pool_count=1),
    NewProxy(proxy_name="ssh", proxy_type="tcp", remote_port=6000),
    StartWorkConn(proxy_name="ssh", src_addr="192.0.2.7", src_port=40000, dst_port=6000),
    Ping(),
    UdpPacket(c=bytes(range(256)) * 2),
)
PER_RUN: Final = 2000
RUN_BYTES: Final = 8 << 20
CHUNK_BYTES: Final = (1024, 65536)
KEY: Final = bytes(range(16))


def sample(kind: str) -> bytes:
    """Return 1 MiB of log lines, or of bytes that do not compress."""
    if kind == "text":
        lines = (
            f'10.0.{n % 16}.{n * 7 % 256} - "GET /item?id={n * 7919 % 65536:x} HTTP/1.1" 200 {n}\n'
            for n in range(20_000)
        )
        return "".join(lines).encode()[: 1 << 20]
    state = 1
    words = []
    for _ in range(1 << 17):  # xorshift: the same bytes in every run
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        words.append(state.to_bytes(8, "little"))
    return b"".join(words)


def encodes(message: Message) -> tuple[int, float]:
    began = time.process_time()
    for _ in range(PER_RUN):
        encode_message(message)
    return PER_RUN, time.process_time() - began


def decodes(message: Message) -> tuple[int, float]:
    frame = encode_message(message)
    decoder = MessageDecoder()
    began = time.process_time()
    for _ in range(PER_RUN):
        decoder.receive_data(frame)
        decoder.next_message()
    return PER_RUN, time.process_time() - began


def cipher() -> StreamCodec:
    return CipherCodec(KEY, bytes(16))


def chunks(data: bytes, size: int) -> list[memoryview]:
    """Return RUN_BYTES of ``data``, repeated, in pieces of ``size``."""
    view = memoryview(data)
    pieces = [view[start : start + size] for start in range(0, len(data) - size + 1, size)]
    return (pieces * (RUN_BYTES // (len(pieces) * size) + 1))[: RUN_BYTES // size]


def stream_encodes(make: Callable[[], StreamCodec], data: bytes, size: int) -> tuple[int, float]:
    codec = make()
    pieces = chunks(data, size)
    began = time.process_time()
    for piece in pieces:
        codec.encode(piece)
    return len(pieces) * size, time.process_time() - began


def stream_decodes(make: Callable[[], StreamCodec], data: bytes, size: int) -> tuple[int, float]:
    codec = make()
    wire = [codec.encode(piece) for piece in chunks(data, size)]
    began = time.process_time()
    plain_bytes = sum(len(codec.decode(piece)) for piece in wire)
    return plain_bytes, time.process_time() - began


def message_benches() -> dict[str, Bench]:
    table: dict[str, Bench] = {}
    for message in MESSAGES:
        name = type(message).__name__
        table[f"{name}, encode"] = partial(encodes, message)
        table[f"{name}, decode"] = partial(decodes, message)
    return table


def stream_benches() -> dict[str, Bench]:
    table: dict[str, Bench] = {}
    text, random_bytes = sample("text"), sample("random")
    for size in CHUNK_BYTES:
        chunk = f"{size // 1024} KiB"
        table[f"cipher, {chunk}, encode"] = partial(stream_encodes, cipher, random_bytes, size)
        table[f"cipher, {chunk}, decode"] = partial(stream_decodes, cipher, random_bytes, size)
        for kind, data in (("text", text), ("random", random_bytes)):
            name = f"snappy, {chunk}, {kind}"
            table[f"{name}, encode"] = partial(stream_encodes, SnappyCodec, data, size)
            table[f"{name}, decode"] = partial(stream_decodes, SnappyCodec, data, size)
    return table


def measure(table: dict[str, Bench], runs: int, scale: float, unit: str) -> None:
    """Run all of ``table`` in turns and print a row each."""
    figures: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(runs):
        for name, bench in table.items():
            units, spent = bench()
            figures[name].append(units / max(spent, 1e-9) / scale)
    print(f"{unit:<32} {'median':>8} {'lowest':>8} {'highest':>8}")
    for name, values in figures.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:<32} {middle:8.1f} {low:8.1f} {high:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}")
    measure(message_benches(), options.runs, 1000, "1000 messages per CPU second")
    measure(stream_benches(), options.runs, 1e6, "plain MB per CPU second")


if __name__ == "__main__":
    main()
