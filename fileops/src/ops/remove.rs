//! Removes a tree of our own: a stage that is not wanted any more.

use crate::control::lock;
use crate::engine::{self, End, Enter, Entry, Node, Root, Side, Visit, Visitor, Worker, Workers};
use crate::error::{Action, During, Error};
use crate::operation::{Job, OnShortage};
use crate::pool::Pool;
use crate::sys::stat::{Id, Stat};
use crate::sys::{attributes, name, open};
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Removes an entry with everything in it, if it is the file that `id` says. `true` when it is gone.
pub(crate) fn tree(
    dir: &Arc<OwnedFd>,
    path: PathBuf,
    name: &CStr,
    id: Option<Id>,
    pool: &Pool,
    removed: &Arc<AtomicU64>,
) -> Result<(), Vec<Error>> {
    let job = Job::new(OnShortage::Warn);
    let removed = Arc::clone(removed);
    let remove = Remove { dir: Mutex::new(Some(Arc::clone(dir))), path, name: name.to_owned(), id, removed };
    let (_, is_over) = engine::run(remove, &job, pool, Workers::Adapt);
    let report = job.report(crate::operation::Outcome::Done);
    if report.failures.is_empty() && is_over { Ok(()) } else { Err(report.failures) }
}

struct Remove {
    dir: Mutex<Option<Arc<OwnedFd>>>,
    path: PathBuf,
    name: CString,
    id: Option<Id>,
    removed: Arc<AtomicU64>,
}

impl Visitor for Remove {
    type Dir = ();
    type Share = ();

    fn roots(&self) -> usize {
        1
    }

    fn root_path(&self, _: usize) -> PathBuf {
        self.path.join(engine::os(&self.name))
    }

    fn root(&self, _: &mut Worker<Self>, _: usize) -> Visit<Root<Self>> {
        let dir = lock(&self.dir).take().expect("a root is opened once");
        if let Some(id) = self.id {
            let path = || self.path.join(engine::os(&self.name));
            let stat = Stat::at(&*dir, &self.name).during(Action::Stat, path)?;
            if stat.id != id {
                return Err(Error::new(Action::Remove, path(), crate::error::Refusal::TargetChanged).into());
            }
        }
        let top = Node::top(Side::root(self.path.clone(), dir), None, ());
        Ok(Root::Entry(top, self.name.clone()))
    }

    fn enter_dir(&self, _: &mut Worker<Self>, _: &Entry<'_, Self>) -> Visit<Enter<()>> {
        Ok(Enter::Into((), None))
    }

    fn opened_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<()>>) -> Visit {
        let mode = dir.stat().permissions();
        if mode & 0o700 != 0o700 {
            let file = worker.descriptor(dir, End::Source).during(Action::Open, || dir.path(End::Source))?;
            // If this is refused, so is the removal, and that says it better.
            let _ = attributes::set_mode(&*file, mode | 0o700);
        }
        Ok(())
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        name::unlink(&*dir, entry.name).during(Action::Remove, path)?;
        self.removed.fetch_add(1, Relaxed);
        Ok(())
    }

    fn help(&self, _: &mut Worker<Self>, _: &Arc<()>) {}

    fn close_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn leave_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<()>>) -> Visit {
        let Some(parent) = dir.parent() else { return Ok(()) };
        let path = || dir.path(End::Source);
        let above = worker.descriptor(parent, End::Source).during(Action::Open, path)?;
        let name = dir.side(End::Source).map(Side::name).expect("every directory has a source");
        name::rmdir(&*above, name).during(Action::RemoveDir, path)?;
        self.removed.fetch_add(1, Relaxed);
        Ok(())
    }

    fn abandon_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }
}

/// Removes one entry of any kind, if it is the file that `id` says. Counts what is gone, so that others can see it go on.
pub(crate) fn entry(
    dir: &Arc<OwnedFd>,
    path: PathBuf,
    name: &CStr,
    id: Id,
    pool: &Pool,
    removed: &Arc<AtomicU64>,
) -> Result<(), Vec<Error>> {
    let full = path.join(engine::os(name));
    let stat = Stat::at(&**dir, name).during(Action::Stat, || full.clone()).map_err(|error| vec![error])?;
    if stat.id != id {
        return Err(vec![Error::new(Action::Remove, full, crate::error::Refusal::TargetChanged)]);
    }
    match stat.kind() {
        FileType::Directory => tree(dir, path, name, Some(id), pool, removed),
        _ => {
            name::unlink(&**dir, name).during(Action::Remove, || full).map_err(|error| vec![error])?;
            removed.fetch_add(1, Relaxed);
            Ok(())
        }
    }
}

/// Opens a directory for `entry`.
pub(crate) fn dir(path: &std::path::Path) -> Result<Arc<OwnedFd>, Error> {
    open::root(path).map(Arc::new).during(Action::Open, || path)
}
