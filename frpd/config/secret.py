"""A text that must not be seen: tokens, passwords, keys."""

from __future__ import annotations

import hmac


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Secret:
    """Wraps a secret text so that no log line, repr or traceback shows it by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; bytes of the file that were not UTF-8 are surrogates in it."""
        return self._text

    def matches(self, other: str) -> bool:
        """Compare with a text from outside in time that does not depend on its content."""
        return hmac.compare_digest(_octets(self._text), _octets(other))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self.matches(other._text)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"

    def __str__(self) -> str:
        return "***" if self._text else ""


NO_SECRET = Secret()
