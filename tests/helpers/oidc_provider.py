"""An OIDC provider on a loopback port: discovery, keys, and tokens for client credentials."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET, AUDIENCE = "frpc", "s#c;r'et", "frp"


class OidcProvider:
    """Signs with RS256 until it is closed.

    Attributes:
        forms: of token requests.
        claims: what tokens say beside the usual.
        lives_seconds: how long a token holds; None says nothing of it.
    """

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.claims: dict[str, Any] = {}
        self.lives_seconds: int | None = 300
        self.looks = 0
        self.in_form_only = False
        self.rotate("one")
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.looks += self.path == "/jwks"
                self._say(200, provider.documents().get(self.path, {}))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                pair = base64.b64encode(f"{CLIENT}:s%23c%3Br%27et".encode()).decode()
                in_form = (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
                in_header = self.headers.get("Authorization") == f"Basic {pair}"
                if in_form or (in_header and not provider.in_form_only):
                    provider.forms.append(form)
                    self._say(200, provider.answer(form))
                else:
                    self._say(401, {"error": "invalid_client"})

            def _say(self, status: int, answer: dict[str, Any]) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.token_url = f"{self.issuer}/token"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on."""
        self._key_id = key_id
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def documents(self) -> dict[str, dict[str, Any]]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        keys = [{"kty": "oct", "k": "AA"}, public | {"kid": self._key_id, "alg": "RS256"}]
        place = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
        place |= {"token_endpoint": self.token_url}
        place |= {"authorization_endpoint": self.token_url}
        return {"/.well-known/openid-configuration": place, "/jwks": {"keys": keys}}

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        said = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ann", "exp": now + 300, "iat": now}
        headers = {"kid": self._key_id}
        return jwt.encode(said | self.claims | claims, self._key, "RS256", headers)

    def answer(self, form: dict[str, str]) -> dict[str, Any]:
        said = {"access_token": self.token(aud=form.get("audience", "")), "token_type": "Bearer"}
        return said if self.lives_seconds is None else said | {"expires_in": self.lives_seconds}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
