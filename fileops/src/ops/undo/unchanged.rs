//! Whether a new tree is as the operation left it. Everything that happens to a file, to its attributes or to its names sets
//! its change time, which nobody can set back; so one time for the whole tree is enough, the one it was sealed with.

use super::known::Known;
use super::{CHECKERS, changed};
use crate::engine::{self, End, Enter, Entry, Node, Root, Side, Visit, Visitor, Worker};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::Location;
use crate::operation::{Job, OnShortage};
use crate::pool::Pool;
use crate::report::Outcome;
use crate::sys::stat::{Id, Stat, Time};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// When something that was made is as it was left.
pub(super) struct Since {
    /// The time it was sealed with.
    pub(super) sealed: Option<Time>,
    /// The last at which something may have changed if it was not.
    pub(super) otherwise: Time,
    /// What undos did to it since.
    pub(super) known: Arc<Known>,
}

/// Looks at everything in a tree; gives what it takes on the disk, and all that was changed or could not be looked at.
pub(super) fn tree(
    dir: &Arc<OwnedFd>,
    at: &Location,
    id: Id,
    since: Since,
    of: &Arc<Job>,
    pool: &Pool,
) -> Result<(u64, Vec<Error>)> {
    let job = Job::new("check", OnShortage::Warn);
    let (dir, of, allocated) = (Arc::clone(dir), Arc::clone(of), AtomicU64::new(0));
    let check = Check { dir, at: at.clone(), id, since, of, allocated };
    let (engine, _) = engine::run(check, &job, pool, CHECKERS);
    let failures = job.report(Outcome::Done).failures;
    if engine.visitor.of.control.is_cancelled() {
        return Err(Error::new(Action::Undo, at.path(), std::io::ErrorKind::Interrupted));
    }
    Ok((engine.visitor.allocated.load(Relaxed), failures))
}

struct Check {
    dir: Arc<OwnedFd>,
    at: Location,
    /// The top's.
    id: Id,
    since: Since,
    /// The operation that wants to know.
    of: Arc<Job>,
    allocated: AtomicU64,
}

impl Check {
    fn look(&self, stat: &Stat, path: impl FnOnce() -> PathBuf) -> Visit {
        self.of.checkpoint()?;
        let is_right = |changed: Time| match self.since.sealed {
            // The sealing itself set the change time of the top.
            Some(time) if stat.id == self.id => changed <= time,
            Some(time) => changed < time,
            // The top got its name last.
            None => changed <= self.since.otherwise || stat.id == self.id,
        };
        if !is_right(stat.changed) {
            let path = path();
            if !self.since.known.is((|| path.clone(), &self.at.dir.file_system), stat, None, is_right) {
                return Err(changed(path).into());
            }
        }
        self.allocated.fetch_add(stat.allocated, Relaxed);
        Ok(())
    }
}

impl Visitor for Check {
    /// Which mount it is on.
    type Dir = ();
    type Share = ();

    fn roots(&self) -> usize {
        1
    }

    fn root_path(&self, _: usize) -> PathBuf {
        self.at.path()
    }

    fn root(&self, _: &mut Worker<Self>, _: usize) -> Visit<Root<Self>> {
        let side = Side::root(self.at.dir.path.to_path_buf(), Arc::clone(&self.dir));
        Ok(Root::Entry(Node::top(side, None, ()), self.at.name.clone()))
    }

    fn enter_dir(&self, _: &mut Worker<Self>, _: &Entry<'_, Self>) -> Visit<Enter<()>> {
        Ok(Enter::Into((), None))
    }

    fn opened_dir(&self, _: &mut Worker<Self>, dir: &Arc<Node<()>>) -> Visit {
        let stat = dir.stat();
        let is_crossing = dir.parent().and_then(|above| above.device()).is_some_and(|device| device != stat.id.dev);
        if is_crossing {
            return Err(Error::new(Action::Undo, dir.path(End::Source), Refusal::MountPoint).into());
        }
        self.look(stat, || dir.path(End::Source))
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let stat = Stat::at(&*dir, entry.name).during(Action::Stat, path)?;
        self.look(&stat, path)
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
