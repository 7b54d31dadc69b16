"""The user and password that a plugin demands of its visitors."""

from __future__ import annotations

import hmac

from frpd.config.params import Params


class Login:
    """One user and one password, compared in constant time.

    As in frp, either of them being set is a demand for both.

    Args:
        params: of the plugin.
        user_key: its key for the user.
        password_key: its key for the password.
    """

    __slots__ = ("_password", "_user")

    def __init__(self, params: Params, user_key: str, password_key: str) -> None:
        self._user = _octets(params.get(user_key, ""))
        self._password = _octets(params.get(password_key, ""))

    @property
    def is_demanded(self) -> bool:
        """Whether anything was configured."""
        return bool(self._user or self._password)

    def admits(self, user: bytes, password: bytes) -> bool:
        """Tell whether both are right; takes the same time whatever is wrong with them."""
        right_user = hmac.compare_digest(user, self._user)
        return hmac.compare_digest(password, self._password) and right_user


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
