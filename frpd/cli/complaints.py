"""What is said of a file before a daemon runs on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from frpd.config.client import ClientConfig
    from frpd.config.load import Loaded
    from frpd.config.server import ServerConfig

Config = TypeVar("Config")


def print_refusals(loaded: Loaded[Config]) -> bool:
    """Print what a daemon must not run without; True if there was anything."""
    for refusal in loaded.refusals:
        print(refusal, flush=True)
    return bool(loaded.refusals)


def open_to_others(path: str, common: ServerConfig | ClientConfig) -> Iterator[str]:
    """Yield a warning if everybody on the machine can read a file that has the token in it."""
    if not common.token or common.token_file:
        return
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        yield (
            "the configuration file can be read by every user of this machine, and has the token"
            " in it; chmod o= closes it to them"
        )
