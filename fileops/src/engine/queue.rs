//! The work that is waiting: last in, first out, so that the walk goes deep and few directories are open.

use super::node::Node;
use super::parking::Redo;
use super::{Engine, Visitor};
use crate::control::{Cancelled, For, lock};
use crate::sys::list::Batch;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) enum Task<V: Visitor> {
    /// List a directory and do what is in it; with the descriptor that knows the place in the list, if that was begun.
    Dir(Arc<Node<V::Dir>>, Option<Arc<OwnedFd>>),
    /// Entries of a directory that another worker has listed.
    Slice(Arc<Node<V::Dir>>, Batch),
    /// Help with something large.
    Share(Arc<V::Share>),
    /// A source the caller named.
    Root(usize),
    /// What waited for an answer, and has one.
    Redo(Box<Redo<V::Dir>>),
}

impl<V: Visitor> Engine<V> {
    /// Adds work; a worker that waits is woken for each task.
    pub(super) fn push(self: &Arc<Self>, tasks: impl ExactSizeIterator<Item = Task<V>>) {
        let count = tasks.len();
        if count == 0 {
            return;
        }
        self.outstanding.fetch_add(count, Ordering::Relaxed);
        self.push_counted(tasks);
    }

    /// Adds work that was counted before.
    pub(super) fn push_counted(self: &Arc<Self>, tasks: impl ExactSizeIterator<Item = Task<V>>) {
        let count = tasks.len();
        let mut queue = lock(&self.queue);
        queue.extend(tasks);
        self.queued.store(queue.len(), Ordering::SeqCst);
        drop(queue);
        let idle = self.job.control.idle();
        self.job.control.wake(count);
        self.add_workers(count.saturating_sub(idle));
    }

    /// The next task, or `None` when all work is over.
    pub(super) fn next(&self) -> Result<Option<Task<V>>, Cancelled> {
        if let Some(task) = self.take() {
            return Ok(Some(task));
        }
        let next = || match self.take() {
            Some(task) => Some(Some(task)),
            None => (self.outstanding.load(Ordering::Acquire) == 0).then_some(None),
        };
        Ok(self.job.control.wait(For::Work, None, next)?.flatten())
    }

    fn take(&self) -> Option<Task<V>> {
        let mut queue = lock(&self.queue);
        let task = queue.pop();
        self.queued.store(queue.len(), Ordering::SeqCst);
        drop(queue);
        task.or_else(|| {
            let root = self.next_root.fetch_add(1, Ordering::Relaxed);
            (root < self.roots).then_some(Task::Root(root))
        })
    }

    /// Takes back what waited for an answer, had one, and was not begun.
    pub(super) fn take_redos(&self) -> Vec<Redo<V::Dir>> {
        let mut queue = lock(&self.queue);
        let (redos, others): (Vec<_>, Vec<_>) = queue.drain(..).partition(|task| matches!(task, Task::Redo(_)));
        *queue = others;
        drop(queue);
        let redo = |task| if let Task::Redo(redo) = task { Some(*redo) } else { None };
        redos.into_iter().filter_map(redo).collect()
    }

    /// Drops what nobody will do any more, after a cancel.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut *lock(&self.queue));
        drop(tasks);
    }

    /// A task is over; the last one sends everybody home.
    pub(super) fn task_done(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.job.control.wake_all();
        }
    }

    /// Whether a worker waits for whom there is nothing yet.
    #[inline]
    pub(super) fn is_hungry(&self) -> bool {
        let idle = self.job.control.idle();
        idle > 0 && idle > self.queued.load(Ordering::Relaxed)
    }
}
