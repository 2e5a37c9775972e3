//! The test support itself.

mod faults;
mod life;
mod limits;
mod mounts;
mod trees;

use std::fs;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The error number of a result, 0 if it is none.
fn code<T>(result: std::io::Result<T>) -> i32 {
    result.err().and_then(|e| e.raw_os_error()).unwrap_or(0)
}

fn mounted_at(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
    mounts.lines().any(|line| line.split(' ').nth(4).map(Path::new) == Some(path))
}
