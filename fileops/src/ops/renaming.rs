//! Renaming one entry from directory to directory, so that at each moment it has exactly one of its two names, and nothing
//! else loses its own. Errors leave as the kernel gave them; EXDEV means that the entry has to be copied.

use crate::error::Refusal;
use crate::kept;
use crate::ops::steps::{REFUSALS, cannot_exchange};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{attributes, list, name};
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

/// A name in an open directory.
pub(super) type At<'a> = (&'a OwnedFd, &'a CStr);

/// How often a call is made that was interrupted and did nothing.
const ATTEMPTS: usize = 100;

/// Renames an entry to a name that is free; EEXIST if it is not.
pub(super) fn rename(from: At<'_>, to: At<'_>, stat: &Stat) -> io::Result<()> {
    let attempt = || match name::rename_new(from.0, from.1, to.0, to.1) {
        Err(error) if may_be_done(&error) && is_moved(from, to, stat) => Ok(()),
        answer => answer,
    };
    match attempt() {
        // `..` in it is going to change, which takes the right to write to it.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) && stat.is_dir() && stat.mode & 0o200 == 0 => {
            while_writable(from, stat, attempt).unwrap_or(Err(error))
        }
        answer => answer,
    }
}

/// Lets a directory's owner write to it for the time. `None` if that cannot be.
fn while_writable(at: At<'_>, stat: &Stat, work: impl Fn() -> io::Result<()>) -> Option<io::Result<()>> {
    let file = open::dir(at.0, at.1, Follow::No).ok()?;
    if Stat::of(&file).ok()?.id != stat.id {
        return None;
    }
    attributes::set_mode(&file, stat.permissions() | 0o200).ok()?;
    let answer = work();
    let _ = attributes::set_mode(&file, stat.permissions());
    Some(answer)
}

/// What became of the old file.
#[derive(Debug)]
pub(super) enum Displaced {
    /// It is in the kept area.
    Kept,
    /// It is gone: it was not to be kept, or could not be.
    Gone(Option<io::Error>),
}

/// Renames an entry to the name of an old file, which must still be the one that was seen there and goes to a place in the
/// kept area, if there is one.
pub(super) fn replace(
    from: At<'_>,
    to: At<'_>,
    stat: &Stat,
    old: &Stat,
    place: Option<&kept::Place>,
) -> io::Result<Displaced> {
    match until_done(from, to, stat, Some(old), || name::exchange(from.0, from.1, to.0, to.1)) {
        Ok(()) => {
            let is_old = |found: Stat| found.is_unchanged(old) && !found.is_dir();
            let is_right = Stat::at(from.0, from.1).is_ok_and(is_old)
                && Stat::at(to.0, to.1).is_ok_and(|arrived| arrived.id == stat.id);
            if !is_right {
                name::exchange(from.0, from.1, to.0, to.1)?;
                return Err(Refusal::TargetChanged.into());
            }
            put_away(from, place).or_else(|error| match name::exchange(from.0, from.1, to.0, to.1) {
                Ok(()) => Err(error),
                Err(_) if inode(from) == Some(None) => Ok(Displaced::Gone(None)),
                Err(_) => Err(error),
            })
        }
        Err(error) if cannot_exchange(&error) => {
            let now = Stat::at(to.0, to.1)?;
            if !now.is_unchanged(old) || now.is_dir() {
                return Err(Refusal::TargetChanged.into());
            }
            rename_over(from, to, stat, place)
        }
        Err(error) => Err(error),
    }
}

/// After the exchange: the old file has the source's name.
fn put_away(at: At<'_>, place: Option<&kept::Place>) -> io::Result<Displaced> {
    match place.map(|place| place.take(at.0, at.1)) {
        Some(Ok(())) => Ok(Displaced::Kept),
        Some(Err(error)) if may_be_done(&error) => Err(error),
        refused => name::unlink(at.0, at.1).map(|()| Displaced::Gone(refused.and_then(Result::err))),
    }
}

/// Where the file system cannot exchange. With a second name in the kept area the old file is never without one; where there
/// are no second names it is away for a moment, which the journal knows.
fn rename_over(from: At<'_>, to: At<'_>, stat: &Stat, place: Option<&kept::Place>) -> io::Result<Displaced> {
    let rename = || until_done(from, to, stat, None, || name::rename(from.0, from.1, to.0, to.1));
    let Some(place) = place else { return rename().map(|()| Displaced::Gone(None)) };
    if name::link(to.0, to.1, place.area(), &place.at.name).is_ok() {
        return rename().map(|()| Displaced::Kept).inspect_err(|_| {
            if inode(from) == Some(Some(stat.id.ino)) {
                let _ = name::unlink(place.area(), &place.at.name);
            }
        });
    }
    place.take(to.0, to.1)?;
    name::rename_new(from.0, from.1, to.0, to.1).map(|()| Displaced::Kept).or_else(|error| {
        match name::rename_new(place.area(), &place.at.name, to.0, to.1) {
            Ok(()) => Err(error),
            Err(_) if is_moved(from, to, stat) => Ok(Displaced::Kept),
            Err(_) => Err(error),
        }
    })
}

/// Takes an empty directory, or a file, away: to a place in the kept area, if there is one.
pub(super) fn remove(at: At<'_>, stat: &Stat, place: Option<&kept::Place>) -> io::Result<Displaced> {
    let remove = || if stat.is_dir() { name::rmdir(at.0, at.1) } else { name::unlink(at.0, at.1) };
    let Some(place) = place else { return remove().map(|()| Displaced::Gone(None)) };
    if stat.is_dir() && !list::is_empty(at.0, at.1) {
        return Err(io::Error::from_raw_os_error(libc::ENOTEMPTY));
    }
    match rename(at, (place.area(), &place.at.name), stat) {
        // Something may have come to it since.
        Ok(()) if stat.is_dir() && !list::is_empty(place.area(), &place.at.name) => {
            rename((place.area(), &place.at.name), at, stat)?;
            Err(io::Error::from_raw_os_error(libc::ENOTEMPTY))
        }
        Ok(()) => Ok(Displaced::Kept),
        Err(error) if may_be_done(&error) => Err(error),
        Err(error) => remove().map(|()| Displaced::Gone(Some(error))),
    }
}

/// Makes a call that renames, once: its reply can be lost, and an interrupted one may have been made. `exchanged` is what
/// has the first name if it was.
fn until_done(
    from: At<'_>,
    to: At<'_>,
    stat: &Stat,
    exchanged: Option<&Stat>,
    call: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let mut attempts = 0;
    loop {
        let error = match call() {
            Err(error) if may_be_done(&error) => error,
            answer => return answer,
        };
        let names = (inode(from), inode(to));
        if names == (Some(exchanged.map(|old| old.id.ino)), Some(Some(stat.id.ino))) {
            return Ok(());
        }
        let is_as_it_was = names.0 == Some(Some(stat.id.ino)) && error.kind() == io::ErrorKind::Interrupted;
        if !is_as_it_was || attempts == ATTEMPTS {
            return Err(error);
        }
        attempts += 1;
    }
}

/// Whether the entry has the new name and not the old one.
fn is_moved(from: At<'_>, to: At<'_>, stat: &Stat) -> bool {
    (inode(from), inode(to)) == (Some(None), Some(Some(stat.id.ino)))
}

/// The inode that a directory's own list has for a name, if any; the outer `None` if it cannot be listed. What the kernel
/// remembers of a name may be older.
fn inode(at: At<'_>) -> Option<Option<u64>> {
    list::inodes(at.0, [at.1, at.1]).ok().map(|[found, _]| found)
}

/// Whether an error leaves open what the names are.
fn may_be_done(error: &io::Error) -> bool {
    // A name that is gone may have been moved; a link that is refused says the same as the others.
    let others = [libc::EMLINK, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOSYS];
    error.raw_os_error().is_none_or(|errno| !(REFUSALS.contains(&errno) || others.contains(&errno)))
}

/// How two names of one file are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// They are one, in one directory.
    Same,
    /// They are one name, spelled differently, to a file system that folds upper and lower case.
    Folded,
    /// The file has two.
    Another,
}

/// How two names that lead to one file are related: a directory's own list has each name as it is spelled there.
pub(super) fn spelling(from: At<'_>, to: At<'_>) -> io::Result<Spelling> {
    if Stat::of(from.0)?.id != Stat::of(to.0)?.id {
        return Ok(Spelling::Another);
    }
    if from.1 == to.1 {
        return Ok(Spelling::Same);
    }
    let [listed, _] = list::inodes(to.0, [to.1, to.1])?;
    Ok(if listed.is_none() { Spelling::Folded } else { Spelling::Another })
}

/// Gives an entry another spelling of its own name. The kernel takes both for one and would do nothing, so it has a third name,
/// which must be free, for a moment.
pub(super) fn respell(dir: &OwnedFd, name: &CStr, between: &CStr, wanted: &CStr, stat: &Stat) -> io::Result<()> {
    rename((dir, name), (dir, between), stat)?;
    rename((dir, between), (dir, wanted), stat).inspect_err(|_| {
        let _ = rename((dir, between), (dir, name), stat);
    })
}

/// Whether something is mounted under a name.
pub(super) fn is_mount_point(dir: &OwnedFd, name: &CStr) -> bool {
    let found = name::handle(dir, name, Follow::No).and_then(Stat::of_dir);
    let around = Stat::of_dir(dir);
    matches!((found, around), (Ok(found), Ok(around)) if found.on_mount() != around.on_mount())
}
