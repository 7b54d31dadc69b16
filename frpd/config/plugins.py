"""Client plugins: which there are, which keys each takes, and what a section must give it.

A plugin that cannot work does not stop frpc (its proxy fails alone), so all of this is warnings.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from frpd.config.fields import PLUGINS
from frpd.config.kinds import Kind
from frpd.config.params import Params

if TYPE_CHECKING:
    from frpd.config.reader import SectionReader


def check_plugin(values: dict[str, Any], reader: SectionReader) -> None:
    """Warn about an unknown plugin, keys that it does not take, and keys that it lacks.

    Keys with a second name are put under their first one.
    """
    plugin: str = values["plugin"]
    if not plugin:
        return
    if plugin not in PLUGINS:
        near = difflib.get_close_matches(plugin, PLUGINS, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(PLUGINS)}"
        reader.warn("plugin", f"plugin [{plugin}] is not registered{hint}")
        return
    _check_keys(plugin, values, reader)
    values["plugin_params"] = _under_first_names(plugin, values["plugin_params"], reader)


def _check_keys(plugin: str, values: dict[str, Any], reader: SectionReader) -> None:
    rows = PLUGINS[plugin]
    names = [row.name for row in rows]
    prefixes = tuple(row.name for row in rows if row.kind is Kind.MAP)
    for key in values["plugin_params"]:
        if key not in names and not (prefixes and key.startswith(prefixes)):
            near = difflib.get_close_matches(key, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            reader.warn(key, f"plugin {plugin} does not know this key{hint}")
    for row in rows:
        if row.required and not values["plugin_params"].get(row.name):
            reader.warn("plugin", f"plugin {plugin} needs {row.name}; the proxy will not start")


def _under_first_names(plugin: str, params: Params, reader: SectionReader) -> Params:
    firsts = {row.name: row.attribute for row in PLUGINS[plugin] if row.attr}
    found = {key: value for key, value in params.items() if key not in firsts}
    for key, first in firsts.items():
        value = params.get(key)
        if value and found.setdefault(first, value) != value:
            reader.warn(key, f"has no effect beside {first}, which says something else")
    return Params(found)
