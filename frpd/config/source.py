"""Read configuration files: bytes to rendered lines, and the files that `includes` names."""

from __future__ import annotations

import fnmatch
import os
from typing import TYPE_CHECKING

from frpd.config.template import Line, render
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frpd.config.problems import Problems

MAX_BYTES = 32 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


def read_lines(path: str, environ: Mapping[str, str], problems: Problems) -> list[Line]:
    """Read one file and render its templates.

    Raises:
        ConfigError: unreadable (in Go's wording, as scripts know it), not a text file, or a
            template that we do not serve.
    """
    data = _read_bytes(path)
    if b"\0" in data:
        raise ConfigError("not a text file: it has zero bytes (UTF-8 is accepted)", path=path)
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    return render(text, path, environ, problems)


def _read_bytes(path: str) -> bytes:
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (two steps, two messages)
    except (OSError, ValueError) as error:
        raise _unreadable("read" if os.path.isdir(path) else "open", path, error) from error
    with file:
        try:
            data = _read_all(file.fileno())
        except OSError as error:
            raise _unreadable("read", path, error) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES} bytes", path=path)
    return data


def _read_all(fd: int) -> bytes:
    """Everything up to one byte above the limit; a pipe gives its text in several reads."""
    chunks: list[bytes] = []
    left = MAX_BYTES + 1
    while left and (chunk := os.read(fd, min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _unreadable(verb: str, path: str, error: OSError | ValueError) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "invalid argument"
    result = ConfigError(f"{verb} {path}: {reason.lower()}")
    result.path = path
    return result


def included_files(items: Sequence[str], start: str = "") -> list[str]:
    """The files that the items of `includes` name, in order.

    The last part of an item is a pattern; relative ones start at the working directory, as in
    frp, or at ``start``. A pattern without a match is fine.

    Raises:
        ConfigError: the folder of an item does not exist or cannot be listed.
    """
    found: list[str] = []
    for item in items:
        folder, pattern = os.path.split(item)
        folder = os.path.abspath(os.path.join(start, folder))
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            message = f"include: directory of {item} not exist"
            raise ConfigError(message, section="common", key="includes") from error
        except OSError as error:
            raise _unreadable("open", folder, error) from error
        pattern = pattern.replace("[^", "[!")  # Go's way to write a negated class
        found += [
            entry.path
            for entry in entries
            if not entry.is_dir() and fnmatch.fnmatchcase(entry.name, pattern)
        ]
    return found
