//! Steps of which a kill left the intention only: what is where tells whether they were made. What is not where it belongs
//! is put there.

use crate::journal::{Held, Identity, Location, Recorded, Step, Written, has_lasting_inodes};
use crate::ops::steps;
use crate::sys::stat::{Stat, Time};
use crate::sys::{list, name};
use std::ffi::CString;
use std::io;

/// Finds out what became of each step, and records it.
///
/// # Errors
/// Where something cannot be looked at, such as on a medium that is not there, the step stays open.
pub(crate) fn settle(held: &mut Held) -> io::Result<()> {
    let open: Vec<_> = held.journal.steps.iter().filter(|begun| !begun.is_done).cloned().collect();
    let mut failed = None;
    for begun in open {
        match was_made(&begun.step, &held.journal) {
            Ok(is_done) => {
                held.settled(begun.number, is_done)?;
                if is_done {
                    held.journal
                        .steps
                        .iter_mut()
                        .filter(|step| step.number == begun.number)
                        .for_each(|step| step.is_done = true);
                } else {
                    held.journal.steps.retain(|step| step.number != begun.number);
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), Err)
}

fn was_made(step: &Step, journal: &Written) -> io::Result<bool> {
    match step {
        Step::Created { at, identity } => {
            clear_way(at, identity)?;
            is_at(at, identity)
        }
        Step::Removed { at, kept, identity } => {
            clear_way(kept, identity)?;
            drop_second(at, kept, identity)?;
            Ok(is_at(kept, identity)? || was_exchanged(at, kept, identity, journal)?)
        }
        Step::Moved { from, to, identity } => {
            clear_way(to, identity)?;
            drop_second(from, to, identity)?;
            Ok(is_at(to, identity)? && !is_at(from, identity)?)
        }
        // Whether the source went or not: the copy has its name.
        Step::Carried { to, identity, .. } => is_at(to, identity),
        Step::Replaced { at, new, kept, old } => replaced(at, new, kept, old, &journal.stages),
        Step::Sealed { .. } | Step::Touched { .. } | Step::Left { .. } => Ok(true),
    }
}

/// Where a file system cannot rename to free names only, an empty directory is made for one and renamed over: what a kill in
/// between left goes.
fn clear_way(at: &Location, identity: &Identity) -> io::Result<()> {
    const DIRECTORY: u32 = 0o040_000;
    if has_lasting_inodes(&at.dir.file_system) || identity.mode & 0o170_000 != DIRECTORY {
        return Ok(());
    }
    let Some(found) = look(at)?.filter(|found| found.is_dir() && found.id.ino != identity.inode) else { return Ok(()) };
    let dir = steps::open_dir(&at.dir)?;
    let is_made_for_it = found.permissions() == 0o700 && list::is_empty(&dir, &at.name);
    if is_made_for_it { name::rmdir(&dir, &at.name) } else { Ok(()) }
}

/// Elsewhere a file gets a second name first, and then loses its old one: a kill in between left both.
fn drop_second(from: &Location, to: &Location, identity: &Identity) -> io::Result<()> {
    let (Some(old), Some(new)) = (look(from)?, look(to)?) else { return Ok(()) };
    let is_second = old.id == new.id && !old.is_dir() && identity.changed != Time::default();
    if is_second && identity.is_same(&new, &to.dir.file_system) {
        name::unlink(&steps::open_dir(&to.dir)?, &to.name)?;
    }
    Ok(())
}

/// What was moved to the name of an old file was exchanged with it, and the old one has the source's name since.
fn was_exchanged(at: &Location, kept: &Location, old: &Identity, journal: &Written) -> io::Result<bool> {
    for begun in &journal.steps {
        if let Step::Moved { from, to, identity } = &begun.step {
            if to == at && is_at(to, identity)? && is_at(from, old)? {
                rename(from, kept)?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The old file is under its own name, under the stage's, or in the kept area.
fn replaced(at: &Location, new: &Identity, kept: &Location, old: &Identity, stages: &[Recorded]) -> io::Result<bool> {
    if is_at(kept, old)? && !is_at(at, old)? {
        if look(at)?.is_none() {
            // Between the two renames of a file system that cannot exchange.
            rename(kept, at)?;
            return Ok(false);
        }
        return Ok(true);
    }
    if let (Some(one), Some(other)) = (look(at)?, look(kept)?) {
        if one.id == other.id && old.is_same(&one, &at.dir.file_system) {
            // It got its second name there, and nothing took its first.
            name::unlink(&steps::open_dir(&kept.dir)?, &kept.name)?;
        }
    }
    if is_at(at, old)? || !is_at(at, new)? {
        return Ok(false);
    }
    let stage = stages.iter().find(|stage| *stage.dir == *at.dir.path && stage.wanted == at.name);
    let Some(stage) = stage else { return Ok(false) };
    let staged = Location { dir: at.dir.clone(), name: CString::clone(&stage.name) };
    if !is_at(&staged, old)? {
        return Ok(false);
    }
    rename(&staged, kept)?;
    Ok(true)
}

fn look(at: &Location) -> io::Result<Option<Stat>> {
    let dir = match steps::open_dir(&at.dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        dir => dir?,
    };
    match Stat::at(&dir, &at.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        stat => stat.map(Some),
    }
}

fn is_at(at: &Location, identity: &Identity) -> io::Result<bool> {
    Ok(look(at)?.is_some_and(|stat| identity.is_same(&stat, &at.dir.file_system)))
}

fn rename(from: &Location, to: &Location) -> io::Result<()> {
    let (source, target) = (steps::open_dir(&from.dir)?, steps::open_dir(&to.dir)?);
    name::rename_new(&source, &from.name, &target, &to.name)
}
