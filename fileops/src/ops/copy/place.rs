//! Where copies go: straight into a directory of our own that nobody sees yet, or beside what is there already, under a
//! name of ours until they are whole.

use super::adopted::Adopted;
use super::beside::Beside;
use super::replace::Replacement;
use super::route::Route;
use crate::control::lock;
use crate::engine::{self, End, Node};
use crate::journal::{self, Journal, Location, Origin, Recorded, Stage, Step};
use crate::operation::Job;
use crate::ops::steps;
use crate::sys::stat::{Id, Stat};
use crate::sys::{attributes, name, open};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed},
};
use std::sync::{Arc, Mutex, OnceLock};

/// What the copy keeps of each directory.
pub(super) struct Place {
    pub(super) kind: Kind,
    /// The name that the one entry of a directory above a root gets at the target.
    pub(super) root_name: Option<CString>,
    /// For the top of a new subtree: what it is called until it is whole.
    pub(super) stage: Option<Arc<Staged>>,
    pub(super) route: OnceLock<Arc<Route>>,
    /// Owner and group that new files get here; one answer for a whole new tree.
    pub(super) born: Arc<OnceLock<(u32, u32)>>,
    /// Whether new files here inherit an access control list.
    pub(super) inherits: OnceLock<bool>,
    /// New files that wait to take the place of old ones.
    pub(super) replacements: Mutex<Vec<Replacement>>,
    /// Something was added or removed after the directory got its times.
    pub(super) was_touched: AtomicBool,
    /// It was there already, in the stage of an interrupted copy.
    pub(super) adopted: Option<Adopted>,
    /// It waits to be made durable, with the new names in it.
    pub(super) is_unsynced: AtomicBool,
    /// Whether the new tree it is in has its name, though some entries still wait; one answer for all of it.
    pub(super) is_public: Arc<AtomicBool>,
    /// It was counted, as done or as made.
    pub(super) was_counted: AtomicBool,
    pub(super) was_settled: AtomicBool,
    /// Whether it may be opened for us where its owner can do that.
    pub(super) has_rights: bool,
    /// The mode its source had before it was opened for us.
    pub(super) locked: OnceLock<u32>,
    /// How a directory that was there before is recorded, once something is made in it.
    home: OnceLock<journal::Dir>,
    /// What a move knows of the source.
    pub(super) old: Old,
    pub(super) beside: Beside,
}

/// The source of a directory that something is moved from.
#[derive(Default)]
pub(super) struct Old {
    /// What is above a root.
    pub(super) top: OnceLock<Stat>,
    /// How it is recorded, once something is moved from it.
    home: OnceLock<journal::Dir>,
    /// Something in it stays, and so does it.
    keeps: AtomicBool,
    /// It turned out to go into itself, and does not.
    is_refused: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Existed before: everybody sees what is in it.
    Shared,
    /// Made by us, and not to be seen before it is whole but for what waits.
    Fresh,
}

impl Place {
    pub(super) fn new(kind: Kind) -> Place {
        let (root_name, stage, route, born, inherits, replacements, was_touched) = Default::default();
        let (is_public, was_counted, was_settled, has_rights, locked, home) = Default::default();
        let (is_unsynced, old, beside) = Default::default();
        Place {
            kind,
            root_name,
            stage,
            route,
            born,
            inherits,
            replacements,
            was_touched,
            adopted: None,
            is_unsynced,
            is_public,
            was_counted,
            was_settled,
            has_rights,
            locked,
            home,
            old,
            beside,
        }
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        self.route.get().expect("a directory's route is known when it is opened")
    }

    /// A directory of ours in a tree of ours that nobody sees yet.
    pub(super) fn inside(above: &Place) -> Place {
        let (born, is_public) = (Arc::clone(&above.born), Arc::clone(&above.is_public));
        Place { born, is_public, ..Place::new(Kind::Fresh) }
    }

    /// Whether it is ours and nobody sees it yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_ours() && !self.is_public()
    }

    pub(super) fn is_ours(&self) -> bool {
        self.kind == Kind::Fresh
    }

    pub(super) fn is_public(&self) -> bool {
        self.is_public.load(Acquire)
    }
}

impl Old {
    pub(super) fn keep(&self) {
        self.keeps.store(true, Relaxed);
    }

    pub(super) fn keeps(&self) -> bool {
        self.keeps.load(Relaxed)
    }

    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Relaxed)
    }
}

/// A new entry's name at the target, and what is there.
#[derive(Clone)]
pub(super) enum Spot {
    /// In a directory of our own.
    Direct(CString),
    /// The name is free.
    New(CString),
    /// A file is there, to be replaced.
    Replace(CString, Stat),
}

impl Spot {
    pub(super) fn name(&self) -> &CStr {
        match self {
            Spot::Direct(name) | Spot::New(name) | Spot::Replace(name, _) => name,
        }
    }
}

/// The stages of one operation that are on disk.
pub(super) struct Ledger {
    pub(super) job: Arc<Job>,
    open: Mutex<HashMap<CString, Arc<Staged>>>,
    /// Which files they are: what is ours is never a source.
    ids: Mutex<HashSet<Id>>,
    /// New trees that have their names, to be sealed in the end.
    published: Mutex<Vec<(Location, Stat)>>,
    /// Something of ours is changed in new trees that have their names already: what waited, names of one file.
    pub(super) works_late: AtomicBool,
}

/// A stage: a directory or file of ours beside the place it is going to have.
pub(super) struct Staged {
    stage: Stage,
    /// How its directory is recorded.
    home: journal::Dir,
    /// Whether it comes into a new tree of ours that has its name.
    is_part: bool,
    pub(super) dir: Arc<OwnedFd>,
    /// Of `dir`, for reports.
    pub(super) path: PathBuf,
    pub(super) wanted: CString,
    id: OnceLock<Id>,
    /// The directory that it is a copy of.
    source: OnceLock<Stat>,
    /// Whose file has the stage's name could not be found out.
    pub(super) is_doubtful: AtomicBool,
}

impl Staged {
    pub(super) fn name(&self) -> &CStr {
        &self.stage.name
    }

    pub(super) fn id(&self) -> Option<Id> {
        self.id.get().copied()
    }

    /// Whether it must be left alone: somebody's old file may be there.
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_doubtful.load(Relaxed)
    }

    /// It is not removed by us: nobody knows whose it is.
    pub(super) fn is_left(&self) {
        self.is_doubtful.store(true, Relaxed);
    }

    /// Gives it a name, which must be free. A reply can be lost: what has the name then tells.
    pub(super) fn publish(&self, name: &CStr) -> io::Result<()> {
        let renamed = name::rename_new(&*self.dir, self.name(), &*self.dir, name);
        // A second name of one file is the same file: the first name must be gone too.
        let is_there = || Stat::at(&*self.dir, name).is_ok_and(|stat| self.id() == Some(stat.id));
        let is_gone = || Stat::at(&*self.dir, self.name()).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if renamed.is_err() && is_there() && is_gone() { Ok(()) } else { renamed }
    }

    pub(super) fn is_copy_of(&self, source: Stat) {
        let _ = self.source.set(source);
    }

    /// Gives a directory that will not be whole what can be given at once; what is refused stays as it is.
    pub(super) fn finish(&self) {
        let Some(source) = self.source.get() else { return };
        let Ok(file) = open::dir(&*self.dir, self.name(), open::Follow::No) else { return };
        let _ = attributes::set_owner(&file, Some(source.uid), Some(source.gid));
        let _ = attributes::set_mode(&file, source.permissions());
        let _ = attributes::set_times(&file, source.accessed, source.modified);
    }

    pub(super) fn shown(&self) -> PathBuf {
        self.path.join(engine::os(&self.wanted))
    }
}

impl Ledger {
    pub(super) fn new(job: &Arc<Job>) -> Ledger {
        let (open, ids, published, works_late) = Default::default();
        Ledger { job: Arc::clone(job), open, ids, published, works_late }
    }

    /// Records a stage that is about to be made in a directory.
    pub(super) fn intend(&self, node: &Node<Place>, dir: &Arc<OwnedFd>, wanted: &CStr) -> Arc<Staged> {
        let home = self.touches(node, dir).clone();
        let stage = self.job.journal.stage(&home, wanted);
        self.keep(stage, node, dir, wanted)
    }

    fn keep(&self, stage: Stage, node: &Node<Place>, dir: &Arc<OwnedFd>, wanted: &CStr) -> Arc<Staged> {
        let home = self.touches(node, dir).clone();
        self.keep_in((stage, home), (dir, node.path(End::Target)), wanted, node.data.is_ours())
    }

    /// Records a stage that is about to be made in a directory of no walk.
    pub(super) fn intend_in(&self, dir: &Arc<OwnedFd>, path: &Path, wanted: &CStr) -> Arc<Staged> {
        let home = self.touched(dir, path);
        let stage = self.job.journal.stage(&home, wanted);
        self.keep_in((stage, home), (dir, path.to_owned()), wanted, false)
    }

    fn keep_in(
        &self,
        (stage, home): (Stage, journal::Dir),
        (dir, path): (&Arc<OwnedFd>, PathBuf),
        wanted: &CStr,
        is_part: bool,
    ) -> Arc<Staged> {
        let dir = Arc::clone(dir);
        let (id, source, is_doubtful) = Default::default();
        let wanted = wanted.to_owned();
        let staged = Arc::new(Staged { stage, home, is_part, dir, path, wanted, id, source, is_doubtful });
        lock(&self.open).insert(staged.name().to_owned(), Arc::clone(&staged));
        staged
    }

    /// Records that the stage of an interrupted operation is this one's from now on.
    pub(super) fn adopt(
        &self,
        node: &Node<Place>,
        dir: &Arc<OwnedFd>,
        found: &Recorded,
        id: Id,
        origin: &Origin,
    ) -> Arc<Staged> {
        let home = self.touches(node, dir);
        let stage = self.job.journal.adopt(found, home, id, origin);
        let staged = self.keep(stage, node, dir, &found.wanted);
        let _ = staged.id.set(id);
        lock(&self.ids).insert(id);
        staged
    }

    /// Records where a stage comes from.
    pub(super) fn comes_from(&self, staged: &Staged, origin: &Origin) {
        self.job.journal.origin(&staged.stage, origin);
    }

    /// Something is about to be made in a directory that was there before. Gives how that is recorded.
    pub(super) fn journal(&self) -> &Journal {
        &self.job.journal
    }

    /// How the target's end of a directory is recorded, which is about to change.
    pub(super) fn touches<'a>(&self, node: &'a Node<Place>, dir: &OwnedFd) -> &'a journal::Dir {
        node.data.home.get_or_init(|| match node.data.is_ours() {
            // What comes late into a tree of ours is part of it, and no step of its own.
            true => self.job.journal.dir(dir, &node.path(End::Target)),
            false => self.touched(dir, &node.path(End::Target)),
        })
    }

    /// Something is about to be moved from a directory. Gives how that is recorded.
    pub(super) fn touches_source<'a>(&self, node: &'a Node<Place>, dir: &OwnedFd) -> &'a journal::Dir {
        node.data.old.home.get_or_init(|| self.touched(dir, &node.path(End::Source)))
    }

    fn touched(&self, dir: &OwnedFd, path: &Path) -> journal::Dir {
        let home = self.job.journal.dir(dir, path);
        let _ = steps::touch(&self.job, &home, dir);
        home
    }

    /// Something of ours has its name in a directory that was there before. `links` are its source's: other names of it may
    /// still come and go.
    pub(super) fn created(&self, home: &journal::Dir, dir: &OwnedFd, name: &CStr, links: u64) {
        if !self.job.journal.keeps_steps() {
            return;
        }
        if let Ok(stat) = Stat::at(dir, name) {
            let at = Location { dir: home.clone(), name: name.to_owned() };
            if stat.is_dir() {
                lock(&self.published).push((at.clone(), stat));
            }
            let identity = (&Stat { links: links.max(stat.links), ..stat }).into();
            self.job.journal.did(&Step::Created { at, identity });
        }
    }

    /// A stage has its name.
    pub(super) fn is_published(&self, staged: &Staged, name: &CStr) {
        self.gone(staged);
        if !staged.is_part {
            self.created(&staged.home, &staged.dir, name, 1);
        }
    }

    /// A file of no walk has its name.
    pub(super) fn is_created(&self, staged: &Staged) {
        self.created(&staged.home, &staged.dir, &staged.wanted, 1);
    }

    /// A tree that was copied for a move has its name; it is recorded when its source goes.
    pub(super) fn has_arrived(&self, staged: &Staged, name: &CStr) {
        self.gone(staged);
        if let Ok(stat) = Stat::at(&*staged.dir, name) {
            lock(&self.published).push((Location { dir: staged.home.clone(), name: name.to_owned() }, stat));
        }
    }

    /// Whether nothing is to be sealed or put back.
    pub(super) fn is_settled(&self) -> bool {
        lock(&self.published).is_empty() && !self.job.journal.has_records()
    }

    /// Nothing is done any more in the new trees that have their names. The name was the last that was done to a tree, unless
    /// something came late.
    pub(super) fn seal(&self) {
        for (at, stat) in std::mem::take(&mut *lock(&self.published)) {
            match self.works_late.load(Relaxed) {
                true => steps::seal(&self.job, &at, stat.id),
                false => self.job.journal.did(&Step::Sealed { at, time: stat.changed.next() }),
            }
        }
    }

    /// Records which file a stage is.
    pub(super) fn made(&self, staged: &Staged, id: Id) {
        let _ = staged.id.set(id);
        lock(&self.ids).insert(id);
        self.job.journal.made(&staged.stage, id);
    }

    /// A stage has its final name, or was removed.
    pub(super) fn gone(&self, staged: &Staged) {
        if let Some(id) = staged.id() {
            lock(&self.ids).remove(&id);
        }
        if lock(&self.open).remove(staged.name()).is_some() {
            self.job.journal.gone(&staged.stage);
        }
    }

    /// The stages that are left.
    pub(super) fn left(&self) -> Vec<Arc<Staged>> {
        lock(&self.open).values().cloned().collect()
    }

    /// Whether this is the top of one of our own trees, seen as a source.
    pub(super) fn is_ours(&self, id: Id) -> bool {
        lock(&self.ids).contains(&id)
    }
}
