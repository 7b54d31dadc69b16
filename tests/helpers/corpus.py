"""The corpus: ini files as people have them, of all years, and what each of them means.

A file names, in its first comment, the version of frp that it is for; up to 0.35 that is read in
both dialects. ``python -m tests.helpers.corpus`` writes what we make of each file to
tests/data/corpus/expected, where git shows what has changed; tests/interop/test_corpus.py holds
it against Go frp.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final

from frpd.client.proxy_table import new_proxy_message
from frpd.config.load_client import load_client
from frpd.config.load_server import load_server
from frpd.config.proxies import ProxyConfig
from frpd.config.visitors import VisitorConfig
from frpd.errors import ConfigError
from frpd.proto.message.codec import encode_message
from tests.unit.config.golden import plain

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
EXPECTED = CORPUS / "expected"
PROGRAMS = ("frps", "frpc")
ENVIRON: Final = {
    "CORPUS_TOKEN": "t#k;n",  # up to 0.42 one with a = did not count
    "CORPUS_USER": "ursula",
    "CORPUS_PORT": "18080",
    "CORPUS_SERVICE": "28080",  # of something that runs
}
LAST_OLD = 35  # the last frp 0.x of the OLD dialect
HEADER_BYTES = 9
Json = dict[str, Any]

STRICTER: Final[dict[str, tuple[str, ...]]] = {
    "ports that are no numbers, or of numbers that no port has": (
        "frps/bad_bind_port_comment",
        "frps/bad_bind_port_negative",
        "frps/bad_bind_port_text",
        "frps/bad_bind_port_70000",
        "frps/bad_dashboard_port",
        "frps/bad_kcp_port",
        "frps/bad_vhost_port",
        "frpc/bad_local_port_70000",
        "frpc/bad_local_port_name",
        "frpc/bad_remote_port_70000",
        "frpc/bad_remote_port_comment",
        "frpc/bad_server_port_text",
    ),
    "`allow_ports` that cannot be read; frp since 0.52 allows all ports then": (
        "frps/bad_allow_ports",
        "frps/bad_allow_ports_text",
    ),
    "`tcpmux_httpconnect_port` that is another port of frps too; frps ends at its start": (
        "frps/bad_tcpmux_port",
    ),
    "certificates, keys and authorities that cannot be read; frp says so at its start": (
        "frps/bad_tls_file",
        "frpc/bad_tls_file",
    ),
    "an unknown `authentication_method`; frp to 0.51 is silent": (
        "frps/bad_authentication",
        "frpc/bad_authentication",
    ),
    "templates other than `{{ .Envs.NAME }}`": (
        "frps/template_if",
        "frpc/template_comment",
        "frpc/template_if",
    ),
    "`{{` in a file of frp to 0.23, where it was nothing special": ("frpc/braces_in_password",),
    "`local_port` missing without a plugin; frp since 0.52 takes port 0": (
        "frpc/bad_local_port_missing",
    ),
    "a visitor without `server_name`; frp to 0.51 visits nobody": ("frpc/bad_visitor_server",),
    "a sudp visitor with a negative `bind_port`, which then listens nowhere": (
        "frpc/bad_visitor_sudp",
    ),
    "`http_proxy` that is no address of a proxy; frp says so when it connects": (
        "frpc/bad_http_proxy",
    ),
    "`[]`, which frp up to 0.35 took for a proxy without a name": ("frpc/bad_section_empty",),
}
"""What we refuse and some Go frp takes, by reason; docs/migrate.md has the same list."""

MILDER: Final[dict[str, tuple[str, ...]]] = {
    "no `[common]`: all defaults": ("frps/empty", "frps/no_common", "frpc/no_common"),
    "`[ common ]` with blanks, which frp read up to 0.35": (
        "frps/padded_common",
        "frpc/padded_common",
    ),
    "an unknown `log_level`; a warning, as to 0.51": (
        "frps/log_level_unknown",
        "frpc/log_level_unknown",
    ),
    "an unknown word in `ops` of a plugin; a warning, silence to 0.51": ("frps/bad_plugin_op",),
    "`allow_ports` without a value, all ports; an error up to 0.35": ("frps/empty_values",),
    "bare words and templates that frp since 0.52 takes for TOML": (
        "frps/bare_words",
        "frpc/bare_words",
        "frpc/environment",
    ),
}
"""What we take and some Go frp refuses, by reason; docs/migrate.md has the same list."""

OTHERWISE: Final[dict[str, dict[str, set[str]]]] = {
    "frpc/padded_names": {"new": {" ssh "}},
    "frpc/start_empty": {"old": set()},
    "frpc/start_range": {"new": {"ssh"}},
    "frpc/unregistered_plugin": {"ours": {"ssh"}},
}
"""Which proxies are asked for where that is not what the golden file says.

That file has what we read; "old" and "new" are Go's frp up to 0.35 and later.
"""


def corpus_files(program: str) -> list[Path]:
    """Return the files of one program."""
    return sorted((CORPUS / program).glob("*.ini"))


def name_of(path: Path) -> str:
    """Return what the tables call a file."""
    return f"{path.parent.name}/{path.stem}"


def names_in(table: dict[str, tuple[str, ...]]) -> list[str]:
    """Return all files of a table."""
    return [name for names in table.values() for name in names]


def first_version(path: Path) -> tuple[int, int]:
    """Return the version of frp that a file is for, at least."""
    found = re.search(rb"frp 0\.(\d+)", path.read_bytes())
    assert found is not None, f"{path} does not say which frp it is for"
    return 0, int(found[1])


def golden(path: Path, dialect: str) -> Json:
    """Return what a file should mean in a dialect."""
    text = (EXPECTED / path.parent.name / f"{path.stem}.json").read_text("utf-8")
    both: dict[str, Json] = json.loads(text)
    return both.get(dialect) or both["new"]


def meaning(path: Path, dialect: str) -> Json:
    """Return what we make of a file: what it sets, and what would be sent; or what is wrong."""
    try:
        if path.parent.name == "frps":
            config = load_server(str(path), dialect=dialect, environ=ENVIRON).value
            return {"common": _set_values(config)}
        folder = str(path.parent)
        setup = load_client(str(path), dialect=dialect, environ=ENVIRON, start=folder).value
    except ConfigError as error:
        return {"problems": str(error).replace(f"{path.parent}/", "").split("\n")}
    return {
        "common": _set_values(setup.common, leave_out=("upstream",)),
        "proxies": {proxy.name: _proxy(proxy) for proxy in setup.proxies},
        "visitors": {visitor.name: _visitor(visitor) for visitor in setup.visitors},
    }


def _proxy(proxy: ProxyConfig) -> Json:
    """Return what is sent of a proxy, and under "local" what it leads to."""
    frame = encode_message(new_proxy_message(proxy))
    sent = meant(json.loads(frame[HEADER_BYTES:]))
    if proxy.plugin:
        local: object = {"plugin": proxy.plugin, **plain(proxy.plugin_params)}
    else:
        local = f"{proxy.local_ip}:{proxy.local_port}"
    return {**sent, "local": local}


def _visitor(visitor: VisitorConfig) -> Json:
    return {"type": visitor.visitor_type, **_set_values(visitor, leave_out=("name", "section"))}


def meant(message: Json) -> Json:
    """Return the fields of a NewProxy that say something, in one spelling of them."""
    told = {key: value for key, value in message.items() if value and key != "proxy_name"}
    told.setdefault("proxy_type", "tcp")
    if told.get("locations") == [""]:  # so frp to 0.35 said all of them
        del told["locations"]
    if "custom_domains" in told:
        told["custom_domains"] = [domain.lower() for domain in told["custom_domains"]]
    return told


def _set_values(config: Any, leave_out: tuple[str, ...] = ()) -> Json:
    """Return the attributes that are not at their defaults."""
    return {
        row.name: plain(getattr(config, row.name))
        for row in fields(config)
        if row.name not in leave_out
        if row.default is MISSING or getattr(config, row.name) != row.default
    }


def _write() -> None:
    for program in PROGRAMS:
        (EXPECTED / program).mkdir(parents=True, exist_ok=True)
        for path in corpus_files(program):
            both = {"new": meaning(path, "new")}
            if first_version(path)[1] <= LAST_OLD and meaning(path, "old") != both["new"]:
                both["old"] = meaning(path, "old")
            text = json.dumps(both, ensure_ascii=False, indent=1, sort_keys=True)
            (EXPECTED / program / f"{path.stem}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    _write()
