//! Names: making, renaming, linking, removing and resolving entries.

use super::call::{Call, Outcome};
use super::memory;
use super::subject::{Subject, Wants, terminated};
use crate::error::{Action, During};
use crate::sys::open::Follow;
use crate::sys::stat::HERE;
use crate::sys::{name, stat::Stat};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A new directory's permission bits, less the umask.
const DIR_MODE: u32 = 0o777;

/// Makes a directory, of mode 0777 less the umask.
///
/// # Errors
/// `AlreadyExists`, `NotFound` where there is nothing to make it in, and whatever the file system answers.
pub fn create_dir(path: impl AsRef<Path>) -> Call<()> {
    make_dir(Subject::new(Action::CreateDir, path.as_ref(), Wants::Parent))
}

pub(super) fn make_dir(subject: Subject) -> Call<()> {
    Call::new(subject, |subject| {
        let entry = subject.entry()?;
        Ok(name::mkdir(entry.dir(), &entry.name, DIR_MODE)?)
    })
}

/// Makes a directory and those on the way to it that are missing. That it is there already is no error.
///
/// # Dropping
/// Once begun it goes on to its end.
///
/// # Errors
/// As for [`create_dir`], naming the directory that could not be made; `AlreadyExists` where a file is in the way.
pub fn create_dir_all(path: impl AsRef<Path>) -> Call<()> {
    Call::new(Subject::new(Action::CreateDir, path.as_ref(), Wants::Parent), |subject| make_all(subject.given()))
}

fn make_all(path: &Path) -> Outcome<()> {
    // Nothing, and what has no name (`/`), is there.
    let Some(parent) = path.parent().filter(|_| !path.as_os_str().is_empty()) else { return Ok(()) };
    let name = terminated(path)?;
    match name::mkdir(HERE, &name, DIR_MODE) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_all(parent)?;
            match name::mkdir(HERE, &name, DIR_MODE) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_dir(&name) => Ok(()),
                answer => Ok(answer.during(Action::CreateDir, || path)?),
            }
        }
        Err(_) if is_dir(&name) => Ok(()),
        Err(error) => Ok(Err(error).during(Action::CreateDir, || path)?),
    }
}

fn is_dir(path: &std::ffi::CStr) -> bool {
    Stat::following(HERE, path).is_ok_and(|stat| stat.is_dir())
}

/// Removes a file's name: the file goes with its last name, and when nobody has it open. A symbolic link itself.
///
/// # Errors
/// `NotFound`, `IsADirectory`, `PermissionDenied` for its directory, and whatever the file system answers.
pub fn remove_file(path: impl AsRef<Path>) -> Call<()> {
    unlink(Subject::new(Action::Remove, path.as_ref(), Wants::Parent))
}

pub(super) fn unlink(subject: Subject) -> Call<()> {
    Call::new(subject, |subject| {
        let entry = subject.entry()?;
        Ok(name::unlink(entry.dir(), &entry.name)?)
    })
}

/// Removes an empty directory.
///
/// # Errors
/// `DirectoryNotEmpty`, `NotADirectory`, `NotFound`, and whatever the file system answers.
pub fn remove_dir(path: impl AsRef<Path>) -> Call<()> {
    rmdir(Subject::new(Action::RemoveDir, path.as_ref(), Wants::Parent))
}

pub(super) fn rmdir(subject: Subject) -> Call<()> {
    Call::new(subject, |subject| {
        let entry = subject.entry()?;
        Ok(name::rmdir(entry.dir(), &entry.name)?)
    })
}

/// Removes a directory with all that is in it, on whatever file systems: [`delete`](crate::delete) stays on one, tells its
/// progress and can be cancelled. Links are removed, not followed.
///
/// # Dropping
/// Once begun it goes on to its end.
///
/// # Errors
/// The first that occurs ends it; a part is gone then.
pub fn remove_dir_all(path: impl AsRef<Path>) -> Call<()> {
    let subject = Subject::new(Action::RemoveDir, path.as_ref(), Wants::Parent);
    Call::new(subject, |subject| Ok(name::remove_tree(subject.given())?))
}

/// What becomes of an entry that has the new name already.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Renaming {
    /// It is replaced, in one step: a file by what is no directory, an empty directory by a directory.
    #[default]
    Replace,
    /// It stays, and the call fails with `AlreadyExists`. Where the file system cannot do that in one step (FAT, some FUSE)
    /// the next best is done: see [`rename`](crate::rename).
    NoReplace,
    /// The two change places, in one step. `InvalidInput` where the file system cannot.
    Exchange,
}

/// Renames an entry on its file system; what has the new name is replaced, as by rename(2). [`rename_with`] has the other
/// ways, [`move_to`](crate::move_to) goes to other file systems too.
///
/// # Errors
/// `CrossesDevices` between mounts, `NotFound`, and whatever the file system answers.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Call<()> {
    rename_with(from, to, Renaming::Replace)
}

/// Renames an entry on its file system.
///
/// # Errors
/// As for [`rename`], and what [`Renaming`] says.
pub fn rename_with(from: impl AsRef<Path>, to: impl AsRef<Path>, how: Renaming) -> Call<()> {
    rename_of(Subject::new(Action::Rename, from.as_ref(), Wants::Parent).and(to.as_ref()), how)
}

pub(super) fn rename_of(subject: Subject, how: Renaming) -> Call<()> {
    Call::new(subject, move |subject| {
        let (from, to) = (subject.entry()?, subject.other()?.entry()?);
        let ((from_dir, from), (to_dir, to)) = ((from.dir(), &*from.name), (to.dir(), &*to.name));
        Ok(match how {
            Renaming::Replace => name::rename(from_dir, from, to_dir, to),
            Renaming::NoReplace => name::rename_new(from_dir, from, to_dir, to),
            Renaming::Exchange => name::exchange(from_dir, from, to_dir, to),
        }?)
    })
}

/// Gives a file a second name on its file system; a symbolic link itself gets it.
///
/// # Errors
/// `AlreadyExists`, `CrossesDevices`, `PermissionDenied` for directories and files of others, and whatever the file system
/// answers.
pub fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> Call<()> {
    link_of(Subject::new(Action::Link, original.as_ref(), Wants::Parent).and(link.as_ref()))
}

pub(super) fn link_of(subject: Subject) -> Call<()> {
    Call::new(subject, |subject| {
        let (from, to) = (subject.entry()?, subject.other()?.entry()?);
        Ok(name::link(from.dir(), &from.name, to.dir(), &to.name)?)
    })
}

/// Makes a symbolic link that holds `to`, whatever that is.
///
/// # Errors
/// `AlreadyExists`, `NotFound` where there is nothing to make it in, and whatever the file system answers.
pub fn symlink(to: impl AsRef<Path>, link: impl AsRef<Path>) -> Call<()> {
    symlink_of(Subject::new(Action::Symlink, link.as_ref(), Wants::Parent), to.as_ref())
}

pub(super) fn symlink_of(subject: Subject, to: &Path) -> Call<()> {
    let to = to.to_owned();
    Call::new(subject, move |subject| {
        let entry = subject.entry()?;
        Ok(name::symlink(&terminated(&to)?, entry.dir(), &entry.name)?)
    })
}

/// What a symbolic link holds.
///
/// # Errors
/// `InvalidInput` for what is none, `NotFound`, and whatever the file system answers.
pub fn read_link(path: impl AsRef<Path>) -> Call<PathBuf> {
    read_link_of(Subject::new(Action::ReadLink, path.as_ref(), Wants::Parent))
}

pub(super) fn read_link_of(subject: Subject) -> Call<PathBuf> {
    Call::new(subject, |subject| {
        let entry = subject.entry()?;
        let held = name::readlink(entry.dir(), &entry.name)?;
        Ok(PathBuf::from(OsString::from_vec(held.into_bytes())))
    })
}

/// The absolute path without links, `.` and `..`.
///
/// # Errors
/// `NotFound`, `FilesystemLoop`, and whatever the file system answers.
pub fn canonicalize(path: impl AsRef<Path>) -> Call<PathBuf> {
    let subject = Subject::new(Action::Resolve, path.as_ref(), Wants::Target);
    Call::new(subject, |subject| Ok(name::canonical(subject.given())?))
}

/// Whether there is something at a path; a link that leads nowhere is nothing.
///
/// # Errors
/// Where that cannot be told: `PermissionDenied`, and whatever the file system answers.
pub fn exists(path: impl AsRef<Path>) -> Call<bool> {
    let subject = Subject::new(Action::Stat, path.as_ref(), Wants::Target);
    Call::in_memory(subject, memory::exists, |subject| Ok(memory::is_there(subject.at()?.stat(Follow::Yes).map(drop))?))
}

/// Whether two paths lead to one file.
///
/// # Errors
/// As for [`metadata`](super::metadata), of either.
pub fn is_same_file(one: impl AsRef<Path>, other: impl AsRef<Path>) -> Call<bool> {
    let subject = Subject::new(Action::Stat, one.as_ref(), Wants::Target).and(other.as_ref());
    Call::in_memory(subject, memory::is_same_file, |subject| {
        let (one, other) = (subject.at()?.stat(Follow::Yes)?, subject.other()?.stat(Follow::Yes)?);
        Ok(one.stat.id == other.stat.id)
    })
}

/// What [`access`] asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// To read the file, or list the directory.
    pub read: bool,
    /// To write to the file, or make and remove entries of the directory.
    pub write: bool,
    /// To run the file, or pass through the directory.
    pub execute: bool,
}

/// Whether this process (its effective user) may do something with what a path names. It may be otherwise a moment later.
///
/// # Errors
/// `NotFound`, and whatever the file system answers; a refusal is `false`, and so is to write where nobody can.
pub fn access(path: impl AsRef<Path>, wanted: Access) -> Call<bool> {
    let subject = Subject::new(Action::Stat, path.as_ref(), Wants::Target);
    Call::new(subject, move |subject| {
        let path = subject.at()?.path;
        match name::access(HERE, path, wanted.read, wanted.write, wanted.execute) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    })
}
