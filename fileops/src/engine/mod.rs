//! Walks trees on several workers: knows threads and order, and no verb. What is done to an entry is a [`Visitor`]'s.
//!
//! The unit of work is a directory: a worker lists it, does its files at once, keeps its first subdirectory for itself and
//! hands out the others. A long list is handed out in slices and a large file in parts, but only when another worker
//! waits, so that work that fits one worker never wakes a second. The number of workers adapts (`governor`): one for each
//! core while they compute, more while they are found waiting for a disk or a server.

mod descriptors;
mod governor;
mod node;
mod parking;
mod queue;
mod worker;

pub(crate) use governor::{GRACE, Workers, run};
pub(crate) use node::{End, Node, Side, os};
pub(crate) use worker::{BUFFER, Worker};

use crate::control::Cancelled;
use crate::error::Error;
use crate::operation::Job;
use crate::pool::Pool;
use crate::question::{Question, Unfit};
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use descriptors::Descriptors;
use parking::{Parked, Redo};
use queue::Task;
use rustix::fs::FileType;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

/// Why a visit ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This entry failed; the others go on.
    Failed(Error),
    /// The caller is asked what to do with this entry, which is visited again with the answer; the others go on.
    Asked(Box<Question>),
    /// The caller cancelled.
    Cancelled,
}

impl From<Question> for Stop {
    fn from(question: Question) -> Stop {
        Stop::Asked(Box::new(question))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

impl From<Cancelled> for Stop {
    fn from(_: Cancelled) -> Stop {
        Stop::Cancelled
    }
}

/// What a visit gives.
pub(crate) type Visit<T = ()> = Result<T, Stop>;

/// An entry of a directory, as its list told.
pub(crate) struct Entry<'a, V: Visitor> {
    pub(crate) dir: &'a Arc<Node<V::Dir>>,
    pub(crate) name: &'a CStr,
    pub(crate) kind: FileType,
    /// Whether the name is a symbolic link that stands for what it points to.
    pub(crate) follow: Follow,
}

impl<V: Visitor> Entry<'_, V> {
    /// What the list said of it, as far as that is still known.
    pub(crate) fn listed_kind(&self) -> FileType {
        if self.follow == Follow::Yes { FileType::Symlink } else { self.kind }
    }

    /// What the entry is, asked from the open directory it is in.
    pub(crate) fn stat(&self, dir: impl AsFd) -> io::Result<Stat> {
        match self.follow {
            Follow::No => Stat::at(dir, self.name),
            Follow::Yes => Stat::following(dir, self.name),
        }
    }
}

/// What is to be done with a directory that was found.
pub(crate) enum Enter<D> {
    /// Nothing.
    Skip,
    /// Walk it, with the verb's data and its end at the target.
    Into(D, Option<Side>),
}

/// Where a walk begins.
pub(crate) enum Root<V: Visitor> {
    /// One entry of a directory that is itself not walked.
    Entry(Arc<Node<V::Dir>>, CString),
    /// All entries of a directory.
    Contents(Arc<Node<V::Dir>>),
    /// Nowhere: the root is done already.
    Done,
}

/// A verb: what is done to each entry of a tree, and in which order relative to its directory.
///
/// Calls come from several workers at once, but for one entry only once, and again after each answer to a question about it
/// ([`Worker::answer`]). A failure ends its entry, not the walk.
pub(crate) trait Visitor: Send + Sync + Sized + 'static {
    /// What the verb keeps of each directory.
    type Dir: Send + Sync + 'static;
    /// Something large that several workers can do together.
    type Share: Send + Sync + 'static;

    /// How many roots there are.
    fn roots(&self) -> usize;

    /// What the caller called a root, for reports.
    fn root_path(&self, index: usize) -> PathBuf;

    /// Opens a root.
    fn root(&self, worker: &mut Worker<Self>, index: usize) -> Visit<Root<Self>>;

    /// Whether symbolic links are walked as what they point to.
    fn follow(&self) -> Follow {
        Follow::No
    }

    /// A directory was found, while its parent is listed. It is opened later, perhaps by another worker.
    fn enter_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<Enter<Self::Dir>>;

    /// A directory may not be opened. Gives `true` if it may now, and shall be tried once more.
    fn unlock_dir(&self, _worker: &mut Worker<Self>, _dir: &Arc<Node<Self::Dir>>) -> bool {
        false
    }

    /// A directory was opened and is about to be listed: the time to look at its identity.
    fn opened_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Self::Dir>>) -> Visit;

    /// Anything but a directory.
    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit;

    /// Helps with something large, see [`Worker::share`].
    fn help(&self, worker: &mut Worker<Self>, share: &Arc<Self::Share>);

    /// Whether rights can be had for the time of another try at an entry that failed ([`Worker::has_rights`]).
    fn rights(&self, _worker: &mut Worker<Self>, _entry: &Entry<'_, Self>, _error: &Error) -> Result<(), Unfit> {
        Err(Unfit::NotAboutRights)
    }

    /// All entries of the directory's own list are done, and its subdirectories were found; what is in those may not be
    /// done. Comes again after entries that waited for an answer.
    fn close_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Self::Dir>>) -> Visit;

    /// The whole subtree is done but for what waits for answers: not the time to remove anything. Comes again after entries
    /// that waited, as long as others do; `leave_dir` or `abandon_dir` comes after all of them. What it cannot do, they try
    /// again.
    fn rest_dir(&self, _worker: &mut Worker<Self>, _dir: &Arc<Node<Self::Dir>>) -> Visit {
        Ok(())
    }

    /// The whole subtree is done, and nothing in it failed.
    fn leave_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Self::Dir>>) -> Visit;

    /// The whole subtree is over, and something in it failed.
    fn abandon_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Self::Dir>>) -> Visit;
}

/// A walk under way.
pub(crate) struct Engine<V: Visitor> {
    pub(crate) visitor: V,
    pub(crate) job: Arc<Job>,
    pool: Pool,
    descriptors: Descriptors<V::Dir>,
    queue: Mutex<Vec<Task<V>>>,
    /// Length of the queue, to be looked at without its lock.
    queued: AtomicUsize,
    /// Tasks that are not over, the roots and what waits for answers among them.
    outstanding: AtomicUsize,
    /// What waits for an answer, by question.
    parked: Mutex<HashMap<u64, Parked<V::Dir>>>,
    /// What was answered, and is in a stage that has not its name yet.
    deferred: Mutex<Vec<Redo<V::Dir>>>,
    next_root: AtomicUsize,
    roots: usize,
    staff: governor::Staff<V::Dir>,
}

impl<V: Visitor> Engine<V> {
    /// The descriptor of one end of a directory, for what is done beside the walk.
    pub(crate) fn descriptor(&self, node: &Arc<Node<V::Dir>>, end: End) -> io::Result<Arc<OwnedFd>> {
        node::descriptor(node, end, &self.descriptors)
    }
}
