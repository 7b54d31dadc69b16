"""Users: what the clients of each user may have, and that nobody has what is another's.

A client is a user's if it has proved that user's token, or if that has none of its own. All
others that say they were are nobody's: they may have what belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from frpd.config.ports import PortSet
from frpd.config.server import ServerConfig
from frpd.config.users import Owners, UserConfig
from frpd.errors import AuthError, ProxyError
from frpd.net.visitor_gate import Crowd
from frpd.proto.message.types import NewProxy
from frpd.server.login_keys import LoginKeys
from frpd.server.proxies.base import Proxy
from frpd.server.vhost.names import domains_of

WITH_DOMAINS = frozenset(("http", "https", "tcpmux"))


class Session(Protocol):
    """A client that has logged in."""

    run_id: str
    keys: LoginKeys

    @property
    def user(self) -> str:
        """As it said at login."""

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """What it has."""


class Comer(Protocol):
    """A client that is about to be let in: what it has to know, it knows."""

    run_id: str
    keys: LoginKeys

    @property
    def user(self) -> str:
        """As it says."""


class Users:
    """The rules of one configuration. Loop thread only.

    Args:
        config: of the server.
        clients: who has logged in, by run id.
    """

    def __init__(self, config: ServerConfig, clients: Mapping[str, Session]) -> None:
        self._clients = clients
        self._crowds: dict[str, Crowd] = {}
        self.use(config)

    def use(self, config: ServerConfig) -> None:
        """Decide by these from now on; who is here stays."""
        self._users = {user.name: user for user in config.users}
        self._owners = Owners(config.users)
        self._ports = config.allow_ports
        self._max_ports = config.max_ports_per_client
        self._subdomain_host = config.subdomain_host
        for name in {*self._crowds, *self._users}:
            user = self._users.get(name)
            crowd = self._crowds.setdefault(name, Crowd())
            crowd.limit = 0 if user is None else user.max_connections

    def of(self, client: Comer | Session) -> UserConfig | None:
        """Return whose client this is; None if it is nobody's."""
        user = self._users.get(client.user)
        if user is None or (user.token and client.keys.user != user.name):
            return None
        return user

    # At login.

    def check_comer(self, comer: Comer) -> None:
        """Check what only who knows the token may hear.

        Raises:
            AuthError: it may not come in now, or not with this run id.
        """
        resident = self._clients.get(comer.run_id)
        if resident is not None and self._is_anothers(resident, comer):
            raise AuthError(f"run id [{comer.run_id}] belongs to another user")
        user = self._users.get(comer.user)
        if user is None:
            return
        if user.token and comer.keys.user != user.name:  # a plugin or a reload was between
            raise AuthError("authorization failed")
        if user.max_clients:
            others = sum(
                self.of(one) is user and one is not resident for one in self._clients.values()
            )
            if others >= user.max_clients:
                text = f"user [{user.name}] has {others} clients already"
                raise AuthError(text, was_checked=False)

    def _is_anothers(self, resident: Session, comer: Comer) -> bool:
        proved = resident.keys.user
        if proved and proved != comer.keys.user:
            return True
        names = {resident.user, comer.user}
        return len(names) > 1 and not names.isdisjoint(self._users)

    # At the registration of a proxy.

    def check_proxy(self, client: Session, request: NewProxy) -> None:
        """Check that a client may have a proxy.

        Raises:
            ProxyError: it may not.
        """
        if not self._users:
            return
        user = self.of(client)
        self._check_amounts(client, user)
        self._check_names(user, request)

    def _check_names(self, user: UserConfig | None, request: NewProxy) -> None:
        self._check_name(user, request.proxy_name)
        if request.proxy_type in WITH_DOMAINS:
            prefix = f"proxy [{request.proxy_name}] "
            for domain in domains_of(request, self._subdomain_host):
                self._check_domain(user, domain, prefix)

    def owner(self, client: Session) -> str | None:
        """Return the name of whose client this is; None if it is nobody's."""
        user = self.of(client)
        return None if user is None else user.name

    def ports(self, client: Session) -> PortSet | None:
        """Return the ports that a client may take; None for what all may."""
        user = self.of(client)
        if user is None or not user.allow_ports:
            return None
        return user.allow_ports.both(self._ports.candidates())

    def crowd(self, client: Session) -> Crowd | None:
        """Return what visitors of all clients of its user count in."""
        user = self.of(client)
        return None if user is None else self._crowds[user.name]

    def _check_amounts(self, client: Session, user: UserConfig | None) -> None:
        if user is None:
            return
        ports = sum(proxy.ports_used for proxy in client.proxies.values())
        if 0 < user.max_ports_per_client <= ports:
            raise ProxyError("exceed the max_ports_per_client")
        if user.max_proxies:
            theirs = (len(one.proxies) for one in self._clients.values() if self.of(one) is user)
            if sum(theirs) >= user.max_proxies:
                raise ProxyError(f"exceed the max_proxies of user [{user.name}]")

    def _check_name(self, user: UserConfig | None, name: str) -> None:
        owner = self._owners.of_name(name)
        if user is None and owner is None:
            return
        if owner is None or (user is not None and owner != user.name):
            raise ProxyError(_no_name(user, name, is_anothers=owner is not None))
        if user is None:
            raise ProxyError(_no_name(user, name, is_anothers=True))

    def _check_domain(self, user: UserConfig | None, domain: str, prefix: str) -> None:
        owner, name = self._owners.of_domain(domain), None if user is None else user.name
        if owner is not None and owner != name:
            raise ProxyError(f"{prefix}domain [{domain}] belongs to another user")
        if owner is None and user is not None and user.allow_domains:
            raise ProxyError(f"{prefix}domain [{domain}] is none of those of user [{name}]")
        if any(other != name for _, other in self._owners.below(domain)):
            raise ProxyError(f"{prefix}domain [{domain}] has some below that are another user's")

    # After a reload.

    def strangers(self, proxies: Iterable[tuple[Session, NewProxy]]) -> Iterator[str]:
        """Yield the names of proxies that would not be registered any more."""
        if not self._users:
            return
        for client, request in proxies:
            try:
                self._check_names(self.of(client), request)
            except ProxyError:
                yield request.proxy_name


def _no_name(user: UserConfig | None, name: str, *, is_anothers: bool) -> str:
    if is_anothers or user is None:
        return f"proxy name [{name}] belongs to another user"
    return f"proxy name [{name}] is none of those of user [{user.name}]"
