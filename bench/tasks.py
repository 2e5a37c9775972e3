"""What a section asks of its contenders: what is there before a run, and what must be true after."""

import mmap
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compare import compare
from places import Failed, must

if TYPE_CHECKING:
    from programs import Run
    from run import Case

MIB = 1 << 20
PAGE = 4096
"""Of contents the awaited calls are asked for one byte of so many, and all for the length."""

KILL_AT = 0.7
"""The part of a file that is there when its copy is killed."""
KILLED_BY = 0.85
"""The part beyond which it is killed too late."""
KILL_TRIES = 5
ARGUMENTS = "1000"
"""Files for each command, where they are arguments."""

ALONE = """
root=$1
mount --bind / "$root"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$2" "$root/mnt"
for trash in "$root"/.Trash "$root"/.Trash-0; do
    [ ! -e "$trash" ] || mount -t tmpfs none "$trash"
done
shift 2
exec chroot "$root" env "$@"
"""
"""Runs a command where nothing is mounted but the root, and at /mnt the place."""


class Task:
    """Copying a tree to a name that is free; other tasks change what they have to."""

    def begin(self, case: "Case") -> None:
        """Once, before the first run."""

    def prepare(self, case: "Case", command: list[str]) -> None:
        """Before each run of the command, uncounted; the places are empty."""

    def source(self, case: "Case") -> Path:
        """What the command takes. It may change only what lies in the work directories."""
        return case.source

    def wrap(self, case: "Case", command: list[str]) -> list[str]:
        return command

    def check(self, case: "Case", contents: bool) -> set[str]:
        """Raises Failed when the work was not done; returns what was lost on the way."""
        return same(case.source, case.target, contents)

    def seconds(self, case: "Case", run: "Run") -> float:
        """What the run is ranked by."""
        return run.seconds

    def figures(self, case: "Case", run: "Run") -> dict[str, float]:
        """More columns of the table, each with what the run adds to it."""
        return {}


def same(source: Path, target: Path, contents: bool) -> set[str]:
    result = compare(str(source), str(target), contents)
    if result.wrong:
        raise Failed(f"tree differs in {len(result.wrong)} entries, such as {result.wrong[0].lstrip('/')}")
    return result.lost


def gone(path: Path) -> None:
    if os.path.lexists(path):
        raise Failed("the tree is still there")


class Delete(Task):
    """Of a copy, as is all that takes its source away."""

    def source(self, case: "Case") -> Path:
        return case.origin / "tree"

    def prepare(self, case: "Case", command: list[str]) -> None:
        must("cp", "-a", str(case.source), str(self.source(case)))

    def check(self, case: "Case", contents: bool) -> set[str]:
        gone(self.source(case))
        return set()


class Move(Delete):
    def check(self, case: "Case", contents: bool) -> set[str]:
        gone(self.source(case))
        return same(case.source, case.target, contents)


class Merge(Move):
    """Into a tree of the same directories."""

    def prepare(self, case: "Case", command: list[str]) -> None:
        super().prepare(case, command)
        for folder, _, _ in os.walk(case.source):
            mode = stat.S_IMODE(os.stat(folder).st_mode)
            (case.target / Path(folder).relative_to(case.source)).mkdir(mode)


class TrashTree(Delete):
    def check(self, case: "Case", contents: bool) -> set[str]:
        gone(self.source(case))
        count_items(case, 1)
        return same(case.source, case.trash / "files" / "tree", contents)


class TrashFiles(Delete):
    """One by one, as arguments."""

    def prepare(self, case: "Case", command: list[str]) -> None:
        super().prepare(case, command)
        names = [os.fsencode(path) for path in files(self.source(case))]
        list_of(case).write_bytes(b"\0".join(names))

    def wrap(self, case: "Case", command: list[str]) -> list[str]:
        return ["xargs", "-0", "-a", str(list_of(case)), "-n", ARGUMENTS, *command[:-1]]

    def check(self, case: "Case", contents: bool) -> set[str]:
        if files(self.source(case)):
            raise Failed("files are still there")
        count_items(case, len(files(case.source)))
        return set()


class Empty(Delete):
    """A trash that holds the tree as one item, or each of its files."""

    def __init__(self, each: bool) -> None:
        self.each = each

    def prepare(self, case: "Case", command: list[str]) -> None:
        super().prepare(case, command)
        source = self.source(case)
        for folder in ("files", "info"):
            (case.trash / folder).mkdir(parents=True, mode=0o700)
        for path in files(source) if self.each else [source]:
            info = f"[Trash Info]\nPath={path}\nDeletionDate=2026-01-31T12:30:00\n"
            (case.trash / "info" / f"{path.name}.trashinfo").write_text(info)
            path.rename(case.trash / "files" / path.name)

    def wrap(self, case: "Case", command: list[str]) -> list[str]:
        """Emptying goes through the trashes of all mounts: the command sees the root's only, whose trash is covered."""
        root = case.origin / "root"
        root.mkdir()
        if command[0].startswith(str(case.bench.programs)):
            command = [shutil.copy(command[0], case.place), *command[1:]]
        inside = [f"{name}={value}" for name, value in case.environment.items() if value.startswith(str(case.place))]
        inside = [word.replace(str(case.place), "/mnt") for word in [*inside, *command]]
        return ["unshare", "--mount", "sh", "-ec", ALONE, "sh", str(root), str(case.place), *inside]

    def check(self, case: "Case", contents: bool) -> set[str]:
        # Other directories of a trash hold what is still to be deleted, such as GVfs' "expunged".
        left = [path for path in files(case.trash) if path.parent != case.trash]
        if left:
            raise Failed(f"{len(left)} files are still in the trash")
        return set()


def files(tree: Path) -> list[Path]:
    return [Path(folder) / name for folder, _, names in os.walk(tree) for name in names]


def list_of(case: "Case") -> Path:
    return case.origin / "list"


def count_items(case: "Case", wanted: int) -> None:
    for folder in ("files", "info"):
        path = case.trash / folder
        found = len(os.listdir(path)) if path.is_dir() else 0
        if found != wanted:
            raise Failed(f"{found} instead of {wanted} in the trash's {folder}")


class Resume(Task):
    """The second run after the first was killed."""

    def prepare(self, case: "Case", command: list[str]) -> None:
        # A busy machine looks too late at times.
        for _ in range(KILL_TRIES):
            self.start_and_kill(case, command)
            if allocated(case.target.parent) < KILLED_BY * allocated(case.source):
                return
            case.reset()
        raise Failed("the first run could not be killed in time")

    def start_and_kill(self, case: "Case", command: list[str]) -> None:
        child = subprocess.Popen(
            command,
            cwd="/",
            env=case.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            enough = KILL_AT * allocated(case.source)
            while child.poll() is None and allocated(case.target.parent) < enough:
                time.sleep(0.001)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def check(self, case: "Case", contents: bool) -> set[str]:
        return same(case.source, case.target, contents=True)

    def figures(self, case: "Case", run: "Run") -> dict[str, float]:
        return {"written MiB": run.written / MIB}


def allocated(tree: Path) -> int:
    """Bytes that the files have, in final places or others, while they come and go."""
    total = 0
    for path in files(tree):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


class Replace(Task):
    """Over a tree of the same names with other contents."""

    def begin(self, case: "Case") -> None:
        must("cp", "-a", str(case.source), str(case.old))
        for path in files(case.old):
            if not path.is_symlink():
                path.chmod(0o644)
                with path.open("ab") as file:
                    file.write(b"older\n")

    def prepare(self, case: "Case", command: list[str]) -> None:
        must("cp", "-a", str(case.old), str(case.target))


class Undo(Task):
    """Of a copy that was made just before."""

    def prepare(self, case: "Case", command: list[str]) -> None:
        self.copy(case)

    def copy(self, case: "Case", *options: str) -> None:
        program = case.bench.programs / "fileops"
        command = [str(program), "copy", *options, "-T", str(case.source), str(case.target)]
        subprocess.run(command, env=case.environment, stdout=subprocess.DEVNULL, check=True)

    def check(self, case: "Case", contents: bool) -> set[str]:
        gone(case.target)
        return set()


class UndoReplace(Undo):
    """The old files come back."""

    def begin(self, case: "Case") -> None:
        Replace().begin(case)

    def prepare(self, case: "Case", command: list[str]) -> None:
        Replace().prepare(case, command)
        self.copy(case, "--on-conflict", "replace")

    def check(self, case: "Case", contents: bool) -> set[str]:
        return same(case.old, case.target, contents)



class Await(Task):
    """Calls for all that is in the tree; the command reports how long they took, and what they gave."""

    per = "a call"
    """What the figures are for."""

    def begin(self, case: "Case") -> None:
        self.expected = self.expect(case.source)

    def expect(self, tree: Path) -> tuple[int, int]:
        """How many calls there are, and the sum of what they give."""
        raise NotImplementedError

    def check(self, case: "Case", contents: bool) -> set[str]:
        report = Report.of(case)
        if (report.calls, report.sum) != self.expected:
            raise Failed(f"{report.calls} calls gave {report.sum} instead of {self.expected[0]}, {self.expected[1]}")
        return set()

    def seconds(self, case: "Case", run: "Run") -> float:
        return Report.of(case).seconds

    def figures(self, case: "Case", run: "Run") -> dict[str, float]:
        report = Report.of(case)
        amount = self.amount(report.calls)
        return {
            f"us {self.per}": report.seconds * 1e6 / amount,
            f"CPU us {self.per}": report.processor * 1e6 / amount,
            f"sleeps {self.per}": report.sleeps / amount,
        }

    def amount(self, calls: int) -> float:
        return calls


class AwaitStat(Await):
    def expect(self, tree: Path) -> tuple[int, int]:
        return summed(attributes(path) for path in regular(tree))


class AwaitOpen(Await):
    def expect(self, tree: Path) -> tuple[int, int]:
        return summed(1 for _ in regular(tree))


class AwaitRead(Await):
    def expect(self, tree: Path) -> tuple[int, int]:
        return summed(contents_of(path) for path in regular(tree))


class AwaitList(Await):
    per = "an entry"

    def expect(self, tree: Path) -> tuple[int, int]:
        return summed(attributes(path) for path in tree.rglob("*"))


class AwaitStream(Await):
    per = "a MiB"

    def expect(self, tree: Path) -> tuple[int, int]:
        paths = regular(tree)
        return sum(path.stat().st_size for path in paths), sum(contents_of(path) for path in paths)

    def amount(self, calls: int) -> float:
        return calls / MIB


@dataclass(frozen=True)
class Report:
    """What bench/awaiting and awaiting-gio write."""

    seconds: float
    processor: float
    sleeps: int
    calls: int
    sum: int

    @classmethod
    def of(cls, case: "Case") -> "Report":
        seconds, processor, sleeps, calls, total = case.target.read_text().split()
        return cls(float(seconds), float(processor), int(sleeps), int(calls), int(total))


def regular(tree: Path) -> list[Path]:
    return [path for path in files(tree) if not path.is_symlink()]


def summed(values: Iterable[int]) -> tuple[int, int]:
    known = list(values)
    return len(known), sum(known)


def attributes(path: Path) -> int:
    """Size and permission bits."""
    status = path.lstat()
    return status.st_size + stat.S_IMODE(status.st_mode)


def contents_of(path: Path) -> int:
    """The length and the first byte of each page."""
    with path.open("rb") as file:
        if not (length := os.fstat(file.fileno()).st_size):
            return 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return length + sum(data[::PAGE])
