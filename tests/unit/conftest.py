"""What is left out where a library is missing that frpd can do without."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("aioquic") else ["*/test_quic*.py"]
