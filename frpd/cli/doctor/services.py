"""Whether the local services answer that frpc brings to the server."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok
from frpd.cli.doctor.own_loop import Dialed, OwnLoop, Place
from frpd.config.client import ClientSetup
from frpd.net.address import join_host_port

DIAL_SECONDS: Final = 2.0
MAX_SERVICES: Final = 200
"""Of a longer list the first ones are tried."""
DATAGRAM_TYPES: Final = frozenset({"udp", "sudp"})
"""Nobody has to answer a datagram, so it cannot be told whether anybody is there."""


class LocalService(NamedTuple):
    """Who serves a proxy."""

    proxy: str
    place: Place

    @property
    def where(self) -> str:
        """Its address."""
        return self.place.path or join_host_port(self.place.host, self.place.port)


def check_services(case: Case) -> Iterable[Finding]:
    """Connect to each of them."""
    if case.client is None:
        return []
    services = local_services(case.client)[:MAX_SERVICES]
    with OwnLoop() as own:
        outcomes = own.dial([one.place for one in services], case.seconds(DIAL_SECONDS))
    return list(judge_services(list(zip(services, outcomes, strict=True))))


def local_services(setup: ClientSetup) -> list[LocalService]:
    """Return whom the proxies need."""
    found = []
    for proxy in setup.proxies:
        address = proxy.plugin_params.get("plugin_local_addr", "")
        path = proxy.plugin_params.get("plugin_unix_path", "")
        if path:
            found.append(LocalService(proxy.section, Place(path=path)))
        elif address:
            host, _, port = address.rpartition(":")
            if port.isdecimal():
                found.append(LocalService(proxy.section, Place(host.strip("[]"), int(port))))
        elif not proxy.plugin and proxy.local_port and proxy.proxy_type not in DATAGRAM_TYPES:
            place = Place(proxy.local_ip, proxy.local_port)
            found.append(LocalService(proxy.section, place))
    return found


def judge_services(tried: Sequence[tuple[LocalService, Dialed]]) -> Iterator[Finding]:
    """Judge what became of a connection to each."""
    for service, outcome in tried:
        if outcome.error:
            yield _judge_failure(service, outcome)
    up = sum(not outcome.error for _, outcome in tried)
    if up:
        yield ok(f"{up} of {len(tried)} local services take connections")


def _judge_failure(service: LocalService, outcome: Dialed) -> Finding:
    what = f"the local service of proxy {service.proxy} is down"
    if outcome.code == errno.ECONNREFUSED:
        return fault(
            f"{what}: nothing listens at {service.where}",
            "start that service, or correct local_ip and local_port",
        )
    if outcome.code == errno.ETIMEDOUT:
        return fault(
            f"{what}: {service.where} does not answer",
            "check that the machine of local_ip is on and that its firewall lets this one in",
        )
    return fault(
        f"{what}: {outcome.error}",
        "start that service, or correct the address that the proxy names",
    )
