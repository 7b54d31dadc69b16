"""frpd.metrics.client_book: who is connected, and who was."""

from __future__ import annotations

from frpd.metrics.client_book import ClientBook, ClientRecord


def enter(book: ClientBook, run_id: str, now: float) -> None:
    book.entered(
        run_id, user="ann", hostname="laptop", version="0.51.3", address="192.0.2.7", now=now
    )


def test_a_client_is_listed_from_its_login_on() -> None:
    book = ClientBook()
    enter(book, "a", 100.0)
    assert list(book.records()) == [
        ClientRecord("a", "ann", "laptop", "0.51.3", "192.0.2.7", 100.0, 100.0)
    ]
    assert next(book.records()).is_online


def test_one_that_comes_back_keeps_its_first_time() -> None:
    book = ClientBook()
    enter(book, "a", 100.0)
    book.left("a", 150.0)
    (gone,) = book.records()
    assert (gone.is_online, gone.disconnected_at) == (False, 150.0)
    enter(book, "a", 200.0)
    (back,) = book.records()
    assert (back.first_connected_at, back.last_connected_at) == (100.0, 200.0)
    assert back.is_online


def test_a_login_that_replaces_a_session_is_one_client() -> None:
    book = ClientBook()
    enter(book, "a", 100.0)
    enter(book, "a", 200.0)
    assert [record.first_connected_at for record in book.records()] == [100.0]


def test_of_too_many_that_are_gone_the_first_is_forgotten() -> None:
    book = ClientBook(max_offline=2)
    for number, name in enumerate("abc"):
        enter(book, name, float(number))
    for number, name in enumerate("bac"):
        book.left(name, 10.0 + number)
    assert [record.run_id for record in book.records()] == ["a", "c"]


def test_who_never_came_cannot_leave() -> None:
    book = ClientBook()
    book.left("a", 1.0)
    assert list(book.records()) == []
