//! After the walk: what shall be on the device is waited for, what is unfinished is removed, what is new is sealed.

use super::{Copying, Destination, OnCancel, TargetDir, Verify};
use crate::control::lock;
use crate::engine::{self, End, Engine, GRACE};
use crate::error::{Action, Error};
use crate::operation::Job;
use crate::ops::{remove, source, steps};
use crate::pool::Pool;
use crate::report::Outcome;
use crate::sys::mount::FsKind;
use crate::sys::stat::Stat;
use crate::sys::{data, open};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Waits until everything is on the device, and compared, that shall be. On a thread of its own, since that can take long;
/// `false` when the caller cancelled meanwhile and it takes longer still.
pub(super) fn settle(engine: &Arc<Engine<Copying>>, job: &Arc<Job>, pool: &Pool) -> bool {
    if job.control.is_cancelled() || !(engine.visitor.is_durable() || engine.visitor.is_verifying()) {
        return true;
    }
    let last = {
        let (engine, job) = (Arc::clone(engine), Arc::clone(job));
        move || engine.visitor.settle_all(&job, &|node| engine.descriptor(node, End::Target))
    };
    if !pool.has_threads() {
        last();
        return true;
    }
    let task = pool.spawn(last);
    while !job.wait_until(|| task.is_done() || job.control.is_cancelled(), GRACE) {}
    let is_over = job.wait_until(|| task.is_done(), GRACE);
    if !is_over {
        job.is_stuck_at(engine.visitor.target_path());
    }
    is_over
}

/// The directories in which a move changes names.
pub(super) fn places(sources: &[PathBuf], destination: &Destination) -> BTreeSet<PathBuf> {
    let parent = |path: &PathBuf| source::split(path).ok().map(|(parent, _)| parent);
    let target = match destination {
        Destination::Into(path) => Some(path.clone()),
        Destination::Name(path) => parent(path),
    };
    sources.iter().filter_map(parent).chain(target).collect()
}

/// Waits until the names in a directory are on the device, and where one call does that, all of its file system.
pub(super) fn sync_place(place: &Path, job: &Job) {
    let synced = open::root(place).and_then(|dir| match FsKind::of(&dir)?.syncs_at_once() {
        true => data::sync_all(&dir),
        false => data::sync(&dir),
    });
    if let Err(error) = synced {
        job.fail(Error::new(Action::Sync, place, error));
    }
}

/// Removes what is unfinished. On a thread of its own, since a call may hang there too; `false` when the caller cancelled
/// and nothing moves any more.
pub(super) fn clean_up(engine: &Arc<Engine<Copying>>, job: &Arc<Job>, pool: &Pool, outcome: Outcome) -> bool {
    let removed = Arc::<AtomicU64>::default();
    let clean = {
        let (engine, job, pool, removed) = (Arc::clone(engine), Arc::clone(job), pool.clone(), Arc::clone(&removed));
        move || {
            engine.clear();
            engine.visitor.tighten_all(&engine);
            engine.visitor.write_rest(&engine, &job);
            engine.visitor.clean_up(&job, &pool, outcome, &removed);
            engine.visitor.ledger.seal();
            steps::put_back_times(&job);
            job.control.wake_all();
        }
    };
    let is_quick = outcome == Outcome::Done && engine.visitor.ends_quickly();
    if !pool.has_threads() || is_quick {
        clean();
        count_removed(engine, job, &removed);
        return true;
    }
    // Where the system has no thread for it, it is done here.
    let clean: Arc<Mutex<Option<Work>>> = Arc::new(Mutex::new(Some(Box::new(clean))));
    let task = pool.spawn({
        let clean = Arc::clone(&clean);
        move || {
            if let Some(clean) = take(&clean) {
                clean();
            }
        }
    });
    let departed = engine.visitor.moving.as_ref().map(|moving| Arc::clone(&moving.departures.gone));
    let gone = || removed.load(Relaxed) + departed.as_ref().map_or(0, |departed| departed.load(Relaxed));
    let is_clean = loop {
        let before = gone();
        if job.wait_until(|| task.is_done(), GRACE) {
            break true;
        }
        if let Some(clean) = take(&clean) {
            clean();
            break true;
        }
        if job.control.is_cancelled() && gone() == before {
            let left = engine.visitor.ledger.left();
            left.iter().for_each(|staged| job.is_stuck_at(staged.path.join(engine::os(staged.name()))));
            if left.is_empty() {
                job.is_stuck_at(engine.visitor.target_path());
            }
            break false;
        }
    };
    count_removed(engine, job, &removed);
    is_clean
}

/// Something that one of two threads does.
type Work = Box<dyn FnOnce() + Send>;

fn take<T>(from: &Mutex<Option<T>>) -> Option<T> {
    lock(from).take()
}

/// Of what was removed, only what was done counts.
fn count_removed(engine: &Engine<Copying>, job: &Job, removed: &AtomicU64) {
    let removed = removed.load(Relaxed).saturating_sub(engine.visitor.unfinished.load(Relaxed));
    job.removed.fetch_add(removed.min(job.meter.sums().entries), Relaxed);
}

impl Copying {
    /// Whether the end makes no call that could hang.
    fn ends_quickly(&self) -> bool {
        let is_local = |target: &Arc<TargetDir>| FsKind::of(&*target.file).is_ok_and(|kind| !kind.may_fail_at_close());
        let has_stages = !self.ledger.left().is_empty();
        !has_stages && (self.ledger.is_settled() || self.target.get().is_some_and(is_local))
    }

    /// After the walk: what is still under a name of ours is removed, or kept if that was asked for.
    fn clean_up(&self, job: &Arc<Job>, pool: &Pool, outcome: Outcome, removed: &Arc<AtomicU64>) {
        if let Some(moving) = &self.moving {
            drop(moving.arrivals.take());
            moving.departures.see_off_waiting(job, pool, moving.mounts);
        }
        for staged in self.ledger.left() {
            // What was to be verified was not, in a tree that is not whole.
            let may_keep = self.options.on_cancel == OnCancel::KeepFinished && self.options.verify == Verify::Nothing;
            let keeps = outcome == Outcome::Cancelled && may_keep;
            let is_dir = Stat::at(&*staged.dir, staged.name()).is_ok_and(|stat| stat.is_dir());
            if keeps && is_dir && !staged.is_doubtful() {
                staged.finish();
                // Where somebody took the name, it stays under ours.
                if staged.publish(&staged.wanted).is_ok() {
                    self.ledger.is_published(&staged, &staged.wanted);
                }
                continue;
            }
            let Some(id) = staged.id().filter(|_| !staged.is_doubtful()) else { continue };
            match remove::entry(&staged.dir, staged.path.clone(), staged.name(), id, pool, removed) {
                Ok(()) => self.ledger.gone(&staged),
                Err(errors) if errors.iter().all(|error| error.source.kind() == std::io::ErrorKind::NotFound) => {
                    self.ledger.gone(&staged);
                }
                Err(errors) => errors.into_iter().for_each(|error| job.fail(error)),
            }
        }
    }
}
