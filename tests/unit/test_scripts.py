"""quickstart, check and .ci/run: that they parse where they must, and refuse clearly."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["quickstart", "check", ".ci/run"]
# What the set-up calls on a machine that lacks something; the tests' own PATH has nothing else.
TOOLS = ["basename", "cat", "cksum", "dirname", "env", "id", "mkdir", "readlink", "sh", "tail"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a path with a blank, without an environment, and a PATH of its own in bin."""
    root = tmp_path / "my frpd"
    (root / "tools").mkdir(parents=True)
    shutil.copytree(ROOT / "requirements", root / "requirements")
    for name in ("quickstart", "check", "tools/setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    return root


def fake(checkout: Path, name: str, script: str) -> None:
    path = checkout.parent / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(checkout: Path, snippet: str) -> subprocess.CompletedProcess[str]:
    """Run a snippet after tools/setup.sh, with the faked PATH only."""
    code = f'set -eu; root=$1; . "$root/tools/setup.sh"; {snippet}'
    return subprocess.run(
        ["/bin/sh", "-c", code, "check", str(checkout)],
        env={"PATH": str(checkout.parent / "bin")},
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )


@pytest.mark.parametrize("script", [*SCRIPTS, "tools/setup.sh"])
def test_a_script_parses_in_a_plain_posix_shell(script: str) -> None:
    subprocess.run(["/bin/sh", "-n", str(ROOT / script)], check=True)


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "tools").glob("*.sh")))
def test_a_tool_parses_in_the_shell_that_it_names(script: str) -> None:
    path = ROOT / "tools" / script
    shell = "bash" if path.read_text().startswith("#!/bin/bash\n") else "sh"
    subprocess.run([f"/bin/{shell}", "-n", str(path)], check=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_executable(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_ci_runs_the_readme_s_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ['exec "$(dirname -- "$0")/../check"']
    assert re.search(r"^    \./check ", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_missing_packages_without_root_or_sudo_are_named(checkout: Path) -> None:
    fake(checkout, "id", "echo 1000")
    fake(checkout, "apt-get", "exit 0")
    done = run(checkout, "install_packages wrk iperf3")
    assert done.returncode == 1
    assert "neither root nor have sudo" in done.stderr
    assert "apt-get install --no-install-recommends wrk iperf3" in done.stderr


def test_a_system_without_apt_is_told_what_to_bring(checkout: Path) -> None:
    done = run(checkout, "install_packages wrk")
    assert done.returncode == 1
    assert "this is no Debian" in done.stderr


def test_only_missing_tools_are_installed_and_by_their_package(checkout: Path) -> None:
    present = re.findall(r"^    (\S+):", (checkout / "tools/setup.sh").read_text(), re.MULTILINE)
    assert {"make", "sshd", "nginx", "wrk"} <= set(present)
    for name in set(present) - {"sshd", "nc"}:
        fake(checkout, name, "exit 0")
    done = run(checkout, "install_packages() { echo wanted $*; }; need_test_tools")
    assert done.stdout.splitlines() == ["wanted openssh-server netcat-openbsd"]
    for name in ("sshd", "nc"):
        fake(checkout, name, "exit 0")
    done = run(checkout, "install_packages() { echo wanted $*; }; need_test_tools; echo done")
    assert done.stdout.splitlines() == ["done"]


def test_what_the_package_is_built_with_is_read_from_debian_control(checkout: Path) -> None:
    (checkout / "debian").mkdir()
    control = (
        "Source: x\nBuild-Depends:\n debhelper-compat (= 13),\n python3-x,\nRules: no\n\n y,\n"
    )
    (checkout / "debian" / "control").write_text(control)
    for name in ("dpkg-checkbuilddeps", "git", "lintian", "systemd-analyze"):
        fake(checkout, name, "exit 0")
    for name in ("sed", "tr"):
        (checkout.parent / "bin" / name).symlink_to(shutil.which(name) or "")
    code = "install_packages() { echo wanted $*; }; can_make_venv() { true; }; need_package_tools"
    assert run(checkout, code).stdout == ""
    fake(checkout, "dpkg-checkbuilddeps", "exit 1")
    assert run(checkout, code).stdout == "wanted debhelper-compat python3-x\n"


def test_an_old_python_is_refused_by_name(checkout: Path) -> None:
    fake(checkout, "python3", '[ "$1" = -V ] && echo Python 3.9.2 || exit 1')
    done = run(checkout, "candidates=python3; find_python")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; found Python 3.9.2" in done.stderr


def test_a_network_that_is_not_there_is_said_with_pip_s_own_words(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$*" in *install*) echo no route; exit 1;; esac\n')
    python.chmod(0o755)
    done = run(checkout, "need_venv accel")
    assert done.returncode == 1
    assert done.stderr.startswith("no route\n")
    assert "pip could not install frpd's libraries" in done.stderr
    assert "Is there a network?" in done.stderr


def test_an_environment_that_was_made_is_left_alone(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$*" in *--require-hashes*) echo x >>"$0.installs";; esac\n')
    python.chmod(0o755)
    for extras in ("accel,dev", "accel,dev", "accel"):
        assert run(checkout, f"need_venv {extras}").returncode == 0
    assert (python.parent / "python.installs").read_text() == "x\n"
    for times, changed in enumerate(("pyproject.toml", "requirements/runtime.txt"), 2):
        with (checkout / changed).open("a") as file:
            file.write("# changed\n")
        assert run(checkout, "need_venv accel").returncode == 0
        assert (python.parent / "python.installs").read_text() == "x\n" * times


@pytest.mark.parametrize(("extras", "file"), [("accel", "runtime"), ("accel,dev", "dev")])
def test_nothing_is_installed_that_has_no_hash(checkout: Path, extras: str, file: str) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$*" in *" install "*) echo "$*" >>"$0.said";; esac\n')
    python.chmod(0o755)
    assert run(checkout, f"need_venv {extras}").returncode == 0
    libraries, frpd = (python.parent / "python.said").read_text().splitlines()
    wanted = [f"-r {checkout}/requirements/{name}.txt" for name in (file, "build")]
    assert libraries.split("--require-hashes ")[1] == " ".join(wanted)
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= set(frpd.split())
