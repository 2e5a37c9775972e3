//! Which trash folders can take what is in a directory: found by descriptor, upwards, to the top of its mount.

use super::folder::{self, Folder, Make, Shape};
use crate::control::lock;
use crate::sys::mount::FsKind;
use crate::sys::name;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, OnMount, Stat, Time};
use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// What was found out about the directories things are trashed from, for one operation.
#[derive(Default)]
pub(crate) struct Serving {
    places: Mutex<HashMap<(OnMount, Id), Arc<Place>>>,
    folders: Mutex<Folders>,
}

/// By shape, mount and top directory; `None` for those that cannot be used.
type Folders = HashMap<(Shape, OnMount, Id), Option<Arc<Folder>>>;

/// A directory that things are trashed from.
pub(crate) struct Place {
    /// Its real path.
    pub(crate) path: PathBuf,
    pub(crate) mount: OnMount,
    /// When it was changed last, before anything was taken from it.
    pub(crate) modified: Time,
    /// Whether that is recorded.
    pub(crate) is_touched: AtomicBool,
    /// It, and the directories above it up to the top of its mount.
    above: Vec<Id>,
    tops: Vec<Top>,
    /// Whether it is on a file system for keeping files.
    can_keep: bool,
}

/// A directory above which there is another file system, or another subvolume of one.
#[derive(Clone, Debug)]
struct Top {
    id: Id,
    path: PathBuf,
}

impl Serving {
    /// Looks at a directory, unless that was done before. `shown` is what the caller calls it.
    pub(crate) fn place(&self, dir: &OwnedFd, shown: &Path) -> io::Result<Arc<Place>> {
        let stat = Stat::of_dir(dir)?;
        let key = (stat.on_mount(), stat.id);
        if let Some(known) = lock(&self.places).get(&key) {
            return Ok(Arc::clone(known));
        }
        let path = match name::real_path(dir) {
            Some(path) => path,
            None => fs::canonicalize(shown)?,
        };
        let (above, tops) = climb(dir, &path, stat.on_mount())?;
        let can_keep = !FsKind::of(dir)?.is_pseudo();
        let (mount, modified, is_touched) = (stat.on_mount(), stat.modified, AtomicBool::new(false));
        let place = Arc::new(Place { path, mount, modified, is_touched, above, tops, can_keep });
        Ok(Arc::clone(lock(&self.places).entry(key).or_insert(place)))
    }

    /// The folders that may take what is in a directory, best first. What is missing of one is made when it is its turn.
    pub(crate) fn folders<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = Arc<Folder>> + 'a {
        let home = (place.can_keep && home_mount() == Some(place.mount)).then_some((Shape::Home, None));
        let tops = if place.can_keep { place.tops.as_slice() } else { &[] };
        let in_tops = tops.iter().flat_map(|top| [(Shape::Shared, Some(top)), (Shape::Own, Some(top))]);
        home.into_iter().chain(in_tops).filter_map(|(shape, top)| self.folder(place.mount, shape, top))
    }

    /// What could not be used is looked at once more.
    pub(crate) fn forget_failures(&self) {
        lock(&self.folders).retain(|_, folder| folder.is_some());
    }

    fn folder(&self, mount: OnMount, shape: Shape, top: Option<&Top>) -> Option<Arc<Folder>> {
        let key = (shape, mount, top.map_or(NOWHERE, |top| top.id));
        if let Some(known) = lock(&self.folders).get(&key) {
            return known.clone();
        }
        let opened = match top {
            Some(top) => top.open(mount).and_then(|dir| Folder::in_top(&dir, &top.path, shape, Make::Yes)),
            None => Folder::home(Make::Yes),
        };
        // Something can be mounted on the folder itself.
        let usable = opened.ok().filter(|folder| folder.mount == mount).map(Arc::new);
        lock(&self.folders).entry(key).or_insert(usable).clone()
    }
}

/// The home trash is in no top directory.
const NOWHERE: Id = Id { dev: 0, ino: 0 };

impl Top {
    /// Opens it, if it is still there.
    fn open(&self, mount: OnMount) -> io::Result<OwnedFd> {
        let dir = open::root(&self.path)?;
        let stat = Stat::of_dir(&dir)?;
        if (stat.id, stat.on_mount()) == (self.id, mount) {
            Ok(dir)
        } else {
            Err(io::Error::from_raw_os_error(libc::ENOENT))
        }
    }
}

impl Place {
    /// Whether an entry of it is a trash, or in one: of whatever user, on this mount.
    pub(crate) fn is_in_trash(&self, name: &CStr) -> bool {
        let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
        self.tops.iter().any(|top| {
            let first = path.strip_prefix(&top.path).ok().and_then(|below| below.components().next());
            first.is_some_and(|first| is_folder_name(first.as_os_str()))
        })
    }

    /// Whether an entry of it is this trash folder, or in it, or has it inside.
    pub(crate) fn is_around(&self, folder: &Folder, entry: Id) -> bool {
        let above = folder
            .above
            .get_or_init(|| climb(&folder.dir, &folder.path, folder.mount).map(|(above, _)| above).unwrap_or_default());
        entry == folder.id || self.above.contains(&folder.id) || above.contains(&entry)
    }
}

/// ".Trash", ".Trash-1000".
fn is_folder_name(name: &OsStr) -> bool {
    let Some(rest) = name.as_bytes().strip_prefix(b".Trash") else { return false };
    match rest.split_first() {
        None => true,
        Some((b'-', user)) => !user.is_empty() && user.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

/// The mount that the home trash is on, or would be.
fn home_mount() -> Option<OnMount> {
    let base = folder::data_home()?;
    let nearest = base.ancestors().find_map(|path| open::root(path).ok())?;
    Stat::of_dir(nearest).ok().map(|stat| stat.on_mount())
}

/// A directory and those above it on its mount, and which of them are tops, the nearest first.
fn climb(dir: &OwnedFd, path: &Path, mount: OnMount) -> io::Result<(Vec<Id>, Vec<Top>)> {
    let mut at = name::handle(dir, c".", Follow::No)?;
    let mut stat = Stat::of_dir(&at)?;
    let (mut above, mut tops) = (Vec::new(), Vec::new());
    for path in path.ancestors() {
        above.push(stat.id);
        // Without the right to go on upwards nothing there could be used either.
        let Ok(up) = name::handle(&at, c"..", Follow::No) else { break };
        let up_stat = Stat::of_dir(&up)?;
        let is_top = up_stat.on_mount() != mount || up_stat.id == stat.id;
        if is_top || up_stat.id.dev != stat.id.dev {
            tops.push(Top { id: stat.id, path: path.to_owned() });
        }
        if is_top {
            break;
        }
        (at, stat) = (up, up_stat);
    }
    Ok((above, tops))
}

/// Whether a directory is the top of a mount, or of a subvolume.
pub(crate) fn is_top(path: &Path) -> bool {
    let look = || {
        let dir = open::root(path)?;
        let (_, tops) = climb(&dir, path, Stat::of_dir(&dir)?.on_mount())?;
        io::Result::Ok(tops.first().is_some_and(|top| top.path == path))
    };
    look().unwrap_or(false)
}

/// The folders that this user may have in a top directory, if they are there.
pub(crate) fn in_top(path: &Path) -> Vec<io::Result<Folder>> {
    let top = match open::root(path) {
        Ok(top) => top,
        Err(error) => return vec![Err(error)],
    };
    [Shape::Shared, Shape::Own].map(|shape| Folder::in_top(&top, path, shape, Make::No)).into()
}

/// Whether a folder that is not there, or may not be used, is all that an error says.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    let is_missing = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
    is_missing || matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_trash_folders_are_known() {
        for name in [".Trash", ".Trash-0", ".Trash-1000"] {
            assert!(is_folder_name(name.as_ref()), "{name}");
        }
        for name in ["Trash", ".Trash-", ".Trash-me", ".Trash1", ".Trashes", ".Trash-1x"] {
            assert!(!is_folder_name(name.as_ref()), "{name}");
        }
    }
}
