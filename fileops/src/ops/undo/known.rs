//! What undos of later operations did to things since: a file that came back, or a directory in which something came back,
//! has a new change time, and is all the same what it was when it was taken away. For a redo, what redos of earlier ones did.

use crate::journal::{self, Step, Written};
use crate::sys::stat::Time;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// By path and change time: the change time before it was taken away. None where that is not told, but was looked at then.
type All = BTreeMap<(PathBuf, Time), Option<Time>>;

pub(super) struct Known {
    since: Duration,
    verb: &'static str,
    /// Read when it is asked for the first time.
    all: OnceLock<All>,
}

impl Known {
    /// For what is to be undone, or redone if it is an undo itself; `since` is when that ended.
    pub(super) fn since(since: Duration, undone: &Written) -> Known {
        let verb = if undone.verb == "undo" { "redo" } else { "undo" };
        Known { since, verb, all: OnceLock::new() }
    }

    /// Whether those that stand left something with this change time, and `was_right` is true of the one it had before.
    pub(super) fn is(&self, path: impl FnOnce() -> PathBuf, changed: Time, was_right: impl Fn(Time) -> bool) -> bool {
        let all = self.all.get_or_init(|| self.read());
        let mut at = (path(), changed);
        for _ in 0..all.len() {
            match all.get(&at) {
                None => return false,
                Some(None) => return true,
                Some(&Some(before)) if was_right(before) => return true,
                Some(&Some(before)) => at.1 = before,
            }
        }
        false
    }

    fn read(&self) -> All {
        let is_later = |past: &Written| past.ended.is_some_and(|(_, end)| end >= self.since);
        let history = journal::history().unwrap_or_default();
        let mut all = All::default();
        for past in history.iter().filter(|past| past.verb == self.verb && is_later(past) && past.has_changes()) {
            let undone = history.iter().find(|undone| past.undoes.as_ref() == Some(&undone.id));
            let taken = undone.map(taken).unwrap_or_default();
            // What a redo brings back was looked at by the undo that took it away, what it replaces by itself.
            let was_looked_at = self.verb == "redo" || undone.is_some_and(|undone| undone.verb == "redo");
            for begun in &past.steps {
                match &begun.step {
                    Step::Sealed { at, time } => {
                        let before = taken.get(&at.path()).copied();
                        if before.is_some() || was_looked_at {
                            all.insert((at.path(), *time), before);
                        }
                    }
                    Step::Left { dir, changed, .. } => drop(all.insert((dir.path.to_path_buf(), *changed), None)),
                    _ => {}
                }
            }
        }
        all
    }
}

/// What an operation took away, and the change time it had, as far as that is told.
fn taken(by: &Written) -> HashMap<PathBuf, Time> {
    let taken = by.steps.iter().filter_map(|begun| match &begun.step {
        Step::Replaced { at, old: it, .. }
        | Step::Removed { at, identity: it, .. }
        | Step::Moved { from: at, identity: it, .. } => Some((at.path(), it.changed)),
        _ => None,
    });
    taken.filter(|(_, changed)| *changed != Time::default()).collect()
}
