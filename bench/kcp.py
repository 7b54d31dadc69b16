"""Micro benchmark of KCP without sockets: python -m bench.kcp.

Two ends in one process; each end's share is measured apart, so that a figure
is what one core does if it does nothing else.
"""

from __future__ import annotations

import time

from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp.galois import PARITY_ROWS, parity_of, recover, table
from frpd.proto.kcp.segment import DATAGRAM_BYTES, PAYLOAD_BYTES

TOTAL_BYTES = 32 << 20
CHUNK_BYTES = 65536
RUNS = 3


def transfer(
    *, parity: bool, spares: bool = False, lose_every: int = 0
) -> tuple[float, float, int]:
    """Move a lot of bytes; return the seconds of sender and receiver, and the datagrams."""
    sender = KcpConnection(1, now=0.0, sends_parity=parity, spares_parity=spares)
    receiver = KcpConnection(1, now=0.0, sends_parity=parity)
    chunk = bytes(CHUNK_BYTES)
    now = 0.0
    left = TOTAL_BYTES
    received = datagram_count = 0
    sending = receiving = 0.0
    back: list[bytes] = []
    while received < TOTAL_BYTES:
        now += 0.001
        start = time.perf_counter()
        for datagram in back:
            sender.receive_datagram(datagram, now)
        while left and (taken := sender.send(chunk[:left])):
            left -= taken
        deadline = sender.next_deadline()
        if deadline is not None and deadline <= now:
            sender.handle_deadline(now)
        datagrams = sender.datagrams_to_send(now)
        middle = time.perf_counter()
        for datagram in datagrams:
            datagram_count += 1
            if not lose_every or datagram_count % lose_every:
                receiver.receive_datagram(datagram, now)
        received += len(receiver.read(1 << 20))
        back = receiver.datagrams_to_send(now)
        end = time.perf_counter()
        sending += middle - start
        receiving += end - middle
    return sending, receiving, datagram_count


def parity_microseconds() -> tuple[float, float, float]:
    """Return the cost of a group's parity: as we do it, product by product, and of recovery."""
    shards = [bytes(range(64)) * (DATAGRAM_BYTES // 64) for _ in range(10)]

    def by_products() -> None:
        for row in PARITY_ROWS:
            total = 0
            for factor, shard in zip(row, shards, strict=True):
                total ^= int.from_bytes(shard.translate(table(factor)), "little")
            total.to_bytes(len(shards[0]), "little")

    rows = dict(enumerate(parity_of(shards)))
    seven = dict(enumerate(shards[:7]))
    figures = []
    for work in (lambda: parity_of(shards), by_products, lambda: recover(seven, rows)):
        best = 1.0
        for _ in range(500):
            start = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - start)
        figures.append(best * 1e6)
    return figures[0], figures[1], figures[2]


def main() -> None:
    ours, plain, lost = parity_microseconds()
    print(
        f"parity of ten: {ours:.0f} us ({plain:.0f} us product by product); 3 lost: {lost:.0f} us"
    )
    for title, parity, spares, lose_every in (
        ("with parity", True, False, 0),
        ("without parity", False, False, 0),
        ("parity spared", True, True, 0),
        ("with parity, 1 in 50 lost", True, False, 50),
        ("parity spared, 1 in 50 lost", True, True, 50),
    ):
        runs = [transfer(parity=parity, spares=spares, lose_every=lose_every) for _ in range(RUNS)]
        sending, receiving, count = (min(column) for column in zip(*runs, strict=True))
        print(
            f"{title:28s} sender {TOTAL_BYTES / sending / 1e6:6.0f} MB/s"
            f" ({sending / count * 1e6:4.1f} us a datagram),"
            f" receiver {TOTAL_BYTES / receiving / 1e6:6.0f} MB/s"
            f" ({receiving / count * 1e6:4.1f} us), {count} datagrams of {PAYLOAD_BYTES} bytes"
        )


if __name__ == "__main__":
    main()
