"""The API of frpc: its groups of endpoints, and the application that serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from frpd.admin import both, log_view, pages
from frpd.admin.access import Gate
from frpd.admin.frpc import actions, config, status
from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.web_app import AdminApp, Environ

GROUPS: Final[tuple[Callable[[AdminApp, ClientDesk], None], ...]] = (
    status.register,
    config.register,
    actions.register,
)


def frpc_app(desk: ClientDesk, choose_gate: Callable[[Environ], Gate]) -> AdminApp:
    """Return the application."""
    app = AdminApp(choose_gate)
    both.health(app)
    log_view.register(app)
    pages.register(app, "frpc", lambda: desk.service.config.assets_dir)
    for register in GROUPS:
        register(app, desk)
    return app
