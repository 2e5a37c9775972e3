//! Looks after those that wait: nobody waits for what stands still, or for a look that never ends.

use super::queue::{Member, Turn};
use super::weight::{LONG_ENOUGH, Weight};
use super::{Held, Scheduler, scheduler};
use crate::control::lock;
use crate::sys::thread;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Seldom enough to cost nothing. Nobody looks when none waits.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// An operation that has done nothing for this long waits for an answer of somebody's, or for a server that gives none. A
/// stick that is busy with what it was given before takes seconds.
const STILL_AFTER: Duration = Duration::from_secs(10);

/// Watches until none waits any more.
pub(super) fn start(of: &Scheduler) {
    if of.is_watched.swap(true, Ordering::AcqRel) {
        return;
    }
    let watch = || {
        thread::block_signals();
        while look(scheduler()) {
            std::thread::sleep(WATCH_EVERY);
        }
    };
    // Not one of a pool's, which end with it. Without a thread, who waits does so in order.
    let started = std::thread::Builder::new().name("fileops".to_owned()).spawn(watch);
    if started.is_err() {
        of.is_watched.store(false, Ordering::Release);
    }
}

/// `false` when none waits.
fn look(scheduler: &Scheduler) -> bool {
    let mut queue = lock(&scheduler.queue);
    if !queue.has_waiting() {
        // Under the lock: whoever waits from now on starts another watch.
        scheduler.is_watched.store(false, Ordering::Release);
        return false;
    }
    queue.iter_mut().for_each(look_at);
    drop(queue);
    scheduler.advance();
    true
}

fn look_at(member: &mut Member<Held>) {
    if member.turn == Turn::Running {
        let (work, since) = member.held.seen;
        let now = member.held.meter.work();
        if now != work {
            member.held.seen = (now, Instant::now());
        }
        member.is_still = now == work && since.elapsed() >= STILL_AFTER;
    }
    if member.weight.is_unknown() && member.held.looked.is_some_and(|looked| looked.elapsed() > 2 * LONG_ENOUGH) {
        member.weight = Weight::at_least(u64::MAX);
    }
}
