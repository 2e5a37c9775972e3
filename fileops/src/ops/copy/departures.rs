//! What was moved by copying it goes from its old place: only what was copied whole, is durable, and did not change since it
//! was read. All else stays, with the directories it is in.

use super::moving::source_id;
use super::place::Place;
use crate::control::lock;
use crate::engine::{End, Node};
use crate::error::{Action, During, Error, Refusal};
use crate::journal::Pending;
use crate::operation::Job;
use crate::ops::delete::{self, Consent, Mounts, Verdict};
use crate::pool::Pool;
use crate::sys::stat::{Id, Stat, Time};
use crate::sys::{list, name};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::hash::BuildHasher;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(super) struct Departures {
    pub(super) copied: Arc<Copied>,
    waiting: Mutex<Vec<Departure>>,
    /// Directories that were merged with others, and are removed when they are empty; what is inside comes first.
    emptied: Mutex<Vec<Arc<Node<Place>>>>,
    /// How many went, so that others can see it go on.
    pub(super) gone: Arc<AtomicU64>,
}

/// An entry whose copy is whole, durable and under its final name.
pub(super) struct Departure {
    /// The directory it is in.
    pub(super) dir: Arc<Node<Place>>,
    pub(super) file: Arc<OwnedFd>,
    pub(super) name: CString,
    pub(super) gone: Going,
    /// Its record.
    pub(super) carried: Option<Pending>,
}

/// What may go.
pub(super) enum Going {
    /// A file, or whatever is no directory, as it was read.
    File(Box<Stat>),
    /// A directory, with what was copied of it.
    Tree(Id),
}

impl Departures {
    /// An entry was copied, as it was then.
    pub(super) fn copied(&self, dir: &Node<Place>, name: &CStr, stat: &Stat) {
        if let Some(dir) = source_id(dir) {
            self.copied.add(dir, name, stat);
        }
    }

    /// Removes what may go. When the operation is cancelled meanwhile the rest waits for `see_off_waiting`.
    pub(super) fn see_off(&self, going: Vec<Departure>, job: &Arc<Job>, pool: &Pool, mounts: Mounts, until: Until) {
        let stop = (until == Until::Cancelled).then(|| Arc::clone(job));
        let is_over = || stop.as_ref().is_some_and(|job| job.control.is_cancelled());
        for departure in going {
            let is_gone = match departure.gone {
                _ if is_over() => false,
                Going::File(ref read) => {
                    self.remove_file(job, &departure, read);
                    true
                }
                Going::Tree(id) => {
                    self.remove_tree(job, pool, mounts, &departure, id, stop.clone());
                    let is_there = |stat: Stat| stat.id == id;
                    !is_over() || !Stat::at(&*departure.file, &departure.name).is_ok_and(is_there)
                }
            };
            match (is_gone, departure.carried) {
                // What is gone by now is not missed the next time.
                (false, carried) => lock(&self.waiting).push(Departure { carried, ..departure }),
                (true, Some(carried)) => job.journal.done(carried),
                (true, None) => {}
            }
        }
    }

    /// After a cancel: copies that have their final names are moved, as was said.
    pub(super) fn see_off_waiting(&self, job: &Arc<Job>, pool: &Pool, mounts: Mounts) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        self.see_off(waiting, job, pool, mounts, Until::Done);
    }

    fn remove_tree(
        &self,
        job: &Arc<Job>,
        pool: &Pool,
        mounts: Mounts,
        departure: &Departure,
        id: Id,
        stop: Option<Arc<Job>>,
    ) {
        let Departure { dir, file, name, .. } = departure;
        let consent = Leave { copied: Arc::clone(&self.copied), gone: Arc::clone(&self.gone), stop };
        let doomed = (Arc::clone(file), dir.path(End::Source), name.clone(), id);
        for error in delete::permitted(doomed, mounts, pool, Arc::new(consent)) {
            dir.set_failed();
            job.fail(error);
        }
    }

    fn remove_file(&self, job: &Job, departure: &Departure, read: &Stat) {
        let path = || departure.dir.path_of(End::Source, &departure.name);
        let stat = match Stat::at(&*departure.file, &departure.name) {
            // Somebody else took it; or a server was wrong about that, and the directory's own list says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_not_listed(departure) => return,
            stat => stat,
        };
        let removed = stat.during(Action::Stat, path).and_then(|stat| {
            match self.copied.is_as_read(&Version::of(read), &stat) && stat.id == read.id && !stat.is_dir() {
                true => name::unlink(&*departure.file, &departure.name).during(Action::Remove, path),
                false => Err(Error::new(Action::Remove, path(), Refusal::Changed)),
            }
        });
        match removed {
            Ok(()) => {
                self.gone.fetch_add(1, Relaxed);
            }
            Err(error) => {
                departure.dir.set_failed();
                job.fail(error);
            }
        }
    }

    /// A directory that was merged with another is over.
    pub(super) fn emptied(&self, dir: &Arc<Node<Place>>) {
        lock(&self.emptied).push(Arc::clone(dir));
    }

    pub(super) fn has_emptied(&self) -> bool {
        !lock(&self.emptied).is_empty()
    }

    pub(super) fn take_emptied(&self) -> Vec<Arc<Node<Place>>> {
        std::mem::take(&mut *lock(&self.emptied))
    }
}

fn is_not_listed(Departure { file, name, .. }: &Departure) -> bool {
    list::inodes(&**file, [name, name]).is_ok_and(|[found, _]| found.is_none())
}

/// How long a removal goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// A cancel ends it.
    Cancelled,
    /// Until all is done.
    Done,
}

/// What was copied, an entry at 40 bytes: where it was, which file it was, and how it was. Names are not kept, but a number
/// that no two of them have.
#[derive(Default)]
pub(super) struct Copied {
    entries: Mutex<HashMap<u128, Version>>,
    /// Files with several names, as they were when the first was read. Removing a name changes the file.
    groups: Mutex<HashMap<Id, Version>>,
    /// Directories with something in it that was not copied, or that are not whole themselves: they stay.
    incomplete: Mutex<HashSet<Id>>,
    keys: (RandomState, RandomState),
}

/// What a file is to the files with several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// It has one name, and had no other.
    Single,
    /// It is one of them.
    Known,
    /// It has the number of one of them, and is not the same any more.
    Other,
}

struct Version {
    size: u64,
    modified: i64,
    changed: i64,
}

impl Version {
    fn of(stat: &Stat) -> Version {
        Version { size: stat.size, modified: nanoseconds(stat.modified), changed: nanoseconds(stat.changed) }
    }
}

/// For comparison only: far from now it starts again.
fn nanoseconds(time: Time) -> i64 {
    time.seconds.wrapping_mul(1_000_000_000).wrapping_add(time.nanoseconds)
}

impl Copied {
    fn key(&self, dir: Id, name: &CStr, id: Id) -> u128 {
        let (high, low) = (self.keys.0.hash_one((dir, name, id)), self.keys.1.hash_one((dir, name, id)));
        u128::from(high) << 64 | u128::from(low)
    }

    fn add(&self, dir: Id, name: &CStr, stat: &Stat) {
        let key = self.key(dir, name, stat.id);
        lock(&self.entries).entry(key).or_insert(Version::of(stat));
    }

    /// Whether a file has, or had, several names. Of one that was removed since, the number may be another file's.
    pub(super) fn is_group(&self, stat: &Stat) -> Member {
        let mut groups = lock(&self.groups);
        let now = Version::of(stat);
        let member = match groups.get(&stat.id) {
            Some(then) if then.size == now.size && then.modified == now.modified => return Member::Known,
            Some(_) => Member::Other,
            None if stat.links > 1 => Member::Known,
            None => return Member::Single,
        };
        groups.insert(stat.id, now);
        member
    }

    pub(super) fn is_incomplete(&self, id: Id) {
        lock(&self.incomplete).insert(id);
    }

    /// Whether an entry was copied as it is now; `None` if it was not copied.
    fn knows(&self, dir: Id, name: &CStr, now: &Stat) -> Option<bool> {
        let key = self.key(dir, name, now.id);
        let entries = lock(&self.entries);
        let then = entries.get(&key)?;
        Some(now.is_dir() || self.is_as_read(then, now))
    }

    fn is_as_read(&self, then: &Version, now: &Stat) -> bool {
        let Version { size, modified, changed } = Version::of(now);
        let is_unwritten = then.size == size && then.modified == modified;
        is_unwritten && (then.changed == changed || lock(&self.groups).contains_key(&now.id))
    }
}

/// Lets go what was copied.
struct Leave {
    copied: Arc<Copied>,
    gone: Arc<AtomicU64>,
    /// The operation whose cancel ends the removal.
    stop: Option<Arc<Job>>,
}

impl Consent for Leave {
    fn may_go(&self, dir: Id, name: &CStr, stat: &Stat) -> Verdict {
        if self.stop.as_ref().is_some_and(|job| job.control.is_cancelled()) {
            return Verdict::Stop;
        }
        match self.copied.knows(dir, name, stat) {
            Some(true) => {
                self.gone.fetch_add(1, Relaxed);
                Verdict::Go
            }
            Some(false) => Verdict::Changed,
            None if lock(&self.copied.incomplete).contains(&dir) => Verdict::Stay,
            None => Verdict::Foreign,
        }
    }

    fn stays(&self, dir: Id) -> bool {
        lock(&self.copied.incomplete).contains(&dir)
    }
}
