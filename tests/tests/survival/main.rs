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
use std::fs::{self, File};
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fileops::{NoteKind, Operation, Report};
use fileops_tests::temp::Temp;
use fileops_tests::{FaultFs, Options};

/// Longer than anything here takes on a busy machine: what is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A whole test.
const TEST_PATIENCE: Duration = Duration::from_secs(150);

/// Says to a process of this program that it has a state directory of its own.
const ALONE: &str = "FILEOPS_TEST_ALONE";

/// Names the part of a test that a process of this program is to run.
const PART: &str = "FILEOPS_TEST_PART";

/// Runs the rest of the test in a process of its own, with a home and state directory of its own, and ends it when it hangs.
macro_rules! alone {
    () => {
        if std::env::var_os(crate::ALONE).is_none() {
            return crate::run_alone(fileops_tests::test_name!());
        }
    };
}

pub(crate) use alone;

fn run_alone(test: &str) {
    let home = Temp::new("home").expect("a temporary directory");
    let said = home.path().join("said");
    let mut command = this_test(test);
    command.env(ALONE, "1").env("HOME", home.path()).env("XDG_STATE_HOME", home.path().join("state"));
    let output = File::create(&said).expect("made");
    command.stdout(output.try_clone().expect("cloned")).stderr(output);
    let status = wait_for_child(command.spawn().expect("this program runs"), TEST_PATIENCE);
    let said = String::from_utf8_lossy(&fs::read(&said).expect("read")).into_owned();
    assert!(status.is_some(), "{test} hangs; it said:\n{said}");
    assert!(status.is_some_and(|status| status.success()), "{test} failed:\n{said}");
    let told = said.lines().flat_map(|line| line.find("skipped: ").or(line.find("seen: ")).map(|at| &line[at..]));
    told.for_each(|line| println!("{line}"));
}

/// This program, to run this test once more.
fn this_test(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"]);
    command
}

/// This program, to run a part of this test (see `user_part!`).
fn part(test: &str, part: &str, set: &[(&str, &OsStr)]) -> Command {
    let mut command = this_test(test);
    command.env(PART, part).envs(set.iter().copied()).stdout(std::process::Stdio::null());
    command
}

/// Waits for the end of a child; kills it, and gives nothing, when it takes longer.
fn wait_for_child(mut child: Child, time: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return Some(status);
        }
        if Instant::now() > end {
            let _ = child.kill();
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Where the journals of this process are.
fn state() -> PathBuf {
    let home = std::env::var_os("XDG_STATE_HOME").expect("`alone!` comes first");
    Path::new(&home).join("fileops/operations")
}

/// The journals that are there.
fn journals() -> Vec<PathBuf> {
    let entries = fs::read_dir(state()).into_iter().flatten();
    entries.map(|entry| entry.expect("read").path()).collect()
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
