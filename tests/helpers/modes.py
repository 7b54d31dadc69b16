"""With and without tcp_mux: how tests are repeated for both."""

from __future__ import annotations

import pytest

MODES = pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])

MUX_ELSE_FULL = pytest.mark.parametrize(
    "mux",
    [
        pytest.param(True, id="mux"),
        pytest.param(False, id="direct", marks=pytest.mark.full),
    ],
)
"""Where the mode makes little difference and the test takes its time: direct in full runs only."""
