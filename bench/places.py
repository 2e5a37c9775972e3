"""Where a section works: memory, the disk, an image of a file system, a slow one."""

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from programs import Bench

MEMORY = Path("/dev/shm")
DROP_CACHES = Path("/proc/sys/vm/drop_caches")

GIB = 1 << 30
CALL_DELAY = 1000
"""Microseconds that the slow file system adds to each call."""


class Skip(Exception):
    """A section or a contender cannot run here; says why."""


class Failed(Exception):
    """A contender ran and did not do its work; says what went wrong."""


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A fresh directory, gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="fileops-bench-", dir=parent))
    try:
        yield directory
    finally:
        remove(directory)


def in_memory(bench: "Bench") -> AbstractContextManager[Path]:
    return scratch(bench.memory)


def on_disk(bench: "Bench") -> AbstractContextManager[Path]:
    return scratch(bench.disk)


def image(size: int, *kinds: str) -> Callable[["Bench"], AbstractContextManager[Path]]:
    """A file system of the first of the kinds that can be made, on a loop device whose image is in memory."""

    @contextmanager
    def mounted(bench: "Bench") -> Iterator[Path]:
        if os.geteuid() != 0:
            raise Skip("mounting an image needs root")
        kind = next((kind for kind in kinds if shutil.which(f"mkfs.{kind}")), None)
        if kind is None:
            raise Skip("needs " + " or ".join(f"mkfs.{kind}" for kind in kinds))
        with scratch(bench.memory) as directory:
            file, mount = directory / "image", directory / "mount"
            mount.mkdir()
            file.touch()
            os.truncate(file, size)
            # Without background work after the mount, which would be measured along.
            options = ["-E", "lazy_itable_init=0,lazy_journal_init=0"] if kind == "ext4" else []
            must(f"mkfs.{kind}", "-q", *options, str(file))
            # The loop device goes with the mount; discard gives the memory of deleted files back.
            must("mount", "-t", kind, "-o", "loop,discard", str(file), str(mount))
            try:
                yield mount
            finally:
                unmount(mount)

    return mounted


@contextmanager
def overlay(bench: "Bench") -> Iterator[Path]:
    """An overlay of directories in memory, as containers run on."""
    if os.geteuid() != 0:
        raise Skip("mounting an overlay needs root")
    with scratch(bench.memory) as directory:
        lower, upper, work, mount = (directory / name for name in ("lower", "upper", "work", "mount"))
        for folder in (lower, upper, work, mount):
            folder.mkdir()
        must("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "none", str(mount))
        try:
            yield mount
        finally:
            unmount(mount)


@contextmanager
def slowed(bench: "Bench", backing: Path) -> Iterator[Path]:
    """The directory as seen through a file system where every call waits; mounted anew, so nothing is cached."""
    program = bench.programs / "slowfs"
    if not program.exists():
        raise Skip(f"{program.name} is missing")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("FUSE is not available")
    mount = Path(tempfile.mkdtemp(prefix="slow-", dir=backing.parent))
    command = [str(program), str(backing), str(mount), "--delay-us", str(CALL_DELAY)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 10
        while not os.path.ismount(mount):
            if server.poll() is not None or time.monotonic() > deadline:
                raise Skip(f"{program.name} did not mount")
            time.sleep(0.01)
        yield mount
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if os.path.ismount(mount):
            unmount(mount)
        mount.rmdir()


def must(*command: str) -> None:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if result.returncode:
        raise Skip(f"{command[0]}: {last_line(result.stderr) or result.returncode}")


def unmount(mount: Path) -> None:
    if subprocess.run(["umount", str(mount)], stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def remove(path: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)


def last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1][-160:] if lines else ""


def sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    ctypes.CDLL(None).syncfs(descriptor)
    os.close(descriptor)


def drop_caches() -> None:
    os.sync()
    DROP_CACHES.write_text("3")


def free_space(directory: Path) -> int:
    free = shutil.disk_usage(directory).free
    if directory.is_relative_to(MEMORY):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        free = min(free, int(available.split()[1]) << 10)
    return free
