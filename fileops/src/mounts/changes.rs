//! Changes of the mount table, as a stream.

use super::{MOUNTINFO, Mount, Table, table};
use crate::control::lock;
use crate::error::{Action, Error, Result};
use crate::sys::wake::{self, Wake};
use crate::sys::{mount, thread};
use futures_core::Stream;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What is mounted together (a container, a session) changes together, and is looked at once.
const WINDOW: Duration = Duration::from_millis(20);

/// A mount came, went or became another.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was mounted.
    Added(Mount),
    /// It was unmounted, lazily too.
    Removed(Mount),
    /// It has other options (`mount -o remount`), or is mounted elsewhere now (`mount --move`).
    Changed {
        /// As it was told before.
        before: Mount,
        /// As it is now.
        after: Mount,
    },
}

impl Change {
    /// The mount, as it is now or was at last.
    pub fn mount(&self) -> &Mount {
        match self {
            Change::Added(mount) | Change::Removed(mount) | Change::Changed { after: mount, .. } => mount,
        }
    }
}

/// Watches the mount table from now on. [`Changes::table`] is what the first change is told against.
///
/// # Errors
/// As for [`table`]; EAGAIN or EMFILE where there is no thread or descriptor left.
pub fn changes() -> Result<Changes> {
    let failed = |error: io::Error| Error::new(Action::Watch, MOUNTINFO, error);
    // Before the table, so that nothing falls between.
    let news = mount::Changes::new().map_err(failed)?;
    let shared = Arc::new(Shared { state: Mutex::default(), closed: Wake::new().map_err(failed)? });
    let known = table()?;
    let own = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("fileops-mounts".to_owned());
    thread.spawn(move || own.run(&news)).map_err(failed)?;
    Ok(Changes { shared, known, told: VecDeque::new() })
}

/// What changes in the mount table, as a [`Stream`] that does not end by itself.
///
/// Each change is told against what was told before: what comes and goes again unread is not told, and memory is bounded by two
/// tables. Removals come before additions, and those in the order in which they are mounted in one another. One thread and two
/// descriptors serve it; dropping it ends them.
#[must_use = "dropping it ends the watch"]
pub struct Changes {
    shared: Arc<Shared>,
    known: Table,
    told: VecDeque<Change>,
}

impl Changes {
    /// The mounts as of the last look: what was told, and what is just about to be.
    pub fn table(&self) -> &Table {
        &self.known
    }

    /// The next change; `None` only if the table cannot be read any more. Dropping the future loses nothing.
    #[allow(clippy::should_implement_trait)] // as `StreamExt::next`, which it stands for
    pub fn next(&mut self) -> NextChange<'_> {
        NextChange(self)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            if let Some(change) = self.told.pop_front() {
                return Poll::Ready(Some(change));
            }
            let mut state = lock(&self.shared.state);
            match state.latest.take() {
                Some(latest) => {
                    drop(state);
                    self.told = difference(&self.known, &latest);
                    self.known = latest;
                }
                None if state.is_over => return Poll::Ready(None),
                None => {
                    state.reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        self.poll(context)
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.shared.closed.ring();
    }
}

/// The next change of the mount table: see [`Changes::next`].
#[must_use = "a future does nothing until it is awaited"]
pub struct NextChange<'a>(&'a mut Changes);

impl Future for NextChange<'_> {
    type Output = Option<Change>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        self.0.poll(context)
    }
}

struct Shared {
    state: Mutex<State>,
    closed: Wake,
}

#[derive(Default)]
struct State {
    /// The table, if it has changed since it was taken.
    latest: Option<Table>,
    reader: Option<Waker>,
    is_over: bool,
}

impl Shared {
    fn run(&self, news: &mount::Changes) {
        thread::block_signals();
        while let Ok([is_closed, _]) = wake::wait([self.closed.as_fd(), news.as_fd()], None) {
            if is_closed {
                return;
            }
            // The window, or the end of it all.
            if !matches!(wake::wait([self.closed.as_fd()], Some(WINDOW)), Ok([false])) {
                return;
            }
            let Ok(latest) = table() else { break };
            self.tell(|state| state.latest = Some(latest));
        }
        self.tell(|state| state.is_over = true);
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

fn difference(before: &Table, after: &Table) -> VecDeque<Change> {
    let by_id =
        |table: &Table| table.mounts().iter().map(|mount| (mount.id(), mount.clone())).collect::<HashMap<_, _>>();
    let (old, new) = (by_id(before), by_id(after));
    // A number that another mount has by now says nothing.
    let is_same = |one: &Mount, other: &Mount| {
        let known = |mount: &Mount| (mount.device(), mount.root().to_owned(), mount.kind().to_owned());
        known(one) == known(other)
    };
    let mut changes = VecDeque::new();
    // What is mounted in another mount comes later in the table, and goes first.
    for mount in before.mounts().iter().rev() {
        if !new.get(&mount.id()).is_some_and(|now| is_same(mount, now)) {
            changes.push_back(Change::Removed(mount.clone()));
        }
    }
    for mount in after.mounts() {
        match old.get(&mount.id()).filter(|before| is_same(before, mount)) {
            None => changes.push_back(Change::Added(mount.clone())),
            Some(before) if before != mount => {
                changes.push_back(Change::Changed { before: before.clone(), after: mount.clone() });
            }
            Some(_) => {}
        }
    }
    changes
}
