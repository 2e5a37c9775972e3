#!/usr/bin/env python3
"""Makes the trees that the benchmark copies, the same ones every time.

    generate.py small DIR [--count FILES]       100,000 small files in 5,000 directories
    generate.py large DIR [--size BYTES]        one file of 4 GiB
    generate.py sparse DIR [--size BYTES]       one file of 4 GiB that holds 64 x 1 MiB of data
    generate.py toolchain DIR                   a copy of the Rust toolchain in use: a real tree
    generate.py deep DIR [--count LEVELS]       1,000 nested directories with two files each
    generate.py wide DIR [--count FILES]        200,000 empty files in one directory
    generate.py slow DIR [--count FILES]        2,000 files of about 4 KiB in 150 directories

DIR must not exist. `small` has log-normal sizes up to 16 KiB, 2 % symbolic links, 1 % hard links,
extended attributes on some files where the file system has them, varied modes, and times in nanoseconds.
"""

import argparse
import errno
import math
import os
import random
import shutil
import subprocess
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30
EPOCH_NS = 1_600_000_000 * 10**9
YEAR_NS = 365 * 24 * 3600 * 10**9
EXTENSIONS = ("c", "h", "json", "md", "py", "rs", "txt")
UNUSUAL_MODES = (0o755, 0o600, 0o664, 0o444)


class Maker:
    """Files whose contents, sizes and times come from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pool = self.random.randbytes(MIB)

    def data(self, size: int) -> bytes:
        at = self.random.randrange(len(self.pool) - size)
        return self.pool[at : at + size]

    def set_times(self, path: str) -> None:
        time = EPOCH_NS + self.random.randrange(3 * YEAR_NS)
        os.utime(path, ns=(time, time), follow_symlinks=False)


def write(path: str, data: bytes, folder: int | None = None) -> None:
    """Creates a file in one write, without the buffers of a Python file object."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
    if data:
        os.write(file, data)
    os.close(file)


def set_xattr(path: str, value: bytes) -> None:
    try:
        os.setxattr(path, "user.origin", value)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise


def small(root: str, count: int = 100_000) -> None:
    maker = Maker(1)
    random = maker.random
    os.mkdir(root)
    folders, depth = [root], {root: 0}
    while len(folders) < max(1, count // 20):
        # Mostly below a recent directory, so that the tree has both long and bushy branches.
        parent = random.choice(folders[-300:] if random.random() < 0.7 else folders)
        if depth[parent] == 10:
            continue
        folder = f"{parent}/part{len(folders)}"
        os.mkdir(folder, 0o755 if random.random() < 0.9 else 0o750)
        folders.append(folder)
        depth[folder] = depth[parent] + 1

    linkable = None
    for number in range(count):
        path = f"{random.choice(folders)}/item-{number:06}.{random.choice(EXTENSIONS)}"
        kind = random.random()
        if kind < 0.02:
            os.symlink(f"../item-{number}", path)
            maker.set_times(path)
        elif kind < 0.03 and linkable:
            os.link(linkable, path)
        else:
            size = 0 if kind < 0.05 else min(16 << 10, int(random.lognormvariate(math.log(2500), 1.2)))
            write(path, maker.data(size))
            if kind > 0.98:
                set_xattr(path, b"https://example.org/%d" % number)
            if kind > 0.90:
                os.chmod(path, random.choice(UNUSUAL_MODES))
            maker.set_times(path)
            linkable = path
    for folder in reversed(folders):
        maker.set_times(folder)


def large(root: str, size: int = 4 * GIB) -> None:
    block = bytearray(random.Random(2).randbytes(8 * MIB))
    os.mkdir(root)
    with open(f"{root}/large.bin", "wb", buffering=0) as file:
        for at in range(0, size, len(block)):
            block[:8] = at.to_bytes(8, "little")  # no two blocks are the same
            file.write(block[: size - at])


def sparse(root: str, size: int = 4 * GIB) -> None:
    pieces = 64
    data = random.Random(3).randbytes(min(MIB, size // pieces // 2))
    os.mkdir(root)
    with open(f"{root}/sparse.img", "wb", buffering=0) as file:
        file.truncate(size)
        for piece in range(pieces):
            file.seek(piece * (size // pieces))
            file.write(data)


def toolchain(root: str) -> None:
    command = ["rustc", "--print", "sysroot"]
    sysroot = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copytree(sysroot, root, symlinks=True)


def deep(root: str, count: int = 1_000) -> None:
    os.mkdir(root)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(count):
        write("text", b"level %d\n" % level, folder)
        write("data", bytes(512), folder)
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)


def wide(root: str, count: int = 200_000) -> None:
    os.mkdir(root)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for number in range(count):
        write(f"empty-{number:07}", b"", folder)
    os.close(folder)


def slow(root: str, count: int = 2_000) -> None:
    maker = Maker(4)
    os.mkdir(root)
    folders = [root]
    while len(folders) < max(1, count * 150 // 2000):
        folder = f"{maker.random.choice(folders)}/part{len(folders)}"
        os.mkdir(folder)
        folders.append(folder)
    for number in range(count):
        path = f"{folders[number % len(folders)]}/item-{number:04}"
        write(path, maker.data(maker.random.randint(3 << 10, 5 << 10)))
        maker.set_times(path)


WORKLOADS = {make.__name__: make for make in (small, large, sparse, toolchain, deep, wide, slow)}
COUNTED = ("small", "deep", "wide", "slow")
SIZED = ("large", "sparse")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--count", type=int, help="number of files, or of levels: " + ", ".join(COUNTED))
    parser.add_argument("--size", type=int, help="bytes: " + ", ".join(SIZED))
    args = parser.parse_args()
    if args.count is not None and args.workload not in COUNTED:
        parser.error(f"{args.workload} has no --count")
    if args.size is not None and args.workload not in SIZED:
        parser.error(f"{args.workload} has no --size")
    given = {"count": args.count, "size": args.size}
    os.umask(0o022)
    WORKLOADS[args.workload](str(args.dir), **{name: value for name, value in given.items() if value is not None})


if __name__ == "__main__":
    main()
