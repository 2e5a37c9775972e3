//! One act for each of several things, on the engine's threads: with progress, cancel and calls that hang, but nothing is
//! walked.

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
    fn act(&self, job: &Job, counters: &Counters, index: usize) -> Visit;
}

/// Acts, and waits for the end. Gives what acted, unless it is still stuck in a call.
pub(super) fn run<A: Acting>(acting: A, job: &Arc<Job>, pool: &Pool, workers: Workers) -> Option<Arc<A>> {
    let totals = &job.meter.totals;
    totals.entries.store(acting.count() as u64, Relaxed);
    totals.is_complete.store(true, Relaxed);
    let acting = Arc::new(acting);
    let (_, is_over) = engine::run(Each(Arc::clone(&acting)), job, pool, workers);
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

struct Each<A>(Arc<A>);

impl<A: Acting> Visitor for Each<A> {
    type Dir = ();
    type Share = ();

    fn roots(&self) -> usize {
        self.0.count()
    }

    fn root_path(&self, index: usize) -> PathBuf {
        self.0.path(index)
    }

    fn root(&self, worker: &mut Worker<Self>, index: usize) -> Visit<Root<Self>> {
        self.0.act(worker.job(), &worker.counters, index).map(|()| Root::Done)
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
