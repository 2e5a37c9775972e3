//! Watching by the kernel's notices (inotify).
//!
//! A directory is watched before it is listed, so that nothing falls between: what appears in a new directory before its
//! watch is found in the list, what appears later is told, and what is both is told once. The directories above the watched
//! one are asked for names only, so that it is found again when it, or one of them, goes and comes back.
//!
//! A directory is looked at later than its notice was made, and its name may be another's by then. So all notices that are
//! there are read first, and one whose name is left again in one of them is not taken in: what follows tells where it went.

use super::borders::Borders;
use super::event::{Event, Why};
use super::pending::Pending;
use super::tree::{Node, TOP, Tree, join};
use super::{Next, Setup};
use crate::sys::inotify::{Inotify, Interest, Notice, Told, Watch};
use crate::sys::mount::Changes;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat};
use crate::sys::wake;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why the loop is left.
pub(super) enum Stop {
    Go(Next),
    /// Before anybody was told that it has begun.
    Failed(io::Error),
}

/// Whether what is in a directory is new to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    Told,
    Known,
}

/// More notices than these are not kept, some 100 bytes each.
const MOST: usize = 65_536;

/// Seldom enough to cost nothing, often enough that little waits.
const FLUSH_EVERY: usize = 256;

pub(super) struct Local<'a> {
    pub(super) setup: &'a Setup,
    pub(super) inotify: Inotify,
    mounts: Changes,
    /// The directories above, each with the name that leads on.
    above: Vec<(Watch, CString)>,
    /// What has the watched path, while anything has it.
    top: Option<Top>,
    pub(super) borders: Borders,
    pub(super) tree: Tree,
    pub(super) pending: Pending,
    /// Directories that left their name and have no other yet, by the cookie of their rename.
    pub(super) moving: HashMap<u32, Node>,
    /// What happens in those meanwhile, by the same cookie: it is told by their new names, or not at all.
    pub(super) held: HashMap<u32, Vec<Notice>>,
    /// Notices that were read, and not looked at yet.
    queue: VecDeque<Notice>,
    /// The names of directories that are left by one of those, and by how many.
    leaving: HashMap<(Watch, CString), usize>,
    /// Directories that could not be found when they appeared, since one above them had another name already.
    pub(super) postponed: Vec<(Node, CString)>,
    /// Names that a list gave, of which the notice may still come.
    pub(super) listed: HashMap<Node, HashSet<CString>>,
    /// No such notice comes after this many bytes.
    pub(super) listed_until: u64,
    pub(super) must_settle: bool,
    /// Why all has to begin anew.
    pub(super) lost: Option<Why>,
}

struct Top {
    id: Id,
    is_dir: bool,
    real: PathBuf,
    /// Whether its watch ended by itself.
    is_ended: bool,
}

/// Watches until something ends it.
pub(super) fn run(setup: &Setup) -> Next {
    match watch(setup) {
        Stop::Go(next) => next,
        Stop::Failed(error) => {
            setup.begin(Err(error));
            Next::End
        }
    }
}

fn watch(setup: &Setup) -> Stop {
    let opened = Inotify::new().and_then(|inotify| Ok((inotify, Changes::new()?)));
    let (inotify, mounts) = match opened {
        Ok(opened) => opened,
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => return Stop::Go(Next::Polled(Why::Limit)),
        Err(error) => return Stop::Go(Next::Polled(why(&error))),
    };
    let mut local = Local {
        setup,
        inotify,
        mounts,
        above: Vec::new(),
        top: None,
        borders: Borders::default(),
        tree: Tree::default(),
        pending: Pending::new(setup.window),
        moving: HashMap::new(),
        held: HashMap::new(),
        queue: VecDeque::new(),
        leaving: HashMap::new(),
        postponed: Vec::new(),
        listed: HashMap::new(),
        listed_until: 0,
        must_settle: false,
        lost: None,
    };
    match local.go() {
        Ok(never) => match never {},
        Err(stop) => stop,
    }
}

impl Local<'_> {
    fn go(&mut self) -> Result<std::convert::Infallible, Stop> {
        let begun = self.setup.out.has_begun();
        let found = self.settle(Contents::Known)?;
        match (begun, found) {
            (false, Err(error)) => return Err(Stop::Failed(error)),
            (false, Ok(())) => self.setup.begin(Ok(())),
            (true, Err(_)) => self.pending.removed(self.setup.path.clone(), true, Instant::now()),
            (true, Ok(())) => self.setup.out.put([self.rescan(Why::Switched)]),
        }
        loop {
            // Taking directories in reads notices too.
            let is_idle = self.queue.is_empty() && self.postponed.is_empty();
            let due = self.pending.due().map(|due| due.saturating_duration_since(Instant::now()));
            let time = if is_idle { due } else { Some(Duration::ZERO) };
            let of = [self.inotify.as_fd(), self.mounts.as_fd(), self.setup.out.closed.as_fd()];
            let [is_told, is_mounted, _] = wake::wait(of, time).map_err(polled)?;
            self.check()?;
            if is_told {
                self.read()?;
            }
            self.hear_all()?;
            if is_mounted {
                self.look_at_mounts()?;
            }
            if self.must_settle {
                // What is not there is waited for.
                let _ = self.settle(Contents::Told)?;
            }
            if let Some(why) = self.lost.take() {
                self.start_again(why)?;
            }
            self.flush();
        }
    }

    /// Reads all notices that are there.
    pub(super) fn read(&mut self) -> Result<(), Stop> {
        let end = self.inotify.end();
        while self.inotify.read < end {
            let (queue, leaving) = (&mut self.queue, &mut self.leaving);
            let taken = self.inotify.next(|notice| {
                if let Some(name) = leaves(&notice) {
                    *leaving.entry(name).or_default() += 1;
                }
                queue.push_back(notice);
            });
            taken.map_err(polled)?;
        }
        if self.queue.len() > MOST {
            self.lost = Some(Why::Overflow);
        }
        Ok(())
    }

    /// Whether a notice that was read says that a directory has left its name, in the one with this watch.
    pub(super) fn will_leave(&self, watch: Watch, name: &CString) -> bool {
        self.leaving.contains_key(&(watch, name.clone()))
    }

    fn hear_all(&mut self) -> Result<(), Stop> {
        let mut heard = 0_usize;
        while let Some(notice) = self.queue.pop_front() {
            if self.lost.is_some() {
                break;
            }
            if let Some(Entry::Occupied(mut count)) = leaves(&notice).map(|name| self.leaving.entry(name)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            let end = notice.end;
            self.hear(notice, Instant::now())?;
            if end >= self.listed_until {
                self.listed.clear();
            }
            heard += 1;
            if heard % FLUSH_EVERY == 0 {
                self.flush();
            }
        }
        for (parent, name) in std::mem::take(&mut self.postponed) {
            if self.tree.has(parent) {
                self.enter(parent, name, Contents::Told)?;
            }
        }
        Ok(())
    }

    /// Ends the loop when nobody reads any more.
    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.setup.out.is_closed() { Err(Stop::Go(Next::End)) } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) {
        let (events, alone) = self.pending.take_due(Instant::now());
        for cookie in alone {
            self.held.remove(&cookie);
            if let Some(node) = self.moving.remove(&cookie) {
                self.forget(node);
            }
        }
        if !events.is_empty() {
            self.setup.out.put(events);
        }
    }

    fn rescan(&self, why: Why) -> Event {
        Event::Rescan { path: self.setup.path.clone(), why }
    }

    fn hear(&mut self, notice: Notice, now: Instant) -> Result<(), Stop> {
        if notice.told == Told::Overflow {
            self.lost = Some(Why::Overflow);
        }
        self.hear_above(&notice, now);
        let Some(node) = self.tree.at(notice.watch) else { return Ok(()) };
        match self.tree.first_above(node) {
            TOP => {}
            moving => {
                let cookie = self.moving.iter().find(|(_, node)| **node == moving).map(|(cookie, _)| *cookie);
                cookie.into_iter().for_each(|cookie| self.held.entry(cookie).or_default().push(notice.clone()));
                return Ok(());
            }
        }
        match (notice.told, notice.name) {
            (Told::Created, Some(name)) => {
                if !self.unlist(node, &name) {
                    let Some(path) = self.path(node, &name) else { return Ok(()) };
                    self.pending.created(path, notice.is_dir, now);
                }
                if notice.is_dir { self.enter(node, name, Contents::Told) } else { Ok(()) }
            }
            (Told::MovedTo, Some(name)) => self.moved_to(node, name, notice.is_dir, notice.cookie, now),
            (Told::Deleted, Some(name)) => {
                self.unlist(node, &name);
                if let Some(child) = self.tree.child(node, &name) {
                    self.forget(child);
                }
                if let Some(path) = self.path(node, &name) {
                    self.pending.removed(path, notice.is_dir, now);
                }
                Ok(())
            }
            (Told::MovedFrom, Some(name)) => {
                self.unlist(node, &name);
                let Some(path) = self.path(node, &name) else { return Ok(()) };
                let child = self.tree.child(node, &name);
                match child {
                    // Nobody knows what was in it, and so it is new wherever it went.
                    None if notice.is_dir && self.setup.is_tree => {
                        self.pending.removed(path, true, now);
                        return Ok(());
                    }
                    None => {}
                    Some(child) => {
                        self.tree.detach(child);
                        self.moving.insert(notice.cookie, child);
                    }
                }
                self.pending.moved_from(path, notice.is_dir, notice.cookie, now);
                Ok(())
            }
            (Told::Modified, Some(name)) => {
                if let Some(path) = self.path(node, &name) {
                    self.pending.modified(path, now);
                }
                Ok(())
            }
            // Of a directory below, the one above tells it too.
            (Told::Modified, None) if node == TOP => {
                self.pending.modified(self.setup.path.clone(), now);
                Ok(())
            }
            (Told::Ended | Told::SelfMoved, _) if node == TOP => {
                if let Some(top) = &mut self.top {
                    top.is_ended |= notice.told == Told::Ended;
                }
                self.must_settle = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A directory above the watched one tells of the name that leads to it.
    fn hear_above(&mut self, notice: &Notice, now: Instant) {
        for level in 0..self.above.len() {
            let (watch, next) = &self.above[level];
            if *watch != notice.watch {
                continue;
            }
            match (notice.told, &notice.name) {
                (Told::Ended, _) => self.must_settle = true,
                (told, Some(name)) if name == next => {
                    let is_own = level + 1 == self.above.len();
                    let is_file = self.top.as_ref().is_some_and(|top| !top.is_dir);
                    self.must_settle |= told != Told::Modified;
                    match told {
                        Told::Deleted | Told::MovedFrom if is_own => self.lose(now),
                        // Another file has the name, of which its creation tells.
                        Told::Created | Told::MovedTo if is_own && is_file => self.top = None,
                        Told::Modified if is_own && is_file => self.pending.modified(self.setup.path.clone(), now),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// What had the watched path has it no more.
    fn lose(&mut self, now: Instant) {
        if let Some(top) = self.top.take() {
            self.forget(TOP);
            self.pending.removed(self.setup.path.clone(), top.is_dir, now);
        }
    }

    /// Stops watching a directory and all below it.
    pub(super) fn forget(&mut self, node: Node) {
        for watch in self.tree.remove(node) {
            if !self.above.iter().any(|(above, _)| *above == watch) {
                self.inotify.remove(watch);
            }
        }
        if node == TOP {
            self.held.clear();
            let moving: Vec<_> = self.moving.drain().map(|(_, node)| node).collect();
            moving.into_iter().for_each(|node| self.forget(node));
            self.listed.clear();
        }
    }

    /// Where a name in a watched directory is.
    pub(super) fn path(&self, node: Node, name: &CString) -> Option<PathBuf> {
        let mut names = self.tree.way(node)?;
        names.push(name.clone());
        Some(join(&self.setup.path, &names))
    }

    fn unlist(&mut self, node: Node, name: &CString) -> bool {
        self.listed.get_mut(&node).is_some_and(|names| names.remove(name))
    }

    fn moved_to(&mut self, node: Node, name: CString, is_dir: bool, cookie: u32, now: Instant) -> Result<(), Stop> {
        let Some(path) = self.path(node, &name) else { return Ok(()) };
        if !self.pending.moved_to(&path, cookie) {
            if !self.unlist(node, &name) {
                self.pending.arrived(path, is_dir, now);
            }
            return if is_dir { self.enter(node, name, Contents::Told) } else { Ok(()) };
        }
        self.unlist(node, &name);
        let moved = self.moving.remove(&cookie);
        let replaced = self.tree.child(node, &name);
        match moved.filter(|moved| self.tree.has(*moved)) {
            Some(moved) => {
                if let Some(replaced) = replaced {
                    self.forget(replaced);
                }
                self.tree.attach(moved, node, name);
            }
            None if is_dir => self.enter(node, name, Contents::Told)?,
            None => replaced.into_iter().for_each(|replaced| self.forget(replaced)),
        }
        for held in self.held.remove(&cookie).unwrap_or_default() {
            self.hear(held, now)?;
        }
        Ok(())
    }

    /// Looks what has the watched path now, and watches that. The error is why there is nothing.
    fn settle(&mut self, contents: Contents) -> Result<io::Result<()>, Stop> {
        self.must_settle = false;
        let now = Instant::now();
        let parent = self.look_above()?;
        let there = open::handle(&self.setup.path).and_then(|handle| Ok((Stat::of_dir(&handle)?, handle)));
        let (stat, handle) = match there {
            Ok(there) => there,
            Err(error) => {
                self.lose(now);
                return Ok(Err(error));
            }
        };
        let real = open::real_path(&handle).unwrap_or_else(|_| self.setup.path.clone());
        let borders = Borders::of(&real);
        let is_elsewhere = borders.is_elsewhere(&self.borders);
        // By another mount the same directory can have other things mounted below it.
        let is_same = |top: &Top| top.id == stat.id && top.is_dir == stat.is_dir() && !top.is_ended && !is_elsewhere;
        if self.top.as_ref().is_some_and(is_same) {
            return Ok(Ok(()));
        }
        let before = self.top.take();
        self.forget(TOP);
        if borders.is_silent() && self.setup.may_poll() {
            return Err(Stop::Go(Next::Polled(Why::Silent)));
        }
        self.borders = borders;
        let contents = match (&before, contents) {
            (None, contents) => contents,
            (Some(_), _) => Contents::Known,
        };
        match (before, contents) {
            (Some(_), _) if is_elsewhere => self.pending.other(self.rescan(Why::Mounts), now),
            (Some(_), _) => self.pending.other(self.rescan(Why::Replaced), now),
            (None, Contents::Told) => self.pending.created(self.setup.path.clone(), stat.is_dir(), now),
            (None, Contents::Known) => {}
        }
        self.top = Some(Top { id: stat.id, is_dir: stat.is_dir(), real, is_ended: false });
        if stat.is_dir() {
            if let Err(error) = self.begin_at(contents)? {
                self.top = None;
                self.forget(TOP);
                return Ok(Err(error));
            }
        } else if let Some(parent) = parent {
            // Changes of a file are told by the directory it is in, as are other files that take its name.
            if let Err(error) = self.watch(&parent, Interest::Everything)? {
                self.top = None;
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Watches the directories above for the names that lead to the watched path. Gives the last of them.
    fn look_above(&mut self) -> Result<Option<OwnedFd>, Stop> {
        let (mut above, mut parent) = (Vec::new(), None);
        let mut prefix = PathBuf::new();
        for part in self.setup.path.components() {
            if !prefix.as_os_str().is_empty() {
                let Ok(dir) = open::handle(&prefix) else { break };
                let name = CString::new(part.as_os_str().as_bytes());
                // Where it may not be read it cannot be watched, and is silent.
                if let (Ok(watch), Ok(name)) = (self.watch(&dir, Interest::Names)?, name) {
                    above.push((watch, name));
                }
                parent = Some(dir);
            }
            prefix.push(part);
        }
        let old = std::mem::replace(&mut self.above, above);
        for (watch, _) in old {
            if !self.above.iter().any(|(kept, _)| *kept == watch) && self.tree.at(watch).is_none() {
                self.inotify.remove(watch);
            }
        }
        Ok(parent)
    }

    /// Where the limits are reached the kernel is not relied on any more.
    pub(super) fn watch(&self, dir: impl AsFd, interest: Interest) -> Result<io::Result<Watch>, Stop> {
        match self.inotify.add(dir, interest) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::ENOMEM)) => {
                Err(Stop::Go(Next::Polled(Why::Limit)))
            }
            answer => Ok(answer),
        }
    }

    /// Begins anew after something was lost: directories may have come and gone meanwhile.
    fn start_again(&mut self, why: Why) -> Result<(), Stop> {
        self.queue.clear();
        self.leaving.clear();
        self.postponed.clear();
        self.listed_until = 0;
        self.inotify = Inotify::new().map_err(|_| Stop::Go(Next::Polled(Why::Limit)))?;
        self.above.clear();
        self.tree = Tree::default();
        self.moving.clear();
        self.held.clear();
        self.listed.clear();
        self.pending.clear();
        let before = self.top.take();
        let found = self.settle(Contents::Known)?;
        let now = Instant::now();
        match (before, found) {
            (_, Ok(())) => self.pending.other(self.rescan(why), now),
            (Some(top), Err(_)) => self.pending.removed(self.setup.path.clone(), top.is_dir, now),
            (None, Err(_)) => {}
        }
        Ok(())
    }

    /// Something was mounted or unmounted somewhere.
    fn look_at_mounts(&mut self) -> Result<(), Stop> {
        let Some(real) = self.top.as_ref().map(|top| top.real.clone()) else {
            self.must_settle = true;
            return Ok(());
        };
        let borders = Borders::of(&real);
        if borders.is_elsewhere(&self.borders) {
            // What is mounted below is looked at with it.
            self.must_settle = true;
            return Ok(());
        }
        let before = std::mem::replace(&mut self.borders, borders);
        let now = Instant::now();
        for point in self.borders.changed(&before) {
            let Ok(below) = point.strip_prefix(&real) else { continue };
            let path = self.setup.path.join(below);
            let parent = below.parent().unwrap_or(Path::new(""));
            let name = below.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
            let (Some(parent), Some(name)) = (self.tree.find(parent), name) else { continue };
            if self.setup.is_tree {
                if let Some(node) = self.tree.child(parent, &name) {
                    self.forget(node);
                }
                self.pending.other(Event::Rescan { path, why: Why::Mounts }, now);
                self.enter(parent, name, Contents::Known)?;
            } else {
                self.pending.modified(path, now);
            }
        }
        Ok(())
    }

    /// Opens a watched directory, from the top down and by single names. `None` where its names lead elsewhere by now.
    pub(super) fn open(&self, node: Node) -> Option<OwnedFd> {
        let mut dir = open::root(&self.setup.path).ok()?;
        if Some(Stat::of(&dir).ok()?.id) != self.top.as_ref().map(|top| top.id) {
            return None;
        }
        for name in self.tree.way(node)? {
            dir = open::dir(&dir, &name, Follow::No).ok()?;
        }
        Some(dir)
    }

    pub(super) fn real(&self, node: Node, name: &CString) -> Option<PathBuf> {
        let mut names = self.tree.way(node)?;
        names.push(name.clone());
        Some(join(&self.top.as_ref()?.real, &names))
    }
}

/// The name that a directory leaves, in the one with this watch.
fn leaves(notice: &Notice) -> Option<(Watch, CString)> {
    let is_left = notice.is_dir && matches!(notice.told, Told::MovedFrom | Told::Deleted);
    notice.name.clone().filter(|_| is_left).map(|name| (notice.watch, name))
}

fn polled(error: io::Error) -> Stop {
    Stop::Go(Next::Polled(why(&error)))
}

pub(super) fn why(error: &io::Error) -> Why {
    Why::Errno(error.raw_os_error().unwrap_or(libc::EIO))
}
