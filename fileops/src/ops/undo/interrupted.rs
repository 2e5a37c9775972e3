//! Undos and redos that were killed, cancelled or failed in part: the next one goes on with them. What was carried to another
//! file system and had its name there leaves its old place; and what they did is the next one's from then on, so that all of
//! it can be undone or redone at once.

use super::settle::settle;
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{self, Begun, Held, Location, Step, Told, Version, Written};
use crate::operation::Job;
use crate::ops::delete::{self, Consent, Mounts, Verdict};
use crate::ops::{recover, steps};
use crate::pool::Pool;
use crate::sys::name;
use crate::sys::stat::{Id, Stat};
use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Ends those that were interrupted while they undid the operation of this name: nothing of theirs is half done any more.
pub(super) fn end(id: &str, job: &Arc<Job>, pool: &Pool) -> Result<()> {
    let interrupted = journal::interrupted().during(Action::Journal, PathBuf::new)?;
    for mut held in interrupted.into_iter().filter(|held| held.journal.undoes.as_deref() == Some(id)) {
        let path = held.journal.path.clone();
        let open: Vec<_> = held.journal.steps.iter().filter(|begun| !begun.is_done).cloned().collect();
        settle(&mut held).during(Action::Journal, || &path)?;
        recover::put_back_modes(&mut held).during(Action::SetMode, || &path)?;
        remove_stages(&held, job, pool)?;
        for begun in open {
            if let (Step::Carried { from, to, .. }, true) = (&begun.step, is_made(&held.journal, begun.number)) {
                if !leave(from, to, &held, job, pool)? {
                    held.settled(begun.number, false).during(Action::Journal, || &path)?;
                    held.journal.steps.retain(|step| step.number != begun.number);
                }
            }
        }
        let ended = if held.journal.has_changes() { held.archive() } else { held.forget() };
        ended.during(Action::Journal, || &path)?;
    }
    Ok(())
}

fn is_made(journal: &Written, number: u64) -> bool {
    journal.steps.iter().any(|begun| begun.number == number && begun.is_done)
}

/// What an interrupted operation staged goes; the job has all failures but the last.
pub(super) fn remove_stages(held: &Held, job: &Arc<Job>, pool: &Pool) -> Result<()> {
    recover::remove_stages(&held.journal, pool).map_err(|errors| {
        let none = || Error::new(Action::Undo, &held.journal.path, io::Error::from(io::ErrorKind::InvalidData));
        last_of(errors, job, none)
    })
}

fn last_of(mut errors: Vec<Error>, job: &Job, none: impl FnOnce() -> Error) -> Error {
    let last = errors.pop().unwrap_or_else(none);
    errors.into_iter().for_each(|error| job.fail(error));
    last
}

/// What was carried and has its new name goes from its old place, as far as it is what was read. Gives whether it is away:
/// where nothing tells what was read, nothing went yet, and the copy goes instead.
fn leave(from: &Location, to: &Location, held: &Held, job: &Arc<Job>, pool: &Pool) -> Result<bool> {
    let at = || from.path();
    let dir = Arc::new(steps::open_dir(&from.dir).during(Action::Open, || &*from.dir.path)?);
    let stat = match Stat::at(&*dir, &from.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        stat => stat.during(Action::Stat, at)?,
    };
    let read = Read::of(held, &from.dir.file_system, &stat).during(Action::Journal, || &held.journal.path)?;
    if !stat.is_dir() {
        return match read.knows(&stat) {
            true => name::unlink(&*dir, &from.name).during(Action::Remove, at).map(|()| true),
            false => remove_copy(to, &stat).during(Action::Remove, || to.path()).map(|()| false),
        };
    }
    let doomed = (dir, from.path(), from.name.clone(), stat.id);
    let left = delete::permitted(doomed, Mounts::Stay, pool, Arc::new(read));
    if left.is_empty() { Ok(true) } else { Err(last_of(left, job, || Error::new(Action::Undo, at(), Refusal::InPart))) }
}

/// A copy of what is still in its place. One that somebody changed since stays, and is a failure.
fn remove_copy(at: &Location, of: &Stat) -> io::Result<()> {
    let dir = steps::open_dir(&at.dir)?;
    let copy = Stat::at(&dir, &at.name)?;
    if copy.is_dir() || (copy.size, copy.modified) != (of.size, of.modified) {
        return Err(Refusal::ChangedSince.into());
    }
    name::unlink(&dir, &at.name)
}

/// What was read on a file system, by inode.
struct Read {
    files: HashMap<u64, Vec<Told>>,
    /// The top of a tree is recorded when it has its name, which may be too late.
    top: Id,
}

impl Read {
    fn of(held: &Held, file_system: &str, top: &Stat) -> io::Result<Read> {
        let mut files = HashMap::<u64, Vec<Told>>::new();
        for passed in held.passages()? {
            let (on, Version { inode, told }) = passed.from;
            if &*on == file_system {
                files.entry(inode).or_default().push(told);
            }
        }
        Ok(Read { files, top: top.id })
    }

    fn knows(&self, stat: &Stat) -> bool {
        let is_it = |told: &Told| match *told {
            _ if stat.is_dir() => true,
            Told::Changed(time) => time == stat.changed,
            Told::Modified(time) => time == stat.modified,
        };
        self.files.get(&stat.id.ino).is_some_and(|all| all.iter().any(is_it))
    }
}

impl Consent for Read {
    fn may_go(&self, _: Id, _: &CStr, stat: &Stat) -> Verdict {
        if stat.id == self.top || self.knows(stat) {
            Verdict::Go
        } else if self.files.contains_key(&stat.id.ino) {
            Verdict::Changed
        } else {
            Verdict::Foreign
        }
    }

    fn stays(&self, _: Id) -> bool {
        false
    }
}

/// What those that undid or redid a part did is this operation's from now on.
///
/// # Errors
/// Nothing of it is lost then.
pub(super) fn take_over(mut from: Vec<Held>, id: &str, verb: &str, job: &Job) -> Result<()> {
    for held in &mut from {
        settle(held).during(Action::Journal, || &held.journal.path)?;
    }
    from.iter().for_each(|held| copy_steps(held, job));
    // Written now, and with all before it.
    job.journal.undoes(id, verb);
    job.journal.error().map_or(Ok(()), Err).during(Action::Journal, PathBuf::new)?;
    for held in from {
        held.forget_but_passages().during(Action::Journal, || &held.journal.path)?;
    }
    Ok(())
}

fn copy_steps(held: &Held, job: &Job) {
    for begun in held.journal.steps.iter().filter(|begun| begun.is_done && !begun.is_inverted) {
        job.journal.did(&begun.step);
    }
}

/// What was not undone of an operation that is redone is a part of the redo too: written with what follows.
pub(super) fn share(original: &mut Held, job: &Job) -> Result<()> {
    settle(original).during(Action::Journal, || &original.journal.path)?;
    if original.journal.has_changes() {
        copy_steps(original, job);
    }
    Ok(())
}

/// It is the redo's alone, now that it is written there.
pub(super) fn give(original: &mut Held) -> io::Result<()> {
    let is_left = |begun: &&Begun| begun.step.is_change() && !begun.is_inverted;
    let left: Vec<_> = original.journal.steps.iter().filter(is_left).map(|begun| begun.number).collect();
    left.into_iter().try_for_each(|number| original.inverted(number))
}

/// Those operations that undo this one, the oldest first, that made something.
pub(super) fn undoing(id: &str, verb: &str) -> Result<Vec<Held>> {
    let past = journal::history().during(Action::Journal, PathBuf::new)?;
    let is_it = |past: &&Written| past.verb == verb && past.undoes.as_deref() == Some(id) && past.has_changes();
    past.iter().filter(is_it).map(|past| super::hold(&past.id, Action::Undo)).collect()
}
