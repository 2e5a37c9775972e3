//! Directories: merged with what is there, or made under a name of ours and published when they are whole.

use super::arrivals::{self, Arrival};
use super::attributes::{Made, Target};
use super::durable;
use super::moving::{Moving, Renamed};
use super::names;
use super::place::{Kind, Place, Staged};
use super::spot::made_of;
use super::{Copying, ReadOnlyDirs, TargetDir};
use crate::conflict::OnConflict;
use crate::control::lock;
use crate::engine::{End, Enter, Entry, Node, Side, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::progress::add;
use crate::report::NoteKind;
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{attributes, name};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Directories in a stage are made with this mode; the stage's own top, which nobody else may enter, protects them.
const STAGED_DIR: u32 = 0o755;

/// How often a name that was free is found taken before that is a failure.
pub(super) const RENAMES: usize = 1000;

impl Copying {
    pub(super) fn refuse_into_itself(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let target = self.target_dir()?;
        match target.above.contains(&entry.stat(&source).during(Action::Stat, path)?.id) {
            true => Err(self.goes_into_itself(path(), &target)),
            false => Ok(()),
        }
    }

    pub(super) fn make_dir(&self, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
        let made = name::mkdir(parent, name, STAGED_DIR).and_then(|()| {
            if STAGED_DIR & !self.umask & 0o700 != 0o700 {
                attributes::set_mode_at(parent, name, STAGED_DIR)?;
            }
            Ok(())
        });
        made.inspect_err(|error| {
            // It may have been made all the same (a lost reply), and its place is to stay empty.
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = name::rmdir(parent, name);
            }
        })
    }

    /// Into a directory that others see: merge with what is there, or begin a stage.
    pub(super) fn enter_shared(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
    ) -> Visit<Enter<Place>> {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let wanted = self.name_at_target(worker, entry)?;
        let found = Stat::at(&**target, &wanted);
        match found {
            Ok(old) if old.is_dir() => {
                let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
                let stat = entry.stat(&source).during(Action::Stat, path)?;
                let is_same = stat.id == old.id;
                if is_same && self.moving.is_some() {
                    return self.respell_dir(worker, entry, &wanted).map(|()| Enter::Skip);
                }
                match (is_same, self.options.on_conflict) {
                    (true, OnConflict::Rename) => {
                        let name = self.free_name(target, &wanted).during(Action::Stat, path)?;
                        self.begin_dir(worker, entry, target, name)
                    }
                    (true, OnConflict::Skip) => self.skip(worker, entry, &wanted).map(|()| Enter::Skip),
                    (true, _) => Err(self.refusal(entry, &wanted, Refusal::SameFile)),
                    (false, _) => {
                        if entry.dir.parent().is_none() {
                            lock(&self.merged).push(old.id);
                        }
                        Ok(Enter::Into(Place::new(Kind::Shared), Some(Side::new(wanted, Follow::No))))
                    }
                }
            }
            Ok(_) => match self.options.on_conflict {
                OnConflict::Skip => self.skip(worker, entry, &wanted).map(|()| Enter::Skip),
                OnConflict::Rename => {
                    let name = self.free_name(target, &wanted).during(Action::Stat, path)?;
                    self.begin_dir(worker, entry, target, name)
                }
                OnConflict::Fail => Err(self.refusal(entry, &wanted, Refusal::Exists)),
                _ => Err(self.refusal(entry, &wanted, Refusal::KindDiffers)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.begin_dir(worker, entry, target, wanted),
            Err(error) => Err(Error::new(Action::Stat, entry.dir.path_of(End::Target, &wanted), error).into()),
        }
    }

    /// A directory whose name is free: renamed if that is possible, else begun under a name of ours.
    fn begin_dir(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        wanted: CString,
    ) -> Visit<Enter<Place>> {
        if self.moving.is_some() {
            match self.move_dir(worker, entry, &wanted)? {
                Renamed::Done => return Ok(Enter::Skip),
                Renamed::Taken => return Err(self.refusal(entry, &wanted, Refusal::Exists)),
                Renamed::Across => {}
            }
        }
        self.stage_dir(worker, entry, target, wanted)
    }

    /// A new directory under a name of ours, which nobody but us may enter until it is whole.
    fn stage_dir(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        wanted: CString,
    ) -> Visit<Enter<Place>> {
        let staged = self.ledger.intend(entry.dir, target, &wanted);
        let path = || staged.shown();
        // Ours alone, and empty: also when it was made and the reply was lost.
        let give_up = |error: io::Error, action| {
            let is_anothers = error.kind() == io::ErrorKind::AlreadyExists;
            if is_anothers || is_gone(name::rmdir(&**target, staged.name())) {
                self.ledger.gone(&staged);
            }
            Stop::from(Error::new(action, path(), error))
        };
        name::mkdir(&**target, staged.name(), 0o700).map_err(|error| give_up(error, Action::CreateDir))?;
        if self.umask & 0o700 != 0 {
            attributes::set_mode_at(&**target, staged.name(), 0o700)
                .or_else(ignore_refusal)
                .map_err(|error| give_up(error, Action::SetMode))?;
        }
        let opened = worker.open(|| open::dir(&**target, staged.name(), Follow::No));
        let opened = opened.and_then(|file| Stat::of(&file).map(|stat| (file, stat)));
        let (file, stat) = opened.map_err(|error| give_up(error, Action::Open))?;
        if stat.uid != self.user && entry.dir.data.route().target.syncs_at_once() {
            // Swapped by somebody who may write here too, between the making and the opening.
            return Err(Error::new(Action::CreateDir, path(), Refusal::TargetChanged).into());
        }
        self.ledger.made(&staged, stat.id);
        if stat.permissions() & 0o777 != 0o700 {
            entry.dir.data.route().own_modes();
        }
        // What it inherited (a group, a list of access rights) would be inherited by everything in it.
        self.disinherit(&Target::File(&file));
        attributes::set_mode(&file, 0o700).or_else(ignore_refusal).during(Action::SetMode, path)?;
        self.unfinished.fetch_add(1, Relaxed);
        let mut place = Place::new(Kind::Fresh);
        let side = Side::staged(staged.name().to_owned(), wanted);
        place.stage = Some(staged);
        Ok(Enter::Into(place, Some(side)))
    }

    /// The subtree is over: a stage gets its final name, and what had to wait for its entries is set.
    pub(super) fn settle_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        if !dir.data.is_fresh() {
            // One that was merged with is over too. What is above a root was never listed; what was refused has no route.
            if dir.device().is_some() && dir.data.route.get().is_some() {
                add(&worker.counters.passed, 1);
            }
            match dir.parent() {
                None => self.root_over(worker),
                Some(_) => self.leave_merged(worker, dir),
            }
            return Ok(());
        }
        let mode = self.mode_of(dir);
        if mode != dir.stat().permissions() {
            worker.job().note(NoteKind::MadeWritable, None, || dir.path(End::Target));
        }
        match &dir.data.stage {
            Some(staged) => {
                // An attribute that could not be set is a failure of the directory's own, and costs no file in it.
                let kept = self.persist(worker, dir, |worker| self.keep_dir(worker, dir, mode));
                if matches!(kept, Err(Stop::Cancelled)) {
                    return kept;
                }
                if let Some(moving) = &self.moving {
                    return self.tree_arrives(worker, moving, dir, staged, kept);
                }
                self.persist(worker, dir, |_| self.publish_dir(dir, staged))?;
                self.tree_done(worker);
                return kept;
            }
            None => {
                if mode & 0o700 != 0o700 || dir.data.was_touched.load(Relaxed) {
                    self.persist(worker, dir, |worker| self.keep_dir(worker, dir, mode))?;
                }
                self.unfinished.fetch_sub(1, Relaxed);
            }
        }
        if let Some(moving) = &self.moving {
            self.note_copied(worker, moving, dir)?;
        }
        self.count_dir(worker);
        Ok(())
    }

    /// A new tree is whole, and has its name.
    pub(super) fn tree_done(&self, worker: &Worker<Self>) {
        self.unfinished.fetch_sub(1, Relaxed);
        self.count_dir(worker);
    }

    fn count_dir(&self, worker: &Worker<Self>) {
        add(&worker.counters.entries, 1);
        add(&worker.counters.directories, 1);
    }

    /// A directory of a new tree is over: its source goes with the tree, unless something in it was not copied.
    fn note_copied(&self, worker: &Worker<Self>, moving: &Moving, dir: &Arc<Node<Place>>) -> Visit {
        let side = dir.side(End::Source).expect("every directory has a source");
        if let Some(above) = dir.parent() {
            moving.departures.copied(above, side.name(), dir.stat());
        }
        if dir.has_failed() {
            moving.departures.copied.is_incomplete(dir.stat().id);
        }
        if dir.data.route().target.syncs_at_once() {
            return Ok(());
        }
        let target = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        Ok(durable::sync_dir(&target).during(Action::Sync, || dir.path(End::Target))?)
    }

    /// A tree that was copied for a move is whole; what could not be set of its top is a failure that keeps the source.
    fn tree_arrives(
        &self,
        worker: &mut Worker<Self>,
        moving: &Moving,
        tree: &Arc<Node<Place>>,
        staged: &Arc<Staged>,
        kept: Visit,
    ) -> Visit {
        self.note_copied(worker, moving, tree)?;
        let above = tree.parent().expect("a stage is in a directory");
        if tree.data.old.is_refused() {
            // It is removed in the end.
            return kept;
        }
        let source_name = tree.side(End::Source).expect("every directory has a source").name().to_owned();
        let (goes, staged) = (kept.is_ok(), Arc::clone(staged));
        let copy = arrivals::Copy::Tree { tree: Arc::clone(tree), staged, goes };
        self.arrive(worker, moving, Arrival { dir: Arc::clone(above), source_name, copy });
        kept
    }

    pub(super) fn publish_dir(&self, dir: &Arc<Node<Place>>, staged: &Arc<Staged>) -> Visit {
        let mut wanted = staged.wanted.clone();
        for _ in 0..RENAMES {
            match staged.publish(&wanted) {
                Ok(()) => {
                    match self.moving {
                        None => self.ledger.is_published(staged, &wanted),
                        Some(_) => self.ledger.has_arrived(staged, &wanted),
                    }
                    dir.side(End::Target).expect("a copy has a target").rename(&wanted);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Somebody took the name since we looked.
                    if self.options.on_conflict != OnConflict::Rename {
                        break;
                    }
                    wanted = self.free_name(&staged.dir, &wanted).during(Action::Stat, || staged.shown())?;
                }
                Err(error) => {
                    let error = names::explained(error, &wanted, dir.data.route().target);
                    return Err(error).during(Action::Rename, || staged.shown()).map_err(Stop::from);
                }
            }
        }
        let error = Error::new(Action::Rename, dir.path(End::Source), Refusal::Exists);
        Err(error.with_target(staged.shown()).into())
    }

    /// The mode a directory gets.
    pub(super) fn mode_of(&self, dir: &Node<Place>) -> u32 {
        let mode = dir.stat().permissions();
        let is_medium = dir.data.route().source.is_read_only_medium();
        let is_made_writable = is_medium && self.options.read_only_dirs == ReadOnlyDirs::MakeWritable;
        if is_made_writable { mode | 0o200 } else { mode }
    }

    pub(super) fn goes_into_itself(&self, path: impl Into<PathBuf>, target: &TargetDir) -> Stop {
        Error::new(self.action(), path, Refusal::IntoItself).with_target(&target.path).into()
    }

    pub(super) fn keep_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, mode: u32) -> Visit {
        let path = || dir.path(End::Target);
        let source = worker.descriptor(dir, End::Source).during(Action::Open, || dir.path(End::Source))?;
        let target = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
        let is_top = dir.data.stage.is_some();
        // A top inherited what its parent gives; all others are made like the first file was.
        let known = dir.data.born.get().filter(|_| !is_top).map(|&owner| Made {
            owner,
            mode: STAGED_DIR & !self.umask | if STAGED_DIR & !self.umask & 0o700 != 0o700 { STAGED_DIR } else { 0 },
        });
        let was_set = dir.data.was_touched.load(Relaxed) || mode & 0o700 != 0o700;
        let made = match known {
            Some(made) if !was_set => made,
            _ => made_of(&target).during(Action::Stat, path)?,
        };
        let mut stat = *dir.stat();
        stat.mode = stat.mode & !0o7777 | mode;
        let route = Arc::clone(dir.data.route());
        self.keep_all(worker, &route, (Target::File(&source), Target::File(&target)), &stat, made, &path)
    }
}

fn is_gone(removed: io::Result<()>) -> bool {
    removed.is_ok() || removed.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A file system without modes leaves a stage as it is.
fn ignore_refusal(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(()),
        _ => Err(error),
    }
}
