//! The trash: what is put into it, where, what other programs make of it, and what is left when something goes wrong.
//!
//! Each test has a process, a home and, as root, a mount namespace of its own: the trashes of whoever runs it are left alone.

mod crashes;
mod faults;
mod interop;
mod items;
mod kills;
mod many;
mod put;
mod removal;
mod restoring;
mod tops;
mod undoing;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fileops::{Complete, Refusal, Report, TrashItem, TrashListing};
use fileops_tests::alone::wait_for_child;
use fileops_tests::temp::Temp;
use fileops_tests::{FaultFs, Options, skip};
use rustix::mount::UnmountFlags;

/// Longer than a sweep takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

/// Says to a process of this program that it has a home of its own.
const ALONE: &str = "FILEOPS_TEST_ALONE";

/// And a mount namespace.
const IN_NAMESPACE: &str = "namespace";

/// Runs the rest of the test in a process of its own.
macro_rules! alone {
    () => {
        if std::env::var_os(crate::ALONE).is_none() {
            return crate::run_alone(fileops_tests::test_name!());
        }
        crate::leave_other_tests();
    };
}

pub(crate) use alone;

fn run_alone(test: &str) {
    let home = Temp::new("home").expect("a temporary directory");
    // A user that a part of the test is run as has a home there too.
    fs::create_dir(home.path().join("data")).expect("made");
    let said = home.path().join("said");
    let in_namespace = skip::is_root() && skip::has_command("unshare");
    let mut command = this_test(test, in_namespace);
    command
        .env(ALONE, if in_namespace { IN_NAMESPACE } else { "1" })
        .env("HOME", home.path())
        .env("XDG_STATE_HOME", home.path().join("state"));
    command.env("XDG_DATA_HOME", home.path().join("data"));
    let output = File::create(&said).expect("made");
    command.stdout(output.try_clone().expect("cloned")).stderr(output);
    let status = wait_for_child(command.spawn().expect("this program runs"), PATIENCE);
    let said = String::from_utf8_lossy(&fs::read(&said).expect("read")).into_owned();
    assert!(status.is_some(), "{test} hangs; it said:\n{said}");
    assert!(status.is_some_and(|status| status.success()), "{test} failed:\n{said}");
    let told = said.lines().flat_map(|line| line.find("skipped: ").or(line.find("seen: ")).map(|at| &line[at..]));
    told.for_each(|line| println!("{line}"));
}

/// Unmounts, in this namespace only, what other tests have mounted: some of it never answers.
fn leave_other_tests() {
    if std::env::var_os(ALONE).is_none_or(|value| value != IN_NAMESPACE) {
        return;
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for point in mounts.lines().rev().filter_map(|line| line.split(' ').nth(4)) {
        if point.contains("/fileops-mnt-") {
            let _ = rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}

/// This program, to run this test once more.
fn this_test(test: &str, in_namespace: bool) -> Command {
    let program = std::env::current_exe().expect("a program");
    let mut command = match in_namespace {
        true => {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "--"]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"]);
    command
}

/// This program, to run a part of this test (see `user_part!`).
fn part(test: &str, part: &str, set: &[(&str, &OsStr)]) -> Command {
    let mut command = this_test(test, false);
    command.env("FILEOPS_TEST_PART", part).envs(set.iter().copied()).stdout(std::process::Stdio::null());
    command
}

/// The home trash of this process.
fn home_trash() -> PathBuf {
    Path::new(&std::env::var_os("XDG_DATA_HOME").expect("`alone!` comes first")).join("Trash")
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn own_trash(top: &Path) -> PathBuf {
    top.join(format!(".Trash-{}", user()))
}

fn put(paths: &[&Path]) -> Report {
    fileops::block_on(async { fileops::trash(paths.iter().copied()).await })
}

fn list() -> TrashListing {
    fileops::block_on(async { fileops::trash_list().await })
}

/// What is in one trash, as it is listed.
fn items_in(trash: &Path) -> Vec<TrashItem> {
    list().items.into_iter().filter(|item| item.trash == trash).collect()
}

#[track_caller]
fn complete(report: Report) -> Complete {
    report.into_result().unwrap_or_else(|error| panic!("{error}: {:?}", error.report))
}

fn refusals(report: &Report) -> Vec<Option<Refusal>> {
    report.failures.iter().map(fileops::Error::refusal).collect()
}

fn errnos(report: &Report) -> Vec<Option<i32>> {
    report.failures.iter().map(fileops::Error::errno).collect()
}

/// What is in `files` and in `info`; nothing where there is no trash.
fn names(trash: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let of = |dir: &str| {
        let entries = fs::read_dir(trash.join(dir)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    (of("files"), of("info"))
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A line of an info file, without its key.
#[track_caller]
fn line_of(info: &Path, key: &str) -> String {
    let text = fs::read(info).unwrap_or_else(|error| panic!("{}: {error}", info.display()));
    let text = String::from_utf8(text).expect("info files are ASCII");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
}

/// The path of an info file, without escapes.
fn path_in(info: &Path) -> PathBuf {
    let line = line_of(info, "Path=");
    let (mut bytes, mut rest) = (Vec::new(), line.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = &tail[2..];
        } else {
            bytes.push(first);
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

/// A file system that the kernel keeps nothing of.
fn uncached() -> FaultFs {
    let (attr_timeout, entry_timeout) = Default::default();
    Options { attr_timeout, entry_timeout, ..Options::default() }.mount().expect("a FUSE file system can be mounted")
}
