//! Waiting for several descriptors at once, and being woken by another thread.

use super::again;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Wakes whoever waits for it; from then on nobody waits.
pub(crate) struct Wake(OwnedFd);

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        again(|| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)).map(Wake)
    }

    pub(crate) fn ring(&self) {
        // It can only fail when it was rung 2^64 times and nobody heard.
        let _ = again(|| rustix::io::write(&self.0, &1_u64.to_ne_bytes()));
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of the descriptors has something to read or to tell, or until the time is over. Says which.
pub(crate) fn wait<const N: usize>(of: [BorrowedFd<'_>; N], time: Option<Duration>) -> io::Result<[bool; N]> {
    let mut polled = of.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN | PollFlags::PRI));
    let time = time.map(|time| Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    match poll(&mut polled, time.as_ref()) {
        // The caller looks at its clock again.
        Err(rustix::io::Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(polled.map(|fd| !fd.revents().is_empty())),
    }
}
