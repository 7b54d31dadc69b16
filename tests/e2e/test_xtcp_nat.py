"""xtcp through real NATs: OpenSSH by a hole where one can be punched, by the server elsewhere."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.helpers.nat_lab import KINDS, need_nat_lab
from tests.helpers.xtcp_lab import finds_its_way

if TYPE_CHECKING:
    from pathlib import Path

# A symmetric NAT has another port for each peer: nobody who lets in known ports only can be
# told beforehand which one it will be. Guessing may succeed, and is no promise.
_DEAF = {frozenset(("symmetric", "cone")), frozenset(("symmetric",))}
PAIRS = list(itertools.product(KINDS, repeat=2))
NO_WAY = [pair for pair in PAIRS if "blocked" in pair or frozenset(pair) in _DEAF]
SAID = {
    ("symmetric", "symmetric"): "no hole between our NAT, HardNAT .*, and the other one, HardNAT",
}
PUNCHED = [pair for pair in PAIRS if pair not in NO_WAY]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for one scenario, on a machine where there can be a lab."""
    need_nat_lab()
    return tmp_path


def test_ssh_through_two_ordinary_nats(folder: Path) -> None:
    pair = "cone", "cone"
    finds_its_way(folder, pair, {"protocol": "kcp"}, said="tunnel opened: kcp")


@pytest.mark.full
@pytest.mark.timeout(200)
@pytest.mark.parametrize("protocol", ["kcp", "quic"])
@pytest.mark.parametrize("pair", PUNCHED, ids="_".join)
def test_ssh_through_every_pair_that_can_be_punched(
    folder: Path, pair: tuple[str, str], protocol: str
) -> None:
    if protocol == "quic":
        pytest.importorskip("aioquic")
    finds_its_way(folder, pair, {"protocol": protocol}, said=f"tunnel opened: {protocol}")


@pytest.mark.full
@pytest.mark.timeout(200)
@pytest.mark.parametrize("pair", NO_WAY, ids="_".join)
def test_ssh_falls_back_where_there_is_no_way(folder: Path, pair: tuple[str, str]) -> None:
    fallback = {"fallback_to": "relayed", "fallback_timeout_ms": 3000}
    finds_its_way(folder, pair, fallback, said=SAID.get(pair, ""))
