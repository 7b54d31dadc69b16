"""SshPort: ssh_gateway_bind_port. Few servers have one: the gateway is made when somebody comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.net.pace import Pace
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop

if TYPE_CHECKING:
    from frpd.server.door import Door
    from frpd.server.reception import CarriedStreams
    from frpd.server.ssh_gateway.gateway import SshGateway
    from frpd.server.ssh_gateway.settings import SshSettings

NEWCOMERS_PER_SECOND: Final = 20.0
"""A login by SSH costs 13 ms, most of it in ciphers, and threads share the interpreter."""
PLACES: Final = 64.0


class SshPort:
    """Takes who comes by SSH. Loop thread only.

    Args:
        loop: the loop.
        entropy: for names.
        config: in force.
        settings: of the gateway; None where there is none.
        on_client: takes each client, and the door where it is pending.

    Attributes:
        pace: what newcomers are taken at.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        config: ServerConfig,
        settings: SshSettings | None,
        *,
        on_client: Callable[[CarriedStreams, Door], None],
    ) -> None:
        self._loop = loop
        self._entropy = entropy
        self._config = config
        self._settings = settings
        self.pace = Pace(loop.now, per_second=NEWCOMERS_PER_SECOND, places=PLACES)
        self._on_client = on_client
        self._gateway: SshGateway | None = None

    @property
    def door(self) -> Door | None:
        """Of the gateway; None as long as nobody has come."""
        return None if self._gateway is None else self._gateway.door

    def use(self, config: ServerConfig, settings: SshSettings | None) -> None:
        """Go by these from now on."""
        self._config, self._settings = config, settings
        if self._gateway is not None:
            self._gateway.use(config, settings)

    def welcome(self, stream: SocketStream) -> None:
        """Take a connection that was just accepted."""
        if self._gateway is None:
            # See above.
            from frpd.server.ssh_gateway.gateway import SshGateway  # noqa: PLC0415

            self._gateway = SshGateway(
                self._loop,
                self._entropy,
                self._config,
                self._settings,
                pace=self.pace,
                on_client=self._on_client,
            )
        self._gateway.welcome(stream)

    def retire(self) -> None:
        """Refuse who has not logged in."""
        if self._gateway is not None:
            self._gateway.door.close()

    def close(self) -> None:
        """End all of them. Idempotent."""
        if self._gateway is not None:
            self._gateway.close()
