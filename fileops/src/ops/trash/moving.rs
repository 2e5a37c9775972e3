//! Moving one entry between its place and a trash, within a mount, without replacing anything.

use crate::sys::stat::{Id, Stat};
use crate::sys::{attributes, name, process};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A directory and a name in it.
pub(super) type At<'a> = (&'a OwnedFd, &'a CStr);

/// Renames to a name that is free. A directory that lacks its owner's permission is given it for the time: its `..` changes.
///
/// # Errors
/// It is where it was; whoever answered wrongly is asked again.
pub(super) fn rename(from: At<'_>, to: At<'_>, stat: &Stat) -> io::Result<()> {
    let renamed = once(from, to, stat.id);
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_closed(stat) => {
            let mode = stat.permissions();
            if attributes::set_mode_at(from.0, from.1, mode | 0o200).is_err() {
                return Err(error);
            }
            let renamed = once(from, to, stat.id);
            let (dir, name) = if renamed.is_ok() { to } else { from };
            let _ = attributes::set_mode_at(dir, name, mode);
            renamed
        }
        renamed => renamed,
    }
}

fn once(from: At<'_>, to: At<'_>, id: Id) -> io::Result<()> {
    match name::rename_new(from.0, from.1, to.0, to.1) {
        // The answer may have been lost.
        Err(_) if is_there(to, id) && !is_there(from, id) => Ok(()),
        renamed => renamed,
    }
}

/// A directory of the user's that its mode keeps from being moved elsewhere.
fn is_closed(stat: &Stat) -> bool {
    stat.is_dir() && stat.mode & 0o200 == 0 && stat.uid == process::effective_ids().0
}

/// Whether an entry is surely this file.
pub(super) fn is_there((dir, name): (impl AsFd, &CStr), id: Id) -> bool {
    Stat::at(dir, name).is_ok_and(|stat| stat.id == id)
}
