//! Where an entry goes: its name at the target, and what the rules say when that is taken.

use super::Copying;
use super::attributes::{Made, Target};
use super::place::{Place, Spot};
use super::{Names, compare, names};
use crate::conflict::{self, OnConflict};
use crate::control::lock;
use crate::engine::{End, Entry, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::progress::{LARGE, add};
use crate::sys::attributes;
use crate::sys::stat::{Id, Stat};
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

impl Copying {
    /// The name of an entry at the target, by rule.
    pub(super) fn name_at_target(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit<CString> {
        if let Some(name) = &entry.dir.data.root_name {
            return Ok(name.clone());
        }
        let route = entry.dir.data.route();
        if !route.target.has_fat_names() && self.options.names == Names::Keep {
            return Ok(entry.name.to_owned());
        }
        names::at_target(self, worker, entry, route.target)
    }

    /// Where an entry goes; `None` if it is left out by rule.
    pub(super) fn spot(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>, stat: &Stat) -> Visit<Option<Spot>> {
        let wanted = self.name_at_target(worker, entry)?;
        if entry.dir.data.is_fresh() {
            return Ok(Some(Spot::Direct(wanted)));
        }
        let path = || entry.dir.path_of(End::Target, &wanted);
        let target = worker.descriptor(entry.dir, End::Target).during(Action::Open, path)?;
        let old = match Stat::at(&*target, &wanted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Spot::New(wanted))),
            old => old.during(Action::Stat, path)?,
        };
        let rule = self.options.on_conflict;
        if self.moving.is_some() && old.id == stat.id {
            return Err(self.refusal(entry, &wanted, Refusal::SameFile));
        }
        let replaces = match rule {
            OnConflict::Skip => false,
            OnConflict::Rename => {
                let name = self.free_name(&target, &wanted).during(Action::Stat, path)?;
                return Ok(Some(Spot::New(name)));
            }
            _ if old.id == stat.id => return Err(self.refusal(entry, &wanted, Refusal::SameFile)),
            OnConflict::Fail => return Err(self.refusal(entry, &wanted, Refusal::Exists)),
            _ if old.is_dir() => return Err(self.refusal(entry, &wanted, Refusal::KindDiffers)),
            OnConflict::Replace => true,
            OnConflict::Newer => stat.modified > old.modified,
            OnConflict::Different => compare::differ(worker, entry, stat, &target, &wanted, &old)?,
        };
        if replaces {
            // Two sources of one name, or names that the target takes for one.
            if lock(&self.placed).contains(&old.id) {
                return Err(self.refusal(entry, &wanted, Refusal::Exists));
            }
            if stat.kind() == FileType::Symlink && self.leads_to(worker, entry, &old) {
                return Err(self.refusal(entry, &wanted, Refusal::SameFile));
            }
            return Ok(Some(Spot::Replace(wanted, old)));
        }
        if stat.is_file() && stat.links < 2 {
            add(&worker.counters.passed_bytes, stat.size);
            if stat.size > LARGE {
                worker.counters.add_large(stat.size, Duration::ZERO);
            }
        }
        self.skip(worker, entry, &wanted).map(|()| None)
    }

    /// Whether a link leads to what it would replace: nothing would be left but a link to itself.
    fn leads_to(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, old: &Stat) -> bool {
        let source = worker.descriptor(entry.dir, End::Source);
        source.and_then(|dir| Stat::following(&*dir, entry.name)).is_ok_and(|stat| stat.id == old.id)
    }

    pub(super) fn skip(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, wanted: &CStr) -> Visit {
        let source = entry.dir.path_of(End::Source, entry.name);
        add(&worker.counters.passed, 1);
        worker.job().skip(source, entry.dir.path_of(End::Target, wanted));
        entry.dir.data.old.keep();
        Ok(())
    }

    pub(super) fn refusal(&self, entry: &Entry<'_, Self>, wanted: &CStr, refusal: Refusal) -> Stop {
        let error = Error::new(self.action(), entry.dir.path_of(End::Source, entry.name), refusal);
        error.with_target(entry.dir.path_of(End::Target, wanted)).into()
    }

    /// "name (2)", "name (3)": the first that is free now. The publication finds out whether it still is.
    pub(super) fn free_name(&self, dir: &OwnedFd, name: &CStr) -> io::Result<CString> {
        for number in 2..u32::MAX {
            let candidate = conflict::numbered(name, number);
            match Stat::at(dir, &candidate) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(candidate),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Keeps in mind that a file is ours, where a later one could replace it.
    pub(super) fn placed(&self, id: Id) {
        if matches!(self.options.on_conflict, OnConflict::Replace | OnConflict::Newer | OnConflict::Different) {
            lock(&self.placed).insert(id);
        }
    }

    /// Owner and mode of a file just made. The first in a directory is asked, the others are like it.
    pub(super) fn made(&self, dir: &Node<Place>, file: &OwnedFd, mode: u32) -> io::Result<Made> {
        if dir.data.is_fresh() {
            if let Some(&owner) = dir.data.born.get() {
                return Ok(Made { owner, mode: mode & !self.umask });
            }
            let made = made_of(file)?;
            if made.mode == mode & !self.umask {
                let _ = dir.data.born.set(made.owner);
            } else {
                // Modes of its own: each file has to be asked.
                dir.data.route().own_modes();
            }
            return Ok(made);
        }
        let inherits = *dir.data.inherits.get_or_init(|| {
            let access = attributes::Subject::File(file);
            attributes::xattr(access, c"system.posix_acl_access", &mut Vec::new()).is_ok()
        });
        if inherits {
            self.disinherit(&Target::File(file));
        }
        let stat = Stat::of(file)?;
        self.placed(stat.id);
        let made = Made { owner: (stat.uid, stat.gid), mode: stat.permissions() };
        if made.mode != mode & !self.umask {
            dir.data.route().own_modes();
        }
        Ok(made)
    }
}

pub(super) fn made_of(file: &OwnedFd) -> io::Result<Made> {
    let stat = Stat::of(file)?;
    Ok(Made { owner: (stat.uid, stat.gid), mode: stat.permissions() })
}
