//! A file written as a whole: whoever opens it has the old contents or the new ones, never a part.

use super::ahead::call_at;
use super::call::{Call, Outcome};
use crate::error::Action;
use crate::sys::attributes::{self, Subject};
use crate::sys::open::{self, Access};
use crate::sys::replace::{self, Spot};
use crate::sys::stat::Stat;
use crate::sys::{data, name};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often it is looked whether somebody still waits.
const STEP: usize = 1 << 20;

/// Somebody else makes and removes the same name all the time: more often than this it is not tried again.
const TRIES: usize = 100;

/// Replaces the contents of a file in one step, or makes it: [`AtomicWrite`] as it is by default.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-fs-doc-atomic-{}", std::process::id()));
/// # std::fs::create_dir_all(&base)?;
/// # let path = base.join("settings");
/// # fileops::block_on(async {
/// fileops::fs::write_atomic(&path, "colour = red\n").await?;
/// # assert_eq!(fileops::fs::read(&path).await?, b"colour = red\n");
/// # Ok::<_, fileops::Error>(())
/// # })?;
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomic(path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Call<()> {
    AtomicWrite::new().write(path, bytes)
}

/// What is on the device when an atomic write is done.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Synced {
    /// Nothing need be. After a power cut the file may be the old one, or on some file systems the new one without contents.
    Nothing,
    /// The contents, before they get their name: after a power cut the file is the old one or the new one.
    #[default]
    Contents,
    /// The name too: the file is the new one.
    Name,
}

/// Writes whole files in the place of others.
///
/// The contents go to a file without a name (O_TMPFILE; where there is no such thing, to `.fileops-XXXXXXXX-1.part` beside
/// it), which gets the name in one step. What is replaced hands down its mode, owner, group, ACL and other extended attributes
/// (but capabilities, which a write takes away). A symbolic link stays, and what it points to is replaced. Other names of a
/// file that has several keep the old contents, and who has the old file open keeps it.
///
/// # Errors
/// As of [`std::fs::write`]; `InvalidInput` for what is neither a file nor nothing; and `PermissionDenied` where the directory
/// may not be written to, or the owner of the old file cannot be kept. After an error the old file is there as it was, and
/// nothing else. After a SIGKILL it is the old one or the new one, and the file with the name above may be left, which
/// [`search`](crate::search) finds.
///
/// # Dropping
/// Dropped before the new file has its name, the old one stays and nothing is left; writing stops within a step.
#[derive(Clone, Debug, Default)]
pub struct AtomicWrite {
    synced: Synced,
    mode: Option<u32>,
}

impl AtomicWrite {
    /// With the contents synced, and for new files the mode 0666 less the umask.
    pub fn new() -> AtomicWrite {
        AtomicWrite::default()
    }

    /// What is on the device in the end. [`Synced::Contents`] by default.
    #[must_use]
    pub fn synced(mut self, synced: Synced) -> AtomicWrite {
        self.synced = synced;
        self
    }

    /// The permission bits of a file that is new, less the umask: 0o600 for secrets. One that is there keeps its own.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> AtomicWrite {
        self.mode = Some(mode);
        self
    }

    /// Writes these bytes, and nothing else, to a file. Nothing happens before the first poll.
    pub fn write(self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Call<()> {
        let (path, bytes) = (path.as_ref().to_owned(), bytes.into());
        let is_dropped = Arc::new(AtomicBool::new(false));
        let teller = Teller(Arc::clone(&is_dropped));
        call_at(Action::Write, &path.clone(), move || self.make(&path, &bytes, &is_dropped)).holding(teller)
    }

    fn make(&self, path: &Path, bytes: &[u8], is_dropped: &AtomicBool) -> Outcome<()> {
        for _ in 0..TRIES {
            let spot = replace::spot(path)?;
            if let Some(old) = &spot.old {
                match () {
                    () if old.is_dir() => return Err(io::Error::from_raw_os_error(libc::EISDIR).into()),
                    () if !old.is_file() => return Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
                    () => replace::may_write(&spot.dir, &spot.name)?,
                }
            }
            let mut draft = Draft::new(&spot.dir, if spot.old.is_some() { 0o600 } else { self.mode.unwrap_or(0o666) })?;
            for part in bytes.chunks(STEP) {
                look(is_dropped)?;
                write_all(&draft.file, part)?;
            }
            if let Some(old) = &spot.old {
                hand_down(&spot, old, &draft.file)?;
            }
            look(is_dropped)?;
            if self.synced != Synced::Nothing {
                data::sync(&draft.file)?;
            }
            // Some file systems tell only when a file is closed that a write failed.
            open::close(draft.file.try_clone()?)?;
            look(is_dropped)?;
            match draft.publish(&spot) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && spot.old.is_none() => continue,
                answer => answer?,
            }
            if self.synced == Synced::Name {
                data::sync(open::dir(&spot.dir, c".", open::Follow::No)?)?;
            }
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY).into())
    }
}

/// Tells, by being dropped, that nobody waits any more.
struct Teller(Arc<AtomicBool>);

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The error goes nowhere: nobody waits for it.
fn look(is_dropped: &AtomicBool) -> io::Result<()> {
    if is_dropped.load(Ordering::Acquire) { Err(io::Error::from_raw_os_error(libc::ECANCELED)) } else { Ok(()) }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[data::write(file, bytes)?..];
    }
    Ok(())
}

/// The new file before it has its name. Dropped, it goes.
struct Draft<'a> {
    dir: &'a OwnedFd,
    file: OwnedFd,
    /// The name that it has meanwhile.
    name: Option<CString>,
}

impl<'a> Draft<'a> {
    fn new(dir: &'a OwnedFd, mode: u32) -> io::Result<Draft<'a>> {
        match open::create_unnamed(dir, mode, Access::Write) {
            Ok(file) => return Ok(Draft { dir, file, name: None }),
            Err(error) if has_no_unnamed(&error) => {}
            Err(error) => return Err(error),
        }
        let (file, name) = fresh(dir, |name| open::create(dir, name, mode))?;
        Ok(Draft { dir, file, name: Some(name) })
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// EEXIST if nothing was there, and now something is.
    fn publish(&mut self, spot: &Spot) -> io::Result<()> {
        let meanwhile = match (&self.name, spot.old) {
            (None, None) => return name::link_unnamed(&self.file, self.dir, &spot.name),
            (None, Some(_)) => {
                let ((), name) = fresh(self.dir, |name| name::link_unnamed(&self.file, self.dir, name))?;
                self.name.insert(name)
            }
            (Some(name), None) => {
                name::rename_new(self.dir, name, self.dir, &spot.name)?;
                self.name = None;
                return Ok(());
            }
            (Some(name), Some(_)) => name,
        };
        match name::rename(self.dir, meanwhile, self.dir, &spot.name) {
            // It may have been made all the same.
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !self.has_name(&spot.name) => {
                return Err(error);
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.name = None;
        Ok(())
    }

    fn has_name(&self, name: &CStr) -> bool {
        let found = Stat::at(self.dir, name).and_then(|found| Ok(found.id == Stat::of(&self.file)?.id));
        found.unwrap_or(false)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed is found by its name.
            let _ = name::unlink(self.dir, name);
        }
    }
}

/// Source: open(2), O_TMPFILE: EOPNOTSUPP from the file system, EISDIR and ENOENT from kernels that do not know it.
fn has_no_unnamed(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT | libc::EINVAL | libc::ENOSYS))
}

/// Makes something under a name that nothing has yet.
fn fresh<T>(dir: &OwnedFd, make: impl Fn(&CStr) -> io::Result<T>) -> io::Result<(T, CString)> {
    for _ in 0..TRIES {
        let name = crate::journal::unknown_stage_name()?;
        match make(&name) {
            Ok(made) => return Ok((made, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                // It may have been made all the same, and nobody else has a name that was drawn just now.
                let _ = name::unlink(dir, &name);
                return Err(error);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Gives the new file what the old one has: owner, attributes, mode; in this order, as each may take away of the later ones.
fn hand_down(spot: &Spot, old: &Stat, file: &OwnedFd) -> io::Result<()> {
    let new = Stat::of(file)?;
    let differs = |new: u32, old: u32| (new != old).then_some(old);
    if (new.uid, new.gid) != (old.uid, old.gid) {
        attributes::set_owner(file, differs(new.uid, old.uid), differs(new.gid, old.gid))?;
    }
    let path = attributes::subject_path(&spot.dir, &spot.name);
    hand_down_attributes(Subject::Name(&path), file)?;
    if Stat::of(file)?.permissions() != old.permissions() {
        attributes::set_mode(file, old.permissions())?;
    }
    Ok(())
}

fn hand_down_attributes(old: Subject<'_, OwnedFd>, file: &OwnedFd) -> io::Result<()> {
    let (mut names, mut value, mut others) = (Vec::new(), Vec::new(), Vec::new());
    match attributes::xattr_names(old, &mut names) {
        Err(error) if crate::sys::is_unsupported(&error) => return Ok(()),
        answer => answer?,
    }
    // What a directory gave to the new file (an ACL by default), and the old one has not.
    attributes::xattr_names(Subject::File(file), &mut others)?;
    for name in each(&others).filter(|name| is_handed_down(name) && !each(&names).any(|other| other == *name)) {
        attributes::remove_xattr(Subject::File(file), name)?;
    }
    for name in each(&names).filter(|name| is_handed_down(name)) {
        match attributes::xattr(old, name, &mut value) {
            // It went meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENODATA) => continue,
            answer => answer?,
        }
        attributes::set_xattr(Subject::File(file), name, &value)?;
    }
    Ok(())
}

/// Labels of security modules are given by them, and capabilities go with every write.
fn is_handed_down(name: &CStr) -> bool {
    !name.to_bytes().starts_with(b"security.")
}

fn each(names: &[u8]) -> impl Iterator<Item = &CStr> {
    names.split_inclusive(|&byte| byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok())
}
