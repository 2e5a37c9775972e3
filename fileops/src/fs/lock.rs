//! Locks on files, for programs that agree to ask for them.

use super::ahead::Ahead;
use super::call::Call;
use super::file::File;
use super::wait::Wait;
use crate::error::{Action, Result};
use crate::pool::Pool;
use crate::sys::local::{self, Verdict};
use crate::sys::lock::{self as locks, Hold};
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Which lock: shared with others of the same kind or not, of a whole file or of some bytes.
///
/// Both kinds belong to the open file, which clones of a [`File`] share, and go with it; neither has to do with the other on
/// local file systems (on NFS, flock is a lock of all bytes). Source: flock(2); fcntl_locking(2), "Open file description locks".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    hold: Hold,
    /// `None` for flock.
    bytes: Option<Range<u64>>,
}

impl Lock {
    /// flock(2) of the whole file, which others may have, too.
    pub fn shared() -> Lock {
        Lock { hold: Hold::Shared, bytes: None }
    }

    /// flock(2) of the whole file, which nobody else has.
    pub fn exclusive() -> Lock {
        Lock { hold: Hold::Exclusive, bytes: None }
    }

    /// Instead an open file description lock (F_OFD_SETLK) of these bytes; with an end of [`u64::MAX`] of all from its start,
    /// however long the file becomes. Shared ones need a file that is open for reading, exclusive ones for writing.
    #[must_use]
    pub fn bytes(self, bytes: Range<u64>) -> Lock {
        Lock { bytes: Some(bytes), ..self }
    }

    fn take(&self, file: impl AsFd) -> io::Result<bool> {
        match &self.bytes {
            None => locks::try_flock(file, self.hold),
            Some(bytes) => locks::try_ofd(file, self.hold, bytes),
        }
    }

    fn release(&self, file: impl AsFd) -> io::Result<()> {
        match &self.bytes {
            None => locks::unlock_flock(file),
            Some(bytes) => locks::unlock_ofd(file, bytes),
        }
    }
}

impl File {
    /// Takes a lock, if nobody else has one that is in the way; `None` if somebody has.
    ///
    /// A file that has a lock of the same kind already changes that one instead, and a [`FileLock`] of the old one releases
    /// the new one, too: take one at a time. Where a shared flock cannot become an exclusive one, it may be gone (flock(2)).
    ///
    /// # Errors
    /// `InvalidInput` for no bytes; EBADF for bytes of a file that is not open for them; ENOLCK.
    ///
    /// # Dropping
    /// A lock that is taken after nobody waits for it any more is released by who took it.
    pub fn try_lock(&self, lock: Lock) -> Call<Option<FileLock>> {
        let held = self.clone();
        self.call(Action::Open, move |file| {
            let is_taken = lock.take(file)?;
            Ok(is_taken.then_some(FileLock { file: held, lock, is_kept: false }))
        })
    }

    /// Waits until it has the lock. No thread waits with it: it is asked for again after 1 ms, then more and more seldom, at
    /// last every 20 ms, so that who comes later may be first.
    ///
    /// # Errors
    /// As for [`try_lock`](File::try_lock).
    ///
    /// # Dropping
    /// Dropped, it holds no lock, and takes none: see [`try_lock`](File::try_lock).
    pub fn lock(&self, lock: Lock) -> WaitForLock {
        WaitForLock { file: self.clone(), lock, step: Step::Fresh, pause: FIRST_PAUSE }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(1);

const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The future that [`File::lock`] gives.
#[must_use = "nothing happens before a future is polled"]
pub struct WaitForLock {
    file: File,
    lock: Lock,
    step: Step,
    pause: Duration,
}

enum Step {
    Fresh,
    Asked(Ahead<Option<FileLock>>),
    Waiting(Wait),
}

impl Future for WaitForLock {
    type Output = Result<FileLock>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<FileLock>> {
        loop {
            self.step = match &mut self.step {
                Step::Fresh => Step::Asked(Ahead::begin(self.file.try_lock(self.lock.clone()))),
                Step::Asked(call) => match ready!(call.poll(context))? {
                    Some(lock) => {
                        self.step = Step::Fresh;
                        return Poll::Ready(Ok(lock));
                    }
                    None => {
                        let pause = self.pause;
                        self.pause = (pause * 2).min(LONGEST_PAUSE);
                        Step::Waiting(Wait::new(pause))
                    }
                },
                Step::Waiting(wait) => {
                    ready!(wait.poll(context));
                    Step::Fresh
                }
            };
        }
    }
}

/// A lock that is held. Dropped, it is released: at once on local file systems, elsewhere by a worker.
#[derive(Debug)]
#[must_use = "a lock that is dropped is released"]
pub struct FileLock {
    file: File,
    lock: Lock,
    /// Whether it stays until the file is closed.
    is_kept: bool,
}

impl FileLock {
    /// Releases it, and tells when that is done.
    ///
    /// # Errors
    /// Those of a server that cannot be asked. The lock goes with the file at the latest.
    pub fn release(mut self) -> Call<()> {
        self.is_kept = true;
        let lock = self.lock.clone();
        self.file.call(Action::Open, move |file| Ok(lock.release(file)?))
    }

    /// Keeps it until the last clone of the file is dropped.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        match local::look(&self.file) {
            // To release a lock cannot fail there, and what else it could say nobody hears.
            Verdict::Local(_) => drop(self.lock.release(&self.file)),
            _ => {
                let (file, lock) = (self.file.clone(), self.lock.clone());
                Pool::global().leave_at(self.file.path(), move || drop(lock.release(&file)));
            }
        }
    }
}
