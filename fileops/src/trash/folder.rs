//! One trash folder: its directories, opened by descriptor and never through a link, and owned by the user.

use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, OnMount, Stat};
use crate::sys::{attributes, data, is_unsupported, name, process};
use std::env;
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Whether a folder that is missing is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Yes,
    No,
}

/// Which of the three kinds of folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// `$XDG_DATA_HOME/Trash`.
    Home,
    /// `$topdir/.Trash/$uid`, in a directory that the administrator made for all.
    Shared,
    /// `$topdir/.Trash-$uid`.
    Own,
}

/// A trash folder that is open.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) dir: OwnedFd,
    pub(crate) files: Arc<OwnedFd>,
    pub(crate) info: Arc<OwnedFd>,
    pub(crate) id: Id,
    pub(crate) mount: OnMount,
    /// It and the directories above it, once somebody asked.
    pub(super) above: OnceLock<Vec<Id>>,
    /// What relative paths in it begin at.
    base: PathBuf,
    /// The top directory it is in; the home trash is in none, and its paths begin at the root.
    top: Option<OwnedFd>,
    /// Some of its directories are new, and not known to be on the device.
    is_unsynced: AtomicBool,
}

/// The longest name that an info file's own name leaves room for is shorter by this.
pub(crate) const INFO_SUFFIX: &[u8] = b".trashinfo";

const FILES: &CStr = c"files";
const INFO: &CStr = c"info";

impl Folder {
    /// The user's home trash. An error if there is no home, or somebody else's.
    pub(crate) fn home(make: Make) -> io::Result<Folder> {
        let base = data_home().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
        if make == Make::Yes {
            // 0700: XDG Base Directory specification, "Referencing this specification".
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&base)?;
        }
        let dir = own_dir(open::root(&base)?, c"Trash", make)?;
        Folder::build(dir, base.join("Trash"), base, None, make)
    }

    /// A folder in a top directory. An error if it may not be used.
    pub(crate) fn in_top(top: &OwnedFd, path: &Path, shape: Shape, make: Make) -> io::Result<Folder> {
        let user = process::effective_ids().0;
        let (dir, name) = match shape {
            Shape::Home => return Folder::home(make),
            Shape::Own => {
                let name = format!(".Trash-{user}");
                (own_dir(top, &c_string(name.as_bytes())?, make)?, name)
            }
            Shape::Shared => {
                let above = open::dir(top, c".Trash", Follow::No)?;
                // Without the sticky bit anybody could exchange the folders of others.
                if Stat::of(&above)?.mode & 0o1000 == 0 {
                    return Err(io::Error::from_raw_os_error(libc::EACCES));
                }
                (own_dir(above, &c_string(user.to_string().as_bytes())?, make)?, format!(".Trash/{user}"))
            }
        };
        Folder::build(dir, path.join(name), path.to_owned(), Some(name::handle(top, c".", Follow::No)?), make)
    }

    /// The folder of this path, if it is one that this user may have there.
    pub(crate) fn at(path: &Path) -> io::Result<Folder> {
        let path = std::path::absolute(path)?;
        if data_home().is_some_and(|base| base.join("Trash") == path) {
            return Folder::home(Make::No);
        }
        let user = process::effective_ids().0.to_string();
        let name = path.file_name().unwrap_or_default();
        let above = path.parent().unwrap_or(&path);
        let (top, shape) = match above.file_name() {
            Some(shared) if shared == ".Trash" && name == user.as_str() => (above.parent(), Shape::Shared),
            _ if name == format!(".Trash-{user}").as_str() => (Some(above), Shape::Own),
            _ => (None, Shape::Own),
        };
        let top = top.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        // Anywhere else somebody else may have put it.
        if !super::serve::is_top(top) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Folder::in_top(&open::root(top)?, top, shape, Make::No)
    }

    fn build(
        dir: (OwnedFd, bool),
        path: PathBuf,
        base: PathBuf,
        top: Option<OwnedFd>,
        make: Make,
    ) -> io::Result<Folder> {
        let (dir, is_new) = dir;
        let (files, has_new_files) = own_dir(&dir, FILES, make)?;
        let (info, has_new_info) = own_dir(&dir, INFO, make)?;
        let (files, info) = (Arc::new(files), Arc::new(info));
        let is_unsynced = AtomicBool::new(is_new || has_new_files || has_new_info);
        let stat = Stat::of_dir(&*files)?;
        let id = Stat::of(&dir)?.id;
        let (mount, above) = (stat.on_mount(), OnceLock::new());
        Ok(Folder { path, dir, files, info, id, mount, above, base, top, is_unsynced })
    }

    /// Makes sure that its directories are not lost with what is moved into them, if they are new.
    pub(super) fn settle(&self) -> io::Result<()> {
        if self.is_unsynced.load(Relaxed) {
            sync_dir(&self.dir)?;
            sync_dir(open::dir(&self.dir, c"..", Follow::No)?)?;
            self.is_unsynced.store(false, Relaxed);
        }
        Ok(())
    }

    /// Where a thing in it is.
    pub(crate) fn file_path(&self, name: &CStr) -> PathBuf {
        self.path.join("files").join(OsStr::from_bytes(name.to_bytes()))
    }

    /// Where the info file of a thing in it is.
    pub(crate) fn info_path(&self, name: &CStr) -> PathBuf {
        let name = info_name(name);
        self.path.join("info").join(OsStr::from_bytes(name.to_bytes()))
    }

    /// How the path of something below its base is written in an info file: relative in a top directory.
    pub(crate) fn recorded<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        match self.top {
            Some(_) => path.strip_prefix(&self.base).ok(),
            None => Some(path),
        }
    }

    /// The whole path of what an info file says; `None` for what leads out of the folder's top directory, or nowhere.
    pub(crate) fn original(&self, recorded: &Path) -> Option<PathBuf> {
        let below = recorded.strip_prefix("/").unwrap_or(recorded);
        let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || below.as_os_str().is_empty() {
            return None;
        }
        match self.top {
            None => Some(self.base.join(recorded)),
            Some(_) => {
                let path = self.base.join(recorded);
                (path != self.base && path.starts_with(&self.base)).then_some(path)
            }
        }
    }

    /// The open directory that the way to an original path begins at, and the rest of the way.
    pub(crate) fn way_to<'a>(&self, original: &'a Path) -> io::Result<(OwnedFd, &'a Path)> {
        match &self.top {
            Some(top) => {
                let rest = original.strip_prefix(&self.base).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
                Ok((name::handle(top, c".", Follow::No)?, rest))
            }
            None => {
                let rest = original.strip_prefix("/").map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
                Ok((open::root(Path::new("/"))?, rest))
            }
        }
    }
}

/// "a" has "a.trashinfo".
pub(crate) fn info_name(name: &CStr) -> CString {
    c_string(&[name.to_bytes(), INFO_SUFFIX].concat()).expect("a name holds no NUL")
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    Ok(CString::new(bytes)?)
}

/// `$XDG_DATA_HOME`, or where it is when that is not set.
pub(crate) fn data_home() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
}

/// Opens a directory that must be real and the user's own; makes it, for nobody else to enter, and tells so.
fn own_dir(parent: impl AsFd, name: &CStr, make: Make) -> io::Result<(OwnedFd, bool)> {
    let (dir, is_new) = match open::dir(&parent, name, Follow::No) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && make == Make::Yes => make_dir(&parent, name)?,
        opened => (opened?, false),
    };
    if Stat::of(&dir)?.uid != process::effective_ids().0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok((dir, is_new))
}

/// Gives `true` if it was not there before.
fn make_dir(parent: impl AsFd, name: &CStr) -> io::Result<(OwnedFd, bool)> {
    // Somebody else of ours may have made it meanwhile, and a lost answer says nothing.
    let made = name::mkdir(&parent, name, 0o700);
    let dir = match (open::dir(&parent, name, Follow::No), &made) {
        (Err(_), Err(_)) => return Err(made.expect_err("it is an error")),
        (opened, _) => opened?,
    };
    // A umask that takes rights away from the user's own directories would make it useless.
    if made.is_ok() && Stat::of(&dir).is_ok_and(|stat| stat.permissions() & 0o700 != 0o700) {
        let _ = attributes::set_mode(&dir, 0o700);
    }
    Ok((dir, made.is_ok()))
}

/// Waits until the names in a directory are on the device, where there is such a thing.
pub(super) fn sync_dir(dir: impl AsFd) -> io::Result<()> {
    match data::sync(dir) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) || is_unsupported(&error) => Ok(()),
        synced => synced,
    }
}
