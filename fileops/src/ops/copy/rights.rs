//! Files and directories of the user's own whose mode keeps the user out: opened for the time when somebody says so, and
//! closed again.

use super::place::Place;
use super::{Copying, Loosened};
use crate::control::lock;
use crate::engine::{End, Entry, Node, Worker};
use crate::error::Error;
use crate::journal::Location;
use crate::question::Unfit;
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{attributes, name};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// What the owner of a directory needs to read what is in it, and to put something there.
const READ_DIR: u32 = 0o500;
const FILL_DIR: u32 = 0o300;
const READ_FILE: u32 = 0o400;

impl Copying {
    /// Whether an entry failed for want of rights that we could give ourselves.
    pub(super) fn rights_for(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        error: &Error,
    ) -> Result<(), Unfit> {
        if error.source.kind() != io::ErrorKind::PermissionDenied || self.may_give_away {
            return Err(Unfit::NotAboutRights);
        }
        let from = worker.descriptor(entry.dir, End::Source);
        let at = from.as_ref().ok().and_then(|dir| Stat::at(&**dir, entry.name).ok());
        let from = from.and_then(Stat::of).ok();
        let to = worker.descriptor(entry.dir, End::Target).and_then(Stat::of).ok();
        let needs = |stat: &Stat| if stat.is_dir() { READ_DIR } else { READ_FILE };
        let all =
            [at.map(|stat| (stat, needs(&stat))), from.map(|stat| (stat, READ_DIR)), to.map(|stat| (stat, FILL_DIR))];
        let mut all = all.into_iter().flatten();
        if all.clone().any(|(stat, needed)| self.can_open(&stat, needed)) {
            return Ok(());
        }
        let is_own = |stat: Stat| stat.uid == self.user;
        if all.all(|(stat, _)| is_own(stat)) { Err(Unfit::NotAboutRights) } else { Err(Unfit::NotOwner) }
    }

    fn can_open(&self, stat: &Stat, needed: u32) -> bool {
        stat.uid == self.user && stat.mode & needed != needed && (stat.is_dir() || stat.is_file())
    }

    /// Opens both ends of the directory of an entry that may have rights. They are closed when it is left.
    pub(super) fn open_around(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) {
        if worker.has_rights(entry.dir, entry.name) {
            for (end, needed) in [(End::Source, READ_DIR), (End::Target, FILL_DIR)] {
                // What is refused here shows itself when the entry is tried.
                let _ = worker.descriptor(entry.dir, end).and_then(|file| self.loosen(entry.dir, end, &file, needed));
            }
        }
    }

    fn loosen(&self, dir: &Arc<Node<Place>>, end: End, file: &OwnedFd, needed: u32) -> io::Result<()> {
        let stat = Stat::of(file)?;
        if self.can_open(&stat, needed) {
            let mode = stat.permissions();
            let record = self.opens_dir(file, &stat, needed);
            attributes::set_mode(file, mode | needed)?;
            lock(&self.loosened).push(Loosened { dir: Arc::clone(dir), end, mode, record });
        }
        Ok(())
    }

    /// Opens a directory that was to be walked and cannot be read.
    pub(super) fn loosen_source(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Option<()> {
        let (above, side) = (dir.parent()?, dir.side(End::Source)?);
        let file = worker.descriptor(above, End::Source).ok()?;
        let stat = Stat::at(&*file, side.name()).ok().filter(|stat| stat.is_dir() && self.can_open(stat, READ_DIR))?;
        let record = self.opens(&file, &above.path(End::Source), side.name(), &stat, READ_DIR);
        attributes::set_mode_at(&*file, side.name(), stat.permissions() | READ_DIR).ok()?;
        let mode = stat.permissions();
        let _ = dir.data.locked.set(mode);
        lock(&self.loosened).push(Loosened { dir: Arc::clone(dir), end: End::Source, mode, record: Some(record) });
        Some(())
    }

    /// Gives a directory that is left the modes it had.
    pub(super) fn tighten(&self, dir: &Arc<Node<Place>>, open: impl Fn(End) -> io::Result<Arc<OwnedFd>>) {
        let mut all = lock(&self.loosened);
        let (these, others) = std::mem::take(&mut *all).into_iter().partition(|one| Arc::ptr_eq(&one.dir, dir));
        *all = others;
        drop(all);
        let these: Vec<Loosened> = these;
        for Loosened { end, mode, record, .. } in these {
            let put_back = open(end).and_then(|file| attributes::set_mode(&*file, mode));
            if let (Ok(()), Some(record)) = (put_back, record) {
                self.ledger.journal().closed(record);
            }
        }
    }

    /// Opens a file, with rights for the moment if it may have them.
    pub(super) fn open_source(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        from: &OwnedFd,
    ) -> io::Result<OwnedFd> {
        let open = || open::file(from, entry.name, entry.follow);
        let error = match worker.open(open) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
            opened => return opened,
        };
        if !worker.has_rights(entry.dir, entry.name) {
            return Err(error);
        }
        let stat = Stat::at(from, entry.name)?;
        if !stat.is_file() || !self.can_open(&stat, READ_FILE) {
            return Err(error);
        }
        let record = self.opens(from, &entry.dir.path(End::Source), entry.name, &stat, READ_FILE);
        attributes::set_mode_at(from, entry.name, stat.permissions() | READ_FILE)?;
        let opened = worker.open(open);
        // The copy gets the mode that the file had.
        attributes::set_mode_at(from, entry.name, stat.permissions())?;
        self.ledger.journal().closed(record);
        opened
    }

    /// Records that an entry is about to be opened for the time: a kill must not leave it so.
    fn opens(&self, dir: &OwnedFd, path: &Path, name: &CStr, stat: &Stat, needed: u32) -> u64 {
        let journal = self.ledger.journal();
        let at = Location { dir: journal.dir(dir, path), name: name.to_owned() };
        journal.opens(at, stat.id.ino, stat.permissions(), stat.permissions() | needed)
    }

    /// The same for a directory of ours in which something waits, under the name that it is about to get.
    pub(super) fn opens_resting(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>, during: u32) -> Option<u64> {
        let above = dir.parent()?;
        let file = worker.descriptor(above, End::Target).ok()?;
        let stat = worker.descriptor(dir, End::Target).and_then(Stat::of).ok()?;
        let name = match &dir.data.stage {
            Some(staged) if !dir.data.is_public() => staged.wanted.clone(),
            _ => dir.side(End::Target)?.name().to_owned(),
        };
        let journal = self.ledger.journal();
        let at = Location { dir: journal.dir(&*file, &above.path(End::Target)), name };
        Some(journal.opens(at, stat.id.ino, self.mode_of(dir), during))
    }

    /// The same for a directory that is open; the top of the file tree has no name to be found by.
    fn opens_dir(&self, file: &OwnedFd, stat: &Stat, needed: u32) -> Option<u64> {
        let path = name::real_path(file)?;
        let (above, own) = (path.parent()?, CString::new(path.file_name()?.as_bytes()).ok()?);
        let dir = name::handle(file, c"..", Follow::Yes).ok()?;
        Some(self.opens(&dir, above, &own, stat, needed))
    }
}
