"""Visitor types on the client: one file each, one row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.late_table import LateTable

if TYPE_CHECKING:
    from frpd.client.visitors.base import Visitor, VisitorContext
    from frpd.config.visitors import VisitorConfig

VISITORS: Final[LateTable[Callable[[VisitorContext, VisitorConfig], Visitor]]] = LateTable(
    __name__,
    {
        "stcp": "stcp:StcpVisitor",
        "sudp": "sudp:SudpVisitor",
        "xtcp": "xtcp:XtcpVisitor",
    },
)
