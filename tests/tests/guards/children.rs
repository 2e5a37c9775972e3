//! Parts of a test that need a process of their own: its limits, its directory, its memory.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use fileops_tests::as_user;
use rustix::process::{Resource, Rlimit, getegid, geteuid, setrlimit};

/// Runs the part `alone` of a test in a process of its own, as the same user, with `/` as its directory.
pub(crate) fn alone(test: &str, set: &[(&str, &OsStr)]) {
    as_user(geteuid().as_raw(), getegid().as_raw(), test, "alone", set);
}

/// Runs the part `without` of a test in a process of its own, as root where nothing is mounted on /proc.
#[track_caller]
pub(crate) fn without_proc(test: &str, set: &[(&str, &OsStr)]) {
    let script = "mount -t tmpfs none /proc && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"]);
    let output = command.env("FILEOPS_TEST_PART", "without").envs(set.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// From here on this process may have no more than this.
pub(crate) fn limit(what: Resource, most: u64) {
    setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
}

/// A number from /proc/self/status, such as `VmHWM` (in KiB) or `Threads`.
pub(crate) fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("it is there");
    line.split_whitespace().next().unwrap().parse().unwrap()
}
