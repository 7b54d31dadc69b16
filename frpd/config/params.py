"""An immutable map of free-form keys (headers, metas, plugin parameters) with a masked repr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Params(Mapping[str, str]):
    """Text to text, in file order; equal by content, hashable, values never shown."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | None = None) -> None:
        self._items = dict(items or {})

    def __getitem__(self, key: str) -> str:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Params):
            return self._items == other._items
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"Params({', '.join(f'{key}=***' for key in self._items)})"


NO_PARAMS = Params()
