//! What undos of later operations did to things since: a file that came back, or a directory in which something came back,
//! has a new change time, and is all the same what it was. For a redo, what redos of earlier ones did.

use crate::journal::{self, Step, Written};
use crate::sys::stat::Time;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

pub(super) struct Known {
    since: Duration,
    verb: &'static str,
    /// Read when it is asked for the first time.
    all: OnceLock<BTreeSet<(PathBuf, Time)>>,
}

impl Known {
    /// For what is to be undone, or redone if it is an undo itself; `since` is when that ended.
    pub(super) fn since(since: Duration, undone: &Written) -> Known {
        let verb = if undone.verb == "undo" { "redo" } else { "undo" };
        Known { since, verb, all: OnceLock::new() }
    }

    /// Whether one that stands left something with this change time.
    pub(super) fn is(&self, path: impl FnOnce() -> PathBuf, changed: Time) -> bool {
        self.all.get_or_init(|| self.read()).contains(&(path(), changed))
    }

    fn read(&self) -> BTreeSet<(PathBuf, Time)> {
        let is_later = |past: &Written| past.ended.is_some_and(|(_, end)| end >= self.since);
        let undos = journal::history().unwrap_or_default().into_iter();
        let undos = undos.filter(|past| past.verb == self.verb && is_later(past) && past.has_changes());
        let left = undos.flat_map(|past| past.steps).filter_map(|begun| match begun.step {
            Step::Sealed { at, time } => Some((at.path(), time)),
            Step::Left { dir, changed, .. } => Some((dir.path.to_path_buf(), changed)),
            _ => None,
        });
        left.collect()
    }
}
