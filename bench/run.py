#!/usr/bin/env python3
"""Measures `fileops` beside other tools, in interleaved rounds; README.md tells how to read the tables.

    run.py                          everything that this machine can run
    run.py --quick                  small trees and one round: does the benchmark work?
    run.py --only tmpfs,clone -n 9  the sections whose names begin so, nine rounds

Needs a C compiler and target/release/fileops; loop images and cold caches need root. What cannot run is
named with the reason, and the exit status stays 0.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from places import DROP_CACHES, GIB, Failed, Skip, drop_caches, free_space, on_disk, remove, scratch, slowed, sync
from programs import BUILD, Bench, Run, launch
from sections import SECTIONS, Section

# ---------------------------------------------------------------- measuring


@dataclass
class Row:
    contender: str
    seconds: list[float] = field(default_factory=list)
    peak_kib: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    figures: list[dict[str, float]] = field(default_factory=list)
    """What the task has to say besides."""
    lost: list[str] = field(default_factory=list)
    failed: str = ""
    """Why it has no result, "skipped: ..." or "FAILED: ...", or nothing."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass
class Case:
    """One section at work: its trees, and a row for each contender."""

    bench: Bench
    section: Section
    place: Path
    origin: Path
    """What is taken away lies here: empty before each run, as is the place of the copy."""
    rows: dict[str, Row]

    def __post_init__(self) -> None:
        self.source = self.place / "source"
        self.target = self.place / "scratch" / "copy"
        self.old = self.place / "old"
        # Journals, what is kept for an undo, and the trash: on the file system that is measured, and new each time.
        self.home = self.place / "home"
        data = self.home / ".local" / "share"
        self.trash = data / "Trash"
        self.environment = os.environ | {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(data),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
        }

    def reset(self) -> None:
        """Takes away all that the last run left."""
        for directory in (self.home, self.origin, self.target.parent):
            remove(directory)
            directory.mkdir(mode=0o700)
        (self.home / "run").mkdir(mode=0o700)

    def settle(self) -> None:
        """The file system has nothing left to do when a run begins."""
        for directory in (self.origin, self.target.parent):
            sync(directory)
        if self.section.cold or self.bench.cold:
            drop_caches()

    @contextmanager
    def command(self, name: str) -> Iterator[list[str]]:
        """The command when all is ready for it, while the slow file system is mounted if there is one."""
        task = self.section.task
        with ExitStack() as mounts:
            self.reset()
            source, target = task.source(self), self.target
            if self.section.slow == "source":
                source = mounts.enter_context(slowed(self.bench, source))
            elif self.section.slow == "target":
                target = mounts.enter_context(slowed(self.bench, target.parent)) / target.name
            command = self.bench.command(self.section.contenders[name], source, target)
            task.prepare(self, command)
            self.settle()
            yield task.wrap(self, command)

    def run(self, name: str, contents: bool) -> tuple[Run, dict[str, float]]:
        """One run, of which is checked that it did its work."""
        with self.command(name) as command:
            measured = launch(self.bench, command, self.environment)
        task = self.section.task
        lost = task.check(self, contents)
        if contents:
            self.rows[name].lost = sorted(lost)
        return replace(measured, seconds=task.seconds(self, measured)), task.figures(self, measured)

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
                    run, figures = self.run(name, contents=turn == 0)
                except (Skip, Failed) as reason:
                    verdict = "skipped" if isinstance(reason, Skip) else "FAILED"
                    row.failed = f"{verdict}: {reason}"
                    continue
                if turn:
                    row.seconds.append(run.seconds)
                    row.peak_kib.append(run.peak_kib)
                    row.written.append(run.written)
                    row.figures.append(figures)

    def first_byte(self, name: str) -> float | None:
        """Seconds until the first byte of a copy is in a file, found by looking again and again."""
        with self.command(name) as command:
            started = time.monotonic()
            child = subprocess.Popen(
                command, cwd="/", env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
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
        with section.place(bench) as place, scratch(bench.memory) as memory:
            rows = {name: Row(name) for name in section.contenders}
            case = Case(bench, section, place, (memory if section.across else place) / "origin", rows)
            case.reset()
            bench.generate(section.workload, case.source, section.amount)
            section.task.begin(case)
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
    tools = case.section.contenders
    limits = [row.median for row in done if tools[row.contender].yardstick]
    peers = [row.median for row in done if tools[row.contender].peer]
    columns = ["", "median s", "min..max s", "peak MiB", "to limit", "to best peer", "does not keep"]
    figures = list(done[0].figures[0]) if done else []
    columns += figures
    lines = [columns, ["---", *["--:"] * 5, "---", *["--:"] * len(figures)]]
    for row in done:
        cells = [
            row.contender,
            f"{row.median:.3f}",
            f"{min(row.seconds):.3f}..{max(row.seconds):.3f}",
            f"{max(row.peak_kib) / 1024:.1f}",
            ratio(row.median, limits),
            ratio(row.median, peers),
            ", ".join(row.lost),
        ]
        cells += [three_digits(statistics.median(run[figure] for run in row.figures)) for figure in figures]
        lines.append(cells)
    for row in case.rows.values():
        if row.failed:
            lines.append([row.contender, row.failed.replace("|", "/"), *[""] * (len(columns) - 2)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def three_digits(value: float) -> str:
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def ratio(seconds: float, others: list[float]) -> str:
    return f"{seconds / min(others):.2f}" if others else ""


# ---------------------------------------------------------------- the command


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
