"""The API of frps: its groups of endpoints, and the application that serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from frpd.admin import both, log_view, pages
from frpd.admin.access import Gate
from frpd.admin.frps import actions, clients, overview, penalties, proxies, v2
from frpd.admin.frps.desk import ServerDesk
from frpd.admin.web_app import AdminApp, Environ

GROUPS: Final[tuple[Callable[[AdminApp, ServerDesk], None], ...]] = (
    overview.register,
    proxies.register,
    clients.register,
    actions.register,
    penalties.register,
    v2.register,
)


def frps_app(desk: ServerDesk, choose_gate: Callable[[Environ], Gate]) -> AdminApp:
    """Return the application."""
    app = AdminApp(choose_gate)
    both.health(app)
    log_view.register(app)
    pages.register(app, "frps", lambda: desk.service.config.assets_dir)
    for register in GROUPS:
        register(app, desk)
    return app
