//! Extended attributes of one path, raw: what the kernel gives and takes, and its limits as errors that say which.

use crate::error::{Action, Error, Refusal, Result};
use crate::sys::attributes::{self, Subject};
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use crate::sys::{mount, name};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// With this much free a file system that says ENOSPC has no room for attributes of this one file.
const ROOM: u64 = 1 << 20;

/// The names of attributes, in the order of their bytes, and their values.
pub type Attributes = Vec<(OsString, Vec<u8>)>;

/// One file whose attributes are read and written: whatever becomes of its name meanwhile, it is the same one.
pub(super) struct Target<'a> {
    path: &'a Path,
    handle: OwnedFd,
    through: CString,
}

impl<'a> Target<'a> {
    pub(super) fn open(path: &'a Path, action: Action) -> Result<Target<'a>> {
        let failed = |error| Error::new(action, path, error);
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
        // A handle needs no right to read the file, and no FIFO holds it up.
        let handle = name::handle_at(&name, Follow::Yes).map_err(failed)?;
        let through = match name::descriptor_path(&handle) {
            path if crate::sys::process::has_proc() => path,
            _ => name,
        };
        Ok(Target { path, handle, through })
    }

    fn subject(&self) -> Subject<'_, OwnedFd> {
        Subject::Path(&self.through)
    }

    #[cfg(feature = "extract")]
    pub(super) fn stat(&self) -> Result<Stat> {
        Stat::of(&self.handle).map_err(|error| Error::new(Action::Stat, self.path, error))
    }

    /// `None` if the file has no such attribute, or its file system has none at all.
    pub(super) fn get(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let name = checked(name).map_err(|refusal| Error::new(Action::ReadXattr, self.path, refusal))?;
        let mut value = Vec::new();
        match attributes::xattr(self.subject(), &name, &mut value) {
            Ok(()) => Ok(Some(value)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::new(Action::ReadXattr, self.path, error)),
        }
    }

    /// The names of all that the caller may see.
    pub(super) fn names(&self) -> Result<Vec<OsString>> {
        let mut space = Vec::new();
        match attributes::xattr_names(self.subject(), &mut space) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(Error::new(Action::ReadXattr, self.path, error)),
        }
        let names = space.split(|&byte| byte == 0).filter(|name| !name.is_empty());
        let mut names: Vec<_> = names.map(|name| OsString::from_vec(name.to_vec())).collect();
        names.sort();
        Ok(names)
    }

    /// All that the caller may read.
    pub(super) fn all(&self) -> Result<Attributes> {
        let mut all = Vec::new();
        for name in self.names()? {
            match self.get(&name) {
                Ok(Some(value)) => all.push((name, value)),
                Ok(None) => {}
                // One that only some may read is none to the others.
                Err(error) if matches!(error.errno(), Some(libc::EPERM | libc::EACCES)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    pub(super) fn set(&self, name: &OsStr, value: &[u8]) -> Result<()> {
        let failed = |error: io::Error| Error::new(Action::WriteXattr, self.path, error);
        let checked = checked(name).map_err(|refusal| failed(refusal.into()))?;
        attributes::set_xattr(self.subject(), &checked, value).map_err(|error| failed(self.explained(name, error)))
    }

    /// Whether there was one.
    pub(super) fn remove(&self, name: &OsStr) -> Result<bool> {
        let failed = |error: io::Error| Error::new(Action::WriteXattr, self.path, error);
        let checked = checked(name).map_err(|refusal| failed(refusal.into()))?;
        match attributes::remove_xattr(self.subject(), &checked) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(failed(self.explained(name, error))),
        }
    }

    /// What a number of the kernel's means for an attribute.
    ///
    /// Source: setxattr(2) and xattr(7); that ext4 says ENOSPC for what does not fit into its one block was measured.
    fn explained(&self, name: &OsStr, error: io::Error) -> io::Error {
        let is_users = name.as_bytes().starts_with(b"user.");
        match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => Refusal::NoAttributes.into(),
            Some(libc::E2BIG | libc::ERANGE) => Refusal::ValueTooLong.into(),
            Some(libc::ENOSPC) if self.has_room() => Refusal::AttributesFull.into(),
            Some(libc::EPERM) if is_users && self.has_another_kind() => Refusal::NoAttributes.into(),
            _ => error,
        }
    }

    fn has_room(&self) -> bool {
        mount::free_bytes(&self.handle).is_ok_and(|free| free > ROOM)
    }

    fn has_another_kind(&self) -> bool {
        Stat::of(&self.handle).is_ok_and(|stat| !stat.is_file() && !stat.is_dir())
    }
}

/// Whether an error says that there is no such attribute.
fn is_absent(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODATA) || crate::sys::is_unsupported(error)
}

/// A name as the kernel takes it: a namespace, a dot, and at least one more byte; 255 bytes at most.
fn checked(name: &OsStr) -> Result<CString, Refusal> {
    let bytes = name.as_bytes();
    let has_space = bytes.iter().position(|&byte| byte == b'.').is_some_and(|dot| dot > 0 && dot + 1 < bytes.len());
    if !has_space || bytes.len() > 255 {
        return Err(Refusal::NotAValue);
    }
    CString::new(bytes).map_err(|_| Refusal::NotAValue)
}

/// How far several changes came. They are made in order, and a failure ends them: what was changed before it stays so.
#[derive(Debug)]
#[must_use = "it tells whether all changes were made"]
#[non_exhaustive]
pub struct Changed {
    /// The attributes that were set or taken away, in order.
    pub done: Vec<OsString>,
    /// The one that could not be, if any, and why; those after it were not tried.
    pub failed: Option<(OsString, Error)>,
}

impl Changed {
    /// The names of what was changed, if all of it was.
    ///
    /// # Errors
    /// The failure; it names the file.
    pub fn into_result(self) -> Result<Vec<OsString>> {
        match self.failed {
            None => Ok(self.done),
            Some((_, error)) => Err(error),
        }
    }
}

/// Makes each change, in order; `None` takes an attribute away.
pub(super) fn change(path: &Path, changes: Vec<(OsString, Option<Vec<u8>>)>) -> Result<Changed> {
    let target = Target::open(path, Action::WriteXattr)?;
    let mut done = Vec::new();
    for (name, value) in changes {
        let changed = match value {
            Some(value) => target.set(&name, &value),
            None => target.remove(&name).map(|_| ()),
        };
        match changed {
            Ok(()) => done.push(name),
            Err(error) => return Ok(Changed { done, failed: Some((name, error)) }),
        }
    }
    Ok(Changed { done, failed: None })
}

pub(super) fn get(path: &Path, name: &OsStr) -> Result<Option<Vec<u8>>> {
    Target::open(path, Action::ReadXattr)?.get(name)
}

pub(super) fn list(path: &Path) -> Result<Attributes> {
    Target::open(path, Action::ReadXattr)?.all()
}

pub(super) fn set(path: &Path, name: &OsStr, value: &[u8]) -> Result<()> {
    Target::open(path, Action::WriteXattr)?.set(name, value)
}

pub(super) fn remove(path: &Path, name: &OsStr) -> Result<bool> {
    Target::open(path, Action::WriteXattr)?.remove(name)
}
