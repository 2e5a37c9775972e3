//! A copy is the same as its source: contents, holes, links, modes, owners, times, attributes, on each file system; what
//! cannot be held is said.

mod data;
mod fat;
mod links;
mod media;
mod merge;
mod random;
mod trees;
mod umask;
mod user;

use std::path::Path;
use std::process::Command;

use fileops::{Copy, NoteKind, Report};
use fileops_tests::skip::is_root;

/// Runs a copy to its end.
fn run(copy: Copy) -> Report {
    copy.start().wait()
}

/// Runs a copy which leaves nothing out and has nothing to note.
#[track_caller]
fn run_whole(copy: Copy) {
    let _ = whole(copy);
}

/// The report of such a copy.
#[track_caller]
fn whole(copy: Copy) -> Report {
    let report = run(copy);
    assert!(report.is_complete() && report.notes.is_empty(), "{report:#?}");
    report
}

/// How often something was noted.
fn noted(report: &Report, kind: NoteKind) -> u64 {
    report.notes.iter().find(|note| note.kind == kind).map_or(0, |note| note.count)
}

/// The names of what failed, sorted, with the number of the kernel's answer.
fn failed(report: &Report) -> Vec<(String, i32)> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = report.failures.iter().map(|error| (name(&error.path), error.errno().unwrap_or(0)));
    let mut failed = failed.collect::<Vec<_>>();
    failed.sort();
    failed
}

/// What rsync would do to make the second directory like the first.
fn rsync_differences(from: &Path, to: &Path) -> String {
    let mut command = Command::new("rsync");
    command.args(["-aHAXSn", "--itemize-changes", "--delete"]);
    if is_root() {
        // Where xfs shows root an access control list for the second time.
        command.arg("--filter=-x trusted.SGI_ACL_*");
    }
    command.arg(from.join("")).arg(to.join(""));
    let output = command.output().expect("rsync runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
