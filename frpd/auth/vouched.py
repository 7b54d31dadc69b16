"""What takes the place of a token for who was recognised before frp was spoken: by an SSH key."""

from __future__ import annotations

from typing import Final

from frpd.auth.token import SecretText, SignedLogin, TokenAuthenticator, check_version


class _NoToken(SecretText):
    def reveal(self) -> str:
        return ""


class Vouched(TokenAuthenticator):
    """Asks nobody for a key."""

    __slots__ = ()

    def verify_login(
        self, login: SignedLogin, now_unix: int, *, proves_later: bool = False
    ) -> None:
        """See TokenAuthenticator.verify_login; of all that the version is left."""
        check_version(login.version)


VOUCHED: Final = Vouched(_NoToken(), 0)
