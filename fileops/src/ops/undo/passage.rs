//! What went to another file system and came back, perhaps several times: each time it got another inode, and operations
//! before that know it by the one it had then. It is followed back from journey to journey, as long as nobody did anything to
//! it in between but what was undone since.

use crate::journal::{self, Identity, Passed, Step, Told, Written};
use crate::sys::stat::{Stat, Time};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A file on a file system.
type File = (Arc<str>, u64);

/// A file as it was at some time; `None` where its change time says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    file: File,
    changed: Option<Time>,
}

#[derive(Default)]
pub(super) struct Passages {
    /// By what it became: what it was.
    arrived: HashMap<File, Vec<Passed>>,
    /// What an undo left a file with, and the change time it had before; `None` where that was not told, but looked at.
    undone: HashMap<(File, Time), Vec<Option<Time>>>,
}

impl Passages {
    /// From all journals there are.
    pub(super) fn read() -> Passages {
        let mut passages = Passages::default();
        let all = journal::passages().unwrap_or_default();
        if all.iter().all(|(_, passed)| passed.is_empty()) {
            return passages;
        }
        for (journal, _) in &all {
            if matches!(journal.verb.as_str(), "undo" | "redo") {
                let undone = all.iter().find(|(undone, _)| journal.undoes.as_ref() == Some(&undone.id));
                passages.add_undo(journal, undone.map(|(undone, _)| undone));
            }
        }
        for passed in all.into_iter().flat_map(|(_, passed)| passed) {
            let file = (Arc::clone(&passed.to.0), passed.to.1.inode);
            passages.arrived.entry(file).or_default().push(passed);
        }
        passages
    }

    fn add_undo(&mut self, undo: &Written, undone: Option<&Written>) {
        let taken = undone.map(super::known::taken).unwrap_or_default();
        let mut files = HashMap::<PathBuf, (File, Time)>::new();
        for begun in &undo.steps {
            let (at, identity) = match &begun.step {
                Step::Created { at, identity } => (at, identity),
                Step::Replaced { at, new, .. } => (at, new),
                Step::Moved { to, identity, .. } => (to, identity),
                Step::Left { dir, changed, inode, .. } if *inode != 0 => {
                    let file = (Arc::clone(&dir.file_system), *inode);
                    self.undone.entry((file, *changed)).or_default().push(None);
                    continue;
                }
                Step::Sealed { at, time } => {
                    let Some((file, own)) = files.get(&at.path()) else { continue };
                    let told = [taken.get(&at.path()).copied(), Some(*own).filter(|time| *time != Time::default())];
                    let before = self.undone.entry((file.clone(), *time)).or_default();
                    match told.iter().all(Option::is_none) {
                        true => before.push(None),
                        false => before.extend(told.into_iter().flatten().map(Some)),
                    }
                    continue;
                }
                _ => continue,
            };
            files.insert(at.path(), ((Arc::clone(&at.dir.file_system), identity.inode), identity.changed));
        }
    }

    /// Whether this is the file, which had the inode before it was away. What was done to its contents does not matter.
    pub(super) fn is_same(&self, identity: &Identity, stat: &Stat, file_system: &str) -> bool {
        let is_kind = Identity { inode: stat.id.ino, ..*identity }.is_same(stat, file_system);
        let is_it = |state: &State| &*state.file.0 == file_system && state.file.1 == identity.inode;
        is_kind && self.follow(stat, file_system, false, is_it)
    }

    /// Whether a file, as it is now, was away, and `was_right` is true of the change time it had here before that; `None` where
    /// that says nothing. Of an inode that is given, if one is.
    pub(super) fn is(
        &self,
        stat: &Stat,
        file_system: &str,
        inode: Option<u64>,
        was_right: impl Fn(Option<Time>) -> bool,
    ) -> bool {
        let is_it = |state: &State| {
            let is_file = &*state.file.0 == file_system && inode.is_none_or(|inode| inode == state.file.1);
            is_file && was_right(state.changed)
        };
        self.follow(stat, file_system, true, is_it)
    }

    /// Goes back from state to state, and tells whether one of them is it. `is_strict`: only what nobody changed in between.
    fn follow(&self, stat: &Stat, file_system: &str, is_strict: bool, is_it: impl Fn(&State) -> bool) -> bool {
        let now = State { file: (file_system.into(), stat.id.ino), changed: Some(stat.changed) };
        let (mut seen, mut left) = (HashSet::new(), vec![now]);
        while let Some(state) = left.pop() {
            for passed in self.arrived.get(&state.file).into_iter().flatten() {
                let is_unchanged = match passed.to.1.told {
                    Told::Changed(time) => self.led_to(&state, time),
                    Told::Modified(time) => time == stat.modified,
                };
                if is_strict && !is_unchanged {
                    continue;
                }
                let changed = match passed.from.1.told {
                    Told::Changed(time) => Some(time),
                    Told::Modified(_) => None,
                };
                let before = State { file: (Arc::clone(&passed.from.0), passed.from.1.inode), changed };
                if is_it(&before) {
                    return true;
                }
                if seen.insert(before.clone()) {
                    left.push(before);
                }
            }
        }
        false
    }

    /// Whether nothing was done to a file since it had this change time, but what was undone.
    fn led_to(&self, state: &State, time: Time) -> bool {
        let Some(changed) = state.changed else { return true };
        let (mut seen, mut left) = (HashSet::new(), vec![changed]);
        while let Some(changed) = left.pop() {
            if changed == time {
                return true;
            }
            for before in self.undone.get(&(state.file.clone(), changed)).into_iter().flatten() {
                match *before {
                    None => return true,
                    Some(before) if seen.insert(before) => left.push(before),
                    Some(_) => {}
                }
            }
        }
        false
    }
}
