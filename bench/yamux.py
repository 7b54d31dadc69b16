"""Micro benchmark of the yamux session: python bench/yamux.py.

In and out are measured apart: frames are prepared in 256 KiB reads (the size
the trunk is read with), output is taken in one segment per 256 KiB. Payload
that goes round the session costs books only: no byte of it is moved here.

Out depends on where the heap ends: when it is trimmed and grown again for each
buffer (see the page faults), MALLOC_TOP_PAD_=67108864 shows the session alone.
"""

from __future__ import annotations

import resource
import time
import tracemalloc
from typing import TYPE_CHECKING

from frpd.proto.yamux.events import Data
from frpd.proto.yamux.frames import DATA, FIN, SYN, WINDOW_UPDATE, pack_header
from frpd.proto.yamux.session import YamuxSession

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES = 262144
RUNS = 5


def best(work: Callable[[], int]) -> float:
    """Return the best rate, units per second, of some runs."""
    rates = []
    for _ in range(RUNS):
        start = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def server_with_stream() -> YamuxSession:
    session = YamuxSession(is_client=False, now=0.0)
    session.receive_data(pack_header(WINDOW_UPDATE, SYN, 1, 0x10000000), 0.0)
    session.take_events()
    drain(session)
    return session


def drain(session: YamuxSession) -> int:
    total = 0
    while (segment := session.next_segment()) is not None:
        total += len(segment)
        session.segment_sent(len(segment))
    return total


def frames_in(payload_bytes: int) -> int:
    session = server_with_stream()
    frame = pack_header(DATA, 0, 1, payload_bytes) + bytes(payload_bytes)
    per_chunk = max(1, min(CHUNK_BYTES, 131072 + payload_bytes) // len(frame))
    chunk = bytearray(frame * per_chunk)
    rounds = max(1, 100_000 // per_chunk // (1 + payload_bytes // 4096))
    for _ in range(rounds):
        session.receive_data(chunk, 0.0)
        for event in session.take_events():
            if type(event) is Data:
                session.consumed(event.stream_id, len(event.payload))
        drain(session)
    return rounds * per_chunk


def frames_out(payload_bytes: int) -> int:
    session = server_with_stream()
    payload = memoryview(bytearray(payload_bytes))
    per_turn = max(1, CHUNK_BYTES // (payload_bytes + 12))
    rounds = max(1, 100_000 // per_turn // (1 + payload_bytes // 4096))
    credit = pack_header(WINDOW_UPDATE, 0, 1, per_turn * payload_bytes)
    for _ in range(rounds):
        for _ in range(per_turn):
            if session.send_data(1, payload) != payload_bytes:
                raise AssertionError("cut")
        drain(session)
        session.receive_data(credit, 0.0)
        session.take_events()
    return rounds * per_turn


def payload_moved_in(payload_bytes: int = 65536) -> int:
    """Frames whose header is read and whose payload is moved in two parts."""
    session = server_with_stream()
    header = pack_header(DATA, 0, 1, payload_bytes)
    rounds = 50_000
    for _ in range(rounds):
        session.receive_data(header, 0.0)
        session.take_events()
        while (run := session.payload_run()) is not None:
            nbytes = min(run.remaining, payload_bytes // 2)
            session.payload_moved(nbytes, 0.0)
            session.consumed(1, nbytes)
        drain(session)
    return rounds


def payload_reserved_out(payload_bytes: int = 65536) -> int:
    """Frames that are announced and paid at once, one per turn."""
    session = server_with_stream()
    credit = pack_header(WINDOW_UPDATE, 0, 1, payload_bytes)
    rounds = 50_000
    for _ in range(rounds):
        if session.reserve_payload(1, payload_bytes) != payload_bytes:
            raise AssertionError("cut")
        drain(session)
        session.receive_data(credit, 0.0)
        session.take_events()
    return rounds


def single_echo() -> int:
    """One 64-byte frame in and one out per turn: a lone round trip's share."""
    session = server_with_stream()
    frame = bytearray(pack_header(DATA, 0, 1, 64) + bytes(64))
    rounds = 50_000
    for _ in range(rounds):
        session.receive_data(frame, 0.0)
        for event in session.take_events():
            if type(event) is Data:
                session.consumed(1, len(event.payload))
                session.send_data(1, event.payload)
        drain(session)
    return rounds


def opens_and_closes() -> int:
    session = YamuxSession(is_client=False, now=0.0)
    rounds = 20_000
    for number in range(rounds):
        stream_id = number * 2 + 1
        session.receive_data(pack_header(WINDOW_UPDATE, SYN, stream_id, 0), 0.0)
        session.take_events()
        session.receive_data(pack_header(WINDOW_UPDATE, FIN, stream_id, 0), 0.0)
        session.take_events()
        session.end_stream(stream_id, 0.0)
        drain(session)
    return rounds


def idle_bytes(streams: int = 10_000) -> tuple[float, float]:
    """Return bytes of a session and of one idle stream."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    session = YamuxSession(is_client=False, now=0.0)
    empty, _ = tracemalloc.get_traced_memory()
    for number in range(streams):
        session.receive_data(pack_header(WINDOW_UPDATE, SYN, number * 2 + 1, 0), 0.0)
        session.take_events()
        drain(session)
    full, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float(empty - before), (full - empty) / streams


def page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main() -> None:
    for size in (64, 4096, 16384, 65536):
        rate_in = best(lambda size=size: frames_in(size))  # type: ignore[misc]
        faults = page_faults()
        rate_out = best(lambda size=size: frames_out(size))  # type: ignore[misc]
        print(
            f"{size:6d} B: in {rate_in:10,.0f} frames/s ({rate_in * size * 8 / 1e9:7.2f} Gbit/s)"
            f"  out {rate_out:10,.0f} frames/s ({rate_out * size * 8 / 1e9:7.2f} Gbit/s)"
            f"  {page_faults() - faults} faults"
        )
    print(f"64 KiB moved in, two parts: {1e6 / best(payload_moved_in):.2f} us a frame")
    print(f"64 KiB reserved out: {1e6 / best(payload_reserved_out):.2f} us a frame")
    print(f"64 B echo, one per turn: {1e6 / best(single_echo):.2f} us")
    print(f"streams opened and closed: {best(opens_and_closes):,.0f}/s")
    session_bytes, stream_bytes = idle_bytes()
    print(f"idle session {session_bytes:,.0f} bytes, idle stream {stream_bytes:.0f} bytes")


if __name__ == "__main__":
    main()
