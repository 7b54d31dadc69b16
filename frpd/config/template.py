"""The template step: ``{{ .Envs.NAME }}`` is replaced before the ini text is read.

Go frp (0.24 and later) runs the whole file through text/template; we serve the one construct
that ini files use and refuse every other by name, rather than read it as plain text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from frpd.config.problems import Origin, Problems, located

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSET = "<no value>"
_BLANK = " \t\r\n"
# An action may trim the white space around it: "{{- " before, " -}}" behind.
_ACTION = r"(?s)\{\{(?P<left>-[ \t\r\n])?(?P<body>.*?)(?P<right>[ \t\r\n]-)?\}\}"
_ENVS = r"[ \t\r\n]*\.Envs\.([^\W\d]\w*)[ \t\r\n]*"


class Line(NamedTuple):
    """One line of text, with its LF, and where it came from."""

    text: str
    origin: Origin


class _Piece(NamedTuple):
    text: str
    line: int  # where the piece begins in the file
    literal: bool  # a line end inside counts as one of the file


def render(text: str, path: str, environ: Mapping[str, str], problems: Problems) -> list[Line]:
    """Replace the templates and cut the result into lines that remember the file's numbering.

    Raises:
        ConfigError: a construct that is not ``{{ .Envs.NAME }}``.
    """
    return _cut(_pieces(text, path, environ, problems), path)


def _pieces(text: str, path: str, environ: Mapping[str, str], problems: Problems) -> list[_Piece]:
    pieces: list[_Piece] = []
    at, line, trim = 0, 1, False
    while (start := text.find("{{", at)) >= 0:
        here = line + text.count("\n", at, start)
        action = re.compile(_ACTION).match(text, start)
        if action is None:
            raise located("template action is not closed by }}", Origin(path, here), None, None)
        pieces.append(_literal(text[at:start], line, trim, bool(action["left"])))
        pieces.append(_Piece(_value(action, Origin(path, here), environ, problems), here, False))
        trim = bool(action["right"])
        at, line = action.end(), here + action[0].count("\n")
    pieces.append(_literal(text[at:], line, trim, False))
    return pieces


def _literal(text: str, line: int, trim_left: bool, trim_right: bool) -> _Piece:
    if trim_left:
        kept = text.lstrip(_BLANK)
        line += text.count("\n", 0, len(text) - len(kept))
        text = kept
    return _Piece(text.rstrip(_BLANK) if trim_right else text, line, True)


def _value(
    action: re.Match[str], origin: Origin, environ: Mapping[str, str], problems: Problems
) -> str:
    name = re.fullmatch(_ENVS, action["body"])
    if name is None:
        shown = " ".join(action[0].split())[:80]
        message = f"template {shown!r} is not supported; accepted: {{{{ .Envs.NAME }}}}"
        raise located(message, origin, None, None)
    if name[1] not in environ:
        problems.warn(f"environment variable {name[1]} is not set, {UNSET!r} is used", origin)
        return UNSET
    return environ[name[1]]


def _cut(pieces: list[_Piece], path: str) -> list[Line]:
    lines: list[Line] = []
    begun, begun_at = "", 0
    for text, line, literal in pieces:
        number = line
        for part in re.findall(r"[^\n]*\n|[^\n]+", text):
            begun_at = begun_at or number
            begun += part
            if part.endswith("\n"):
                lines.append(Line(begun, Origin(path, begun_at)))
                begun, begun_at = "", 0
                number += literal
    if begun:
        lines.append(Line(begun, Origin(path, begun_at)))
    return lines
