//! Hard links: the first name of a file is copied, the others become links to that copy, across directories and sources.

use super::Copying;
use super::arrivals::{self, Arrival};
use super::beside::Spoken;
use super::departures::Member;
use super::draft::Draft;
use super::place::{Place, Spot};
use crate::control::lock;
use crate::engine::{End, Entry, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error};
use crate::report::NoteKind;
use crate::sys::name;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat};
use rustix::fs::FileType;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
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
pub(super) enum First {
    /// In a directory of this operation, under this name at the target.
    Here(Arc<Node<Place>>, CString),
    /// It was moved before this.
    Before(Arc<OwnedFd>, CString),
}

impl First {
    fn name(&self) -> &CStr {
        let (First::Here(_, name) | First::Before(_, name)) = self;
        name
    }
}

pub(super) enum Group {
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
pub(super) struct Links {
    groups: Mutex<HashMap<Id, Group>>,
    /// Where links are followed, or names tried again, a file is asked for more often than it counts names, and its group is
    /// kept to the end.
    asks_more_often: bool,
}

impl Links {
    pub(super) fn new(asks_more_often: bool) -> Links {
        Links { groups: Mutex::default(), asks_more_often }
    }

    /// Asks who copies a file that has several names.
    pub(super) fn claim(&self, stat: &Stat, waiting: impl FnOnce() -> Waiting) -> Claim {
        let mut groups = lock(&self.groups);
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
                if *left == 0 && !self.asks_more_often {
                    groups.remove(&stat.id);
                }
                Claim::Link(first)
            }
        }
    }

    /// The first copy is there. Gives the names that waited for it; each holds its directory open until it is ended.
    pub(super) fn copied(&self, stat: &Stat, dir: &Arc<Node<Place>>, name: &CStr) -> Vec<Waiting> {
        let mut groups = lock(&self.groups);
        let first = First::Here(Arc::clone(dir), name.to_owned());
        let Some(Group::Busy(waiting)) = groups.remove(&stat.id) else { return Vec::new() };
        // Names outside the copied set are counted too, and keep the group until the end; that is only memory.
        let left = stat.links.saturating_sub(1 + waiting.len() as u64);
        if left > 0 || self.asks_more_often {
            groups.insert(stat.id, Group::Ready(first, left));
        }
        waiting
    }

    pub(super) fn take_all(&self) -> HashMap<Id, Group> {
        std::mem::take(&mut *lock(&self.groups))
    }

    /// The number is another file's now.
    pub(super) fn forget(&self, id: Id) {
        let mut groups = lock(&self.groups);
        if let Some(Group::Ready(..)) = groups.get(&id) {
            groups.remove(&id);
        }
    }

    /// The first copy failed: whoever waited tries for himself.
    pub(super) fn failed(&self, stat: &Stat) -> Vec<Waiting> {
        match lock(&self.groups).remove(&stat.id) {
            Some(Group::Busy(waiting)) => waiting,
            _ => Vec::new(),
        }
    }
}

impl Copying {
    /// Counts a file as one with several names if it had them when a move began: those that went before are not counted by
    /// the file system any more.
    pub(super) fn count_names(&self, stat: &mut Stat) {
        let Some(moving) = &self.moving else { return };
        match moving.departures.copied.is_group(stat) {
            Member::Single => {}
            Member::Known => stat.links = stat.links.max(2),
            Member::Other => self.links.forget(stat.id),
        }
        if self.together.knows(stat) {
            stat.links = stat.links.max(2);
        }
    }

    pub(super) fn claim(&self, entry: &Entry<'_, Self>, stat: &Stat) -> Claim {
        if let Some((dir, name)) = self.together.name_of(stat) {
            return Claim::Link(First::Before(Arc::new(dir), name));
        }
        self.links.claim(stat, || Waiting {
            dir: Arc::clone(entry.dir),
            name: entry.name.to_owned(),
            kind: entry.kind,
            follow: entry.follow,
        })
    }

    pub(super) fn link_waiting(
        &self,
        worker: &mut Worker<Self>,
        waiting: &Waiting,
        first: &First,
        stat: &Stat,
    ) -> Visit {
        let entry = Entry { dir: &waiting.dir, name: &waiting.name, kind: waiting.kind, follow: waiting.follow };
        let Some(spot) = self.spot(worker, &entry, stat)? else { return Ok(()) };
        match self.link(worker, &entry, &spot, first, stat) {
            Some(done) => done,
            None => self.copy_apart(worker, &entry),
        }
    }

    /// Links to the first copy; `None` where the file system cannot, and the name has to be copied apart.
    pub(super) fn link(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        spot: &Spot,
        first: &First,
        stat: &Stat,
    ) -> Option<Visit> {
        let dir = entry.dir;
        let linked = (|| {
            let (from, is_in_one_stage) = match first {
                First::Here(at, _) => (worker.descriptor(at, End::Target)?, are_in_one_stage(dir, at)),
                First::Before(file, _) => (Arc::clone(file), false),
            };
            let to = worker.descriptor(dir, End::Target)?;
            if !is_in_one_stage {
                // The first may be in a tree that has its name.
                self.ledger.works_late.store(true, Relaxed);
            }
            if self.is_linked(dir, (&*from, first.name()), (&*to, spot.name())) {
                return Ok(None);
            }
            self.clear_way(entry, &to, spot.name(), stat.id).map_err(|stop| match stop {
                Stop::Failed(error) => error.source,
                _ => io::ErrorKind::Interrupted.into(),
            })?;
            let make = |to: &OwnedFd, name: &CStr| name::link(&*from, first.name(), to, name);
            let made = Draft::named(&self.ledger, dir, to, spot, make, Action::Link);
            made.map(Some).map_err(|error| error.source)
        })();
        if let (true, First::Here(at, name)) = (linked.is_ok(), first) {
            let of = Spoken { dir, source: entry.name, target: spot.name() };
            self.linked_beside(worker, of, (at, name), stat);
        }
        match linked {
            Ok(None) => {
                if let Some(moving) = &self.moving {
                    moving.departures.copied(dir, entry.name, stat);
                }
                let single = Stat { links: 1, size: 0, allocated: 0, ..*stat };
                Some(self.done(worker, dir, spot.name(), &single))
            }
            Ok(Some((draft, ()))) => {
                // The link counts as done by itself: its file was done before.
                let single = Stat { links: 1, size: 0, allocated: 0, ..*stat };
                let spot = spot.clone();
                match &self.moving {
                    Some(moving) if !dir.data.is_fresh() => {
                        let file = arrivals::File { draft, spot, stat: single, read: *stat, is_durable: false };
                        self.arrive(worker, moving, Arrival::file(dir, entry.name, file));
                        return Some(Ok(()));
                    }
                    Some(moving) => moving.departures.copied(dir, entry.name, stat),
                    None => {}
                }
                Some(self.place(worker, dir, entry.name, spot, (draft, false), &single))
            }
            Err(error) => {
                let cannot = [libc::EXDEV, libc::EMLINK, libc::EPERM, libc::EOPNOTSUPP, libc::ENOSYS, libc::ENOENT];
                if error.raw_os_error().is_some_and(|errno| cannot.contains(&errno)) {
                    worker.job().note(NoteKind::LinkNotKept, Some(&error), || dir.path_of(End::Target, spot.name()));
                    return None;
                }
                let error = Error::new(Action::Link, dir.path_of(End::Target, spot.name()), error);
                Some(Err(error.into()))
            }
        }
    }

    /// Whether an interrupted copy has made the link already.
    fn is_linked(&self, dir: &Node<Place>, first: (&OwnedFd, &CStr), link: (&OwnedFd, &CStr)) -> bool {
        let id = |(dir, name): (&OwnedFd, &CStr)| Stat::at(dir, name).ok().map(|stat| stat.id);
        dir.data.adopted.is_some() && id(link).is_some_and(|link| id(first) == Some(link))
    }

    /// Copies one name of a file with several as a file of its own.
    pub(super) fn copy_apart(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        match entry.kind {
            FileType::RegularFile => {
                let path = || entry.dir.path_of(End::Source, entry.name);
                let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
                let source = worker.open(|| open::file(&*from, entry.name, entry.follow)).during(Action::Open, path)?;
                let mut stat = Stat::of(&source).during(Action::Stat, path)?;
                stat.links = 1;
                let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
                let route = Arc::clone(entry.dir.data.route());
                self.copy_regular(worker, entry, source, stat, route, spot)
            }
            _ => {
                let path = || entry.dir.path_of(End::Source, entry.name);
                let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
                let mut stat = entry.stat(&from).during(Action::Stat, path)?;
                stat.links = 1;
                let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
                self.make_other(worker, entry, &from, &stat, spot)
            }
        }
    }

    /// The first name could not be copied: the others are tried each for itself.
    pub(super) fn first_failed(&self, worker: &mut Worker<Self>, stat: &Stat) {
        for waiting in self.links.failed(stat) {
            let entry = Entry { dir: &waiting.dir, name: &waiting.name, kind: waiting.kind, follow: waiting.follow };
            let copied = self.persist(worker, &waiting.dir, |worker| self.copy_entry(worker, &entry));
            worker.settle_entry(&waiting.dir, &waiting.name, FileType::Unknown, copied);
            worker.end(&waiting.dir);
        }
    }
}

/// Whether two directories get their names together.
fn are_in_one_stage(one: &Arc<Node<Place>>, other: &Arc<Node<Place>>) -> bool {
    fn stage(mut node: &Arc<Node<Place>>) -> Option<&Arc<Node<Place>>> {
        while node.data.stage.is_none() {
            node = node.parent()?;
        }
        Some(node)
    }
    match (stage(one), stage(other)) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
