"""The rows of the early generations; what they need is loaded when the first hole is punched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.client.nathole.generation import (
    HoleContext,
    OnFailed,
    OnTunnel,
    OwnerWay,
    Puncher,
    Signalling,
    VisitorWay,
)

if TYPE_CHECKING:
    from frpd.config.proxies import ProxyConfig
    from frpd.config.visitors import VisitorConfig
    from frpd.net.endpoint import Endpoint
    from frpd.proto.message.types import NatHoleSid


def early_visitor(generation: str) -> VisitorWay:
    """Return how a visitor gets to an owner of this generation, EARLY_A or EARLY_B."""

    def make(
        context: HoleContext,
        config: VisitorConfig,
        signalling: Signalling,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
    ) -> Puncher:
        from frpd.client.nathole.early import EarlyVisitorPunch  # noqa: PLC0415 # see above

        return EarlyVisitorPunch(
            context, config, signalling, on_tunnel, on_failed, generation=generation
        )

    return make


def early_owner(generation: str) -> OwnerWay:
    """Return how an owner gets to a visitor, who may be of either generation.

    Args:
        generation: what the server expects, EARLY_A or EARLY_B.
    """

    def make(  # noqa: PLR0917 # the seam's arguments, see OwnerWay
        context: HoleContext,
        config: ProxyConfig,
        signalling: Signalling,
        work: Endpoint,
        notice: NatHoleSid,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
    ) -> Puncher:
        from frpd.client.nathole.early import EarlyOwnerPunch  # noqa: PLC0415 # see above

        return EarlyOwnerPunch(
            context, config, signalling, work, notice, on_tunnel, on_failed, generation=generation
        )

    return make
