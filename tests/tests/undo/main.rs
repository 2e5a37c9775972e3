//! Undo, redo and what they stand on: journals, the history, the kept area. Whatever goes wrong, an old file is at its name
//! or in the kept area, and an undo brings the tree back as it was.

mod again;
mod area;
mod changed;
mod histories;
mod interrupted;
mod kills;
mod levels;
mod passages;
mod random;
mod records;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fileops::{NoteKind, OnConflict, Operation, Report};
use fileops_tests::snapshot::Snapshot;
use fileops_tests::{FaultFs, Ignore, Options, differences, snapshot};

/// Longer than anything here takes on a busy machine: what is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the records of this process are.
fn state(name: &str) -> PathBuf {
    let home = std::env::var_os("XDG_STATE_HOME").expect("`alone!` comes first");
    Path::new(&home).join("fileops").join(name)
}

/// The journals of operations that are over.
fn history() -> Vec<PathBuf> {
    let entries = fs::read_dir(state("history")).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("read").path()).collect();
    paths.sort();
    paths
}

/// What the kept area in a directory holds.
fn kept_in(dir: &Path) -> Vec<PathBuf> {
    let area = dir.join(format!(".fileops-kept-{}", rustix::process::geteuid().as_raw()));
    let entries = fs::read_dir(area).into_iter().flatten();
    entries.map(|entry| entry.expect("read").path()).collect()
}

/// Waits for the end of an operation, which must come.
#[track_caller]
fn finish(operation: Operation) -> Report {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut operation = pin!(operation);
    let end = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(report) = operation.as_mut().poll(&mut Context::from_waker(&waker)) {
            return report;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "the operation does not end");
        thread::park_timeout(left);
    }
}

/// Copies into a directory, replacing what is there; everything is done. Gives the name for an undo.
#[track_caller]
fn replaced(source: impl Into<PathBuf>, into: impl Into<PathBuf>) -> String {
    let report = finish(fileops::copy([source.into()], into).on_conflict(OnConflict::Replace).start());
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    report.id.expect("something to undo")
}

/// Copies to this name; everything is done.
#[track_caller]
fn copied(source: impl Into<PathBuf>, name: impl Into<PathBuf>) -> String {
    let report = finish(fileops::copy_as(source, name).start());
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    report.id.expect("something to undo")
}

fn undo(id: &str) -> Report {
    finish(fileops::undo(id).start())
}

/// Undoes everything, without a word.
#[track_caller]
fn undone(id: &str) {
    let report = undo(id);
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
}

/// Does it again. Gives the name for an undo.
#[track_caller]
fn redone(id: &str) -> String {
    let report = finish(fileops::redo(id).start());
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    report.id.expect("something to undo")
}

/// A tree is what it was.
#[track_caller]
fn assert_same(now: &Path, before: &Snapshot, what: &str) {
    let found = differences(before, &snapshot(now), &Ignore::default());
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

/// A file system that the kernel keeps nothing of, so that it sees all that is asked and shows all that changes.
fn uncached() -> FaultFs {
    uncached_with(Options::default())
}

fn uncached_with(options: Options) -> FaultFs {
    let (attr_timeout, entry_timeout) = Default::default();
    Options { attr_timeout, entry_timeout, ..options }.mount().expect("a FUSE file system can be mounted")
}

/// The error numbers of all failures.
fn errnos(report: &Report) -> Vec<i32> {
    report.failures.iter().map(|error| error.errno().unwrap_or(0)).collect()
}

/// All files below a directory by what they hold, with their inode: to see that none was lost.
fn contents(root: &Path) -> BTreeMap<Vec<u8>, Vec<PathBuf>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.expect("read").path();
            let meta = fs::symlink_metadata(&path).expect("there");
            if meta.is_dir() {
                left.push(path);
            } else if meta.is_file() && meta.size() < 1 << 20 {
                found.entry(fs::read(&path).expect("read")).or_default().push(path);
            }
        }
    }
    found
}

fn has_note(report: &Report, kind: NoteKind) -> bool {
    report.notes.iter().any(|note| note.kind == kind)
}
