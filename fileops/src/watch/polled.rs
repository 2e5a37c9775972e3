//! Watching by looking again and again, where the kernel is silent or may not be asked.
//!
//! What is compared of an entry are its kind, size, mode, owner and times; of a directory its mode and owner, since what is
//! in it is compared itself. Inode numbers are not: some of these file systems make them up. So a rename is told as a removal
//! and a creation.

use super::borders::Borders;
use super::event::{Event, Why};
use super::{Next, Setup};
use crate::sys::list::{self, Batch};
use crate::sys::mount::Changes;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Stat, Time};
use crate::sys::wake;
use rustix::fs::FileType;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// More entries than these are not remembered, some 100 bytes each: what does not fit is left out, and told.
const MOST: usize = 500_000;

/// Deeper directories are left out: going down takes stack and a descriptor for each level.
const DEEPEST: usize = 128;

/// What was seen of an entry.
struct Seen {
    look: Look,
    /// What is in it, if it is a directory that is entered.
    inside: Option<Directory>,
    /// In which pass.
    pass: u64,
}

type Directory = HashMap<CString, Seen>;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    kind: FileType,
    mode: u32,
    owner: (u32, u32),
    /// Not of directories.
    size: u64,
    times: Option<(Time, Time)>,
}

impl Look {
    fn of(stat: &Stat) -> Look {
        let times = (!stat.is_dir()).then_some((stat.modified, stat.changed));
        let size = if stat.is_dir() { 0 } else { stat.size };
        Look { kind: stat.kind(), mode: stat.mode, owner: (stat.uid, stat.gid), size, times }
    }

    fn is_dir(self) -> bool {
        self.kind == FileType::Directory
    }
}

struct Polled<'a> {
    setup: &'a Setup,
    borders: Borders,
    real: PathBuf,
    top: Option<Seen>,
    entries: usize,
    pass: u64,
    /// What could not be looked at, so that it is said once.
    unwatched: HashMap<PathBuf, Why>,
    events: Vec<Event>,
}

/// Watches until something ends it.
pub(super) fn run(setup: &Setup, why: Why) -> Next {
    let mounts = Changes::new().ok();
    let mut polled = Polled {
        setup,
        borders: Borders::default(),
        real: PathBuf::new(),
        top: None,
        entries: 0,
        pass: 0,
        unwatched: HashMap::new(),
        events: Vec::new(),
    };
    setup.out.put([Event::Polled { path: setup.path.clone(), why }]);
    let has_begun = setup.out.has_begun();
    loop {
        let is_first = polled.pass == 0;
        match polled.look() {
            Err(error) if is_first && !has_begun => {
                setup.begin(Err(error));
                return Next::End;
            }
            _ if setup.out.is_closed() => return Next::End,
            // Something else is mounted there by now.
            _ if why == Why::Silent && polled.top.is_some() && !polled.borders.is_silent() => return Next::Local,
            answer => {
                let events = std::mem::take(&mut polled.events);
                // What was there before is known, or is told to be listed once more.
                let events: Vec<_> = if is_first { events.into_iter().filter(is_note).collect() } else { events };
                setup.out.put(events);
                if is_first && has_begun {
                    setup.out.put([match answer {
                        Ok(()) => Event::Rescan { path: setup.path.clone(), why: Why::Switched },
                        Err(_) => Event::Removed { path: setup.path.clone(), is_dir: true },
                    }]);
                }
                setup.begin(Ok(()));
            }
        }
        let waited = match &mounts {
            Some(mounts) => wake::wait([setup.out.closed.as_fd(), mounts.as_fd()], Some(setup.interval)).map(drop),
            None => wake::wait([setup.out.closed.as_fd()], Some(setup.interval)).map(drop),
        };
        if waited.is_err() || setup.out.is_closed() {
            return Next::End;
        }
    }
}

fn is_note(event: &Event) -> bool {
    matches!(event, Event::Unwatched { .. })
}

impl Polled<'_> {
    /// Looks at everything once. The error is why there is nothing.
    fn look(&mut self) -> io::Result<()> {
        self.pass += 1;
        let path = self.setup.path.clone();
        let there = open::handle(&path).and_then(|handle| Ok((Stat::of_dir(&handle)?, handle)));
        let (stat, handle) = match there {
            Ok(there) => there,
            Err(error) => {
                match error.raw_os_error() {
                    Some(libc::ENOENT | libc::ENOTDIR) => {
                        if let Some(top) = self.top.take() {
                            self.entries = 0;
                            self.events.push(Event::Removed { path, is_dir: top.look.is_dir() });
                        }
                    }
                    // It may be there all the same.
                    _ => self.leave_out(path, super::local::why(&error)),
                }
                return Err(error);
            }
        };
        let real = open::real_path(&handle).unwrap_or_else(|_| path.clone());
        self.borders = Borders::of(&real);
        self.real = real;
        let look = Look::of(&stat);
        let top = match self.top.take() {
            Some(top) if top.look.kind == look.kind => {
                if top.look != look {
                    self.events.push(Event::Modified { path: path.clone() });
                }
                top
            }
            other => {
                let is_new = other.is_none();
                if let Some(old) = other {
                    self.entries = 0;
                    self.events.push(Event::Removed { path: path.clone(), is_dir: old.look.is_dir() });
                }
                if !is_new || self.pass > 1 {
                    self.events.push(Event::Created { path: path.clone(), is_dir: look.is_dir() });
                }
                Seen { look, inside: None, pass: self.pass }
            }
        };
        let mut inside = top.inside.unwrap_or_default();
        let listed = if look.is_dir() {
            open::root(&path).and_then(|dir| self.compare(&dir, &path, Path::new(""), &mut inside, 0))
        } else {
            Ok(())
        };
        self.top = Some(Seen { look, inside: Some(inside), pass: self.pass });
        match listed {
            Ok(()) => self.take_in(&path),
            Err(error) => {
                self.leave_out(path, super::local::why(&error));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Compares a directory with what was seen of it. After an error what was seen stays.
    fn compare(
        &mut self,
        dir: &OwnedFd,
        path: &Path,
        below: &Path,
        known: &mut Directory,
        depth: usize,
    ) -> io::Result<()> {
        let mut space = vec![MaybeUninit::uninit(); list::LIST_BYTES];
        let (mut batch, mut names) = (Batch::default(), Vec::new());
        loop {
            list::next(dir, &mut space, &mut batch)?;
            if batch.len() == 0 {
                break;
            }
            names.extend((0..batch.len()).map(|index| batch.get(index).0.to_owned()));
        }
        drop(space);
        for name in names {
            if self.setup.out.is_closed() {
                return Ok(());
            }
            let stat = match Stat::at(dir, &name) {
                Ok(stat) => stat,
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(error) => {
                    // It is there, and that is all.
                    self.leave_out(join(path, &name), super::local::why(&error));
                    if let Some(seen) = known.get_mut(&name) {
                        seen.pass = self.pass;
                    }
                    continue;
                }
            };
            self.compare_entry(dir, path, below, known, depth, name, Look::of(&stat));
        }
        let pass = self.pass;
        let mut gone: Vec<CString> = Vec::new();
        known.retain(|name, seen| {
            let is_here = seen.pass == pass;
            if !is_here {
                self.entries = self.entries.saturating_sub(1 + count(seen.inside.as_ref()));
                self.events.push(Event::Removed { path: join(path, name), is_dir: seen.look.is_dir() });
                gone.push(name.clone());
            }
            is_here
        });
        for name in gone {
            let path = join(path, &name);
            self.unwatched.retain(|left_out, _| !left_out.starts_with(&path));
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // one entry, and where it is
    fn compare_entry(
        &mut self,
        dir: &OwnedFd,
        path: &Path,
        below: &Path,
        known: &mut Directory,
        depth: usize,
        name: CString,
        look: Look,
    ) {
        let path = join(path, &name);
        let mut inside = None;
        match known.remove(&name) {
            Some(seen) if seen.look.kind == look.kind => {
                if seen.look != look {
                    self.events.push(Event::Modified { path: path.clone() });
                }
                inside = seen.inside;
            }
            other => {
                if let Some(old) = other {
                    self.entries = self.entries.saturating_sub(1 + count(old.inside.as_ref()));
                    self.events.push(Event::Removed { path: path.clone(), is_dir: old.look.is_dir() });
                }
                if self.entries >= MOST {
                    let directory = path.parent().unwrap_or(&path).to_owned();
                    return self.leave_out(directory, Why::TooMany);
                }
                self.entries += 1;
                self.events.push(Event::Created { path: path.clone(), is_dir: look.is_dir() });
            }
        }
        if look.is_dir() && self.setup.is_tree {
            let below = join(below, &name);
            let mut entries = inside.take().unwrap_or_default();
            self.go_in(dir, &name, &path, &below, &mut entries, depth + 1);
            inside = Some(entries);
        }
        known.insert(name, Seen { look, inside, pass: self.pass });
    }

    fn go_in(
        &mut self,
        dir: &OwnedFd,
        name: &CString,
        path: &Path,
        below: &Path,
        entries: &mut Directory,
        depth: usize,
    ) {
        if depth > DEEPEST {
            return self.leave_out(path.to_owned(), Why::TooMany);
        }
        if !self.borders.may_enter(&self.real.join(below)) {
            return self.leave_out(path.to_owned(), Why::OtherFileSystem);
        }
        let compared = open::dir(dir, name, Follow::No).and_then(|dir| self.compare(&dir, path, below, entries, depth));
        match compared {
            Ok(()) => self.take_in(path),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {}
            Err(error) => self.leave_out(path.to_owned(), super::local::why(&error)),
        }
    }

    fn leave_out(&mut self, path: PathBuf, why: Why) {
        if self.unwatched.insert(path.clone(), why).is_none() {
            self.events.push(Event::Unwatched { path, why });
        }
    }

    /// It could be looked at again.
    fn take_in(&mut self, path: &Path) {
        if matches!(self.unwatched.get(path), Some(Why::Errno(_))) {
            self.unwatched.remove(path);
        }
    }
}

fn count(directory: Option<&Directory>) -> usize {
    directory.map_or(0, |entries| entries.values().map(|seen| 1 + count(seen.inside.as_ref())).sum())
}

fn join(path: &Path, name: &CString) -> PathBuf {
    path.join(OsStr::from_bytes(name.to_bytes()))
}
