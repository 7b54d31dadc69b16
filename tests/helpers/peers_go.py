"""The Go programs that the interop tests run beside ours."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.programs import BIN


@dataclass(frozen=True, slots=True)
class GoPeer:
    """One version of Go frp."""

    version: str
    folder: Path

    @property
    def number(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(part) for part in self.version.split("."))

    def folders(self, go_end: str) -> tuple[Path, Path]:
        """Return the folders of frps and frpc when the Go program is that one."""
        return (self.folder, BIN) if go_end == "frps" else (BIN, self.folder)

    def client_settings(self, go_end: str) -> dict[str, object]:
        """Return what frpc needs beside the usual: newer ones would speak TLS."""
        return {"tls_enable": False} if go_end == "frpc" and self.number >= (0, 25) else {}


def go_peers(folder: str) -> list[GoPeer]:
    """Return the versions in a folder, oldest first, each once."""
    if not folder:
        return []
    root = Path(folder)
    found: dict[str, GoPeer] = {}
    for place in (root, *sorted(root.iterdir())):
        program = place / "frps"
        if program.is_file() and (place / "frpc").is_file():
            said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
            version = said.stdout.strip()
            found.setdefault(version, GoPeer(version, place))
    return sorted(found.values(), key=lambda peer: peer.number)
