//! Moving: each entry that would be copied into a directory that others see is renamed there instead, with everything below
//! it. Only what rename(2) answers EXDEV for is copied, and goes from its old place when the copy is durable (`arrivals`,
//! `departures`). Which file systems those are is never guessed: bind mounts and overlays answer so too.

use super::Copying;
use super::arrivals::Arrivals;
use super::beside::Spoken;
use super::departures::Departures;
use super::directories::RENAMES;
use super::names;
use super::place::{Place, Spot};
use crate::conflict::OnConflict;
use crate::engine::{End, Entry, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::journal::{Identity, Location, Step};
use crate::kept;
use crate::operation::Job;
use crate::ops::delete::Mounts;
use crate::ops::renaming::{self, Displaced, Spelling};
use crate::progress::add;
use crate::report::NoteKind;
use crate::sys::stat::{Id, Stat};
use rustix::fs::FileType;
use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// What a move knows beyond a copy.
pub(super) struct Moving {
    pub(super) mounts: Mounts,
    /// Copies that are whole, and have no final name yet.
    pub(super) arrivals: Arrivals,
    /// What was copied, and what has to go.
    pub(super) departures: Departures,
    /// Devices that could not write something, which the kernel tells once; and what it told.
    pub(super) broken: Mutex<HashMap<u64, i32>>,
    /// Several sources become one: each is in its place before the next is begun.
    pub(super) lands_each_root: bool,
    /// Something was renamed: what is still to come needs no room that could be counted.
    pub(super) has_renamed: Arc<AtomicBool>,
}

impl Moving {
    pub(super) fn new(mounts: Mounts, roots: usize, lands_each_root: bool) -> Moving {
        let (departures, broken, has_renamed) = Default::default();
        Moving { mounts, arrivals: Arrivals::new(roots), departures, broken, lands_each_root, has_renamed }
    }
}

/// What became of an attempt to rename.
pub(super) enum Renamed {
    Done,
    /// The two places are not on one mount: the entry has to be copied.
    Across,
    /// Something has the name since it was looked at.
    Taken,
}

/// An entry that is being moved, and where from and to.
struct Trip<'a> {
    entry: &'a Entry<'a, Copying>,
    from: Arc<OwnedFd>,
    to: Arc<OwnedFd>,
    stat: Stat,
}

impl Trip<'_> {
    fn target(&self, name: &CStr) -> std::path::PathBuf {
        self.entry.dir.path_of(End::Target, name)
    }

    fn source(&self) -> std::path::PathBuf {
        self.entry.dir.path_of(End::Source, self.entry.name)
    }

    fn error(&self, name: &CStr, error: impl Into<io::Error>) -> Stop {
        Error::new(Action::Rename, self.source(), error).with_target(self.target(name)).into()
    }
}

/// Which directory the source's end of a node is.
pub(super) fn source_id(node: &Node<Place>) -> Option<Id> {
    match node.parent() {
        None => node.data.old.top.get().map(|stat| stat.id),
        Some(_) => Some(node.stat().id),
    }
}

impl Copying {
    /// What the operation as a whole does to an entry.
    pub(super) fn action(&self) -> Action {
        if self.moving.is_some() { Action::Move } else { Action::Copy }
    }

    fn stays(&self) -> bool {
        self.moving.as_ref().is_some_and(|moving| moving.mounts == Mounts::Stay)
    }

    /// A move does not go into what is mounted below its sources, unless it was asked to.
    pub(super) fn stay_on_mount(&self, dir: &Node<Place>) -> Visit {
        let Some(above) = dir.parent().filter(|_| self.stays()) else { return Ok(()) };
        let around = if above.parent().is_none() { above.data.old.top.get() } else { Some(above.stat()) };
        match around {
            Some(around) if around.on_mount() != dir.stat().on_mount() => {
                Err(Error::new(Action::Move, dir.path(End::Source), Refusal::MountPoint).into())
            }
            _ => Ok(()),
        }
    }

    /// A directory leads to where the tree is going: the tree stays where it is.
    pub(super) fn refuse_tree(&self, dir: &Node<Place>) {
        let mut node = Some(dir);
        while let Some(at) = node {
            if at.data.stage.is_some() {
                at.data.old.refuse();
            }
            node = at.parent().map(|above| &**above);
        }
    }

    /// Whether an entry of this directory is renamed, if that is possible.
    pub(super) fn renames_into(&self, dir: &Node<Place>) -> bool {
        self.moving.is_some() && !dir.data.is_fresh()
    }

    /// Moves a file, link or special file by renaming it; `false` if it has to be copied.
    pub(super) fn move_entry(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<bool> {
        let trip = self.trip(worker, entry)?;
        if trip.stat.is_dir() {
            return Err(Error::new(Action::Open, trip.source(), Refusal::Changed).into());
        }
        for _ in 0..RENAMES {
            let renamed = match self.spot(worker, entry, &trip.stat) {
                Ok(None) => return Ok(true),
                Ok(Some(Spot::Replace(name, old))) => self.rename_over(worker, &trip, &name, &old)?,
                Ok(Some(spot)) => self.rename_to(worker, &trip, spot.name())?,
                Err(Stop::Failed(error)) if error.refusal() == Some(Refusal::SameFile) => {
                    let wanted = self.name_at_target(worker, entry)?;
                    return self.move_onto_itself(worker, &trip, &wanted, error).map(|()| true);
                }
                Err(stop) => return Err(stop),
            };
            match renamed {
                Renamed::Done => return Ok(true),
                Renamed::Across if self.stays() && renaming::is_mount_point(&trip.from, entry.name) => {
                    return Err(Error::new(Action::Move, trip.source(), Refusal::MountPoint).into());
                }
                Renamed::Across => return Ok(false),
                Renamed::Taken => {}
            }
        }
        Err(self.refusal(entry, entry.name, Refusal::Exists))
    }

    /// Moves a directory, with everything in it, to a name that is free.
    pub(super) fn move_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>, wanted: &CStr) -> Visit<Renamed> {
        let trip = self.trip(worker, entry)?;
        if !trip.stat.is_dir() {
            return Err(Error::new(Action::Open, trip.source(), Refusal::Changed).into());
        }
        self.rename_to(worker, &trip, wanted)
    }

    /// The directory has the name already, in this spelling or another one.
    pub(super) fn respell_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>, wanted: &CStr) -> Visit {
        let trip = self.trip(worker, entry)?;
        let same = || Error::new(Action::Move, trip.source(), Refusal::SameFile).with_target(trip.target(wanted));
        self.respell(worker, &trip, wanted, same())
    }

    fn trip<'a>(&self, worker: &Worker<Self>, entry: &'a Entry<'a, Self>) -> Visit<Trip<'a>> {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let to = worker.descriptor(entry.dir, End::Target).during(Action::Open, || entry.dir.path(End::Target))?;
        let stat = Stat::at(&*from, entry.name).during(Action::Stat, path)?;
        Ok(Trip { entry, from, to, stat })
    }

    fn rename_to(&self, worker: &mut Worker<Self>, trip: &Trip<'_>, name: &CStr) -> Visit<Renamed> {
        worker.job().checkpoint()?;
        self.record_dirs(trip);
        match renaming::rename((&trip.from, trip.entry.name), (&trip.to, name), &trip.stat) {
            Ok(()) => {
                self.moved(worker, trip, name);
                Ok(Renamed::Done)
            }
            Err(error) => self.not_renamed(trip, name, error),
        }
    }

    fn not_renamed(&self, trip: &Trip<'_>, name: &CStr, error: io::Error) -> Visit<Renamed> {
        match error.raw_os_error() {
            Some(libc::EXDEV) => Ok(Renamed::Across),
            Some(libc::EEXIST | libc::ENOTEMPTY) => Ok(Renamed::Taken),
            Some(libc::EBUSY) if renaming::is_mount_point(&trip.from, trip.entry.name) => Ok(Renamed::Across),
            Some(libc::EINVAL) if trip.stat.is_dir() && names::is_portable(name) => {
                Err(trip.error(name, Refusal::IntoItself))
            }
            _ => Err(trip.error(name, names::explained(error, name, trip.entry.dir.data.route().target))),
        }
    }

    /// Renames to a name that an old file has, which must still be the one that was seen there.
    fn rename_over(&self, worker: &mut Worker<Self>, trip: &Trip<'_>, name: &CStr, old: &Stat) -> Visit<Renamed> {
        worker.job().checkpoint()?;
        self.record_dirs(trip);
        let job = worker.job();
        let place = self.place_for(job, trip.entry.dir, End::Target, &trip.to, name);
        let records = place.as_ref().map(|place| {
            let (at, kept, identity) = (self.to(trip, name), place.at.clone(), Identity::from(old));
            let removed = job.journal.intend(&Step::Removed { at, kept, identity });
            (removed, job.journal.intend(&self.step(trip, name)))
        });
        let replaced =
            renaming::replace((&trip.from, trip.entry.name), (&trip.to, name), &trip.stat, old, place.as_ref());
        if let Some((removed, moved)) = records {
            match &replaced {
                Ok(Displaced::Kept) => job.kept.add(old.allocated),
                Ok(Displaced::Gone(error)) => job.note(NoteKind::NotKept, error.as_ref(), || trip.target(name)),
                Err(_) => {}
            }
            let is_kept = matches!(replaced, Ok(Displaced::Kept));
            if is_kept {
                job.journal.done(removed)
            } else {
                job.journal.undone(removed)
            }
            if replaced.is_ok() { job.journal.done(moved) } else { job.journal.undone(moved) }
        }
        match replaced {
            Ok(_) => {
                if place.is_none() {
                    job.journal.did(&self.step(trip, name));
                }
                self.count_moved(worker, trip);
                self.has_moved_beside(worker, trip, name);
                Ok(Renamed::Done)
            }
            Err(error) => self.not_renamed(trip, name, error),
        }
    }

    /// Where something that is about to go can be kept; `None` where nothing is to be kept, or nowhere.
    fn place_for(&self, job: &Job, dir: &Node<Place>, end: End, file: &OwnedFd, name: &CStr) -> Option<kept::Place> {
        if !job.journal.keeps_steps() {
            return None;
        }
        let place = job.kept.place(file, &dir.path(end), &job.journal);
        if place.is_none() {
            job.note(NoteKind::NotKept, None, || dir.path_of(end, name));
        }
        place
    }

    /// Takes an entry away from its source, whose directory is open: to the kept area, so that it can come back.
    pub(super) fn remove(
        &self,
        job: &Job,
        dir: &Node<Place>,
        (file, name): (&OwnedFd, &CStr),
        stat: &Stat,
    ) -> io::Result<()> {
        let place = self.place_for(job, dir, End::Source, file, name);
        let pending = place.as_ref().map(|place| {
            let at = Location { dir: self.ledger.touches_source(dir, file).clone(), name: name.to_owned() };
            job.journal.intend(&Step::Removed { at, kept: place.at.clone(), identity: Identity::from(stat) })
        });
        let removed = renaming::remove((file, name), stat, place.as_ref());
        if let Some(pending) = pending {
            match &removed {
                Ok(Displaced::Kept) => job.journal.done(pending),
                Ok(Displaced::Gone(error)) => {
                    job.journal.undone(pending);
                    job.note(NoteKind::NotKept, error.as_ref(), || dir.path_of(End::Source, name));
                }
                Err(_) => job.journal.undone(pending),
            }
        }
        removed.map(|_| ())
    }

    /// Both directories are about to change.
    fn record_dirs(&self, trip: &Trip<'_>) {
        self.ledger.touches_source(trip.entry.dir, &trip.from);
        self.ledger.touches(trip.entry.dir, &trip.to);
    }

    fn to(&self, trip: &Trip<'_>, name: &CStr) -> Location {
        Location { dir: self.ledger.touches(trip.entry.dir, &trip.to).clone(), name: name.to_owned() }
    }

    fn step(&self, trip: &Trip<'_>, name: &CStr) -> Step {
        let dir = self.ledger.touches_source(trip.entry.dir, &trip.from).clone();
        let from = Location { dir, name: trip.entry.name.to_owned() };
        Step::Moved { from, to: self.to(trip, name), identity: Identity::from(&trip.stat) }
    }

    /// What has the name is the file itself: under the same name, under the same name in another spelling, or under a second
    /// name of its own.
    fn move_onto_itself(&self, worker: &mut Worker<Self>, trip: &Trip<'_>, wanted: &CStr, same: Error) -> Visit {
        let found = Stat::at(&*trip.to, wanted).during(Action::Stat, || trip.target(wanted))?;
        if found.id != trip.stat.id {
            // A link to it, of which nothing would be left but a link to itself.
            return Err(same.into());
        }
        let spelling = renaming::spelling((&trip.from, trip.entry.name), (&trip.to, wanted))
            .during(Action::List, || trip.target(wanted))?;
        if spelling != Spelling::Another || trip.stat.links < 2 {
            return self.respell(worker, trip, wanted, same);
        }
        match self.options.on_conflict {
            OnConflict::Fail | OnConflict::Ask => Err(same.into()),
            OnConflict::Rename => {
                let name = self.free_name(&trip.to, wanted).during(Action::Stat, || trip.target(wanted))?;
                match self.rename_to(worker, trip, &name)? {
                    Renamed::Done => Ok(()),
                    _ => Err(same.into()),
                }
            }
            OnConflict::Replace => {
                // As mv(1) does: rename(2) would leave both names.
                self.record_dirs(trip);
                let removed = self.remove(worker.job(), trip.entry.dir, (&trip.from, trip.entry.name), &trip.stat);
                removed.during(Action::Remove, || trip.source())?;
                self.count_moved(worker, trip);
                Ok(())
            }
            OnConflict::Skip | OnConflict::Newer | OnConflict::Different => self.skip(worker, trip.entry, wanted),
        }
    }

    /// Another spelling of a name, on a file system to which upper and lower case are the same.
    fn respell(&self, worker: &mut Worker<Self>, trip: &Trip<'_>, wanted: &CStr, same: Error) -> Visit {
        match renaming::spelling((&trip.from, trip.entry.name), (&trip.to, wanted)) {
            Ok(Spelling::Folded) => {
                let between = self.free_name(&trip.from, wanted).during(Action::Stat, || trip.target(wanted))?;
                self.record_dirs(trip);
                let respelled = renaming::respell(&trip.from, trip.entry.name, &between, wanted, &trip.stat);
                respelled.map_err(|error| trip.error(wanted, error))?;
                self.moved(worker, trip, wanted);
                Ok(())
            }
            _ if self.options.on_conflict == OnConflict::Skip => self.skip(worker, trip.entry, wanted),
            _ => Err(same.into()),
        }
    }

    /// An entry has its new name, with everything below it.
    fn moved(&self, worker: &Worker<Self>, trip: &Trip<'_>, name: &CStr) {
        worker.job().journal.did(&self.step(trip, name));
        self.count_moved(worker, trip);
        self.has_moved_beside(worker, trip, name);
    }

    fn has_moved_beside(&self, worker: &Worker<Self>, trip: &Trip<'_>, name: &CStr) {
        let of = Spoken { dir: trip.entry.dir, source: trip.entry.name, target: name };
        self.moved_beside(worker, of, &trip.stat);
    }

    fn count_moved(&self, worker: &Worker<Self>, trip: &Trip<'_>) {
        self.placed(trip.stat.id);
        let counters = &worker.counters;
        if let Some(moving) = &self.moving {
            moving.has_renamed.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        add(&counters.entries, 1);
        match trip.stat.kind() {
            FileType::Directory => add(&counters.directories, 1),
            FileType::RegularFile => add(&counters.files, 1),
            FileType::Symlink => add(&counters.symlinks, 1),
            _ => add(&counters.specials, 1),
        }
    }
}
