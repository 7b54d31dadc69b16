from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LimitError
from frpd.proto.buffer import ReceiveBuffer


def test_takes_come_in_order_and_peek_takes_nothing() -> None:
    buffer = ReceiveBuffer(16)
    buffer.extend(b"abc")
    buffer.extend(bytearray(b"def"))
    buffer.extend(memoryview(b"ghi"))
    assert buffer.peek(2) == b"ab"
    assert len(buffer) == 9
    assert buffer.take(4) == b"abcd"
    assert buffer.take_all() == b"efghi"
    assert len(buffer) == 0


def test_asking_for_more_than_there_is_gives_what_there_is() -> None:
    buffer = ReceiveBuffer(16)
    buffer.extend(b"ab")
    assert buffer.peek(10) == b"ab"
    assert buffer.take(10) == b"ab"
    assert buffer.take(10) == b""


def test_the_limit_holds_and_a_refused_extend_changes_nothing() -> None:
    buffer = ReceiveBuffer(4)
    buffer.extend(b"abcd")
    with pytest.raises(LimitError, match="more than 4 bytes"):
        buffer.extend(b"e")
    assert buffer.take(1) == b"a"
    buffer.extend(b"e")
    assert buffer.take_all() == b"bcde"


@given(st.lists(st.binary(max_size=50), max_size=20), st.lists(st.integers(0, 60), max_size=40))
def test_it_is_a_queue_of_bytes(chunks: list[bytes], counts: list[int]) -> None:
    buffer = ReceiveBuffer(2000)
    for chunk in chunks:
        buffer.extend(chunk)
    taken = b"".join(buffer.take(count) for count in counts)
    assert taken + buffer.take_all() == b"".join(chunks)
