"""What all entrances of datagrams have in common; the rest is in the tests of each."""

from __future__ import annotations

import socket

from frpd.net.address import SockAddr
from frpd.server.datagram_entrance import DatagramEntrance, address_asked
from frpd.udp.datagram_socket import DatagramSocket, answer_via, bind_udp
from tests.helpers.world import World


class Counter(DatagramEntrance):
    """Takes whoever may come, and keeps him until he is dropped."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        self.barred: set[str] = set()
        self.came: list[SockAddr] = []
        self.asked: list[SockAddr] = []
        super().__init__(world.loop, bind_udp(host, 0), self.barred.__contains__)
        world.owners.callback(self.close)

    def _readable(self) -> None:
        while received := self._socket.receive_from():
            _, ancillary, _, sender = received
            if self._takes(sender):
                self.came.append(sender)
                self.asked.append(address_asked(self._socket, answer_via(ancillary)))

    def _is_in_use(self) -> bool:
        return bool(self.came)

    def _drop_all(self) -> None:
        self.came.clear()


def send(world: World, address: SockAddr, host: str = "127.0.0.1") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (host, address[1]))
    world.settle()


def test_nobody_begins_who_is_turned_away_or_while_it_is_retired(world: World) -> None:
    entrance = Counter(world)
    entrance.barred.add("127.0.0.1")
    send(world, entrance.address)
    assert not entrance.came
    entrance.barred.clear()
    send(world, entrance.address)
    assert len(entrance.came) == 1
    entrance.retire()
    send(world, entrance.address)
    assert len(entrance.came) == 1
    entrance.revive()
    send(world, entrance.address)
    assert len(entrance.came) == 2


def test_the_port_is_free_when_the_last_one_has_gone(world: World) -> None:
    entrance = Counter(world)
    send(world, entrance.address)
    is_free = []
    for end in (entrance.retire, entrance.close):
        end()
        is_free.append(entrance.is_closed)
    assert is_free == [False, True]
    idle = Counter(world)
    idle.retire()
    assert idle.is_closed


def test_of_several_addresses_it_knows_the_one_that_was_asked(world: World) -> None:
    entrance = Counter(world, "0.0.0.0")
    send(world, entrance.address, "127.0.0.9")
    [asked] = entrance.asked
    assert asked[0].endswith("127.0.0.9")
    assert asked[1] == entrance.address[1]


def test_without_a_choice_it_is_the_only_one(world: World) -> None:
    sock = DatagramSocket(world.loop, bind_udp("127.0.0.1", 0), lambda: None)
    world.owners.callback(sock.close)
    assert address_asked(sock, []) == sock.address
