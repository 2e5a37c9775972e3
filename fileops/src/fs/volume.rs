//! The file system that something is on: its room and its kind.

use super::ahead::call_at;
use super::call::Call;
use super::file::File;
use crate::error::Action;
use crate::sys::{name, open, stat::HERE, volume};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The file system that serves a path; a symbolic link is followed. As statvfs(3), with the kind beside it.
///
/// Always asked by a worker: a server has to be asked what room it has.
///
/// # Errors
/// `NotFound`, `PermissionDenied` for a directory on the way, and whatever the file system answers.
///
/// ```
/// # fileops::block_on(async {
/// let volume = fileops::fs::volume("/").await?;
/// println!("{}: {} of {} bytes free", volume.kind().unwrap_or("?"), volume.available(), volume.total());
/// # assert!(volume.available() <= volume.free() && volume.free() <= volume.total());
/// # Ok::<_, fileops::Error>(())
/// # })?;
/// # Ok::<(), fileops::Error>(())
/// ```
pub fn volume(path: impl AsRef<Path>) -> Call<Volume> {
    let path = path.as_ref().to_owned();
    call_at(Action::Stat, &path.clone(), move || {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(std::io::Error::from)?;
        let handle = name::handle(HERE, &name, open::Follow::Yes)?;
        Ok(Volume(volume::Volume::of(&handle, &path)?))
    })
}

impl File {
    /// The file system that it is on: see [`volume`].
    pub fn volume(&self) -> Call<Volume> {
        let path = self.path().to_owned();
        self.call(Action::Stat, move |file| Ok(Volume(volume::Volume::of(file, &path)?)))
    }
}

/// What is known of a file system. Those that count no blocks or no entries (btrfs, many FUSE) say 0 for all of them.
#[derive(Clone, Debug)]
pub struct Volume(volume::Volume);

impl Volume {
    /// Bytes it has room for, its own records among them or not.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// Bytes that are not in use.
    pub fn free(&self) -> u64 {
        self.0.free
    }

    /// Bytes that an ordinary user may still write.
    pub fn available(&self) -> u64 {
        self.0.available
    }

    /// Files and directories it has room for.
    pub fn entries(&self) -> u64 {
        self.0.entries
    }

    /// Of those, how many an ordinary user may still make.
    pub fn free_entries(&self) -> u64 {
        self.0.free_entries
    }

    /// The size, in bytes, of reads and writes that it likes.
    pub fn block_size(&self) -> u64 {
        self.0.block
    }

    /// The longest name of an entry, in bytes.
    pub fn longest_name(&self) -> u64 {
        self.0.longest_name
    }

    /// Whether it is mounted so that nothing can be changed.
    pub fn is_read_only(&self) -> bool {
        self.0.is_read_only
    }

    /// A number that, with luck, no other file system has. It may be another one after the next mount.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// What the mount table calls it: "ext4", "tmpfs", "fuse.sshfs"; `None` without `/proc`.
    pub fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }
}
