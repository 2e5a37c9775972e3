//! Moving: on one mount by renaming, across mounts by copies whose sources go last; and what is left when that goes wrong.

mod across;
mod answers;
mod cancels;
mod crashes;
mod guards;
mod kills;
mod links;
mod merges;
mod power;
mod races;
mod renames;
mod sweeps;
mod undo;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fileops::{Complete, Operation, Refusal, Report};
use fileops_tests::snapshot::{Entry, Snapshot};
use fileops_tests::{FaultFs, Ignore, Mount, Options, snapshot};

/// Longer than anything here takes on a busy machine: what is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

#[track_caller]
fn complete(report: Report) -> Complete {
    report.into_result().unwrap_or_else(|error| panic!("{error}: {:?}", error.report))
}

/// Waits for the end of an operation, which must come.
#[track_caller]
fn finish(operation: Operation) -> Report {
    let end = Instant::now() + PATIENCE;
    while !operation.is_done() {
        assert!(Instant::now() < end, "the operation does not end");
        std::thread::sleep(Duration::from_micros(200));
    }
    operation.wait()
}

fn run(relocation: fileops::Move) -> Report {
    finish(relocation.start())
}

fn refusals(report: &Report) -> Vec<Option<Refusal>> {
    report.failures.iter().map(fileops::Error::refusal).collect()
}

/// The error numbers of all failures.
fn errnos(report: &Report) -> Vec<i32> {
    report.failures.iter().map(|error| error.errno().unwrap_or(0)).collect()
}

/// Another device than that of the temporary directories.
fn elsewhere() -> Mount {
    Mount::tmpfs("size=64m").expect("a tmpfs can be mounted")
}

/// A file system that the kernel keeps nothing of, so that it sees all that is asked and shows all that changes.
fn uncached() -> FaultFs {
    let (attr_timeout, entry_timeout) = Default::default();
    let options = Options { attr_timeout, entry_timeout, ..Options::default() };
    options.mount().expect("a FUSE file system can be mounted")
}

/// What is there; nothing, if that is gone.
fn what_is(path: &Path) -> Snapshot {
    if fs::symlink_metadata(path).is_ok() { snapshot(path) } else { Snapshot::new() }
}

/// The tree is the same as it was; the directory that it is given by may have other times.
#[track_caller]
fn assert_arrived(before: &Snapshot, path: &Path) {
    let found = fileops_tests::differences(before, &snapshot(path), &Ignore::default());
    assert!(found.is_empty(), "{found:?}");
}

/// Everything below a directory that is called like a stage.
fn stages(root: &Path) -> Vec<PathBuf> {
    let is_stage = |path: &PathBuf| path.file_name().is_some_and(is_stage);
    what_is(root).into_keys().map(|path| root.join(OsStr::from_bytes(&path))).filter(is_stage).collect()
}

fn is_stage(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".fileops-") && name.as_bytes().ends_with(b".part")
}

fn is_in_stage(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|name| is_stage(OsStr::from_bytes(name)))
}

/// Two entries are the same, whatever other names they have.
fn same(a: &Entry, b: &Entry) -> bool {
    let plain = |entry: &Entry| Entry { group: None, ..entry.clone() };
    if a.kind.is_dir() { b.kind.is_dir() } else { plain(a) == plain(b) }
}

/// What a move began with: the tree `top` in a directory, and what had its names in the other one.
struct Scene {
    source: Snapshot,
    target: Snapshot,
}

impl Scene {
    fn of(from: &Path, to: &Path) -> Scene {
        Scene { source: what_is(from), target: what_is(to) }
    }

    /// Gives what is wrong: every file has to be whole at its source or at its target, and what it replaced has to be there
    /// where nothing else is. `is_over` when the move said that it is complete.
    fn check(&self, from: &Path, to: &Path, is_over: bool) -> Vec<String> {
        let (source, target) = (what_is(from), what_is(to));
        let mut wrong = Vec::new();
        let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        for (path, entry) in self.source.iter().filter(|(path, _)| !path.is_empty()) {
            let is_at = |found: &Snapshot| found.get(path).is_some_and(|found| same(entry, found));
            if !is_at(&source) && !is_at(&target) {
                let (source, target) = (source.get(path), target.get(path));
                wrong.push(format!("{} is nowhere: {source:?}, {target:?}", shown(path)));
            }
            if is_over && !is_at(&target) {
                wrong.push(format!("{} did not arrive", shown(path)));
            }
        }
        for (path, entry) in target.iter().filter(|(path, _)| !is_in_stage(path)) {
            let is_old = self.target.get(path).is_some_and(|old| same(old, entry));
            let is_new = self.source.get(path).is_some_and(|new| same(new, entry));
            if !is_old && !is_new {
                wrong.push(format!("{} is neither old nor new: {entry:?}", shown(path)));
            }
        }
        for path in self.target.keys().filter(|path| !target.contains_key(*path)) {
            wrong.push(format!("{} is gone from the target", shown(path)));
        }
        for (path, entry) in &source {
            // While a file is replaced by an exchange the old one has the source's name for a moment.
            let is_old = self.target.get(path).is_some_and(|old| same(old, entry));
            if !self.source.get(path).is_some_and(|was| same(was, entry)) && !is_old {
                wrong.push(format!("{} changed at the source: {entry:?}", shown(path)));
            }
        }
        if is_over && source.len() > 1 {
            wrong.push(format!("left at the source: {:?}", source.keys().map(|path| shown(path)).collect::<Vec<_>>()));
        }
        wrong
    }
}

/// The names in a directory.
fn names(dir: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(dir).expect("it can be listed").map(|entry| entry.expect("read"));
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fileops_tests::tree::inode(entry.path())))
        .collect()
}

/// A directory has these entries and no others, but for what is kept for an undo, which goes.
#[track_caller]
fn assert_tree(root: &Path, entries: &str) {
    for entry in fs::read_dir(root).expect("it can be listed").map(|entry| entry.expect("read")) {
        if entry.file_name().as_bytes().starts_with(b".fileops-kept-") {
            fs::remove_dir_all(entry.path()).expect("removed");
        }
    }
    fileops_tests::tree::assert_tree(root, entries);
}
