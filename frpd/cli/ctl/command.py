"""Command: what one command of frpd-ctl is made of."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple


class Command(NamedTuple):
    """One command; registry.py has them all.

    Attributes:
        name: as typed.
        help: half a sentence for ``--help``.
        add_arguments: adds its flags and operands.
        run: does it; returns the exit status, 0 only when what was asked is true. A FrpError
            that it raises is printed as one line, and the exit status is 1.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
