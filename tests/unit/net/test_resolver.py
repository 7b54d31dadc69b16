from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from frpd.errors import TransportError
from frpd.net import resolver as module
from frpd.net.resolver import Addresses, Resolver, resolve_blocking, split_nameserver
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool

V4, V6 = socket.AF_INET, socket.AF_INET6
Records = dict[tuple[str, str], list[str]]


class DnsServer:
    """Answers on loopback, served by the loop of the test."""

    def __init__(self, loop: SelectorLoop, records: Records) -> None:
        self.asked: list[tuple[str, str]] = []
        self.rcode: dns.rcode.Rcode | None = None
        self.silent = False
        self._records = records
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self._watch = loop.watch(self._sock.fileno(), lambda error: None)
        self._watch.set(self._serve, None)

    def close(self) -> None:
        self._watch.close()
        self._sock.close()

    def _serve(self) -> None:
        wire, sender = self._sock.recvfrom(4096)
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if self.rcode is not None:
            answer.set_rcode(self.rcode)
        elif (name, kind) in self._records:
            found = self._records[name, kind]
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif name not in {known for known, _ in self._records}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._sock.sendto(answer.to_wire(), sender)


class Asker:
    """One resolver's answers."""

    def __init__(self, loop: SelectorLoop, pool: WorkerPool, nameserver: str = "") -> None:
        self.answers: list[Addresses | str] = []
        self._loop = loop
        self.resolver = Resolver(pool, nameserver)

    def ask(self, host: str, port: int = 80) -> None:
        self.resolver.resolve(
            host, port, self.answers.append, lambda error: self.answers.append(str(error))
        )

    def answer(self, host: str, port: int = 80) -> Addresses | str:
        """Ask and wait for the one answer; a str is a failure."""
        self.ask(host, port)
        assert self.answers == [], "a name is never answered at once"
        run_until(self._loop, lambda: self.answers)
        (answer,) = self.answers
        return answer


def run_until(loop: SelectorLoop, is_over: Callable[[], object]) -> None:
    for _ in range(1000):
        if is_over():
            return
        loop.run_turn(0.05)
    raise AssertionError("still not over")


@pytest.fixture
def pool(loop: SelectorLoop) -> Iterator[WorkerPool]:
    made = WorkerPool(loop, threads=1, queue_limit=1)
    yield made
    made.close(wait_seconds=10.0)


@pytest.fixture(autouse=True)
def hosts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hosts"
    monkeypatch.setattr(module, "HOSTS_FILE", path)
    return path


@pytest.fixture
def server(loop: SelectorLoop) -> Iterator[DnsServer]:
    made = DnsServer(
        loop,
        {
            ("both.test", "A"): ["192.0.2.1", "192.0.2.2"],
            ("both.test", "AAAA"): ["2001:db8::1"],
            ("six.test", "AAAA"): ["2001:db8::6"],
            ("text.test", "TXT"): ["hello"],
        },
    )
    yield made
    made.close()


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", [(V4, ("127.0.0.1", 80))]), ("::1", [(V6, ("::1", 80, 0, 0))])],
)
@pytest.mark.parametrize("nameserver", ["", "127.0.0.1:9"])
def test_a_literal_is_answered_at_once(
    loop: SelectorLoop, pool: WorkerPool, host: str, answer: Addresses, nameserver: str
) -> None:
    asker = Asker(loop, pool, nameserver)
    asker.ask(host)
    assert asker.answers == [answer]


def test_a_name_is_looked_up_on_the_pool_and_answered_on_the_loop(
    loop: SelectorLoop, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    look_up = socket.getaddrinfo

    def spy(host: str, port: int, *, type: int) -> object:  # noqa: A002 - its own name
        threads.append(threading.current_thread())
        return look_up("127.0.0.1", port, type=type)

    monkeypatch.setattr(socket, "getaddrinfo", spy)
    asker = Asker(loop, pool)
    assert asker.answer("some.name", 81) == [(V4, ("127.0.0.1", 81))]
    assert threads != [threading.current_thread()]


def test_a_name_that_the_system_does_not_know_is_a_failure(
    loop: SelectorLoop, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    asker = Asker(loop, pool)
    assert asker.answer("no.such.name") == "lookup no.such.name: Name or service not known"


def test_a_name_that_is_none_is_a_failure(loop: SelectorLoop, pool: WorkerPool) -> None:
    assert str(Asker(loop, pool).answer("x" * 300)).startswith("lookup xxx")


def test_a_full_queue_is_a_failure(loop: SelectorLoop, pool: WorkerPool) -> None:
    release = threading.Event()
    begun = threading.Event()

    def occupy() -> bool:
        begun.set()
        return release.wait(10)

    pool.submit(occupy, lambda _: None, lambda _: None)
    assert begun.wait(10)
    pool.submit(release.wait, lambda _: None, lambda _: None)
    asker = Asker(loop, pool)
    asker.ask("localhost")
    assert asker.answers == ["lookup localhost: the worker queue is full (1 jobs wait)"]
    release.set()


@pytest.mark.parametrize("host", ["a\0b", "\udce4.example"])
def test_what_can_be_no_name_is_a_failure_and_no_exception(
    loop: SelectorLoop, pool: WorkerPool, host: str
) -> None:
    assert str(Asker(loop, pool).answer(host)).startswith("lookup ")


# A nameserver of our own.


def test_a_scoped_address_is_none_of_the_nameservers_business(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer
) -> None:
    scope = socket.if_nametoindex("lo")
    ((family, address),) = cast("Addresses", Asker(loop, pool, server.address).answer("fe80::1%lo"))
    assert (family, address[-1]) == (V6, scope)
    assert server.asked == []


def test_the_nameserver_is_asked_for_both_families(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer
) -> None:
    answer = Asker(loop, pool, server.address).answer("both.test", 8080)
    assert sorted(cast("Addresses", answer)) == [  # the server shuffles
        (V4, ("192.0.2.1", 8080)),
        (V4, ("192.0.2.2", 8080)),
        (V6, ("2001:db8::1", 8080, 0, 0)),
    ]
    assert server.asked == [("both.test", "A"), ("both.test", "AAAA")]


def test_one_family_is_enough(loop: SelectorLoop, pool: WorkerPool, server: DnsServer) -> None:
    answer = Asker(loop, pool, server.address).answer("six.test")
    assert answer == [(V6, ("2001:db8::6", 80, 0, 0))]


@pytest.mark.parametrize("name", ["nosuch.test", "text.test"])
def test_a_name_that_the_nameserver_does_not_know_is_told_in_gos_words(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer, name: str
) -> None:
    answer = Asker(loop, pool, server.address).answer(name)
    assert answer == f"lookup {name} on {server.address}: no such host"


def test_a_nameserver_that_fails_is_a_failure(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer
) -> None:
    server.rcode = dns.rcode.SERVFAIL
    answer = Asker(loop, pool, server.address).answer("both.test")
    assert re.match(f"lookup both.test on {server.address}: .*SERVFAIL", str(answer))


def test_a_nameserver_that_is_silent_is_a_failure(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.1)
    server.silent = True
    answer = Asker(loop, pool, server.address).answer("both.test")
    assert re.match(f"lookup both.test on {server.address}: .*timed out", str(answer))


def test_a_nameserver_that_is_none_is_a_failure(loop: SelectorLoop, pool: WorkerPool) -> None:
    answer = Asker(loop, pool, "not an address").answer("both.test")
    assert str(answer).startswith("lookup both.test: ")


@pytest.mark.parametrize("name", ["both.test", "BOTH.test", "both.test.", "alias"])
def test_the_hosts_file_comes_first(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer, hosts_file: Path, name: str
) -> None:
    hosts_file.write_text(
        "# 10.0.0.9 both.test\n\n10.0.0.1\tother\n10.0.0.2 Both.Test alias # and more\n"
        "not.an.address both.test alias\nfd00::2 both.test alias\n"
        "10.0.0.3 both.test.example\n\xff\xfe\n",
        encoding="latin-1",
    )
    assert Asker(loop, pool, server.address).answer(name) == [
        (V4, ("10.0.0.2", 80)),
        (V6, ("fd00::2", 80, 0, 0)),
    ]
    assert server.asked == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.1.1.1", ("1.1.1.1", 53)),
        ("1.1.1.1:5353", ("1.1.1.1", 5353)),
        ("1.1.1.1:", ("1.1.1.1", 53)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("[2001:db8::1]:", ("2001:db8::1", 53)),
    ],
)
def test_a_nameserver_may_name_its_port(text: str, address: tuple[str, int]) -> None:
    assert split_nameserver(text) == address


def test_failures_are_transport_errors(loop: SelectorLoop, pool: WorkerPool) -> None:
    answers: list[Addresses] = []
    errors: list[TransportError] = []
    Resolver(pool, "no address").resolve("name", 1, answers.append, errors.append)
    run_until(loop, lambda: errors)
    assert [type(error) for error in errors] == [TransportError]
    assert answers == []


def test_localhost_needs_neither_hosts_file_nor_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("frpd.net.resolver.HOSTS_FILE", Path("/nonexistent"))
    loopback = [(socket.AF_INET, ("127.0.0.1", 5)), (socket.AF_INET6, ("::1", 5, 0, 0))]
    assert resolve_blocking("localhost", 5) == loopback
    assert resolve_blocking("localhost.", 5, "192.0.2.1") == loopback
    with pytest.raises(TransportError):
        resolve_blocking("elsewhere", 5)


def test_many_who_ask_for_one_name_share_one_look_up(
    loop: SelectorLoop, pool: WorkerPool, server: DnsServer, caplog: pytest.LogCaptureFixture
) -> None:
    asker = Asker(loop, pool, server.address)

    def broken(_answer: object) -> None:
        raise RuntimeError("a bug")

    asker.resolver.resolve("six.test", 80, broken, broken)
    for _ in range(20):  # more than the queue has room for
        asker.ask("six.test")
    run_until(loop, lambda: len(asker.answers) == 20)
    assert asker.answers == [[(V6, ("2001:db8::6", 80, 0, 0))]] * 20
    assert server.asked == [("six.test", "A"), ("six.test", "AAAA")]
    assert "RuntimeError: a bug" in caplog.text
    asker.answers.clear()
    asker.answer("six.test")
    assert len(server.asked) == 4  # an answer is not kept
