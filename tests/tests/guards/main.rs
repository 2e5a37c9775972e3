//! What a copy must never do, whatever it is asked for, and what it says instead.

mod children;
mod conflicts;
mod itself;
mod limits;
mod links;
mod measures;
mod mounts;
mod names;
mod progress;
mod space;
mod spellings;
mod workers;

use std::fs;
use std::future::IntoFuture;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fileops::{OnConflict, Outcome, Refusal, Report};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

const RULES: [OnConflict; 6] = [
    OnConflict::Fail,
    OnConflict::Skip,
    OnConflict::Replace,
    OnConflict::Rename,
    OnConflict::Newer,
    OnConflict::Different,
];

fn run(operation: impl IntoFuture<Output = Report>) -> Report {
    fileops::block_on(operation.into_future())
}

/// A report of which nothing needs to be read.
struct Complete(Report);

impl std::ops::Deref for Complete {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

#[track_caller]
fn complete(operation: impl IntoFuture<Output = Report>) -> Complete {
    Complete(*run(operation).into_result().unwrap_or_else(|error| panic!("{error}: {:?}", error.report)).report)
}

/// Why each entry that failed was refused.
#[track_caller]
fn refusals(report: &Report) -> Vec<Refusal> {
    assert_eq!(report.outcome, Outcome::Done);
    let refusal = |error: &fileops::Error| error.refusal().unwrap_or_else(|| panic!("no guard of ours: {error:?}"));
    report.failures.iter().map(refusal).collect()
}

/// The kernel's answer for each entry that failed.
fn errnos(report: &Report) -> Vec<i32> {
    report.failures.iter().map(|error| error.source.raw_os_error().unwrap_or(0)).collect()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not after {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn inode(path: impl AsRef<Path>) -> u64 {
    fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display())).ino()
}

/// Sets when something, or a link itself, was modified: so many seconds after 1970.
fn set_modified(path: &Path, seconds: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
