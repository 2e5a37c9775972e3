//! Inside the stage of an interrupted copy: directories are filled as if they were new, files that are whole are kept, and
//! what the source does not have is set aside.

use super::directories::ignore_refusal;
use super::draft::Draft;
use super::place::Place;
use super::resume::Found;
use super::{Copying, attributes as kept};
use crate::engine::{self, End, Entry, Node, Visit, Worker};
use crate::error::{Action, During, Refusal};
use crate::sys::list::{self, Batch};
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat, Time};
use crate::sys::{attributes, data, name};
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What is known of a stage that was taken over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adopted {
    /// Whether what was written is what is read: no power cut and no pulled medium came between.
    pub(super) is_same_session: bool,
    /// What changed about sources before this was copied as it was then.
    pub(super) since: Time,
}

impl Adopted {
    /// Whether a file of the stage is what its source would become: times are the last that a file gets.
    fn is_whole(self, found: &Stat, source: &Stat) -> bool {
        let is_same = found.is_file() && found.size == source.size && found.modified == source.modified;
        self.is_same_session && source.changed < self.since && is_same
    }
}

impl Copying {
    /// Makes a directory of an adopted stage ours to fill, as if it was new: attributes come last.
    pub(super) fn open_up(&self, worker: &Worker<Self>, above: &OwnedFd, name: &CStr, id: Id) -> io::Result<OwnedFd> {
        attributes::set_mode_at(above, name, 0o700).or_else(ignore_refusal)?;
        let file = worker.open(|| open::dir(above, name, Follow::No))?;
        if Stat::of(&file)?.id != id {
            return Err(Refusal::TargetChanged.into());
        }
        self.disinherit(&kept::Target::File(&file));
        Ok(file)
    }

    /// A directory in an adopted one: `true` if it is there, and filled as far as the copy came.
    pub(super) fn adopt_dir(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &OwnedFd,
        name: &CStr,
    ) -> Visit<bool> {
        let path = || entry.dir.path_of(End::Target, name);
        let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let id = entry.stat(&source).during(Action::Stat, path)?.id;
        let found = match Stat::at(target, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.during(Action::Stat, path)?),
        };
        let Some(found) = found.filter(Stat::is_dir) else {
            self.clear_way(entry, target, name, id)?;
            return Ok(false);
        };
        if !self.interrupted.claim(found.id, id) {
            return Err(self.refusal(entry, name, Refusal::Exists));
        }
        self.open_up(worker, target, name, found.id).during(Action::Open, path)?;
        Ok(true)
    }

    /// Something was made in an adopted directory.
    pub(super) fn made_in_adopted(&self, dir: &Arc<Node<Place>>, made: io::Result<Stat>, source: Id) {
        if dir.data.adopted.is_some() {
            if let Ok(stat) = made {
                self.interrupted.claim(stat.id, source);
            }
        }
    }

    /// Takes away what an interrupted copy left in the place of something that is made anew.
    pub(super) fn clear_way(&self, entry: &Entry<'_, Self>, target: &OwnedFd, name: &CStr, source: Id) -> Visit {
        let path = || entry.dir.path_of(End::Target, name);
        if entry.dir.data.adopted.is_none() {
            return Ok(());
        }
        let found = match Stat::at(target, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.during(Action::Stat, path)?,
        };
        let is_anothers = self.interrupted.is_anothers(found.id, source);
        if is_anothers || found.is_dir() {
            return Err(self.refusal(entry, name, Refusal::Exists));
        }
        Ok(name::unlink(target, name).during(Action::Remove, path)?)
    }

    pub(super) fn find_in_stage(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        (name, stat): (&CStr, &Stat),
        adopted: Adopted,
    ) -> Visit<Found> {
        let path = || entry.dir.path_of(End::Target, name);
        let found = match Stat::at(&**target, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            found => found.during(Action::Stat, path)?,
        };
        // Other names of the file would change with it.
        if !found.is_file() || (found.links > 1 && stat.links < 2) {
            self.clear_way(entry, target, name, stat.id)?;
            return Ok(Found::Nothing);
        }
        if !self.interrupted.claim(found.id, stat.id) {
            return Err(self.refusal(entry, name, Refusal::Exists));
        }
        // What makes its source go is compared in any case; and so is what may not have its attributes beside it yet.
        let has_attributes = !self.keeps_beside();
        if adopted.is_whole(&found, stat) && !self.is_verifying() && self.moving.is_none() && has_attributes {
            if self.is_durable() && !entry.dir.data.route().target.syncs_at_once() {
                let file = open::file(&**target, name, Follow::No).during(Action::Open, path)?;
                data::sync(&file).during(Action::Sync, path)?;
            }
            return Ok(Found::Whole);
        }
        let opened = open_existing(worker, target, name, found.id).during(Action::Open, path)?;
        Ok(Found::Part(Draft::in_stage(target, name), opened, found.size))
    }

    /// A file that was whole.
    pub(super) fn was_whole(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        name: &CStr,
        stat: &Stat,
    ) -> Visit {
        self.count_found(worker, stat, stat.size);
        self.is_on_device(worker.job(), stat.size);
        self.done(worker, entry.dir, name, stat)
    }

    /// What an adopted directory has and its source has not: it is set aside as something that was left behind, since nobody
    /// knows whose it is.
    pub(super) fn set_aside(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let path = || dir.path(End::Target);
        let target = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
        for name in self.unclaimed(&target).during(Action::List, path)? {
            let mut top = dir;
            while let (None, Some(above)) = (&top.data.stage, top.parent()) {
                top = above;
            }
            let (Some(stage), Some(above)) = (&top.data.stage, top.parent()) else { continue };
            let aside = self.ledger.intend(above, &stage.dir, &name);
            let stat = Stat::at(&*target, &name).during(Action::Stat, || path().join(engine::os(&name)))?;
            self.ledger.made(&aside, stat.id);
            aside.is_left();
            name::rename(&*target, &name, &*stage.dir, aside.name())
                .during(Action::Rename, || path().join(engine::os(&name)))?;
        }
        Ok(())
    }

    fn unclaimed(&self, target: &OwnedFd) -> io::Result<Vec<CString>> {
        let listed = open::dir(target, c".", Follow::No)?;
        let mut space = vec![MaybeUninit::uninit(); list::LIST_BYTES];
        let (mut batch, mut found) = (Batch::default(), Vec::new());
        loop {
            list::next(&listed, &mut space, &mut batch)?;
            if batch.len() == 0 {
                return Ok(found);
            }
            for index in 0..batch.len() {
                let (name, _) = batch.get(index);
                // What is kept beside the files is written anew.
                if self.keeps_beside() && name == crate::meta::sidecar::NAME {
                    continue;
                }
                let Ok(stat) = Stat::at(target, name) else { continue };
                if !self.interrupted.is_claimed(stat.id) {
                    found.push(name.to_owned());
                }
            }
        }
    }
}

/// Its mode may be that of a finished file, which its owner may not write to.
pub(super) fn open_existing(worker: &Worker<Copying>, dir: &OwnedFd, name: &CStr, id: Id) -> io::Result<OwnedFd> {
    let opened = match worker.open(|| open::existing(dir, name)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            attributes::set_mode_at(dir, name, 0o600)?;
            worker.open(|| open::existing(dir, name))
        }
        opened => opened,
    }?;
    if Stat::of(&opened)?.id == id { Ok(opened) } else { Err(Refusal::TargetChanged.into()) }
}
