//! The paths a caller names: everything below them goes by descriptor and single name.

use crate::engine::Side;
use crate::error::{Action, During, Error, Refusal, Result};
use crate::sys::open::{self, Follow};
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The directory a path's last name is in, and that name. A path without a last name of its own ("/", "a/..", ".") is the
/// entry "." of itself. A trailing slash changes nothing: a link stays a link.
pub(super) fn split(path: &Path) -> Result<(PathBuf, CString)> {
    let is_bare = has_no_name(path);
    let (parent, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !is_bare => (parent, name),
        _ => (path, ".".as_ref()),
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    if path.as_os_str().is_empty() {
        return Err(Error::new(Action::Open, path, io::Error::from_raw_os_error(libc::ENOENT)));
    }
    let name = CString::new(name.as_bytes()).map_err(io::Error::from).during(Action::Open, || path)?;
    Ok((parent.to_owned(), name))
}

/// Whether a path ends in ".", ".." or is the root. The standard library drops a last "." before anybody sees it.
pub(super) fn has_no_name(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let length = bytes.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let bytes = &bytes[..length];
    bytes == b"." || bytes.ends_with(b"/.") || !matches!(path.components().next_back(), Some(Component::Normal(_)))
}

/// Opens the directory of a source, which stays open for the whole walk.
pub(super) fn open(path: &Path) -> Result<(Side, CString)> {
    let (parent, name) = split(path)?;
    let dir = open::root(&parent).during(Action::Open, || &parent)?;
    let shown = if parent == Path::new(".") && !path.starts_with(".") { PathBuf::new() } else { parent };
    Ok((Side::root(shown, Arc::new(dir)), name))
}

/// The inside of a source that must be a directory.
pub(super) fn inside(path: &Path, above: &Side, name: &CStr, follow: Follow) -> Result<Side> {
    let above = above.open_descriptor().expect("a root's side is open");
    let opened = open::dir(&*above, name, follow).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOTDIR | libc::ELOOP) => Refusal::KindDiffers.into(),
        _ => error,
    });
    opened.during(Action::Open, || path).map(|dir| Side::root(path.to_owned(), Arc::new(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_into_directory_and_name() {
        let split = |path: &str| {
            let (parent, name) = split(Path::new(path)).unwrap();
            format!("{} {}", parent.display(), name.to_str().unwrap())
        };
        assert_eq!(split("a/b"), "a b");
        assert_eq!(split("a/b/"), "a b");
        assert_eq!(split("a"), ". a");
        assert_eq!(split("/a"), "/ a");
        assert_eq!(split("a/."), "a/. .");
        assert_eq!(split("a/.//"), "a/.// .");
        assert_eq!(split("a/.."), "a/.. .");
        assert_eq!(split("."), ". .");
        assert_eq!(split("/"), "/ .");
    }
}
