"""How each kind of field is read from JSON and written to it, as Go does.

Built once, at import, from the annotations in frpd.proto.message.types: a
record table per dataclass, and per field one function that reads and one that
writes. Input is what a JSON parser made with an object as a tuple of pairs, so
that repeated names are seen in their order: Go lets the last one win, except
that objects and maps merge and that null leaves a plain value as it was.
Knows nothing of frames.
"""

from __future__ import annotations

import binascii
import dataclasses
import json
import math
import re
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from frpd.proto.message import types

Read = Callable[[Any, Any], object]
"""From a parsed JSON value and the value so far to the new value; WrongTypeError if it cannot."""
Write = Callable[[Any], str]

INT64: Final = range(-(2**63), 2**63)
UINT16: Final = range(2**16)

_SURROGATE = re.compile("[\ud800-\udfff]")
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class WrongTypeError(Exception):
    """A JSON value does not fit its field; the text says what it is not."""


class Field(NamedTuple):
    """One attribute of a record, its name in JSON and how it travels."""

    attribute: str
    json_name: str
    always: bool
    read: Read
    write: Write


class Record:
    """The fields of one dataclass, by JSON name."""

    __slots__ = ("_fields", "_folded", "_prefixed", "cls")

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        fields = [_field(item) for item in dataclasses.fields(cls)]
        self._fields = {item.json_name: item for item in fields}
        self._folded = {item.json_name.lower(): item for item in fields}
        self._prefixed = [
            (item.attribute, f'"{item.json_name}":', item.always, item.write) for item in fields
        ]

    def read(self, pairs: tuple[tuple[str, Any], ...], into: object) -> None:
        """Set on ``into`` every field that ``pairs`` has; ignore other names.

        Raises:
            WrongTypeError: a value does not fit; the text names the field.
        """
        exact = self._fields
        for name, value in pairs:
            found = exact.get(name) or self._folded.get(_fold(name))
            if found is None:
                continue
            attribute = found.attribute
            try:
                setattr(into, attribute, found.read(value, getattr(into, attribute)))
            except WrongTypeError as error:
                raise WrongTypeError(f"{found.json_name}: {error}") from None

    def write(self, record: object) -> str:
        """Return ``record`` as compact JSON without its zero values."""
        parts = []
        for attribute, prefix, always, write in self._prefixed:
            value = getattr(record, attribute)
            if value or always:
                parts.append(prefix + write(value))
        return "{" + ",".join(parts) + "}"


def _fold(name: str) -> str:
    """Fold case as Go does: ASCII, and the two letters outside that fold into it.

    The Kelvin sign becomes k by lower() alone; the long s has to be named.
    """
    return name.lower().replace("\u017f", "s")


def _read_str(value: object, previous: object) -> object:
    if type(value) is str:
        # An unpaired surrogate escape is legal JSON; Go puts the replacement
        # character there, and no later encoding of ours could fail on it.
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if value is None:
        return previous
    raise WrongTypeError("not a string")


def _read_bool(value: object, previous: object) -> object:
    if type(value) is bool:
        return value
    if value is None:
        return previous
    raise WrongTypeError("not true or false")


def _read_int(value: object, previous: object) -> object:
    if type(value) is int and value in INT64:
        return value
    if value is None:
        return previous
    raise WrongTypeError("not an integer of 64 bits")


def _read_uint16(value: object, previous: object) -> object:
    if type(value) is int and value in UINT16:
        return value
    if value is None:
        return previous
    raise WrongTypeError("not an integer from 0 to 65535")


def _read_bytes(value: object, previous: object) -> object:
    if type(value) is str:
        try:  # Go's decoder skips line ends and nothing else
            text = value.replace("\r", "").replace("\n", "")
            return binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise WrongTypeError("not base64") from None
    if value is None:
        return previous
    raise WrongTypeError("not a string")


def _read_str_list(value: object, _previous: object) -> object:
    if type(value) is list:
        return [_read_str(item, "") for item in value]
    if value is None:
        return []
    raise WrongTypeError("not a list")


def _read_str_map(value: object, previous: dict[object, object]) -> object:
    if type(value) is tuple:
        for name, item in value:
            previous[_read_str(name, "")] = _read_str(item, "")
        return previous
    if value is None:
        return {}
    raise WrongTypeError("not an object")


def _read_free_object(value: object, _previous: object) -> object:
    """Read our own negotiation object; anything else, and an empty one, counts as absent."""
    return _plain(value) if type(value) is tuple and value else None


def _plain(value: object) -> object:
    if type(value) is tuple:
        return {_read_str(name, ""): _plain(item) for name, item in value}
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is float and not math.isfinite(value):
        raise WrongTypeError("holds a number beyond 64 bits")  # it could not be written again
    return _read_str(value, "") if type(value) is str else value


def _record_reader(record: Record, *, null_clears: bool) -> Read:
    def read(value: object, previous: object) -> object:
        if type(value) is tuple:
            into = record.cls() if previous is None else previous
            record.read(value, into)
            return into
        if value is None:
            return None if null_clears else previous
        raise WrongTypeError("not an object")

    return read


def _record_list_reader(record: Record) -> Read:
    read_one = _record_reader(record, null_clears=False)

    def read(value: object, _previous: object) -> object:
        if type(value) is list:
            return [read_one(item, record.cls()) for item in value]
        if value is None:
            return []
        raise WrongTypeError("not a list")

    return read


def _write_bool(value: bool) -> str:
    return "true" if value else "false"


def _write_bytes(value: bytes) -> str:
    return '"' + binascii.b2a_base64(value, newline=False).decode("ascii") + '"'


def _record_list_writer(record: Record) -> Write:
    def write(value: list[object]) -> str:
        return "[" + ",".join(map(record.write, value)) + "]"

    return write


_KINDS: dict[str, tuple[Read, Write]] = {
    "str": (_read_str, encode_basestring),
    "bool": (_read_bool, _write_bool),
    "int": (_read_int, str),
    "Uint16": (_read_uint16, str),
    "bytes": (_read_bytes, _write_bytes),
    "list[str]": (_read_str_list, _to_json),
    "dict[str, str]": (_read_str_map, _to_json),
    "dict[str, object] | None": (_read_free_object, _to_json),
}
"""By annotation; the rows of nested records are added below, innermost first."""


def _field(item: dataclasses.Field[Any]) -> Field:
    annotation = item.type
    assert isinstance(annotation, str), "frpd.proto.message.types postpones its annotations"
    read, write = _KINDS[annotation]
    name = item.metadata.get("json", item.name)
    return Field(item.name, name, item.metadata.get("always", False), read, write)


def _add_nested() -> None:
    ports = Record(types.PortsRange)
    _KINDS["list[PortsRange]"] = (_record_list_reader(ports), _record_list_writer(ports))
    for cls, null_clears in (
        (types.ClientSpec, False),
        (types.DetectBehavior, False),
        (types.UdpAddress, True),  # a pointer in Go; the other two are plain structs
    ):
        record = Record(cls)
        _KINDS[f"{cls.__name__} | None"] = (
            _record_reader(record, null_clears=null_clears),
            record.write,
        )


_add_nested()

RECORDS: dict[int, Record] = {byte: Record(cls) for byte, cls in types.MESSAGES.items()}
"""By type byte."""
