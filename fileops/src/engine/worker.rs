//! One worker: takes a directory, lists it, does its entries, goes on with the first directory it found.

use super::governor::{Current, Leaves, Seat};
use super::node::{self, End, Node, Side};
use super::parking::{Given, Step};
use super::queue::Task;
use super::{Engine, Enter, Entry, Root, Stop, Visit, Visitor};
use crate::control::lock;
use crate::error::{Action, During, Error, Refusal};
use crate::operation::Job;
use crate::pool::Pool;
use crate::progress::{Counters, Mark, add};
use crate::question::Resolution;
use crate::sys::list::{self, Batch};
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use rustix::fs::FileType;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Directories found in one directory before they are worked on: bounds what a directory of a million directories takes.
const MANY: usize = 4096;

/// Fewer entries than this are not worth waking another worker for, while they cost computing only.
const SLICE: usize = 32;

/// What a visitor has at hand while it works on an entry.
pub(crate) struct Worker<V: Visitor> {
    pub(super) engine: Arc<Engine<V>>,
    pub(crate) counters: Arc<Counters>,
    pub(super) seat: Arc<Seat<V::Dir>>,
    /// For the contents of a file.
    pub(crate) buffer: Vec<u8>,
    /// For the names and values of extended attributes.
    pub(crate) names: Vec<u8>,
    pub(crate) value: Vec<u8>,
    space: Box<[MaybeUninit<u8>]>,
    /// Directories that were found in the one being listed.
    found: Vec<Arc<Node<V::Dir>>>,
    /// Since when the time of small entries was not added up.
    mark: Mark,
    /// What was answered about the entry that is worked on.
    pub(super) given: Option<Given<V::Dir>>,
    /// What was answered about the source that is begun.
    pub(super) answered: Option<(Resolution, Option<Stat>)>,
}

/// How many entries pass between two looks at the clock, where an entry takes microseconds.
const LAP: usize = 64;

/// Enough for a small file in one read, small enough for the processor's own memory.
pub(crate) const BUFFER: usize = 256 << 10;

impl<V: Visitor> Worker<V> {
    pub(super) fn new(engine: Arc<Engine<V>>, seat: Arc<Seat<V::Dir>>) -> Worker<V> {
        let counters = engine.job.meter.counters();
        let (names, value, found) = Default::default();
        let space = vec![MaybeUninit::uninit(); list::LIST_BYTES].into_boxed_slice();
        let mark = counters.mark();
        Worker {
            engine,
            counters,
            seat,
            buffer: Vec::new(),
            names,
            value,
            space,
            found,
            mark,
            given: None,
            answered: None,
        }
    }

    /// Works until nothing is left, the operation is cancelled, or there are more workers than needed.
    pub(super) fn work(&mut self) -> Leaves {
        let engine = Arc::clone(&self.engine);
        let mut kept = None;
        loop {
            let task = match kept.take() {
                Some(node) => Task::Dir(node, None),
                None if engine.dismisses() => return Leaves::Dismissed,
                None => match engine.next() {
                    Ok(Some(task)) => task,
                    Ok(None) | Err(_) => return Leaves::Done,
                },
            };
            if engine.job.checkpoint().is_err() {
                return Leaves::Done;
            }
            self.mark = self.counters.mark();
            self.seat.set_busy(true);
            match task {
                Task::Dir(node, begun) => kept = self.list(node, begun),
                Task::Slice(node, batch) => {
                    self.show(&node, None);
                    self.each(&node, batch);
                    self.end(&node);
                    kept = self.hand_out();
                }
                Task::Share(share) => engine.visitor.help(self, &share),
                Task::Root(index) => kept = self.root(index),
                Task::Redo(redo) => match engine.unless_hidden(redo) {
                    Some(redo) => kept = self.redo(*redo),
                    None => {
                        // It goes on waiting, and its task is not over.
                        self.seat.set_busy(false);
                        continue;
                    }
                },
            }
            self.seat.set_busy(false);
            self.counters.add_small(&self.mark);
            engine.task_done();
        }
    }

    pub(crate) fn job(&self) -> &Arc<Job> {
        &self.engine.job
    }

    pub(crate) fn engine(&self) -> &Arc<Engine<V>> {
        &self.engine
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.engine.pool
    }

    /// The descriptor of one end of a directory, opened again if it had to be closed.
    pub(crate) fn descriptor(&self, node: &Arc<Node<V::Dir>>, end: End) -> io::Result<Arc<OwnedFd>> {
        node::descriptor(node, end, &self.engine.descriptors)
    }

    /// Opens a file; when the process has no descriptor left, makes room and tries again.
    pub(crate) fn open<T>(&self, open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        self.engine.descriptors.open(open)
    }

    /// Says which file a reader should see; until the next directory.
    pub(crate) fn show(&self, node: &Arc<Node<V::Dir>>, name: Option<&CStr>) {
        *lock(&self.seat.current) = Some(Current::Entry(Arc::clone(node), name.map(CStr::to_owned)));
    }

    /// How many workers there could be to help with something large.
    pub(crate) fn helpers(&self) -> usize {
        self.engine.wanted_workers().saturating_sub(1)
    }

    /// Lets up to `helpers` other workers help. They may come late, when nothing is left to help with.
    pub(crate) fn share(&self, share: &Arc<V::Share>, helpers: usize) {
        self.engine.push((0..helpers).map(|_| Task::Share(Arc::clone(share))));
    }

    /// A task of the directory's own is over.
    pub(crate) fn end(&mut self, node: &Arc<Node<V::Dir>>) {
        if !node.end() || self.engine.job.control.is_cancelled() {
            return;
        }
        let engine = Arc::clone(&self.engine);
        let closed = engine.visitor.close_dir(self, node);
        self.settle(node, closed);
        node.close_if_unused();
        self.go_up(Step::Ended(Arc::clone(node)));
    }

    /// Counts a failure against its directory.
    pub(crate) fn settle<T>(&self, node: &Node<V::Dir>, visit: Visit<T>) -> Option<T> {
        let error = match visit {
            Ok(value) => return Some(value),
            Err(Stop::Failed(error)) => Some(error),
            Err(Stop::Asked(question)) => Some(question.unanswered()),
            Err(Stop::Cancelled) => None,
        };
        node.set_failed();
        if let Some(error) = error {
            add(&self.counters.passed, 1);
            self.fail(error);
        }
        None
    }

    /// Notes a failure, which may be the end of everything.
    pub(super) fn fail(&self, error: Error) {
        self.engine.job.fail_by_rule(error);
    }

    pub(super) fn root(&mut self, index: usize) -> Option<Arc<Node<V::Dir>>> {
        let engine = Arc::clone(&self.engine);
        *lock(&self.seat.current) = Some(Current::Root(engine.visitor.root_path(index)));
        let begun = loop {
            match engine.visitor.root(self, index) {
                Ok(root) => break Some(root),
                Err(stop) => match self.root_stopped(index, stop) {
                    Some(rule) => self.answered = Some((rule, None)),
                    None => break None,
                },
            }
        };
        self.answered = None;
        match begun? {
            Root::Contents(node) => self.list(node, None),
            Root::Done => None,
            Root::Entry(node, name) => {
                self.one(&node, &name, FileType::Unknown);
                self.end(&node);
                self.hand_out()
            }
        }
    }

    /// Does all entries of a directory; gives the directory to go on with.
    fn list(&mut self, node: Arc<Node<V::Dir>>, begun: Option<Arc<OwnedFd>>) -> Option<Arc<Node<V::Dir>>> {
        self.show(&node, None);
        let file = match begun {
            Some(file) => file,
            None => {
                let opened = self.open_dir(&node);
                if let Some(parent) = node.parent() {
                    parent.child_opened();
                }
                match opened {
                    Ok(file) => file,
                    Err(stop) => {
                        self.not_opened(&node, stop);
                        return None;
                    }
                }
            }
        };
        let mut batch = Batch::default();
        loop {
            if self.engine.job.checkpoint().is_err() {
                return None;
            }
            let listed = list::next(&file, &mut self.space, &mut batch);
            let listed = listed.during(Action::List, || node.path(End::Source)).map_err(Stop::from);
            if self.settle(&node, listed).is_none() || batch.len() == 0 {
                break;
            }
            batch = self.each(&node, batch);
            if self.found.len() >= MANY {
                let rest = std::iter::once(Task::Dir(node, Some(file)));
                self.engine.push(rest);
                return self.hand_out();
            }
        }
        self.end(&node);
        self.hand_out()
    }

    /// Nothing was listed: the directory's own end is not reached, only its subtree's.
    fn not_opened(&mut self, node: &Arc<Node<V::Dir>>, stop: Stop) {
        node.end();
        match (stop, node.parent(), node.side(End::Source)) {
            (Stop::Failed(error), Some(parent), Some(side)) => {
                // It fails as an entry of its parent, and is found anew if it is tried again.
                let engine = Arc::clone(&self.engine);
                node.set_failed();
                let abandoned = match engine.job.control.is_cancelled() {
                    true => Ok(()),
                    false => engine.visitor.abandon_dir(self, node),
                };
                node.close();
                let kind = if side.is_followed() { FileType::Symlink } else { FileType::Directory };
                self.settle_entry(parent, side.name(), kind, Err(error.into()));
                self.settle(parent, abandoned);
                self.go_up(Step::Ended(Arc::clone(parent)));
            }
            (stop, ..) => {
                self.settle(node, Err::<(), _>(stop));
                self.go_up(Step::Ended(Arc::clone(node)));
            }
        }
    }

    fn open_dir(&mut self, node: &Arc<Node<V::Dir>>) -> Visit<Arc<OwnedFd>> {
        let engine = Arc::clone(&self.engine);
        let opened = match self.descriptor(node, End::Source) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && engine.visitor.unlock_dir(self, node) => {
                self.descriptor(node, End::Source)
            }
            opened => opened,
        };
        let file = opened.during(Action::Open, || node.path(End::Source))?;
        let stat = Stat::of_dir(&*file).during(Action::Stat, || node.path(End::Source))?;
        if let Some(parent) = node.parent() {
            // A way back up needs a bind mount, or a link that is followed.
            let is_crossing =
                node.side(End::Source).is_some_and(Side::is_followed) || parent.mount() != Some(stat.mount);
            if is_crossing && parent.is_within(stat.id) {
                return Err(Error::new(Action::Open, node.path(End::Source), Refusal::IntoItself).into());
            }
        }
        node.set_stat(stat);
        engine.visitor.opened_dir(self, node)?;
        Ok(file)
    }

    /// Does the entries of a batch; gives its memory back.
    fn each(&mut self, node: &Arc<Node<V::Dir>>, mut batch: Batch) -> Batch {
        let engine = Arc::clone(&self.engine);
        let mut index = 0;
        while index < batch.len() {
            if engine.job.checkpoint().is_err() {
                return batch;
            }
            if engine.is_hungry() {
                self.feed(node, &mut batch, index);
            }
            let (name, kind) = batch.get(index);
            self.one(node, name, kind);
            index += 1;
            if index % LAP == 0 || engine.is_waiting() {
                // The time left is known while a long list is worked on, not only after it.
                self.counters.add_small(&self.mark);
                self.mark = self.counters.mark();
            }
        }
        batch
    }

    /// Gives half of what is left to a worker that waits, first of all directories that were found.
    fn feed(&mut self, node: &Arc<Node<V::Dir>>, batch: &mut Batch, index: usize) {
        if self.found.len() > 1 {
            // The first stays with this worker, which has its parent open.
            let found = self.found.drain(1..).collect::<Vec<_>>();
            self.engine.push(found.into_iter().map(|node| Task::Dir(node, None)));
            return;
        }
        let left = batch.len() - index;
        if left >= if self.engine.is_waiting() { 2 } else { 2 * SLICE } {
            let rest = batch.split_off(index + left.div_ceil(2));
            node.begin();
            self.engine.push(std::iter::once(Task::Slice(Arc::clone(node), rest)));
        }
    }

    fn one(&mut self, node: &Arc<Node<V::Dir>>, name: &CStr, kind: FileType) {
        let visited = self.attempt(node, name, kind);
        self.settle_entry(node, name, kind, visited);
    }

    pub(super) fn attempt(&mut self, node: &Arc<Node<V::Dir>>, name: &CStr, kind: FileType) -> Visit {
        let entry = self.entry(node, name, kind)?;
        match entry.kind {
            FileType::Directory => self.enter(&entry),
            _ => Arc::clone(&self.engine).visitor.visit(self, &entry),
        }
    }

    /// Finds out what the list did not tell.
    fn entry<'a>(&self, dir: &'a Arc<Node<V::Dir>>, name: &'a CStr, kind: FileType) -> Visit<Entry<'a, V>> {
        let follow = self.engine.visitor.follow();
        let mut entry = Entry { dir, name, kind, follow: Follow::No };
        let is_link = |kind| kind == FileType::Symlink && follow == Follow::Yes;
        if kind != FileType::Unknown && !is_link(kind) {
            return Ok(entry);
        }
        let path = || dir.path_of(End::Source, name);
        let parent = self.descriptor(dir, End::Source).during(Action::Open, path)?;
        if kind == FileType::Unknown {
            entry.kind = Stat::at(&*parent, name).during(Action::Stat, path)?.kind();
        }
        if is_link(entry.kind) {
            match Stat::following(&*parent, name) {
                Ok(stat) => {
                    entry.kind = stat.kind();
                    entry.follow = Follow::Yes;
                }
                // A link to nothing stays a link.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(error).during(Action::Stat, path).map_err(Stop::from),
            }
        }
        Ok(entry)
    }

    fn enter(&mut self, entry: &Entry<'_, V>) -> Visit {
        let engine = Arc::clone(&self.engine);
        if let Enter::Into(data, target) = engine.visitor.enter_dir(self, entry)? {
            let source = Side::new(entry.name.to_owned(), entry.follow);
            self.found.push(Node::inside(entry.dir, source, target, data));
        }
        Ok(())
    }

    /// Keeps the directory found first, and puts the others where all workers find them.
    pub(super) fn hand_out(&mut self) -> Option<Arc<Node<V::Dir>>> {
        let mut found = std::mem::take(&mut self.found);
        let kept = (!found.is_empty()).then(|| found.swap_remove(0));
        self.engine.push(found.drain(..).map(|node| Task::Dir(node, None)));
        self.found = found;
        if kept.is_some() {
            self.engine.keep();
        }
        kept
    }
}
