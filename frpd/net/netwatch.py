"""NetworkWatcher: tells when this machine's addresses, routes or links have changed.

The kernel tells on a netlink socket, which the loop watches like any other, so
that an idle watcher costs neither a thread nor a wake-up. What the kernel said
is read by pyroute2 on a worker, and pyroute2 is imported there with the first
change: that takes half a second and 20 MiB, which most processes never need.
Without pyroute2 nothing is watched.

Reference: rtnetlink(7).
"""

from __future__ import annotations

import errno
import importlib.util
import socket
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frpd.errors import LimitError
from frpd.log import get_logger

if TYPE_CHECKING:
    from frpd.net.address import SockAddr
    from frpd.selector_loop import SelectorLoop, Timer, Watch
    from frpd.workers import Job, WorkerPool

SETTLE_SECONDS: Final = 0.25
"""A cable pulled is a dozen messages within milliseconds; an address follows its link."""
REST_SECONDS: Final = 1.0
"""At most one report in this time, however restless the network is."""
MAX_BATCH: Final = 64
"""So many messages at once are a change without a closer look."""
DATAGRAM_BYTES: Final = 64 * 1024
DATAGRAMS_PER_TURN: Final = 64

# linux/rtnetlink.h: links, then addresses and routes of IPv4, then those of IPv6.
GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
IFF_UP: Final = 0x1
IFF_RUNNING: Final = 0x40
IFA_F_TENTATIVE: Final = 0x40
RTM_F_CLONED: Final = 0x200
TABLE_LOCAL: Final = 255
# A host's own choices; local, broadcast and multicast routes follow the addresses.
ROUTE_TYPES: Final = {1: "route", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)

_log = get_logger("frpd.net.netwatch")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing the kernel said.

    Attributes:
        text: for the log.
        key: of a thing that has a state, and whose news are those of its state;
            None for what is always news.
        state: None when the thing is gone.
    """

    text: str
    key: Hashable = None
    state: Hashable = None


class NetworkWatcher:
    """Calls ``on_change`` soon after each change, once for many. Loop thread only.

    Args:
        loop: the loop.
        pool: where messages are read.
        on_change: something changed; ask yourself whether it concerns you.
    """

    def __init__(self, loop: SelectorLoop, pool: WorkerPool, on_change: Callable[[], None]) -> None:
        self._loop = loop
        self._pool = pool
        self._on_change = on_change
        self._sock: socket.socket | None = None
        self._watch: Watch | None = None
        self._timer: Timer | None = None
        self._job: Job | None = None
        self._batch: list[bytes] = []
        self._crowded = False  # there was more than the batch holds
        self._known: dict[Hashable, Hashable] = {}
        self._rests_until = float("-inf")

    def start(self) -> None:
        """Begin to watch, where that is possible."""
        if importlib.util.find_spec("pyroute2") is None:
            _log.debug("changes of the network are not watched: pyroute2 is not installed")
            return
        try:
            self._sock = open_netlink()
        except OSError as error:  # such as a sandbox without this address family
            _log.debug("changes of the network are not watched: %s", error)
            return
        self._watch = self._loop.watch(self._sock.fileno(), lambda _error: self.close())
        self._watch.set(self._on_readable, None)

    def close(self) -> None:
        """Watch no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._job is not None:
            self._job.cancel()
        if self._watch is not None and self._sock is not None:
            self._watch.close()
            self._sock.close()
        self._timer = self._job = self._watch = self._sock = None

    def _on_readable(self) -> None:
        assert self._sock is not None
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                data = self._sock.recv(DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    _log.debug("changes of the network are watched no more: %s", error)
                    self.close()
                    return
                self._crowded = True  # the kernel had to drop some
                continue
            if len(self._batch) < MAX_BATCH:
                self._batch.append(data)
            else:
                self._crowded = True
        if self._timer is None and (self._batch or self._crowded):
            self._plan_look()

    def _plan_look(self) -> None:
        settled = self._loop.now() + SETTLE_SECONDS
        self._timer = self._loop.call_at(max(settled, self._rests_until), self._look)

    def _look(self) -> None:
        self._timer = None
        if self._job is not None:  # one at a time, or an older state would replace a newer one
            self._plan_look()
            return
        batch, self._batch = self._batch, []
        if self._crowded:
            self._crowded = False
            self._known.clear()
            self._report("many changes at once")
            return
        try:
            self._job = self._pool.submit(lambda: changes_in(batch), self._read, self._unreadable)
        except LimitError as error:
            self._report(f"changes that nobody could read: {error}")

    def _read(self, changes: list[Change]) -> None:
        self._job = None
        news = [change.text for change in changes if self._is_news(change)]
        if news:
            self._report(", ".join(news))

    def _unreadable(self, error: Exception) -> None:
        self._job = None
        if isinstance(error, ImportError):
            _log.debug("changes of the network are not watched: %s", error)
            self.close()
        else:
            self._report(f"changes that pyroute2 cannot read: {error!r}")

    def _is_news(self, change: Change) -> bool:
        """Remember a state; routers repeat addresses, and wireless links tell of their scans."""
        if change.key is None:
            return True
        if change.state is None:
            self._known.pop(change.key, None)
            return True
        before = self._known.get(change.key)
        self._known[change.key] = change.state
        return before != change.state

    def _report(self, what: str) -> None:
        _log.debug("the network changed: %s", what)
        self._rests_until = self._loop.now() + REST_SECONDS
        self._on_change()


def open_netlink() -> socket.socket:
    """Return a non-blocking socket that hears of links, addresses and routes.

    Raises:
        OSError: the system does not allow it.
    """
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        sock.setblocking(False)
        sock.bind((0, GROUPS))
    except OSError:
        sock.close()
        raise
    return sock


def has_address(address: SockAddr) -> bool:
    """Return whether this machine has an address; True when it cannot be told."""
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV)
    return True


# Worker threads


def changes_in(datagrams: list[bytes]) -> list[Change]:
    """Return what matters of what the kernel said. Worker threads only.

    Raises:
        ImportError: there is no pyroute2.
    """
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl  # noqa: PLC0415 - see the module's head

    marshal = MarshalRtnl()
    return [
        change
        for data in datagrams
        for message in marshal.parse(data)
        for change in _changes_of(message)
    ]


def _changes_of(message: Any) -> Iterator[Change]:
    event = message["event"]
    if event in ("RTM_NEWADDR", "RTM_DELADDR"):
        yield from _address(message, gone=event == "RTM_DELADDR")
    elif event in ("RTM_NEWROUTE", "RTM_DELROUTE"):
        yield from _route(message, gone=event == "RTM_DELROUTE")
    elif event in ("RTM_NEWLINK", "RTM_DELLINK"):
        yield _link(message, gone=event == "RTM_DELLINK")


def _address(message: Any, *, gone: bool) -> Iterator[Change]:
    address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    if message["flags"] & IFA_F_TENTATIVE and not gone:
        return  # of no use yet; the kernel says when it is
    key = ("address", message["index"], address)
    yield Change(f"address {address} {_fate(gone)}", key, None if gone else "present")


def _route(message: Any, *, gone: bool) -> Iterator[Change]:
    table = message.get_attr("RTA_TABLE") or message["table"]
    kind = ROUTE_TYPES.get(message["type"])
    if message["family"] not in FAMILIES or kind is None:
        return
    if table == TABLE_LOCAL or message["flags"] & RTM_F_CLONED:
        return
    target = message.get_attr("RTA_DST")
    name = f"{target}/{message['dst_len']}" if target else "default"
    gateway = message.get_attr("RTA_GATEWAY")
    yield Change(f"{kind} {name}{f' by {gateway}' if gateway else ''} {_fate(gone)}")


def _link(message: Any, *, gone: bool) -> Change:
    # An IPv4 route goes without a word when its link goes down.
    runs = message["flags"] & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING
    name = message.get_attr("IFLA_IFNAME")
    text = f"link {name} {'gone' if gone else 'up' if runs else 'down'}"
    return Change(text, ("link", message["index"]), None if gone else runs)


def _fate(gone: bool) -> str:
    return "gone" if gone else "there"
