"""The table of targets: one line each, beside one file in fuzz/targets."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
CORPUS: Final = ROOT / "corpus"
FINDINGS: Final = ROOT / "findings"

One = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder.

    Attributes:
        name: of its module in fuzz.targets, and of its folder in the corpus.
        max_bytes: longest input that is tried.
        mutations: how many changed inputs a run of the tests tries.
        needs: libraries that it compares with, which the tests may go without.
    """

    name: str
    max_bytes: int = 1024
    mutations: int = 60
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its corpus lies."""
        return CORPUS / self.name

    def load(self) -> One:
        """Return the function that takes one input, and raises where a promise does not hold."""
        one: One = importlib.import_module(f"fuzz.targets.{self.name}").one
        return one

    def seeds(self) -> Iterator[bytes]:
        """Yield inputs to begin with, which the target's module knows."""
        made: Iterable[bytes] = importlib.import_module(f"fuzz.targets.{self.name}").seeds()
        yield from made

    def words(self) -> tuple[bytes, ...]:
        """Return what inputs are often made of, if the target's module says so."""
        found: tuple[bytes, ...] = getattr(
            importlib.import_module(f"fuzz.targets.{self.name}"), "WORDS", ()
        )
        return found

    def corpus(self) -> list[Path]:
        """Return the files of its corpus, in a fixed order."""
        return sorted(path for path in self.folder.glob("*") if path.is_file())


TARGETS: Final = {
    target.name: target
    for target in (
        Target("messages", 2048),
        Target("yamux", 2048),
        Target("kcp", 4096, 30),
        Target("kcp_parting"),
        Target("snappy", 4096, needs=("cramjam",)),
        Target("deflate", 4096),
        Target("seal", 2048),
        Target("wrappers", 2048, 30),
        Target("http_request", 4096, needs=("h11", "httptools")),
        Target("http_response", 4096, needs=("h11", "httptools")),
        Target("http_body", 2048, needs=("h11", "httptools")),
        Target("http_values", 512),
        Target("http_connect", 1024),
        Target("tls_hello", 1024),
        Target("socks5_client", 600),
        Target("socks5_server", 1200),
        Target("websocket_frames", 2048, needs=("websockets",)),
        Target("websocket_handshake", 2048),
        Target("stun", 600),
        Target("punch", 1024),
        Target("udp_go", 2048),
        Target("udp_binary", 1024),
        Target("proxy_protocol", 600),
        Target("first_bytes", 64),
        Target("native", 1024),
        Target("names", 600),
        Target("ini", 4096, 12),
        Target("ports", 512),
        Target("upstream", 512),
        Target("oidc", 10000, 30, ("jwt",)),
        Target("plugin_answer", 2048),
        Target("admin_input", 1024, 30),
    )
}
"""By name."""
