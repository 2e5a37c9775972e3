//! How many directories may be open at once: the oldest are closed first, and opened again if somebody needs them.

use super::node::Node;
use crate::control::lock;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// More open directories than this gain nothing.
const MOST: usize = 256;

/// Descriptors that are left to the application, the journal and the standard streams.
const RESERVED: usize = 24;

/// What one worker has open beside the directories that are counted: two directories, two files, and one to spare.
const PER_WORKER: usize = 6;

/// When the process has none left, somebody else may be about to close some.
const PATIENCE: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(10), Duration::from_millis(100)];

pub(crate) struct Descriptors<D> {
    /// How many directories, with two descriptors each.
    most: usize,
    open: Mutex<VecDeque<Weak<Node<D>>>>,
}

/// As many workers as the process has descriptors for.
pub(crate) fn most_workers(limit: usize) -> usize {
    (limit.saturating_sub(RESERVED) / (2 * PER_WORKER)).max(1)
}

impl<D: Send + Sync + 'static> Descriptors<D> {
    pub(crate) fn new(limit: usize, workers: usize) -> Descriptors<D> {
        let left = limit.saturating_sub(RESERVED + workers * PER_WORKER);
        Descriptors { most: (left / 4).clamp(2, MOST), open: Mutex::default() }
    }

    /// Counts a directory that was opened; the one that was opened first may be closed for it.
    pub(super) fn add(&self, node: &Arc<Node<D>>) {
        let mut open = lock(&self.open);
        open.push_back(Arc::downgrade(node));
        let oldest = if open.len() > self.most { open.pop_front() } else { None };
        drop(open);
        if let Some(node) = oldest.and_then(|node| node.upgrade()) {
            node.close();
        }
    }

    /// Opens something; when no descriptor is left, closes what can be closed and tries again.
    pub(crate) fn open<T>(&self, mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for wait in PATIENCE {
            match open() {
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    let all = std::mem::take(&mut *lock(&self.open));
                    all.iter().filter_map(Weak::upgrade).for_each(|node| node.close());
                    std::thread::sleep(wait);
                }
                answer => return answer,
            }
        }
        open()
    }
}
