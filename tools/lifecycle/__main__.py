"""The steps, in order; see the package's docstring."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.lifecycle import visitors
from tools.lifecycle.machine import (
    Failed,
    add,
    apt,
    check,
    files,
    is_active,
    journal,
    main_pid,
    run,
    shown,
    systemctl,
    wait_until,
    write,
)

SERVER, CLIENT = "/etc/frp/frps.ini", "/etc/frp/frpc.ini"
ECHO, WEB, UDP, SOCKET = 8080, 8081, 8082, "/run/app.sock"
TCP_OUT, UDP_OUT, FILES_OUT, SOCKET_OUT, LATE_OUT, FAR_OUT = 6080, 6082, 6083, 6084, 6085, 6086
SECOND_OUT = 6180
SITE, HOST = "/srv/site", "shop.example.com"
UNITS = ("frps", "frpc")
SECOND = ("frps@office-server", "frpc@office-client")
WATCHDOG_DROP_IN = "/run/systemd/system/frps.service.d/quick.conf"

PROXIES = f"""
[echo]
type = tcp
local_port = {ECHO}
remote_port = {TCP_OUT}

[shop]
type = http
local_port = {WEB}
custom_domains = {HOST}

[names]
type = udp
local_port = {UDP}
remote_port = {UDP_OUT}

[files]
type = tcp
remote_port = {FILES_OUT}
plugin = static_file
plugin_local_path = {SITE}

[socket]
type = tcp
remote_port = {SOCKET_OUT}
plugin = unix_domain_socket
plugin_unix_path = {SOCKET}
"""
# A client that the upgrade does not touch, as one on another machine.
FAR, FAR_UNIT = "/root/far.ini", "far-frpc"
FAR_CLIENT = f"""[common]
server_addr = 127.0.0.1
token = {{token}}
login_fail_exit = false
control_socket = off

[far]
type = tcp
local_port = {ECHO}
remote_port = {FAR_OUT}
"""
SECOND_SERVER = """[common]
bind_port = 7100
token = {token}
"""
SECOND_CLIENT = f"""[common]
server_addr = 127.0.0.1
server_port = 7100
token = {{token}}
login_fail_exit = false

[second]
type = tcp
local_port = {ECHO}
remote_port = {SECOND_OUT}
"""


class Story:
    """What is known of the machine from step to step."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new
        self.before: set[str] = set()
        self.installed: set[str] = set()

    def install(self) -> str:
        """`apt install ./frpd.deb`: everything is there, nothing runs."""
        self.before = files()
        said = apt("install", self.old)
        self.installed = files()
        for unit in UNITS:
            check("disabled" in run("systemctl", "is-enabled", unit, ok=False), f"{unit} is on")
            check(not is_active(unit), f"{unit} runs")
        for path in (SERVER, CLIENT):
            found = Path(path).stat()
            check(stat.S_IMODE(found.st_mode) == 0o640, f"{path}: mode")
            check((found.st_uid, Path(path).group()) == (0, "frpd"), f"{path}: owner")
        secrets = set(re.findall(r"(?:token|_pwd) = (\S+)", _text(SERVER) + _text(CLIENT)))
        check(len(secrets) == 3, "not three secrets")
        check(all(re.fullmatch("[0-9a-f]{64}", one) for one in secrets), "weak secrets")
        logs = said + _text("/var/log/dpkg.log") + _text("/var/log/apt/term.log")
        check(not any(one in logs for one in secrets), "a secret was printed")
        for unit in UNITS:
            run(unit, "verify", "--strict", "-c", f"/etc/frp/{unit}.ini")
        return (
            f"frpd {_version()}, services off, {len(secrets)} secrets of 32 bytes, verify --strict"
        )

    def start(self) -> str:
        """`systemctl enable --now frps frpc`: ready when they say so, and everything flows."""
        visitors.make_site(SITE)
        visitors.serve(ECHO, WEB, UDP, SOCKET)
        add(SERVER, "vhost_http_port = 80\n")
        write(CLIENT, _text(CLIENT).replace("[common]\n", _log_to("frpc")) + PROXIES)
        begin = time.monotonic()
        systemctl("enable", "--now", *UNITS)
        took = time.monotonic() - begin
        for unit in UNITS:
            check(shown(unit, "Type") == "notify", f"{unit}: does not notify")
            check(is_active(unit), f"{unit} is not up")
        self.flows()
        check(Path("/var/log/frpd/frpc.log").stat().st_size, "no log file")
        return f"up in {took:.1f} s; STATUS: {shown('frps', 'StatusText')}"

    def flows(self) -> str:
        """Traffic of every kind that the sandbox could stand in the way of."""
        wait_until(lambda: visitors.echoes(TCP_OUT), "tcp")
        wait_until(lambda: visitors.page(80, HOST) == "a web", "http at port 80")
        wait_until(lambda: visitors.echoes_datagrams(UDP_OUT), "udp")
        wait_until(lambda: visitors.page(FILES_OUT, "x", "/hello.txt") == "a file", "static_file")
        wait_until(lambda: visitors.echoes(SOCKET_OUT), "unix_domain_socket")
        return "tcp, udp, http at port 80, static_file, unix_domain_socket, log file"

    def admin(self) -> str:
        """The control sockets, the dashboard and the admin port answer."""
        for unit in UNITS:
            run("frpd-ctl", "status", "-c", f"/etc/frp/{unit}.ini")
        server = _ask(SERVER, "dashboard", "/api/serverinfo")
        client = _ask(CLIENT, "admin", "/api/status")
        check("version" in server and "running" in client, f"APIs: {server} {client}")
        _ask(SERVER, "dashboard", "/")
        failed = [line for unit in UNITS for line in journal(unit).splitlines() if "[E]" in line]
        check(not failed, "\n".join(failed))
        return "frpd-ctl status, dashboard, admin port"

    def reload_good(self) -> str:
        """`systemctl reload` with a good file: it counts at once, nobody is cut."""
        pids = {unit: main_pid(unit) for unit in UNITS}
        with visitors.load(TCP_OUT) as counts:
            late = PROXIES.split("\n\n", 1)[0].replace("echo", "late")
            add(CLIENT, late.replace(str(TCP_OUT), str(LATE_OUT)) + "\n")
            systemctl("reload", "frpc")
            write(SERVER, _text(SERVER).replace("[common]\n", "[common]\nlog_level = debug\n"))
            systemctl("reload", "frps")
            wait_until(lambda: visitors.echoes(LATE_OUT), "the new proxy")
        check(pids == {unit: main_pid(unit) for unit in UNITS}, "a service was restarted")
        _nobody(counts, cut=True)
        return f"frpc and frps, under load: {counts}"

    def reload_bad(self) -> str:
        """`systemctl reload` with a bad file: it fails, says why, and changes nothing."""
        said = []
        for unit in UNITS:
            path = f"/etc/frp/{unit}.ini"
            good, pid = _text(path), main_pid(unit)
            write(path, good.replace("_port = ", "_port = no", 1))
            systemctl("reload", unit, ok=False)
            write(path, good)
            reason = [line for line in journal(unit).splitlines() if "cannot be used" in line]
            check(reason, f"{unit}: no reason in the journal")
            said.append(reason[-1].split(": ", 1)[-1])
            check(main_pid(unit) == pid and is_active(unit), f"{unit} was restarted")
            systemctl("reload", unit)
        self.flows()
        return f"refused; the journal says: {said[0]}"

    def restart(self) -> str:
        """`systemctl restart` under load: frps refuses no visitor."""
        said = []
        for unit in ("frps", "frps", "frps", "frpc"):
            with visitors.load(TCP_OUT) as counts:
                systemctl("restart", unit)
                self.flows()
            if unit == "frps":  # which closes the ports of a frpc that goes
                _nobody(counts)
            said.append(f"{unit}: {counts}")
        return "\n      ".join(said)

    def kill(self) -> str:
        """`kill -9`: systemd starts it again; where it is frps, visitors wait meanwhile."""
        said = []
        for unit in UNITS:
            pid = main_pid(unit)
            with visitors.load(TCP_OUT) as counts:
                os.kill(pid, signal.SIGKILL)
                took = wait_until(lambda: main_pid(unit) not in {0, pid}, f"{unit} is restarted")  # noqa: B023 (called here)
                wait_until(lambda: is_active(unit), f"{unit} is up")  # noqa: B023 (called here)
                took += wait_until(lambda: visitors.echoes(TCP_OUT), "traffic flows")
            if unit == "frps":
                _nobody(counts)
            said.append(f"{unit}: back after {took:.1f} s; {counts}")
        return "\n      ".join(said)

    def watchdog(self) -> str:
        """A stopped process is found out, killed and restarted."""
        Path(WATCHDOG_DROP_IN).parent.mkdir(parents=True, exist_ok=True)
        write(WATCHDOG_DROP_IN, "[Service]\nWatchdogSec=3s\n")
        systemctl("daemon-reload")
        systemctl("restart", "frps")
        pid, restarts = main_pid("frps"), int(shown("frps", "NRestarts"))
        os.kill(pid, signal.SIGSTOP)
        took = wait_until(lambda: main_pid("frps") not in {0, pid}, "frps is restarted")
        check(int(shown("frps", "NRestarts")) > restarts, "no restart was counted")
        check("Watchdog timeout" in journal("frps"), "the journal says nothing of the watchdog")
        Path(WATCHDOG_DROP_IN).unlink()
        systemctl("daemon-reload")
        systemctl("restart", "frps")
        self.flows()
        return f"with WatchdogSec=3s killed and restarted after {took:.1f} s"

    def instances(self) -> str:
        """frps@NAME and frpc@NAME run beside the others."""
        texts = zip(SECOND, (SECOND_SERVER, SECOND_CLIENT), strict=True)
        for unit, text in texts:
            path = f"/etc/frp/{unit.partition('@')[2]}.ini"
            write(path, text.format(token=_token()))
            os.chmod(path, 0o640)
            run("chgrp", "frpd", path)
            systemctl("enable", "--now", unit)
        wait_until(lambda: visitors.echoes(SECOND_OUT), "the second pair")
        for unit in SECOND:
            systemctl("reload", unit)
        return f"{' and '.join(SECOND)} up, reloaded; {' '.join(sorted(os.listdir('/run/frpd')))}"

    def upgrade(self) -> str:
        """`apt install` of the next version: new processes, old files, no visitor refused."""
        everyone = (*UNITS, *SECOND)
        pids = {unit: main_pid(unit) for unit in everyone}
        sums = {path: _sum(path) for path in Path("/etc/frp").iterdir()}
        write(FAR, FAR_CLIENT.format(token=_token()))
        run("systemd-run", f"--unit={FAR_UNIT}", "--quiet", "frpc", "-c", FAR)
        wait_until(lambda: visitors.echoes(FAR_OUT), "the client of another machine")
        with visitors.load(FAR_OUT) as counts:
            apt("install", self.new)
            self.flows()
            wait_until(lambda: visitors.echoes(SECOND_OUT), "the second pair")
        for unit in everyone:
            check(is_active(unit), f"{unit} is down")
            check(main_pid(unit) != pids[unit], f"{unit} runs the old code")
            check(run("systemctl", "is-enabled", unit).strip() == "enabled", f"{unit} is off")
        check(sums == {path: _sum(path) for path in Path("/etc/frp").iterdir()}, "an ini changed")
        check(run("dpkg", "--verify", "frpd") == "", "files differ from the package")
        _nobody(counts)
        systemctl("stop", FAR_UNIT)
        Path(FAR).unlink()
        return f"to {_version()}: {counts}"

    def upgrade_off(self) -> str:
        """An upgrade does not start what is off."""
        systemctl("disable", "--now", "frpc")
        apt("install", "--reinstall", self.new)
        check(not is_active("frpc"), "frpc was started")
        check("disabled" in run("systemctl", "is-enabled", "frpc", ok=False), "frpc is on")
        check(is_active("frps"), "frps is down")
        systemctl("enable", "--now", "frpc")
        self.flows()
        return "a disabled frpc stays off"

    def remove(self) -> str:
        """`apt remove`: everything stops, the configuration stays."""
        apt("remove", "frpd")
        for unit in (*UNITS, *SECOND):
            check(not is_active(unit), f"{unit} still runs")
        running = run("ps", "-u", "frpd", "-o", "args=", ok=False)
        check(running == "", f"still there: {running}")
        check(Path(SERVER).exists(), "the configuration is gone")
        return "all four services stopped, configuration kept"

    def again(self) -> str:
        """`apt install` after a removal: with the old configuration it is as it was."""
        kept = _sum(Path(SERVER))
        apt("install", self.new)
        check(_sum(Path(SERVER)) == kept, "the configuration was replaced")
        systemctl("start", *UNITS)
        self.flows()
        return "the configuration was kept, traffic flows"

    def autopkgtests(self) -> str:
        """The tests that the package brings for Debian's own machinery."""
        kept = _text(CLIENT)
        for name in ("smoke", "tunnel", "upgrade"):
            folder = f"/root/autopkgtest-{name}"
            Path(folder).mkdir()
            known = (f"AUTOPKGTEST_TMP={folder}", f"FRPD_DEB={self.new}")
            run("env", *known, f"/v/debian/tests/{name}")
            shutil.rmtree(folder)
        write(CLIENT, kept)
        systemctl("reload", "frpc")
        return "smoke, tunnel, upgrade"

    def purge(self) -> str:
        """`apt purge`: nothing stays but the user, as Debian's policy has it."""
        for unit in SECOND:
            systemctl("disable", unit)
            Path(f"/etc/frp/{unit.partition('@')[2]}.ini").unlink()
        apt("purge", "frpd")
        # Libraries stay until somebody says autoremove; what they brought was there from the start.
        now = files() - self.before
        left = {path for path in now if "frp" in path} | (now - self.installed)
        left |= {path for path in ("/run/frpd", "/var/log/frpd") if Path(path).exists()}
        left -= {SITE, f"{SITE}/hello.txt"}
        check(not left, f"left behind: {' '.join(sorted(left))}")
        failed = systemctl("--failed", "--no-legend")
        check(not failed.strip(), f"failed units: {failed}")
        return "no file, no folder, no unit"


def _ask(ini: str, service: str, path: str) -> str:
    found = dict(re.findall(rf"{service}_(port|user|pwd) = (\S+)", _text(ini)))
    login = f"{found['user']}:{found['pwd']}"
    url = f"http://127.0.0.1:{found['port']}{path}"
    return run("curl", "--silent", "--show-error", "--fail", "--user", login, url)


def _log_to(program: str) -> str:
    return f"[common]\nlog_file = /var/log/frpd/{program}.log\n"


def _nobody(counts: visitors.Counts, *, cut: bool = False) -> None:
    check(counts.refused == 0, f"visitors were refused: {counts}")
    if cut:
        check(counts.cut + counts.standing_cut == 0, f"visitors were cut: {counts}")


def _token() -> str:
    return str(re.findall(r"token = (\S+)", _text(SERVER))[0])


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _version() -> str:
    return run("dpkg-query", "--show", "--showformat=${Version}", "frpd")


def main(arguments: list[str]) -> int:
    """Tell the story of two versions of the package; 0 if it ends well."""
    story = Story(*arguments)
    steps: list[Callable[[], str]] = [
        story.install, story.start, story.flows, story.admin, story.reload_good, story.reload_bad,
        story.restart, story.kill, story.watchdog, story.instances, story.upgrade,
        story.upgrade_off, story.remove, story.again, story.autopkgtests, story.purge,
    ]  # fmt: skip
    for step in steps:
        begin = time.monotonic()
        title = (step.__doc__ or "").splitlines()[0]
        try:
            result = step()
        except (Failed, OSError) as error:
            print(f"FAILED {title}\n{error}", flush=True)
            for unit in (*UNITS, *SECOND):
                print(f"--- {unit}\n{journal(unit, 60)}", flush=True)
            return 1
        print(f"ok    {title}\n      {result} ({time.monotonic() - begin:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
