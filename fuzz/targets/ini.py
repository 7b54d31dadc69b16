"""Configuration files: both programs, both dialects, templates, ranges; no environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final
from unittest import mock

from frpd.config import fields, ranges
from frpd.config.load_client import load_client, load_client_common
from frpd.config.load_server import load_server
from frpd.errors import ConfigError
from fuzz.reading import Choices

_ENVIRON: Final = {"NAME": "value"}
_MEMBERS: Final = 64
"""Of all ranges of a file: sixty thousand sections would be read for a minute, and rightly so."""


WORDS: Final = (
    *(
        row.name.encode()
        for rows in (
            fields.SERVER,
            fields.CLIENT,
            fields.PROXY,
            fields.VISITOR,
            fields.SERVER_PLUGIN,
            fields.USER,
            *fields.PROXY_TYPES.values(),
            *fields.VISITOR_TYPES.values(),
            *fields.PLUGINS.values(),
        )
        for row in rows
    ),
    b"[common]",
    b"[range:",
    b"{{ .Envs.NAME }}",
    b'"""',
    b"%(user)s",
    b"\\\n",
    b" = ",
    b"\n[",
)


def one(data: bytes) -> None:
    """Only ConfigError comes out, with a text that can be shown, whatever the file holds."""
    choices = Choices(data)
    form = choices.byte()
    text = choices.rest()
    dialect = "old" if form & 1 else "new"
    file = os.memfd_create("ini")
    try:
        os.write(file, text)
        path = f"/proc/self/fd/{file}"
        with (
            mock.patch("frpd.config.source.included_files", return_value=[]),
            mock.patch("frpd.config.check._token_from_file"),
            mock.patch.object(ranges, "MAX_MEMBERS", _MEMBERS),
        ):
            _load(path, dialect, form)
    finally:
        os.close(file)


def _load(path: str, dialect: str, form: int) -> None:
    try:
        if form & 2:
            server = load_server(path, dialect=dialect, environ=_ENVIRON)
            assert all(map(str.strip, server.warnings))
        elif form & 4:
            load_client_common(path, dialect=dialect, environ=_ENVIRON)
        else:
            client = load_client(path, dialect=dialect, environ=_ENVIRON)
            names = [proxy.section for proxy in client.value.proxies]
            assert len(names) == len(set(names))
    except ConfigError as error:
        assert str(error).strip()


def seeds() -> Iterator[bytes]:
    """Yield files of both programs with every kind of line."""
    client = (
        "# comment\n; other\n[common]\nserver_addr = 127.0.0.1\nserver_port=7000\n"
        "token = {{ .Envs.NAME }}\nlog_level = info\nstart = ssh,web\nprotocol = kcp\n"
        "[ssh]\ntype = tcp\nlocal_port = 22\nremote_port = 6000\nuse_encryption = true\n"
        '[web]\ntype: http\nlocal_port = 0x50\ncustom_domains = "a.b,c.d"\nheader_X = %(type)s\n'
        "bandwidth_limit = 1MB\n[range:game]\ntype = udp\nlocal_port = 5000-5003,6000\n"
        "remote_port = 5000-5003,6000\n"
        "[v]\nrole = visitor\ntype = stcp\nserver_name = s\nsk = k\nbind_port = 9000\n"
        "[files]\ntype = tcp\nplugin = static_file\nplugin_local_path = /tmp\nremote_port=1\n"
        '[a.b]\nkey = """x\ny"""\nother = `z`\nthird = 1 \\\n 2\n-\n'
    )
    server = (
        "[common]\nbind_port = 7000\nallow_ports = 2000-3000,4000\nvhost_http_port = 80\n"
        "max_pool_count = 017\ndashboard_user = admin\ndashboard_pwd = 'x'\nunknwon = 1\n"
        "subdomain_host = Example.com\n[plugin.a]\naddr = 127.0.0.1:9000\npath = /h\nops = Login\n"
    )
    users = (
        "[common]\ntoken = t\nallow_cidrs = 10.0.0.0/8,::1\nper_source_penalties = authfail:5s\n"
        "allow_ports = 6000-6999\nusers_only = true\nper_source_penalty_exempt_list = 192.0.2.1\n"
        "[user.ann]\ntoken = a\nallow_ports = 6000-6009\nallow_names = a.*,*-a-*\nmax_clients = 3\n"
        "allow_domains = *.a.example,b.example\ndeny_cidrs = 0.0.0.0/0\n[user.bob.x]\ntoken = a\n"
    )
    for form in (0, 1, 4, 5):
        yield bytes((form,)) + client.encode()
    for form in (2, 3):
        yield bytes((form,)) + server.encode()
        yield bytes((form,)) + users.encode()
    yield b"\0\xef\xbb\xbf[common]\r\ntoken = caf\xe9 \r\n{{- .Envs.NOTHING -}}\n"
    yield b"\0[DEFAULT]\na = %(b)s\nb = %(a)s\n[common]\nuser = %(a)s%(a)s\n"
