//! Where an entry goes: its name at the target, and what the rules say when that is taken.

use super::Copying;
use super::attributes::{Made, Target};
use super::place::{Place, Spot};
use super::{Copies, Names, compare, names};
use crate::comparison::{Comparer, GoesOn};
use crate::conflict::{self, Conflict, OnConflict};
use crate::control::lock;
use crate::engine::{End, Entry, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::progress::{LARGE, add};
use crate::question::{Question, Resolution};
use crate::sys::attributes;
use crate::sys::stat::{Id, Stat};
use rustix::fs::FileType;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What is to be done with an entry whose place is taken.
pub(super) enum Ruling {
    Fail,
    Ask,
    Do(Resolution),
}

impl Copying {
    /// The name of an entry at the target, by rule.
    pub(super) fn name_at_target(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit<CString> {
        if let Some(name) = &entry.dir.data.root_name {
            return Ok(name.clone());
        }
        let route = entry.dir.data.route();
        if !route.target.has_fat_names() && self.options.names == Names::Keep {
            return Ok(entry.name.to_owned());
        }
        names::at_target(self, worker, entry, route.target)
    }

    /// Where an entry goes; `None` if it is left out by rule.
    pub(super) fn spot(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>, stat: &Stat) -> Visit<Option<Spot>> {
        let wanted = self.name_at_target(worker, entry)?;
        if entry.dir.data.is_fresh() {
            return Ok(Some(Spot::Direct(wanted)));
        }
        self.touch(entry.dir);
        let path = || entry.dir.path_of(End::Target, &wanted);
        let target = worker.descriptor(entry.dir, End::Target).during(Action::Open, path)?;
        let old = match Stat::at(&*target, &wanted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Spot::New(wanted))),
            old => old.during(Action::Stat, path)?,
        };
        if self.moving.is_some() && old.id == stat.id {
            return Err(self.refusal(entry, &wanted, Refusal::SameFile));
        }
        let replaces = match self.ruling(worker, entry, &old) {
            Ruling::Do(Resolution::Skip) => false,
            Ruling::Do(Resolution::KeepBoth) => {
                let name = self.free_name(&target, &wanted).during(Action::Stat, path)?;
                return Ok(Some(Spot::New(name)));
            }
            Ruling::Do(Resolution::Rename(name)) => {
                return self.given_name(worker, entry, stat, &target, &name).map(Spot::New).map(Some);
            }
            _ if old.id == stat.id => return Err(self.refusal(entry, &wanted, Refusal::SameFile)),
            Ruling::Ask => return Err(self.conflict(worker, entry, stat, &wanted, &old)),
            Ruling::Fail => return Err(self.refusal(entry, &wanted, Refusal::Exists)),
            Ruling::Do(_) if old.is_dir() => return Err(self.refusal(entry, &wanted, Refusal::KindDiffers)),
            Ruling::Do(Resolution::Replace) => true,
            Ruling::Do(Resolution::Newer) => stat.modified > old.modified,
            Ruling::Do(Resolution::Different) => compare::differ(worker, entry, &target, &wanted)?,
            // What does not fit is no answer.
            Ruling::Do(_) => return Err(self.refusal(entry, &wanted, Refusal::Exists)),
        };
        if replaces {
            // Two sources of one name, or names that the target takes for one.
            if lock(&self.placed).contains(&old.id) {
                return Err(self.refusal(entry, &wanted, Refusal::Exists));
            }
            if stat.kind() == FileType::Symlink && self.leads_to(worker, entry, &old) {
                return Err(self.refusal(entry, &wanted, Refusal::SameFile));
            }
            return Ok(Some(Spot::Replace(wanted, old)));
        }
        if stat.is_file() && stat.links < 2 {
            add(&worker.counters.passed_bytes, stat.size);
            if stat.size > LARGE {
                worker.counters.add_large(stat.size, Duration::ZERO);
            }
        }
        self.skip(worker, entry, &wanted).map(|()| None)
    }

    /// What is to be done where something is at the target: what was answered about it, else the rule.
    pub(super) fn ruling(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, old: &Stat) -> Ruling {
        if let Some(answer) = self.answer(worker, entry, old) {
            return Ruling::Do(answer);
        }
        match self.options.on_conflict {
            OnConflict::Ask if worker.can_ask() => Ruling::Ask,
            OnConflict::Ask | OnConflict::Fail => Ruling::Fail,
            OnConflict::Skip => Ruling::Do(Resolution::Skip),
            OnConflict::Replace => Ruling::Do(Resolution::Replace),
            OnConflict::Rename => Ruling::Do(Resolution::KeepBoth),
            OnConflict::Newer => Ruling::Do(Resolution::Newer),
            OnConflict::Different => Ruling::Do(Resolution::Different),
        }
    }

    /// What was answered, if it was about what is there now.
    pub(super) fn answer(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, old: &Stat) -> Option<Resolution> {
        let (answer, seen) = worker.answer(entry)?;
        let loses_nothing = matches!(answer, Resolution::Skip | Resolution::KeepBoth | Resolution::Rename(_));
        let is_same = |seen: &Stat| seen.id == old.id && (old.is_dir() || seen.is_unchanged(old));
        (loses_nothing || seen.is_none_or(is_same)).then(|| answer.clone())
    }

    /// The question that a target raises.
    pub(super) fn conflict(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        stat: &Stat,
        wanted: &CStr,
        old: &Stat,
    ) -> Stop {
        let source = (entry.dir.path_of(End::Source, entry.name), stat);
        let target = (entry.dir.path_of(End::Target, wanted), old);
        let conflict = Conflict::new(self.action(), source, target, compare::comparer(worker, entry, wanted));
        Question::Conflict(Arc::new(conflict)).into()
    }

    /// The question that a new tree raises when its name was taken meanwhile: it is made, and cannot go into another one.
    pub(super) fn late_conflict(
        &self,
        worker: &Worker<Self>,
        dir: &Arc<Node<Place>>,
        target: (PathBuf, &Stat),
    ) -> Stop {
        let cannot = |_: GoesOn<'_>| Err(io::ErrorKind::IsADirectory.into());
        let comparer = Comparer::new(worker.pool(), cannot);
        let conflict = Conflict::new(self.action(), (dir.path(End::Source), dir.stat()), target, comparer);
        Question::Conflict(Arc::new(conflict.cannot_merge())).into()
    }

    /// The name that somebody gave an entry; if that is taken too, it is one more question.
    pub(super) fn given_name(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        stat: &Stat,
        target: &OwnedFd,
        name: &OsStr,
    ) -> Visit<CString> {
        let path = || entry.dir.path(End::Target).join(name);
        let wanted = CString::new(name.as_bytes()).map_err(io::Error::from).during(Action::Create, path)?;
        match Stat::at(target, &wanted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(wanted),
            Ok(old) => Err(self.conflict(worker, entry, stat, &wanted, &old)),
            Err(error) => Err(error).during(Action::Stat, path).map_err(Stop::from),
        }
    }

    /// Something comes into a directory that had its times already, if it is one of ours.
    pub(super) fn touch(&self, dir: &Node<Place>) {
        if dir.data.is_ours() {
            dir.data.was_touched.store(true, Relaxed);
        }
    }

    /// Whether a link leads to what it would replace: nothing would be left but a link to itself.
    fn leads_to(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, old: &Stat) -> bool {
        let source = worker.descriptor(entry.dir, End::Source);
        source.and_then(|dir| Stat::following(&*dir, entry.name)).is_ok_and(|stat| stat.id == old.id)
    }

    pub(super) fn skip(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, wanted: &CStr) -> Visit {
        let source = entry.dir.path_of(End::Source, entry.name);
        add(&worker.counters.passed, 1);
        worker.job().skip(source, entry.dir.path_of(End::Target, wanted));
        entry.dir.data.old.keep();
        Ok(())
    }

    pub(super) fn refusal(&self, entry: &Entry<'_, Self>, wanted: &CStr, refusal: Refusal) -> Stop {
        let error = Error::new(self.action(), entry.dir.path_of(End::Source, entry.name), refusal);
        error.with_target(entry.dir.path_of(End::Target, wanted)).into()
    }

    /// "name (2)", "name (3)": the first that is free now. The publication finds out whether it still is.
    pub(super) fn free_name(&self, dir: &OwnedFd, name: &CStr) -> io::Result<CString> {
        let candidate = |number| match self.options.copies {
            Copies::AreNumbered => conflict::numbered(name, number + 1),
            Copies::AreDuplicates => conflict::duplicated(name, number),
        };
        for candidate in (1..u32::MAX).map(candidate) {
            match Stat::at(dir, &candidate) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(candidate),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Keeps in mind that a file is ours, where a later one could replace it.
    pub(super) fn placed(&self, id: Id) {
        if !matches!(self.options.on_conflict, OnConflict::Fail | OnConflict::Skip | OnConflict::Rename) {
            lock(&self.placed).insert(id);
        }
    }

    /// Owner and mode of a file just made. The first in a directory is asked, the others are like it.
    pub(super) fn made(&self, dir: &Node<Place>, file: &OwnedFd, mode: u32) -> io::Result<Made> {
        if dir.data.is_fresh() {
            if let Some(&owner) = dir.data.born.get() {
                return Ok(Made { owner, mode: mode & !self.umask });
            }
            let made = made_of(file)?;
            if made.mode == mode & !self.umask {
                let _ = dir.data.born.set(made.owner);
            } else {
                // Modes of its own: each file has to be asked.
                dir.data.route().own_modes();
            }
            return Ok(made);
        }
        let inherits = *dir.data.inherits.get_or_init(|| {
            let access = attributes::Subject::File(file);
            attributes::xattr(access, c"system.posix_acl_access", &mut Vec::new()).is_ok()
        });
        if inherits {
            self.disinherit(&Target::File(file));
        }
        let stat = Stat::of(file)?;
        self.placed(stat.id);
        let made = Made { owner: (stat.uid, stat.gid), mode: stat.permissions() };
        if made.mode != mode & !self.umask {
            dir.data.route().own_modes();
        }
        Ok(made)
    }
}

pub(super) fn made_of(file: &OwnedFd) -> io::Result<Made> {
    let stat = Stat::of(file)?;
    Ok(Made { owner: (stat.uid, stat.gid), mode: stat.permissions() })
}
