//! A file in the place of another.

use super::again;
use super::stat::{HERE, Stat};
use super::{name, open};
use rustix::fs::{self, AtFlags};
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// As many links in a row as the kernel follows. Source: path_resolution(7).
const LINKS: usize = 40;

/// The place that a path names, links followed: a directory as a handle, and a name in it, under which there may be nothing.
pub(crate) struct Spot {
    pub(crate) dir: OwnedFd,
    pub(crate) name: CString,
    pub(crate) old: Option<Stat>,
}

/// Finds out where a file would be made or opened by this path.
///
/// # Errors
/// EISDIR where the path asks for a directory; ELOOP; what open(2) says of the way there.
pub(crate) fn spot(path: &Path) -> io::Result<Spot> {
    let mut path = path.to_owned();
    let mut base = None;
    for _ in 0..=LINKS {
        let (above, name) = split(&path)?;
        let from = base.as_ref().map_or(HERE, OwnedFd::as_fd);
        let dir = name::handle(from, &above, open::Follow::Yes)?;
        match Stat::at(&dir, &name) {
            Ok(stat) if stat.kind() == fs::FileType::Symlink => {
                path = PathBuf::from(OsString::from_vec(name::readlink(&dir, &name)?.into_bytes()));
                base = Some(dir);
            }
            Ok(stat) => return Ok(Spot { dir, name, old: Some(stat) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Spot { dir, name, old: None }),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// The directory and the name of a path.
fn split(path: &Path) -> io::Result<(CString, CString)> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    let start = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = bytes.split_at(start);
    if matches!(name, b"" | b"." | b"..") {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    let above = if above.is_empty() { c".".to_owned() } else { CString::new(above)? };
    Ok((above, CString::new(name)?))
}

/// Whether the process, by its effective user, may write to what has the name.
pub(crate) fn may_write(dir: impl AsFd, name: &CStr) -> io::Result<()> {
    again(|| fs::accessat(&dir, name, fs::Access::WRITE_OK, AtFlags::EACCESS))
}
