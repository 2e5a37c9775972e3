"""Compares a copy with its source: what is wrong with it, and what it did not keep."""

import os
import stat
from dataclasses import dataclass, field

CHUNK = 1 << 20


@dataclass
class Comparison:
    wrong: list[str] = field(default_factory=list)
    """Entries that are missing, too many, of another kind, or that hold something else."""
    lost: set[str] = field(default_factory=set)
    """Properties that at least one entry lost, such as "times"."""


def compare(source: str, target: str, contents: bool = True) -> Comparison:
    """Walks both trees. Without `contents` it looks at names, kinds and sizes alone."""
    result = Comparison()
    links: dict[int, int] = {}
    pending = [""]
    while pending:
        path = pending.pop()
        ours, theirs = source + path, target + path
        try:
            before, after = os.lstat(ours), os.lstat(theirs)
            if stat.S_IFMT(before.st_mode) != stat.S_IFMT(after.st_mode):
                result.wrong.append(f"{path}: another kind")
                continue
            if stat.S_ISDIR(before.st_mode):
                names, found = set(os.listdir(ours)), set(os.listdir(theirs))
                result.wrong += [f"{path}/{name}: missing" for name in names - found]
                result.wrong += [f"{path}/{name}: not in the source" for name in found - names]
                pending += [f"{path}/{name}" for name in names & found]
            elif stat.S_ISLNK(before.st_mode):
                if os.readlink(ours) != os.readlink(theirs):
                    result.wrong.append(f"{path}: another link target")
            elif before.st_size != after.st_size:
                result.wrong.append(f"{path}: {after.st_size} bytes instead of {before.st_size}")
            elif contents and before.st_size and not same_bytes(ours, theirs):
                result.wrong.append(f"{path}: other contents")
        except OSError as error:
            result.wrong.append(f"{path}: {error.strerror}")
            continue
        if contents:
            result.lost |= lost(ours, theirs, before, after, links)
    return result


def same_bytes(ours: str, theirs: str) -> bool:
    with open(ours, "rb", buffering=0) as one, open(theirs, "rb", buffering=0) as other:
        while block := one.read(CHUNK):
            if block != other.read(CHUNK):
                return False
        return not other.read(1)


def lost(ours: str, theirs: str, before: os.stat_result, after: os.stat_result, links: dict[int, int]) -> set[str]:
    """What the copy of one entry did not keep; `links` maps the inodes met so far to those of their copies."""
    missing = set()
    if stat.S_IMODE(before.st_mode) != stat.S_IMODE(after.st_mode):
        missing.add("modes")
    if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
        missing.add("owners")
    if before.st_mtime_ns != after.st_mtime_ns:
        kinds = {stat.S_IFDIR: "directory times", stat.S_IFLNK: "link times"}
        missing.add(kinds.get(stat.S_IFMT(before.st_mode), "times"))
    if xattrs(ours) != xattrs(theirs):
        missing.add("xattrs")
    if not stat.S_ISDIR(before.st_mode) and before.st_nlink > 1:
        if links.setdefault(before.st_ino, after.st_ino) != after.st_ino:
            missing.add("hard links")
    # In blocks of 512 bytes: file systems differ by a few, a hole that was filled is more.
    if stat.S_ISREG(before.st_mode) and after.st_blocks > before.st_blocks + 2048:
        missing.add("holes")
    return missing


def xattrs(path: str) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
