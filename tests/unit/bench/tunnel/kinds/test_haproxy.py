from __future__ import annotations

import re
from pathlib import Path

from bench.tunnel.kinds.haproxy import HAPROXY
from tests.unit.bench.tunnel.kinds.tasks import PORTS, task


def ways(config: str) -> list[tuple[str, ...]]:
    found = re.findall(r"bind 127.0.0.1:(\d+)\n    server next 127.0.0.1:(\d+)", config)
    return [tuple(way) for way in found]


def test_the_first_dials_the_second_and_that_the_services(tmp_path: Path) -> None:
    front, back = HAPROXY.commands(task("it=haproxy:", tmp_path))
    assert front[:3] == back[:3] == ["haproxy", "-db", "-f"]
    assert ways(Path(front[3]).read_text()) == [("7", "9"), ("8", "1")]
    assert ways(Path(back[3]).read_text()) == [("9", "3"), ("1", "3")]
    assert "option splice-auto" in Path(back[3]).read_text()
    assert HAPROXY.door(PORTS) == PORTS.probe
