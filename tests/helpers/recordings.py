"""Sessions that were recorded between Go's own ends."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "vectors" / "transcripts"


@dataclass(frozen=True, slots=True)
class VisitorRecording:
    """The stream of a stcp visitor, and what its user saw."""

    name: str
    request: bytes
    """All that the visiting frpc sent."""
    answer: bytes
    """All that frps sent."""
    sent: bytes
    received: bytes
    wrapped: bool
    """With use_encryption and use_compression; else with neither."""


def visitor_recordings() -> list[VisitorRecording]:
    """Return all recordings of stcp visitors, those of a wrong sk too."""
    return [_visitor(path) for path in sorted(FOLDER.glob("stcp_*.json"))]


def _visitor(path: Path) -> VisitorRecording:
    recording = json.loads(path.read_text(encoding="utf-8"))
    ways = [_both_ways(connection["events"]) for connection in recording["connections"]]
    [(request, answer)] = [pair for pair in ways if pair[0].startswith(b"v\0")]
    return VisitorRecording(
        name=path.stem,
        request=request,
        answer=answer,
        sent=base64.b64decode(recording.get("user_sent_b64", "")),
        received=base64.b64decode(recording.get("user_received_b64", "")),
        wrapped=recording["use_encryption"],
    )


def _both_ways(events: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    said = {"c2s": b"", "s2c": b""}
    for event in events:
        said[event["dir"]] += base64.b64decode(event.get("data_b64", ""))
    return said["c2s"], said["s2c"]
