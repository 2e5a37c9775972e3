"""What is measured: one section for each table."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import contenders as tools
from contenders import CLONERS, COPIERS, EVERYBODY, WAITING, Contenders, pick
from places import GIB, image, in_memory, on_disk, overlay
from programs import Bench
from tasks import (
    AwaitList,
    AwaitOpen,
    AwaitRead,
    AwaitStat,
    AwaitStream,
    Delete,
    Empty,
    Merge,
    Move,
    Replace,
    Resume,
    Task,
    TrashFiles,
    TrashTree,
    Undo,
    UndoReplace,
)


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    workload: str
    place: Callable[[Bench], AbstractContextManager[Path]]
    contenders: Contenders
    task: Task = Task()
    amount: int = 0
    """Files or bytes, where that is not the workload's usual."""
    space: float = 2
    """GiB that the source and one copy need, with room to spare."""
    cold: bool = False
    first_byte: bool = False
    slow: str = ""
    """Which end is behind the slow file system: "source" or "target"."""
    across: bool = False
    """What is taken away lies in memory, whatever the place is."""


EXT4 = image(8 * GIB, "ext4")

COPY = (
    Section("tmpfs-small", "100,000 small files", "small", in_memory, EVERYBODY, first_byte=True),
    Section("tmpfs-toolchain", "a Rust toolchain", "toolchain", in_memory, EVERYBODY, space=5),
    Section(
        "tmpfs-large",
        "one file of 4 GiB",
        "large",
        in_memory,
        EVERYBODY | pick(COPIERS, "xcp, parblock"),
        space=9,
        first_byte=True,
    ),
    Section("tmpfs-sparse", "4 GiB with 64 MiB of data", "sparse", in_memory, EVERYBODY, space=5),
    Section("tmpfs-deep", "1,000 nested directories", "deep", in_memory, EVERYBODY),
    Section("tmpfs-wide", "200,000 empty files in one directory", "wide", in_memory, EVERYBODY),
    Section("tmpfs-delete", "deleting 100,000 small files", "small", in_memory, tools.DELETERS, Delete()),
    Section("ext4-small", "100,000 small files, ext4 in memory", "small", EXT4, EVERYBODY, space=3),
    Section("ext4-toolchain", "a Rust toolchain, ext4 in memory", "toolchain", EXT4, EVERYBODY, space=4),
    Section(
        "cold-small",
        "100,000 small files, real disk, nothing cached",
        "small",
        on_disk,
        pick(COPIERS, "limit, 16 workers") | EVERYBODY,
        cold=True,
    ),
    Section(
        "clone",
        "one file of 4 GiB, on a file system that clones",
        "large",
        image(10 * GIB, "xfs", "btrfs"),
        CLONERS,
        space=5,
    ),
    Section("fuse-source", "2,000 files, 1 ms a call in the source", "slow", in_memory, WAITING, slow="source"),
    Section("fuse-target", "2,000 files, 1 ms a call in the target", "slow", in_memory, WAITING, slow="target"),
    Section(
        "memory-small", "peak memory, 100,000 small files", "small", in_memory, pick(COPIERS, "limit", "fileops")
    ),
    Section(
        "memory-million",
        "peak memory, a directory of 1,000,000",
        "wide",
        in_memory,
        pick(COPIERS, "limit", "fileops"),
        amount=1_000_000,
        space=5,
    ),
)

MOVE = (
    Section("move-rename", "a tree of 100,000 small files to a free name", "small", EXT4, tools.RENAMERS, Move()),
    Section(
        "move-merge",
        "100,000 small files into a tree of the same directories",
        "small",
        EXT4,
        tools.MERGERS,
        Merge(),
        space=3,
    ),
    Section(
        "move-across-small",
        "30,000 small files from tmpfs to ext4 in memory",
        "small",
        EXT4,
        tools.MOVERS,
        Move(),
        amount=30_000,
        across=True,
    ),
    Section(
        "move-across-large",
        "one file of 2 GiB from tmpfs to ext4 in memory",
        "large",
        EXT4,
        tools.MOVERS,
        Move(),
        amount=2 * GIB,
        space=8,
        across=True,
    ),
)

TRASH = (
    Section(
        "trash-files",
        "10,000 files into the trash, 1,000 a command",
        "slow",
        EXT4,
        tools.TRASHERS,
        TrashFiles(),
        amount=10_000,
    ),
    Section("trash-tree", "a tree of 100,000 small files into the trash", "small", EXT4, tools.TRASHERS, TrashTree()),
    Section(
        "trash-empty-files",
        "emptying a trash of 10,000 files",
        "slow",
        EXT4,
        tools.EMPTIERS,
        Empty(each=True),
        amount=10_000,
    ),
    Section(
        "trash-empty-tree",
        "emptying a trash of one tree of 100,000 small files",
        "small",
        EXT4,
        tools.EMPTIERS,
        Empty(each=False),
    ),
)

SAFE = (
    Section("durable-ext4-small", "100,000 small files, ext4 in memory", "small", EXT4, tools.DURABLE, space=3),
    Section(
        "durable-ext4-large",
        "one file of 2 GiB, ext4 in memory",
        "large",
        EXT4,
        tools.DURABLE,
        amount=2 * GIB,
        space=5,
    ),
    Section("durable-disk-small", "100,000 small files, real disk", "small", on_disk, tools.DURABLE),
    Section(
        "durable-disk-large",
        "one file of 2 GiB, real disk",
        "large",
        on_disk,
        tools.DURABLE,
        amount=2 * GIB,
        space=5,
    ),
    Section("verify-small", "100,000 small files, ext4 in memory", "small", EXT4, tools.VERIFIERS, space=3),
    Section(
        "verify-large",
        "one file of 2 GiB, ext4 in memory",
        "large",
        EXT4,
        tools.VERIFIERS,
        amount=2 * GIB,
        space=5,
    ),
    Section(
        "resume-ext4",
        "one file of 2 GiB after a kill at 70 %, ext4 in memory",
        "large",
        EXT4,
        tools.RESUMERS,
        Resume(),
        amount=2 * GIB,
        space=7,
    ),
    Section(
        "resume-disk",
        "one file of 2 GiB after a kill at 70 %, real disk",
        "large",
        on_disk,
        tools.RESUMERS,
        Resume(),
        amount=2 * GIB,
        space=7,
    ),
)

UNDO = (
    Section("journal-copy", "a copy of 100,000 small files, ext4 in memory", "small", EXT4, tools.JOURNALLED, space=3),
    Section("journal-disk", "a copy of 100,000 small files, real disk", "small", on_disk, tools.JOURNALLED),
    Section(
        "journal-replace",
        "20,000 small files replaced, ext4 in memory",
        "small",
        EXT4,
        tools.REPLACERS,
        Replace(),
        amount=20_000,
    ),
    Section("undo-copy", "undoing a copy of 100,000 small files", "small", EXT4, tools.UNDOERS, Undo(), space=3),
    Section(
        "undo-replace",
        "undoing the replacement of 20,000 small files",
        "small",
        EXT4,
        tools.REPLACED_UNDOERS,
        UndoReplace(),
        amount=20_000,
    ),
)

AWAITED_FILES = 50_000


def awaited(name: str, title: str, contenders: Contenders, task: Task, workload: str = "small") -> tuple[Section, ...]:
    """On tmpfs, where reads have no way of not waiting, and on ext4, where they have."""
    amount = GIB if workload == "large" else AWAITED_FILES
    return (
        Section(f"await-{name}-tmpfs", f"{title}, tmpfs", workload, in_memory, contenders, task, amount),
        Section(f"await-{name}-ext4", f"{title}, ext4 in memory", workload, EXT4, contenders, task, amount),
    )


AWAIT = (
    *awaited("stat", "stat of 50,000 files, one after the other", tools.AWAIT_STAT, AwaitStat()),
    *awaited("open", "open and close of 50,000 files, one after the other", tools.AWAIT_OPEN, AwaitOpen()),
    *awaited("read", "50,000 small files read, one after the other", tools.AWAIT_READ, AwaitRead()),
    *awaited("64-stat", "stat of 50,000 files, 64 in flight", tools.AWAIT_STAT_64, AwaitStat()),
    *awaited("64-open", "open and close of 50,000 files, 64 in flight", tools.AWAIT_OPEN_64, AwaitOpen()),
    *awaited("64-read", "50,000 small files read, 64 in flight", tools.AWAIT_READ_64, AwaitRead()),
    # A file system that may wait for another one: every call needs a worker.
    Section(
        "await-worker-stat",
        "stat of 50,000 files on an overlay, one after the other",
        "small",
        overlay,
        tools.AWAIT_STAT,
        AwaitStat(),
        AWAITED_FILES,
    ),
    Section(
        "await-worker-64-stat",
        "stat of 50,000 files on an overlay, 64 in flight",
        "small",
        overlay,
        tools.AWAIT_STAT_64,
        AwaitStat(),
        AWAITED_FILES,
    ),
    *awaited("many", "stat of 50,000 files in one call", tools.AWAIT_MANY, AwaitStat()),
    *awaited("list", "2,500 directories of a tree, with metadata", tools.AWAIT_LIST, AwaitList()),
    *awaited("wide", "one directory of 50,000, with metadata", tools.AWAIT_WIDE, AwaitList(), "wide"),
    *awaited("stream", "1 GiB from beginning to end", tools.AWAIT_STREAM, AwaitStream(), "large"),
    Section(
        "await-stream-disk",
        "1 GiB from beginning to end, real disk, nothing cached",
        "large",
        on_disk,
        tools.AWAIT_STREAM,
        AwaitStream(),
        GIB,
        cold=True,
    ),
)

SECTIONS = COPY + MOVE + TRASH + SAFE + UNDO + AWAIT
