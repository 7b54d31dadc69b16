"""What offences cost, in the syntax of OpenSSH's PerSourcePenalties, and how wide a source is."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final

PERMISSIVE: Final = "permissive"
DENY_ALL: Final = "deny-all"
ACCEPTED: Final = (
    "off, or any of authfail, noauth, grace-exceeded, protocol, refuseconnection, min and max, each"
    " with :SECONDS behind it (also 10m or 1h), max-sources4:N, max-sources6:N, and overflow and"
    " overflow6 with :permissive or :deny-all"
)
BLOCKS_ACCEPTED: Final = "bits of IPv4 and of IPv6 such as 32:64, to 32 and 128"

_OFF: Final = ("off", "no", "none", "false")
_SECONDS: Final = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smh]?)"
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_MOST_SOURCES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyRules:
    """What is held against whom; all times in seconds.

    An offence adds its seconds to the time until which its source is penalised, `max` ahead
    at most. The penalty is enforced, until it is over, once it has come to `min`.
    """

    is_on: bool = True
    authfail: float = 5.0
    noauth: float = 1.0
    grace_exceeded: float = 10.0
    protocol: float = 10.0
    refuseconnection: float = 10.0
    min: float = 15.0
    max: float = 600.0
    max_sources4: int = 65536
    max_sources6: int = 65536
    overflow: str = PERMISSIVE
    overflow6: str = PERMISSIVE

    @classmethod
    def parse(cls, text: str) -> PenaltyRules:
        """Read the text of per_source_penalties; what is not named keeps its default.

        Raises:
            ValueError: with what is wrong.
        """
        if text.strip().lower() in _OFF:
            return NO_PENALTIES
        given: dict[str, float | int | str] = {}
        for item in text.replace(",", " ").split():
            name, _, value = item.partition(":")
            given[name.replace("-", "_")] = _value(name, value, item)
        return cls(**given)  # type: ignore[arg-type]  # each is of its field's type

    def __str__(self) -> str:
        if not self.is_on:
            return "off"
        return " ".join(
            f"{field.name.replace('_', '-')}:{_text(getattr(self, field.name))}"
            for field in fields(self)
            if field.name != "is_on"
        )


@dataclass(frozen=True, slots=True)
class NetBlockSize:
    """How many leading bits of an address make a source."""

    v4: int = 32
    v6: int = 64

    @classmethod
    def parse(cls, text: str) -> NetBlockSize:
        """Read text such as ``32:64``; IPv6's part may be missing.

        Raises:
            ValueError: with what is wrong.
        """
        match = re.fullmatch(r"\s*([0-9]{1,3})\s*(?::\s*([0-9]{1,3})\s*)?", text)
        if match is None:
            raise ValueError(f"{text!r} cannot be read")
        size = cls(int(match[1])) if match[2] is None else cls(int(match[1]), int(match[2]))
        if size.v4 > 32 or size.v6 > 128:
            raise ValueError(f"{text!r} has more bits than an address")
        return size

    def __str__(self) -> str:
        return f"{self.v4}:{self.v6}"


def _value(name: str, value: str, item: str) -> float | int | str:
    if name in ("overflow", "overflow6"):
        if value not in (PERMISSIVE, DENY_ALL):
            raise ValueError(f"{item!r} cannot be read")
        return value
    if name in ("max-sources4", "max-sources6"):
        if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) <= _MOST_SOURCES):
            raise ValueError(f"{item!r} is no number from 1 to {_MOST_SOURCES}")
        return int(value)
    if name not in ("authfail", "noauth", "grace-exceeded", "protocol", "refuseconnection",
                    "min", "max"):  # fmt: skip
        raise ValueError(f"{item!r} is not known")
    match = re.fullmatch(_SECONDS, value)
    if match is None:
        raise ValueError(f"{item!r} names no time")
    return float(match[1]) * _UNITS[match[2]]


def _text(value: float | str) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


PENALTIES: Final = PenaltyRules()
NO_PENALTIES: Final = PenaltyRules(is_on=False)
NET_BLOCKS: Final = NetBlockSize()
