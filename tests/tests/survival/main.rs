//! What is left when a copy goes wrong: after any single fault, a full disk, a kill, a cancel, a swapped directory, a source
//! that changes, a file system that hangs or goes away.

mod cancels;
mod changes;
mod hangs;
mod kills;
mod limits;
mod races;
mod recovery;
mod replacing;
mod space;
mod sweeps;

use std::ffi::OsStr;
use std::fs;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fileops::{NoteKind, Operation, Report};
pub(crate) use fileops_tests::alone;
use fileops_tests::alone::{journals, part, wait_for_child};
use fileops_tests::{FaultFs, Options};

/// Longer than anything here takes on a busy machine: what is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the journals of this process are.
fn state() -> PathBuf {
    let home = std::env::var_os("XDG_STATE_HOME").expect("`alone!` comes first");
    Path::new(&home).join("fileops/operations")
}

/// Waits for the end of an operation, which must come.
#[track_caller]
fn finish(operation: Operation) -> Report {
    within(PATIENCE, operation).expect("the operation does not end")
}

/// Waits so long for a future.
fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let end = Instant::now() + time;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it does not come to this: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A file system that the kernel keeps nothing of, so that it sees all that is asked and shows all that changes.
fn uncached() -> FaultFs {
    uncached_with(Options::default())
}

fn uncached_with(options: Options) -> FaultFs {
    let (attr_timeout, entry_timeout) = Default::default();
    Options { attr_timeout, entry_timeout, ..options }.mount().expect("a FUSE file system can be mounted")
}

/// Everything below a directory that is called like a stage.
fn stages(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if is_stage(&entry.file_name()) {
                found.push(entry.path());
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            }
        }
    }
    found
}

/// The one pattern that what an operation leaves is called by: `.fileops-XXXXXXXX-N.part`.
fn is_stage(name: &OsStr) -> bool {
    let inner = name.as_bytes().strip_prefix(b".fileops-").and_then(|rest| rest.strip_suffix(b".part"));
    let Some((id, number)) = inner.and_then(|inner| inner.split_at_checked(8)) else { return false };
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    id.iter().all(u8::is_ascii_alphanumeric) && number.strip_prefix(b"-").is_some_and(is_number)
}

fn has_note(report: &Report, kind: NoteKind) -> bool {
    report.notes.iter().any(|note| note.kind == kind)
}

/// The error numbers of all failures.
fn errnos(report: &Report) -> Vec<i32> {
    report.failures.iter().map(|error| error.errno().unwrap_or(0)).collect()
}
