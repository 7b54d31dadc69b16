"""What is kept to while HTTP messages are passed on."""

from __future__ import annotations

from dataclasses import dataclass, field

from frpd.proto.http.head import Limits


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of size and time."""

    head: Limits = field(default_factory=Limits)
    head_seconds: float = 20.0
    """For a head to come, and for the first bytes of a connection."""
    body_seconds: float = 60.0
    """A pause in a request's body; and of who has ended its direction, in the answer."""
    idle_seconds: float = 75.0
    """Between an answer and the next request."""
    answer_seconds: float = 60.0
    """From the end of a request to the answer's head."""
