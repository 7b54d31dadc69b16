"""Hole punching on the client: one row for each way that frp has spoken, see generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from frpd.client.nathole.generation import NEWEST, OwnerWay, VisitorWay
from frpd.client.nathole.hole import OwnerHole, VisitorHole

VISITOR_WAYS: Final[Mapping[str, VisitorWay]] = {NEWEST: VisitorHole}
OWNER_WAYS: Final[Mapping[str, OwnerWay]] = {NEWEST: OwnerHole}
