from __future__ import annotations

from frpd.proto.yamux.frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    HEADER_BYTES,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack_header,
)


def test_a_header_is_twelve_big_endian_bytes() -> None:
    assert HEADER_BYTES == 12
    header = pack_header(WINDOW_UPDATE, SYN | FIN, 0x01020304, 0x005C0000)
    assert header.hex() == "0001000501020304005c0000"


def test_flags_are_a_bit_set() -> None:
    assert SYN | ACK | FIN | RST == 0b1111


def test_a_foreign_version_reads_as_an_unknown_type() -> None:
    kind, *_ = HEADER.unpack(b"\x01" + pack_header(DATA, 0, 1, 0)[1:])
    assert kind > GO_AWAY
