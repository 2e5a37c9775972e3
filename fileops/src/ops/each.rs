//! One act for each of several things, on the engine's threads: with progress, cancel and calls that hang, but nothing is
//! walked.

use super::retry;
use super::turns::Answer;
use crate::engine::{self, Enter, Entry, Node, Root, Visit, Visitor, Worker, Workers};
use crate::operation::Job;
use crate::pool::Pool;
use crate::progress::{Counters, add};
use rustix::fs::FileType;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What is to be done, and to what.
pub(super) trait Acting: Send + Sync + 'static {
    /// How many things there are.
    fn count(&self) -> usize;

    /// What the caller calls one, for reports.
    fn path(&self, index: usize) -> PathBuf;

    /// Does it. Of two things one can be done before the other, or at the same time.
    fn act(&self, turn: &Turn<'_>, index: usize) -> Visit;
}

/// What is at hand for an act.
pub(super) struct Turn<'a> {
    pub(super) job: &'a Arc<Job>,
    pub(super) pool: &'a Pool,
    pub(super) counters: &'a Counters,
    pub(super) answer: Answer<'a>,
}

/// Acts, and waits for the end. Gives what acted, unless it is still stuck in a call.
pub(super) fn run<A: Acting>(acting: A, job: &Arc<Job>, pool: &Pool, workers: Workers, retries: u32) -> Option<Arc<A>> {
    let totals = &job.meter.totals;
    totals.entries.store(acting.count() as u64, Relaxed);
    totals.is_complete.store(true, Relaxed);
    let acting = Arc::new(acting);
    let (_, is_over) = engine::run(Each { acting: Arc::clone(&acting), retries }, job, pool, workers);
    is_over.then_some(acting)
}

/// Counts an entry that is done.
pub(super) fn count(counters: &Counters, kind: FileType) {
    add(&counters.entries, 1);
    match kind {
        FileType::Directory => add(&counters.directories, 1),
        FileType::RegularFile => add(&counters.files, 1),
        FileType::Symlink => add(&counters.symlinks, 1),
        _ => add(&counters.specials, 1),
    }
}

struct Each<A> {
    acting: Arc<A>,
    retries: u32,
}

impl<A: Acting> Visitor for Each<A> {
    type Dir = ();
    type Share = ();

    fn roots(&self) -> usize {
        self.acting.count()
    }

    fn root_path(&self, index: usize) -> PathBuf {
        self.acting.path(index)
    }

    fn root(&self, worker: &mut Worker<Self>, index: usize) -> Visit<Root<Self>> {
        let (job, pool, answer) = (worker.job(), worker.pool(), worker.answer_to_root());
        let turn = Turn { job, pool, counters: &worker.counters, answer };
        retry::persist(self.retries, job, || self.acting.act(&turn, index)).map(|()| Root::Done)
    }

    fn enter_dir(&self, _: &mut Worker<Self>, _: &Entry<'_, Self>) -> Visit<Enter<()>> {
        Ok(Enter::Skip)
    }

    fn opened_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn visit(&self, _: &mut Worker<Self>, _: &Entry<'_, Self>) -> Visit {
        Ok(())
    }

    fn help(&self, _: &mut Worker<Self>, _: &Arc<()>) {}

    fn close_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn leave_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn abandon_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }
}
