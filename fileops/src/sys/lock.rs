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

/// Whether others may hold the same lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Shared,
    Exclusive,
}

/// Takes a lock of the whole file as flock(2) does, or turns the one that this open file has into such a one; `false` when
/// somebody else's is in the way (and then the one it had may be gone).
pub(crate) fn try_flock(file: impl AsFd, hold: Hold) -> io::Result<bool> {
    let operation = match hold {
        Hold::Shared => FlockOperation::NonBlockingLockShared,
        Hold::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    match super::again(|| fs::flock(&file, operation)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn unlock_flock(file: impl AsFd) -> io::Result<()> {
    super::again(|| fs::flock(&file, FlockOperation::Unlock))
}

/// Takes an OFD lock of some bytes; `false` when somebody else's is in the way.
pub(crate) fn try_ofd(file: impl AsFd, hold: Hold, bytes: &std::ops::Range<u64>) -> io::Result<bool> {
    let kind = match hold {
        Hold::Shared => libc::F_RDLCK,
        Hold::Exclusive => libc::F_WRLCK,
    };
    match set_ofd(file, kind, bytes) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        answer => answer.map(|()| true),
    }
}

pub(crate) fn unlock_ofd(file: impl AsFd, bytes: &std::ops::Range<u64>) -> io::Result<()> {
    set_ofd(file, libc::F_UNLCK, bytes)
}

/// Bytes to the end that there can be are bytes to wherever the file will end.
#[allow(unsafe_code)]
fn set_ofd(file: impl AsFd, kind: libc::c_int, bytes: &std::ops::Range<u64>) -> io::Result<()> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let start = libc::off_t::try_from(bytes.start).map_err(|_| invalid())?;
    let length = match bytes.end {
        u64::MAX => 0,
        // A length of 0 would mean all the rest.
        end if end <= bytes.start => return Err(invalid()),
        end => libc::off_t::try_from(end - bytes.start).map_err(|_| invalid())?,
    };
    // SAFETY: an all-zero `flock` is a valid value; OFD locks require l_pid to be 0.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (kind as _, libc::SEEK_SET as _);
    (lock.l_start, lock.l_len) = (start, length);
    loop {
        // SAFETY: the descriptor is open for the length of the call; `lock` is a valid `flock`, which F_OFD_SETLK only reads.
        if unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_OFD_SETLK, &lock) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
