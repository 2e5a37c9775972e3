//! The inverse of each step. Nothing is deleted: what goes away goes to the kept area.

use super::changed;
use super::known::Known;
use super::unchanged::{self, Since};
use crate::conflict::OnConflict;
use crate::engine::{Stop, Visit};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{Dir, Identity, Location, Pending, Step, Written, has_lasting_inodes};
use crate::operation::Job;
use crate::ops::coming::{Coming, Ruling};
use crate::ops::copy::Together;
use crate::ops::turns::Answer;
use crate::ops::{relocate, remove, steps};
use crate::pool::Pool;
use crate::question::{OnChanged, Question, Resolution};
use crate::report::NoteKind;
use crate::sys::stat::{Id, Stat, Time};
use crate::sys::{list, name};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Directories that are kept open: steps that follow each other are mostly in the same ones.
const OPEN: usize = 16;

/// How often a name is looked at that is free one moment and taken the next.
const LOOKS: u32 = 10;

/// What stands for what an undo meets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) on_changed: OnChanged,
    pub(super) on_conflict: OnConflict,
}

/// Whether a step was inverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inverted {
    Yes,
    /// It was left out, and the job knows of it.
    Skipped,
}

pub(super) struct Inverse<'a> {
    job: &'a Arc<Job>,
    pool: &'a Pool,
    /// Up to when what is in a new tree may have changed, by the name of its top.
    sealed: HashMap<Location, Time>,
    /// The same for trees that were not sealed, since the operation did not come to its end.
    otherwise: Time,
    known: Arc<Known>,
    dirs: HashMap<Arc<Path>, Arc<OwnedFd>>,
    /// The times of directories before something changed in them.
    touched: HashMap<Arc<Path>, Time>,
    /// Trees that have their names again.
    trees: Vec<(Location, Id)>,
    /// Where files with several names went when some of them were moved back across.
    together: Arc<Together>,
    rules: Rules,
    /// What was answered about the step that is inverted, and what was seen when it was asked.
    answer: Option<(Resolution, Option<Stat>)>,
    /// What was changed since, and is undone all the same, as was answered: there may be one more question about it.
    let_go: RefCell<HashSet<PathBuf>>,
    /// Whether something is undone in this step that was changed since: it must be kept.
    was_changed: Cell<bool>,
}

impl<'a> Inverse<'a> {
    pub(super) fn new(job: &'a Arc<Job>, pool: &'a Pool, journal: &Written, rules: Rules) -> Inverse<'a> {
        let sealed = journal.steps.iter().filter_map(|begun| match &begun.step {
            Step::Sealed { at, time } => Some((at.clone(), *time)),
            _ => None,
        });
        let end = journal.ended.map_or(journal.written, |(_, end)| end);
        let otherwise = Time { seconds: end.as_secs() as i64, nanoseconds: end.subsec_nanos().into() };
        let (dirs, touched, trees, together) = Default::default();
        let known = Arc::new(Known::since(journal));
        let (answer, let_go, was_changed) = Default::default();
        let sealed = sealed.collect();
        Inverse {
            job,
            pool,
            sealed,
            otherwise,
            known,
            dirs,
            touched,
            trees,
            together,
            rules,
            answer,
            let_go,
            was_changed,
        }
    }

    pub(super) fn of(&mut self, step: &Step, answer: Answer<'_>) -> Visit<Inverted> {
        self.answer = answer.map(|(resolution, seen)| (resolution.clone(), seen.copied()));
        self.was_changed.set(false);
        match step {
            Step::Created { at, identity } => self.created(at, identity)?,
            Step::Removed { at, kept, identity } => return self.removed(at, kept, identity),
            Step::Replaced { at, new, kept, old } => return self.replaced(at, new, kept, old),
            Step::Moved { from, to, identity } => return self.moved(from, to, identity),
            Step::Carried { from, to, identity } => self.carried(from, to, identity)?,
            Step::Sealed { .. } | Step::Touched { .. } | Step::Left { .. } => {}
        }
        Ok(Inverted::Yes)
    }

    /// Something was changed since: whether it is undone all the same.
    fn anyway(&self, path: PathBuf) -> Visit {
        if matches!(self.answer, Some((Resolution::Anyway, _))) {
            self.let_go.borrow_mut().insert(path.clone());
        }
        match self.rules.on_changed {
            _ if self.let_go.borrow().contains(&path) => {}
            OnChanged::Anyway => {}
            OnChanged::Ask => return Err(Question::Changed(Arc::new(changed(path))).into()),
            OnChanged::Fail => return Err(changed(path).into()),
        }
        self.was_changed.set(true);
        Ok(())
    }

    /// What is to be done where something comes back, and something else has its name.
    fn ruling(
        &self,
        from: (&OwnedFd, &Location),
        stat: &Stat,
        path: &Path,
        to: (&OwnedFd, &Location),
    ) -> Visit<Ruling> {
        let Rules { on_conflict: rule, .. } = self.rules;
        let answer = self.answer.as_ref().map(|(resolution, seen)| (resolution, seen.as_ref()));
        let (job, pool, action) = (self.job, self.pool, Action::Undo);
        Coming { job, pool, action, rule, answer, from, stat, path, to }.ruling()
    }

    /// Nothing is done any more in the trees that have their names again.
    pub(super) fn seal(&mut self) {
        for (at, id) in std::mem::take(&mut self.trees) {
            steps::seal(self.job, &at, id);
        }
    }

    /// It goes to the kept area, if it is still what was made.
    fn created(&mut self, at: &Location, identity: &Identity) -> Visit {
        let dir = self.open(at)?;
        let stat = match Stat::at(&*dir, &at.name) {
            // Somebody was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            stat => stat.during(Action::Stat, || at.path())?,
        };
        let allocated = self.unchanged(&dir, at, identity, &stat)?;
        let identity = Identity { allocated, ..Identity::from(&stat) };
        Ok(self.put_away(&dir, at, identity, stat.id)?)
    }

    fn put_away(&mut self, dir: &Arc<OwnedFd>, at: &Location, identity: Identity, id: Id) -> Result<()> {
        self.touches(at, dir)?;
        let place = self.job.kept.try_place(dir, &at.dir.path, &self.job.journal);
        let Some(place) = place.during(Action::Stat, || &*at.dir.path)? else {
            if self.was_changed.get() {
                // Nothing would be left of it.
                return Err(changed(at.path()));
            }
            self.job.note(NoteKind::NotKept, None, || at.path());
            let removed = remove::entry(dir, at.dir.path.to_path_buf(), &at.name, id, self.pool, &Arc::default());
            return removed.map_err(|mut errors| {
                let last = errors.pop().unwrap_or_else(|| changed(at.path()));
                errors.into_iter().for_each(|error| self.job.fail(error));
                last
            });
        };
        let pending = self.intend(&Step::Removed { at: at.clone(), kept: place.at.clone(), identity })?;
        let taken = steps::rename(dir, &at.name, place.area(), &place.at.name, id);
        steps::settle(self.job, pending, taken).during(Action::Rename, || at.path())?;
        self.job.kept.add(identity.allocated);
        Ok(())
    }

    /// Nothing is displaced that no record would know of.
    fn intend(&self, step: &Step) -> Result<Pending> {
        let pending = self.job.journal.intend(step);
        self.job.journal.error().map_or(Ok(pending), Err).during(Action::Journal, || step.path())
    }

    /// What was made must be as it was left. Gives what it takes on the disk.
    fn unchanged(&self, dir: &Arc<OwnedFd>, at: &Location, identity: &Identity, stat: &Stat) -> Visit<u64> {
        if !stat.is_dir() {
            if !self.is_as_sealed(at, identity, stat) {
                self.anyway(at.path())?;
            }
            return Ok(stat.allocated);
        }
        if !self.known.is_same(identity, stat, at) {
            self.anyway(at.path())?;
        } else if identity.modified != stat.modified {
            // An empty one has nothing to lose: what was in it may just have gone home.
            if list::is_empty(&**dir, &at.name) {
                return Ok(stat.allocated);
            }
            self.anyway(at.path())?;
        }
        let time = self.sealed.get(at).copied();
        let since = Since { sealed: time, otherwise: self.otherwise, known: Arc::clone(&self.known) };
        let (allocated, failures) = unchanged::tree(dir, at, stat.id, since, self.job, self.pool)?;
        let is_change = |error: &Error| error.refusal() == Some(Refusal::ChangedSince);
        let (mut changed, mut others): (Vec<_>, Vec<_>) = failures.into_iter().partition(is_change);
        if let Some(last) = others.pop() {
            return Err(last.into());
        }
        let Some(last) = changed.pop() else { return Ok(allocated) };
        match self.anyway(last.path) {
            Err(Stop::Failed(last)) => {
                changed.into_iter().for_each(|error| self.job.fail(error));
                Err(last.into())
            }
            answer => answer.map(|()| allocated),
        }
    }

    /// Whether nothing was done to a file since it got its name, as far as is known when that was.
    fn is_as_sealed(&self, at: &Location, identity: &Identity, stat: &Stat) -> bool {
        let changed = self.sealed.get(at).copied().unwrap_or(identity.changed);
        if (Identity { changed, ..*identity }).is_unchanged(stat, &at.dir.file_system) {
            return true;
        }
        // Its contents, as far as size and time tell; the inode is looked at with its passages.
        let has_contents = Identity { inode: stat.id.ino, ..*identity }.is_unwritten(stat, &at.dir.file_system);
        let file_system = &*at.dir.file_system;
        let inode = has_lasting_inodes(file_system).then_some(identity.inode);
        let is_told = changed != Time::default();
        has_contents
            && match is_told {
                true => self.known.is((|| at.path(), file_system), stat, inode, |before| before == changed),
                false => self.known.is_same(identity, stat, at),
            }
    }

    /// It comes back, to where it was.
    fn removed(&mut self, at: &Location, kept: &Location, identity: &Identity) -> Visit<Inverted> {
        let dir = self.open(at)?;
        if self.is_back(&dir, at, kept, identity) {
            return Ok(Inverted::Yes);
        }
        let area = self.open_kept(kept)?;
        let stat = self.kept(&area, kept, identity)?;
        self.touches(at, &dir)?;
        let mut to = at.clone();
        for _ in 0..LOOKS {
            // The change time is that of the rename, which is still to come.
            let step = Step::Created { at: to.clone(), identity: Identity { changed: Time::default(), ..*identity } };
            let pending = self.intend(&step)?;
            let renamed = steps::rename(&area, &kept.name, &dir, &to.name, stat.id);
            match steps::settle(self.job, pending, renamed) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                renamed => {
                    renamed.during(Action::Rename, || to.path())?;
                    self.has_its_name(&dir, &to, &stat);
                    return Ok(Inverted::Yes);
                }
            }
            match self.ruling((&area, kept), &stat, &at.path(), (&dir, at))? {
                Ruling::Free => to = at.clone(),
                Ruling::Name(name) => to.name = name,
                Ruling::Skip => {
                    self.job.skip(at.path(), at.path());
                    return Ok(Inverted::Skipped);
                }
                Ruling::Replace(theirs) => {
                    self.was_changed.set(true);
                    return self.exchanged(at, &dir, &theirs, kept, &area, (identity, &stat));
                }
            }
        }
        Err(Error::new(Action::Undo, at.path(), Refusal::Exists).into())
    }

    /// An entry is back, and has a new change time.
    fn has_its_name(&mut self, dir: &OwnedFd, at: &Location, stat: &Stat) {
        if stat.is_dir() {
            self.trees.push((at.clone(), stat.id));
        } else {
            steps::seal_file(self.job, dir, at.clone());
        }
    }

    /// The old file and the new one change places.
    fn replaced(&mut self, at: &Location, new: &Identity, kept: &Location, old: &Identity) -> Visit<Inverted> {
        let dir = self.open(at)?;
        let stat = match Stat::at(&*dir, &at.name) {
            // The new one is gone: the old one comes back all the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.removed(at, kept, old),
            stat => stat.during(Action::Stat, || at.path())?,
        };
        if self.is_back(&dir, at, kept, old) {
            return Ok(Inverted::Yes);
        }
        if !self.is_as_sealed(at, new, &stat) {
            self.anyway(at.path())?;
        }
        let area = self.open_kept(kept)?;
        let before = self.kept(&area, kept, old)?;
        self.touches(at, &dir)?;
        self.exchanged(at, &dir, &stat, kept, &area, (old, &before))
    }

    /// What is kept takes the place of what is there, which is kept instead.
    fn exchanged(
        &mut self,
        at: &Location,
        dir: &Arc<OwnedFd>,
        stat: &Stat,
        kept: &Location,
        area: &OwnedFd,
        (old, before): (&Identity, &Stat),
    ) -> Visit<Inverted> {
        // The change time is that of the exchange, which is still to come.
        let back = Identity { changed: Time::default(), ..*old };
        let step = Step::Replaced { at: at.clone(), new: back, kept: kept.clone(), old: Identity::from(stat) };
        let pending = self.intend(&step)?;
        let exchanged = name::exchange(dir, &at.name, area, &kept.name);
        let is_done = || Stat::at(dir, &at.name).is_ok_and(|now| now.id == before.id);
        match exchanged {
            Err(error) if steps::cannot_exchange(&error) => {
                self.job.journal.undone(pending);
                // One after the other: the place is empty for a moment, which the journal knows.
                self.put_away(dir, at, Identity::from(stat), stat.id)?;
                self.removed(at, kept, old)
            }
            Err(error) if !is_done() => {
                self.job.journal.undone(pending);
                Err(error).during(Action::Rename, || at.path()).map_err(Stop::from)
            }
            _ => {
                let displaced = Stat::at(area, &kept.name).during(Action::Stat, || kept.path())?;
                if displaced.id != stat.id {
                    let back = name::exchange(dir, &at.name, area, &kept.name);
                    self.job.journal.undone(pending);
                    back.during(Action::Rename, || at.path())?;
                    return Err(changed(at.path()).into());
                }
                self.job.journal.done(pending);
                self.has_its_name(dir, at, before);
                Ok(Inverted::Yes)
            }
        }
    }

    /// It goes home.
    fn moved(&mut self, from: &Location, to: &Location, identity: &Identity) -> Visit<Inverted> {
        let (home, away) = (self.open(from)?, self.open(to)?);
        if self.is_back(&home, from, to, identity) {
            return Ok(Inverted::Yes);
        }
        let stat = Stat::at(&*away, &to.name).during(Action::Stat, || to.path())?;
        if !self.known.is_same(identity, &stat, to) {
            // Many programs write a file anew when they change it: then that goes home.
            self.anyway(to.path())?;
        }
        self.touches(from, &home)?;
        self.touches(to, &away)?;
        let mut back = from.clone();
        for _ in 0..LOOKS {
            let step = Step::Moved { from: to.clone(), to: back.clone(), identity: Identity::from(&stat) };
            let pending = self.intend(&step)?;
            let renamed = steps::rename(&away, &to.name, &home, &back.name, stat.id);
            match steps::settle(self.job, pending, renamed) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::new(Action::Rename, to.path(), error).with_target(back.path()).into()),
                Ok(()) => {
                    if let Ok(stat) = Stat::at(&*home, &back.name) {
                        self.job.journal.did(&Step::Sealed { at: back.clone(), time: stat.changed });
                    }
                    return Ok(Inverted::Yes);
                }
            }
            match self.ruling((&away, to), &stat, &to.path(), (&home, from))? {
                Ruling::Free => back = from.clone(),
                Ruling::Name(name) => back.name = name,
                Ruling::Skip => {
                    self.job.skip(to.path(), from.path());
                    return Ok(Inverted::Skipped);
                }
                Ruling::Replace(theirs) => {
                    self.was_changed.set(true);
                    self.put_away(&home, from, Identity::from(&theirs), theirs.id)?;
                    back = from.clone();
                }
            }
        }
        Err(Error::new(Action::Undo, to.path(), Refusal::Exists).with_target(from.path()).into())
    }

    /// It is moved back across, by the same means: a durable copy whose source goes last. Its steps stand in this journal too.
    fn carried(&mut self, from: &Location, to: &Location, identity: &Identity) -> Visit {
        let (home, away) = (self.open(from)?, self.open(to)?);
        let stat = match Stat::at(&*away, &to.name) {
            // An undo that was interrupted had moved it, and did not come to say so.
            Err(error) if error.kind() == io::ErrorKind::NotFound && Stat::at(&*home, &from.name).is_ok() => {
                return Ok(());
            }
            stat => stat.during(Action::Stat, || to.path())?,
        };
        if !self.known.is_same(identity, &stat, to) {
            self.anyway(to.path())?;
        }
        self.touches(from, &home)?;
        self.touches(to, &away)?;
        // The source, or some of it, did not go: what there is at both ends is put away at the target.
        let has_source = Stat::at(&*home, &from.name).is_ok();
        if has_source && !stat.is_dir() {
            if !identity.is_unwritten(&stat, &to.dir.file_system) {
                self.anyway(to.path())?;
            }
            return Ok(self.put_away(&away, to, Identity::from(&stat), stat.id)?);
        }
        let rule = if has_source { OnConflict::Skip } else { OnConflict::Fail };
        if !relocate::within((to.path(), from.path()), rule, &self.together, self.job, self.pool) {
            return Err(Error::new(Action::Undo, from.path(), Refusal::InPart).into());
        }
        if has_source && Stat::at(&*away, &to.name).is_ok_and(|left| left.id == stat.id) {
            return Ok(self.put_away(&away, to, Identity::from(&stat), stat.id)?);
        }
        Ok(())
    }

    /// Whether an undo that was interrupted brought something back, and did not come to say so.
    fn is_back(&mut self, dir: &OwnedFd, at: &Location, away: &Location, identity: &Identity) -> bool {
        let is_there = |dir: &OwnedFd, at: &Location| {
            Stat::at(dir, &at.name).is_ok_and(|stat| identity.is_unwritten(&stat, &at.dir.file_system))
        };
        if !is_there(dir, at) {
            return false;
        }
        let known = Arc::clone(&self.known);
        // Where it was until now: the number of what came back from elsewhere may have gone to something else.
        let is_away = |dir: &OwnedFd| Stat::at(dir, &away.name).is_ok_and(|stat| known.is_same(identity, &stat, away));
        self.dir(&away.dir).is_ok_and(|dir| !is_away(&dir))
    }

    /// What is in the kept area must be what was put there.
    fn kept(&self, area: &OwnedFd, kept: &Location, identity: &Identity) -> Result<Stat> {
        let stat = match Stat::at(area, &kept.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::new(Action::Undo, kept.path(), Refusal::NotKept));
            }
            stat => stat.during(Action::Stat, || kept.path())?,
        };
        let is_it = identity.is_unwritten(&stat, &kept.dir.file_system);
        if is_it { Ok(stat) } else { Err(changed(kept.path())) }
    }

    /// The time of a directory before the first change in it, if there was one.
    pub(super) fn time_of(&self, dir: &Dir) -> Option<Time> {
        self.touched.get(&dir.path).copied()
    }

    fn touches(&mut self, at: &Location, dir: &OwnedFd) -> Result<()> {
        if self.time_of(&at.dir).is_none() {
            let modified = Stat::of(dir).during(Action::Stat, || &*at.dir.path)?.modified;
            self.touched.insert(Arc::clone(&at.dir.path), modified);
            self.job.journal.did(&Step::Touched { dir: at.dir.clone(), modified });
        }
        Ok(())
    }

    fn open(&mut self, at: &Location) -> Result<Arc<OwnedFd>> {
        self.dir(&at.dir).during(Action::Open, || &*at.dir.path)
    }

    fn open_kept(&mut self, kept: &Location) -> Result<Arc<OwnedFd>> {
        self.dir(&kept.dir).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(Action::Undo, kept.path(), Refusal::NotKept),
            _ => Error::new(Action::Open, &*kept.dir.path, error),
        })
    }

    fn dir(&mut self, dir: &Dir) -> io::Result<Arc<OwnedFd>> {
        if let Some(file) = self.dirs.get(&dir.path) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(steps::open_dir(dir)?);
        if self.dirs.len() >= OPEN {
            self.dirs.clear();
        }
        self.dirs.insert(Arc::clone(&dir.path), Arc::clone(&file));
        Ok(file)
    }
}
