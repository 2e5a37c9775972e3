//! Copies on their device, before their sources go: all of a file system at once where that is known to work, else each file
//! and each directory by itself.

use crate::control::lock;
use crate::sys::data;
use crate::sys::open::{self, Follow};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

/// What is known of the devices that are written to.
#[derive(Default)]
pub(super) struct Devices {
    /// Devices that could not write something, which the kernel tells once; and what it told.
    failed: Mutex<HashMap<u64, i32>>,
}

impl Devices {
    /// Waits until everything on a file system is on its device. `dir` was opened before it was written to, else an error
    /// of then is not told; after one that was told, no other answer is believed.
    pub(super) fn sync(&self, dir: &OwnedFd, device: u64) -> io::Result<()> {
        let synced = data::sync_all(dir);
        if let Err(error) = &synced {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            lock(&self.failed).entry(device).or_insert(errno);
        }
        match lock(&self.failed).get(&device) {
            Some(&errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }
}

/// Waits until the names in a directory are on the device, where the file system lets directories be asked for that.
pub(super) fn sync_dir(dir: &OwnedFd) -> io::Result<()> {
    match data::sync(dir) {
        // XFS says so of a directory, too, after it shut itself down because its device is gone; but then it opens nothing.
        Ok(()) => open::dir(dir, c".", Follow::No).map(drop),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EBADF)) => Ok(()),
        Err(error) if crate::sys::is_unsupported(&error) => Ok(()),
        answer => answer,
    }
}
