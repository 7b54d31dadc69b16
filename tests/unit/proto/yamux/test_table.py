from __future__ import annotations

from frpd.proto.yamux.frames import MAX_UINT32
from frpd.proto.yamux.table import CLOSE_SECONDS, MAX_UNACKNOWLEDGED, OPEN_SECONDS, StreamTable


def make_table(*, is_client: bool = True) -> StreamTable:
    return StreamTable(is_client=is_client, window_bytes=262144)


def test_clients_use_odd_ids_and_servers_even_ones() -> None:
    client, server = make_table(), make_table(is_client=False)
    assert [client.open(0.0) for _ in range(3)] == [1, 3, 5]
    assert [server.open(0.0) for _ in range(3)] == [2, 4, 6]


def test_an_id_that_the_peer_took_from_our_range_is_skipped() -> None:
    table = make_table()
    table.add(1)
    table.add(3)
    assert table.why_no_open() is None
    assert table.open(0.0) == 5


def test_opens_stop_at_the_backlog_until_one_is_settled() -> None:
    table = make_table()
    ids = [table.open(0.0) for _ in range(MAX_UNACKNOWLEDGED)]
    assert table.why_no_open() == "too many unacknowledged yamux streams"
    assert table.settle_open(ids[7])
    assert not table.settle_open(ids[7])
    assert table.why_no_open() is None
    table.open(0.0)
    assert table.why_no_open() is not None
    assert table.forget(ids[8])
    assert table.why_no_open() is None


def test_ids_run_out_after_the_last_32_bit_number() -> None:
    table = make_table()
    table._next_id = MAX_UINT32
    assert table.why_no_open() is None
    table.open(0.0)
    assert table.why_no_open() == "the yamux session has used up its stream ids"


def test_the_oldest_open_and_close_set_the_deadline() -> None:
    table = make_table()
    assert table.next_deadline() is None
    first, second = table.open(1.0), table.open(2.0)
    assert table.next_deadline() == 1.0 + OPEN_SECONDS
    assert not table.is_open_overdue(75.9)
    assert table.is_open_overdue(76.0)
    table.settle_open(first)
    assert table.next_deadline() == 2.0 + OPEN_SECONDS
    table.settle_open(second)
    assert table.next_deadline() is None
    assert not table.is_open_overdue(1e9)
    table.note_closing(first, 10.0)
    table.note_closing(second, 11.0)
    assert table.next_deadline() == 10.0 + CLOSE_SECONDS
    assert table.overdue_closes(309.9) == []
    assert table.overdue_closes(310.0) == [first]
    assert table.overdue_closes(311.0) == [first, second]
    table.note_closing(first, 20.0)
    assert table.overdue_closes(311.0) == [second]
    assert not table.forget(second)
    assert table.overdue_closes(1e9) == [first]


def test_the_peer_s_next_id_is_of_its_parity_and_above_all_before() -> None:
    table = StreamTable(is_client=False, window_bytes=262144)
    table.accept(5)
    assert [number for number in range(1, 10) if table.is_next(number)] == [7, 9]
    table.forget(5)
    assert not table.is_next(5)
    assert StreamTable(is_client=True, window_bytes=262144).is_next(2)
