"""Hole punching on the client: one row for each way that frp has spoken, see generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from frpd.client.nathole.early_ways import early_owner, early_visitor
from frpd.client.nathole.generation import NEWEST, OwnerWay, VisitorWay
from frpd.client.nathole.hole import OwnerHole, VisitorHole
from frpd.proto.message.types import EARLY_A, EARLY_B

VISITOR_WAYS: Final[Mapping[str, VisitorWay]] = {
    NEWEST: VisitorHole,
    EARLY_B: early_visitor(EARLY_B),
    EARLY_A: early_visitor(EARLY_A),
}
OWNER_WAYS: Final[Mapping[str, OwnerWay]] = {
    NEWEST: OwnerHole,
    EARLY_B: early_owner(EARLY_B),
    EARLY_A: early_owner(EARLY_A),
}
