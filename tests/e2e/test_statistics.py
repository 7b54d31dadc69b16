"""Daily figures of a running frps go on after a restart."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers.programs import BIN, run, wait_until
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    from tests.helpers.stage import Stage


def test_traffic_of_before_a_restart_is_still_known(stage: Stage, echo_port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:  # the name of a socket has no room for much
        control, path = Path(folder) / "s", Path(folder) / "statistics.sqlite"

        def today() -> int:
            ctl = (str(BIN / "frpd-ctl"), "traffic", "web", "--json", "--socket", str(control))
            done = run(*ctl)
            if done.returncode:
                return 0
            days: list[dict[str, Any]] = json.loads(done.stdout)["days"]
            return sum(day["in"] for day in days)  # it may be midnight

        tunnel = stage.tunnel(
            {"web": echo_port}, server={"control_socket": control, "statistics_file": path}
        )
        with visit(tunnel.ports["web"]) as visitor:
            exchange(visitor, b"x" * 1000)
        tunnel.frpc.kill()
        assert tunnel.frps.terminate() == 0
        assert path.exists()
        tunnel.restart_server()
        wait_until(lambda: today() == 1000, "the traffic of before is known")
        assert tunnel.frps.count(r"\[[WE]\]") == 0
