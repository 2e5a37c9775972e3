//! Directories: merged with what is there, or made under a name of ours and published when they are whole.

use super::adopted::Adopted;
use super::arrivals::{self, Arrival};
use super::attributes::{Made, Target};
use super::beside::Spoken;
use super::moving::{Moving, Renamed};
use super::names;
use super::place::{Kind, Place, Staged};
use super::spot::{Ruling, made_of};
use super::{Copying, Loosened, ReadOnlyDirs, TargetDir};
use crate::conflict::{Merges, OnConflict};
use crate::control::lock;
use crate::engine::{End, Enter, Entry, Node, Side, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::progress::add;
use crate::question::Resolution;
use crate::report::NoteKind;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat};
use crate::sys::{attributes, name};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

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
        let wanted = self.name_at_target(worker, entry)?;
        match Stat::at(&**target, &wanted) {
            Ok(old) => self.enter_taken(worker, entry, target, wanted, &old),
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

    fn enter_taken(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        wanted: CString,
        old: &Stat,
    ) -> Visit<Enter<Place>> {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let stat = entry.stat(&source).during(Action::Stat, path)?;
        let is_same = stat.id == old.id;
        if is_same && self.moving.is_some() {
            return self.respell_dir(worker, entry, &wanted).map(|()| Enter::Skip);
        }
        let can_merge = old.is_dir() && !is_same;
        let ruling = match self.ruling(worker, entry, old) {
            // Directories merge whatever the rule for files.
            Ruling::Ask if can_merge && self.options.merges == Merges::Ask => Ruling::Ask,
            _ if can_merge => Ruling::Do(self.answer(worker, entry, old).unwrap_or(Resolution::Merge)),
            ruling => ruling,
        };
        match ruling {
            Ruling::Do(Resolution::Merge) if can_merge => {
                if entry.dir.parent().is_none() {
                    lock(&self.merged).push(old.id);
                }
                Ok(Enter::Into(Place::new(Kind::Shared), Some(Side::new(wanted, Follow::No))))
            }
            Ruling::Do(Resolution::Skip) => self.skip(worker, entry, &wanted).map(|()| Enter::Skip),
            Ruling::Do(Resolution::KeepBoth) => {
                let name = self.free_name(target, &wanted).during(Action::Stat, path)?;
                self.begin_dir(worker, entry, target, name)
            }
            Ruling::Do(Resolution::Rename(name)) => {
                let name = self.given_name(worker, entry, &stat, target, &name)?;
                self.begin_dir(worker, entry, target, name)
            }
            _ if is_same => Err(self.refusal(entry, &wanted, Refusal::SameFile)),
            Ruling::Ask => Err(self.conflict(worker, entry, &stat, &wanted, old)),
            Ruling::Fail => Err(self.refusal(entry, &wanted, Refusal::Exists)),
            Ruling::Do(_) => Err(self.refusal(entry, &wanted, Refusal::KindDiffers)),
        }
    }

    /// A new directory under a name of ours, which nobody but us may enter until it is whole.
    fn stage_dir(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        wanted: CString,
    ) -> Visit<Enter<Place>> {
        let origin = self.origin(worker, entry, target, None)?;
        if let Some((staged, found, adopted)) = self.adopt(worker, entry.dir, target, &wanted, &origin) {
            return self.go_on_in(worker, entry, target, (staged, found.id), adopted);
        }
        self.touch(entry.dir);
        let staged = self.ledger.intend(entry.dir, target, &wanted);
        self.ledger.comes_from(&staged, &origin);
        let path = || staged.shown();
        // Ours alone, and empty: also when it was made and the reply was lost.
        let give_up = |error: io::Error, action| {
            // What was made already is ours, whatever an odd answer says.
            let is_anothers = action == Action::CreateDir && error.kind() == io::ErrorKind::AlreadyExists;
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
        if stat.uid != self.user && entry.dir.data.route().target.has_owners() {
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

    /// Into the stage of an interrupted copy.
    fn go_on_in(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        (staged, id): (Arc<Staged>, Id),
        adopted: Adopted,
    ) -> Visit<Enter<Place>> {
        let opened = self.open_up(worker, target, staged.name(), id);
        opened.during(Action::Open, || staged.shown())?;
        self.touch(entry.dir);
        // Whether the file system has modes of its own was found out by the copy that began.
        entry.dir.data.route().own_modes();
        self.unfinished.fetch_add(1, Relaxed);
        let mut place = Place::new(Kind::Fresh);
        let side = Side::staged(staged.name().to_owned(), staged.wanted.clone());
        place.stage = Some(staged);
        place.adopted = Some(adopted);
        place.was_touched.store(true, Relaxed);
        Ok(Enter::Into(place, Some(side)))
    }

    /// The subtree is over, or `rests` but for what waits: a stage gets its final name, and what had to wait for its entries
    /// is set.
    pub(super) fn settle_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, rests: bool) -> Visit {
        self.settle_beside(worker, dir, rests)?;
        if !dir.data.is_ours() {
            // One that was merged with is over too. What is above a root was never listed; what was refused has no route.
            let was_walked = dir.device().is_some() && dir.data.route.get().is_some();
            if was_walked && !dir.data.was_counted.swap(true, Relaxed) {
                add(&worker.counters.passed, 1);
            }
            match (dir.parent(), rests) {
                (None, false) => self.root_over(worker, dir),
                (Some(_), false) => self.leave_merged(worker, dir),
                (None, true) => self.root_rests(worker, dir),
                (Some(_), true) => self.land_now(worker),
            }
            return Ok(());
        }
        let mut mode = self.mode_of(dir);
        if mode != source_mode(dir) && !dir.data.was_counted.load(Relaxed) {
            worker.job().note(NoteKind::MadeWritable, None, || dir.path(End::Target));
        }
        if rests && mode & 0o700 != 0o700 {
            // What waits in it must be reachable for us.
            mode |= 0o700;
            let (before, record) = (self.mode_of(dir), self.opens_resting(worker, dir, mode));
            lock(&self.loosened).push(Loosened { dir: Arc::clone(dir), end: End::Target, mode: before, record });
        }
        match &dir.data.stage {
            Some(staged) if !dir.data.is_public() => match &self.moving {
                Some(moving) => return self.tree_arrives(worker, moving, (dir, staged), mode, rests),
                None => self.finish_stage(worker, dir, staged, mode)?,
            },
            _ => {
                if mode & 0o500 != 0o500 && !self.may_give_away {
                    // What is in it could not be opened any more, to be compared.
                    self.settle_files(worker)?;
                }
                let is_touched = dir.data.was_touched.load(Relaxed) || dir.data.beside.is_unwritten();
                if mode & 0o700 != 0o700 || is_touched {
                    self.persist(worker, dir, |worker| self.keep_dir(worker, dir, mode))?;
                }
                self.sync_fresh(worker, dir)?;
                self.is_settled(dir);
            }
        }
        if let Some(moving) = self.moving.as_ref().filter(|_| !rests) {
            self.note_copied(moving, dir);
            if dir.data.stage.is_some() {
                moving.arrivals.goes_at_last(dir);
            }
        }
        if !dir.data.was_counted.swap(true, Relaxed) {
            add(&worker.counters.entries, 1);
            add(&worker.counters.directories, 1);
        }
        Ok(())
    }

    /// A directory of a new tree is over: its source goes with the tree, unless something in it was not copied.
    fn note_copied(&self, moving: &Moving, dir: &Arc<Node<Place>>) {
        let side = dir.side(End::Source).expect("every directory has a source");
        if let Some(above) = dir.parent() {
            moving.departures.copied(above, side.name(), dir.stat());
        }
        if dir.has_failed() || dir.data.old.keeps() {
            moving.departures.copied.is_incomplete(dir.stat().id);
        }
    }

    /// A tree that was copied for a move is whole, or `rests` but for what waits for answers. What could not be set of its
    /// top is a failure that keeps the source.
    fn tree_arrives(
        &self,
        worker: &mut Worker<Self>,
        moving: &Moving,
        (tree, staged): (&Arc<Node<Place>>, &Arc<Staged>),
        mode: u32,
        rests: bool,
    ) -> Visit {
        let kept = self.persist(worker, tree, |worker| self.keep_dir(worker, tree, mode));
        if matches!(kept, Err(Stop::Cancelled)) || tree.data.old.is_refused() {
            // What goes into itself is removed in the end.
            return kept;
        }
        self.sync_fresh(worker, tree)?;
        if !rests {
            self.note_copied(moving, tree);
        }
        let copy =
            arrivals::Copy::Tree { tree: Arc::clone(tree), staged: Arc::clone(staged), goes: !rests && kept.is_ok() };
        self.arrive(worker, moving, Arrival::tree(tree, copy));
        if rests {
            // What is answered from now on goes into a directory that others see.
            self.land(worker, moving);
        }
        kept
    }

    fn finish_stage(
        &self,
        worker: &mut Worker<Self>,
        dir: &Arc<Node<Place>>,
        staged: &Arc<Staged>,
        mode: u32,
    ) -> Visit {
        // An attribute that could not be set is a failure of the directory's own, and costs no file in it.
        self.settle_files(worker)?;
        let kept = self.persist(worker, dir, |worker| self.keep_dir(worker, dir, mode));
        if matches!(kept, Err(Stop::Cancelled)) {
            return kept;
        }
        self.persist(worker, dir, |worker| self.settle_stage(worker, dir))?;
        self.persist(worker, dir, |worker| self.publish_dir(worker, dir, staged))?;
        dir.parent().into_iter().for_each(|above| self.has_new_name(above));
        dir.data.is_public.store(true, Release);
        self.is_settled(dir);
        if kept.is_err() {
            self.touch(dir);
        }
        kept
    }

    /// It has its place: it will not be removed with a tree that is not whole.
    pub(super) fn is_settled(&self, dir: &Node<Place>) {
        if !dir.data.was_settled.swap(true, Relaxed) {
            self.unfinished.fetch_sub(1, Relaxed);
        }
    }

    pub(super) fn publish_dir(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>, staged: &Arc<Staged>) -> Visit {
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
                    match self.other_name(worker, dir, staged, &wanted)? {
                        Some(name) => wanted = name,
                        None => break,
                    }
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

    /// Somebody took the name since we looked: another one by rule or answer, or a question.
    fn other_name(
        &self,
        worker: &Worker<Self>,
        dir: &Arc<Node<Place>>,
        staged: &Staged,
        wanted: &CStr,
    ) -> Visit<Option<CString>> {
        let free = || self.free_name(&staged.dir, wanted).during(Action::Stat, || staged.shown());
        match worker.answer_to_end(dir) {
            Some(Resolution::KeepBoth) => return Ok(Some(free()?)),
            Some(Resolution::Rename(name)) if name.as_bytes() != wanted.to_bytes() => {
                return Ok(CString::new(name.as_bytes()).ok());
            }
            _ => {}
        }
        match self.options.on_conflict {
            OnConflict::Rename => Ok(Some(free()?)),
            // What is moved is published beside the walk, where nothing can be parked.
            OnConflict::Ask if worker.can_ask() && self.moving.is_none() => {
                let old = Stat::at(&*staged.dir, wanted).during(Action::Stat, || staged.shown())?;
                let path = staged.path.join(crate::engine::os(wanted));
                Err(self.late_conflict(worker, dir, (path, &old)))
            }
            _ => Ok(None),
        }
    }

    /// The mode a directory gets.
    pub(super) fn mode_of(&self, dir: &Node<Place>) -> u32 {
        let mode = source_mode(dir);
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
        let beside = Some(Spoken::itself(dir));
        self.keep_all(worker, &route, (Target::File(&source), Target::File(&target)), (&stat, beside), made, &path)?;
        self.finish_beside(worker, dir, &stat)?;
        // As it stays, unless it is the top of a stage, which gets its name.
        self.record_passage(worker.job(), dir, (&source, dir.stat()), (&target, Stat::of(&*target)));
        Ok(())
    }
}

/// The mode of the source, as its owner wants it.
fn source_mode(dir: &Node<Place>) -> u32 {
    dir.data.locked.get().copied().unwrap_or_else(|| dir.stat().permissions())
}

fn is_gone(removed: io::Result<()>) -> bool {
    removed.is_ok() || removed.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A file system without modes leaves a stage as it is.
pub(super) fn ignore_refusal(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(()),
        _ => Err(error),
    }
}
