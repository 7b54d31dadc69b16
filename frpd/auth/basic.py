"""BasicLogin: one user and one password that visitors have to name."""

from __future__ import annotations

import hmac


class BasicLogin:
    """Compares in constant time. As in frp, either of them being set is a demand for both.

    Args:
        user: "" for none.
        password: "" for none.
    """

    __slots__ = ("_password", "_user")

    def __init__(self, user: str, password: str) -> None:
        self._user = _octets(user)
        self._password = _octets(password)

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """Tell whether both are right; takes the same time whatever is wrong with them."""
        if not (self._user or self._password):
            return True
        if credentials is None:
            return False
        user, password = credentials
        right_user = hmac.compare_digest(_octets(user), self._user)
        return hmac.compare_digest(_octets(password), self._password) and right_user


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
