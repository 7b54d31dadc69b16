"""QuicSession: handshakes, limits, silence and ends."""

from __future__ import annotations

import random

import pytest

from frpd.errors import ConnectionLost, TransportError
from frpd.transports.quic_session import CLOSE_SECONDS
from tests.helpers.quic import FAR, QuicPair
from tests.helpers.world import World
from tests.unit.transports.links import Reader


def test_two_ends_join_and_know_their_addresses(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    assert (pair.near.describe(), pair.near.carrier) == ("192.0.2.2:2", "quic")
    ends = pair.far.ends()
    assert ends is not None
    assert pair.far.local_address() == FAR
    assert pair.back.ids
    assert len(set(map(len, pair.out.sent[:1]))) == 1
    assert len(pair.out.sent[0]) >= 1200


def test_a_handshake_survives_losses(world: World) -> None:
    pair = QuicPair(world)
    pair.out.loses_every = pair.back.loses_every = 3
    pair.until(lambda: pair.near.is_ready and pair.far.is_ready)


def test_a_client_may_open_one_stream_until_it_is_let_in(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    for text in (b"a", b"b", b"c"):
        pair.stream().write(text)
    pair.settle()
    assert len(pair.opened) == 1
    pair.far.let_streams_in(8)
    pair.opened[0].close()
    pair.stream().write(b"d")
    pair.until(lambda: len(pair.opened) > 1)


def test_a_server_opens_streams_only_when_they_are_accepted(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    pair.stream(pair.far).write(b"x")
    pair.settle()
    assert pair.client_opened == []
    pair.near.let_streams_in(8)
    pair.until(lambda: pair.client_opened)
    assert pair.client_opened[0].stream_id == 1


def test_who_goes_away_takes_no_new_streams(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    pair.far.go_away()
    stream = pair.stream()
    stream.write(b"x")
    heard = Reader(stream)
    pair.until(lambda: heard.end)
    assert (heard.end, pair.opened) == ("connection reset by peer", [])


def test_no_stream_is_opened_before_the_handshake_or_after_the_end(world: World) -> None:
    pair = QuicPair(world)
    failures: list[TransportError] = []
    pair.near.open_stream(lambda _stream: None, failures.append)
    pair.join()
    pair.near.close()
    pair.near.open_stream(lambda _stream: None, failures.append)
    assert len(failures) == 2


def test_what_was_written_arrives_before_the_end(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    heard = Reader(far)
    near.write(bytes(100_000))
    near.close()
    pair.near.close()
    pair.until(lambda: pair.lost)
    assert (len(heard.got), heard.end) == (100_000, "eof")
    assert pair.lost == ["closed by the peer"]
    assert pair.client_lost == []
    assert pair.out.is_released
    with pytest.raises(ConnectionLost):
        pair.near.local_address()
    assert pair.near.ends() is None


def test_who_finishes_says_what_is_left_and_waits_for_nothing(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    near.write(b"last words")
    pair.near.finish()
    assert pair.out.is_released
    pair.near.finish()
    pair.until(lambda: pair.lost)
    assert far.read(100) == b"last words"
    assert pair.lost == ["closed by the peer"]


def test_a_close_waits_no_longer_than_it_says(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, _ = pair.streams()
    pair.out.is_cut = True
    near.write(b"x")
    pair.near.close()
    assert not pair.out.is_released
    pair.pass_time(CLOSE_SECONDS + 1)
    assert pair.out.is_released


@pytest.mark.parametrize(("keepalive_seconds", "lives"), [(10, True), (0, False)])
def test_a_connection_with_nothing_to_say_lives_by_its_keepalive(
    world: World, keepalive_seconds: float, lives: bool
) -> None:
    pair = QuicPair(world, keepalive_seconds=keepalive_seconds)
    pair.join()
    pair.pass_time(100)
    assert pair.near.is_over is not lives
    assert (pair.lost == []) is lives


def test_a_peer_that_is_gone_is_given_up(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, _ = pair.streams()
    heard = Reader(near)
    pair.out.is_cut = pair.back.is_cut = True
    pair.pass_time(40)
    assert pair.client_lost == ["the peer does not answer any more"]
    assert heard.end == "the peer does not answer any more"
    assert pair.near.stream_count == 0


def test_nonsense_changes_nothing(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    draw = random.Random(8)
    heard = Reader(far)
    for _ in range(200):
        pair.out.arrive(draw.randbytes(draw.randrange(1, 1300)))
        told = bytearray(draw.choice(pair.out.sent))
        told[draw.randrange(len(told))] ^= 1 << draw.randrange(8)
        pair.out.arrive(bytes(told[: draw.randrange(1, len(told) + 1)]))
    near.write(b"still here")
    pair.until(lambda: heard.got == b"still here")
    assert pair.far.stream_count == 1


def test_a_bug_of_the_library_costs_the_connection_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = QuicPair(world)
    pair.join()

    def explode(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pair.far._connection, "receive_datagram", explode)
    pair.stream().write(b"x")
    pair.until(lambda: pair.lost)
    assert pair.lost == ["AssertionError in aioquic"]
