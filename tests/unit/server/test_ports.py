"""PortManager: the book of ports; nothing is bound for real."""

from __future__ import annotations

import pytest

from frpd.config.ports import PortSet
from frpd.errors import ProxyError
from frpd.server import ports as module
from frpd.server.ports import REMEMBER_SECONDS, PortManager
from tests.helpers.world import FixedEntropy

DAY = REMEMBER_SECONDS


class Binder:
    """Binds anything but the ports that are taken outside."""

    def __init__(self, *taken: int) -> None:
        self.taken = set(taken)
        self.asked: list[int] = []

    def __call__(self, port: int) -> str:
        self.asked.append(port)
        if port in self.taken:
            raise ProxyError("port unavailable")
        return f"socket {port}"


def manager(text: str = "6000-6009") -> PortManager:
    return PortManager(PortSet.parse(text).candidates(), FixedEntropy())


def test_a_port_is_bound_and_entered() -> None:
    book = manager()
    assert book.acquire("p", 6001, 0.0, Binder()) == (6001, "socket 6001")
    assert book.used == {6001: "p"}


@pytest.mark.parametrize("port", [5999, 6010, 70_000, -1, 65_536])
def test_a_port_outside_of_allow_ports_is_refused_unbound(port: int) -> None:
    binder = Binder()
    with pytest.raises(ProxyError, match=r"^port not allowed$"):
        manager().acquire("p", port, 0.0, binder)
    assert binder.asked == []


def test_without_allow_ports_every_port_number_is_allowed() -> None:
    book = manager("")
    assert book.acquire("p", 1, 0.0, Binder())[0] == 1
    assert book.acquire("q", 65_535, 0.0, Binder())[0] == 65_535
    with pytest.raises(ProxyError, match=r"^port not allowed$"):
        book.acquire("r", 65_536, 0.0, Binder())


def test_a_port_of_another_proxy_is_refused_unbound() -> None:
    book, binder = manager(), Binder()
    book.acquire("p", 6001, 0.0, binder)
    with pytest.raises(ProxyError, match=r"^port already used$"):
        book.acquire("q", 6001, 0.0, binder)
    assert binder.asked == [6001]


def test_a_port_that_cannot_be_bound_is_not_entered() -> None:
    book = manager()
    with pytest.raises(ProxyError, match=r"^port unavailable$"):
        book.acquire("p", 6001, 0.0, Binder(6001))
    assert book.used == {}


def test_a_released_port_is_free_at_once() -> None:
    book = manager()
    book.acquire("p", 6001, 0.0, Binder())
    book.release(6001, 0.0)
    book.release(6001, 0.0)
    assert book.acquire("q", 6001, 0.0, Binder())[0] == 6001


def test_port_0_gets_an_allowed_one_that_can_be_bound() -> None:
    book = manager("6000,6002,6004")
    got = {book.acquire(name, 0, 0.0, Binder())[0] for name in "ab"}
    assert got <= {6000, 6002, 6004}
    assert len(got) == 2


def test_port_0_gives_up_after_five_tries() -> None:
    binder = Binder(*range(6000, 6010))
    with pytest.raises(ProxyError, match=r"^no available port$"):
        manager().acquire("p", 0, 0.0, binder)
    assert len(binder.asked) == 5


def test_port_0_gets_the_same_port_again_within_a_day() -> None:
    book = manager("1-65535")
    port, _ = book.acquire("p", 0, 0.0, Binder())
    book.release(port, 100.0)
    assert book.acquire("q", 0, 200.0, Binder())[0] != port
    assert book.acquire("p", 0, 100.0 + DAY, Binder())[0] == port


def test_port_0_forgets_after_a_day() -> None:
    book = manager("1-65535")
    port, _ = book.acquire("p", 0, 0.0, Binder())
    book.release(port, 0.0)
    assert book.acquire("p", 0, DAY + 1, Binder())[0] != port


def test_the_remembered_port_is_passed_over_when_it_is_taken() -> None:
    book = manager("1-65535")
    port, _ = book.acquire("p", 0, 0.0, Binder())
    book.release(port, 0.0)
    book.acquire("q", port, 0.0, Binder())
    assert book.acquire("p", 0, 1.0, Binder())[0] != port


def test_memory_of_old_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    book = manager()
    for index in range(10):
        book.acquire(f"p{index}", 6000 + index, 0.0, Binder())
        book.release(6000 + index, float(index))
    assert list(book._remembered) == ["p7", "p8", "p9"]


def test_other_ports_may_be_allowed_and_those_that_are_taken_stay() -> None:
    book = manager("6000-6001")
    book.acquire("p", 6000, 0.0, Binder())
    book.allowed = PortSet.parse("7000")
    with pytest.raises(ProxyError, match="port not allowed"):
        book.acquire("q", 6001, 0.0, Binder())
    assert book.acquire("q", 0, 0.0, Binder())[0] == 7000
    book.release(6000, 1.0)
    assert book.used == {7000: "q"}
