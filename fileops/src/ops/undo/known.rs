//! What undos of later operations did to things since: a file that came back, or a directory in which something came back,
//! has a new change time, and is all the same what it was when it was taken away. For a redo, what redos of earlier ones did.

use super::passage::Passages;
use crate::journal::{self, Identity, Location, Step, Written};
use crate::sys::stat::{Stat, Time};
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
    /// The same.
    passages: OnceLock<Passages>,
}

impl Known {
    /// For what is to be undone, or redone if it is an undo itself.
    pub(super) fn since(undone: &Written) -> Known {
        let since = undone.order;
        let verb = if undone.verb == "undo" { "redo" } else { "undo" };
        Known { since, verb, all: OnceLock::new(), passages: OnceLock::new() }
    }

    /// Whether `was_right` is true of the change time that something had before those that stand left it as it is, or before
    /// it went to another file system and came back. `inode` is the one it had then, where that is asked.
    pub(super) fn is(
        &self,
        (path, file_system): (impl Fn() -> PathBuf, &str),
        stat: &Stat,
        inode: Option<u64>,
        was_right: impl Fn(Time) -> bool,
    ) -> bool {
        let is_here = inode.is_none_or(|inode| inode == stat.id.ino || self.was_inode(inode, stat, file_system));
        if is_here && self.led_to(&path, stat.changed, &was_right) {
            return true;
        }
        let was_so = |changed: Option<Time>| {
            changed.is_none_or(|changed| was_right(changed) || self.led_to(&path, changed, &was_right))
        };
        self.passages().is(stat, file_system, inode, was_so)
    }

    /// Whether this is the file, whatever was done to it, and wherever it was since.
    pub(super) fn is_same(&self, identity: &Identity, stat: &Stat, at: &Location) -> bool {
        let file_system = &*at.dir.file_system;
        identity.is_same(stat, file_system) || self.passages().is_same(identity, stat, file_system)
    }

    fn was_inode(&self, inode: u64, stat: &Stat, file_system: &str) -> bool {
        let identity = Identity { inode, ..Identity::from(stat) };
        self.passages().is_same(&identity, stat, file_system)
    }

    fn passages(&self) -> &Passages {
        self.passages.get_or_init(Passages::read)
    }

    fn led_to(&self, path: impl Fn() -> PathBuf, changed: Time, was_right: impl Fn(Time) -> bool) -> bool {
        let all = self.all.get_or_init(|| self.read());
        if all.is_empty() {
            return false;
        }
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
        let is_later = |past: &Written| past.ended.is_some() && past.order >= self.since;
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
pub(super) fn taken(by: &Written) -> HashMap<PathBuf, Time> {
    let taken = by.steps.iter().filter_map(|begun| match &begun.step {
        Step::Replaced { at, old: it, .. }
        | Step::Removed { at, identity: it, .. }
        | Step::Moved { from: at, identity: it, .. } => Some((at.path(), it.changed)),
        _ => None,
    });
    taken.filter(|(_, changed)| *changed != Time::default()).collect()
}
