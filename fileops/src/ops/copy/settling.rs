//! When data is on the device. Large files are pushed out while they are copied; small ones wait in batches, which one call
//! for the whole file system makes durable where that is known to work. What is verified waits in the same batches.

use super::contents::{File, Pace};
use super::place::{Place, Spot};
use super::route::Route;
use super::verify::{self, Reader, Stretch};
use super::{Copy, Copying};
use crate::control::{For, lock};
use crate::engine::{End, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::operation::Job;
use crate::sys::mount::{self, Medium};
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Stat, Time};
use crate::sys::{attributes, data, name};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// From this size on a file is pushed out while it is copied, and made durable by itself: a flush of the device is little
/// beside it.
const PUSH_FROM: u64 = 16 << 20;

/// The most that is pushed out at a time, and not waited for before the next is.
const SLICE: usize = 8 << 20;

/// How often what was pushed out of a file is made sure of, and counted.
const SYNC_EVERY: Duration = Duration::from_millis(500);

/// The most files and bytes that wait together: few enough that little is lost with them, and that memory is bounded.
const BATCH_FILES: usize = 4096;
const BATCH_BYTES: u64 = 64 << 20;

/// The first batch, while nothing is known of the device, and the least.
const BATCH_FIRST: u64 = 16 << 20;
const BATCH_LEAST: u64 = 1 << 20;

/// A batch should take about this long, so that what is on the device follows what is copied.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// When an operation says that something is done.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the kernel has it. It writes it to the device within half a minute or so.
    Cached,
    /// When it is on the device: a power cut, or a medium pulled out, costs nothing. Data is pushed out while more is
    /// copied; [`Progress::bytes_on_device`](crate::Progress::bytes_on_device) follows, and at the end nothing is left to
    /// write.
    Device,
}

impl Copy {
    /// When the copy is done; default [`Durability::Device`] if the target is removable, on USB or behind a network or FUSE,
    /// else [`Durability::Cached`].
    pub fn durability(mut self, durability: Durability) -> Copy {
        self.options.durability = Some(durability);
        self
    }
}

/// What the medium at a path asks for. The path itself is not touched.
pub(super) fn for_medium(path: &Path) -> Durability {
    let medium = Medium::at(&mount::table().unwrap_or_default(), path);
    if medium.is_removable || medium.is_network { Durability::Device } else { Durability::Cached }
}

/// How much of a large file is on its way to the device.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Bytes written and not made sure of.
    unsynced: AtomicU64,
    synced: Mutex<Option<Instant>>,
    /// Bytes made sure of.
    counted: AtomicU64,
}

impl Outgoing {
    /// For the last of several workers.
    pub(super) fn last(&self) -> Outgoing {
        Outgoing { counted: AtomicU64::new(self.counted.load(Ordering::Relaxed)), ..Outgoing::default() }
    }
}

/// One stretch of a large file, pushed out slice by slice behind the worker that writes it.
pub(super) struct Push<'a> {
    file: &'a File,
    /// Written, and not pushed out.
    written: Range<u64>,
    /// Pushed out, and not waited for.
    pushed: Range<u64>,
    pace: Pace,
}

impl<'a> Push<'a> {
    pub(super) fn wrote(&mut self, job: &Job, count: u64) -> Visit {
        self.written.end += count;
        if self.written.end - self.written.start < self.pace.step() as u64 {
            return Ok(());
        }
        let path = || self.file.dir.path_of(End::Target, &self.file.name);
        let written = self.written.clone();
        self.written.start = written.end;
        let begun = Instant::now();
        data::push_out(&self.file.target, written.clone()).during(Action::Sync, path)?;
        let before = std::mem::replace(&mut self.pushed, written.clone());
        if !before.is_empty() {
            data::wait_out(&self.file.target, before).during(Action::Sync, path)?;
        }
        self.file.outgoing.unsynced.fetch_add(written.end - written.start, Ordering::Relaxed);
        self.pace.took(begun.elapsed());
        if self.is_due() {
            self.file.make_sure(job)?;
        }
        Ok(())
    }

    /// The rest is pushed out, and made sure of with the file.
    pub(super) fn end(self) {
        let _ = data::push_out(&self.file.target, self.written.clone());
        self.file.outgoing.unsynced.fetch_add(self.written.end - self.written.start, Ordering::Relaxed);
    }

    /// One worker at a time.
    fn is_due(&self) -> bool {
        let mut synced = lock(&self.file.outgoing.synced);
        let is_due = synced.get_or_insert_with(Instant::now).elapsed() >= SYNC_EVERY;
        if is_due {
            *synced = Some(Instant::now());
        }
        is_due
    }
}

impl File {
    /// What was written before this call is on the device after it. After an error nothing that is said of this file can be
    /// believed: it is written again from the start, or fails.
    fn make_sure(&self, job: &Job) -> Visit {
        let bytes = self.outgoing.unsynced.swap(0, Ordering::Relaxed);
        data::sync_data(&self.target).during(Action::Sync, || self.dir.path_of(End::Target, &self.name))?;
        self.outgoing.counted.fetch_add(bytes, Ordering::Relaxed);
        job.meter.device.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// How it is with a file that has everything but its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    NotAsked,
    /// It is on the device, and compared if that was asked for.
    OnDevice,
    /// It can wait for others, under its name.
    Later,
}

/// A file that has its name, and is not settled: not known to be on the device, or not compared with its source.
struct Unsettled {
    dir: Arc<Node<Place>>,
    /// At the target.
    name: CString,
    source: CString,
    size: u64,
    modified: Time,
    /// What was read from the source, if it is to be compared.
    read: Option<Vec<Stretch>>,
}

/// What waits to be settled.
#[derive(Default)]
pub(super) struct Waiting {
    batch: Mutex<Batch>,
    /// Batches that workers are at.
    under_way: AtomicUsize,
    /// The file systems written to, each by a descriptor from before the first write: a sync tells of the errors since its
    /// descriptor was opened.
    devices: Mutex<HashMap<u64, Arc<OwnedFd>>>,
    /// How much a batch may hold, by how long the last ones took.
    most: Mutex<Option<u64>>,
}

#[derive(Default)]
struct Batch {
    files: Vec<Unsettled>,
    bytes: u64,
    /// Directories with new names in them, where each has to be made durable by itself.
    dirs: Vec<Arc<Node<Place>>>,
}

/// How a directory's descriptor at the target is had.
pub(super) type Descriptor<'a> = &'a dyn Fn(&Arc<Node<Place>>) -> io::Result<Arc<OwnedFd>>;

impl Copying {
    pub(super) fn is_durable(&self) -> bool {
        self.durability == Durability::Device
    }

    /// For a stretch of a large file that begins at `at`.
    pub(super) fn push<'a>(&self, file: &'a File, at: u64) -> Option<Push<'a>> {
        let is_pushed = self.is_durable() && file.stat.size >= PUSH_FROM;
        is_pushed.then(|| Push { file, written: at..at, pushed: at..at, pace: Pace::new(SLICE) })
    }

    /// Something is going to be written to this file system.
    pub(super) fn writes_to(&self, route: &Route, dir: &Arc<OwnedFd>) {
        let is_synced = self.is_durable() || self.is_verifying() || self.moving.is_some();
        if route.target.syncs_at_once() && is_synced {
            lock(&self.waiting.devices).entry(route.target_device).or_insert_with(|| Arc::clone(dir));
        }
    }

    /// Settles a file that has its attributes and not its name, if it cannot wait for others.
    pub(super) fn settle_file(&self, worker: &Worker<Self>, file: &File, spot: &Spot) -> Visit<Settled> {
        if file.is_clone && self.is_verifying() {
            worker.job().verified(|verified| &mut verified.shared, file.stat.size);
        }
        let is_compared = self.is_verifying() && !file.is_clone;
        if !self.is_durable() && !is_compared {
            return Ok(Settled::NotAsked);
        }
        let is_large = file.stat.size >= PUSH_FROM;
        let can_wait = !is_large && file.route.target.syncs_at_once() && self.options.retries == 0;
        if is_compared {
            let is_unreadable = file.stat.mode & 0o400 == 0 && !self.may_give_away;
            if can_wait && file.dir.data.is_fresh() && file.stat.links < 2 && !is_unreadable {
                return Ok(Settled::Later);
            }
            self.make_durable(worker, file)?;
            return self.verify_open(worker, file).map(|()| Settled::OnDevice);
        }
        match spot {
            // Made durable before it is exchanged.
            Spot::Replace(..) if !is_large => Ok(Settled::NotAsked),
            _ if can_wait => Ok(Settled::Later),
            _ => self.make_durable(worker, file).map(|()| Settled::OnDevice),
        }
    }

    /// A replacement was made durable before it was exchanged.
    pub(super) fn has_replaced(&self, job: &Job, stat: &Stat) {
        if self.is_durable() && !self.is_verifying() && stat.is_file() && stat.size < PUSH_FROM {
            self.is_on_device(job, stat.size);
        }
    }

    /// A copy is compared before its source may go.
    pub(super) fn verify_moved(&self, worker: &Worker<Self>, file: &File) -> Visit {
        self.make_durable(worker, file)?;
        if file.is_clone {
            worker.job().verified(|verified| &mut verified.shared, file.stat.size);
            return Ok(());
        }
        self.verify_open(worker, file)
    }

    fn make_durable(&self, worker: &Worker<Self>, file: &File) -> Visit {
        data::sync(&file.target).during(Action::Sync, || file.dir.path_of(End::Target, &file.name))?;
        let counted = file.outgoing.counted.load(Ordering::Relaxed);
        self.is_on_device(worker.job(), file.stat.size.saturating_sub(counted));
        Ok(())
    }

    pub(super) fn is_on_device(&self, job: &Job, bytes: u64) {
        job.meter.device.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file has its name and waits to be settled.
    pub(super) fn settle_later(
        &self,
        worker: &Worker<Self>,
        (dir, name): (&Arc<Node<Place>>, &CStr),
        source: &CStr,
        stat: &Stat,
        read: Vec<Stretch>,
    ) {
        let is_full = {
            let mut batch = lock(&self.waiting.batch);
            let read = self.is_verifying().then_some(read);
            let (dir, name, source) = (Arc::clone(dir), name.to_owned(), source.to_owned());
            batch.files.push(Unsettled { dir, name, source, size: stat.size, modified: stat.modified, read });
            batch.bytes += stat.size;
            batch.files.len() >= BATCH_FILES || batch.bytes >= lock(&self.waiting.most).unwrap_or(BATCH_FIRST)
        };
        if is_full {
            self.settle_waiting(worker.job(), &|node| worker.descriptor(node, End::Target));
        }
    }

    /// A directory that others see has a new name in it.
    pub(super) fn has_new_name(&self, dir: &Arc<Node<Place>>) {
        let is_apart = self.is_durable() && !dir.data.is_fresh() && !dir.data.route().target.syncs_at_once();
        if is_apart && !dir.data.is_unsynced.swap(true, Ordering::Relaxed) {
            lock(&self.waiting.batch).dirs.push(Arc::clone(dir));
        }
    }

    /// Waits until no file is left to be settled, nor with others.
    pub(super) fn settle_files(&self, worker: &Worker<Self>) -> Visit {
        if self.is_durable() || self.is_verifying() {
            let job = worker.job();
            self.settle_waiting(job, &|node| worker.descriptor(node, End::Target));
            let is_over = || (self.waiting.under_way.load(Ordering::Acquire) == 0).then_some(());
            job.control.wait(For::Change, None, is_over)?;
        }
        Ok(())
    }

    /// A stage whose files are settled may get its name when all else in it is on the device too.
    pub(super) fn settle_stage(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        if !self.is_durable() {
            return Ok(());
        }
        if !dir.data.route().target.syncs_at_once() {
            return self.sync_fresh(worker, dir);
        }
        let path = || dir.path(End::Target);
        let file = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
        Ok(self.sync_all(dir.data.route().target_device, &file).during(Action::Sync, path)?)
    }

    /// A new directory is done, on a file system where each has to be made durable by itself.
    pub(super) fn sync_fresh(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let is_synced = self.is_durable() || self.moving.is_some();
        if is_synced && !dir.data.route().target.syncs_at_once() {
            let path = || dir.path(End::Target);
            let file = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
            sync_dir(&file).during(Action::Sync, path)?;
        }
        Ok(())
    }

    pub(super) fn sync_all(&self, device: u64, file: &Arc<OwnedFd>) -> io::Result<()> {
        let known = lock(&self.waiting.devices).get(&device).cloned();
        data::sync_all(&**known.as_ref().unwrap_or(file))
    }

    /// At the end of a copy: the last batch, and the names in directories that others see.
    pub(super) fn settle_all(&self, job: &Job, descriptor: Descriptor<'_>) {
        self.settle_waiting(job, descriptor);
        if !self.is_durable() {
            return;
        }
        for dir in std::mem::take(&mut lock(&self.waiting.batch).dirs) {
            let synced = descriptor(&dir).and_then(sync_dir).during(Action::Sync, || dir.path(End::Target));
            synced.unwrap_or_else(|error| job.fail(error));
        }
        let devices = std::mem::take(&mut *lock(&self.waiting.devices));
        for file in devices.into_values() {
            let synced = data::sync_all(&*file).during(Action::Sync, || self.target_path());
            synced.unwrap_or_else(|error| job.fail(error));
        }
    }

    /// Settles what waits now. Others may begin the next batch meanwhile.
    fn settle_waiting(&self, job: &Job, descriptor: Descriptor<'_>) {
        let _under_way = UnderWay::begin(&self.waiting, job);
        let (files, bytes) = {
            let mut batch = lock(&self.waiting.batch);
            (std::mem::take(&mut batch.files), std::mem::take(&mut batch.bytes))
        };
        if files.is_empty() || job.control.is_cancelled() {
            return;
        }
        let begun = Instant::now();
        let devices: HashSet<u64> = files.iter().map(|file| file.dir.data.route().target_device).collect();
        let broken: Vec<u64> = devices.into_iter().filter(|&device| self.is_broken(device)).collect();
        self.adapt(bytes, begun.elapsed());
        let mut reader = Reader::default();
        let mut has_found_any = false;
        let mut innocent = Vec::new();
        for file in files {
            let is_broken = broken.contains(&file.dir.data.route().target_device);
            match self.settle(&file, is_broken, &mut reader, job, descriptor) {
                Ok(()) if is_broken => innocent.push(file),
                Ok(()) => self.is_on_device(job, file.size),
                Err(Stop::Cancelled | Stop::Asked(_)) => return,
                Err(Stop::Failed(error)) => {
                    has_found_any |= is_broken;
                    self.lose(&file, error, job, descriptor);
                }
            }
        }
        for file in innocent {
            if has_found_any {
                self.is_on_device(job, file.size);
                continue;
            }
            // Something of all this is not on the device, and nobody can tell what.
            let error = io::Error::from_raw_os_error(libc::EIO);
            let error = Error::new(Action::Sync, file.dir.path_of(End::Target, &file.name), error);
            self.lose(&file, error, job, descriptor);
        }
    }

    fn is_broken(&self, device: u64) -> bool {
        let file = lock(&self.waiting.devices).get(&device).cloned();
        file.is_some_and(|file| data::sync_all(&*file).is_err())
    }

    fn adapt(&self, bytes: u64, time: Duration) {
        let rate = bytes as f64 / time.as_secs_f64().max(1e-3);
        let most = (rate * BATCH_TIME.as_secs_f64()) as u64;
        *lock(&self.waiting.most) = Some(most.clamp(BATCH_LEAST, BATCH_BYTES));
    }

    /// One file of a batch that is on the device; or of which that could not be said, and which is asked for by itself.
    fn settle(
        &self,
        file: &Unsettled,
        is_broken: bool,
        reader: &mut Reader,
        job: &Job,
        descriptor: Descriptor<'_>,
    ) -> Visit {
        if !is_broken && file.read.is_none() {
            return Ok(());
        }
        let path = || file.dir.path_of(End::Target, &file.name);
        let dir = descriptor(&file.dir).during(Action::Open, path)?;
        let opened = open::file(&*dir, &file.name, Follow::No).during(Action::Open, path)?;
        if is_broken {
            data::sync(&opened).during(Action::Sync, path)?;
        }
        let Some(read) = &file.read else { return Ok(()) };
        let same = reader.is_same(&opened, file.size, read.clone(), job).map_err(|ended| ended.into_stop(path()))?;
        if !same {
            let source = file.dir.path_of(End::Source, &file.source);
            return Err(Error::new(Action::Verify, source, Refusal::Mismatch).with_target(path()).into());
        }
        verify::count(job, file.dir.data.route().target, file.size);
        Ok(())
    }

    /// A file that was said to be done is not: it goes, if it is still what we made.
    fn lose(&self, file: &Unsettled, error: Error, job: &Job, descriptor: Descriptor<'_>) {
        file.dir.set_failed();
        if let Ok(dir) = descriptor(&file.dir) {
            let is_ours = Stat::at(&*dir, &file.name)
                .is_ok_and(|stat| stat.is_file() && stat.size == file.size && stat.modified == file.modified);
            let times = Stat::of(&*dir);
            if is_ours && name::unlink(&*dir, &file.name).is_ok() {
                job.removed.fetch_add(1, Ordering::Relaxed);
                // The directory may have its times already.
                if let (true, Ok(stat)) = (file.dir.data.is_fresh(), times) {
                    let _ = attributes::set_times(&*dir, stat.accessed, stat.modified);
                }
            }
        }
        job.fail(error);
    }
}

/// Some file systems have no such thing for directories; there the names are durable with the files, or never.
pub(super) fn sync_dir(dir: impl std::os::fd::AsFd) -> io::Result<()> {
    match data::sync(&dir) {
        // XFS says so of a directory, too, after it shut itself down because its device is gone; but then it opens nothing.
        Ok(()) => open::dir(&dir, c".", Follow::No).map(drop),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) || crate::sys::is_unsupported(&error) => Ok(()),
        answer => answer,
    }
}

/// Counts a batch for as long as somebody is at it.
struct UnderWay<'a>(&'a Waiting, &'a Job);

impl<'a> UnderWay<'a> {
    fn begin(waiting: &'a Waiting, job: &'a Job) -> UnderWay<'a> {
        waiting.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(waiting, job)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.1.control.wake_all();
    }
}
