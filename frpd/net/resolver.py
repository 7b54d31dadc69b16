"""Names to addresses, on a worker pool, so that a slow DNS stops nobody.

Whoever asks for a name that is being looked up waits for that answer: a name
that nobody answers for costs one thread, however many ask.
Literals never leave the loop. With a nameserver of our own (frp's key
``dns_server``) the hosts file still comes first, as in Go's resolver.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

from frpd.errors import LimitError, TransportError
from frpd.log import get_logger
from frpd.net.address import SockAddr, is_localhost, literal_family
from frpd.workers import WorkerPool

LOOKUP_SECONDS = 10.0
HOSTS_FILE = Path("/etc/hosts")
LOOPBACK = ["127.0.0.1", "::1"]

Addresses = list[tuple[socket.AddressFamily, SockAddr]]
OnAddresses = Callable[[Addresses], None]
OnFailed = Callable[[TransportError], None]

_log = get_logger("frpd.net.resolver")


class Resolver:
    """Turns host and port into socket addresses. Loop thread only.

    Args:
        pool: where look-ups run; give it no other work, they may block for seconds.
        nameserver: ``ip`` or ``ip:port`` of the DNS server to ask; empty
            means the system's resolver.
    """

    def __init__(self, pool: WorkerPool, nameserver: str = "") -> None:
        self._pool = pool
        self._nameserver = nameserver
        self._waiting: dict[tuple[str, int], list[tuple[OnAddresses, OnFailed]]] = {}

    def resolve(self, host: str, port: int, on_done: OnAddresses, on_failed: OnFailed) -> None:
        """Call exactly one of the two; at once for a literal, later for a name."""
        family = literal_family(host)
        if family == socket.AF_INET:
            on_done([(family, (host, port))])
            return
        if family == socket.AF_INET6 and "%" not in host:
            on_done([(family, (host, port, 0, 0))])
            return
        waiting = self._waiting.get((host, port))
        if waiting is None:
            self._waiting[host, port] = [(on_done, on_failed)]
            self._look_up(host, port)
        else:
            waiting.append((on_done, on_failed))

    def _look_up(self, host: str, port: int) -> None:
        nameserver = self._nameserver

        def look_up() -> Addresses:
            return resolve_blocking(host, port, nameserver)

        def done(found: Addresses) -> None:
            self._tell(host, port, lambda on_done, _: on_done(found))

        def failed(error: Exception) -> None:
            why = TransportError(f"lookup {host}: {error}")
            if isinstance(error, TransportError):
                why = error
            self._tell(host, port, lambda _, on_failed: on_failed(why))

        try:
            self._pool.submit(look_up, done, failed)
        except LimitError as error:
            failed(error)

    def _tell(self, host: str, port: int, call: Callable[[OnAddresses, OnFailed], None]) -> None:
        for on_done, on_failed in self._waiting.pop((host, port)):
            try:
                call(on_done, on_failed)
            except MemoryError:
                raise  # see SelectorLoop
            except Exception:  # the others have asked too
                _log.exception("the answer for %s was not taken", host)


def resolve_blocking(host: str, port: int, nameserver: str = "") -> Addresses:
    """Look a name up. Worker threads only.

    Raises:
        TransportError: there is no such name, or nobody answered.
    """
    if nameserver and literal_family(host) is None:
        found = _from_hosts_file(host)
        if not found:
            found = LOOPBACK if is_localhost(host) else _from_nameserver(host, nameserver)
        return [_with_port(address, port) for address in found]
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        if is_localhost(host):  # a machine without a hosts file, such as a bare container
            return [_with_port(address, port) for address in LOOPBACK]
        raise TransportError(f"lookup {host}: {error.strerror or error}") from error
    return [(info[0], cast("SockAddr", info[4])) for info in infos]


def _with_port(address: str, port: int) -> tuple[socket.AddressFamily, SockAddr]:
    if ":" in address:
        return socket.AF_INET6, (address, port, 0, 0)
    return socket.AF_INET, (address, port)


def _from_hosts_file(host: str) -> list[str]:
    try:
        text = HOSTS_FILE.read_text(errors="replace")
    except OSError:
        return []
    wanted = host.rstrip(".").lower()
    rows = (line.partition("#")[0].split() for line in text.splitlines())
    return [
        row[0]
        for row in rows
        if row and wanted in map(str.lower, row[1:]) and literal_family(row[0]) is not None
    ]


def _from_nameserver(host: str, nameserver: str) -> list[str]:
    # dnspython is slow to import and most installations never need it.
    import dns.exception  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    address, port = split_nameserver(nameserver)
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [address]
    resolver.port = port
    resolver.lifetime = LOOKUP_SECONDS
    found: list[str] = []
    reason = "no such host"
    for kind in ("A", "AAAA"):
        try:
            found += [str(record) for record in resolver.resolve(host, kind)]
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            continue
        except dns.exception.DNSException as error:
            reason = str(error)
    if not found:
        raise TransportError(f"lookup {host} on {address}:{port}: {reason}")
    return found


def split_nameserver(text: str) -> tuple[str, int]:
    """Return address and port (53 when absent) of ``ip``, ``ip:port`` or ``[ip6]:port``."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:] or 53) if rest else 53
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, int(port or 53)
    return text, 53
