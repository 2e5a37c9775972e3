//! How much room a file system has, asked with a limit in time.

use crate::error::{Action, Error, Result};
use crate::pool::{Deadline, Pool, Task};
use crate::sys::mount;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Longer than a disk needs to wake up or a server on a slow line to answer, shorter than anybody waits for a number.
const LIMIT: Duration = Duration::from_secs(5);

/// Room on a file system, in bytes and in files. Source: statvfs(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Space {
    /// Bytes that it can hold; 0 where it holds none (proc) or does not say.
    pub total: u64,
    /// Bytes that are free, those kept for root too.
    pub free: u64,
    /// Bytes that an ordinary user may still write.
    pub available: u64,
    /// Files that it can hold; 0 where there is no such limit.
    pub files: u64,
    /// Files that an ordinary user may still make.
    pub files_available: u64,
}

/// Asks for the room at a path: a call that does nothing before it is polled.
#[must_use = "nothing is asked before it is awaited"]
pub struct Room {
    path: PathBuf,
    limit: Duration,
    pool: Option<Pool>,
    asked: Option<(Task<io::Result<mount::Room>>, Deadline)>,
}

/// How much room the file system at a path has. The path's mount is found by the path as it is written; a worker in its lane
/// asks.
///
/// # Errors
/// ETIMEDOUT where there is no answer within 5 s, or [`limit`](Room::limit). ENODEV where something would be mounted by asking
/// (autofs): that is not done. Else what statvfs(3) says.
///
/// # Dropping
/// The question is taken back if no worker has asked it yet; an asked one ends by itself.
pub fn space(path: impl Into<PathBuf>) -> Room {
    Room { path: path.into(), limit: LIMIT, pool: None, asked: None }
}

impl Room {
    /// How long the answer is waited for; 5 s by default.
    pub fn limit(mut self, limit: Duration) -> Room {
        self.limit = limit;
        self
    }

    /// Whose workers ask; [`Pool::global`] by default.
    pub fn on(mut self, pool: &Pool) -> Room {
        self.pool = Some(pool.clone());
        self
    }

    fn ask(&self) -> (Task<io::Result<mount::Room>>, Deadline) {
        let pool = self.pool.as_ref().unwrap_or_else(|| Pool::global());
        let path = self.path.clone();
        let task = pool.run_at(&self.path, move || {
            if would_mount(&path) { Err(io::Error::from_raw_os_error(libc::ENODEV)) } else { mount::room(&path) }
        });
        (task, Deadline::after(self.limit))
    }
}

/// Whether a path is one at which something is mounted when it is asked.
fn would_mount(path: &Path) -> bool {
    let table = super::table().unwrap_or_default();
    table.serving(path).is_some_and(|mount| mount.is_automount())
}

impl Future for Room {
    type Output = Result<Space>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Space>> {
        if self.asked.is_none() {
            self.asked = Some(self.ask());
        }
        let Some((task, deadline)) = &mut self.asked else { unreachable!("it was asked just now") };
        let answer = match Pin::new(task).poll(context) {
            Poll::Ready(Ok(answer)) => answer,
            Poll::Ready(Err(error)) => Err(io::Error::other(error)),
            Poll::Pending if deadline.is_over(context) => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(answer.map(Space::from).map_err(|error| Error::new(Action::Stat, &self.path, error)))
    }
}

impl From<mount::Room> for Space {
    fn from(room: mount::Room) -> Space {
        Space {
            total: room.total,
            free: room.free,
            available: room.available,
            files: room.files,
            files_available: room.free_files,
        }
    }
}
