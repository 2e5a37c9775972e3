//! Locks that live as long as an open file description, so that a dead process holds none.

use rustix::fs::{self, FlockOperation};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Takes an exclusive lock of the whole file; `false` when another process holds it.
///
/// Source: fcntl_locking(2), "Open file description locks" (Linux 3.15).
#[allow(unsafe_code)]
pub(crate) fn try_lock(file: impl AsFd) -> io::Result<bool> {
    // SAFETY: an all-zero `flock` is a valid value; OFD locks require l_pid to be 0.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    // SAFETY: the descriptor is open for the length of the call; `lock` is a valid `flock`, which F_OFD_SETLK only reads.
    let answer = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    if answer == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Says that an open directory is in use, until it is closed. Where there are no locks that is not known.
pub(crate) fn share(dir: impl AsFd) {
    let _ = fs::flock(dir, FlockOperation::NonBlockingLockShared);
}

/// Whether nobody else uses a directory that we [`share`], and nobody will until it is closed.
pub(crate) fn is_alone(dir: impl AsFd) -> bool {
    fs::flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok()
}
