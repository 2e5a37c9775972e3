//! POSIX, awaited: each call of `std::fs` as a future that any executor can poll, and what POSIX has beside.
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-fs-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&base)?;
//! # let path = base.join("hello");
//! # std::fs::write(&path, "hello")?;
//! use fileops::fs;
//!
//! # fileops::block_on(async {
//! let metadata = fs::metadata(&path).await?;
//! assert_eq!(metadata.len(), 5);
//! assert_eq!(fs::read(&path).await?, b"hello");
//! # Ok::<_, fileops::Error>(())
//! # })?;
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What happens when
//!
//! A function here does nothing but remember its arguments: it gives a [`Call`], and the first poll makes the call. Any
//! executor will do: GLib's main loop, tokio, smol, [`block_on`](crate::block_on). There is no runtime to enter.
//!
//! - What the kernel has in memory on a local file system is answered by that first poll, on the polling thread, and without
//!   waiting: metadata, opening a regular file, a small read. Nothing else is done there: not on FUSE, network or automatic
//!   mounts, not for FIFOs and devices, not for a file with a lease, not on a kernel without openat2(2).
//! - All else is made by worker threads, in a *lane* of the mount that serves the path. A mount that never answers fills its own
//!   lane only. Paths through symbolic links, and special files, have lanes apart, since nobody knows what they lead to.
//!
//! Errors are [`fileops::Error`](crate::Error): what was being done, the path, the kernel's answer. Sizes are in bytes; times
//! are [`SystemTime`](std::time::SystemTime) with the nanoseconds that the file system has.
//!
//! # Giving up
//!
//! Dropping a [`Call`] that was not begun takes it back: it does not start. One that a worker is making cannot be stopped. It
//! ends by itself, and what it gave is dropped: a file that it opened is closed again, a directory that it made stays.
//!
//! # Priorities
//!
//! [`Call::priority`] says whom it overtakes in its lane: [`Priority::Interactive`] goes before [`Priority::Normal`], that
//! before [`Priority::Background`], which also asks the disk last and leaves some of the lane's threads to the others.
//!
//! # Many at once
//!
//! [`metadata_many`] and [`read_dir`] ask for many entries in one change of threads; that is several times as fast as a call
//! for each.
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-fs-doc-many-{}", std::process::id()));
//! # std::fs::create_dir_all(&base)?;
//! # std::fs::write(base.join("a"), "12")?;
//! # std::fs::write(base.join("b"), "123")?;
//! # fileops::block_on(async {
//! let paths = [base.join("a"), base.join("b"), base.join("missing")];
//! let answers = fileops::fs::metadata_many(&paths).await;
//! let bytes: u64 = answers.iter().flatten().map(|metadata| metadata.len()).sum();
//! assert_eq!((answers.len(), bytes), (3, 5)); // each has an answer of its own, in order
//! # });
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Directories as handles
//!
//! A [`Dir`] is a directory that stays the same whatever happens to its path. Names given to it are looked up below it, and
//! never lead out.
//!
//! # Streams
//!
//! A [`File`] is a stream by the traits of futures-io ([`AsyncRead`](futures_io::AsyncRead),
//! [`AsyncBufRead`](futures_io::AsyncBufRead), [`AsyncWrite`](futures_io::AsyncWrite),
//! [`AsyncSeek`](futures_io::AsyncSeek)), and with the feature `tokio-io` by tokio's of the same names. What comes next is
//! read ahead, up to 3 MiB; what is written is collected and written behind, up to 2 MiB, in order. Where a write fails, the
//! next write, flush, seek or close tells it, and what could not be written is tried again by the one after that. Dropping a
//! file writes what was taken, but nobody hears of errors then: flush or close first. Closing tells also what network file
//! systems say only when a file is closed. None of these is a sync.
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-fs-doc-stream-{}", std::process::id()));
//! # std::fs::create_dir_all(&base)?;
//! # let path = base.join("lines");
//! # std::fs::write(&path, "one\ntwo\n")?;
//! use futures_util::io::{AsyncBufReadExt, AsyncReadExt};
//!
//! # fileops::block_on(async {
//! let mut file = fileops::fs::File::open(&path).await?;
//! let mut line = String::new();
//! file.read_line(&mut line).await?;
//! assert_eq!(line, "one\n");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod atomic;
mod attributes;
mod behind;
mod blocks;
mod call;
mod dir;
mod file;
mod list;
mod lock;
mod many;
mod memory;
mod metadata;
mod names;
mod options;
mod stream;
mod subject;
#[cfg(feature = "tokio-io")]
mod tokio;
mod traits;
mod volume;
mod wait;
mod walk;
mod whole;
pub mod xattr;

pub use crate::pool::Priority;
pub use atomic::{AtomicWrite, Synced, write_atomic};
pub use attributes::{Times, chown, lchown, set_permissions, set_symlink_times, set_times};
pub use call::Call;
pub use dir::Dir;
pub use file::File;
pub use list::{DirEntry, ReadDir, read_dir};
pub use lock::{FileLock, Lock, WaitForLock};
pub use many::{MetadataMany, metadata_many, symlink_metadata_many};
pub use metadata::{Kind, Metadata, metadata, symlink_metadata};
pub use names::{
    Access, Renaming, access, canonicalize, create_dir, create_dir_all, exists, hard_link, is_same_file, read_link,
    remove_dir, remove_dir_all, remove_file, rename, rename_with, symlink,
};
pub use options::OpenOptions;
pub use volume::{Volume, volume};
pub use walk::{Walk, WalkEntry, walk};
pub use whole::{append, read, read_to_string, write};

use crate::error::{Action, Result};
use std::path::Path;

/// A call of a module beside this one, which a worker makes.
pub(crate) fn blocking<T: Send + 'static>(
    action: Action,
    path: &Path,
    run: impl FnOnce(&Path) -> Result<T> + Send + 'static,
) -> Call<T> {
    Call::new(subject::Subject::new(action, path, subject::Wants::Opened), move |subject| Ok(run(subject.given())?))
}
