"""When to try again: the pauses between attempts to reach or enter the server.

A server that cannot be reached is probably restarting: about a second for
ever, so that the tunnel is back soon after its peer. A refused login will not
get better by itself: the pause doubles up to 20 s.
"""

from __future__ import annotations

from frpd.entropy import Entropy

UNREACHABLE_SECONDS = 1.0
JITTER = 0.3
REFUSED_FIRST_SECONDS = 1.0
REFUSED_MAX_SECONDS = 20.0


class Backoff:
    """Counts failures and names the next pause.

    Args:
        entropy: for the jitter that keeps many clients from coming at once.
    """

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._refused = 0

    def unreachable(self) -> float:
        """Return seconds to wait after a failed connect or a lost session."""
        return self._entropy.jitter(UNREACHABLE_SECONDS, JITTER)

    def refused(self) -> float:
        """Return seconds to wait after a refused login."""
        pause = min(REFUSED_FIRST_SECONDS * 2**self._refused, REFUSED_MAX_SECONDS)
        self._refused = min(self._refused + 1, 10)
        return self._entropy.jitter(pause, JITTER)

    def succeeded(self) -> None:
        """A login was accepted: start from the beginning next time."""
        self._refused = 0
