from __future__ import annotations

from frpd.config.params import NO_PARAMS, Params


def test_params_are_a_hashable_map_in_file_order() -> None:
    params = Params({"b": "1", "a": "2"})
    assert list(params) == ["b", "a"]
    assert params["a"] == "2"
    assert len(params) == 2
    assert params == Params({"a": "2", "b": "1"})
    assert hash(params) == hash(Params({"a": "2", "b": "1"}))
    assert params != Params({"a": "2"})
    assert params != {"b": "1", "a": "2"}


def test_repr_shows_keys_only() -> None:
    assert repr(Params({"plugin_http_passwd": "hunter2"})) == "Params(plugin_http_passwd=***)"


def test_a_later_change_of_the_source_changes_nothing() -> None:
    source = {"a": "1"}
    params = Params(source)
    source["a"] = "2"
    assert params["a"] == "1"
    assert not NO_PARAMS
