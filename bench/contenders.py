"""The tools that are compared, by what they do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    command: str
    """With {source}, and where there is one {target}. In `sh -c` they are quoted already."""
    crate: str = ""
    """Installed into target/bench when it is missing."""
    built: bool = False
    """A program of ours, in which the library of a peer may be at work."""
    package: str = ""
    """What pkg-config has to know, for a program in C that is built from its source here."""
    needs: str = ""
    """A program that has to be there besides the one that the command begins with."""
    yardstick: bool = False
    """A lower bound, not a peer."""
    ours: bool = False

    @property
    def peer(self) -> bool:
        return not (self.yardstick or self.ours)


Contenders = dict[str, Contender]


def pick(contenders: Contenders, *names: str) -> Contenders:
    return {name: contenders[name] for name in names}


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
    "xcp, parblock": Contender("xcp --no-progress --driver parblock -r {source} {target}", crate="xcp"),
}
EVERYBODY = pick(COPIERS, "limit", "fileops", "cp -a", "rsync -aHAXS", "cpz", "fcp", "xcp")
WAITING = pick(COPIERS, "limit", "limit, 16 workers", "fileops", "cp -a", "cpz", "xcp, 16 workers")
CLONERS = pick(COPIERS, "limit", "fileops", "cp -a", "cpz", "fcp", "xcp")

DELETERS = {
    "limit": Contender("limit rm {source}", yardstick=True),
    "fileops": Contender("fileops delete {source}", ours=True),
    "rm -rf": Contender("rm -rf {source}"),
    "rmz": Contender("rmz {source}", crate="rmz"),
}

# rsync leaves the directories, which are gone after a move.
RSYNC_MOVE = Contender(
    "sh -c 'rsync -aHAXS --remove-source-files {source}/ {target}/ && find {source} -type d -empty -delete'",
    needs="rsync",
)
RENAMERS = {
    "fileops": Contender("fileops move -T {source} {target}", ours=True),
    "mv": Contender("mv -T {source} {target}"),
    "uutils mv": Contender("coreutils mv -T {source} {target}"),
}
MERGERS = {
    "fileops": Contender("fileops move -T {source} {target}", ours=True),
    "rsync --remove-source-files": RSYNC_MOVE,
}
MOVERS = {
    "fileops": Contender("fileops move -T {source} {target}", ours=True),
    "mv": Contender("mv -T {source} {target}"),
    "mv && sync -f": Contender("sh -c 'mv -T {source} {target} && sync -f {target}'"),
    "uutils mv": Contender("coreutils mv -T {source} {target}"),
    "rsync --remove-source-files": RSYNC_MOVE,
}

TRASHERS = {
    "fileops": Contender("fileops trash put {source}", ours=True),
    "gio trash": Contender("gio trash {source}"),
    "trash-put": Contender("trash-put {source}"),
}
EMPTIERS = {
    "fileops": Contender("fileops trash empty --yes", ours=True),
    # trash:/// is a service on a bus, which has to start first, and deletes on when the command has ended.
    "gio trash --empty": Contender(
        "dbus-run-session -- sh -c 'gio trash --empty &&"
        ' while find "$XDG_DATA_HOME/Trash/expunged" -mindepth 1 | read -r _; do sleep 0.01; done\'',
        needs="gio",
    ),
    "trash-empty": Contender("trash-empty"),
}

DURABLE = {
    "fileops --durable": Contender("fileops copy --durable -T {source} {target}", ours=True),
    "cp -a && sync -f": Contender("sh -c 'cp -a {source} {target} && sync -f {target}'"),
    "rsync -aHAXS --fsync": Contender("rsync -aHAXS --fsync {source}/ {target}/"),
}
VERIFIERS = {
    "fileops --verify": Contender("fileops copy --verify -T {source} {target}", ours=True),
    "cp -a, drop caches, diff -r": Contender(
        "sh -c 'cp -a {source} {target} && sync -f {target} && echo 1 >/proc/sys/vm/drop_caches"
        " && diff -r --no-dereference {source} {target}'",
        needs="diff",
    ),
    # The second run reads both sides again, out of the cache.
    "rsync, rsync -c": Contender(
        "sh -c 'rsync -aHAXS {source}/ {target}/ && rsync -aHAXSc {source}/ {target}/'", needs="rsync"
    ),
    "rclone copy": Contender("rclone copy --quiet --links --metadata {source} {target}"),
}

RESUMERS = {
    "fileops": Contender("fileops copy -T {source} {target}", ours=True),
    "fileops --no-resume": Contender("fileops copy --no-resume -T {source} {target}", ours=True),
    "fileops --durable": Contender("fileops copy --durable -T {source} {target}", ours=True),
    "cp -a": Contender("cp -aT {source} {target}"),
    "rsync --inplace": Contender("rsync -a --inplace {source}/ {target}/"),
    "rsync --inplace --no-whole-file": Contender("rsync -a --inplace --no-whole-file {source}/ {target}/"),
    "rsync --append-verify": Contender("rsync -a --append-verify {source}/ {target}/"),
    # Else it reserves the whole file at once, and nobody can see how far it is.
    "rclone copy": Contender("rclone copy --quiet --local-no-preallocate {source} {target}"),
}

# What the journal costs is the ratio to the same without it, which is the yardstick here.
JOURNALLED = {
    "fileops --no-undo": Contender("fileops copy --no-undo -T {source} {target}", ours=True, yardstick=True),
    "fileops": Contender("fileops copy -T {source} {target}", ours=True),
    "cp -a": Contender("cp -a {source} {target}"),
}
REPLACERS = {
    "fileops --no-undo": Contender(
        "fileops copy --no-undo --on-conflict replace -T {source} {target}", ours=True, yardstick=True
    ),
    "fileops": Contender("fileops copy --on-conflict replace -T {source} {target}", ours=True),
    "cp -a": Contender("cp -aT {source} {target}"),
    "rsync -aHAXS": Contender("rsync -aHAXS {source}/ {target}/"),
}
UNDOERS = {
    "fileops undo": Contender("fileops undo", ours=True),
    "rm -rf": Contender("rm -rf {target}"),
}
REPLACED_UNDOERS = pick(UNDOERS, "fileops undo")


def awaiting(kind: str, *implementations: str) -> Contenders:
    """One kind of awaited calls, or of the plain loops which they are measured by."""
    return {
        NAMES[implementation]: Contender(
            f"awaiting {kind} {implementation} {{source}} {{target}}",
            built=True,
            yardstick=implementation.startswith("std"),
            ours=implementation == "fileops",
        )
        for implementation in implementations
    }


def gio(kind: str) -> Contenders:
    return {"GIO": Contender(f"awaiting-gio {kind} {{source}} {{target}}", package="gio-2.0")}


NAMES = {
    "std": "std, 1 thread",
    "std-2": "std, 2 threads",
    "fileops": "fileops",
    "tokio": "tokio::fs",
    "async-fs": "async-fs",
}
LOOPS = ("std", "std-2")
AWAITED = ("fileops", "tokio", "async-fs")

# One after the other, two threads are no measure: whoever awaits an answer has nothing to do for the second one.
AWAIT_STAT = awaiting("stat", "std", *AWAITED) | gio("stat")
AWAIT_OPEN = awaiting("open", "std", *AWAITED) | gio("open")
AWAIT_READ = awaiting("read", "std", *AWAITED) | gio("read")
AWAIT_STAT_64 = awaiting("stat-64", *LOOPS, *AWAITED) | gio("stat-64")
AWAIT_OPEN_64 = awaiting("open-64", *LOOPS, *AWAITED) | gio("open-64")
AWAIT_READ_64 = awaiting("read-64", *LOOPS, *AWAITED) | gio("read-64")
# The others have no such call; 64 in flight are the best that they can do.
AWAIT_MANY = awaiting("many", *LOOPS, "fileops") | awaiting("stat-64", "tokio", "async-fs") | gio("stat-64")
AWAIT_LIST = awaiting("list", *LOOPS, *AWAITED) | gio("list")
AWAIT_WIDE = awaiting("list", "std", *AWAITED) | gio("list")
AWAIT_STREAM = (
    awaiting("stream", "std", *AWAITED)
    | {"fileops, poll_fill_buf": awaiting("fill", "fileops")["fileops"]}
    | gio("stream")
)
