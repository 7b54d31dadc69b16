"""frpd.config.server: what frps runs on cannot be changed, can be compared, and keeps secrets."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from frpd.config.ports import PortSet
from frpd.config.secret import Secret
from frpd.config.server import ServerConfig, ServerPluginConfig


@pytest.mark.parametrize("tcp_mux", [True, False])
@pytest.mark.parametrize("was_set", [True, False])
@pytest.mark.parametrize("seconds", [90, 1, 0, -1])
def test_silence_is_punished_without_mux_or_when_asked_for(
    tcp_mux: bool, was_set: bool, seconds: int
) -> None:
    config = ServerConfig(tcp_mux=tcp_mux, heartbeat_timeout=seconds, heartbeat_timeout_set=was_set)
    enforced = seconds > 0 and (was_set or not tcp_mux)
    assert config.enforced_heartbeat_seconds == (seconds if enforced else None)


@pytest.mark.parametrize(
    ("config", "attribute"), [(ServerConfig(), "bind_port"), (ServerPluginConfig(name="a"), "addr")]
)
def test_a_configuration_in_use_cannot_be_changed(config: object, attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(config, attribute, getattr(config, attribute))


def test_configurations_are_equal_exactly_when_no_setting_differs() -> None:
    config = ServerConfig(
        token=Secret("t"),
        allow_ports=PortSet.parse("1-3"),
        plugins=(ServerPluginConfig(name="a", ops=("Login",)),),
    )
    again = replace(config, allow_ports=PortSet.parse("1,2,3"), token=Secret("t"))
    assert config == again
    assert hash(config) == hash(again)
    assert config != replace(config, token=Secret("u"))
    assert config != replace(config, plugins=(ServerPluginConfig(name="a"),))


def test_repr_can_be_logged() -> None:
    config = ServerConfig(token=Secret("hunter2"), dashboard_pwd=Secret("hunter2"))
    assert "hunter2" not in repr(config)
    assert "bind_port=7000" in repr(config)
