"""VisitorHook: asks the plugins whether a visitor of one proxy may enter."""

from __future__ import annotations

from collections.abc import Callable

from frpd.errors import PluginError
from frpd.server.plugins.chain import Decision, Hooks
from frpd.server.plugins.content import NEW_USER_CONN, Facts


class VisitorHook:
    """NewUserConn for one proxy. Loop thread only.

    Args:
        hooks: all plugins.
        key: the client's run id.
        facts: about the client and the proxy.
    """

    __slots__ = ("_facts", "_hooks", "_key")

    def __init__(self, hooks: Hooks, key: str, facts: Facts) -> None:
        self._hooks = hooks
        self._key = key
        self._facts = facts

    @property
    def is_wanted(self) -> bool:
        """Whether any plugin is to be asked."""
        return self._hooks.want(NEW_USER_CONN)

    def ask(
        self,
        remote_addr: str,
        on_done: Callable[[None], None],
        on_refused: Callable[[PluginError], None],
    ) -> Decision[None]:
        """Ask about a visitor; see Hooks.ask."""
        facts = self._facts | {"remote_addr": remote_addr}
        return self._hooks.ask(
            NEW_USER_CONN, self._key, None, facts, on_done=on_done, on_refused=on_refused
        )
