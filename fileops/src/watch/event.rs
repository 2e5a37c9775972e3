//! What a watch tells.

use std::path::{Path, PathBuf};

/// One change. All paths begin with the watched path, as it was given, made absolute.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something has this name that had not: it was made, or moved here from a place that is not watched. Where something had
    /// the name before, something else has it now.
    Created {
        /// The name.
        path: PathBuf,
        /// Whether it is a directory.
        is_dir: bool,
    },
    /// Nothing has this name any more: it was removed, with all that was in it, or moved to a place that is not watched.
    Removed {
        /// The name.
        path: PathBuf,
        /// Whether it was a directory.
        is_dir: bool,
    },
    /// Contents, attributes, mode, owner or times changed, or are likely to have. Of a directory its own attributes; what
    /// is in it has events of its own.
    Modified {
        /// Which.
        path: PathBuf,
    },
    /// It has another name, in the same directory or another that is watched, with all that is in it. What had that name
    /// is gone. After a list that is newer than this event the old name may be unknown: then look at the new one.
    Renamed {
        /// The old name.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
        /// Whether it is a directory.
        is_dir: bool,
    },
    /// Something changed here or below, and it is not known what: list it again. The watch goes on.
    Rescan {
        /// What to list.
        path: PathBuf,
        /// How that came.
        why: Why,
    },
    /// From now on the kernel is not relied on: the path is looked at again and again, at the watch's
    /// [interval](super::Watch::interval).
    Polled {
        /// The watched path.
        path: PathBuf,
        /// How that came.
        why: Why,
    },
    /// What happens here and below is not told, from now on.
    Unwatched {
        /// What is left out.
        path: PathBuf,
        /// How that came.
        why: Why,
    },
}

/// Why a watch tells less than it should.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The events were not taken out of the stream, and more than its [capacity](super::Watch::capacity) came.
    NotRead,
    /// The kernel's own queue ran over (fs.inotify.max_queued_events).
    Overflow,
    /// Directories were renamed, or removed and made again, faster than they could be followed.
    TooFast,
    /// Something else was mounted there, or unmounted.
    Mounts,
    /// Something else has the name of the watched path.
    Replaced,
    /// It is looked at in another way from now on, and between the two something may have changed.
    Switched,
    /// It was asked for: [`Method::Poll`](super::Method::Poll).
    Asked,
    /// On its file system the kernel is silent of changes that others make: a server, or a program (FUSE).
    Silent,
    /// It is another file system on a server or of a program, or one that is mounted when it is touched. It can be watched by
    /// its own path.
    OtherFileSystem,
    /// This user watches as many directories as is allowed (fs.inotify.max_user_watches), or has as many watches
    /// (fs.inotify.max_user_instances).
    Limit,
    /// There is more in it than is compared.
    TooMany,
    /// The kernel's answer, as errno.
    Errno(i32),
}

impl Event {
    /// What it is about; of a rename the new name.
    pub fn path(&self) -> &Path {
        match self {
            Event::Created { path, .. }
            | Event::Removed { path, .. }
            | Event::Modified { path }
            | Event::Renamed { to: path, .. }
            | Event::Rescan { path, .. }
            | Event::Polled { path, .. }
            | Event::Unwatched { path, .. } => path,
        }
    }
}
