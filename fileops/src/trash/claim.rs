//! Taking a name in a trash: the info file comes first, whole and for nobody else to take, and is on its device before what
//! it tells of moves.
//!
//! It is written under a stage's name and gets its own by a rename that replaces nothing, which excludes others as O_EXCL
//! does; so it is whole when it appears, and what a failed or unanswered call leaves is known to be ours.

use super::folder::{Folder, INFO_SUFFIX, info_name, sync_dir};
use crate::conflict::{NAME_MAX, numbered_within};
use crate::error::{Action, During, Error, Result};
use crate::journal::{Dir, Journal, Stage};
use crate::sys::stat::{Id, Stat};
use crate::sys::{data, name, open};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// So many things of one name in one trash are more than anybody has.
const MOST: u32 = 1_000_000;

/// A name in a trash that is ours.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Of what is going to be in `files`.
    pub(crate) name: CString,
    number: u32,
    /// Its info file, as it is under that name.
    pub(crate) info: Stat,
}

/// Takes a name like `wanted`, from `number` on, by an info file with this text.
///
/// # Errors
/// Nothing is left of it then.
pub(crate) fn claim(folder: &Folder, wanted: &CStr, text: &[u8], number: u32, journal: &Journal) -> Result<Claim> {
    let dir = journal.dir(&*folder.info, &folder.path.join("info"));
    let stage = journal.stage(&dir, &info_name(wanted));
    let claimed = write(folder, &stage, text, journal)
        .and_then(|(file, stat)| publish(folder, &stage, stat, wanted, number, &file));
    if claimed.is_err() {
        // A call whose answer was lost may have made it.
        let _ = name::unlink(&*folder.info, &stage.name);
    }
    journal.gone(&stage);
    claimed
}

impl Claim {
    /// Takes the next name instead.
    pub(crate) fn next(self, folder: &Folder, wanted: &CStr, text: &[u8], journal: &Journal) -> Result<Claim> {
        let number = self.number + 1;
        self.give_up(folder);
        claim(folder, wanted, text, number, journal)
    }

    /// Gives the name back.
    pub(crate) fn give_up(self, folder: &Folder) {
        let _ = remove_info(folder, &self.name, self.info.id);
    }

    /// Of its info file.
    pub(crate) fn info_name(&self) -> CString {
        info_name(&self.name)
    }

    /// How the directories of things and of info files are recorded.
    pub(crate) fn dirs(&self, folder: &Folder, journal: &Journal) -> (Dir, Dir) {
        let at = |dir: &OwnedFd, name: &str| journal.dir(dir, &folder.path.join(name));
        (at(&folder.files, "files"), at(&folder.info, "info"))
    }
}

/// Removes an info file, if it is still this one.
pub(crate) fn remove_info(folder: &Folder, name: &CStr, id: Id) -> io::Result<()> {
    let info = info_name(name);
    match Stat::at(&*folder.info, &info) {
        Ok(stat) if stat.id == id => name::unlink(&*folder.info, &info),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the stage; what is open, and what it is.
fn write(folder: &Folder, stage: &Stage, text: &[u8], journal: &Journal) -> Result<(OwnedFd, Stat)> {
    let path = || folder.path.join("info");
    let file = open::create(&*folder.info, &stage.name, 0o600).during(Action::Create, path)?;
    journal.made(stage, Stat::of(&file).during(Action::Stat, path)?.id);
    let written = match write_all(&file, text) {
        // The sizes are a cache that anybody can make again; its room may be all that is needed.
        Err(error) if is_full(&error) && name::unlink(&folder.dir, super::sizes::NAME).is_ok() => {
            write_all(&file, text)
        }
        written => written,
    };
    written.during(Action::Write, path)?;
    let stat = Stat::of(&file).during(Action::Stat, path)?;
    Ok((file, stat))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

fn write_all(file: impl AsFd, text: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < text.len() {
        done += data::write_at(&file, &text[done..], done as u64)?;
    }
    Ok(())
}

/// Gives the stage the first name that is free, and makes both durable.
fn publish(folder: &Folder, stage: &Stage, stat: Stat, wanted: &CStr, first: u32, file: &OwnedFd) -> Result<Claim> {
    let mut most = NAME_MAX - INFO_SUFFIX.len();
    let mut number = first;
    while number < MOST {
        let name = numbered_within(wanted, number, most);
        match take(folder, stage, &name, stat.id) {
            Ok(true) => {
                // A rename has set its change time.
                let info = Stat::of(file).unwrap_or(stat);
                let claim = Claim { name, number, info };
                return match persist(folder, file) {
                    Ok(()) => Ok(claim),
                    Err(error) => {
                        claim.give_up(folder);
                        Err(Error::new(Action::Sync, folder.path.join("info"), error))
                    }
                };
            }
            Ok(false) => number += 1,
            // Some file systems take less.
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) && most > 32 => most /= 2,
            Err(error) => return Err(Error::new(Action::Rename, folder.info_path(&name), error)),
        }
    }
    Err(Error::new(Action::Create, folder.info_path(wanted), io::Error::from(io::ErrorKind::AlreadyExists)))
}

/// Gives the stage this name; `false` if it is taken, be it by a thing that has no info file.
fn take(folder: &Folder, stage: &Stage, name: &CStr, id: Id) -> io::Result<bool> {
    match Stat::at(&*folder.files, name) {
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let info = info_name(name);
    match name::rename_claiming(&*folder.info, &stage.name, &*folder.info, &info) {
        Ok(()) => Ok(true),
        // The call may have been made all the same.
        Err(_) if Stat::at(&*folder.info, &info).is_ok_and(|stat| stat.id == id) => {
            let _ = name::unlink(&*folder.info, &stage.name);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn persist(folder: &Folder, file: &OwnedFd) -> io::Result<()> {
    data::sync(file)?;
    sync_dir(&*folder.info)?;
    folder.settle()
}
