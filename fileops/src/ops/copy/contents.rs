//! The contents of one file: cloned, copied by the kernel, or read and written, in steps short enough for a cancel.

use super::Copying;
use super::draft::Draft;
use super::place::{Place, Spot};
use super::route::Route;
use super::settling::{Outgoing, Push};
use super::verify::Stretch;
use crate::control::lock;
use crate::engine::{End, Node, Stop, Visit, Worker};
use crate::error::{Action, Error, Refusal};
use crate::operation::Shortage;
use crate::progress::{LARGE, add};
use crate::sys::stat::Stat;
use crate::sys::{data, mount};
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// From this size on several workers copy one file together: below, waking another costs more than it brings.
const SHARED_FROM: u64 = 32 << 20;

/// What one of them takes at a time: large for a disk, small against the file.
const PART: u64 = 16 << 20;

/// A step should take about this long, so that pause and cancel act within 100 ms.
const STEP: Duration = Duration::from_millis(50);

/// The first step on an unknown device, and the least on a very slow one.
const STEP_FIRST: usize = 128 << 10;
const STEP_LEAST: usize = 16 << 10;

/// The most the kernel is asked to copy in one call.
const KERNEL_STEP: usize = 64 << 20;

/// A file without a known size ends here at the latest.
const PSEUDO_MAX: u64 = 1 << 30;

/// A regular file on its way.
pub(super) struct File {
    pub(super) dir: Arc<Node<Place>>,
    pub(super) name: CString,
    /// What the list said of it.
    pub(super) kind: FileType,
    pub(super) source: OwnedFd,
    pub(super) target: OwnedFd,
    pub(super) stat: Stat,
    pub(super) route: Arc<Route>,
    /// What was read of it, where it is going to be compared.
    pub(super) read: Mutex<Vec<Stretch>>,
    pub(super) outgoing: Outgoing,
    /// Its blocks are the source's.
    pub(super) is_clone: bool,
    /// So many bytes may be there from an interrupted copy.
    pub(super) begun: u64,
}

impl File {
    pub(super) fn new(
        (dir, name, kind): (&Arc<Node<Place>>, &CStr, FileType),
        (source, target): (OwnedFd, OwnedFd),
        stat: Stat,
        route: Arc<Route>,
    ) -> File {
        let (read, outgoing) = Default::default();
        File {
            dir: Arc::clone(dir),
            name: name.to_owned(),
            kind,
            source,
            target,
            stat,
            route,
            read,
            outgoing,
            is_clone: false,
            begun: 0,
        }
    }

    /// The same file for its last worker, when several had it.
    pub(super) fn last(&self) -> Visit<File> {
        let again = |file: &OwnedFd| file.try_clone().map_err(|error| self.error(Action::Open, error));
        let mut last = File::new(
            (&self.dir, &self.name, self.kind),
            (again(&self.source)?, again(&self.target)?),
            self.stat,
            Arc::clone(&self.route),
        );
        last.read = Mutex::new(std::mem::take(&mut *lock(&self.read)));
        last.outgoing = self.outgoing.last();
        last.begun = self.begun;
        Ok(last)
    }

    /// Of what was begun no more than so many bytes stay.
    pub(super) fn cut(&mut self, size: u64) -> Visit {
        if self.begun > size {
            data::set_length(&self.target, size).map_err(|error| self.error(Action::Write, error))?;
            self.begun = size;
        }
        Ok(())
    }

    fn error(&self, action: Action, error: impl Into<io::Error>) -> Stop {
        let end = if action == Action::Write { End::Target } else { End::Source };
        Error::new(action, self.dir.path_of(end, &self.name), error).into()
    }

    fn changed(&self) -> Stop {
        self.error(Action::Read, Refusal::Changed)
    }
}

/// How long a step of this worker may be, by how long the last one took.
pub(super) struct Pace {
    step: usize,
    most: usize,
}

impl Pace {
    pub(super) fn new(most: usize) -> Pace {
        Pace { step: STEP_FIRST.min(most), most }
    }

    pub(super) fn step(&self) -> usize {
        self.step
    }

    pub(super) fn took(&mut self, time: Duration) {
        if time < STEP / 2 {
            self.step = (self.step * 2).min(self.most);
        } else if time > STEP {
            self.step = (self.step / 2).max(STEP_LEAST);
        }
    }
}

impl Copying {
    /// Copies everything that could not be cloned, on this worker alone.
    pub(super) fn copy_contents(&self, worker: &mut Worker<Self>, file: &mut File) -> Visit {
        let size = file.stat.size;
        if file.begun > 0 && (size < worker.buffer.len() as u64 || file.route.source.is_pseudo()) {
            // A small file is written faster than it is compared.
            file.cut(0)?;
        }
        if file.route.source.may_hide_sizes() && (size == 0 || file.route.source.is_pseudo()) {
            file.stat.size = self.copy_until_end(worker, file)?;
            return Ok(());
        }
        if size == 0 {
            return Ok(());
        }
        if file.stat.has_holes() && size < worker.buffer.len() as u64 {
            // Some file systems count no blocks at all. Asking is cheaper than making a hole that is none.
            let data = data::next_data(&file.source, 0, size).map_err(|error| file.error(Action::Read, error))?;
            if data == Some(0..size) {
                file.stat.allocated = size;
            }
        }
        if size < worker.buffer.len() as u64 && !file.stat.has_holes() {
            return self.copy_small(worker, file);
        }
        if file.stat.has_holes() {
            data::set_length(&file.target, size).map_err(|error| file.error(Action::Write, error))?;
        }
        self.copy_span(worker, file, 0..size)?;
        self.check_unchanged(file)
    }

    /// Whether a file is worth several workers.
    pub(super) fn is_shared(&self, worker: &Worker<Self>, file: &File) -> bool {
        let is_worth_it = file.stat.size >= SHARED_FROM && !file.route.source.is_pseudo();
        is_worth_it && worker.helpers() > 0 && self.options.retries == 0
    }

    /// Shares the source's blocks where that is possible; the first answer of a kind is remembered for the route.
    pub(super) fn clone(&self, worker: &Worker<Self>, file: &mut File) -> Visit<bool> {
        if file.stat.size == 0 || !file.route.can_clone() {
            return Ok(false);
        }
        match data::clone(&file.source, &file.target) {
            Ok(()) => {
                add(&worker.counters.cloned, 1);
                add(&worker.counters.bytes, file.stat.size);
                if file.stat.size > LARGE {
                    worker.counters.add_large(file.stat.size, Duration::from_nanos(1));
                }
                file.is_clone = true;
                self.check_unchanged(file).map(|()| true)
            }
            // Not this file, or only not now: it is copied like any other.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ETXTBSY)) => Ok(false),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::ENOSPC | libc::EDQUOT)) => Ok(false),
            Err(_) => {
                file.route.no_clone();
                Ok(false)
            }
        }
    }

    /// A file that fits the buffer: one read, one write, and whole as of the moment of the read.
    fn copy_small(&self, worker: &mut Worker<Self>, file: &File) -> Visit {
        let size = file.stat.size as usize;
        worker.job().spend(file.stat.size)?;
        let mut buffer = std::mem::take(&mut worker.buffer);
        let copied = (|| {
            let mut filled = 0;
            let mut reads = 0;
            // One byte more than it should have: a file that grew shows itself.
            while filled < size {
                let space = &mut buffer[filled..=size];
                match data::read_at(&file.source, space, filled as u64)
                    .map_err(|error| file.error(Action::Read, error))?
                {
                    0 => return Err(file.changed()),
                    count => filled += count,
                }
                reads += 1;
            }
            if filled > size {
                return Err(file.changed());
            }
            let mut hasher = self.hasher();
            hasher.update(&buffer[..size]);
            hasher.end(file, 0..file.stat.size);
            let mut written = 0;
            while written < size {
                written += self.write(worker, file, |target| data::write(target, &buffer[written..size]))?;
            }
            if reads > 1 { self.check_unchanged(file) } else { Ok(()) }
        })();
        worker.buffer = buffer;
        copied?;
        add(&worker.counters.bytes, file.stat.size);
        Ok(())
    }

    /// A file whose size says nothing. Gives the size that it had.
    fn copy_until_end(&self, worker: &mut Worker<Self>, file: &File) -> Visit<u64> {
        let mut buffer = std::mem::take(&mut worker.buffer);
        let copied = (|| {
            let (mut total, mut hasher) = (0, self.hasher());
            loop {
                worker.job().checkpoint()?;
                let count = data::read(&file.source, &mut buffer).map_err(|error| file.error(Action::Read, error))?;
                total += count as u64;
                worker.job().spend(count as u64)?;
                hasher.update(&buffer[..count]);
                if count == 0 {
                    hasher.end(file, 0..total);
                    return Ok(total);
                }
                if total > PSEUDO_MAX {
                    return Err(file.error(Action::Read, Refusal::TooLarge));
                }
                let mut written = 0;
                while written < count {
                    written += self.write(worker, file, |target| data::write(target, &buffer[written..count]))?;
                }
                add(&worker.counters.bytes, count as u64);
            }
        })();
        worker.buffer = buffer;
        copied
    }

    /// One part of a file, hole by hole.
    fn copy_span(&self, worker: &mut Worker<Self>, file: &File, span: Range<u64>) -> Visit {
        if !file.stat.has_holes() {
            return self.copy_data(worker, file, span);
        }
        let mut at = span.start;
        while at < span.end {
            worker.job().checkpoint()?;
            let next = data::next_data(&file.source, at, span.end).map_err(|error| file.error(Action::Read, error))?;
            let stretch = next.unwrap_or(span.end..span.end);
            self.count(worker, file, stretch.start - at, Duration::ZERO);
            let hole = at..stretch.start.min(file.begun);
            if !hole.is_empty() {
                self.mend(worker, file, hole, true)?;
            }
            self.copy_data(worker, file, stretch.clone())?;
            at = stretch.end;
        }
        Ok(())
    }

    /// What may be there already is compared first.
    fn copy_data(&self, worker: &mut Worker<Self>, file: &File, span: Range<u64>) -> Visit {
        let begun = span.start..span.end.min(file.begun.max(span.start));
        if !begun.is_empty() {
            self.mend(worker, file, begun.clone(), false)?;
        }
        self.copy_new_data(worker, file, begun.end..span.end)
    }

    fn copy_new_data(&self, worker: &mut Worker<Self>, file: &File, span: Range<u64>) -> Visit {
        let mut at = span.start;
        let mut push = self.push(file, at);
        // What is hashed has to pass through our hands.
        if file.route.kernel_copies() && !self.is_verifying() {
            at = self.copy_by_kernel(worker, file, span.clone(), &mut push)?;
        }
        let mut buffer = std::mem::take(&mut worker.buffer);
        let copied = self.copy_by_hand(worker, file, at..span.end, &mut buffer, &mut push);
        worker.buffer = buffer;
        copied?;
        push.into_iter().for_each(Push::end);
        Ok(())
    }

    /// Gives how far it came: where the kernel will not go on, reading and writing does.
    fn copy_by_kernel(
        &self,
        worker: &Worker<Self>,
        file: &File,
        span: Range<u64>,
        push: &mut Option<Push<'_>>,
    ) -> Visit<u64> {
        let mut at = span.start;
        let mut pace = Pace::new(KERNEL_STEP);
        while at < span.end {
            worker.job().checkpoint()?;
            worker.job().journal.flush_waiting();
            let length = worker.job().step(pace.step.min((span.end - at) as usize));
            worker.job().spend(length as u64)?;
            let begun = Instant::now();
            match data::copy_range(&file.source, &file.target, at, length) {
                // The end, or a file system that gives up without saying so: a read will tell.
                Ok(0) => break,
                Ok(copied) => {
                    at += copied as u64;
                    let time = begun.elapsed();
                    pace.took(time);
                    self.count(worker, file, copied as u64, time);
                    push.iter_mut().try_for_each(|push| push.wrote(worker.job(), copied as u64))?;
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    self.wait_for_room(worker, file, error)?;
                }
                Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                    return Err(file.error(Action::Copy, error));
                }
                Err(_) => {
                    file.route.no_kernel_copy();
                    break;
                }
            }
        }
        Ok(at)
    }

    fn copy_by_hand(
        &self,
        worker: &Worker<Self>,
        file: &File,
        span: Range<u64>,
        buffer: &mut [u8],
        push: &mut Option<Push<'_>>,
    ) -> Visit {
        let (mut at, mut hasher) = (span.start, self.hasher());
        let mut pace = Pace::new(buffer.len());
        while at < span.end {
            worker.job().checkpoint()?;
            worker.job().journal.flush_waiting();
            let length = worker.job().step(pace.step.min((span.end - at).try_into().unwrap_or(usize::MAX)));
            worker.job().spend(length as u64)?;
            let begun = Instant::now();
            let read = data::read_at(&file.source, &mut buffer[..length], at);
            let count = match read.map_err(|error| file.error(Action::Read, error))? {
                0 => return Err(file.changed()),
                count => count,
            };
            hasher.update(&buffer[..count]);
            self.write_whole(worker, file, &buffer[..count], at)?;
            at += count as u64;
            let time = begun.elapsed();
            pace.took(time);
            self.count(worker, file, count as u64, time);
            push.iter_mut().try_for_each(|push| push.wrote(worker.job(), count as u64))?;
        }
        hasher.end(file, span);
        Ok(())
    }

    /// All of some bytes, at `at`.
    pub(super) fn write_whole(&self, worker: &Worker<Self>, file: &File, bytes: &[u8], at: u64) -> Visit {
        let mut written = 0;
        while written < bytes.len() {
            let offset = at + written as u64;
            written += self.write(worker, file, |target| data::write_at(target, &bytes[written..], offset))?;
        }
        Ok(())
    }

    /// One write, again when somebody has made room.
    fn write(
        &self,
        worker: &Worker<Self>,
        file: &File,
        mut write: impl FnMut(&OwnedFd) -> io::Result<usize>,
    ) -> Visit<usize> {
        loop {
            match write(&file.target) {
                Ok(count) => return Ok(count),
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => {
                    self.wait_for_room(worker, file, error)?;
                }
                Err(error) => return Err(file.error(Action::Write, error)),
            }
        }
    }

    fn wait_for_room(&self, worker: &Worker<Self>, file: &File, error: io::Error) -> Visit {
        let shortage = || Shortage {
            path: file.dir.path(End::Target),
            needed: 0,
            free: mount::free_bytes(&file.target).unwrap_or(0),
        };
        if worker.job().is_short(shortage)? { Ok(()) } else { Err(file.error(Action::Write, error)) }
    }

    pub(super) fn count(&self, worker: &Worker<Self>, file: &File, bytes: u64, time: Duration) {
        add(&worker.counters.bytes, bytes);
        if file.stat.size > LARGE {
            worker.counters.add_large(bytes, time);
        }
    }

    fn check_unchanged(&self, file: &File) -> Visit {
        let now = Stat::of(&file.source).map_err(|error| file.error(Action::Stat, error))?;
        if file.stat.is_unchanged(&now) { Ok(()) } else { Err(file.changed()) }
    }
}

/// A large file that several workers copy together, part by part.
pub(super) struct Shared {
    pub(super) file: File,
    pub(super) spot: Spot,
    /// Taken by whoever finishes it.
    pub(super) draft: Mutex<Option<Draft>>,
    pub(super) made: super::attributes::Made,
    next: AtomicU64,
    /// Parts that nobody has finished.
    left: AtomicU64,
    stopped: Mutex<Option<Stop>>,
}

impl Shared {
    pub(super) fn new(file: File, spot: Spot, draft: Draft, made: super::attributes::Made) -> Shared {
        let left = AtomicU64::new(file.stat.size.div_ceil(PART));
        let (next, stopped) = Default::default();
        Shared { file, spot, draft: Mutex::new(Some(draft)), made, next, left, stopped }
    }

    /// How many workers beside the first there is work for.
    pub(super) fn helpers(&self) -> usize {
        (self.file.stat.size / PART).saturating_sub(1).try_into().unwrap_or(usize::MAX)
    }
}

impl Copying {
    /// Takes parts until none is left; `true` for the worker that finished the last one.
    pub(super) fn copy_parts(&self, worker: &mut Worker<Self>, shared: &Shared) -> bool {
        let size = shared.file.stat.size;
        loop {
            let start = shared.next.fetch_add(1, Ordering::Relaxed).saturating_mul(PART);
            if start >= size {
                return false;
            }
            if lock(&shared.stopped).is_none() {
                let copied = self.copy_span(worker, &shared.file, start..size.min(start + PART));
                if let Err(stop) = copied {
                    lock(&shared.stopped).get_or_insert(stop);
                }
            }
            if shared.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                return true;
            }
        }
    }

    /// What became of the parts, once all are over.
    pub(super) fn parts_copied(&self, shared: &Shared) -> Visit {
        match lock(&shared.stopped).take() {
            Some(stop) => Err(stop),
            None => self.check_unchanged(&shared.file),
        }
    }
}
