//! The only system calls of the core: a directory descriptor and a single name, symbolic links not followed.
//!
//! Errors leave as `io::Error`; the caller, who knows the paths, adds what was being done.

pub(crate) mod at;
pub(crate) mod attributes;
pub(crate) mod blocks;
pub(crate) mod buffers;
pub(crate) mod cached;
pub(crate) mod clock;
pub(crate) mod data;
pub(crate) mod disk;
pub(crate) mod inotify;
pub(crate) mod list;
pub(crate) mod local;
pub(crate) mod lock;
pub(crate) mod mount;
pub(crate) mod name;
pub(crate) mod open;
pub(crate) mod process;
pub(crate) mod replace;
pub(crate) mod stat;
pub(crate) mod thread;
pub(crate) mod volume;
pub(crate) mod wake;

use rustix::io::Errno;
use std::io;

/// A signal handler of the application may interrupt any call on a network or FUSE file system; more often than this in a
/// row it is the file system that answers EINTR by itself.
const INTERRUPTIONS: usize = 100;

/// Makes the call again while it was interrupted.
#[inline]
fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    for _ in 0..INTERRUPTIONS {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer.map_err(io::Error::from),
        }
    }
    Err(Errno::INTR.into())
}

/// Makes a call that makes a name. It may have been made although the call was interrupted: that the name is there then says
/// nothing about whose it is, and the caller is told of the interruption instead.
fn again_making<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    let mut was_interrupted = false;
    for _ in 0..INTERRUPTIONS {
        match call() {
            Err(Errno::INTR) => was_interrupted = true,
            Err(Errno::EXIST) if was_interrupted => break,
            answer => return answer.map_err(io::Error::from),
        }
    }
    Err(Errno::INTR.into())
}

/// Whether the file system says that it has no such thing, rather than that this one call failed.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    // ENOTSUP is EOPNOTSUPP on Linux.
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::ENOTTY))
}
