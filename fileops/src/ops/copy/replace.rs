//! Replacing: a new file that is whole and on the device takes the place of an old one in one step, and the old one goes to
//! the kept area.

use super::draft::{Draft, OnDisk};
use super::place::{Ledger, Staged};
use crate::error::{Action, During, Refusal, Result};
use crate::journal::{Identity, Location, Pending, Step};
use crate::kept;
use crate::operation::Job;
use crate::ops::steps::{self, REFUSALS, cannot_exchange};
use crate::report::NoteKind;
use crate::sys::stat::{Stat, Time};
use crate::sys::{data, list, name, open};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A new file that is whole and waits to take the place of an old one.
pub(super) struct Replacement {
    pub(super) draft: Draft,
    pub(super) name: CString,
    pub(super) old: Stat,
    pub(super) source: PathBuf,
    /// Its name at the source.
    pub(super) source_name: CString,
    pub(super) stat: Stat,
    pub(super) is_durable: bool,
}

/// Up to so many files are made durable one by one; more of them by one call for the whole file system.
const SYNC_ONE_BY_ONE: usize = 8;

/// Makes new files durable, all at once where that is known to work, and then gives each the place of its old one.
/// Calls `done` for each, with what became of it, until the operation is cancelled.
pub(super) fn replace_all(
    mut replacements: Vec<Replacement>,
    dir: &OwnedFd,
    syncs_at_once: bool,
    job: &Job,
    mut done: impl FnMut(&Replacement, Result<()>),
) {
    let at_once = syncs_at_once && replacements.len() > SYNC_ONE_BY_ONE && data::sync_all(dir).is_ok();
    for replacement in &mut replacements {
        if job.checkpoint().is_err() {
            // The others go as they came, when they are dropped.
            return;
        }
        let replaced = replace(replacement, at_once).during(Action::Rename, || replacement.source.clone());
        done(replacement, replaced);
    }
}

/// Makes a new file durable, if it is not, and gives it the place of its old one.
pub(super) fn replace(replacement: &mut Replacement, is_durable: bool) -> io::Result<()> {
    let Replacement { draft, name, old, stat, .. } = replacement;
    if !is_durable && !replacement.is_durable && stat.is_file() {
        if let Some(stage) = draft.name() {
            data::sync(open::file(&*draft.dir, &stage, open::Follow::No)?)?;
        }
    }
    draft.replace(name, old, stat.links)
}

/// Where the old file is going to be, and the record of that.
struct Keeping {
    /// Of both files, one after the other.
    at: Location,
    place: kept::Place,
    pending: Pending,
}

impl Keeping {
    /// `None` where nothing is to be kept, or nowhere.
    fn begin(job: &Job, dir: &OwnedFd, staged: &Staged, name: &CStr, new: &Stat, old: &Stat) -> Option<Keeping> {
        if !job.journal.keeps_steps() {
            return None;
        }
        let Some(place) = job.kept.place(dir, &staged.path, &job.journal) else {
            job.note(NoteKind::NotKept, None, || staged.shown());
            return None;
        };
        // The new file's own change time is that of the exchange, which is still to come.
        let new = Identity { changed: Time::default(), ..Identity::from(new) };
        let at = Location { dir: job.journal.dir(dir, &staged.path), name: name.to_owned() };
        let step = Step::Replaced { at: at.clone(), new, kept: place.at.clone(), old: Identity::from(old) };
        let pending = job.journal.intend(&step);
        if let Some(error) = job.journal.error() {
            // What no record knows of nobody would find there.
            job.note(NoteKind::NotKept, Some(&error), || staged.shown());
            return None;
        }
        Some(Keeping { pending, at, place })
    }
}

/// What became of a replacement.
enum Replaced {
    /// The new file has the name, and the old one its place in the kept area, if it has one.
    Done,
    /// The new file has the name, the old one could not be kept and is gone.
    Dropped(io::Error),
    /// The names are as they were.
    Not(io::Error),
    /// It cannot be told; what is there stays.
    Unknown(io::Error),
}

impl Draft {
    /// Takes the place of an old file, which must still be the file that was seen there. `links` are its source's: other
    /// names of the new one may still come.
    fn replace(&mut self, name: &CStr, old: &Stat, links: u64) -> io::Result<()> {
        let OnDisk::Staged(ledger, staged) = &self.on_disk else { return Err(io::ErrorKind::InvalidInput.into()) };
        let (ledger, staged) = (Arc::clone(ledger), Arc::clone(staged));
        let new = Stat::at(&*self.dir, staged.name())?;
        if staged.id().is_none() {
            // Without knowing which file is ours it could not be told whose is where after the exchange.
            ledger.made(&staged, new.id);
        }
        let keeping = Keeping::begin(&ledger.job, &self.dir, &staged, name, &new, old);
        let place = keeping.as_ref().map(|keeping| &keeping.place);
        let replaced = self.exchange(&ledger, &staged, name, old, place);
        let journal = &ledger.job.journal;
        match (replaced, keeping) {
            (Replaced::Done, keeping) => {
                if let Some(keeping) = keeping {
                    journal.done(keeping.pending);
                    ledger.job.kept.add(old.allocated);
                    if links == 1 {
                        steps::seal_file(&ledger.job, &self.dir, keeping.at);
                    }
                }
                Ok(())
            }
            (Replaced::Dropped(error), keeping) => {
                keeping.into_iter().for_each(|keeping| journal.undone(keeping.pending));
                ledger.job.note(NoteKind::NotKept, Some(&error), || staged.shown());
                Ok(())
            }
            (Replaced::Not(error), keeping) => {
                keeping.into_iter().for_each(|keeping| journal.undone(keeping.pending));
                Err(error)
            }
            (Replaced::Unknown(error), _) => {
                staged.is_doubtful.store(true, Relaxed);
                Err(error)
            }
        }
    }

    fn exchange(
        &mut self,
        ledger: &Arc<Ledger>,
        staged: &Arc<Staged>,
        name: &CStr,
        old: &Stat,
        place: Option<&kept::Place>,
    ) -> Replaced {
        match self.until_done(staged, name, || name::exchange(&*self.dir, staged.name(), &*self.dir, name)) {
            Ok(()) => self.put_away(ledger, staged, name, old, place),
            Err(error) if cannot_exchange(&error) => match self.rename_over(staged, name, old, place) {
                Replaced::Done => {
                    self.forget();
                    Replaced::Done
                }
                other => other,
            },
            Err(error) if is_not_done(&error) || self.is_as_it_was(staged, name, old) => Replaced::Not(error),
            Err(error) => Replaced::Unknown(error),
        }
    }

    /// After the exchange: the old file is under the stage's name, and is looked at once more before it goes.
    fn put_away(
        &mut self,
        ledger: &Arc<Ledger>,
        staged: &Arc<Staged>,
        name: &CStr,
        old: &Stat,
        place: Option<&kept::Place>,
    ) -> Replaced {
        // The stage's name may be that of somebody's old file now: nothing is removed unless it is known what it is.
        self.on_disk = OnDisk::Nothing;
        let displaced = match Stat::at(&*self.dir, staged.name()) {
            Ok(displaced) => displaced,
            Err(error) => return Replaced::Unknown(error),
        };
        if !displaced.is_unchanged(old) || displaced.is_dir() {
            if let Err(error) = name::exchange(&*self.dir, staged.name(), &*self.dir, name) {
                return Replaced::Unknown(error);
            }
            self.on_disk = OnDisk::Staged(Arc::clone(ledger), Arc::clone(staged));
            return Replaced::Not(Refusal::TargetChanged.into());
        }
        let kept = place.map(|place| self.keep(place, staged.name(), old));
        if let Some(Ok(())) = kept {
            ledger.gone(staged);
            return Replaced::Done;
        }
        if name::unlink(&*self.dir, staged.name()).is_ok() {
            ledger.gone(staged);
        }
        kept.and_then(io::Result::err).map_or(Replaced::Done, Replaced::Dropped)
    }

    /// Renames the old file to its place in the kept area; once more if an error did not say why.
    fn keep(&self, place: &kept::Place, name: &CStr, old: &Stat) -> io::Result<()> {
        let is_kept = || Stat::at(place.area(), &place.at.name).is_ok_and(|stat| stat.id == old.id);
        let taken = place.take(&self.dir, name);
        match taken {
            Err(error) if is_not_done(&error) => Err(error),
            // The reply can be lost.
            Err(_) if is_kept() => Ok(()),
            Err(_) => place.take(&self.dir, name).or_else(|error| if is_kept() { Ok(()) } else { Err(error) }),
            Ok(()) => Ok(()),
        }
    }

    /// Where the file system cannot exchange. With a second name in the kept area the old file is never without one; where
    /// there are no second names it is away for a moment, which the journal knows.
    fn rename_over(&self, staged: &Staged, name: &CStr, old: &Stat, place: Option<&kept::Place>) -> Replaced {
        match Stat::at(&*self.dir, name) {
            Ok(now) if now.is_unchanged(old) && !now.is_dir() => {}
            Ok(_) => return Replaced::Not(Refusal::TargetChanged.into()),
            Err(error) => return Replaced::Not(error),
        }
        let rename = || self.until_done(staged, name, || name::rename(&*self.dir, staged.name(), &*self.dir, name));
        let Some(place) = place else {
            return match rename() {
                Ok(()) => Replaced::Done,
                Err(error) if is_not_done(&error) || self.is_as_it_was(staged, name, old) => Replaced::Not(error),
                Err(error) => Replaced::Unknown(error),
            };
        };
        if name::link(&*self.dir, name, place.area(), &place.at.name).is_ok() {
            return match rename() {
                Ok(()) => Replaced::Done,
                Err(error) if is_not_done(&error) || self.is_as_it_was(staged, name, old) => {
                    let _ = name::unlink(place.area(), &place.at.name);
                    Replaced::Not(error)
                }
                Err(error) => Replaced::Unknown(error),
            };
        }
        if let Err(error) = place.take(&self.dir, name) {
            return match is_not_done(&error) || self.is_as_it_was(staged, name, old) {
                true => Replaced::Not(error),
                false => Replaced::Unknown(error),
            };
        }
        match name::rename_new(&*self.dir, staged.name(), &*self.dir, name) {
            Ok(()) => Replaced::Done,
            Err(error) => match name::rename_new(place.area(), &place.at.name, &*self.dir, name) {
                Ok(()) => Replaced::Not(error),
                Err(_) => Replaced::Unknown(error),
            },
        }
    }

    /// Whether an exchange whose answer may be lost was surely not made. A look at the names does not help: the kernel may
    /// remember what they were.
    fn is_as_it_was(&self, staged: &Staged, name: &CStr, old: &Stat) -> bool {
        let ours = staged.id().map(|id| id.ino);
        list::inodes(&*self.dir, [staged.name(), name]).is_ok_and(|found| found == [ours, Some(old.id.ino)])
    }

    /// Makes a call that gives a stage its name, once: its reply can be lost, and an interrupted one may have been made.
    /// What has the name then tells.
    fn until_done(&self, staged: &Staged, name: &CStr, call: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut attempts = 0;
        loop {
            let Err(error) = call() else { return Ok(()) };
            if cannot_exchange(&error) {
                return Err(error);
            }
            match Stat::at(&*self.dir, name) {
                Ok(now) if staged.id() == Some(now.id) => return Ok(()),
                Ok(_) if error.kind() == io::ErrorKind::Interrupted && attempts < ATTEMPTS => attempts += 1,
                _ => return Err(error),
            }
        }
    }
}

/// How often a call is made that was interrupted and did nothing.
const ATTEMPTS: usize = 100;

/// Whether an error says for sure that names are as they were.
fn is_not_done(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| errno == libc::ENOENT || REFUSALS.contains(&errno))
}
