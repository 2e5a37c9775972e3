//! Deleting for good: by descriptor, never through a symbolic link, and only what is on the mount it was asked for.
//!
//! A list tells the kind of each entry, and that is all there is to know of it: a file costs one call. Also what removes
//! the trees of our own (`remove`).

use super::terms::{Terms, setters};
use super::{each, retry, source};
use crate::engine::{self, End, Enter, Entry, Node, Root, Side, Visit, Visitor, Worker, Workers};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::pool::Pool;
use crate::report::{Outcome, Report};
use crate::schedule::{Effort, Uses};
use crate::sys::stat::{Id, OnMount, Stat};
use crate::sys::{attributes, name, process};
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Deletes files and trees for good: there is no undo, and no trash.
///
/// A symbolic link is deleted itself, also where its name has a slash at the end. What is mounted below a path is left
/// alone, with the directories above it, unless [`mounts`](Delete::mounts) says otherwise; a path that is a mount point, or
/// ends in `.` or `..`, is refused. Directories that only lack their owner's permission are given it for the time.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-doc-delete-{}", std::process::id()));
/// # let build = base.join("build");
/// # std::fs::create_dir_all(build.join("objects"))?;
/// # std::fs::write(build.join("objects/a.o"), b"x")?;
/// # fileops::block_on(async {
/// fileops::delete([&build]).await.into_result()?;
/// # Ok::<_, fileops::Incomplete>(())
/// # })?;
/// # assert!(!build.exists());
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The [`Report`] names every entry that could not be deleted; the directories above it stay, all else goes.
pub fn delete<S: Into<PathBuf>>(paths: impl IntoIterator<Item = S>) -> Delete {
    let paths = paths.into_iter().map(Into::into).collect();
    Delete { paths, mounts: Mounts::default(), terms: Terms::default() }
}

/// Whether an operation goes on into what is mounted below its sources.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mounts {
    /// Each mount point is a failure, and what is mounted there stays as it is.
    #[default]
    Stay,
    /// What is mounted there is emptied too. A mount point itself is busy, and stays.
    Cross,
}

/// A deletion that was not started yet; see [`delete`].
#[must_use = "nothing is deleted until it is started or awaited"]
pub struct Delete {
    paths: Vec<PathBuf>,
    mounts: Mounts,
    terms: Terms,
}

setters!(Delete: on_error, retry, jobs, pool);

impl Delete {
    /// What happens at mount points; default [`Mounts::Stay`].
    pub fn mounts(mut self, mounts: Mounts) -> Delete {
        self.mounts = mounts;
        self
    }

    /// Starts deleting, and gives the handle.
    pub fn start(self) -> Operation {
        let Delete { paths, mounts, terms } = self;
        let (job, pool) = terms.begin("delete");
        let uses = Uses { sources: paths.clone(), target: None, effort: Effort::Entries };
        Operation::start_in_turn(&pool.clone(), job, uses, move |job| {
            let deleting = Deleting { mounts, retries: terms.retries, ..Deleting::of(Doomed::Paths(paths)) };
            engine::run(deleting, &job, &pool, terms.workers);
            job.report(if job.control.is_cancelled() { Outcome::Cancelled } else { Outcome::Done })
        })
    }
}

impl IntoFuture for Delete {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// Deletes one entry with everything in it, if it is the file that `id` says; counts what is gone, so that others can see
/// it go on.
pub(super) fn tree(
    dir: &Arc<OwnedFd>,
    path: PathBuf,
    name: CString,
    id: Id,
    pool: &Pool,
    removed: &Arc<AtomicU64>,
) -> Result<(), Vec<Error>> {
    let job = Job::new("delete", OnShortage::Warn);
    let target = Target { dir: Arc::clone(dir), path, name, id: Some(id), then: None };
    let doomed = Doomed::Entries(vec![target]);
    let removed = Some(Arc::clone(removed));
    let deleting = Deleting { removed, ..Deleting::of(doomed) };
    let (_, is_over) = engine::run(deleting, &job, pool, Workers::Adapt);
    let report = job.report(Outcome::Done);
    if report.failures.is_empty() && is_over { Ok(()) } else { Err(report.failures) }
}

/// Deletes of a tree what somebody lets go: the directory (open, its path, the name in it, the file that it has to be).
pub(super) fn permitted(
    (dir, path, name, id): (Arc<OwnedFd>, PathBuf, CString, Id),
    mounts: Mounts,
    pool: &Pool,
    consent: Arc<dyn Consent>,
) -> Vec<Error> {
    let job = Job::new("delete", OnShortage::Warn);
    let doomed = Doomed::Entries(vec![Target { dir, path, name, id: Some(id), then: None }]);
    let deleting = Deleting { mounts, consent: Some(consent), ..Deleting::of(doomed) };
    let _ = engine::run(deleting, &job, pool, Workers::Adapt);
    job.report(Outcome::Done).failures
}

/// Who says what of a tree may go.
pub(super) trait Consent: Send + Sync {
    /// About an entry, as it is now, of a directory.
    fn may_go(&self, dir: Id, name: &CStr, stat: &Stat) -> Verdict;

    /// Whether a directory stays, whatever becomes of what is in it.
    fn stays(&self, dir: Id) -> bool;
}

/// What may become of an entry.
pub(super) enum Verdict {
    Go,
    /// It stays, and the caller knows why.
    Stay,
    /// It stays, since it is not what was expected: a failure.
    Changed,
    /// It stays, since nobody expected it: a failure of its directory.
    Foreign,
    /// Nothing goes any more.
    Stop,
}

/// Deletes entries as a part of an operation. Gives `false` when calls are still stuck after a cancel.
pub(super) fn entries(targets: Vec<Target>, job: &Arc<Job>, pool: &Pool, terms: &Terms) -> bool {
    let deleting = Deleting { retries: terms.retries, ..Deleting::of(Doomed::Entries(targets)) };
    engine::run(deleting, job, pool, terms.workers).1
}

struct Deleting {
    doomed: Doomed,
    mounts: Mounts,
    removed: Option<Arc<AtomicU64>>,
    consent: Option<Arc<dyn Consent>>,
    /// Whether permissions are no obstacle.
    can_all: bool,
    retries: u32,
}

enum Doomed {
    Paths(Vec<PathBuf>),
    Entries(Vec<Target>),
}

/// An entry of an open directory, by identity.
pub(super) struct Target {
    pub(super) dir: Arc<OwnedFd>,
    /// The directory's.
    pub(super) path: PathBuf,
    pub(super) name: CString,
    /// Which file it is; without it there is nothing to delete, and only what comes then to do.
    pub(super) id: Option<Id>,
    /// What is done once it is gone with all that was in it.
    pub(super) then: Option<Then>,
}

pub(super) type Then = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// What is known of a directory that is being emptied.
struct Place {
    /// Which of the roots it is the directory of.
    root: Option<usize>,
    /// Which mount what is deleted has to be on.
    mount: OnMount,
    /// The mode it had before it was made accessible.
    mode: OnceLock<u32>,
    /// Something is in it that nobody expected.
    has_foreign: AtomicBool,
}

impl Place {
    fn on(mount: OnMount, root: Option<usize>) -> Place {
        Place { root, mount, mode: OnceLock::new(), has_foreign: AtomicBool::new(false) }
    }
}

impl Deleting {
    fn of(doomed: Doomed) -> Deleting {
        let can_all = process::effective_ids().0 == 0;
        Deleting { doomed, mounts: Mounts::Stay, removed: None, consent: None, can_all, retries: 0 }
    }

    /// Whether an entry may go; if not, that is counted against its directory.
    fn may_go(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit<bool> {
        // The top was told by identity.
        let Some(consent) = self.consent.as_ref().filter(|_| entry.dir.parent().is_some()) else { return Ok(true) };
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let stat = Stat::at(&*dir, entry.name).during(Action::Stat, path)?;
        match consent.may_go(entry.dir.stat().id, entry.name, &stat) {
            Verdict::Go => return Ok(true),
            Verdict::Changed => return Err(Error::new(Action::Remove, path(), Refusal::Changed).into()),
            Verdict::Foreign => entry.dir.data.has_foreign.store(true, Relaxed),
            Verdict::Stay => {}
            Verdict::Stop => worker.job().control.cancel(),
        }
        entry.dir.set_failed();
        Ok(false)
    }

    fn gone(&self, worker: &Worker<Self>, kind: FileType) {
        each::count(&worker.counters, kind);
        if let Some(removed) = &self.removed {
            removed.fetch_add(1, Relaxed);
        }
    }

    /// An entry of this directory is gone, perhaps a whole root.
    fn after(&self, dir: &Node<Place>) -> Visit {
        dir.data.root.map_or(Ok(()), |root| self.finish(root))
    }

    /// A root is gone.
    fn finish(&self, root: usize) -> Visit {
        match &self.doomed {
            Doomed::Entries(targets) => Ok(targets[root].then.as_ref().map_or(Ok(()), |then| then())?),
            Doomed::Paths(_) => Ok(()),
        }
    }
}

impl Visitor for Deleting {
    type Dir = Place;
    type Share = ();

    fn roots(&self) -> usize {
        match &self.doomed {
            Doomed::Paths(paths) => paths.len(),
            Doomed::Entries(targets) => targets.len(),
        }
    }

    fn root_path(&self, index: usize) -> PathBuf {
        match &self.doomed {
            Doomed::Paths(paths) => paths[index].clone(),
            Doomed::Entries(targets) => {
                let target = &targets[index];
                target.path.join(engine::os(&target.name))
            }
        }
    }

    fn root(&self, _: &mut Worker<Self>, index: usize) -> Visit<Root<Self>> {
        let path = || self.root_path(index);
        let (side, name) = match &self.doomed {
            Doomed::Paths(paths) => {
                if source::has_no_name(&paths[index]) && !paths[index].as_os_str().is_empty() {
                    return Err(Error::new(Action::Remove, path(), Refusal::NoName).into());
                }
                source::open(&paths[index])?
            }
            Doomed::Entries(targets) => {
                let target = &targets[index];
                (Side::root(target.path.clone(), Arc::clone(&target.dir)), target.name.clone())
            }
        };
        let dir = side.open_descriptor().expect("a root's side is open");
        if let Doomed::Entries(targets) = &self.doomed {
            let Some(id) = targets[index].id else {
                self.finish(index)?;
                return Ok(Root::Done);
            };
            if Stat::at(&*dir, &name).during(Action::Stat, path)?.id != id {
                return Err(Error::new(Action::Remove, path(), Refusal::TargetChanged).into());
            }
        }
        let mount = Stat::of_dir(&*dir).during(Action::Stat, path)?.on_mount();
        Ok(Root::Entry(Node::top(side, None, Place::on(mount, Some(index))), name))
    }

    fn enter_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<Enter<Place>> {
        match self.may_go(worker, entry)? {
            true => Ok(Enter::Into(Place::on(entry.dir.data.mount, None), None)),
            false => Ok(Enter::Skip),
        }
    }

    fn unlock_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> bool {
        let (Some(above), Some(side)) = (dir.parent(), dir.side(End::Source)) else { return false };
        let Ok(file) = worker.descriptor(above, End::Source) else { return false };
        let Ok(stat) = Stat::at(&*file, side.name()) else { return false };
        let is_changed =
            stat.is_dir() && attributes::set_mode_at(&*file, side.name(), stat.permissions() | 0o700).is_ok();
        if is_changed {
            let _ = dir.data.mode.set(stat.permissions());
        }
        is_changed
    }

    fn opened_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let stat = dir.stat();
        if self.mounts == Mounts::Stay && stat.on_mount() != dir.data.mount {
            return Err(Error::new(Action::RemoveDir, dir.path(End::Source), Refusal::MountPoint).into());
        }
        let mode = stat.permissions();
        if mode & 0o700 != 0o700 && !self.can_all {
            let file = worker.descriptor(dir, End::Source).during(Action::Open, || dir.path(End::Source))?;
            // If this is refused, so is the deletion, and that says it better.
            if attributes::set_mode(&*file, mode | 0o700).is_ok() {
                let _ = dir.data.mode.set(mode);
            }
        }
        Ok(())
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        if !self.may_go(worker, entry)? {
            return Ok(());
        }
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let unlink = || Ok(name::unlink(&*dir, entry.name).during(Action::Remove, path)?);
        retry::persist(self.retries, worker.job(), unlink)?;
        self.gone(worker, entry.kind);
        self.after(entry.dir)
    }

    fn help(&self, _: &mut Worker<Self>, _: &Arc<()>) {}

    fn close_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<Place>>) -> Visit {
        Ok(())
    }

    fn leave_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let Some(above) = dir.parent() else { return Ok(()) };
        if self.consent.as_ref().is_some_and(|consent| consent.stays(dir.stat().id)) {
            dir.set_failed();
            return self.abandon_dir(worker, dir);
        }
        let path = || dir.path(End::Source);
        let file = worker.descriptor(above, End::Source).during(Action::Open, path)?;
        let name = dir.side(End::Source).map(Side::name).expect("every directory has a source");
        retry::persist(self.retries, worker.job(), || Ok(name::rmdir(&*file, name).during(Action::RemoveDir, path)?))?;
        self.gone(worker, FileType::Directory);
        self.after(above)
    }

    fn abandon_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        // It stays, and so does its mode.
        let has_foreign = dir.data.has_foreign.load(Relaxed);
        if let Some(&mode) = dir.data.mode.get() {
            if let Ok(file) = worker.descriptor(dir, End::Source) {
                let _ = attributes::set_mode(&*file, mode);
            }
        }
        match has_foreign {
            true => {
                let not_empty = io::Error::from_raw_os_error(libc::ENOTEMPTY);
                Err(Error::new(Action::RemoveDir, dir.path(End::Source), not_empty).into())
            }
            false => Ok(()),
        }
    }
}
