//! Copies that a move has made wait under names of ours until many of them can be made durable together. Then each gets its
//! final name, the directory with that name is made durable too, and only after that the sources may go.

use super::Copying;
use super::departures::{Departure, Until};
use super::durable;
use super::moving::Moving;
use super::place::{Draft, Place, Spot, Staged};
use super::replace::{self, Replacement};
use crate::control::lock;
use crate::engine::{End, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::journal::{Identity, Location, Pending, Step};
use crate::sys::data;
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// So many copies wait at most, and so long, for one call that makes all of them durable; longer where that call takes
/// longer, so that most of the time is spent copying.
const MOST: usize = 256;
const LONGEST: Duration = Duration::from_secs(1);
const SYNC_SHARE: u32 = 4;

/// Up to so many files are made durable one by one.
const SYNC_ONE_BY_ONE: usize = 8;

pub(super) struct Arrivals {
    waiting: Mutex<Vec<Arrival>>,
    /// Those that wait, and those that are about to get their names.
    under_way: AtomicUsize,
    roots_left: AtomicUsize,
    next: Mutex<Instant>,
}

impl Arrivals {
    pub(super) fn new(roots: usize) -> Arrivals {
        let (waiting, under_way) = Default::default();
        let next = Mutex::new(Instant::now() + LONGEST);
        Arrivals { waiting, under_way, roots_left: AtomicUsize::new(roots), next }
    }

    pub(super) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *lock(&self.waiting))
    }
}

/// A copy that is whole.
pub(super) struct Arrival {
    /// The directory it is in, at both ends.
    pub(super) dir: Arc<Node<Place>>,
    pub(super) source_name: CString,
    pub(super) copy: Copy,
}

pub(super) struct File {
    pub(super) draft: Draft,
    pub(super) spot: Spot,
    pub(super) stat: Stat,
    pub(super) is_durable: bool,
}

pub(super) enum Copy {
    File(Box<File>),
    Tree {
        tree: Arc<Node<Place>>,
        staged: Arc<Staged>,
        /// Whether its source goes, but for what was not copied.
        goes: bool,
    },
}

/// A copy that has its final name.
struct Landed {
    dir: Arc<Node<Place>>,
    target: Arc<OwnedFd>,
    source_name: CString,
    /// At the target.
    name: CString,
    tree: Option<Arc<Node<Place>>>,
    goes: bool,
}

/// What making devices durable as a whole gave; the error as its number, since it is told to many.
type Synced = HashMap<u64, Result<(), i32>>;

impl Copying {
    /// A copy is whole.
    pub(super) fn arrive(&self, worker: &mut Worker<Self>, moving: &Moving, arrival: Arrival) {
        // Others wait for the name of a file with several.
        let is_awaited = matches!(&arrival.copy, Copy::File(file) if file.stat.links > 1);
        moving.arrivals.under_way.fetch_add(1, Ordering::AcqRel);
        let waiting = {
            let mut waiting = lock(&moving.arrivals.waiting);
            waiting.push(arrival);
            waiting.len()
        };
        if is_awaited || waiting >= MOST || *lock(&moving.arrivals.next) <= Instant::now() {
            self.land(worker, moving);
        }
    }

    /// A source that the caller named is over; after the last one nothing waits any longer.
    pub(super) fn root_over(&self, worker: &mut Worker<Self>) {
        let Some(moving) = &self.moving else { return };
        let is_last = moving.arrivals.roots_left.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last || moving.lands_each_root {
            self.land(worker, moving);
        }
        // After a cancel what was not moved keeps the directories it is in.
        if is_last && !worker.job().control.is_cancelled() {
            for dir in moving.departures.take_emptied() {
                self.remove_merged(worker, &dir);
            }
        }
    }

    /// A directory that was merged with another is over, and goes if nothing was left in it.
    pub(super) fn leave_merged(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) {
        let Some(moving) = &self.moving else { return };
        let is_waited_for = moving.arrivals.under_way.load(Ordering::Acquire) > 0;
        if is_waited_for || moving.departures.has_emptied() {
            return moving.departures.emptied(dir);
        }
        self.remove_merged(worker, dir);
    }

    fn remove_merged(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) {
        let Some(above) = dir.parent() else { return };
        if !dir.has_failed() && !dir.data.old.keeps() {
            let side = dir.side(End::Source).expect("every directory has a source");
            let removed = worker.descriptor(above, End::Source).and_then(|file| match Stat::at(&*file, side.name()) {
                Ok(stat) if stat.id == dir.stat().id => self.remove(worker.job(), above, (&file, side.name()), &stat),
                Ok(_) => Err(Refusal::Changed.into()),
                Err(error) => Err(error),
            });
            if let Err(error) = removed {
                let error = Error::new(Action::RemoveDir, dir.path(End::Source), error);
                worker.settle(dir, Err::<(), _>(error.into()));
            }
        }
        if dir.has_failed() || dir.data.old.keeps() {
            above.data.old.keep();
        }
    }

    /// Makes durable what waits, gives it its names, and lets the sources go.
    pub(super) fn land(&self, worker: &mut Worker<Self>, moving: &Moving) {
        let arrivals = moving.arrivals.take();
        if arrivals.is_empty() {
            return;
        }
        let begun = Instant::now();
        let synced = self.sync_devices(worker, moving, &arrivals);
        let pause = LONGEST.max(begun.elapsed() * SYNC_SHARE);
        let mut landed = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            if worker.job().checkpoint().is_err() {
                // The others go as they came: their sources are where they were.
                break;
            }
            let dir = Arc::clone(&arrival.dir);
            let group = match &arrival.copy {
                Copy::File(file) if file.stat.links > 1 => Some(file.stat),
                _ => None,
            };
            match self.land_one(worker, moving, arrival, &synced) {
                Ok(one) => landed.push(one),
                Err(stop) => {
                    fail(worker, &dir, stop);
                    if let Some(stat) = group {
                        self.first_failed(worker, &stat);
                    }
                    moving.arrivals.under_way.fetch_sub(1, Ordering::AcqRel);
                }
            }
        }
        let count = landed.len();
        self.let_go(worker, moving, landed);
        moving.arrivals.under_way.fetch_sub(count, Ordering::AcqRel);
        *lock(&moving.arrivals.next) = Instant::now() + pause;
    }

    /// Makes whole file systems durable, where that is known to work and worth it.
    fn sync_devices(&self, worker: &Worker<Self>, moving: &Moving, arrivals: &[Arrival]) -> Synced {
        let mut devices: HashMap<u64, (Arc<OwnedFd>, usize)> = HashMap::new();
        for arrival in arrivals.iter().filter(|arrival| arrival.dir.data.route().target.syncs_at_once()) {
            let Ok(dir) = worker.descriptor(&arrival.dir, End::Target) else { continue };
            let Ok(stat) = Stat::of(&*dir) else { continue };
            let weight = if matches!(arrival.copy, Copy::Tree { .. }) { SYNC_ONE_BY_ONE + 1 } else { 1 };
            devices.entry(stat.id.dev).or_insert((dir, 0)).1 += weight;
        }
        devices.retain(|_, (_, weight)| *weight > SYNC_ONE_BY_ONE);
        let sync = |(device, (dir, _)): (u64, (Arc<OwnedFd>, usize))| {
            // The one that was opened first of all knows of every error.
            let first = self.target.get().filter(|target| target.stat.id.dev == device);
            let dir = first.map_or(&dir, |target| &target.file);
            let answer = moving.devices.sync(dir, device);
            (device, answer.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)))
        };
        devices.into_iter().map(sync).collect()
    }

    fn land_one(&self, worker: &mut Worker<Self>, moving: &Moving, arrival: Arrival, synced: &Synced) -> Visit<Landed> {
        let Arrival { dir, source_name, copy } = arrival;
        let path = || dir.path_of(End::Source, &source_name);
        let target = worker.descriptor(&dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        let device = Stat::of(&*target).during(Action::Stat, || dir.path(End::Target))?.id.dev;
        let is_tree = matches!(copy, Copy::Tree { .. });
        let answer = match synced.get(&device) {
            Some(answer) => Some(answer.map_err(io::Error::from_raw_os_error)),
            None if is_tree && dir.data.route().target.syncs_at_once() => Some(moving.devices.sync(&target, device)),
            None => None,
        };
        let is_synced = answer.is_some();
        answer.transpose().during(Action::Sync, path)?;
        let (name, tree, goes) = match copy {
            Copy::File(file) => {
                let File { draft, spot, stat, is_durable } = *file;
                let is_durable = is_durable || is_synced || !stat.is_file();
                let name = self.land_file(worker, &dir, &source_name, (draft, is_durable), spot, &stat)?;
                (name, None, true)
            }
            Copy::Tree { tree, staged, goes } => {
                if !is_synced {
                    let stage = open::dir(&*staged.dir, staged.name(), Follow::No);
                    stage.and_then(|stage| durable::sync_dir(&stage)).during(Action::Sync, || staged.shown())?;
                }
                self.publish_dir(&tree, &staged)?;
                self.tree_done(worker);
                let side = tree.side(End::Target).expect("a copy has a target");
                (side.name().to_owned(), Some(tree), goes)
            }
        };
        Ok(Landed { dir, target, source_name, name, tree, goes })
    }

    fn land_file(
        &self,
        worker: &mut Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        (mut draft, is_durable): (Draft, bool),
        spot: Spot,
        stat: &Stat,
    ) -> Visit<CString> {
        let path = || dir.path_of(End::Target, spot.name());
        if !is_durable {
            let stage = draft.name().expect("what arrives has a name");
            let target = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
            let file = worker.open(|| open::file(&*target, &stage, Follow::No)).during(Action::Open, path)?;
            data::sync(&file).during(Action::Sync, path)?;
        }
        let name = match &spot {
            Spot::Replace(name, old) => {
                let source = dir.path_of(End::Source, source_name);
                let mut replacement =
                    Replacement { draft, name: name.clone(), old: *old, source, stat: *stat, is_durable: true };
                replace::replace(&mut replacement, true).during(Action::Rename, path)?;
                name.clone()
            }
            _ => self.publish(worker, dir, source_name, &spot, &mut draft, None)?,
        };
        self.done(worker, dir, &name, stat)?;
        Ok(name)
    }

    /// The names are made durable, and then the sources go.
    fn let_go(&self, worker: &mut Worker<Self>, moving: &Moving, landed: Vec<Landed>) {
        let mut synced: HashMap<*const OwnedFd, Result<(), i32>> = HashMap::new();
        let mut going = Vec::with_capacity(landed.len());
        for Landed { dir, target, source_name, name, tree, goes } in landed {
            let sync = || durable::sync_dir(&target).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
            let answer = *synced.entry(Arc::as_ptr(&target)).or_insert_with(sync);
            let answer = answer.map_err(io::Error::from_raw_os_error).during(Action::Sync, || dir.path(End::Target));
            let file = answer
                .and_then(|()| worker.descriptor(&dir, End::Source).during(Action::Open, || dir.path(End::Source)));
            match file {
                Ok(file) if goes => {
                    let tree = tree.map(|tree| tree.stat().id);
                    let carried = self.record(worker, &dir, (&file, &source_name), (&target, &name));
                    going.push(Departure { dir, file, name: source_name, tree, carried });
                }
                Ok(_) => dir.data.old.keep(),
                Err(error) => fail(worker, &dir, error.into()),
            }
        }
        moving.departures.see_off(going, worker.job(), worker.pool(), moving.mounts, Until::Cancelled);
    }
}

impl Copying {
    /// Records that a copy has taken its source's place, before that goes.
    fn record(
        &self,
        worker: &Worker<Self>,
        dir: &Node<Place>,
        (source, source_name): (&OwnedFd, &CStr),
        (target, name): (&OwnedFd, &CStr),
    ) -> Option<Pending> {
        let journal = &worker.job().journal;
        let stat = Stat::at(target, name).ok().filter(|_| journal.keeps_steps())?;
        let from = Location { dir: self.ledger.touches_source(dir, source).clone(), name: source_name.to_owned() };
        let to = Location { dir: self.ledger.touches(dir, target).clone(), name: name.to_owned() };
        Some(journal.intend(&Step::Carried { from, to, identity: Identity::from(&stat) }))
    }
}

/// Counts a failure against a directory that may be over, and so against all above it.
fn fail(worker: &Worker<Copying>, dir: &Arc<Node<Place>>, stop: Stop) {
    worker.settle(dir, Err::<(), _>(stop));
    let mut above = dir.parent();
    while let Some(node) = above {
        node.set_failed();
        above = node.parent();
    }
}
