"""frpd.client.reload: what becomes of whom, decided from two setups alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.client.reload import Changes, compare, diff, for_user, not_live
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.params import Params
from frpd.config.proxies import (
    HttpProxyConfig,
    ProxyConfig,
    StcpProxyConfig,
    TcpProxyConfig,
    UdpProxyConfig,
)
from frpd.config.secret import Secret
from frpd.config.visitors import StcpVisitorConfig

WEB = TcpProxyConfig(name="web", section="web", local_port=80, remote_port=6000)
SSH = TcpProxyConfig(name="ssh", section="ssh", local_port=22, remote_port=6001)
DNS = UdpProxyConfig(name="dns", section="dns", local_port=53, remote_port=6002)
VAULT = StcpVisitorConfig(name="v", section="v", server_name="vault", bind_port=9000)


def test_everybody_is_in_exactly_one_group() -> None:
    changes = diff([WEB, SSH, DNS], [replace(SSH, remote_port=7001), WEB, replace(DNS, name="new")])
    assert changes == Changes(
        added=("new",), removed=("dns",), changed=("ssh",), unchanged=("web",)
    )
    assert changes.gone == ("dns", "ssh")
    assert changes.fresh == {"new", "ssh"}


def test_the_order_of_sections_means_nothing() -> None:
    assert diff([WEB, SSH, DNS], [DNS, SSH, WEB]) == Changes(unchanged=("dns", "ssh", "web"))


def test_another_type_is_a_change() -> None:
    other = UdpProxyConfig(name="web", section="web", local_port=80, remote_port=6000)
    assert diff([WEB], [other]).changed == ("web",)


HTTP = HttpProxyConfig(
    name="http",
    section="http",
    custom_domains=("a.example",),
    http_pwd=Secret("one"),
    headers=Params({"a": "1", "b": "2"}),
)


@pytest.mark.parametrize(
    "other",
    [
        replace(HTTP, http_pwd=Secret("two")),
        replace(HTTP, headers=Params({"a": "1", "b": "3"})),
        replace(HTTP, custom_domains=("b.example",)),
        replace(HTTP, plugin="static_file", plugin_params=Params({"plugin_local_path": "/srv"})),
        replace(HTTP, use_compression=True),
    ],
)
def test_any_setting_counts(other: ProxyConfig) -> None:
    assert diff([HTTP], [other]).changed == ("http",)


def test_equal_settings_are_no_change_though_they_were_read_anew() -> None:
    again = replace(HTTP, http_pwd=Secret("one"), headers=Params({"b": "2", "a": "1"}))
    assert diff([HTTP], [again]).unchanged == ("http",)


def test_a_section_may_become_a_visitor() -> None:
    common = ClientConfig()
    owner = StcpProxyConfig(name="v", section="v", sk=Secret("k"))
    changes = compare(
        ClientSetup(common=common, proxies=(owner,)),
        ClientSetup(common=common, visitors=(VAULT,)),
    )
    assert changes.proxies == Changes(removed=("v",))
    assert changes.visitors == Changes(added=("v",))


def test_what_needs_a_restart_is_named_in_the_order_of_the_keys() -> None:
    old = ClientConfig(token=Secret("a"), metas=Params({"a": "1"}))
    new = replace(old, token=Secret("b"), metas=Params(), pool_count=5, server_addr="frp.example")
    assert not_live(old, new) == ("server_addr", "token", "pool_count", "metas")


def test_what_a_reload_honours_is_not_named() -> None:
    old = ClientConfig()
    new = replace(old, start=("web",), includes=("/etc/frp/*.ini",), log_level="debug")
    assert not_live(old, new) == ()


def test_names_stay_those_of_the_user_who_logged_in() -> None:
    read = ClientSetup(
        common=ClientConfig(user="new"),
        proxies=(replace(WEB, name="new.web"),),
        visitors=(
            replace(VAULT, name="new.v", server_name="new.vault"),
            replace(VAULT, name="new.w", section="w", server_user="bob", server_name="bob.vault"),
        ),
    )
    meant = for_user(read, "old")
    assert [config.name for config in meant.proxies] == ["old.web"]
    assert [config.name for config in meant.visitors] == ["old.v", "old.w"]
    assert [config.server_name for config in meant.visitors] == ["old.vault", "bob.vault"]
    assert for_user(read, "new") is read


def test_a_user_may_have_had_no_name() -> None:
    read = ClientSetup(common=ClientConfig(), proxies=(WEB,), visitors=(VAULT,))
    named = for_user(read, "me")
    assert named.proxies[0].name == "me.web"
    assert named.visitors[0].server_name == "me.vault"
    back = for_user(replace(named, common=ClientConfig(user="me")), "")
    assert back.proxies == read.proxies
    assert back.visitors == read.visitors
