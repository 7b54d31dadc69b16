"""Hole punching on the client: one row for each way that frp has spoken, see generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from frpd.client.nathole.generation import OwnerWay, VisitorWay

VISITOR_WAYS: Final[Mapping[str, VisitorWay]] = {}
OWNER_WAYS: Final[Mapping[str, OwnerWay]] = {}
