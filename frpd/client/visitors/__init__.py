"""Visitor types on the client: one file each, one row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from frpd.client.visitors.base import Visitor, VisitorContext
from frpd.client.visitors.stcp import StcpVisitor
from frpd.client.visitors.sudp import SudpVisitor
from frpd.client.visitors.xtcp import XtcpVisitor
from frpd.config.visitors import VisitorConfig

VISITORS: Final[Mapping[str, Callable[[VisitorContext, VisitorConfig], Visitor]]] = {
    "stcp": StcpVisitor,
    "sudp": SudpVisitor,
    "xtcp": XtcpVisitor,
}
