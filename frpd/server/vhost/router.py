"""Which route a request takes: by domain, http user and location.

Source: frp's pkg/util/vhost/router.go and its callers, as of 0.70. Knows no
proxies: a route leads to any value. Domains and hosts come here canonical.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from frpd.errors import ProxyError

T = TypeVar("T")

ANY_DOMAIN: Final = "*"
"""Matches every host that no other domain has a route for, also none at all."""
_LEAST_LABELS: Final = 3
"""Of a host that a wildcard may match, and of a wildcard: nobody gets all of .com."""


class Router(Generic[T]):
    """A table of routes. A lookup costs the labels of the host and the locations of its domains."""

    __slots__ = ("_domains",)

    def __init__(self) -> None:
        # domain -> http user -> routes by location, the longest first
        self._domains: dict[str, dict[str, list[tuple[str, T]]]] = {}

    def add(self, domain: str, location: str, user: str, value: T) -> None:
        """Add a route.

        Args:
            domain: canonical; ``*.`` in front matches whatever stands there,
                ANY_DOMAIN matches all.
            location: what the path begins with; "" for every path.
            user: the http user that the route is for; "" for everybody.
            value: what ``find`` returns.

        Raises:
            ProxyError: exactly this route exists.
        """
        users = self._domains.setdefault(domain, {})
        routes = users.setdefault(user, [])
        if any(location == known for known, _ in routes):
            raise ProxyError("router config conflict")
        routes.append((location, value))
        routes.sort(key=lambda route: -len(route[0]))

    def remove(self, domain: str, location: str, user: str) -> None:
        """Remove a route.

        Raises:
            KeyError: there is none.
        """
        users = self._domains[domain]
        routes = users[user]
        for index, (known, _) in enumerate(routes):
            if known == location:
                del routes[index]
                break
        else:
            raise KeyError(location)
        if not routes:
            del users[user]
            if not users:
                del self._domains[domain]

    def find(self, host: str, path: str, user: str) -> T | None:
        """Return where a request goes; None when nobody takes it.

        The exact domain comes first, then wildcards from the most specific on;
        a domain of which no location matches is passed over. In a domain the
        routes of this http user come before those of everybody, and among them
        the longest location, which need not end where a segment of the path does.

        Args:
            host: canonical; "" when there is none.
            path: of the request, as sent; "" where there are no paths (https).
            user: the http user; "" when there is none.
        """
        for domain in _domains_for(host):
            users = self._domains.get(domain)
            if users is None:
                continue
            for whose in (user, "") if user else ("",):
                for location, value in users.get(whose, ()):
                    if path.startswith(location):
                        return value
        return None

    def knows_users(self, host: str, path: str) -> bool:
        """Whether ``find`` might return something for some http user."""
        return any(
            path.startswith(location)
            for domain in _domains_for(host)
            for routes in self._domains.get(domain, {}).values()
            for location, _ in routes
        )


def _domains_for(host: str) -> Iterator[str]:
    """Yield the domains that match ``host``, the most specific first."""
    yield host
    dot = host.find(".")
    for _ in range(host.count(".") + 2 - _LEAST_LABELS):
        yield "*" + host[dot:]
        dot = host.find(".", dot + 1)
    yield ANY_DOMAIN
