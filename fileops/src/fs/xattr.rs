//! Extended attributes, raw: any name, any bytes. What desktop programs keep in them stands in [`meta`](crate::meta).
//!
//! Names have a namespace before the first dot: ordinary users write `user.` of files and directories that they may write.
//! Source: xattr(7).
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-fs-doc-xattr-{}", std::process::id()));
//! # std::fs::create_dir_all(&base)?;
//! # let path = base.join("a");
//! # std::fs::write(&path, "hello")?;
//! use fileops::fs::xattr::{self, Symlink};
//!
//! # let answer = fileops::block_on(async {
//! xattr::set(&path, "user.colour", "red", Symlink::Follow).await?;
//! assert_eq!(xattr::get(&path, "user.colour", Symlink::Follow).await?.as_deref(), Some(&b"red"[..]));
//! # Ok::<_, fileops::Error>(())
//! # });
//! # std::fs::remove_dir_all(&base)?;
//! # // A temporary directory need not know attributes.
//! # answer.or_else(|error| if error.errno() == Some(95) { Ok(()) } else { Err(error) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::ahead::call_at;
use super::call::{Call, Outcome};
use super::file::File;
use crate::error::Action;
use crate::sys::attributes::{self, Subject};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Whose attributes, where a path ends in a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symlink {
    /// Those of what it points to.
    Follow,
    /// Its own. Links have no `user.` attributes.
    Itself,
}

/// The value of an attribute; `None` if there is none of that name, or none that the caller may see.
///
/// # Errors
/// `NotFound` for the path; `Unsupported` where the file system has no attributes, or no such namespace.
pub fn get(path: impl AsRef<Path>, name: impl AsRef<OsStr>, symlink: Symlink) -> Call<Option<Vec<u8>>> {
    on_path(Action::ReadXattr, path.as_ref(), name.as_ref(), symlink, value)
}

/// Gives an attribute a value, whether there is one of that name or not.
///
/// # Errors
/// `StorageFull` and `QuotaExceeded`, also where all attributes of a file have to fit into a block (ext4);
/// `ArgumentListTooLong` beyond 64 KiB; `PermissionDenied`; `Unsupported` as for [`get`].
pub fn set(path: impl AsRef<Path>, name: impl AsRef<OsStr>, value: impl Into<Vec<u8>>, symlink: Symlink) -> Call<()> {
    let value = value.into();
    on_path(Action::WriteXattr, path.as_ref(), name.as_ref(), symlink, move |subject, name| {
        attributes::set_xattr(subject, name, &value)
    })
}

/// Takes an attribute away.
///
/// # Errors
/// ENODATA if there is none; otherwise as for [`set`].
pub fn remove(path: impl AsRef<Path>, name: impl AsRef<OsStr>, symlink: Symlink) -> Call<()> {
    on_path(Action::WriteXattr, path.as_ref(), name.as_ref(), symlink, |subject, name| {
        attributes::remove_xattr(subject, name)
    })
}

/// The names of all attributes that the caller may see, in the order of the file system.
///
/// # Errors
/// As for [`get`].
pub fn list(path: impl AsRef<Path>, symlink: Symlink) -> Call<Vec<OsString>> {
    on_path(Action::ReadXattr, path.as_ref(), OsStr::new(""), symlink, |subject, _| names(subject))
}

/// The same on an open file.
impl File {
    /// The value of an attribute: see [`get`](self::get).
    pub fn xattr(&self, name: impl AsRef<OsStr>) -> Call<Option<Vec<u8>>> {
        let name = name.as_ref().to_owned();
        self.call(Action::ReadXattr, move |file| Ok(value(Subject::File(file), &terminated(&name)?)?))
    }

    /// Gives an attribute a value: see [`set`](self::set).
    pub fn set_xattr(&self, name: impl AsRef<OsStr>, value: impl Into<Vec<u8>>) -> Call<()> {
        let (name, value) = (name.as_ref().to_owned(), value.into());
        self.call(Action::WriteXattr, move |file| {
            Ok(attributes::set_xattr(Subject::File(file), &terminated(&name)?, &value)?)
        })
    }

    /// Takes an attribute away: see [`remove`](self::remove).
    pub fn remove_xattr(&self, name: impl AsRef<OsStr>) -> Call<()> {
        let name = name.as_ref().to_owned();
        self.call(Action::WriteXattr, move |file| {
            Ok(attributes::remove_xattr(Subject::File(file), &terminated(&name)?)?)
        })
    }

    /// The names of all attributes: see [`list`](self::list).
    pub fn xattrs(&self) -> Call<Vec<OsString>> {
        self.call(Action::ReadXattr, |file| Ok(names(Subject::File(file))?))
    }
}

fn on_path<T: Send + 'static>(
    action: Action,
    path: &Path,
    name: &OsStr,
    symlink: Symlink,
    run: impl FnOnce(Subject<'_, OwnedFd>, &CString) -> io::Result<T> + Send + 'static,
) -> Call<T> {
    let (target, name) = (path.to_owned(), name.to_owned());
    call_at(action, path, move || -> Outcome<T> {
        let (path, name) = (terminated(target.as_os_str())?, terminated(&name)?);
        let subject = match symlink {
            Symlink::Follow => Subject::Path(&path),
            Symlink::Itself => Subject::Name(&path),
        };
        Ok(run(subject, &name)?)
    })
}

fn value(subject: Subject<'_, OwnedFd>, name: &CString) -> io::Result<Option<Vec<u8>>> {
    let mut value = Vec::new();
    match attributes::xattr(subject, name, &mut value) {
        Ok(()) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(subject: Subject<'_, OwnedFd>) -> io::Result<Vec<OsString>> {
    let mut all = Vec::new();
    attributes::xattr_names(subject, &mut all)?;
    let names = all.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

fn terminated(name: &OsStr) -> io::Result<CString> {
    Ok(CString::new(name.as_bytes())?)
}
