//! Copies that a move has made wait under names of ours until many of them can be made durable together. Then each gets its
//! final name, the directory with that name is made durable too, and only after that the sources may go.

use super::Copying;
use super::departures::{Departure, Going, Until};
use super::draft::Draft;
use super::moving::Moving;
use super::place::{Place, Spot, Staged};
use super::replace::{self, Replacement};
use super::settling::sync_dir;
use crate::control::lock;
use crate::engine::{End, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::journal::{Identity, Location, Pending, Step};
use crate::operation::Job;
use crate::progress::add;
use crate::sys::data;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Stat, Time};
use std::collections::{HashMap, HashSet};
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
    /// Roots of which only that is left which somebody is asked about: nothing waits for them.
    resting: Mutex<HashSet<usize>>,
    /// Roots that could not be begun.
    failed: Mutex<HashSet<usize>>,
    /// Trees that had their names before all of them was done.
    at_last: Mutex<Vec<Arc<Node<Place>>>>,
    next: Mutex<Instant>,
}

impl Arrivals {
    pub(super) fn new(roots: usize) -> Arrivals {
        let (waiting, under_way, at_last, resting, failed) = Default::default();
        let next = Mutex::new(Instant::now() + LONGEST);
        Arrivals { waiting, under_way, roots_left: AtomicUsize::new(roots), resting, failed, at_last, next }
    }

    /// The source of a tree that others see already goes when everything else has.
    pub(super) fn goes_at_last(&self, tree: &Arc<Node<Place>>) {
        lock(&self.at_last).push(Arc::clone(tree));
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

impl Arrival {
    pub(super) fn file(dir: &Arc<Node<Place>>, source_name: &CStr, file: File) -> Arrival {
        let (dir, source_name) = (Arc::clone(dir), source_name.to_owned());
        Arrival { dir, source_name, copy: Copy::File(Box::new(file)) }
    }

    pub(super) fn tree(tree: &Arc<Node<Place>>, copy: Copy) -> Arrival {
        let dir = Arc::clone(tree.parent().expect("a stage is in a directory"));
        let source_name = tree.side(End::Source).expect("every directory has a source").name().to_owned();
        Arrival { dir, source_name, copy }
    }
}

pub(super) struct File {
    pub(super) draft: Draft,
    pub(super) spot: Spot,
    /// As it is counted.
    pub(super) stat: Stat,
    /// As it was read.
    pub(super) read: Stat,
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
    gone: Going,
    goes: bool,
    /// Recorded before the copy got its name; `None` where a replacement was recorded instead.
    carried: Option<Pending>,
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
    pub(super) fn root_over(&self, worker: &mut Worker<Self>, root: &Arc<Node<Place>>) {
        let Some(moving) = &self.moving else { return };
        lock(&moving.arrivals.resting).remove(&Arc::as_ptr(root).addr());
        self.one_less(worker, moving);
    }

    /// A source could not be begun: it is over, unless it is tried again.
    pub(super) fn root_failed(&self, worker: &mut Worker<Self>, index: usize) {
        let Some(moving) = &self.moving else { return };
        lock(&moving.arrivals.failed).insert(index);
        self.one_less(worker, moving);
    }

    pub(super) fn root_begins(&self, index: usize) {
        let Some(moving) = &self.moving else { return };
        if lock(&moving.arrivals.failed).remove(&index) {
            moving.arrivals.roots_left.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn one_less(&self, worker: &mut Worker<Self>, moving: &Moving) {
        let resting = lock(&moving.arrivals.resting).len();
        let left = moving.arrivals.roots_left.fetch_sub(1, Ordering::AcqRel) - 1;
        let is_last = left == 0;
        if left <= resting || moving.lands_each_root {
            self.land(worker, moving);
        }
        // After a cancel what was not moved keeps the directories it is in.
        if is_last && !worker.job().control.is_cancelled() {
            self.let_go_at_last(worker, moving);
            for dir in moving.departures.take_emptied() {
                self.remove_merged(worker, &dir);
            }
        }
    }

    fn let_go_at_last(&self, worker: &mut Worker<Self>, moving: &Moving) {
        let mut landed = Vec::new();
        for tree in std::mem::take(&mut *lock(&moving.arrivals.at_last)) {
            let (Some(dir), Some(from), Some(to)) = (tree.parent(), tree.side(End::Source), tree.side(End::Target))
            else {
                continue;
            };
            match worker.descriptor(dir, End::Target) {
                Ok(target) => landed.push(Landed {
                    dir: Arc::clone(dir),
                    target,
                    source_name: from.name().to_owned(),
                    name: to.name().to_owned(),
                    gone: Going::Tree(tree.stat().id),
                    goes: true,
                    carried: None,
                }),
                Err(error) => fail(worker, dir, Error::new(Action::Open, dir.path(End::Target), error).into()),
            }
        }
        self.let_go(worker, moving, landed);
    }

    /// Of a source that the caller named only that is left which somebody is asked about.
    pub(super) fn root_rests(&self, worker: &mut Worker<Self>, root: &Arc<Node<Place>>) {
        if let Some(moving) = &self.moving {
            lock(&moving.arrivals.resting).insert(Arc::as_ptr(root).addr());
            self.land(worker, moving);
        }
    }

    /// All that can be done now is done, and somebody is asked about the rest.
    pub(super) fn land_now(&self, worker: &mut Worker<Self>) {
        if let Some(moving) = &self.moving {
            self.land(worker, moving);
        }
    }

    /// A tree has its name, and is in its place.
    fn tree_done(&self, worker: &Worker<Self>, tree: &Node<Place>) {
        tree.data.is_public.store(true, Ordering::Release);
        self.is_settled(tree);
        if !tree.data.was_counted.swap(true, Ordering::Relaxed) {
            add(&worker.counters.entries, 1);
            add(&worker.counters.directories, 1);
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
            let emptied = match worker.descriptor(dir, End::Source) {
                Ok(file) => self.remove_used_up(worker.job(), dir, &file),
                Err(error) => Err(error),
            };
            let file = emptied.and_then(|()| worker.descriptor(above, End::Source));
            let removed = file.and_then(|file| match Stat::at(&*file, side.name()) {
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
        let unkept = self.write_before(worker, arrivals.iter().map(|arrival| &arrival.dir));
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
            let unkept = unkept.iter().find(|(other, _)| Arc::ptr_eq(other, &dir) && waits_for_line(&arrival));
            let landed_one = match unkept {
                Some((_, error)) => Err(error.again().into()),
                None => self.land_one(worker, moving, arrival, &synced),
            };
            match landed_one {
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
            let answer = self.sync_device(moving, device, &dir);
            (device, answer.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)))
        };
        devices.into_iter().map(sync).collect()
    }

    /// Waits until everything on a file system is on its device. After an error no other answer is believed: the kernel
    /// tells of it once.
    fn sync_device(&self, moving: &Moving, device: u64, dir: &Arc<OwnedFd>) -> io::Result<()> {
        if let Err(error) = self.sync_all(device, dir) {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            lock(&moving.broken).entry(device).or_insert(errno);
        }
        match lock(&moving.broken).get(&device) {
            Some(&errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    fn land_one(&self, worker: &mut Worker<Self>, moving: &Moving, arrival: Arrival, synced: &Synced) -> Visit<Landed> {
        let Arrival { dir, source_name, copy } = arrival;
        let path = || dir.path_of(End::Source, &source_name);
        let target = worker.descriptor(&dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        let device = Stat::of(&*target).during(Action::Stat, || dir.path(End::Target))?.id.dev;
        let is_tree = matches!(copy, Copy::Tree { .. });
        let answer = match synced.get(&device) {
            Some(answer) => Some(answer.map_err(io::Error::from_raw_os_error)),
            None if is_tree && dir.data.route().target.syncs_at_once() => {
                Some(self.sync_device(moving, device, &target))
            }
            None => None,
        };
        let is_synced = answer.is_some();
        answer.transpose().during(Action::Sync, path)?;
        let mut carried = None;
        let landed = match copy {
            Copy::File(file) => {
                let File { draft, spot, stat, read, is_durable } = *file;
                let is_durable = is_durable || is_synced || !stat.is_file();
                if let (Spot::New(name), Some(stage)) = (&spot, draft.name()) {
                    carried = self.record(worker, &dir, &source_name, (&target, &stage), name);
                }
                let landed = self.land_file(worker, &dir, &source_name, (draft, is_durable), spot, &stat);
                landed.map(|name| {
                    self.passed(worker, &dir, &read, &name);
                    (name, Going::File(Box::new(read)), true)
                })
            }
            Copy::Tree { tree, staged, goes } => {
                if !is_synced {
                    let stage = open::dir(&*staged.dir, staged.name(), Follow::No);
                    stage.and_then(|stage| sync_dir(&stage)).during(Action::Sync, || staged.shown())?;
                }
                if goes {
                    carried = self.record(worker, &dir, &source_name, (&target, staged.name()), &staged.wanted);
                }
                self.publish_dir(worker, &tree, &staged).map(|()| {
                    self.tree_done(worker, &tree);
                    let side = tree.side(End::Target).expect("a copy has a target");
                    self.passed(worker, &dir, tree.stat(), side.name());
                    (side.name().to_owned(), Going::Tree(tree.stat().id), goes)
                })
            }
        };
        match landed {
            Ok((name, gone, goes)) => Ok(Landed { dir, target, source_name, name, gone, goes, carried }),
            Err(stop) => {
                carried.into_iter().for_each(|carried| worker.job().journal.undone(carried));
                Err(stop)
            }
        }
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
                let mut replacement = Replacement {
                    draft,
                    name: name.clone(),
                    old: *old,
                    source,
                    source_name: source_name.to_owned(),
                    stat: *stat,
                    is_durable: true,
                };
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
        worker.job().journal.passed_all();
        let mut synced: HashMap<*const OwnedFd, Result<(), i32>> = HashMap::new();
        let mut going = Vec::with_capacity(landed.len());
        for Landed { dir, target, source_name, name, gone, goes, carried } in landed {
            let sync = || sync_dir(&*target).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
            let answer = *synced.entry(Arc::as_ptr(&target)).or_insert_with(sync);
            let answer = answer.map_err(io::Error::from_raw_os_error).during(Action::Sync, || dir.path(End::Target));
            let file = answer
                .and_then(|()| worker.descriptor(&dir, End::Source).during(Action::Open, || dir.path(End::Source)));
            match file {
                Ok(file) if goes => {
                    let carried = carried.or_else(|| self.record(worker, &dir, &source_name, (&target, &name), &name));
                    going.push(Departure { dir, file, name: source_name, gone, carried });
                }
                Ok(_) => dir.data.old.keep(),
                Err(error) => fail(worker, &dir, error.into()),
            }
        }
        moving.departures.see_off(going, worker.job(), worker.pool(), moving.mounts, Until::Cancelled);
    }
}

impl Copying {
    /// Records that a copy takes its source's place, before that goes, and if it is not there yet before it gets its name.
    fn record(
        &self,
        worker: &Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        (target, now): (&OwnedFd, &CStr),
        name: &CStr,
    ) -> Option<Pending> {
        let journal = &worker.job().journal;
        let stat = Stat::at(target, now).ok().filter(|_| journal.keeps_steps())?;
        // Recovery lets go what was read, and nothing else.
        journal.passed_all();
        let source = worker.descriptor(dir, End::Source).ok()?;
        let from = Location { dir: self.ledger.touches_source(dir, &source).clone(), name: source_name.to_owned() };
        let to = Location { dir: self.ledger.touches(dir, target).clone(), name: name.to_owned() };
        let identity = Identity { changed: Time::default(), ..Identity::from(&stat) };
        Some(journal.intend(&Step::Carried { from, to, identity }))
    }
}

impl Copying {
    /// Records what a source is from now on, as it is under this name, for the operations that know it as it was.
    pub(super) fn passed(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>, source: &Stat, name: &CStr) {
        if self.moving.is_none() || !worker.job().journal.keeps_steps() {
            return;
        }
        let ends =
            worker.descriptor(dir, End::Source).and_then(|from| Ok((from, worker.descriptor(dir, End::Target)?)));
        if let Ok((from, to)) = ends {
            self.record_passage(worker.job(), dir, (&from, source), (&to, Stat::at(&*to, name)));
        }
    }

    /// The same, with a directory on each of both file systems.
    pub(super) fn record_passage(
        &self,
        job: &Job,
        dir: &Arc<Node<Place>>,
        (from, source): (&OwnedFd, &Stat),
        (to, target): (&OwnedFd, io::Result<Stat>),
    ) {
        let journal = &job.journal;
        let (Ok(target), true) = (target, self.moving.is_some() && journal.keeps_steps()) else { return };
        let from = journal.file_system(source.id.dev, from, || dir.path(End::Source));
        let to = journal.file_system(target.id.dev, to, || dir.path(End::Target));
        journal.passed((&from, source), (&to, &target));
    }
}

/// Whether what belongs to a copy is not written yet beside it.
fn waits_for_line(arrival: &Arrival) -> bool {
    matches!(&arrival.copy, Copy::File(file) if arrival.dir.data.beside.waits_for(file.spot.name()))
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
