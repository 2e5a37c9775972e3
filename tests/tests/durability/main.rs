//! What is said to be done is done: on the device where that was asked for, compared where that was asked for, at the rate
//! that was allowed; and what was interrupted goes on where it stopped.

mod bandwidth;
mod device;
mod power;
mod resume;
mod sync_errors;
mod verify;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fileops::{Operation, Report};
use fileops_tests::tree::noise;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const MIB: u64 = 1 << 20;

/// Waits for the end of an operation, which must come.
#[track_caller]
fn finish(operation: Operation) -> Report {
    let end = Instant::now() + PATIENCE;
    while !operation.is_done() {
        assert!(Instant::now() < end, "the operation does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    operation.wait()
}

/// Writes so many MiB, no two of which are the same.
fn fill(path: &Path, mib: u64) {
    let mut block = noise(MIB as usize);
    let mut file = File::create(path).expect("made");
    for index in 0..mib {
        for page in block.chunks_mut(4096) {
            page[..8].copy_from_slice(&index.to_le_bytes());
        }
        file.write_all(&block).expect("written");
    }
}

/// Bytes that the files below a path take on the disk, each file once.
fn allocated(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512 / meta.nlink();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| allocated(&entry.path())).sum()
}

/// What a directory holds that is called like a stage.
fn stages(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("read").path());
    let is_stage = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        name.starts_with(".fileops-") && name.ends_with(".part")
    };
    entries.filter(is_stage).collect()
}
