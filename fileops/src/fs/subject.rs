//! What a call is made to: an action, one path or two, and the lane in which the call waits.

use super::dir::Dir;
use super::file::File;
use crate::error::{Action, Error};
use crate::pool::{Place, Way, WeakPool};
use crate::sys::at::{At, Entry};
use crate::sys::cached::{self, Whereabouts};
use crate::sys::open::Follow;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a call does, to what.
pub(super) struct Subject {
    action: Action,
    base: Base,
    /// With a NUL at the end, as calls want it.
    path: Vec<u8>,
    other: Option<Box<(Base, Vec<u8>)>>,
    wants: Wants,
    /// Whose workers make the call; `None` for those of the process.
    pub(super) pool: Option<WeakPool>,
}

/// Where a path begins.
enum Base {
    /// In the current directory, or at the root.
    Here,
    /// Below a directory, which it cannot leave.
    Below(Dir),
    /// It is an open file that was called so, on the mount of this number.
    Open(Arc<Path>, Option<u64>),
}

/// What of a path a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// What it names, links followed.
    Target,
    /// The same, which is opened: to open a FIFO is to wait for its other end.
    Opened,
    /// What it names, a link itself.
    Entry,
    /// The directory in which there is, or will be, an entry of this name.
    Parent,
}

impl Subject {
    pub(super) fn new(action: Action, path: &Path, wants: Wants) -> Subject {
        Subject { action, base: Base::Here, path: with_nul(path), other: None, wants, pool: None }
    }

    pub(super) fn below(action: Action, dir: &Dir, path: &Path, wants: Wants) -> Subject {
        Subject { base: Base::Below(dir.clone()), pool: dir.pool().cloned(), ..Subject::new(action, path, wants) }
    }

    pub(super) fn open(action: Action, file: &File) -> Subject {
        let subject = Subject::new(action, Path::new(""), Wants::Target);
        Subject {
            base: Base::Open(Arc::clone(file.shared_path()), file.mount()),
            pool: file.pool().cloned(),
            ..subject
        }
    }

    /// The same with a second path.
    pub(super) fn and(mut self, other: &Path) -> Subject {
        self.other = Some(Box::new((Base::Here, with_nul(other))));
        self
    }

    /// The same with a second path below a directory.
    pub(super) fn and_below(mut self, dir: &Dir, other: &Path) -> Subject {
        self.other = Some(Box::new((Base::Below(dir.clone()), with_nul(other))));
        self
    }

    pub(super) fn action(&self) -> Action {
        self.action
    }

    /// The path as the caller gave it.
    pub(super) fn given(&self) -> &Path {
        path_of(&self.path)
    }

    /// What is to be shown: the path, after that of the directory or file it begins at.
    pub(super) fn path(&self) -> PathBuf {
        self.base.shown(&self.path)
    }

    pub(super) fn at(&self) -> io::Result<At<'_>> {
        at(&self.base, &self.path)
    }

    pub(super) fn entry(&self) -> io::Result<Entry> {
        self.at()?.entry()
    }

    /// The second path.
    pub(super) fn other(&self) -> io::Result<At<'_>> {
        let other = self.other.as_ref().expect("calls with two paths are made with both");
        at(&other.0, &other.1)
    }

    pub(super) fn blame(&self, error: impl Into<io::Error>) -> Error {
        let told = Error::new(self.action, self.path(), error);
        match &self.other {
            Some(other) => told.with_target(other.0.shown(&other.1)),
            None => told,
        }
    }

    /// Gives `submit` the place where a worker makes the call. Asks only what is in memory.
    pub(super) fn place<T>(&self, submit: impl FnOnce(Place<'_>) -> T) -> T {
        if let Base::Open(path, mount) = &self.base {
            return submit(mount.map_or(Place::Path(path, Way::Direct), |mount| Place::Mount(mount, Way::Direct)));
        }
        let first = place(&self.base, &self.path, self.wants);
        let Some(other) = &self.other else { return submit(first.as_place(&self.base, &self.path)) };
        // Both are waited for: with those of the path that may take longer.
        let second = place(&other.0, &other.1, self.wants);
        match first.0.is_local && !second.0.is_local {
            true => submit(second.as_place(&other.0, &other.1)),
            false => submit(first.as_place(&self.base, &self.path)),
        }
    }
}

impl Base {
    fn shown(&self, path: &[u8]) -> PathBuf {
        match self {
            Base::Here => path_of(path).to_owned(),
            Base::Below(dir) if path_of(path).as_os_str().is_empty() => dir.path().to_owned(),
            Base::Below(dir) => dir.path().join(path_of(path)),
            Base::Open(path, _) => path.to_path_buf(),
        }
    }
}

struct Found(Whereabouts, Way);

fn place(base: &Base, path: &[u8], wants: Wants) -> Found {
    let follow = if wants == Wants::Entry { Follow::No } else { Follow::Yes };
    let parent = (wants == Wants::Parent).then(|| parent(path));
    let path = parent.as_deref().unwrap_or(path);
    // A path with a NUL fails at once, wherever.
    let found = at(base, path).map_or(Whereabouts::UNKNOWN, |at| cached::whereabouts(at, follow));
    let way = match () {
        () if found.is_special && wants == Wants::Opened => Way::Special,
        () if found.has_link => Way::Links,
        () => Way::Direct,
    };
    Found(found, way)
}

impl Found {
    fn as_place<'a>(&self, base: &'a Base, path: &'a [u8]) -> Place<'a> {
        let (known, path) = match base {
            Base::Below(dir) => (self.0.mount.or(dir.mount()), dir.path()),
            _ => (self.0.mount, path_of(path)),
        };
        known.map_or(Place::Path(path, self.1), |mount| Place::Mount(mount, self.1))
    }
}

/// The directory that has the last name of a path.
fn parent(path: &[u8]) -> Vec<u8> {
    let path = &path[..path.len() - 1];
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let above = match path[..end].iter().rposition(|&byte| byte == b'/') {
        Some(slash) => &path[..=slash],
        None => b".",
    };
    [above, b"\0"].concat()
}

fn at<'a>(base: &'a Base, path: &'a [u8]) -> io::Result<At<'a>> {
    let path = CStr::from_bytes_with_nul(path).map_err(|_| nul())?;
    match base {
        Base::Below(dir) => Ok(At { dir: Some(dir.handle().as_fd()), path }),
        Base::Here | Base::Open(..) => Ok(At { dir: None, path }),
    }
}

fn with_nul(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_bytes(), b"\0"].concat()
}

fn path_of(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(&path[..path.len() - 1]))
}

/// Bytes for a call that takes them with a NUL at the end.
pub(super) fn terminated(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| nul())
}

fn nul() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a path holds a NUL")
}
