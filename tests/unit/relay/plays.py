"""A relay between two scripted endpoints, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.relay.relay import Ending, Relay, RelayResult
from tests.helpers.endpoint import ScriptedEndpoint

if TYPE_CHECKING:
    from frpd.selector_loop import SelectorLoop
    from tests.helpers.clock import MockClock


class Play:
    """A visitor ``a`` and a work connection ``b``, joined."""

    def __init__(
        self,
        loop: SelectorLoop,
        clock: MockClock,
        *,
        a_half_closes: bool = True,
        b_half_closes: bool = True,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.a = ScriptedEndpoint(loop, "a")
        self.b = ScriptedEndpoint(loop, "b")
        self.results: list[RelayResult] = []
        self.relay = Relay(
            loop,
            self.a,
            self.b,
            a_half_closes=a_half_closes,
            b_half_closes=b_half_closes,
            on_done=self.results.append,
        )

    def run(self, turns: int = 10) -> None:
        for _ in range(turns):
            self.loop.run_turn()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.run()

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it goes on. More than once is an error."""
        assert len(self.results) <= 1
        return self.results[0].ending if self.results else None
