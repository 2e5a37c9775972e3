//! The rules at work, and the account of what was asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::op::{OPS, Op};
use super::rule::{Action, Fault, When};

/// Names a rule which was added, to ask about it or remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

struct Armed {
    id: FaultId,
    fault: Fault,
    seen: u64,
    fired: u64,
}

/// What the rules ask of a request which goes on.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) lost: Option<Errno>,
    pub(super) vanish: bool,
    pub(super) flip: bool,
    pub(super) limit: Option<usize>,
}

#[derive(Default)]
struct Hangs {
    waiting: usize,
    released: u64,
    closed: bool,
}

/// All rules of one file system, and its log.
pub(super) struct Rules {
    armed: Mutex<Vec<Armed>>,
    any: AtomicBool,
    next: AtomicU64,
    injected: AtomicU64,
    counts: [AtomicU64; OPS],
    log: Option<Mutex<Vec<(Op, PathBuf)>>>,
    hangs: Mutex<Hangs>,
    changed: Condvar,
    direct: AtomicUsize,
}

/// A lock is as good after a panic as before: each critical section here is one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rules {
    pub(super) fn new(log: bool) -> Self {
        Self {
            armed: Mutex::default(),
            any: AtomicBool::new(false),
            next: AtomicU64::new(1),
            injected: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; OPS],
            log: log.then(Mutex::default),
            hangs: Mutex::default(),
            changed: Condvar::new(),
            direct: AtomicUsize::new(0),
        }
    }

    pub(super) fn add(&self, fault: Fault) -> FaultId {
        let id = FaultId(self.next.fetch_add(1, Relaxed));
        self.edit(|armed| armed.push(Armed { id, fault, seen: 0, fired: 0 }));
        id
    }

    /// Changes the list, then brings up to date what is read without its lock.
    pub(super) fn retain(&self, keep: impl Fn(FaultId) -> bool) {
        self.edit(|armed| armed.retain(|rule| keep(rule.id)));
    }

    fn edit(&self, change: impl FnOnce(&mut Vec<Armed>)) {
        let mut armed = lock(&self.armed);
        change(&mut armed);
        let hidden = |rule: &&Armed| matches!(rule.fault.action, Action::ShortRead(_) | Action::ZeroWrite);
        self.direct.store(armed.iter().filter(hidden).count(), Relaxed);
        self.any.store(!armed.is_empty(), Relaxed);
    }

    /// Is there a rule whose effect the page cache would hide from the client?
    pub(super) fn direct(&self) -> bool {
        self.direct.load(Relaxed) > 0
    }

    pub(super) fn fired(&self, id: FaultId) -> u64 {
        lock(&self.armed).iter().find(|rule| rule.id == id).map_or(0, |rule| rule.fired)
    }

    pub(super) fn injected(&self) -> u64 {
        self.injected.load(Relaxed)
    }

    pub(super) fn count(&self, op: Op) -> u64 {
        let of = |one: &Op| self.counts[*one as usize].load(Relaxed);
        Op::ALL.iter().filter(|one| op.covers(**one)).map(of).sum()
    }

    pub(super) fn log(&self) -> Vec<(Op, PathBuf)> {
        self.log.as_ref().map_or(Vec::new(), |log| lock(log).clone())
    }

    pub(super) fn clear_log(&self) {
        self.counts.iter().for_each(|count| count.store(0, Relaxed));
        if let Some(log) = &self.log {
            lock(log).clear();
        }
    }

    /// Notes a request, and lets the rules do what comes before it.
    pub(super) fn enter(&self, op: Op, paths: impl FnOnce() -> Vec<PathBuf>) -> Result<Plan, Errno> {
        self.counts[op as usize].fetch_add(1, Relaxed);
        let any = self.any.load(Relaxed);
        if !any && self.log.is_none() {
            return Ok(Plan::default());
        }
        let paths = paths();
        if let Some(log) = &self.log {
            lock(log).push((op, paths.first().cloned().unwrap_or_default()));
        }
        let mut plan = Plan::default();
        for action in self.due(op, &paths) {
            match action {
                Action::Errno(e) => return Err(Errno::from_raw_os_error(e)),
                Action::Latency(time) => pause(time),
                Action::Hang => self.hang()?,
                Action::ShortWrite(n) | Action::ShortRead(n) => plan.limit = Some(n),
                Action::ZeroWrite => plan.limit = Some(0),
                Action::Vanish => plan.vanish = true,
                Action::LostReply(e) => plan.lost = Some(Errno::from_raw_os_error(e)),
                Action::Flip => plan.flip = true,
                Action::Call(f) => catch_unwind(AssertUnwindSafe(|| f())).map_err(|_| Errno::IO)?,
            }
        }
        Ok(plan)
    }

    fn due(&self, op: Op, paths: &[PathBuf]) -> Vec<Action> {
        let mut due = Vec::new();
        for rule in lock(&self.armed).iter_mut().filter(|rule| rule.fault.matches(op, paths)) {
            rule.seen += 1;
            let fires = match rule.fault.when {
                When::Every => true,
                When::Nth(n) => rule.seen == n,
                When::From(n) => rule.seen >= n,
                When::First(n) => rule.seen <= n,
            };
            if fires {
                rule.fired += 1;
                self.injected.fetch_add(1, Relaxed);
                due.push(rule.fault.action.clone());
            }
        }
        due
    }

    fn hang(&self) -> Result<(), Errno> {
        let mut hangs = lock(&self.hangs);
        let before = hangs.released;
        hangs.waiting += 1;
        self.changed.notify_all();
        while hangs.released == before && !hangs.closed {
            hangs = self.changed.wait(hangs).unwrap_or_else(PoisonError::into_inner);
        }
        hangs.waiting -= 1;
        if hangs.closed { Err(Errno::IO) } else { Ok(()) }
    }

    /// Lets the requests go on which hang now; with `close`, none shall hang any more.
    pub(super) fn release(&self, close: bool) {
        let mut hangs = lock(&self.hangs);
        hangs.released += 1;
        hangs.closed |= close;
        self.changed.notify_all();
    }

    pub(super) fn wait_hanging(&self, n: usize, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut hangs = lock(&self.hangs);
        while hangs.waiting < n {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.changed.wait_timeout(hangs, left);
            hangs = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Sleeps as precisely as the kernel can: its default is to be up to 50 microseconds late.
pub(super) fn pause(time: Duration) {
    thread_local! {
        static PRECISE: () = {
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        };
    }
    if !time.is_zero() {
        PRECISE.with(|()| std::thread::sleep(time));
    }
}
