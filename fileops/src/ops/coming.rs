//! What is to be done where something comes back, and something else has its name by now: by rule, or by an answer.

use super::turns::Answer;
use super::{renaming, steps};
use crate::comparison::{Comparer, GoesOn, Sides, Which};
use crate::conflict::{Conflict, OnConflict, numbered};
use crate::engine::{Stop, Visit};
use crate::error::{Action, During, Error, Refusal};
use crate::journal::{Identity, Location, Pending, Step};
use crate::operation::Job;
use crate::pool::Pool;
use crate::question::{Question, Resolution};
use crate::report::NoteKind;
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Something on its way back.
pub(super) struct Coming<'a> {
    pub(super) job: &'a Job,
    pub(super) pool: &'a Pool,
    pub(super) action: Action,
    pub(super) rule: OnConflict,
    pub(super) answer: Answer<'a>,
    /// Where it is.
    pub(super) from: (&'a OwnedFd, &'a Location),
    pub(super) stat: &'a Stat,
    /// What the caller calls it.
    pub(super) path: &'a Path,
    /// Where it belongs.
    pub(super) to: (&'a OwnedFd, &'a Location),
}

/// What is to be done.
pub(super) enum Ruling {
    /// Nobody has the name any more.
    Free,
    /// What is there stays.
    Skip,
    /// What is there is kept elsewhere, and makes room. It is no directory.
    Replace(Stat),
    /// It comes back under this name.
    Name(CString),
}

impl Coming<'_> {
    /// What is to be done, after the kernel said that the name is taken. A directory is never merged with another one, nor
    /// does anything else take a directory's place.
    ///
    /// # Errors
    /// The question, if that is to be asked.
    pub(super) fn ruling(&self) -> Visit<Ruling> {
        let (dir, at) = self.to;
        let old = match Stat::at(dir, &at.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ruling::Free),
            old => old.during(Action::Stat, || at.path())?,
        };
        let has_dir = old.is_dir() || self.stat.is_dir();
        let replaces = match self.resolution(&old)? {
            Resolution::Skip => false,
            Resolution::KeepBoth => return self.free_name().map(Ruling::Name),
            Resolution::Rename(name) => return self.given_name(&name).map(Ruling::Name),
            _ if has_dir && old.is_dir() != self.stat.is_dir() => return Err(self.refused(Refusal::KindDiffers)),
            _ if has_dir => return Err(self.refused(Refusal::Exists)),
            Resolution::Replace => true,
            Resolution::Newer => self.stat.modified > old.modified,
            Resolution::Different => self.differs()?,
            // What does not fit is no answer.
            _ => return Err(self.refused(Refusal::Exists)),
        };
        Ok(if replaces { Ruling::Replace(old) } else { Ruling::Skip })
    }

    /// What was answered, if it was about what is there now; else the rule.
    fn resolution(&self, old: &Stat) -> Visit<Resolution> {
        match self.answer {
            Some((answer @ (Resolution::Skip | Resolution::KeepBoth | Resolution::Rename(_)), _)) => {
                return Ok(answer.clone());
            }
            Some((answer @ (Resolution::Replace | Resolution::Newer | Resolution::Different), seen))
                if seen.is_none_or(|seen| seen.id == old.id && seen.is_unchanged(old)) =>
            {
                return Ok(answer.clone());
            }
            _ => {}
        }
        Ok(match self.rule {
            OnConflict::Ask => return Err(self.conflict(self.to.1, old)),
            OnConflict::Fail => return Err(self.refused(Refusal::Exists)),
            OnConflict::Skip => Resolution::Skip,
            OnConflict::Replace => Resolution::Replace,
            OnConflict::Rename => Resolution::KeepBoth,
            OnConflict::Newer => Resolution::Newer,
            OnConflict::Different => Resolution::Different,
        })
    }

    fn refused(&self, refusal: Refusal) -> Stop {
        let error = Error::new(self.action, self.path, refusal);
        let target = self.to.1.path();
        if target == self.path { error.into() } else { error.with_target(target).into() }
    }

    fn conflict(&self, at: &Location, old: &Stat) -> Stop {
        let (from, to) = (self.from.1.clone(), at.clone());
        // It holds no descriptor: thousands of questions may be open.
        let comparer = Comparer::new(self.pool, move |goes_on: GoesOn<'_>| {
            let (source, target) = (steps::open_dir(&from.dir)?, steps::open_dir(&to.dir)?);
            let sides = Sides { source: (&source, &from.name, Follow::No), target: (&target, &to.name) };
            let go_on = || if goes_on() { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) };
            sides.are_equal(go_on, |_, _, error| error)
        });
        let conflict = Conflict::new(self.action, (self.path.to_owned(), self.stat), (at.path(), old), comparer);
        Question::Conflict(Arc::new(conflict.cannot_merge())).into()
    }

    fn differs(&self) -> Visit<bool> {
        let ((source, from), (target, to)) = (self.from, self.to);
        let sides = Sides { source: (source, &from.name, Follow::No), target: (target, &to.name) };
        let failed = |which, action, error| match which {
            Which::First => Stop::from(Error::new(action, from.path(), error)),
            Which::Second => Stop::from(Error::new(action, to.path(), error)),
        };
        sides.are_equal(|| self.job.checkpoint().map_err(Stop::from), failed).map(|are_equal| !are_equal)
    }

    /// "name (2)", "name (3)": the first that is free now.
    fn free_name(&self) -> Visit<CString> {
        let (dir, at) = self.to;
        for name in (2..u32::MAX).map(|number| numbered(&at.name, number)) {
            match Stat::at(dir, &name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
                Err(error) => return Err(error).during(Action::Stat, || at.path()).map_err(Stop::from),
                Ok(_) => {}
            }
        }
        Err(self.refused(Refusal::Exists))
    }

    /// The name that somebody gave it; if that is taken too, it is one more question.
    fn given_name(&self, name: &OsStr) -> Visit<CString> {
        let (dir, at) = self.to;
        let name = CString::new(name.as_bytes()).map_err(io::Error::from).during(Action::Rename, || at.path())?;
        let given = Location { dir: at.dir.clone(), name };
        match Stat::at(dir, &given.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(given.name),
            Ok(old) => Err(self.conflict(&given, &old)),
            Err(error) => Err(error).during(Action::Stat, || given.path()).map_err(Stop::from),
        }
    }

    /// Takes the place of an old file, which must still be the one that was seen there: it goes to the kept area, if steps
    /// are kept.
    pub(super) fn replace(&self, old: &Stat) -> io::Result<()> {
        let ((source, from), (target, to)) = (self.from, self.to);
        let journal = &self.job.journal;
        let place = match journal.keeps_steps() {
            true => self.job.kept.place(target, &to.dir.path, journal),
            false => None,
        };
        let moved = Step::Moved { from: from.clone(), to: to.clone(), identity: Identity::from(self.stat) };
        let records = place.as_ref().map(|place| {
            let removed = Step::Removed { at: to.clone(), kept: place.at.clone(), identity: Identity::from(old) };
            (journal.intend(&removed), journal.intend(&moved))
        });
        let replaced = renaming::replace((source, &from.name), (target, &to.name), self.stat, old, place.as_ref());
        match (&replaced, journal.keeps_steps()) {
            (Ok(renaming::Displaced::Kept), _) => self.job.kept.add(old.allocated),
            (Ok(renaming::Displaced::Gone(error)), true) => {
                self.job.note(NoteKind::NotKept, error.as_ref(), || to.path());
            }
            _ => {}
        }
        let settle = |pending: Pending, is_done| if is_done { journal.done(pending) } else { journal.undone(pending) };
        match records {
            Some((removed, came)) => {
                settle(removed, matches!(replaced, Ok(renaming::Displaced::Kept)));
                settle(came, replaced.is_ok());
            }
            None if replaced.is_ok() => journal.did(&moved),
            None => {}
        }
        replaced.map(|_| ())
    }
}
