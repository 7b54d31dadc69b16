"""frpd.config.plugins: what is said about a client plugin, and that it never ends a load."""

from __future__ import annotations

import pytest

from frpd.config.fields import PLUGINS, PROXY
from frpd.config.kinds import Kind
from frpd.config.plugins import check_plugin
from tests.unit.config.sections import Opened


def said(text: str) -> list[str]:
    """Check a section [a]; return the warnings."""
    opened = Opened(f"[a]\n{text}", "a")
    values = opened.reader.read(PROXY)
    check_plugin(values, opened.reader)
    assert opened.errors == []
    assert opened.problems.refusals == []
    return opened.warnings


def everything(plugin: str) -> str:
    """All keys that a plugin takes."""
    lines = (
        f"{row.name}{row.sample}" if row.kind is Kind.MAP else f"{row.name} = x"
        for row in PLUGINS[plugin]
    )
    return "\n".join((f"plugin = {plugin}", *lines))


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_with_all_its_keys_is_fine(plugin: str) -> None:
    assert said(everything(plugin)) == []


def test_a_plugin_unlike_all_others_is_answered_with_the_list() -> None:
    assert said("\nplugin = zzz\nplugin_x = 1\n") == [
        (
            "x.ini:3 [a] plugin: plugin [zzz] is not registered; known: http_proxy, socks5,"
            " static_file, unix_domain_socket, https2http, http2https, https2https, http2http,"
            " tls2raw"
        )
    ]


@pytest.mark.parametrize("value", ["", "plugin_unix_path =\n"])
def test_a_required_key_without_a_value_is_missing(value: str) -> None:
    assert said(f"plugin = unix_domain_socket\n{value}") == [
        (
            "x.ini:2 [a] plugin: plugin unix_domain_socket needs plugin_unix_path;"
            " the proxy will not start"
        )
    ]


def test_a_key_of_another_plugin_is_pointed_out_where_it_stands_without_its_value() -> None:
    assert said("plugin = socks5\n\nplugin_http_passwd = hunter2\n") == [
        (
            "x.ini:4 [a] plugin_http_passwd: plugin socks5 does not know this key;"
            " did you mean plugin_passwd?"
        )
    ]
    assert said("plugin = socks5\nplugin_zzzzzzzz = 1\n") == [
        "x.ini:3 [a] plugin_zzzzzzzz: plugin socks5 does not know this key"
    ]


def test_headers_belong_only_to_plugins_that_set_headers() -> None:
    text = "plugin_local_addr = h:1\nplugin_header_X = y\n"
    assert said(f"plugin = https2http\n{text}") == []
    assert any("plugin_header_X" in line for line in said(f"plugin = static_file\n{text}"))


def test_a_section_without_a_plugin_is_not_looked_at() -> None:
    assert said("local_port = 1\nplugin_user = u\n") == []


def params(text: str) -> dict[str, str]:
    """Check a section [a]; return what the plugin is given."""
    opened = Opened(f"[a]\n{text}", "a")
    values = opened.reader.read(PROXY)
    check_plugin(values, opened.reader)
    return dict(values["plugin_params"])


@pytest.mark.parametrize(
    ("plugin", "needed"), [("http_proxy", {}), ("static_file", {"plugin_local_path": "/srv"})]
)
def test_the_password_may_have_its_name_of_the_newer_formats(
    plugin: str, needed: dict[str, str]
) -> None:
    lines = "".join(f"{key} = {value}\n" for key, value in needed.items())
    text = f"plugin = {plugin}\n{lines}plugin_http_user = u\nplugin_http_password = p\n"
    assert params(text) == {**needed, "plugin_http_user": "u", "plugin_http_passwd": "p"}
    assert said(text) == []


def test_the_login_of_socks5_may_have_its_names_of_the_newer_formats() -> None:
    text = "plugin = socks5\nplugin_username = u\nplugin_password = p\n"
    assert params(text) == {"plugin_user": "u", "plugin_passwd": "p"}
    assert said(text) == []


def test_of_two_names_with_two_values_the_first_counts_and_no_value_is_shown() -> None:
    text = "plugin = socks5\nplugin_password = hunter2\nplugin_passwd = hunter3\n"
    assert params(text) == {"plugin_passwd": "hunter3"}
    assert said(text) == [
        (
            "x.ini:3 [a] plugin_password: has no effect beside plugin_passwd,"
            " which says something else"
        )
    ]
