//! What several verbs do to keep their steps undoable, and to find what a step speaks of.

use crate::journal::{Dir, Location, Pending, Step};
use crate::operation::Job;
use crate::sys::stat::{self, Id, Stat, Time};
use crate::sys::{attributes, mount, name, open};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Opens a recorded directory, if it is still on the file system it was on.
pub(crate) fn open_dir(dir: &Dir) -> io::Result<OwnedFd> {
    let file = open::real(&dir.path)?;
    if mount::lasting_name(&file, &dir.path) != *dir.file_system {
        // Another medium is there.
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    Ok(file)
}

/// Seals a new tree: what is changed in it from now on has a change time that is not before the recorded one. The clock is
/// that of the file system, asked by setting the times of the tree's top to what they are.
pub(crate) fn seal(job: &Job, at: &Location, id: Id) {
    let sealed = open_dir(&at.dir).and_then(|dir| {
        let touch = || -> io::Result<Time> {
            let stat = Stat::at(&dir, &at.name)?;
            if stat.id != id {
                return Err(io::ErrorKind::NotFound.into());
            }
            attributes::set_times_at(&dir, &at.name, stat.accessed, stat.modified)?;
            Ok(Stat::at(&dir, &at.name)?.changed)
        };
        let (time, now) = (touch()?, stat::coarse_now());
        if time > now {
            return Ok(time);
        }
        // By a clock that ticks every few milliseconds something before could have the same time: not by the next tick.
        for _ in 0..20 {
            if stat::coarse_now() > now {
                break;
            }
            job.control.rest(Duration::from_millis(1));
        }
        touch()
    });
    if let Ok(time) = sealed {
        job.journal.did(&Step::Sealed { at: at.clone(), time });
    }
}

/// The same for a single file that has its name: its change time is that of the rename. One with several names gets new
/// times with each of them.
pub(crate) fn seal_file(job: &Job, dir: &OwnedFd, at: Location) {
    if let Some(stat) = Stat::at(dir, &at.name).ok().filter(|stat| stat.links == 1) {
        job.journal.did(&Step::Sealed { at, time: stat.changed });
    }
}

/// An operation that changed nothing leaves the times of directories as they were, although it worked in them.
pub(crate) fn put_back_times(job: &Job) {
    for step in job.journal.only_touched() {
        if let Step::Touched { dir, modified } = step {
            let _ = open_dir(&dir).and_then(|file| set_modified(&file, modified));
        }
    }
}

/// Records when a directory was changed last, before something changes in it. An error of the moment must not cost that: it is
/// asked once more.
///
/// # Errors
/// Where it cannot be told: an undo could not put it back.
pub(crate) fn touch(job: &Job, dir: &Dir, file: impl AsFd) -> io::Result<()> {
    let modified = Stat::of(&file).or_else(|_| Stat::of(&file))?.modified;
    job.journal.did(&Step::Touched { dir: dir.clone(), modified });
    Ok(())
}

/// Records the times that directories are left with, so that an undo can tell whether somebody else touched them since.
pub(crate) fn leave(job: &Job) {
    for dir in job.journal.touched() {
        if let Ok(stat) = open_dir(&dir).and_then(Stat::of) {
            let Stat { modified, changed, .. } = stat;
            job.journal.did(&Step::Left { dir, modified, changed, inode: stat.id.ino });
        }
    }
}

pub(crate) fn set_modified(dir: &OwnedFd, modified: Time) -> io::Result<()> {
    attributes::set_times(dir, Stat::of(dir)?.accessed, modified)
}

/// Renames an entry to a free name, if it is the file that `id` says; looks once more afterwards, and puts back what was
/// another file. A directory that only lacks its owner's permission is given it for the time.
pub(crate) fn rename(from: &OwnedFd, name: &CStr, to: &OwnedFd, new_name: &CStr, id: Id) -> io::Result<()> {
    let before = Stat::at(from, name)?;
    if before.id != id {
        return Err(io::ErrorKind::NotFound.into());
    }
    let renamed = match name::rename_new(from, name, to, new_name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && before.is_dir() => {
            attributes::set_mode_at(from, name, before.permissions() | 0o200)?;
            let renamed = name::rename_new(from, name, to, new_name);
            let (dir, name) = if renamed.is_ok() { (to, new_name) } else { (from, name) };
            attributes::set_mode_at(dir, name, before.permissions())?;
            renamed
        }
        renamed => renamed,
    };
    match (renamed, Stat::at(to, new_name)) {
        (Ok(()), Ok(after)) if after.id != id => {
            name::rename_new(to, new_name, from, name)?;
            Err(io::Error::from_raw_os_error(libc::ESTALE))
        }
        // The reply can be lost.
        (Err(_), Ok(after)) if after.id == id && before.links == after.links && is_gone(from, name) => Ok(()),
        (renamed, _) => renamed,
    }
}

fn is_gone(dir: &OwnedFd, name: &CStr) -> bool {
    Stat::at(dir, name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Records what became of a step.
pub(crate) fn settle<T>(job: &Job, pending: Pending, made: io::Result<T>) -> io::Result<T> {
    match &made {
        Ok(_) => job.journal.done(pending),
        Err(_) => job.journal.undone(pending),
    }
    made
}

/// Whether an error says that the file system has no RENAME_EXCHANGE.
pub(crate) fn cannot_exchange(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
}

/// Answers to a change of names that say for sure that the names are as they were, whatever the call.
pub(crate) const REFUSALS: [i32; 13] = [
    libc::EPERM,
    libc::EACCES,
    libc::EROFS,
    libc::ENOTDIR,
    libc::EISDIR,
    libc::EEXIST,
    libc::ENOTEMPTY,
    libc::EBUSY,
    libc::EXDEV,
    libc::ENOSPC,
    libc::EDQUOT,
    libc::ENAMETOOLONG,
    libc::ELOOP,
];
