//! The kept area: where what was replaced or taken away stays, on the same mount, so that an undo can bring it back.
//!
//! One directory of mode 0700 for each mount and user: in the state directory if that is on the mount, else in the mount's top
//! directory, else in the highest directory above the place that the user may write to. Getting something there and back is
//! one rename.

use crate::control::lock;
use crate::journal::{self, Dir, Journal, Location};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{attributes, lock as locks, mount, name, process};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// In a top directory the area is called by this and the user's number.
const IN_TOP: &str = ".fileops-kept-";

/// How often an area is made that another operation removes as empty at the same moment.
const ATTEMPTS: usize = 100;

/// The kept areas that one operation uses.
pub(crate) struct Kept {
    /// Of the operation: with a number it makes a name that nothing else has.
    id: String,
    next: AtomicU64,
    /// By mount and device. Where there can be none it is not tried again.
    areas: Mutex<HashMap<OnMount, Option<Arc<Area>>>>,
    /// What was put there takes so much on the disk.
    bytes: AtomicU64,
}

/// The number of a mount (0 before Linux 5.8) and a device.
type OnMount = (u64, u64);

/// A kept area, open.
pub(crate) struct Area {
    file: OwnedFd,
    dir: Dir,
    parent: OwnedFd,
    name: CString,
}

/// A free name in a kept area.
pub(crate) struct Place {
    area: Arc<Area>,
    pub(crate) at: Location,
}

impl Kept {
    pub(crate) fn new(id: &str) -> Kept {
        Kept { id: id.to_owned(), next: AtomicU64::new(1), areas: Mutex::default(), bytes: AtomicU64::new(0) }
    }

    /// Where something that is in `dir` can be kept; `None` if nowhere on its mount.
    pub(crate) fn place(&self, dir: &OwnedFd, path: &Path, journal: &Journal) -> Option<Place> {
        self.try_place(dir, path, journal).ok().flatten()
    }

    /// The same.
    ///
    /// # Errors
    /// When it cannot be told at the moment.
    pub(crate) fn try_place(&self, dir: &OwnedFd, path: &Path, journal: &Journal) -> io::Result<Option<Place>> {
        let stat = Stat::of_dir(dir)?;
        // Before Linux 5.8 mounts have no number. One can have several devices: the subvolumes of btrfs.
        let key = (stat.mount, stat.id.dev);
        let known = lock(&self.areas).get(&key).cloned();
        let area = match known {
            Some(area) => area,
            None => {
                let area = Area::of(dir, path, &stat, journal).map(Arc::new);
                lock(&self.areas).entry(key).or_insert(area).clone()
            }
        };
        Ok(area.map(|area| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = CString::new(format!("{}-{number}", self.id)).expect("made of letters and digits");
            Place { at: Location { dir: area.dir.clone(), name }, area }
        }))
    }

    /// So much more is kept.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The areas that were used.
    pub(crate) fn areas(&self) -> Vec<(Dir, OwnedFd)> {
        let areas = lock(&self.areas);
        let used = areas.values().flatten().filter_map(|area| Some((area.dir.clone(), area.file.try_clone().ok()?)));
        used.collect()
    }

    /// Areas in which nothing is kept go.
    pub(crate) fn tidy(&self) {
        for area in std::mem::take(&mut *lock(&self.areas)).into_values().flatten() {
            // Another operation may be about to keep something there.
            if locks::is_alone(&area.file) {
                let _ = name::rmdir(&area.parent, &area.name);
            }
        }
    }
}

impl Place {
    /// Renames an entry to here.
    pub(crate) fn take(&self, dir: &OwnedFd, name: &CStr) -> io::Result<()> {
        name::rename_new(dir, name, &self.area.file, &self.at.name)
    }

    pub(crate) fn area(&self) -> &OwnedFd {
        &self.area.file
    }
}

impl Area {
    fn of(dir: &OwnedFd, path: &Path, stat: &Stat, journal: &Journal) -> Option<Area> {
        let in_state = journal::directory("kept").filter(|area| is_on(area, stat));
        let of_state = |area: PathBuf| Area::open(open::root(area.parent()?).ok()?, &area, stat, journal).ok();
        if let Some(area) = in_state.and_then(of_state) {
            return Some(area);
        }
        let real = name::real_path(dir).or_else(|| std::path::absolute(path).ok())?;
        let top = top_of(&real, stat);
        let mut above: Vec<&Path> = real.ancestors().take_while(|path| path.starts_with(&top)).collect();
        above.reverse();
        let name = format!("{IN_TOP}{}", process::effective_ids().0);
        let open = |path: &Path| Area::open(open::real(path)?, &path.join(&name), stat, journal);
        for path in above {
            match open(path).or_else(|error| if is_refusal(&error) { Err(error) } else { open(path) }) {
                Ok(area) => return Some(area),
                Err(error) if is_refusal(&error) => {}
                // An error of the moment is no reason to leave something in a lower directory.
                Err(_) => return None,
            }
        }
        None
    }

    /// Opens it, made if it is not there. One that is a link, another user's or on another mount is none.
    fn open(parent: OwnedFd, path: &Path, of: &Stat, journal: &Journal) -> io::Result<Area> {
        let name = CString::new(path.file_name().unwrap_or_default().as_bytes())?;
        let is_here = |stat: &Stat| (stat.mount, stat.id.dev) == (of.mount, of.id.dev);
        if !is_here(&Stat::of_dir(&parent)?) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let (file, stat) = Area::opened(&parent, &name)?;
        let is_ours = stat.uid == process::effective_ids().0;
        if !is_ours || !is_here(&stat) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if stat.permissions() & 0o777 != 0o700 {
            // A file system without modes has its own, and keeps them.
            let _ = attributes::set_mode(&file, 0o700);
        }
        let dir = journal.dir(&file, path);
        Ok(Area { file, dir, parent, name })
    }

    fn opened(parent: &OwnedFd, name: &CStr) -> io::Result<(OwnedFd, Stat)> {
        for _ in 0..ATTEMPTS {
            match name::mkdir(parent, name, 0o700) {
                Ok(()) if process::umask() & 0o700 != 0 => attributes::set_mode_at(parent, name, 0o700)?,
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let opened = open::dir(parent, name, Follow::No).and_then(|file| {
                // Nobody removes it from now on.
                locks::share(&file);
                let (stat, now) = (Stat::of_dir(&file)?, Stat::at(parent, name)?);
                Ok((file, stat, now.id == stat.id))
            });
            match opened {
                Ok((file, stat, true)) => return Ok((file, stat)),
                // Another operation was over, and had removed it as empty.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Whether there can be no area in a directory: it may not be written to, or something else is in the area's place.
fn is_refusal(error: &io::Error) -> bool {
    let refusals =
        [libc::EACCES, libc::EPERM, libc::EROFS, libc::EXDEV, libc::ELOOP, libc::ENOTDIR, libc::ENAMETOOLONG];
    let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::CrossesDevices];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&errno)) || kinds.contains(&error.kind())
}

/// Whether a directory of our own is, or would be, on a mount; its parents are made.
fn is_on(area: &Path, stat: &Stat) -> bool {
    let Some(parent) = area.parent() else { return false };
    let found = journal::make_dir(parent).and_then(|()| open::root(parent)).and_then(Stat::of_dir);
    found.is_ok_and(|found| (found.mount, found.id.dev) == (stat.mount, stat.id.dev))
}

/// The top directory of the mount that a directory is on.
fn top_of(path: &Path, stat: &Stat) -> PathBuf {
    let table = mount::table().unwrap_or_default();
    let mount = mount::numbered(&table, stat.mount).or_else(|| mount::serving(&table, path));
    mount.map_or_else(|| path.to_owned(), |mount| mount.point.clone())
}
