//! When operations start: each slow device has them in order, all others go at once.
//!
//! The devices are the machine's, so there is one scheduler for the process ([`scheduler`]). An operation gets in line when
//! it is started, and has no thread before its turn comes: a thousand that wait cost a thousand small records. `queue`
//! knows who goes before whom, `device` what is slow, `weight` what is small, `watch` what stands still; here is what
//! happens then.

mod device;
mod queue;
mod watch;
mod weight;

use crate::control::{Control, State, lock};
use crate::pool::{Pool, Prepared, Task};
use crate::progress::{Meter, Phase};
use device::Devices;
use queue::{Member, Queue, Turn};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use weight::Weight;

/// When operations start.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// All at once.
    Always,
    /// Those on different devices at once; on a rotational disk, on USB, on a server or a FUSE file system one after the
    /// other. One that is small beside another (a tenth of it, and 32 MiB at most) goes beside it.
    #[default]
    PerDevice,
    /// One after the other, whatever they touch. Measuring goes at once.
    OneAtATime,
}

/// What an operation is called by, here and in its journal.
pub(crate) type Id = Arc<str>;

/// An operation that is not over, as [`Scheduler::operations`] lists it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Which: as [`Operation::id`](crate::Operation::id).
    pub id: String,
    /// What it does: "copy", "delete".
    pub verb: &'static str,
    /// Whether it waits, runs, is paused or being cancelled.
    pub phase: Phase,
    /// While it waits: how many operations go before it.
    pub place: Option<usize>,
    /// The slow devices it touches: names of disks or servers, numbers of other file systems.
    pub devices: Vec<String>,
}

/// How hard an operation works its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// It reads what others write anyway, or next to nothing: it never waits.
    Nothing,
    /// It makes or changes single names, such as by rename: it waits only where one goes at a time.
    Names,
    /// Each entry, but not what is in it.
    Entries,
    /// All that is in its sources.
    Contents,
}

/// What an operation will touch.
pub(crate) struct Uses {
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) target: Option<PathBuf>,
    pub(crate) effort: Effort,
}

impl Uses {
    pub(crate) fn nothing() -> Uses {
        Uses { sources: Vec::new(), target: None, effort: Effort::Nothing }
    }

    /// Single names, on whatever device.
    pub(crate) fn names() -> Uses {
        Uses { effort: Effort::Names, ..Uses::nothing() }
    }
}

/// An operation that is to start.
pub(crate) struct Who<'a> {
    pub(crate) id: &'a Id,
    pub(crate) verb: &'static str,
    pub(crate) control: &'a Arc<Control>,
    pub(crate) meter: &'a Arc<Meter>,
}

/// What is told and kept of an operation as long as it is not over.
struct Held {
    verb: &'static str,
    control: Arc<Control>,
    meter: Arc<Meter>,
    uses: Arc<Uses>,
    pool: Pool,
    /// The operation itself, until it begins.
    call: Option<Prepared>,
    /// What was last seen of its work, and when that was new.
    seen: (u64, Instant),
    /// When the look at its sources began.
    looked: Option<Instant>,
}

/// Gives its place back when the operation is over: done, cancelled, panicked or never made.
struct Place(Id);

impl Drop for Place {
    fn drop(&mut self) {
        scheduler().leave(&self.0);
    }
}

/// Decides when operations start, and knows all that are not over; see [`scheduler`].
pub struct Scheduler {
    queue: Mutex<Queue<Held>>,
    devices: Mutex<Devices>,
    is_watched: AtomicBool,
}

/// The scheduler of this process.
///
/// ```
/// use fileops::Schedule;
///
/// let scheduler = fileops::scheduler();
/// scheduler.set_schedule(Schedule::OneAtATime);
/// scheduler.pause_all();
/// for operation in scheduler.operations() {
///     println!("{} {} {:?} {:?}", operation.id, operation.verb, operation.phase, operation.place);
/// }
/// scheduler.resume_all();
/// ```
pub fn scheduler() -> &'static Scheduler {
    static SCHEDULER: OnceLock<Scheduler> = OnceLock::new();
    SCHEDULER.get_or_init(|| Scheduler {
        queue: Mutex::default(),
        devices: Mutex::default(),
        is_watched: AtomicBool::new(false),
    })
}

impl Scheduler {
    /// When operations start; [`Schedule::PerDevice`] at first.
    pub fn schedule(&self) -> Schedule {
        lock(&self.queue).schedule
    }

    /// Decides anew when operations start. What runs goes on; what waits starts if it no longer has to.
    pub fn set_schedule(&self, schedule: Schedule) {
        lock(&self.queue).schedule = schedule;
        self.advance();
    }

    /// All operations that are not over, in the order in which their turns come.
    pub fn operations(&self) -> Vec<Scheduled> {
        let queue = lock(&self.queue);
        let scheduled = |member: &Member<Held>| Scheduled {
            id: member.id.to_string(),
            verb: member.held.verb,
            phase: match (member.held.control.state(), member.turn) {
                (State::Cancelled, _) => Phase::Cancelling,
                (_, Turn::Waiting) => Phase::Waiting,
                (State::Paused, _) => Phase::Paused,
                (State::Running, _) => Phase::Running,
            },
            place: queue.place(&member.id),
            devices: member.devices.iter().map(|device| device.to_string()).collect(),
        };
        queue.iter().map(scheduled).collect()
    }

    /// Pauses all operations there are, those that wait too. Later ones are not affected.
    pub fn pause_all(&self) {
        let mut queue = lock(&self.queue);
        queue.iter_mut().for_each(pause);
    }

    /// Ends all pauses, also those that operations made by themselves. Each goes on when its turn comes.
    pub fn resume_all(&self) {
        let mut queue = lock(&self.queue);
        let paused = queue.iter_mut().filter(|member| member.turn == Turn::Paused);
        paused.for_each(|member| member.turn = Turn::Waiting);
        drop(queue);
        self.advance();
    }

    /// Starts an operation that waits, or resumes one that is paused, beside whatever runs.
    pub fn start_now(&self, id: &str) {
        let call = lock(&self.queue).get_mut(id).filter(|member| member.turn != Turn::Running).and_then(begin);
        call.into_iter().for_each(Prepared::begin);
        self.advance();
    }

    /// Lets an operation that waits go before all others that wait.
    pub fn move_to_front(&self, id: &str) {
        lock(&self.queue).move_before(id, None);
        self.advance();
    }

    /// Lets an operation that waits go just before another one. Nothing changes if either is over.
    pub fn move_before(&self, id: &str, other: &str) {
        lock(&self.queue).move_before(id, Some(other));
        self.advance();
    }

    /// Whether one of the paths is on a disk whose head must travel to it.
    pub(crate) fn has_head<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> bool {
        lock(&self.devices).has_head(paths)
    }

    /// Makes a call when its turn comes.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        who: Who<'_>,
        uses: Uses,
        pool: &Pool,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Task<T> {
        let id = who.id;
        let devices = lock(&self.devices).slow(&uses);
        let known = Weight::known(&uses);
        let place = Place(Arc::clone(id));
        let (mut task, call) = pool.prepare(move || {
            let _place = place;
            call()
        });
        let mut member = Member {
            id: Arc::clone(id),
            turn: Turn::Waiting,
            devices,
            weight: known.unwrap_or_default(),
            is_looked_at: known.is_some(),
            is_still: false,
            is_queued: uses.effort != Effort::Nothing,
            held: Held {
                verb: who.verb,
                control: Arc::clone(who.control),
                meter: Arc::clone(who.meter),
                uses: Arc::new(uses),
                pool: pool.clone(),
                call: Some(call),
                seen: (0, Instant::now()),
                looked: None,
            },
        };
        // Without threads an operation runs when it is polled: it can wait for nobody who waits for that too.
        let at_once = if pool.has_threads() { None } else { begin(&mut member) };
        lock(&self.queue).add(member);
        let mut begun = self.next();
        let own = begun.iter().position(|(other, _)| other == id).map(|at| begun.swap_remove(at).1);
        begun.into_iter().for_each(|(_, call)| call.begin());
        if let Some(call) = own.or(at_once) {
            call.begin_for(&mut task);
        }
        if task.is_left_to_caller() {
            self.leave(id);
        }
        self.look();
        task
    }

    /// Pauses an operation. Its devices are free meanwhile.
    pub(crate) fn pause(&self, id: &str, control: &Control) {
        match lock(&self.queue).get_mut(id) {
            Some(member) => pause(member),
            None => control.pause(),
        }
        self.advance();
    }

    /// Ends a pause. An operation that gave its devices away waits for its turn, at the place it had.
    pub(crate) fn resume(&self, id: &str, control: &Control) {
        match lock(&self.queue).get_mut(id) {
            Some(member) if member.turn == Turn::Paused => member.turn = Turn::Waiting,
            // It waits for its turn already.
            Some(member) if member.turn == Turn::Waiting => {}
            _ => control.resume(),
        }
        self.advance();
    }

    /// Cancels an operation. One that has not begun ends at once, on this thread: it has nothing to do but its report.
    pub(crate) fn cancel(&self, id: &str, control: &Control) {
        control.cancel();
        let call = lock(&self.queue).get_mut(id).and_then(begin);
        call.into_iter().for_each(Prepared::run_here);
    }

    /// How many operations go before one that waits; `None` for one that does not.
    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        lock(&self.queue).place(id)
    }

    fn weigh(&self, id: &str, weight: Weight) {
        if let Some(member) = lock(&self.queue).get_mut(id) {
            member.weight = weight;
        }
        self.advance();
    }

    fn leave(&self, id: &str) {
        // Dropped without the lock: what it holds may end a pool.
        let held = lock(&self.queue).remove(id);
        if held.is_some() {
            self.advance();
        }
    }

    /// Begins all whose turn has come. To be called after each change, without the lock.
    fn advance(&self) {
        self.next().into_iter().for_each(|(_, call)| call.begin());
        self.look();
    }

    /// All whose turn has come, and that have not begun before.
    fn next(&self) -> Vec<(Id, Prepared)> {
        let mut queue = lock(&self.queue);
        let mut begun = Vec::new();
        while let Some(member) = queue.begin_next() {
            let id = Arc::clone(&member.id);
            begun.extend(begin(member).map(|call| (id, call)));
        }
        begun
    }

    /// Finds out about those that wait and those they wait for, as long as anybody waits.
    fn look(&self) {
        let wanted: Vec<_> = {
            let mut queue = lock(&self.queue);
            if !queue.has_waiting() {
                return;
            }
            let unknown = queue.take_unknown().into_iter();
            let wanted = unknown.filter_map(|id| {
                let held = &mut queue.get_mut(&id)?.held;
                held.looked = Some(Instant::now());
                Some((id, Arc::clone(&held.uses), held.pool.clone()))
            });
            wanted.collect()
        };
        for (id, uses, pool) in wanted {
            if pool.has_threads() {
                let groups = lock(&self.devices).by_mount(&uses.sources);
                weight::look(id, &uses, groups, &pool);
            }
        }
        watch::start(self);
    }
}

/// Gives an operation its devices, and what there is to begin if it has not begun before.
fn begin(member: &mut Member<Held>) -> Option<Prepared> {
    member.turn = Turn::Running;
    member.is_still = false;
    member.held.seen.1 = Instant::now();
    member.held.control.resume();
    member.held.call.take()
}

fn pause(member: &mut Member<Held>) {
    if member.held.control.state() != State::Cancelled {
        member.held.control.pause();
        member.turn = Turn::Paused;
    }
}
