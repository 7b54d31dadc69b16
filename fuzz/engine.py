"""One process of atheris on one target: python -m fuzz.engine TARGET [libFuzzer's arguments]."""

from __future__ import annotations

import sys

import atheris

from fuzz.registry import TARGETS


def main(arguments: list[str]) -> None:
    """Run until libFuzzer ends the process."""
    target = TARGETS[arguments[1]]
    with atheris.instrument_imports(include=["frpd", "jwt"]):
        one = target.load()
    # What libFuzzer starts itself again with, through a shell, when it merges.
    itself = f"{sys.executable} -m fuzz.engine {target.name}"
    atheris.Setup([itself, *arguments[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
