//! Hard links: the first name of a file is copied, the others become links to that copy, across directories and sources.

use super::place::Place;
use crate::control::lock;
use crate::engine::Node;
use crate::sys::open::Follow;
use crate::sys::stat::{Id, Stat};
use rustix::fs::FileType;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex};

/// A name in a directory, kept while its file is copied by somebody else.
pub(super) struct Waiting {
    pub(super) dir: Arc<Node<Place>>,
    pub(super) name: CString,
    pub(super) kind: FileType,
    pub(super) follow: Follow,
}

/// Where the first copy of a file is.
#[derive(Clone)]
pub(super) struct First {
    pub(super) dir: Arc<Node<Place>>,
    /// At the target.
    pub(super) name: CString,
}

enum Group {
    /// Somebody copies it; these come next.
    Busy(Vec<Waiting>),
    /// It was copied, and so many names may still come.
    Ready(First, u64),
}

pub(super) enum Claim {
    /// Nobody has copied it yet: the caller does, and says how it went.
    First,
    /// Somebody does so just now, and will do this name too.
    Later,
    /// Link to this.
    Link(First),
}

#[derive(Default)]
pub(super) struct Links(Mutex<HashMap<Id, Group>>);

impl Links {
    /// Asks who copies a file that has several names.
    pub(super) fn claim(&self, stat: &Stat, waiting: impl FnOnce() -> Waiting) -> Claim {
        let mut groups = lock(&self.0);
        match groups.get_mut(&stat.id) {
            None => {
                groups.insert(stat.id, Group::Busy(Vec::new()));
                Claim::First
            }
            Some(Group::Busy(others)) => {
                let waiting = waiting();
                waiting.dir.begin();
                others.push(waiting);
                Claim::Later
            }
            Some(Group::Ready(first, left)) => {
                let first = first.clone();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    groups.remove(&stat.id);
                }
                Claim::Link(first)
            }
        }
    }

    /// The first copy is there. Gives the names that waited for it; each holds its directory open until it is ended.
    pub(super) fn copied(&self, stat: &Stat, dir: &Arc<Node<Place>>, name: &CStr) -> Vec<Waiting> {
        let mut groups = lock(&self.0);
        let first = First { dir: Arc::clone(dir), name: name.to_owned() };
        let Some(Group::Busy(waiting)) = groups.remove(&stat.id) else { return Vec::new() };
        // Names outside the copied set are counted too, and keep the group until the end; that is only memory.
        let left = stat.links.saturating_sub(1 + waiting.len() as u64);
        if left > 0 {
            groups.insert(stat.id, Group::Ready(first, left));
        }
        waiting
    }

    /// The first copy failed: whoever waited tries for himself.
    pub(super) fn failed(&self, stat: &Stat) -> Vec<Waiting> {
        match lock(&self.0).remove(&stat.id) {
            Some(Group::Busy(waiting)) => waiting,
            _ => Vec::new(),
        }
    }
}
