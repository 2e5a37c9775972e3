//! Tests which run in a process of their own, with a home and a state directory of their own, and which are ended when they
//! hang.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::temp::Temp;

/// Says to a process of a test's program that it has a home of its own.
pub const ALONE: &str = "FILEOPS_TEST_ALONE";

/// A whole test.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the rest of the test in a process of its own.
#[macro_export]
macro_rules! alone {
    () => {
        if std::env::var_os($crate::alone::ALONE).is_none() {
            return $crate::alone::run($crate::test_name!());
        }
    };
}

/// Runs this test of this program, with a home of its own.
///
/// # Panics
///
/// If it fails or hangs; it prints what the test said.
pub fn run(test: &str) {
    let home = Temp::new("home").expect("a temporary directory");
    let said = home.path().join("said");
    let mut command = this_test(test);
    command.env(ALONE, "1").env("HOME", home.path());
    command.env("XDG_STATE_HOME", home.path().join("state")).env("XDG_DATA_HOME", home.path().join("data"));
    let output = File::create(&said).expect("made");
    command.stdout(output.try_clone().expect("cloned")).stderr(output);
    let status = wait_for_child(command.spawn().expect("this program runs"), PATIENCE);
    let said = String::from_utf8_lossy(&fs::read(&said).expect("read")).into_owned();
    assert!(status.is_some(), "{test} hangs; it said:\n{said}");
    assert!(status.is_some_and(|status| status.success()), "{test} failed:\n{said}");
    let told = said.lines().flat_map(|line| line.find("skipped: ").or(line.find("seen: ")).map(|at| &line[at..]));
    told.for_each(|line| println!("{line}"));
}

/// This program, to run this test once more.
///
/// # Panics
///
/// If the program cannot be found.
pub fn this_test(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"]);
    command
}

/// This program, to run a part of this test (see [`user_part!`](crate::user_part)).
///
/// # Panics
///
/// If the program cannot be found.
pub fn part(test: &str, part: &str, set: &[(&str, &OsStr)]) -> Command {
    let mut command = this_test(test);
    command.env(crate::user::PART, part).envs(set.iter().copied()).stdout(Stdio::null());
    command
}

/// Waits for the end of a child; kills it, and gives nothing, when it takes longer.
///
/// # Panics
///
/// If it is no child.
pub fn wait_for_child(mut child: Child, time: Duration) -> Option<ExitStatus> {
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

/// The journals of operations that run, or were interrupted.
///
/// # Panics
///
/// If `alone!` did not come first.
pub fn journals() -> Vec<PathBuf> {
    let home = std::env::var_os("XDG_STATE_HOME").expect("`alone!` comes first");
    let entries = fs::read_dir(Path::new(&home).join("fileops/operations")).into_iter().flatten();
    entries.map(|entry| entry.expect("read").path()).collect()
}
