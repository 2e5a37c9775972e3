//! How much room a file system has, and what it is.

use super::again;
use super::mount;
use super::stat::Stat;
use rustix::fs::{self, StatVfsMountFlags};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// What statvfs(3) and the mount table tell.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) total: u64,
    pub(crate) free: u64,
    pub(crate) available: u64,
    pub(crate) entries: u64,
    pub(crate) free_entries: u64,
    pub(crate) block: u64,
    pub(crate) longest_name: u64,
    pub(crate) is_read_only: bool,
    pub(crate) id: u64,
    pub(crate) kind: Option<String>,
}

impl Volume {
    /// Of what a file or a handle is on. `path` tells the mount where the kernel does not (before Linux 5.8).
    pub(crate) fn of(file: impl AsFd, path: &Path) -> io::Result<Volume> {
        let stat = again(|| fs::fstatvfs(&file))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Volume {
            total: bytes(stat.f_blocks),
            free: bytes(stat.f_bfree),
            available: bytes(stat.f_bavail),
            entries: stat.f_files,
            free_entries: stat.f_favail,
            block: stat.f_bsize,
            longest_name: stat.f_namemax,
            is_read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
            id: stat.f_fsid,
            kind: kind(&file, path),
        })
    }
}

fn kind(file: impl AsFd, path: &Path) -> Option<String> {
    let table = mount::table().ok()?;
    let number = Stat::of_dir(&file).map_or(0, |stat| stat.mount);
    let mount = mount::numbered(&table, number).or_else(|| mount::serving(&table, &std::path::absolute(path).ok()?))?;
    Some(mount.kind.clone())
}
