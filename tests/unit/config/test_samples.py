from __future__ import annotations

import re
from pathlib import Path

import pytest

from frpd.config.load_client import load_client
from frpd.config.load_server import load_server
from frpd.config.proxies import PROXIES, TcpProxyConfig
from frpd.config.samples import main, rendered, tables, with_tables

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "etc" / "frp"


@pytest.mark.parametrize("path", rendered(ROOT), ids=lambda path: path.name)
def test_derived_file_is_up_to_date(path: Path) -> None:
    """Run `python -m frpd.config.samples` after a change of the key table."""
    assert path.read_text("utf-8") == rendered(ROOT)[path]


@pytest.mark.parametrize("suffix", ["", "_full"])
def test_shipped_pair_works_together_without_a_warning(suffix: str) -> None:
    server = load_server(str(SAMPLES / f"frps{suffix}.ini"), environ={}, strict=True).value
    client = load_client(str(SAMPLES / f"frpc{suffix}.ini"), environ={}, strict=True).value
    assert client.common.server_port == server.bind_port
    assert client.common.token == server.token
    assert client.common.server_addr == "127.0.0.1"
    (proxy,) = client.proxies
    assert isinstance(proxy, TcpProxyConfig)
    assert (proxy.name, proxy.local_ip, proxy.local_port, proxy.remote_port) == (
        "web", "127.0.0.1", 8080, 6080,
    )  # fmt: skip


def switched_on(path: Path) -> str:
    text = re.sub(r"(?m)^#(?=\S+ = |\[)", "", path.read_text("utf-8"))
    return re.sub(r"(?m)^token_file = .*", "", text)  # token is there


def test_every_line_of_the_full_server_file_can_be_switched_on(tmp_path: Path) -> None:
    path = tmp_path / "frps.ini"
    path.write_text(switched_on(SAMPLES / "frps_full.ini"))
    loaded = load_server(str(path), environ={})
    assert [text for text in loaded.warnings if "not supported yet" not in text] == []
    assert loaded.value.plugins[0].name == "NAME"


def test_every_line_of_the_full_client_file_can_be_switched_on(tmp_path: Path) -> None:
    path = tmp_path / "frpc.ini"
    text = switched_on(SAMPLES / "frpc_full.ini")
    path.write_text(re.sub(r"(?m)^(start|includes) = .*", "", text))
    loaded = load_client(str(path), environ={})
    assert [text for text in loaded.warnings if "not supported yet" not in text] == []
    assert {proxy.proxy_type for proxy in loaded.value.proxies} == set(PROXIES)
    assert len(loaded.value.visitors) == 3


def test_check_reports_and_writing_repairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "etc" / "frp").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "configuration.md").write_text(
        "".join(f"<!-- keys: {name} -->\n<!-- end -->\n" for name in tables())
    )
    assert main(["--check", str(tmp_path)]) == 1
    assert "frps_full.ini" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0


def test_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no line <!-- keys: frps -->"):
        with_tables("# Configuration\n")
