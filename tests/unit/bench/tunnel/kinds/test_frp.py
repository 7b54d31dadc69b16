from __future__ import annotations

from configparser import ConfigParser

from bench.tunnel.kinds.frp import client_ini, server_ini
from bench.tunnel.settings import Proxy, Setting
from tests.unit.bench.tunnel.kinds.tasks import PORTS


def read_ini(text: str) -> ConfigParser:
    parser = ConfigParser()
    parser.read_string(text)
    return parser


def test_ini_files_are_what_frp_reads() -> None:
    setting = Setting(Proxy("sink", lines=("use_encryption = true",)), tcp_mux=False, pool=9)
    server = read_ini(server_ini(setting, PORTS))
    client = read_ini(client_ini(setting, PORTS, ("native = off",)))
    assert server["common"]["tcp_mux"] == client["common"]["tcp_mux"] == "false"
    assert server["common"]["token"] == client["common"]["token"]
    assert client["common"]["pool_count"] == "9"
    assert client["common"]["native"] == "off"
    assert client["measured"]["local_port"] == "4"
    assert client["measured"]["remote_port"] == "8"
    assert client["measured"]["use_encryption"] == "true"
    assert client["probe"]["remote_port"] == "7"


def test_virtual_host_is_served_only_where_it_is_measured() -> None:
    plain, vhost = Setting(Proxy("web")), Setting(Proxy("web", kind="http"))
    assert "vhost_http_port" not in server_ini(plain, PORTS)
    assert "vhost_http_port = 2" in server_ini(vhost, PORTS)
    assert "remote_port = 8" not in client_ini(vhost, PORTS)
