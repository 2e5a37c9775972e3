//! The scan that runs beside a copy: how much is still to come, and whether there is room for it.

use super::TargetDir;
use crate::control::{For, lock};
use crate::operation::{Job, OnShortage, Shortage};
use crate::ops::measure;
use crate::pool::Pool;
use crate::sys::mount;
use crate::sys::open::Follow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The scan that runs beside the work and finds out how much there is; an operation shorter than this needs none, unless
/// it has begun a file that takes long by itself: then the scan costs little beside it.
const SCAN_AFTER: Duration = Duration::from_secs(1);

/// How often the free space is compared with what is still to come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Scan {
    job: Arc<Job>,
}

impl Scan {
    pub(super) fn start(
        (sources, follow): (Vec<PathBuf>, Follow),
        target: &Arc<OnceLock<Arc<TargetDir>>>,
        needs_no_room: Option<Arc<AtomicBool>>,
        job: &Arc<Job>,
        pool: &Pool,
    ) -> Scan {
        let scan = Scan { job: Job::new("scan", OnShortage::Warn) };
        if pool.has_threads() {
            let (target, looked) = (Arc::clone(target), Mutex::new(Instant::now()));
            let room = Room { job: Arc::clone(job), target, needs_no_room, looked };
            let (of, stop, pool_of_scan) = (Arc::clone(job), Arc::clone(&scan.job), pool.clone());
            drop(pool.spawn(move || {
                let is_time = || (of.has_large() || stop.control.is_cancelled()).then_some(());
                let waited = of.control.wait(For::Change, Some(SCAN_AFTER), is_time);
                let may_begin = waited.and_then(|_| of.rest_while_paused(&stop));
                if may_begin.is_ok() && !stop.control.is_cancelled() {
                    let room = Arc::new(room);
                    let look = Arc::clone(&room);
                    measure::scan(sources, follow, of, &stop, &pool_of_scan, Box::new(move || look.look(LOOK_EVERY)));
                    room.look(Duration::ZERO);
                }
            }));
        }
        scan
    }

    pub(super) fn stop(&self, of: &Job) {
        self.job.control.cancel();
        of.control.wake_all();
    }
}

/// Compares what is still to come with what is free.
struct Room {
    job: Arc<Job>,
    target: Arc<OnceLock<Arc<TargetDir>>>,
    /// Whether some of what is to come is not going to be copied, and nobody knows how much.
    needs_no_room: Option<Arc<AtomicBool>>,
    looked: Mutex<Instant>,
}

impl Room {
    fn look(&self, every: Duration) {
        {
            let mut looked = lock(&self.looked);
            if looked.elapsed() < every {
                return;
            }
            *looked = Instant::now();
        }
        let sums = self.job.meter.sums();
        let Some(target) = self.target.get() else { return };
        // Files that share their blocks need no room.
        let needs_none = self.needs_no_room.as_ref().is_some_and(|needs_none| needs_none.load(Relaxed));
        if needs_none || sums.cloned > 0 || self.job.control.is_cancelled() {
            return;
        }
        let needed = self.job.meter.totals.allocated.load(Relaxed).saturating_sub(sums.allocated);
        let Ok(free) = mount::free_bytes(&*target.file) else { return };
        if needed > free {
            self.job.warn(Shortage { path: target.path.clone(), needed, free });
        }
    }
}
