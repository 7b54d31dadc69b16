"""Nothing outside of the folder is ever opened, whatever it holds and whoever asks."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frpd.client.plugins import static_tree
from frpd.client.plugins.static_tree import (
    MAX_LINKS,
    FolderMissing,
    Opened,
    StaticTree,
    kernel_has_openat2,
    open_by_kernel,
)

SECRET = b"secret"
Open = Callable[[str], Opened]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A served folder, and what must not be reached beside it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a").write_bytes(b"a")
    (root / "sub" / "b").write_bytes(b"b")
    (root / "sub" / "deep" / "c").write_bytes(b"c")
    (root / os.fsdecode(b"\xff\\..\\x")).write_bytes(b"odd")
    yield root
    (root / "locked").chmod(0o700) if (root / "locked").exists() else None


@pytest.fixture(params=["kernel", "walk", "best"])
def opened(request: pytest.FixtureRequest, root: Path) -> Open:
    if request.param != "walk" and not kernel_has_openat2():
        pytest.skip("no openat2 here")
    walker = StaticTree(str(root))
    beneath = {"kernel": open_by_kernel, "walk": walker.open_by_walk, "best": None}[request.param]
    tree = StaticTree(str(root), beneath)
    return lambda path: tree.open(tuple(os.fsencode(part) for part in path.split("/") if part))


def content(opened: Opened) -> bytes:
    return os.pread(opened.file.fd, 100, 0)


def refusal(opened: Open, path: str) -> int:
    """Return the error number that a path is refused with."""
    try:
        opened(path)
    except OSError as error:
        return error.errno or 0
    pytest.fail(f"{path} was opened")


def test_files_and_folders_are_opened(opened: Open) -> None:
    for path in ("a", "sub/b", "sub/deep/c"):
        found = opened(path)
        assert (found.is_folder, content(found)) == (False, path[-1].encode())
    assert os.listdir(opened("sub/deep").file.fd) == ["c"]
    assert opened("").is_folder
    assert content(opened(os.fsdecode(b"\xff\\..\\x"))) == b"odd"


def test_what_is_not_there_is_not_found(opened: Open) -> None:
    assert refusal(opened, "nope") == errno.ENOENT
    assert refusal(opened, "sub/nope/c") == errno.ENOENT
    assert refusal(opened, "a/b") == errno.ENOTDIR
    assert refusal(opened, "x" * 256) == errno.ENAMETOOLONG
    assert refusal(opened, "/".join(["x" * 200] * 30)) in (errno.ENAMETOOLONG, errno.ENOENT)


@pytest.mark.parametrize(
    "path",
    [(b"..", b"outside", b"secret"), (b"sub", b".."), (b".",), (b"",), (b"sub/b",), (b"a\0b",)],
)
def test_what_is_no_component_is_not_found(root: Path, path: tuple[bytes, ...]) -> None:
    with pytest.raises(FileNotFoundError):
        StaticTree(str(root)).open(path)


def test_links_inside_are_followed(root: Path, opened: Open) -> None:
    (root / "to_a").symlink_to("a")
    (root / "sub" / "up").symlink_to("../a")
    (root / "sub" / "deep" / "around").symlink_to("../../sub/./deep//../b")
    (root / "folder").symlink_to("sub/deep")
    (root / "chain").symlink_to("folder/around")
    (root / "self").symlink_to(".")
    for path, expected in [
        ("to_a", b"a"),
        ("sub/up", b"a"),
        ("sub/deep/around", b"b"),
        ("folder/c", b"c"),
        ("chain", b"b"),
        ("self/self/folder/around", b"b"),
    ]:
        assert content(opened(path)) == expected, path
    assert opened("folder").is_folder


@pytest.mark.parametrize(
    "target",
    [
        "../outside/secret",
        "../outside",
        "..",
        "../root/../outside/secret",
        "sub/../../outside/secret",
        "/",
        "/etc/passwd",
        "{outside}/secret",
        "{root}2/secret",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd",
        "/dev/null",
    ],
)
def test_links_that_lead_out_are_refused(root: Path, opened: Open, target: str) -> None:
    beside = root.with_name("root2")
    beside.mkdir()
    (beside / "secret").write_bytes(SECRET)
    (root / "link").symlink_to(target.format(root=root, outside=root.with_name("outside")))
    assert refusal(opened, "link") == errno.EXDEV
    assert refusal(opened, "link/secret") == errno.EXDEV


def test_a_link_that_leads_out_and_in_again_is_refused(root: Path, opened: Open) -> None:
    (root / "link").symlink_to("../root/a")
    assert refusal(opened, "link") == errno.EXDEV


@pytest.mark.parametrize("name", ["root", "alias"])
def test_an_absolute_link_into_the_folder_is_followed(root: Path, name: str) -> None:
    alias = root.with_name("alias")
    alias.symlink_to(root)
    (root / "link").symlink_to(root.with_name(name) / "sub" / "b")
    (root / "whole").symlink_to(root.with_name(name))
    tree = StaticTree(str(alias))
    assert content(tree.open((b"link",))) == b"b"
    assert content(tree.open((b"whole", b"sub", b"b"))) == b"b"


def test_an_absolute_link_cannot_climb_out_of_the_folder(root: Path) -> None:
    (root / "link").symlink_to(f"{root}/../outside/secret")
    with pytest.raises(OSError, match="leads out") as failure:
        StaticTree(str(root)).open((b"link",))
    assert failure.value.errno == errno.EXDEV


def test_links_in_a_circle_are_refused(root: Path, opened: Open) -> None:
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    assert refusal(opened, "one") == errno.ELOOP
    for index in range(MAX_LINKS + 1):
        (root / f"link{index}").symlink_to(f"link{index + 1}")
    (root / f"link{MAX_LINKS + 1}").write_bytes(b"end")
    assert refusal(opened, "link0") == errno.ELOOP
    assert content(opened("link2")) == b"end"


def test_what_is_neither_file_nor_folder_is_not_opened(root: Path, opened: Open) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(root / "socket"))
    (root / "link").symlink_to("fifo")
    for path in ("fifo", "socket", "link"):
        assert refusal(opened, path) == errno.EPERM


def test_devices_are_not_opened() -> None:
    """The folder is the system's own, since not everybody may make devices."""
    tree = StaticTree("/dev")
    for name in (b"null", b"tty", b"zero"):
        with pytest.raises(PermissionError):
            tree.open((name,))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(root: Path, opened: Open) -> None:
    (root / "a").chmod(0)
    assert refusal(opened, "a") == errno.EACCES
    (root / "locked").mkdir()
    (root / "locked").chmod(0)
    assert refusal(opened, "locked/x") == errno.EACCES


def test_a_file_that_becomes_something_else_meanwhile_is_refused(root: Path) -> None:
    (root / "fifo_to_be").write_bytes(b"")
    tree = StaticTree(str(root))

    def swaps(folder: int, path: bytes, flags: int) -> int:
        if not flags & os.O_PATH:
            (root / "fifo_to_be").unlink()
            os.mkfifo(root / "fifo_to_be")
        return tree.open_by_walk(folder, path, flags)

    with pytest.raises(PermissionError, match="replaced"):
        StaticTree(str(root), swaps).open((b"fifo_to_be",))


def test_a_folder_that_is_missing_is_told_from_a_file_that_is(root: Path) -> None:
    for path in (root / "nope", root / "a"):
        with pytest.raises(FolderMissing):
            StaticTree(str(path)).open((b"a",))


def test_the_folder_may_be_replaced_as_a_whole(root: Path) -> None:
    tree = StaticTree(str(root))
    assert content(tree.open((b"a",))) == b"a"
    root.rename(root.with_name("old"))
    root.mkdir()
    (root / "a").write_bytes(b"new")
    assert content(tree.open((b"a",))) == b"new"


def test_nothing_stays_open(root: Path, opened: Open) -> None:
    (root / "link").symlink_to("sub/deep/../../../outside/secret")
    (root / "good").symlink_to("sub/deep/../../a")
    os.mkfifo(root / "fifo")

    def visit() -> None:
        opened("sub/deep/c")
        opened("good")
        for path in ("link", "fifo", "nope", "sub/nope", "a/b"):
            refusal(opened, path)

    visit()
    for fd in os.listdir("/proc/self/fd"):
        link = Path("/proc/self/fd", fd)
        assert not (link.is_symlink() and os.readlink(link).startswith(str(root)))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_without_the_call_our_own_way_is_taken(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(folder: int, path: bytes, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(static_tree, "_answers", [])
    monkeypatch.setattr(static_tree, "open_by_kernel", refused)
    (root / "out").symlink_to("../outside/secret")
    tree = StaticTree(str(root))
    assert content(tree.open((b"sub", b"b"))) == b"b"
    with pytest.raises(OSError, match="leads out"):
        tree.open((b"out",))


def test_the_kernel_is_asked_again_while_folders_move(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel_has_openat2():
        pytest.skip("no openat2 here")
    real, asked = static_tree._libc.syscall, []

    class Busy:
        @staticmethod
        def syscall(*args: object) -> int:
            asked.append(args)
            if len(asked) < 3:
                ctypes.set_errno(errno.EAGAIN)
                return -1
            found: int = real(*args)
            return found

    monkeypatch.setattr(static_tree, "_libc", Busy)
    assert content(StaticTree(str(root)).open((b"a",))) == b"a"
    asked.clear()
    monkeypatch.setattr(static_tree, "MAX_RACES", 2)
    with pytest.raises(BlockingIOError):
        StaticTree(str(root)).open((b"a",))
