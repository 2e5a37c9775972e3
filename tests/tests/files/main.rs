//! `fileops::fs`, the upper half: streams, lists, walks, many at once, whole files, attributes, locks, volumes. What std and
//! other crates answer is what is expected, on this machine's file system and on one that fails on demand.

mod atomic;
mod attributes;
mod lists;
mod locks;
mod many;
mod streams;
mod volumes;
mod walks;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has to become true, becomes true.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not so after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A name that is not UTF-8.
fn odd(dir: &Path) -> PathBuf {
    dir.join(std::ffi::OsStr::from_bytes(b"caf\xe9 \n"))
}

/// The same failure, by number.
#[track_caller]
fn assert_same_error<T, U>(ours: fileops::Result<T>, theirs: io::Result<U>) {
    let ours = ours.err().map(|error| error.errno());
    let theirs = theirs.err().map(|error| error.raw_os_error());
    assert!(theirs.is_some(), "it was to fail");
    assert_eq!(ours, theirs);
}

/// Bytes that tell where they stand.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// What is in a directory, hidden things too.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
