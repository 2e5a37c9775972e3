//! Parts of a test that need a process of their own: its limits, its directory, its memory.

use std::ffi::OsStr;
use std::fs;

use fileops_tests::as_user;
use rustix::process::{Resource, Rlimit, getegid, geteuid, setrlimit};

/// Runs the part `alone` of a test in a process of its own, as the same user, with `/` as its directory.
pub(crate) fn alone(test: &str, set: &[(&str, &OsStr)]) {
    as_user(geteuid().as_raw(), getegid().as_raw(), test, "alone", set);
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
