//! Whether two files are the same, byte for byte: asked for when somebody wants to know, on a thread of its own lane.

use crate::error::Action;
use crate::pool::{Pool, Task};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{data, name};
use rustix::fs::FileType;
use std::ffi::CStr;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Read from each side at a time: short enough for a cancel, long enough for a disk.
const CHUNK: usize = 128 << 10;

/// Which of the two could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    Second,
}

/// A source and a target, each by its directory and name.
pub(crate) struct Sides<'a> {
    pub(crate) source: (&'a OwnedFd, &'a CStr, Follow),
    pub(crate) target: (&'a OwnedFd, &'a CStr),
}

impl Sides<'_> {
    /// Reads both as far as they are alike. `go_on` is asked between steps, and may end it.
    pub(crate) fn are_equal<E>(
        &self,
        go_on: impl FnMut() -> Result<(), E>,
        failed: impl Fn(Which, Action, io::Error) -> E,
    ) -> Result<bool, E> {
        let ((from, name, follow), (to, wanted)) = (self.source, self.target);
        let of_source = |action| move |error| (Which::First, action, error);
        let of_target = |action| move |error| (Which::Second, action, error);
        let failed = |(which, action, error)| failed(which, action, error);
        let stat = if follow == Follow::Yes { Stat::following(from, name) } else { Stat::at(from, name) };
        let stat = stat.map_err(of_source(Action::Stat)).map_err(failed)?;
        let old = Stat::at(to, wanted).map_err(of_target(Action::Stat)).map_err(failed)?;
        if stat.kind() != old.kind() {
            return Ok(false);
        }
        match stat.kind() {
            FileType::RegularFile if stat.size != old.size => Ok(false),
            FileType::RegularFile => {
                let first = open::file(from, name, follow).map_err(of_source(Action::Open)).map_err(failed)?;
                let second = open::file(to, wanted, Follow::No).map_err(of_target(Action::Open)).map_err(failed)?;
                is_equal(&first, &second, go_on, |which, error| failed((which, Action::Read, error)))
            }
            FileType::Symlink => {
                let first = name::readlink(from, name).map_err(of_source(Action::Symlink)).map_err(failed)?;
                let second = name::readlink(to, wanted).map_err(of_target(Action::Symlink)).map_err(failed)?;
                Ok(first == second)
            }
            FileType::Directory => Err(failed((Which::First, Action::Read, io::ErrorKind::IsADirectory.into()))),
            _ => Ok(stat.rdev == old.rdev),
        }
    }
}

/// Compares two open files from their positions to their ends. `go_on` is asked between steps, and may end it.
fn is_equal<E>(
    first: &OwnedFd,
    second: &OwnedFd,
    mut go_on: impl FnMut() -> Result<(), E>,
    failed: impl Fn(Which, io::Error) -> E,
) -> Result<bool, E> {
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        go_on()?;
        let count = fill(first, &mut a).map_err(|error| failed(Which::First, error))?;
        let other = fill(second, &mut b).map_err(|error| failed(Which::Second, error))?;
        if a[..count] != b[..other] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data::read(file, &mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Says, while a comparison runs, whether it shall go on.
pub(crate) type GoesOn<'a> = &'a dyn Fn() -> bool;

/// Compares the two sides of a conflict: made by whoever has them at hand.
#[derive(Clone)]
pub(crate) struct Comparer {
    compare: Arc<dyn Fn(GoesOn<'_>) -> io::Result<bool> + Send + Sync>,
    pool: Pool,
}

impl Comparer {
    pub(crate) fn new(
        pool: &Pool,
        compare: impl Fn(GoesOn<'_>) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Comparer {
        Comparer { compare: Arc::new(compare), pool: pool.clone() }
    }

    /// Starts it in the lane of the mount that serves `path`.
    pub(crate) fn start(&self, path: &Path) -> Comparison {
        let stop = Arc::<AtomicBool>::default();
        let (compare, stopped) = (Arc::clone(&self.compare), Arc::clone(&stop));
        let task = self.pool.run_at(path, move || compare(&|| !stopped.load(Ordering::Relaxed)));
        Comparison { task, stop }
    }
}

impl fmt::Debug for Comparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Comparer")
    }
}

/// A comparison under way: a future of whether the contents are equal, to the last byte.
///
/// It runs on a thread of the pool, whether it is polled or not. Dropping it ends it at the next step.
///
/// # Errors
/// What the kernel says when a side cannot be read; `Interrupted` when the operation was cancelled or is over.
#[must_use = "dropping a comparison ends it"]
pub struct Comparison {
    task: Task<io::Result<bool>>,
    stop: Arc<AtomicBool>,
}

impl Comparison {
    /// Whether the answer is there.
    pub fn is_done(&self) -> bool {
        self.task.is_done()
    }

    /// Waits for the answer on this thread.
    ///
    /// # Errors
    /// As for the future.
    pub fn wait(self) -> io::Result<bool> {
        crate::pool::block_on(self)
    }
}

impl Future for Comparison {
    type Output = io::Result<bool>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        Pin::new(&mut self.task).poll(context).map(|answer| answer.map_err(io::Error::other)?)
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
