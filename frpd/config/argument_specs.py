"""Write what Ansible checks the variables of the roles by, from the key table.

``python -m frpd.config.argument_specs [ROOT]`` writes ansible/roles/*/meta/argument_specs.yml below
ROOT (default: the working directory), with ``--check`` it only reports files that differ;
frpd.config.samples writes them too. The shape is fixed, so no YAML library is needed. Not imported
by the daemons.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from frpd.config.derived import derive
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
    Rows,
)
from frpd.config.kinds import Field, Kind, State, accepted, default_text, since_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WIDTH = 96
_STEP = "  "

# Text wherever frp takes more than a number: `range:` sections have lists of ports.
_TYPES: Final = {Kind.BOOL: "bool", Kind.INT: "int", Kind.FLOAT: "float", Kind.PORT: "int"}
_LISTS: Final = (Kind.LIST, Kind.DOMAINS)
_SAID_BY_TYPE: Final = (Kind.STR, Kind.ADDR, Kind.SECRET, Kind.BOOL, *_LISTS)
_IN_RANGES: Final = ("local_port", "remote_port")
# What the templates write themselves, and what other options reach: all keys of plugins have rows.
_WRITTEN_BY_ROLE: Final = ("role", "plugin_")


class Option(NamedTuple):
    """One option of a specification.

    Attributes:
        name: of the variable or the key.
        type: in Ansible's words; of a list's elements with ``list of`` in front.
        doc: sentences.
        default: as YAML, "" for none.
        choices: what is taken.
        required: whether it must be given.
        secret: whether its value must not be shown.
        options: of a dictionary, or of a list's dictionaries.
    """

    name: str
    type: str
    doc: str
    default: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    secret: bool = False
    options: tuple[Option, ...] = ()


_EXTRA: Final = Option(
    "extra",
    "dict",
    "Keys that this version of the role does not know, written as they are.",
)
_INSTANCE: Final = (
    Option(
        "name",
        "str",
        "The unit ROLE for ROLE itself, and ROLE@NAME for any other name; its file is"
        " /etc/frp/NAME.ini. ROLE and its counterpart share these names.",
        required=True,
    ),
    Option(
        "state",
        "str",
        "With absent the service is stopped and disabled, and its file removed.",
        default="present",
        choices=("present", "absent"),
    ),
    Option("enabled", "bool", "Whether it starts with the machine.", default="true"),
)


def role_options(role: str) -> tuple[Option, ...]:
    """Return the variables of a role."""
    options = (
        Option(
            "ROLE_instances",
            "list of dict",
            "What runs: one unit and one file for each.",
            default="[]",
            options=(*_INSTANCE, *_SECTIONS[role]),
        ),
        Option(
            "ROLE_install_from",
            "str",
            "Where the package comes from: repository (whatever apt knows), controller (ROLE_deb is"
            " a file of the machine that runs Ansible), host (a file that is there already), or"
            " nothing, where something else installs it.",
            default="repository",
            choices=("repository", "controller", "host", "nothing"),
        ),
        Option("ROLE_deb", "path", "The package, for controller and host.", default='""'),
        Option(
            "ROLE_package_state",
            "str",
            "For repository: latest upgrades with every run.",
            default="present",
            choices=("present", "latest"),
        ),
        Option(
            "ROLE_repository",
            "dict",
            "For repository: an apt repository to add. Without it apt's own are used.",
            options=_REPOSITORY,
        ),
        Option(
            "ROLE_restart_on_not_live",
            "bool",
            "Restart a service when a key was changed that a reload cannot change; connections of"
            " visitors are cut then. Otherwise such keys are named, and wait for a restart.",
            default="true",
        ),
        Option(
            "ROLE_verify_strict",
            "bool",
            "Refuse a file that `ROLE verify` has warnings for, such as a short token.",
            default="false",
        ),
    )
    return tuple(_for_role(option, role) for option in options)


_REPOSITORY: Final = (
    Option("uris", "list of str", "Addresses of the repository.", required=True),
    Option("suites", "list of str", "Its suites, or paths that end in a slash.", required=True),
    Option("components", "list of str", "Its components; none for a path.", default="[]"),
    Option("key", "str", "Its signing key, ASCII-armoured.", required=True),
)


def key_options(rows: Iterable[Field], groups: Mapping[str, Rows]) -> tuple[Option, ...]:
    """Return one option for each key of a section.

    Args:
        rows: keys of any such section.
        groups: keys of some of them, by a word for which.
    """
    found = {option.name: option for option in map(_option, _served(rows))}
    owners: dict[str, list[str]] = {}
    for group, own in groups.items():
        for option in map(_option, _served(own)):
            owners.setdefault(option.name, []).append(group)
            found.setdefault(option.name, option._replace(required=False))
    return tuple(
        option._replace(doc=f"{option.doc} For {', '.join(owners[name])}.")
        if name in owners
        else option
        for name, option in found.items()
    )


def _served(rows: Iterable[Field]) -> Iterator[Field]:
    for row in rows:
        if row.state is not State.IGNORED and row.name not in _WRITTEN_BY_ROLE:
            yield row


def _option(row: Field) -> Option:
    is_map = row.kind is Kind.MAP
    return Option(
        name=row.name.removesuffix("_") if is_map else row.name,
        type=_type(row),
        doc=_described(row),
        choices=row.choices,
        required=row.required,
        secret=row.kind is Kind.SECRET,
    )


def _type(row: Field) -> str:
    if row.kind is Kind.MAP:
        return "dict"
    if row.name in _IN_RANGES:
        return "str"
    return "list of str" if row.kind in _LISTS else _TYPES.get(row.kind, "str")


def _described(row: Field) -> str:
    doc = row.doc if row.doc.endswith(".") else f"{row.doc}."
    facts = []
    if row.kind is Kind.MAP:
        facts.append(f"a dictionary: each NAME in it becomes the key {row.name}NAME")
    elif not row.choices and row.kind not in _SAID_BY_TYPE:
        facts.append(f"takes {accepted(row)}")
    default = row.default_note or default_text(row)
    if default:
        facts.append("required" if default == "required" else f"default {default}")
    facts.append(since_text(row))
    if row.state in (State.PLANNED, State.FOREIGN):
        facts.append(row.state.value)
    return f"{doc} ({'; '.join(facts)})"


_PROXY_GROUPS: Final = {
    **{f"type {name}": rows for name, rows in PROXY_TYPES.items()},
    **{f"plugin {name}": rows for name, rows in PLUGINS.items()},
}


def _named_sections(name: str, prefix: str, rows: Rows) -> Option:
    """Return the option for all sections [prefix.NAME] of frps.ini."""
    return Option(
        name,
        "list of dict",
        f"Sections [{prefix}.NAME].",
        options=(
            Option("name", "str", f"What follows `{prefix}.`.", required=True),
            *key_options(rows, {}),
            _EXTRA,
        ),
    )


_SECTIONS: Final = {
    "frps": (
        Option(
            "common", "dict", "The keys of [common].", options=(*key_options(SERVER, {}), _EXTRA)
        ),
        _named_sections("plugins", "plugin", SERVER_PLUGIN),
        _named_sections("users", "user", USER),
    ),
    "frpc": (
        Option(
            "common", "dict", "The keys of [common].", options=(*key_options(CLIENT, {}), _EXTRA)
        ),
        Option(
            "proxies",
            "list of dict",
            "Sections of services that are made reachable.",
            options=(
                Option("name", "str", "Of the section, such as ssh or range:game.", required=True),
                *key_options(PROXY, _PROXY_GROUPS),
                _EXTRA,
            ),
        ),
        Option(
            "visitors",
            "list of dict",
            "Sections with role = visitor, which the role writes by itself.",
            options=(
                Option("name", "str", "Of the section.", required=True),
                *key_options(VISITOR, {f"type {name}": own for name, own in VISITOR_TYPES.items()}),
                _EXTRA,
            ),
        ),
    ),
}


def _for_role(option: Option, role: str) -> Option:
    return option._replace(
        name=option.name.replace("ROLE", role),
        doc=option.doc.replace("ROLE", role),
        options=tuple(_for_role(inner, role) for inner in option.options),
    )


def specification(role: str) -> str:
    """Return the text of a role's argument_specs.yml."""
    lines = [
        "---",
        "# Generated by `python -m frpd.config.argument_specs`; do not edit here.",
        "argument_specs:",
        "  main:",
        f"    short_description: Runs {role} of frpd",
        "    description:",
        f"      - Installs the package frpd, writes ini files and runs {role} as systemd services.",
        "    options:",
    ]
    for option in role_options(role):
        lines += _option_lines(option, 3)
    return "\n".join(lines) + "\n"


def _option_lines(option: Option, depth: int) -> Iterator[str]:
    outer, inner = _STEP * depth, _STEP * (depth + 1)
    yield f"{outer}{option.name}:"
    kind, _, elements = option.type.partition(" of ")
    yield f"{inner}type: {kind}"
    if elements:
        yield f"{inner}elements: {elements}"
    yield f"{inner}description: >-"
    yield from textwrap.wrap(
        option.doc, _WIDTH, initial_indent=inner + _STEP, subsequent_indent=inner + _STEP
    )
    if option.required:
        yield f"{inner}required: true"
    if option.default:
        yield f"{inner}default: {option.default}"
    if option.choices:  # in quotes: a bare off is false
        yield f"{inner}choices: [{', '.join(map(json.dumps, option.choices))}]"
    if option.secret:
        yield f"{inner}no_log: true"
    if option.options:
        yield f"{inner}options:"
        for nested in option.options:
            yield from _option_lines(nested, depth + 2)


def rendered(root: Path) -> dict[Path, str]:
    """Every specification below `root`, with the text that it should have."""
    roles = root / "ansible" / "roles"
    return {roles / role / "meta" / "argument_specs.yml": specification(role) for role in _SECTIONS}


def main(arguments: list[str]) -> int:
    """Write or check the specifications; 1 when a check finds a difference."""
    return derive(rendered, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
