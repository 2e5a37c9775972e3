//! The file that keeps metadata beside other files, on disk: read, locked, filled.

use crate::error::{Error, Refusal};
use crate::meta::sidecar::{Kept, MOST_BYTES, NAME, Sidecar};
use crate::operation::Job;
use crate::sys::attributes::{self, Subject};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{data, lock};
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How often it is merged again when somebody who knows no lock changed it meanwhile.
pub(super) const ATTEMPTS: usize = 100;

/// Longer than anybody writes at it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has the name.
pub(super) enum Found {
    Nothing,
    Ours(Sidecar, Stat),
    /// Something that is none: it stays as it is.
    Foreign,
}

/// Whether files on the file system of a directory have attributes of users.
pub(super) fn holds_attributes(dir: &OwnedFd) -> bool {
    let asked = attributes::xattr(Subject::File(dir), c"user.fileops.none", &mut Vec::new());
    !asked.is_err_and(|error| crate::sys::is_unsupported(&error))
}

pub(super) fn read(dir: &OwnedFd) -> io::Result<Found> {
    let file = match open::file(dir, NAME, Follow::No) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => return Ok(Found::Foreign),
        Err(error) => return Err(error),
    };
    let stat = Stat::of(&file)?;
    if !stat.is_file() || stat.size > MOST_BYTES as u64 {
        return Ok(Found::Foreign);
    }
    let text = data::read_all(&file, MOST_BYTES)?;
    Ok(Sidecar::parse(&text).map_or(Found::Foreign, |sidecar| Found::Ours(sidecar, stat)))
}

/// What is kept beside an entry, if it is about what has the name, or had it just now, and the file system has no place for it
/// elsewhere.
pub(super) fn line_of(dir: &OwnedFd, name: &CStr, stat: &Stat) -> Option<Kept> {
    line_in(dir, dir, name, stat)
}

/// The same where it is kept in one directory about another.
pub(super) fn line_in(dir: &OwnedFd, about: &OwnedFd, name: &CStr, stat: &Stat) -> Option<Kept> {
    // What is kept of a directory is in it.
    if stat.is_dir() {
        return None;
    }
    let about = open::dir(about, c".", Follow::No).ok()?;
    match read(dir) {
        Ok(Found::Ours(sidecar, _)) if !holds_attributes(&about) => {
            sidecar.entries.get(name).filter(|kept| kept.is_about(stat)).cloned()
        }
        _ => None,
    }
}

/// Keeps others of us from writing in a directory, until what is given is dropped. `None` where there are no locks.
pub(super) fn hold(dir: &OwnedFd, job: &Job) -> io::Result<Option<OwnedFd>> {
    // A lock belongs to an opening: others of this process are others too.
    let own = open::dir(dir, c".", Follow::No)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match lock::try_flock(&own, lock::Hold::Exclusive) {
            Ok(true) => return Ok(Some(own)),
            Ok(false) if Instant::now() < end => job.control.rest(Duration::from_millis(2)),
            Ok(false) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(_) => return Ok(None),
        }
    }
}

/// Writes the contents of a new one, and waits until they are on the device.
pub(super) fn fill(file: &OwnedFd, text: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < text.len() {
        done += data::write(file, &text[done..])?;
    }
    data::sync(file)
}

/// Whether an error says that somebody else was faster.
pub(super) fn was_changed(error: &Error) -> bool {
    error.source.kind() == io::ErrorKind::AlreadyExists || error.refusal() == Some(Refusal::TargetChanged)
}
