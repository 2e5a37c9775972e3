//! Tests which cannot run here say why, and return.
//!
//! The reasons are printed, and added to the file which `FILEOPS_SKIPPED` names. Where `CI` is
//! `true`, a missing tool is no reason, but an error of the setup.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// The name of the test which this is used in, as the test runner has it.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::skip::name_of(here)
    }};
}

/// Leaves the test, and says why.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        $crate::skip::skipped($crate::test_name!(), &format!($($why)*));
        return;
    }};
}

/// Leaves the test as a tool is missing: an error where `CI` is `true`.
#[macro_export]
macro_rules! skip_missing {
    ($($what:tt)*) => {{
        $crate::skip::missing(&format!($($what)*));
        $crate::skip!("no {}", format!($($what)*))
    }};
}

/// Leaves the test unless it is root's.
#[macro_export]
macro_rules! require_root {
    () => {
        if !$crate::skip::is_root() {
            $crate::skip!("not root")
        }
    };
}

/// Leaves the test unless a FUSE file system can be mounted.
#[macro_export]
macro_rules! require_fuse {
    () => {
        if !$crate::skip::has_fuse() {
            $crate::skip_missing!("/dev/fuse, or fusermount3 for another user than root")
        }
    };
}

/// Leaves the test unless there are these commands.
#[macro_export]
macro_rules! require_command {
    ($($command:expr),+ $(,)?) => {
        $(if !$crate::skip::has_command($command) {
            $crate::skip_missing!("command {}", $command)
        })+
    };
}

/// Leaves the test unless the kernel knows this file system.
#[macro_export]
macro_rules! require_filesystem {
    ($kind:expr) => {
        if !$crate::skip::has_filesystem($kind) {
            $crate::skip!("no {} in this kernel", $kind)
        }
    };
}

/// The name of the test in which a function is, for [`test_name!`](crate::test_name).
pub fn name_of<T>(_: T) -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    let name = name.strip_suffix("::here").unwrap_or(name);
    name.split("::{{closure}}").next().unwrap_or(name)
}

/// Notes that a test was skipped.
pub fn skipped(test: &str, why: &str) {
    println!("skipped: {why}");
    if let Some(path) = std::env::var_os("FILEOPS_SKIPPED") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let noted = file.and_then(|mut file| file.write_all(format!("{test}: {why}\n").as_bytes()));
        noted.expect("the file that FILEOPS_SKIPPED names can be written");
    }
}

/// Panics where tools may not be missing.
///
/// # Panics
///
/// If `CI` is `true`.
pub fn missing(what: &str) {
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "no {what}, which CI must have");
}

/// Is this root's process?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Can a FUSE file system be mounted?
pub fn has_fuse() -> bool {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    device.is_ok() && (is_root() || has_command("fusermount3"))
}

/// Is there this command?
pub fn has_command(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/sbin", "/usr/sbin"].map(Path::new);
    let paths = std::env::split_paths(&path).map(|dir| dir.join(command));
    paths.chain(system.map(|dir| dir.join(command))).any(|path| path.is_file())
}

/// Does the kernel know this file system, now or after `modprobe`?
pub fn has_filesystem(kind: &str) -> bool {
    let known = || {
        let all = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        all.lines().any(|line| line.split('\t').nth(1) == Some(kind))
    };
    known() || {
        let _ = std::process::Command::new("modprobe").arg(kind).output();
        known()
    }
}
