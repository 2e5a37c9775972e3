//! What is known of an entry: kind, size, owner, times.

use super::call::Call;
use super::memory;
use super::subject::{Subject, Wants};
use crate::error::Action;
use crate::sys::open::Follow;
use crate::sys::stat::Full;
use rustix::fs::FileType;
use std::path::Path;
use std::time::SystemTime;

/// What is at a path; a symbolic link is followed. Asks stat(2)'s question.
///
/// # Errors
/// `NotFound`, `PermissionDenied` for a directory on the way, and whatever the file system answers.
pub fn metadata(path: impl AsRef<Path>) -> Call<Metadata> {
    look(Subject::new(Action::Stat, path.as_ref(), Wants::Target), Follow::Yes)
}

/// What is at a path; of a symbolic link itself. Asks lstat(2)'s question.
///
/// # Errors
/// As for [`metadata`].
pub fn symlink_metadata(path: impl AsRef<Path>) -> Call<Metadata> {
    look(Subject::new(Action::Stat, path.as_ref(), Wants::Entry), Follow::No)
}

pub(super) fn look(subject: Subject, follow: Follow) -> Call<Metadata> {
    Call::in_memory(
        subject,
        move |subject| memory::metadata(subject, follow),
        move |subject| Ok(Metadata(subject.at()?.stat(follow)?)),
    )
}

/// The attributes of an entry, as one call gave them.
#[derive(Clone, Copy, Debug)]
pub struct Metadata(pub(super) Full);

/// What kinds of entries a file system has.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, also called a named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// What the file system does not tell.
    Unknown,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Kind {
        match kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Unknown => Kind::Unknown,
        }
    }
}

#[allow(clippy::len_without_is_empty)] // as in std: a size, not a container
impl Metadata {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.stat.kind().into()
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind() == Kind::File
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == Kind::Directory
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind() == Kind::Symlink
    }

    /// Bytes of contents.
    pub fn len(&self) -> u64 {
        self.0.stat.size
    }

    /// Bytes that the file system has allocated, less than [`len`](Metadata::len) where there are holes.
    pub fn allocated(&self) -> u64 {
        self.0.stat.allocated
    }

    /// The permission bits with setuid, setgid and sticky: `0o644`.
    pub fn mode(&self) -> u32 {
        self.0.stat.permissions()
    }

    /// The number of the owner.
    pub fn uid(&self) -> u32 {
        self.0.stat.uid
    }

    /// The number of the group.
    pub fn gid(&self) -> u32 {
        self.0.stat.gid
    }

    /// The number of the device, of this run of the system.
    pub fn dev(&self) -> u64 {
        self.0.stat.id.dev
    }

    /// The number of the inode. With [`dev`](Metadata::dev) it tells whether two entries are one file.
    pub fn inode(&self) -> u64 {
        self.0.stat.id.ino
    }

    /// How many names the file has.
    pub fn nlink(&self) -> u64 {
        self.0.stat.links
    }

    /// Which device a device file is for.
    pub fn rdev(&self) -> u64 {
        self.0.stat.rdev
    }

    /// When its contents were changed last.
    pub fn modified(&self) -> SystemTime {
        self.0.stat.modified.moment()
    }

    /// When it was read last, as far as the mount's options (relatime, noatime) have that kept.
    pub fn accessed(&self) -> SystemTime {
        self.0.stat.accessed.moment()
    }

    /// When anything about it was changed last: contents, attributes, a name. Nobody can set it.
    pub fn changed(&self) -> SystemTime {
        self.0.stat.changed.moment()
    }

    /// When it was made; `None` where the file system does not keep that.
    pub fn created(&self) -> Option<SystemTime> {
        self.0.created.map(|time| time.moment())
    }

    /// The number of the mount it is on, as in `/proc/self/mountinfo`; `None` before Linux 5.8.
    pub fn mount_id(&self) -> Option<u64> {
        Some(self.0.stat.mount).filter(|&mount| mount != 0)
    }
}
