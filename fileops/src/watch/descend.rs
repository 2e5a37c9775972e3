//! Taking directories into a watch: the watched one, and what is below it in a tree.

use super::event::{Event, Why};
use super::local::{Contents, Local, Stop, why};
use super::tree::{Node, TOP, join};
use crate::sys::inotify::Interest;
use crate::sys::list::{self, Batch};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

/// As many directories are kept open for what is still to be entered in them; the others are opened again.
const OPEN: usize = 128;

/// A directory that is still to be entered: its parent, open or not, and its name.
type Todo = (Option<Rc<OwnedFd>>, Node, CString);

impl Local<'_> {
    /// Watches the watched directory itself. The error is why it cannot be watched.
    pub(super) fn begin_at(&mut self, contents: Contents) -> Result<io::Result<()>, Stop> {
        let dir = match open::root(&self.setup.path) {
            Ok(dir) => dir,
            Err(error) => return Ok(Err(error)),
        };
        let watch = match self.watch(&dir, Interest::Everything)? {
            Ok(watch) => watch,
            Err(error) => return Ok(Err(error)),
        };
        self.tree.add(None, CString::default(), watch);
        if self.setup.is_tree || contents == Contents::Told {
            let (dir, mut todo) = (Rc::new(dir), Vec::new());
            let listed = list(&dir);
            self.read()?;
            self.tell(TOP, &dir, listed, contents, &mut todo);
            drop(dir);
            self.descend(todo, contents)?;
        }
        Ok(Ok(()))
    }

    /// Takes in a directory that has just appeared in a watched one, with all below; nothing where no tree is watched.
    pub(super) fn enter(&mut self, parent: Node, name: CString, contents: Contents) -> Result<(), Stop> {
        if self.setup.is_tree { self.descend(vec![(None, parent, name)], contents) } else { Ok(()) }
    }

    fn descend(&mut self, mut todo: Vec<Todo>, contents: Contents) -> Result<(), Stop> {
        while let Some((dir, parent, name)) = todo.pop() {
            self.check()?;
            if !self.is_within(parent, &name) {
                self.leave_out(parent, &name, Why::OtherFileSystem);
                continue;
            }
            let dir = match dir {
                Some(dir) => dir,
                None => match self.open_again(parent)? {
                    Some(dir) => Rc::new(dir),
                    None => {
                        self.postponed.push((parent, name));
                        continue;
                    }
                },
            };
            let entered = open::dir(&*dir, &name, Follow::No);
            drop(dir);
            match entered {
                Ok(inner) => self.take_in(parent, name, Rc::new(inner), contents, &mut todo)?,
                Err(error) if is_gone(&error) => {}
                Err(error) => self.leave_out(parent, &name, why(&error)),
            }
            self.flush();
        }
        Ok(())
    }

    /// Opens a watched directory once more; `None` where its names lead elsewhere by now, of which notices are still to be
    /// heard. Where they say nothing of it all has to begin anew.
    fn open_again(&mut self, node: Node) -> Result<Option<OwnedFd>, Stop> {
        let Some(own) = self.tree.watch(node) else { return Ok(None) };
        let dir = self.open(node);
        let watch = dir.as_ref().and_then(|dir| self.inotify.add(dir, Interest::Everything).ok());
        if watch == Some(own) {
            return Ok(dir);
        }
        if let Some(other) = watch.filter(|other| self.tree.at(*other).is_none()) {
            self.inotify.remove(other);
        }
        self.read()?;
        let is_told =
            self.must_settle || self.tree.names_above(node).iter().any(|(watch, name)| self.will_leave(*watch, name));
        if !is_told && self.tree.way(node).is_some() {
            self.lost.get_or_insert(Why::TooFast);
        }
        Ok(None)
    }

    /// Watches an open directory, lists it, and gives it its place.
    fn take_in(
        &mut self,
        parent: Node,
        name: CString,
        dir: Rc<OwnedFd>,
        contents: Contents,
        todo: &mut Vec<Todo>,
    ) -> Result<(), Stop> {
        let Some(above) = self.tree.watch(parent) else { return Ok(()) };
        let mut watched = self.watch(&*dir, Interest::Everything)?;
        let known = watched.as_ref().ok().and_then(|watch| self.tree.at(*watch));
        if let Some(known) = known {
            let is_here = self.tree.child(parent, &name) == Some(known);
            // Mounted in two places it is watched at the first.
            if is_here || known == TOP || self.open(known).is_some_and(|old| is_same(&old, &dir)) {
                return Ok(());
            }
            // It came here before this place was watched. Of its old name the notice is still to be heard.
            // If that came already what was in it by then is not what is listed now.
            let cookie = self.moving.iter().find(|(_, moving)| **moving == known).map(|(cookie, _)| *cookie);
            if let Some(cookie) = cookie {
                self.moving.remove(&cookie);
                self.held.remove(&cookie);
                self.pending.give_up(cookie);
            }
            self.forget(known);
            watched = self.watch(&*dir, Interest::Everything)?;
        }
        let watch = match watched {
            Ok(watch) => watch,
            Err(error) => {
                self.leave_out(parent, &name, why(&error));
                return Ok(());
            }
        };
        let listed = list(&dir);
        self.read()?;
        if self.will_leave(above, &name) {
            self.inotify.remove(watch);
            return Ok(());
        }
        if let Some(old) = self.tree.child(parent, &name) {
            self.forget(old);
        }
        let node = self.tree.add(Some(parent), name, watch);
        self.tell(node, &dir, listed, contents, todo);
        Ok(())
    }

    /// Tells what is in a directory, if that is new, and adds its directories to `todo`.
    fn tell(
        &mut self,
        node: Node,
        dir: &Rc<OwnedFd>,
        listed: (Vec<(CString, bool)>, Option<io::Error>),
        contents: Contents,
        todo: &mut Vec<Todo>,
    ) {
        let now = Instant::now();
        for (name, is_dir) in listed.0 {
            if contents == Contents::Told {
                if let Some(path) = self.path(node, &name) {
                    self.pending.created(path, is_dir, now);
                }
                self.listed.entry(node).or_default().insert(name.clone());
            }
            if is_dir && self.setup.is_tree {
                let kept = (todo.len() < OPEN).then(|| Rc::clone(dir));
                todo.push((kept, node, name));
            }
        }
        if contents == Contents::Told {
            self.listed_until = self.inotify.read;
        }
        if let (Some(error), Some(names)) = (listed.1.filter(|error| !is_gone(error)), self.tree.way(node)) {
            let path = join(&self.setup.path, &names);
            self.pending.other(Event::Unwatched { path, why: why(&error) }, now);
        }
    }

    fn is_within(&self, parent: Node, name: &CString) -> bool {
        !self.borders.has_any() || self.real(parent, name).is_none_or(|real| self.borders.may_enter(&real))
    }

    fn leave_out(&mut self, parent: Node, name: &CString, why: Why) {
        if let Some(path) = self.path(parent, name) {
            self.pending.other(Event::Unwatched { path, why }, Instant::now());
        }
    }
}

/// All names in a directory, and whether they are directories; and what ended the list too early.
fn list(dir: &OwnedFd) -> (Vec<(CString, bool)>, Option<io::Error>) {
    let mut space = vec![MaybeUninit::uninit(); list::LIST_BYTES];
    let (mut batch, mut names) = (Batch::default(), Vec::new());
    loop {
        if let Err(error) = list::next(dir, &mut space, &mut batch) {
            return (names, Some(error));
        }
        if batch.len() == 0 {
            return (names, None);
        }
        names.extend((0..batch.len()).map(|index| {
            let (name, kind) = batch.get(index);
            (name.to_owned(), is_dir(dir, name, kind))
        }));
    }
}

fn is_dir(dir: &OwnedFd, name: &CStr, kind: FileType) -> bool {
    match kind {
        FileType::Unknown => Stat::at(dir, name).is_ok_and(|stat| stat.is_dir()),
        kind => kind == FileType::Directory,
    }
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    matches!((Stat::of(one), Stat::of(other)), (Ok(one), Ok(other)) if one.id == other.id)
}

/// Somebody was faster: it was removed, or is a link or a file by now. Its notice comes, or came.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
}
