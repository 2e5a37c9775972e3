#!/usr/bin/env python3
"""Measures fileops beside other tools, in interleaved rounds; README.md tells how to read the tables.

    run.py                          everything that this machine can run
    run.py --quick                  small trees and one round: does the benchmark work?
    run.py --only tmpfs,clone -n 9  the sections whose names begin so, nine rounds

Needs a C compiler and target/release/fileops; loop images and cold caches need root. What cannot run is
named with the reason, and the exit status stays 0.
"""

import argparse
import ctypes
import json
import os
import platform
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import generate
from compare import compare

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "target"
TOOLS = BUILD / "bench"
MEMORY = Path("/dev/shm")
DROP_CACHES = Path("/proc/sys/vm/drop_caches")

GIB = 1 << 30
RUN_TIMEOUT = 900
"""Seconds, after which a command is taken to hang."""
CALL_DELAY = 1000
"""Microseconds that the slow file system adds to each call."""


class Skip(Exception):
    """A section or a contender cannot run here; says why."""


class Failed(Exception):
    """A contender ran and did not do its work; says what went wrong."""


# ---------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class Contender:
    command: str
    """With {source}, and for a copy {target}, which does not exist yet."""
    crate: str = ""
    """Installed into target/bench when it is missing."""
    yardstick: bool = False
    """A lower bound, not a peer."""
    ours: bool = False

    @property
    def peer(self) -> bool:
        return not (self.yardstick or self.ours)


COPIERS = {
    "limit": Contender("limit cp {source} {target}", yardstick=True),
    "limit, 16 workers": Contender("limit cp -j16 {source} {target}", yardstick=True),
    "fileops": Contender("fileops copy -T {source} {target}", ours=True),
    "cp -a": Contender("cp -a {source} {target}"),
    "rsync -aHAXS": Contender("rsync -aHAXS {source}/ {target}/"),
    "cpz": Contender("cpz {source} {target}", crate="cpz"),
    "fcp": Contender("fcp {source} {target}", crate="fcp"),
    "xcp": Contender("xcp --no-progress -r {source} {target}", crate="xcp"),
    "xcp, 16 workers": Contender("xcp --no-progress -w 16 -r {source} {target}", crate="xcp"),
    "fileops --durable": Contender("fileops copy --durable -T {source} {target}", ours=True),
    "cp -a, sync": Contender('sh -c "cp -a {source} {target} && sync -f {target}"'),
    "fileops --verify": Contender("fileops copy --verify -T {source} {target}", ours=True),
    "cp -a, sync, diff": Contender('sh -c "cp -a {source} {target} && sync -f {target} && diff -r {source} {target}"'),
    "xcp, parblock": Contender("xcp --no-progress --driver parblock -r {source} {target}", crate="xcp"),
}
DELETERS = {
    "limit": Contender("limit rm {source}", yardstick=True),
    "fileops": Contender("fileops delete {source}", ours=True),
    "rm -rf": Contender("rm -rf {source}"),
    "rmz": Contender("rmz {source}", crate="rmz"),
}

MOVERS = {
    "fileops": Contender("fileops move -T {source} {target}", ours=True),
    "fileops, nothing kept": Contender("fileops move --no-undo -T {source} {target}", ours=True),
    "mv": Contender("mv -T {source} {target}"),
    "mv, sync": Contender("sh -c 'mv -T {source} {target} && sync -f {target}'"),
}

EVERYBODY = ("limit", "fileops", "cp -a", "rsync -aHAXS", "cpz", "fcp", "xcp")
DURABLE = ("fileops --durable", "cp -a, sync")
VERIFIED = ("fileops --verify", "cp -a, sync, diff")
WAITING = ("limit", "limit, 16 workers", "fileops", "cp -a", "cpz", "xcp, 16 workers")


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    workload: str
    place: Callable[["Bench"], AbstractContextManager[Path]]
    contenders: tuple[str, ...] = EVERYBODY
    space: float = 2
    """GiB that the source and one copy need, with room to spare."""
    cold: bool = False
    delete: bool = False
    move: str = ""
    """Where the tree is moved from: "beside" the target, or "memory", another file system."""
    first_byte: bool = False
    slow: str = ""
    """Which end is behind the slow file system: "source" or "target"."""


@dataclass
class Row:
    contender: str
    seconds: list[float] = field(default_factory=list)
    peak_kib: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    failed: str = ""
    """Why it has no result, "skipped: ..." or "FAILED: ...", or nothing."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


# ---------------------------------------------------------------- places


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


# ---------------------------------------------------------------- tools


class Bench:
    """The options, the programs that were found, and where scratch files go."""

    def __init__(self, args: argparse.Namespace, cleanup: ExitStack) -> None:
        self.quick: bool = args.quick
        self.cold: bool = args.cold
        self.rounds: int = args.n or (1 if args.quick else 5)
        self.programs: Path = args.bin.resolve()
        TOOLS.mkdir(parents=True, exist_ok=True)
        self.memory = cleanup.enter_context(scratch(args.work or MEMORY))
        self.disk = cleanup.enter_context(scratch(args.work or BUILD))
        self.missing: dict[str, str] = {}
        self.launcher = compile_c("launch")
        compile_c("limit")

    def generate(self, workload: str, target: Path, million: bool) -> None:
        options: dict[str, int] = {}
        if million:
            options = {"count": 50_000 if self.quick else 1_000_000}
        elif self.quick:
            smaller = {"small": 5_000, "deep": 100, "wide": 10_000, "slow": 100}
            options = {"size": 256 << 20} if workload in generate.SIZED else {"count": smaller.get(workload, 0)}
            if workload == "toolchain":
                raise Skip("not with --quick")
        generate.WORKLOADS[workload](str(target), **options)

    def command(self, contender: Contender, source: Path, target: Path) -> list[str]:
        """The command with its program's full path; raises Skip where the program cannot be had."""
        program, *arguments = shlex.split(contender.command)
        places = {"source": source, "target": target}
        return [self.find(program, contender), *(argument.format(**places) for argument in arguments)]

    def find(self, program: str, contender: Contender) -> str:
        if program in self.missing:
            raise Skip(self.missing[program])
        try:
            if contender.ours:
                path = self.programs / program
                if not path.exists():
                    raise Skip(f"{program} is missing: cargo build --release")
                return str(path)
            installed = TOOLS / "bin" / program
            if contender.crate and not installed.exists():
                print(f"(installing {contender.crate})", file=sys.stderr)
                must("cargo", "install", "--quiet", "--locked", "--root", str(TOOLS), contender.crate)
            found = str(installed) if installed.exists() else shutil.which(program)
            if not found:
                raise Skip(f"{program} is not installed")
            return found
        except (Skip, OSError) as reason:
            self.missing[program] = str(reason)
            raise Skip(str(reason)) from None


def compile_c(name: str) -> Path:
    source, program = HERE / f"{name}.c", TOOLS / "bin" / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        command = ["cc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(program), str(source)]
        subprocess.run(command, check=True)
    return program


def launch(bench: Bench, command: list[str]) -> tuple[float, int]:
    """Runs a command; returns its seconds and its peak memory in KiB, or raises Failed."""
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [str(bench.launcher), report.name, *command],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            child.wait(RUN_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {RUN_TIMEOUT} s") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        seconds, peak, status = Path(report.name).read_text().split()
        if status != "0":
            errors.seek(0)
            raise Failed(f"exit status {status}: {last_line(errors.read())}")
        return float(seconds), int(peak)


# ---------------------------------------------------------------- measuring


@dataclass
class Case:
    """One section at work: its trees, and a row for each contender."""

    bench: Bench
    section: Section
    source: Path
    target: Path
    rows: dict[str, Row]
    moved: Path
    """What a move takes away: a copy of the source."""

    def contender(self, name: str) -> Contender:
        return (DELETERS if self.section.delete else MOVERS if self.section.move else COPIERS)[name]

    def reset(self) -> None:
        """Takes the last run's result away, uncounted."""
        remove(self.target)
        if self.section.delete:
            must("cp", "-a", str(self.source), str(self.target))
        if self.section.move:
            remove(self.moved)
            must("cp", "-a", str(self.source), str(self.moved))
        sync(self.target.parent)
        if self.section.cold or self.bench.cold:
            drop_caches()

    @contextmanager
    def command(self, name: str) -> Iterator[list[str]]:
        """The command, while the slow file system is mounted if there is one."""
        source, target = self.source, self.target
        with ExitStack() as mounts:
            if self.section.slow == "source":
                source = mounts.enter_context(slowed(self.bench, source))
            elif self.section.slow == "target":
                target = mounts.enter_context(slowed(self.bench, target.parent)) / target.name
            elif self.section.delete:
                source = target
            elif self.section.move:
                source = self.moved
            yield self.bench.command(self.contender(name), source, target)

    def run(self, name: str, contents: bool) -> tuple[float, int]:
        """One run, whose result is compared with the source."""
        self.reset()
        with self.command(name) as command:
            measured = launch(self.bench, command)
        if self.section.delete:
            if self.target.exists():
                raise Failed("the tree is still there")
            return measured
        if self.section.move and self.moved.exists():
            raise Failed("the tree is still where it was")
        result = compare(str(self.source), str(self.target), contents)
        if result.wrong:
            raise Failed(f"tree differs in {len(result.wrong)} entries, such as {result.wrong[0].lstrip('/')}")
        if contents:
            self.rows[name].lost = sorted(result.lost)
        return measured

    def measure(self) -> None:
        """A warm-up, compared by content and not counted; then the rounds, each in another order."""
        names = list(self.rows)
        for turn in range(self.bench.rounds + 1):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                row = self.rows[name]
                if row.failed:
                    continue
                try:
                    seconds, peak = self.run(name, contents=turn == 0)
                except (Skip, Failed) as reason:
                    verdict = "skipped" if isinstance(reason, Skip) else "FAILED"
                    row.failed = f"{verdict}: {reason}"
                    continue
                if turn:
                    row.seconds.append(seconds)
                    row.peak_kib.append(peak)

    def first_byte(self, name: str) -> float | None:
        """Seconds until the first byte of a copy is in a file, found by looking again and again."""
        self.reset()
        with self.command(name) as command:
            started = time.monotonic()
            child = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                while child.poll() is None:
                    if has_byte(self.target):
                        return time.monotonic() - started
                    time.sleep(0.0002)  # leaves the processor to the copy
                return None
            finally:
                child.wait()


def has_byte(target: Path) -> bool:
    """Whether a file with contents is at the target, or in a stage beside it."""
    try:
        for place in (target, *target.parent.glob(".*.part")):
            if place.is_file() and place.stat().st_blocks:
                return True
            for folder, _, files in os.walk(place):
                if any(os.lstat(os.path.join(folder, file)).st_blocks for file in files):
                    return True
    except FileNotFoundError:
        pass  # renamed meanwhile: the next look finds it
    return False


def run_section(bench: Bench, section: Section) -> dict[str, object]:
    """Measures and prints one section; returns it for the JSON file."""
    print(f"\n## {section.name}: {section.title}\n", flush=True)
    record: dict[str, object] = {"section": section.name, "title": section.title, "rounds": bench.rounds}
    try:
        if (section.cold or bench.cold) and not os.access(DROP_CACHES, os.W_OK):
            raise Skip("dropping caches needs root")
        if section.slow and not (bench.programs / "slowfs").exists():
            raise Skip("slowfs is missing")
        needed = section.space / 8 if bench.quick else section.space
        if free_space(bench.disk if section.place is on_disk else bench.memory) < needed * GIB:
            raise Skip(f"needs {needed:g} GiB of free space")
        with section.place(bench) as place, scratch(bench.memory) as elsewhere:
            source, target = place / "source", place / "scratch" / "copy"
            target.parent.mkdir()
            bench.generate(section.workload, source, million=section.name == "memory-million")
            rows = {name: Row(name) for name in section.contenders}
            moved = (elsewhere if section.move == "memory" else target.parent) / "original"
            case = Case(bench, section, source, target, rows, moved)
            case.measure()
            print(table(case), flush=True)
            record["rows"] = [asdict(row) for row in rows.values()]
            if section.first_byte and not rows["fileops"].failed:
                times = [seconds for _ in range(3) if (seconds := case.first_byte("fileops")) is not None]
                if times:
                    record["first_byte"] = statistics.median(times)
                    print(f"\nfileops has written its first byte after {statistics.median(times) * 1000:.1f} ms.")
    except (Skip, OSError, subprocess.CalledProcessError) as reason:
        record["skipped"] = str(reason)
        print(f"skipped: {reason}", flush=True)
    return record


def table(case: Case) -> str:
    done = sorted((row for row in case.rows.values() if not row.failed), key=lambda row: row.median)
    limits = [row.median for row in done if case.contender(row.contender).yardstick]
    peers = [row.median for row in done if case.contender(row.contender).peer]
    lines = [
        "| | median s | min..max s | peak MiB | to limit | to best peer | does not keep |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for row in done:
        times = f"{row.median:.3f} | {min(row.seconds):.3f}..{max(row.seconds):.3f}"
        peak = f"{max(row.peak_kib) / 1024:.1f}"
        ratios = f"{ratio(row.median, limits)} | {ratio(row.median, peers)}"
        lines.append(f"| {row.contender} | {times} | {peak} | {ratios} | {', '.join(row.lost)} |")
    for row in case.rows.values():
        if row.failed:
            lines.append(f"| {row.contender} | {row.failed.replace('|', '/')} | | | | | |")
    return "\n".join(lines)


def ratio(seconds: float, others: list[float]) -> str:
    return f"{seconds / min(others):.2f}" if others else ""


# ---------------------------------------------------------------- the sections

IN_CLONE = ("limit", "fileops", "cp -a", "cpz", "fcp", "xcp")
SECTIONS = (
    Section("tmpfs-small", "100,000 small files", "small", in_memory, first_byte=True),
    Section("tmpfs-toolchain", "a Rust toolchain", "toolchain", in_memory, space=5),
    Section(
        "tmpfs-large", "one file of 4 GiB", "large", in_memory, (*EVERYBODY, "xcp, parblock"), space=9, first_byte=True
    ),
    Section("tmpfs-sparse", "4 GiB with 64 MiB of data", "sparse", in_memory, space=5),
    Section("tmpfs-deep", "1,000 nested directories", "deep", in_memory),
    Section("tmpfs-wide", "200,000 empty files in one directory", "wide", in_memory),
    Section("tmpfs-delete", "deleting 100,000 small files", "small", in_memory, tuple(DELETERS), delete=True),
    Section("move-beside", "moving 100,000 small files beside", "small", in_memory, tuple(MOVERS)[:3], move="beside"),
    Section(
        "move-across",
        "moving 100,000 small files from memory to ext4 in memory",
        "small",
        image(8 * GIB, "ext4"),
        tuple(MOVERS),
        space=5,
        move="memory",
    ),
    Section("ext4-small", "100,000 small files, ext4 in memory", "small", image(8 * GIB, "ext4"), space=3),
    Section("ext4-toolchain", "a Rust toolchain, ext4 in memory", "toolchain", image(8 * GIB, "ext4"), space=4),
    Section(
        "cold-small",
        "100,000 small files, real disk, nothing cached",
        "small",
        on_disk,
        ("limit, 16 workers", *EVERYBODY),
        cold=True,
    ),
    Section(
        "clone",
        "one file of 4 GiB, on a file system that clones",
        "large",
        image(10 * GIB, "xfs", "btrfs"),
        IN_CLONE,
        space=5,
    ),
    Section("durable-small", "100,000 small files, on the device", "small", on_disk, DURABLE, space=3),
    Section("durable-large", "one file of 4 GiB, on the device", "large", on_disk, DURABLE, space=9),
    Section("verify-small", "100,000 small files, compared", "small", on_disk, VERIFIED, space=3),
    Section("verify-large", "one file of 4 GiB, compared", "large", on_disk, VERIFIED, space=9),
    Section("fuse-source", "2,000 files, 1 ms a call in the source", "slow", in_memory, WAITING, slow="source"),
    Section("fuse-target", "2,000 files, 1 ms a call in the target", "slow", in_memory, WAITING, slow="target"),
    Section("memory-small", "peak memory, 100,000 small files", "small", in_memory, ("limit", "fileops")),
    Section("memory-million", "peak memory, a directory of 1,000,000", "wide", in_memory, ("limit", "fileops"), space=5),
)


def parse_arguments() -> argparse.Namespace:
    names = ", ".join(section.name for section in SECTIONS)
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"sections: {names}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small trees and one round")
    parser.add_argument("--only", metavar="SECTION,...", default="", help="sections, or how their names begin")
    parser.add_argument("-n", type=int, metavar="ROUNDS", help="measured rounds (5)")
    parser.add_argument("--cold", action="store_true", help="drop the caches before every run (root)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    parser.add_argument("--work", type=Path, metavar="DIR", help="scratch instead of /dev/shm and target/")
    parser.add_argument("--bin", type=Path, metavar="DIR", default=BUILD / "release", help="where fileops is built")
    args = parser.parse_args()
    prefixes = tuple(filter(None, args.only.split(",")))
    args.sections = [section for section in SECTIONS if not prefixes or section.name.startswith(prefixes)]
    if not args.sections:
        parser.error(f"--only: there are {names}")
    return args


def stop(*_: object) -> None:
    """The first signal unwinds through every clean-up; a second one must not cut that short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    args = parse_arguments()
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    os.umask(0o022)
    machine = f"Linux {platform.release()}, {os.cpu_count()} processors"
    records = []
    try:
        with ExitStack() as cleanup:
            bench = Bench(args, cleanup)
            trees = "; the trees are reduced, whatever their titles say" if bench.quick else ""
            print(f"# Benchmark of fileops\n\n{machine}; rounds: {bench.rounds} after a warm-up{trees}.")
            for section in args.sections:
                records.append(run_section(bench, section))
    except KeyboardInterrupt:
        return 130
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "sections": records}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
