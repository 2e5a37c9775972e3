//! A file system in a thread of the test, which passes everything on to a backing directory,
//! except for what its rules ([`Fault`]) and habits ([`Knobs`]) say.
//!
//! ```no_run
//! use fileops_tests::{Action, Fault, FaultFs, Op};
//! let fs = FaultFs::new();
//! let rule = fs.add(Fault::new(Op::Write, Action::Errno(libc::ENOSPC)).name("*.txt").nth(2));
//! // … write below fs.path() …
//! assert_eq!(fs.hits(rule), 1);
//! ```
//!
//! The descriptors of the file system are the test process's own: all that point below
//! [`FaultFs::backing`] and at `/dev/fuse`. A client which is killed while its request hangs dies
//! when that is released. What changes in the backing directory behind the kernel's back shows
//! when its timeouts are over; set them to zero for tests of races.

mod attr;
mod data;
mod entries;
mod knobs;
mod nodes;
mod op;
mod options;
mod request;
mod rule;
mod rules;
mod serve;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, FopenFlags};

pub use knobs::{Knobs, Modes};
pub use op::Op;
pub use options::Options;
pub use rule::{Action, Fault, When};
pub use rules::FaultId;

use crate::crash::Recording;
use crate::mount::unmount;
use crate::temp::Temp;
use knobs::{Throttle, Usage};
use nodes::{Handles, Nodes};
use rules::Rules;

/// What the handle and the threads which answer share.
struct Shared {
    nodes: Nodes,
    handles: Handles,
    rules: Rules,
    knobs: RwLock<Arc<Knobs>>,
    throttle: Throttle,
    usage: Usage,
    timeouts: (Duration, Duration),
    direct_io: bool,
    owner: (u32, u32),
    /// What changes, while that is recorded.
    recording: Mutex<Option<Recording>>,
}

impl Shared {
    fn knobs(&self) -> Arc<Knobs> {
        self.knobs.read().expect("no panic holds this lock").clone()
    }

    /// How long the kernel may keep attributes and entries.
    fn timeouts(&self) -> (Duration, Duration) {
        if self.knobs().ignore_case { Default::default() } else { self.timeouts }
    }

    fn open_mode(&self) -> FopenFlags {
        match self.direct_io || self.rules.direct() {
            true => FopenFlags::FOPEN_DIRECT_IO,
            false => FopenFlags::empty(),
        }
    }
}

/// A mounted file system; dropped, it lets go what hangs and is unmounted.
pub struct FaultFs {
    shared: Arc<Shared>,
    session: Option<BackgroundSession>,
    point: PathBuf,
    made: bool,
    backing: PathBuf,
    own: Option<Temp>,
}

impl Default for FaultFs {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultFs {
    /// Mounts one over a new, empty backing directory.
    ///
    /// # Panics
    ///
    /// If it cannot be mounted: see [`require_fuse!`](crate::require_fuse).
    pub fn new() -> Self {
        Options::default().mount().expect("a FUSE file system can be mounted")
    }

    /// Mounts one over this directory.
    ///
    /// # Panics
    ///
    /// If it cannot be mounted.
    pub fn over(backing: impl Into<PathBuf>) -> Self {
        let options = Options { backing: Some(backing.into()), ..Options::default() };
        options.mount().expect("a FUSE file system can be mounted over the directory")
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// The directory which has its files.
    pub fn backing(&self) -> &Path {
        &self.backing
    }

    /// Adds a rule. All rules see a request, in the order in which they were added.
    pub fn add(&self, fault: Fault) -> FaultId {
        self.shared.rules.add(fault)
    }

    /// Takes a rule away.
    pub fn remove(&self, id: FaultId) {
        self.shared.rules.retain(|one| one != id);
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        self.shared.rules.retain(|_| false);
    }

    /// How often a rule acted.
    pub fn hits(&self, id: FaultId) -> u64 {
        self.shared.rules.fired(id)
    }

    /// How often any rule acted, those taken away too.
    pub fn injected(&self) -> u64 {
        self.shared.rules.injected()
    }

    /// Did any rule ever act?
    pub fn fired(&self) -> bool {
        self.injected() > 0
    }

    /// How many requests of this kind there were.
    pub fn count(&self, op: Op) -> u64 {
        self.shared.rules.count(op)
    }

    /// How many requests there were (but for `Release` and `Releasedir`).
    pub fn total(&self) -> u64 {
        self.count(Op::Any)
    }

    /// All requests, with the path below the root (a rename's old one, a link's new one).
    pub fn log(&self) -> Vec<(Op, PathBuf)> {
        self.shared.rules.log()
    }

    /// Begins a new log and new counts.
    pub fn clear_log(&self) {
        self.shared.rules.clear_log();
    }

    /// Changes the limits and habits.
    pub fn knobs(&self, change: impl FnOnce(&mut Knobs)) {
        let mut knobs = (*self.shared.knobs()).clone();
        change(&mut knobs);
        if knobs.quota.is_some() {
            self.shared.usage.set(data::bytes_in(&self.backing));
        }
        *self.shared.knobs.write().expect("no panic holds this lock") = Arc::new(knobs);
    }

    /// Records from now on what changes, and what is made durable; requests are answered one after the other.
    pub fn record(&self) {
        *rules::lock(&self.shared.recording) = Some(Recording::new(&self.backing));
    }

    /// What was recorded.
    ///
    /// # Panics
    ///
    /// If nothing was.
    pub fn recorded(&self) -> Recording {
        rules::lock(&self.shared.recording).take().expect("it was begun")
    }

    /// Lets all requests go on which hang now.
    pub fn release(&self) {
        self.shared.rules.release(false);
    }

    /// Waits until so many requests hang; `false` if that took too long.
    pub fn wait_hanging(&self, requests: usize, timeout: Duration) -> bool {
        self.shared.rules.wait_hanging(requests, timeout)
    }

    /// Is it still mounted?
    pub fn is_mounted(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.guard.is_finished())
    }
}

impl Drop for FaultFs {
    fn drop(&mut self) {
        self.shared.rules.retain(|_| false);
        self.shared.rules.release(true);
        let gone = !self.is_mounted() || unmount(&self.point);
        let end = Instant::now() + Duration::from_secs(5);
        while self.is_mounted() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A thread which is still busy, in a closure of the test's, is left to itself.
        drop(self.session.take());
        if gone && self.made {
            let _ = fs::remove_dir(&self.point);
        }
        if let (false, Some(own)) = (gone, self.own.take()) {
            let _ = own.keep();
        }
    }
}

/// Runs a test with a fault at its first request, then at its second, and so on until it has run
/// without one. The test gets the number for [`Fault::nth`] and returns its file system; how many
/// faults there were is returned.
///
/// # Panics
///
/// If there are more than `limit`.
pub fn sweep(limit: u64, mut test: impl FnMut(u64) -> FaultFs) -> u64 {
    let all = (1..=limit + 1).find(|n| !test(*n).fired());
    all.unwrap_or_else(|| panic!("still a fault after {limit} runs")) - 1
}
