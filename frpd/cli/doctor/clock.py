"""Whether this machine's clock is kept right; a login names the time."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable
from typing import Final

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, ok, warning

_UNSYNCHRONIZED: Final = 0x0040  # STA_UNSYNC of linux/timex.h
_TIMEX_BYTES: Final = 512  # more than struct timex of any machine
# modes (0: only ask), offset, freq, maxerror, esterror, status: padded as the machine does.
_TIMEX_HEAD: Final = struct.Struct("Illlli")


def check_clock(case: Case) -> Iterable[Finding]:
    """Ask the kernel whether anybody sets the clock."""
    del case
    return [judge_clock(is_synchronized())]


def is_synchronized() -> bool | None:
    """Return whether NTP or the like keeps the clock right; None if the kernel does not say."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        answer = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    status: int = _TIMEX_HEAD.unpack_from(timex)[5]
    return not status & _UNSYNCHRONIZED


def judge_clock(is_right: bool | None) -> Finding:
    """Judge what the kernel says of the clock."""
    if is_right is None:
        return ok("the kernel does not say whether the clock is kept right")
    if is_right:
        return ok("the clock is kept right by NTP or the like")
    return warning(
        "nobody keeps this machine's clock right, as far as the kernel knows; a server refuses"
        " logins whose clock is too far behind (authentication_timeout)",
        "have it set by NTP (timedatectl set-ntp true), or see that the host does it",
    )
