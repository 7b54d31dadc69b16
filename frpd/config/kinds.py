"""What a row of the key table can say, and how a value's text becomes a Python value.

The two dialects read numbers and truth values differently; nothing else about a value depends on
the dialect. Knows one value at a time: rules between keys are check.py's.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frpd.config import penalties, ports
from frpd.config.ini import WHITE, Dialect
from frpd.config.ports import PortSet
from frpd.config.secret import Secret

if TYPE_CHECKING:
    from frpd.config.params import Params

SEED = "S"  # `since` of a key that frp 0.21 and older already had
OWN = "frpd"  # `since` of a key that frp does not have
KIB, MIB = 1024, 1024 * 1024


class Kind(enum.Enum):
    """The type of a value, in an operator's words."""

    STR = "text"
    ADDR = "address"
    SECRET = "secret"  # noqa: S105 (a word for the manual)
    BOOL = "true or false"
    INT = "number"
    FLOAT = "number, fractions allowed"
    PORT = "port"
    LIST = "list"
    DOMAINS = "list of domains"
    PORTS = "port ranges"
    BANDWIDTH = "bandwidth"
    PENALTIES = "penalties"
    NET_BLOCKS = "bits of addresses"
    MAP = "any number of keys"


class State(enum.Enum):
    """What frpd does with a key today."""

    WORKS = "works"
    PLANNED = "not supported yet"
    IGNORED = "ignored leftover"
    FOREIGN = "has no meaning here"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A bandwidth limit: the text goes on the wire, the number to the limiter."""

    text: str = ""
    bytes_per_second: int = 0

    def __bool__(self) -> bool:
        return self.bytes_per_second > 0


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One row of the table: one key (or, for MAP, one prefix of keys)."""

    name: str
    kind: Kind
    default: object
    since: str
    doc: str
    until: str = ""  # last frp version that read it, empty = still read
    state: State = State.WORKS
    attr: str = ""  # attribute in the dataclass, when it is not the key's name
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    planned_choices: tuple[str, ...] = ()  # accepted, but newer than the seed and not served yet
    fallback: str | None = None  # used with a warning instead of a bad choice
    default_note: str = ""  # how the manual words a default that depends on other keys
    required: bool = False
    guard: bool = False  # protects: while PLANNED, a daemon must refuse to run when it is set
    note: str = ""  # IGNORED: the key that it is mistaken for; FOREIGN: why it does nothing
    sample: str = ""  # an example value for the shipped files
    keep_prefix: bool = False  # the keys of this MAP keep their prefix

    @property
    def attribute(self) -> str:
        """The dataclass attribute that holds the value."""
        return self.attr or self.name

    @property
    def hides_value(self) -> bool:
        """Whether messages must not show the value."""
        return self.kind is Kind.SECRET or self.kind is Kind.MAP

    @property
    def known_to_old(self) -> bool:
        """Whether frp of the OLD dialect, to 0.35, read this key."""
        return self.since == SEED or (self.since != OWN and int(self.since.split(".")[1]) <= 35)

    @property
    def newer_and_planned(self) -> bool:
        """Whether a user of this key must be told that it has no effect yet."""
        return self.state is State.PLANNED and self.since != SEED


NO_LIMIT = Bandwidth()
_ACCEPTED = {
    Kind.PORTS: ports.ACCEPTED,
    Kind.BANDWIDTH: "a number with KB or MB behind it, such as 512KB or 1.5MB",
    Kind.PENALTIES: penalties.ACCEPTED,
    Kind.NET_BLOCKS: penalties.BLOCKS_ACCEPTED,
}


class BadValueError(ValueError):
    """A value that the key does not take; the text says what is accepted."""


_TRUE = ("1", "t", "T", "true", "TRUE", "True", "y", "yes", "YES", "Yes", "on", "ON", "On")
_FALSE = ("0", "f", "F", "false", "FALSE", "False", "n", "no", "NO", "No", "off", "OFF", "Off")
# Patterns stay text: re compiles and keeps them at first use, which most files never come to.
_DECIMAL = r"[+-]?[0-9]{1,19}"
_FRACTION = r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?"
_QUANTITY = r"([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(KB|MB)"
_LIST_PARTS = r"(?s)[^\\,]+|\\.|[\\,]"
_MAX_DIGITS = 80


def convert(row: Field, text: str, dialect: Dialect) -> object:
    """Turn the text of one key into its value.

    Raises:
        BadValueError: the text is not of the row's kind or out of its range.
    """
    if not text and dialect is Dialect.NEW:
        return row.default  # an empty value leaves the default, since frp 0.36
    return _CONVERTERS[row.kind](row, text, dialect)


def accepted(row: Field) -> str:
    """What the key takes, for messages and for the manual."""
    if row.choices:
        return ", ".join(row.choices)
    if row.kind in (Kind.PORT, Kind.INT, Kind.FLOAT):
        return _number_range(row)
    return _ACCEPTED.get(row.kind, str(row.kind.value))


def default_text(row: Field) -> str:
    """A row's default as one would write it in a file; empty when there is nothing to write."""
    value = row.default
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Bandwidth):
        return value.text
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if row.kind is Kind.MAP else str(value)


def since_text(row: Field) -> str:
    """Which versions know the key, in words."""
    if row.since == OWN:
        return "frpd only"
    if row.since == SEED:
        return f"frp to {row.until}" if row.until else "any frp"
    return f"frp {row.since} to {row.until}" if row.until else f"since frp {row.since}"


def _number_range(row: Field) -> str:
    low, high = row.low, row.high
    if row.kind is Kind.PORT:
        low, high = low or 0, ports.MAX_PORT
    what = "a number" if row.kind is Kind.FLOAT else "a whole number"
    if low is not None and high is not None:
        return f"{what} from {low:g} to {high:.15g}"
    if low is not None:
        return f"{what}, {low:g} or more"
    return what


def _text(row: Field, text: str, _dialect: Dialect) -> str:
    if row.choices and text and text not in row.choices:
        raise BadValueError(accepted(row))
    if not text and row.choices and "" not in row.choices:
        return str(row.default) if row.fallback is None else row.fallback
    return text


def _addr(_row: Field, text: str, _dialect: Dialect) -> str:
    # To 0.35 an IPv6 address had to stand in brackets, since 0.36 it must not: both are read.
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _secret(_row: Field, text: str, _dialect: Dialect) -> Secret:
    return Secret(text)


def _bool(row: Field, text: str, dialect: Dialect) -> bool:
    if dialect is Dialect.OLD:  # only the text that differs from the default counts
        return text != "false" if row.default else text == "true"
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise BadValueError("true or false")


def _int(row: Field, text: str, dialect: Dialect) -> int:
    value = _decimal(text) if dialect is Dialect.OLD else _go_number(text)
    if value is None or not -(2**63) <= value < 2**63:
        raise BadValueError(accepted(row))
    _check_range(row, value)
    return value


def _decimal(text: str) -> int | None:
    return int(text) if re.fullmatch(_DECIMAL, text) else None


def _go_number(text: str) -> int | None:
    """Read a number with Go's base 0: prefixes as Python has them, and 017 is octal."""
    sign, digits = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if len(text) > _MAX_DIGITS or not digits.isascii() or not digits[:1].isdigit():
        return None
    if digits[0] == "0" and digits[1:2] and digits[1] in "01234567_":
        digits = f"0o{digits[1:]}"
    if not digits[-1].isalnum():  # int() would strip white space
        return None
    try:
        return int(sign + digits, 0)
    except ValueError:
        return None


def _float(row: Field, text: str, _dialect: Dialect) -> float:
    if not re.fullmatch(_FRACTION, text):
        raise BadValueError(accepted(row))
    value = float(text)
    _check_range(row, value)
    return value


def _check_range(row: Field, value: float) -> None:
    low = row.low if row.low is not None else -math.inf
    high = row.high if row.high is not None else math.inf
    if row.kind is Kind.PORT:
        low, high = row.low or 0, ports.MAX_PORT
    if not low <= value <= high:
        raise BadValueError(accepted(row))


def split_list(text: str, dialect: Dialect) -> list[str]:
    r"""Split a list value at its commas, every item trimmed.

    NEW reads ``\,`` as a comma inside an item and ``\\`` as one backslash, and drops an empty
    last item; OLD knows neither.
    """
    if dialect is Dialect.OLD:
        return [item.strip(WHITE) for item in text.split(",")]
    items: list[str] = []
    item = ""
    for part in re.findall(_LIST_PARTS, text):
        if part == ",":
            items.append(item.strip(WHITE))
            item = ""
        elif part != "\\":  # a lone backslash at the end is dropped
            item += part[1:] if part in ("\\,", "\\\\") else part
    if item:
        items.append(item.strip(WHITE))
    return items


def _list(_row: Field, text: str, dialect: Dialect) -> tuple[str, ...]:
    return tuple(split_list(text, dialect))


def _domains(_row: Field, text: str, dialect: Dialect) -> tuple[str, ...]:
    return tuple(item.lower() for item in split_list(text, dialect))


def _ports(row: Field, text: str, _dialect: Dialect) -> PortSet:
    try:
        return PortSet.parse(text)
    except ValueError as error:
        raise BadValueError(f"{accepted(row)}; {error}") from error


def _bandwidth(row: Field, text: str, _dialect: Dialect) -> Bandwidth:
    quantity = parse_bandwidth(text)
    if quantity is None:
        raise BadValueError(accepted(row))
    return quantity


def parse_bandwidth(text: str) -> Bandwidth | None:
    """Return a limit such as ``512KB``, "" for none; None if it cannot be read."""
    match = re.fullmatch(_QUANTITY, text)
    if match is None:
        return None if text else NO_LIMIT
    unit = KIB if match[2] == "KB" else MIB
    return Bandwidth(text, int(float(match[1]) * unit))


def _penalties(row: Field, text: str, _dialect: Dialect) -> penalties.PenaltyRules:
    try:
        return penalties.PenaltyRules.parse(text)
    except ValueError as error:
        raise BadValueError(f"{accepted(row)}; {error}") from error


def _net_blocks(row: Field, text: str, _dialect: Dialect) -> penalties.NetBlockSize:
    try:
        return penalties.NetBlockSize.parse(text)
    except ValueError as error:
        raise BadValueError(f"{accepted(row)}; {error}") from error


def _never(_row: Field, _text: str, _dialect: Dialect) -> Params:
    raise AssertionError("the keys of a MAP are gathered, not converted")


_CONVERTERS = {
    Kind.STR: _text,
    Kind.ADDR: _addr,
    Kind.SECRET: _secret,
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.FLOAT: _float,
    Kind.PORT: _int,
    Kind.LIST: _list,
    Kind.DOMAINS: _domains,
    Kind.PORTS: _ports,
    Kind.BANDWIDTH: _bandwidth,
    Kind.PENALTIES: _penalties,
    Kind.NET_BLOCKS: _net_blocks,
    Kind.MAP: _never,
}
