from __future__ import annotations

import re
from pathlib import Path

import pytest

from frpd import __version__
from frpd.config.argument_specs import Option, main, rendered, role_options, specification
from frpd.config.fields import (
    CLIENT,
    PLUGINS,
    PROXY,
    PROXY_TYPES,
    SERVER,
    SERVER_PLUGIN,
    USER,
    VISITOR,
    VISITOR_TYPES,
)
from frpd.config.kinds import Field, Kind, State

ROOT = Path(__file__).parents[3]


def options_of(role: str, section: str) -> dict[str, Option]:
    instances = role_options(role)[0]
    (found,) = (option for option in instances.options if option.name == section)
    return {option.name: option for option in found.options}


@pytest.mark.parametrize("path", rendered(ROOT), ids=lambda path: path.parts[-3])
def test_specification_is_up_to_date(path: Path) -> None:
    """Run `python -m frpd.config.argument_specs` after a change of the key table."""
    assert path.read_text("utf-8") == rendered(ROOT)[path]


@pytest.mark.parametrize(
    ("role", "section", "rows"),
    [
        ("frps", "common", SERVER),
        ("frps", "plugins", SERVER_PLUGIN),
        ("frps", "users", USER),
        ("frpc", "common", CLIENT),
        ("frpc", "proxies", [PROXY, *PROXY_TYPES.values(), *PLUGINS.values()]),
        ("frpc", "visitors", [VISITOR, *VISITOR_TYPES.values()]),
    ],
    ids=["frps", "plugins", "users", "frpc", "proxies", "visitors"],
)
def test_every_key_can_be_given(role: str, section: str, rows: list[object]) -> None:
    options = options_of(role, section)
    flat = [row for group in rows for row in (group if isinstance(group, tuple) else [group])]
    for row in flat:
        assert isinstance(row, Field)
        if row.state is State.IGNORED or row.name in ("role", "plugin_"):
            continue
        option = options[row.name.removesuffix("_") if row.kind is Kind.MAP else row.name]
        assert option.secret == (row.kind is Kind.SECRET)
        assert (option.type == "dict") == (row.kind is Kind.MAP)


def test_ports_of_a_range_section_can_be_given() -> None:
    proxy = options_of("frpc", "proxies")
    assert {proxy[name].type for name in ("local_port", "remote_port")} == {"str"}


def test_a_key_says_for_which_sections_it_is() -> None:
    assert options_of("frpc", "proxies")["locations"].doc.endswith("For type http.")
    assert "plugin socks5" in options_of("frpc", "proxies")["plugin_user"].doc


def test_the_collection_has_the_version_of_frpd() -> None:
    text = (ROOT / "ansible" / "galaxy.yml").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in text


def test_a_choice_that_yaml_takes_for_a_truth_value_is_in_quotes() -> None:
    text = specification("frps")
    assert '"off"' in text
    assert not re.search(r"choices: .*[\[ ](off|on|yes|no)[,\]]", text)


def test_check_reports_and_writing_repairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert "differs" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
