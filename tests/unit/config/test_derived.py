from __future__ import annotations

from pathlib import Path

import pytest

from frpd.config.derived import derive


def rendered(root: Path) -> dict[Path, str]:
    return {root / "new" / "a": "one\n", root / "b": "two\n"}


def test_what_is_not_up_to_date_is_named_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").write_text("two\n")
    assert derive(rendered, ["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"differs: {tmp_path}/new/a\n"
    assert not (tmp_path / "new").exists()
    assert derive(rendered, [str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path}/new/a\n"
    assert (tmp_path / "new" / "a").read_text() == "one\n"
    assert derive(rendered, ["--check", str(tmp_path)]) == 0
