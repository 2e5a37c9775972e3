//! One directory of the walk: where it is, what is still to be done in it, and its descriptors, which may be closed at any
//! time and come back when they are needed.

use super::descriptors::Descriptors;
use crate::control::lock;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat};
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// A directory that is walked, with the verb's own data `D`.
pub(crate) struct Node<D> {
    parent: Option<Arc<Node<D>>>,
    source: Side,
    target: Option<Side>,
    pub(crate) data: D,
    stat: OnceLock<Stat>,
    /// Tasks of this directory's own that are not over: its list, slices of it, parts of large files, links that wait.
    own: AtomicUsize,
    /// What of its subtree is not over: in the lower half itself and the directories in it that are worked on, in the upper
    /// half entries that wait for answers and directories in which only such are left.
    subtree: AtomicU64,
    /// Its parent counts it among those that wait.
    is_resting: AtomicBool,
    /// Where its end at the target is a stage: what waited in it may be worked on.
    is_opened: AtomicBool,
    /// Directories in it that were found and not opened yet: they need its descriptors.
    unopened: AtomicUsize,
    has_failed: AtomicBool,
}

/// One that waits, in [`Node`]'s count of its subtree.
const WAITING: u64 = 1 << 32;

/// What is left of a directory's subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Something is worked on.
    Busy,
    /// Only what waits for answers, and the caller's own part.
    Waits(u64),
    /// Nothing.
    Nothing,
}

/// One end of a directory: at the source, or at the target.
pub(crate) struct Side {
    name: CString,
    /// The name it got since: a stage that was published.
    renamed: OnceLock<CString>,
    /// The name it is going to have, for reports.
    shown: Option<CString>,
    /// For a root, which is never closed and has no parent to be opened from.
    root: Option<PathBuf>,
    follow: Follow,
    descriptor: Mutex<Option<Arc<OwnedFd>>>,
    id: OnceLock<Id>,
}

impl Side {
    /// An end that is opened from the parent's same end.
    pub(crate) fn new(name: CString, follow: Follow) -> Side {
        let (renamed, shown, descriptor, id) = Default::default();
        Side { name, renamed, shown, root: None, follow, descriptor, id }
    }

    /// An end under a name of our own; reports call it by the name it is going to have.
    pub(crate) fn staged(name: CString, wanted: CString) -> Side {
        Side { shown: Some(wanted), ..Side::new(name, Follow::No) }
    }

    /// An end that is open, and stays so. `path` is what it is called in reports.
    pub(crate) fn root(path: PathBuf, descriptor: Arc<OwnedFd>) -> Side {
        let side = Side::new(CString::default(), Follow::No);
        Side { root: Some(path), descriptor: Mutex::new(Some(descriptor)), ..side }
    }

    pub(crate) fn name(&self) -> &CStr {
        self.renamed.get().unwrap_or(&self.name)
    }

    /// The place has another name from now on.
    pub(crate) fn rename(&self, name: &CStr) {
        let _ = self.renamed.set(name.to_owned());
    }

    /// The descriptor, if it is open now.
    pub(crate) fn open_descriptor(&self) -> Option<Arc<OwnedFd>> {
        lock(&self.descriptor).clone()
    }

    fn is_staged(&self) -> bool {
        self.shown.is_some()
    }

    pub(super) fn is_followed(&self) -> bool {
        self.follow == Follow::Yes
    }

    fn close(&self) {
        if self.root.is_none() {
            let mut descriptor = lock(&self.descriptor);
            if let Some(file) = descriptor.as_ref() {
                // Whoever opens it again must be sure to get the same one.
                if self.id.get().is_none() {
                    let Ok(stat) = Stat::of(file) else { return };
                    let _ = self.id.set(stat.id);
                }
            }
            *descriptor = None;
        }
    }
}

/// Which end of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Target,
}

impl<D: Send + Sync + 'static> Node<D> {
    /// The top of a walk: both ends are open.
    pub(crate) fn top(source: Side, target: Option<Side>, data: D) -> Arc<Node<D>> {
        Arc::new(Node::build(None, source, target, data))
    }

    /// A directory in `parent`.
    pub(crate) fn inside(parent: &Arc<Node<D>>, source: Side, target: Option<Side>, data: D) -> Arc<Node<D>> {
        parent.subtree.fetch_add(1, Ordering::Relaxed);
        parent.unopened.fetch_add(1, Ordering::Relaxed);
        Arc::new(Node::build(Some(Arc::clone(parent)), source, target, data))
    }

    fn build(parent: Option<Arc<Node<D>>>, source: Side, target: Option<Side>, data: D) -> Node<D> {
        let (stat, has_failed, unopened, is_resting, is_opened) = Default::default();
        let (own, subtree) = (AtomicUsize::new(1), AtomicU64::new(1));
        Node { parent, source, target, data, stat, own, subtree, is_resting, is_opened, unopened, has_failed }
    }

    pub(crate) fn parent(&self) -> Option<&Arc<Node<D>>> {
        self.parent.as_ref()
    }

    pub(crate) fn side(&self, end: End) -> Option<&Side> {
        match end {
            End::Source => Some(&self.source),
            End::Target => self.target.as_ref(),
        }
    }

    /// What the source was when it was opened.
    pub(crate) fn stat(&self) -> &Stat {
        self.stat.get().expect("a directory is opened before it is worked on")
    }

    /// Which device the source is on, once that is known.
    pub(crate) fn device(&self) -> Option<u64> {
        self.stat.get().map(|stat| stat.id.dev)
    }

    /// Which mount the source is on, once that is known; not for the top, which is not listed itself.
    pub(super) fn mount(&self) -> Option<u64> {
        self.stat.get().map(|stat| stat.mount)
    }

    pub(crate) fn set_stat(&self, stat: Stat) {
        let _ = self.source.id.set(stat.id);
        let _ = self.stat.set(stat);
    }

    /// Something in it failed: it is not whole.
    pub(crate) fn set_failed(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// One more task of its own.
    pub(crate) fn begin(&self) {
        self.own.fetch_add(1, Ordering::Relaxed);
    }

    /// One task of its own is over; `true` for the last.
    pub(super) fn end(&self) -> bool {
        self.own.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// It, or a directory in it, is over: gives its part back, unless that is the last beside what waits.
    pub(super) fn end_subtree(&self) -> Left {
        let mut count = self.subtree.load(Ordering::Acquire);
        loop {
            if count > WAITING && count % WAITING == 1 {
                return Left::Waits(count);
            }
            match self.subtree.compare_exchange_weak(count, count - 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(1) => return Left::Nothing,
                Ok(_) => return Left::Busy,
                Err(now) => count = now,
            }
        }
    }

    /// Makes the last part of it, beside what waits, one that waits too; not if something happened since it was `seen`.
    pub(super) fn hold(&self, seen: u64) -> bool {
        let held = seen - 1 + WAITING;
        self.subtree.compare_exchange(seen, held, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Its parent has to count it among those that wait: `true` for the first who says so.
    pub(super) fn rest(&self) -> bool {
        !self.is_resting.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_resting(&self) -> bool {
        self.is_resting.load(Ordering::Acquire)
    }

    /// Something in it waits.
    pub(super) fn wait(&self) {
        self.subtree.fetch_add(WAITING, Ordering::AcqRel);
    }

    /// Something in it waits no more; `true` if that was the last of all.
    pub(super) fn end_waiting(&self) -> bool {
        self.subtree.fetch_sub(WAITING, Ordering::AcqRel) == WAITING
    }

    /// Something that waited in it is worked on: one more task of its own. `true` if it had been over but for such, and
    /// what waited is now counted as itself.
    pub(super) fn resume(&self) -> bool {
        let was_over = self.own.fetch_add(1, Ordering::AcqRel) == 0;
        if was_over {
            self.subtree.fetch_sub(WAITING - 1, Ordering::AcqRel);
        }
        was_over
    }

    /// What waited in this stage may be worked on.
    pub(super) fn open_stage(&self) {
        self.is_opened.store(true, Ordering::Release);
    }

    /// Whether it is in a stage that has not its final name, and may get it any time.
    pub(super) fn is_hidden(&self) -> bool {
        let mut node = Some(self);
        while let Some(at) = node {
            if at.target.as_ref().is_some_and(Side::is_staged) {
                return !at.is_opened.load(Ordering::Acquire);
            }
            node = at.parent.as_deref();
        }
        false
    }

    /// A directory in it has its own descriptors now, or never will.
    pub(super) fn child_opened(&self) {
        if self.unopened.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close_if_unused();
        }
    }

    /// Closes the descriptors when nothing that is known needs them; what does so later opens them again.
    pub(super) fn close_if_unused(&self) {
        if self.own.load(Ordering::Acquire) == 0 && self.unopened.load(Ordering::Acquire) == 0 {
            self.close();
        }
    }

    pub(super) fn close(&self) {
        self.source.close();
        if let Some(target) = &self.target {
            target.close();
        }
    }

    /// The path of one end, for reports only: the walk goes by descriptors.
    pub(crate) fn path(&self, end: End) -> PathBuf {
        let mut names = Vec::new();
        let mut node = self;
        loop {
            let Some(side) = node.side(end) else { return PathBuf::new() };
            if let Some(root) = &side.root {
                let mut path = root.clone();
                path.extend(names.iter().rev().map(|name: &&CStr| os(name)));
                return path;
            }
            names.push(side.shown.as_deref().unwrap_or(side.name()));
            let Some(parent) = &node.parent else { return PathBuf::new() };
            node = parent;
        }
    }

    /// The path of an entry in it.
    pub(crate) fn path_of(&self, end: End, name: &CStr) -> PathBuf {
        self.path(end).join(os(name))
    }

    /// Whether a directory with this identity lies above, or is this one.
    pub(crate) fn is_within(&self, id: Id) -> bool {
        let mut node = Some(self);
        while let Some(at) = node {
            if at.source.id.get() == Some(&id) {
                return true;
            }
            node = at.parent.as_deref();
        }
        false
    }
}

/// A name as the standard library spells it.
pub(crate) fn os(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

/// The descriptor of one end. If it was closed it is opened again from the nearest open directory above, name by name, and
/// each must be the one it was.
pub(crate) fn descriptor<D: Send + Sync + 'static>(
    node: &Arc<Node<D>>,
    end: End,
    descriptors: &Descriptors<D>,
) -> io::Result<Arc<OwnedFd>> {
    let mut closed = Vec::new();
    let mut at = node;
    let mut file = loop {
        let side = at.side(end).ok_or(io::ErrorKind::NotFound)?;
        if let Some(file) = &*lock(&side.descriptor) {
            break Arc::clone(file);
        }
        closed.push(at);
        at = at.parent.as_ref().ok_or(io::ErrorKind::NotFound)?;
    };
    for node in closed.into_iter().rev() {
        let side = node.side(end).ok_or(io::ErrorKind::NotFound)?;
        let opened = Arc::new(descriptors.open(|| open::dir(&file, side.name(), side.follow))?);
        if let Some(&id) = side.id.get() {
            if Stat::of(&opened)?.id != id {
                return Err(io::Error::from_raw_os_error(libc::ESTALE));
            }
        }
        *lock(&side.descriptor) = Some(Arc::clone(&opened));
        descriptors.add(node);
        file = opened;
    }
    Ok(file)
}

impl<D> Drop for Node<D> {
    /// A chain of 10,000 parents must not be dropped by 10,000 nested calls.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(node) = parent {
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}
