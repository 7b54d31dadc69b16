"""The rows of the early generations."""

from __future__ import annotations

import subprocess
import sys

from frpd.client.nathole.generation import EARLY
from frpd.client.nathole.ways import OWNER_WAYS, VISITOR_WAYS


def test_both_generations_have_a_row_for_each_end() -> None:
    assert set(EARLY) <= set(VISITOR_WAYS)
    assert set(EARLY) <= set(OWNER_WAYS)


def test_who_punches_no_hole_loads_none_of_it() -> None:
    code = "import sys, frpd.client.nathole; print('frpd.client.nathole.early' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=50
    )
    assert shown.stdout == "False\n"
