"""BoundedConnection: what is of aioquic's inside, so that a change there shows."""

from __future__ import annotations

from frpd.transports.quic_connection import (
    MAX_DATAGRAM_BYTES,
    BoundedConnection,
    TlsMaterial,
    make_configuration,
)
from tests.helpers.quic import QuicPair, server_material
from tests.helpers.world import World


def client() -> BoundedConnection:
    return BoundedConnection(make_configuration(TlsMaterial(), is_client=True, idle_seconds=30))


def test_a_peer_opens_no_stream_of_one_direction_and_a_server_none_at_all() -> None:
    connection = client()
    assert connection._local_max_streams_uni.value == 0
    assert connection._local_max_streams_bidi.value == 0
    server = BoundedConnection(
        make_configuration(server_material(), is_client=False, idle_seconds=30),
        original_id=bytes(8),
    )
    assert server._local_max_streams_bidi.value == 1


def test_limits_of_streams_are_never_lowered() -> None:
    connection = client()
    connection.allow_streams(7)
    connection.allow_streams(3)
    assert connection._local_max_streams_bidi.value == 7


def test_even_numbers_are_streams_of_the_client() -> None:
    assert client().is_own(4)
    assert not client().is_own(5)


def test_no_datagram_is_longer_than_any_way_carries(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, _ = pair.streams()
    near.write(bytes(50_000))
    pair.settle()
    assert max(map(len, pair.out.sent)) == MAX_DATAGRAM_BYTES


def test_a_connection_knows_whether_the_peer_may_lack_anything(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, _ = pair.streams()
    told = []
    pair.settle()
    for data in (b"", b"x", b""):
        near.write(data)
        told.append(pair.near._connection.has_unacked_data)
        pair.settle()
    assert told == [False, True, False]
