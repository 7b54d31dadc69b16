"""Who may use a server: one file per method, and the table of methods.

A method gives the client the fields to fill in and lets the server check
them. It knows no messages, only objects with those fields.
"""

from __future__ import annotations

from typing import Final

from frpd.auth.oidc import OidcAuthenticator
from frpd.auth.token import TokenAuthenticator

AUTHENTICATORS: Final = {
    "oidc": OidcAuthenticator,
    "token": TokenAuthenticator,
}
"""By the value of ``authentication_method``."""
