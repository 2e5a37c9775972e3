//! Names of one file that move by move go to another file system, as those that an undo brings home: they stay names of one
//! file. Each move tells the next where the files with several names went.

use super::Copying;
use super::links::{First, Group};
use crate::control::lock;
use crate::engine::{End, Engine};
use crate::journal::Location;
use crate::operation::Job;
use crate::ops::steps;
use crate::sys::stat::{Id, Stat, Time};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

#[derive(Default)]
pub(in crate::ops) struct Together(Mutex<HashMap<Id, Went>>);

/// What a file is now.
struct Went {
    at: Location,
    id: Id,
    /// As it was, and still is: the number of one that is gone can be another file's.
    size: u64,
    modified: Time,
}

impl Together {
    /// Whether other names of a file went already, and it is still what it was then.
    pub(super) fn knows(&self, stat: &Stat) -> bool {
        let all = lock(&self.0);
        all.get(&stat.id).is_some_and(|went| !stat.is_dir() && (went.size, went.modified) == (stat.size, stat.modified))
    }

    /// A name of it that went, in its open directory.
    pub(super) fn name_of(&self, stat: &Stat) -> Option<(OwnedFd, CString)> {
        if !self.knows(stat) {
            return None;
        }
        let (at, id) = lock(&self.0).get(&stat.id).map(|went| (went.at.clone(), went.id))?;
        let dir = steps::open_dir(&at.dir).ok()?;
        Stat::at(&dir, &at.name).is_ok_and(|now| now.id == id).then_some((dir, at.name))
    }
}

impl Copying {
    /// A move is over: of the files that may have more names elsewhere the next one is told where they are.
    pub(super) fn tell_together(&self, engine: &Engine<Copying>, job: &Job) {
        for (source, group) in self.links.take_all() {
            let Group::Ready(First::Here(dir, name), _) = group else { continue };
            let Ok(file) = engine.descriptor(&dir, End::Target) else { continue };
            let Ok(Stat { id, size, modified, .. }) = Stat::at(&*file, &name) else { continue };
            let at = Location { dir: job.journal.dir(&*file, &dir.path(End::Target)), name };
            lock(&self.together.0).insert(source, Went { at, id, size, modified });
        }
    }
}
