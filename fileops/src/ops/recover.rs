//! What interrupted operations left: found in their journals, or by their names on a disk; told by identity; removed only
//! when asked to.

use super::copy::{self, Copy, Destination};
use super::relocate::Move;
use super::undo::Undo;
use super::{remove, source, steps, undo};
use crate::control::lock;
use crate::engine::{self, End, Enter, Entry, Node, Root, Visit, Visitor, Worker, Workers};
use crate::error::{Action, During, Error, Result};
use crate::journal::{self, Held, Identity, Location, Recorded, Step, Written};
use crate::operation::{Job, OnShortage, Operation};
use crate::pool::Pool;
use crate::report::{Outcome, Report};
use crate::sys::stat::{Id, Stat};
use crate::sys::{attributes, list, mount, name, open};
use rustix::fs::FileType;
use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// An operation that was interrupted, to be started again.
#[non_exhaustive]
#[must_use = "nothing is done until it is started"]
pub enum Again {
    /// A copy.
    Copy(Copy),
    /// A move, of what it had not moved yet.
    Move(Move),
    /// An undo or redo, of what it had not taken back yet.
    Undo(Undo),
}

impl Again {
    /// Starts it, and gives the handle.
    pub fn start(self) -> Operation {
        match self {
            Again::Copy(copy) => copy.start(),
            Again::Move(relocation) => relocation.start(),
            Again::Undo(undo) => undo.start(),
        }
    }

    /// What was asked for once more. When it is done the interrupted one is no more.
    fn of(id: &str, asked: &[Vec<u8>]) -> Option<Again> {
        let (sources, destination, options) = copy::parse(asked)?;
        Some(match options.moves {
            Some(_) => Again::Move(Move::with(still_there(sources), destination, options).going_on_with(id)),
            None => {
                let sources = still_to_copy(sources, &destination, id);
                Again::Copy(Copy::with(sources, destination, options).going_on_with(id))
            }
        })
    }
}

/// What was copied before the interruption, and is there as it was made, would be in the way of itself.
fn still_to_copy(sources: Vec<PathBuf>, destination: &Destination, id: &str) -> Vec<PathBuf> {
    let Destination::Into(into) = destination else { return sources };
    let Some(home) = open::root(into).ok().and_then(|dir| name::real_path(&dir)) else { return sources };
    let interrupted = journal::interrupted().unwrap_or_default().into_iter().find(|held| held.journal.id == id);
    let is_there = |at: &Location, identity: &Identity| {
        let stat = steps::open_dir(&at.dir).and_then(|dir| Stat::at(&dir, &at.name));
        stat.is_ok_and(|stat| identity.is_same(&stat, &at.dir.file_system))
    };
    let made: HashSet<PathBuf> = interrupted
        .iter()
        .flat_map(|held| &held.journal.steps)
        .filter(|begun| !begun.is_inverted)
        .filter_map(|begun| match &begun.step {
            Step::Created { at, identity } if is_there(at, identity) => Some(at.path()),
            _ => None,
        })
        .collect();
    let is_made = |source: &PathBuf| source.file_name().is_some_and(|name| made.contains(&home.join(name)));
    sources.into_iter().filter(|source| !is_made(source)).collect()
}

/// An interrupted operation was gone on with: what it had done is a part of the history now.
pub(super) fn was_resumed(id: Option<&str>, report: &Report) {
    if let Some(id) = id.filter(|_| report.outcome == Outcome::Done) {
        // One that gave away all it had is there already.
        let _ = forget(id);
    }
}

/// What was moved before the interruption is not there any more.
fn still_there(sources: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_gone = |path: &PathBuf| {
        let stat = source::open(path).map(|(side, name)| {
            let dir = side.open_descriptor().expect("a root's side is open");
            Stat::at(&*dir, &name)
        });
        matches!(stat, Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound)
    };
    sources.into_iter().filter(|path| !is_gone(path)).collect()
}

/// Something unfinished that an operation left on disk.
#[non_exhaustive]
#[derive(Debug)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// The name it was going to have; `None` when no journal knows it.
    pub wanted: Option<PathBuf>,
    /// What the operation was, if that is known: "copy".
    pub verb: Option<String>,
    /// When the operation started, in seconds since 1970, if that is known.
    pub started: Option<u64>,
    /// Whether it is the very file that the journal recorded. Anything else under its name is somebody's: an interrupted
    /// replacement can leave the old file there.
    pub is_ours: bool,
    /// What the operation is called by: [`undo`](crate::undo) rolls it back, [`forget`] forgets it. `None` when no journal
    /// knows it.
    pub operation: Option<String>,
    /// What was asked for: see `copy::asked`.
    asked: Vec<Vec<u8>>,
    id: Id,
    name: CString,
    dir: PathBuf,
}

impl Leftover {
    /// What left it, not started yet. Started, it goes on where it was interrupted. `None` where no record tells what it was.
    pub fn again(&self) -> Option<Again> {
        Again::of(self.operation.as_deref()?, &self.asked)
    }

    /// Removes it, with everything in it, if it is still the file that was found.
    ///
    /// # Errors
    /// What could not be removed. What is not [ours](Leftover::is_ours) is refused with EPERM.
    pub fn remove(&self) -> std::result::Result<(), Vec<Error>> {
        if !self.is_ours && self.wanted.is_some() {
            let refused = io::Error::from_raw_os_error(libc::EPERM);
            return Err(vec![Error::new(Action::Remove, &self.path, refused)]);
        }
        self.remove_with(Pool::global())
    }

    fn remove_with(&self, pool: &Pool) -> std::result::Result<(), Vec<Error>> {
        let dir = remove::dir(&self.dir).map_err(|error| vec![error])?;
        remove::entry(&dir, self.dir.clone(), &self.name, self.id, pool, &Arc::default())
    }
}

/// An operation that was interrupted, and since then neither gone on with nor rolled back nor forgotten.
#[non_exhaustive]
#[derive(Debug)]
pub struct Interrupted {
    /// What it is called by: [`forget`] forgets it.
    pub id: String,
    /// What it was: "copy", "move", "trash", "undo".
    pub verb: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// The first path it was about.
    pub path: PathBuf,
    /// The steps it had done: entries that were made, replaced, moved or taken away, a new tree counting as one.
    pub steps: usize,
    /// What it left unfinished on disk, as far as that can be looked at.
    pub leftovers: Vec<Leftover>,
    asked: Vec<Vec<u8>>,
    /// Which operation it undid or redid.
    undone: Option<String>,
}

impl Interrupted {
    /// The operation, not started yet. Started, it goes on where it was interrupted. `None` where that cannot be: what was
    /// put into the trash, or taken out, is rolled back or forgotten.
    pub fn again(&self) -> Option<Again> {
        match (self.verb.as_str(), &self.undone) {
            ("undo", Some(id)) => Some(Again::Undo(undo::undo(id))),
            ("redo", Some(id)) => Some(Again::Undo(undo::redo(id))),
            _ => Again::of(&self.id, &self.asked),
        }
    }

    /// What takes back what it had done, and removes what it left unfinished; not started yet.
    pub fn roll_back(&self) -> Undo {
        match (self.verb.as_str(), &self.undone) {
            ("undo", Some(id)) => undo::redo(id),
            _ => undo::undo(&self.id),
        }
    }
}

/// All operations that were interrupted, the oldest first. Running ones are skipped; those that have nothing left to say are
/// forgotten. Modes that were changed for the time are put back.
///
/// # Errors
/// When the journals cannot be read. What is on a medium that is not there is kept for the next time.
pub fn interrupted() -> Result<Vec<Interrupted>> {
    let mut found = Vec::new();
    for mut held in journal::interrupted().during(Action::Journal, PathBuf::new)? {
        // What cannot be looked at now is looked at the next time.
        let mut is_settled = undo::settle(&mut held).is_ok() & put_back_modes(&mut held).is_ok();
        let journal = &held.journal;
        let mut leftovers = Vec::new();
        for stage in &journal.stages {
            match look(journal, stage) {
                Ok(leftover) => {
                    is_settled &= leftover.is_none();
                    leftovers.extend(leftover);
                }
                // The directory is gone, or its medium is not there: only the second may come back.
                Err(error) => is_settled &= error.kind() == io::ErrorKind::NotFound && is_still_there(&stage.dir),
            }
        }
        // One that came to its end had only left something behind.
        if is_settled && (journal.ended.is_some() || !journal.has_changes()) {
            let settled = if journal.has_changes() { held.archive() } else { held.forget() };
            settled.during(Action::Journal, || &journal.path)?;
            continue;
        }
        let path = undo::about(journal).or_else(|| leftovers.first()?.wanted.clone()).unwrap_or_default();
        found.push(Interrupted {
            id: journal.id.clone(),
            verb: journal.verb.clone(),
            started: journal.started,
            path,
            steps: journal.steps.iter().filter(|begun| begun.step.is_change() && !begun.is_inverted).count(),
            leftovers,
            asked: journal.asked.clone(),
            undone: undo::undone_by(journal).during(Action::Journal, || &journal.path)?,
        });
    }
    Ok(found)
}

/// What a kill left opened for the time, and nobody changed since.
pub(super) fn put_back_modes(held: &mut Held) -> io::Result<()> {
    let mut failed = None;
    // What is inside was opened later.
    for opened in held.journal.opened.clone().into_iter().rev() {
        let put_back = steps::open_dir(&opened.at.dir).and_then(|dir| {
            let stat = Stat::at(&dir, &opened.at.name)?;
            match stat.id.ino == opened.inode && stat.permissions() == opened.during {
                true => attributes::set_mode_at(&dir, &opened.at.name, opened.before),
                false => Ok(()),
            }
        });
        match put_back {
            Err(error) if error.kind() != io::ErrorKind::NotFound => failed = Some(error),
            _ => held.closed(opened.number)?,
        }
    }
    failed.map_or(Ok(()), Err)
}

/// All that the journals of interrupted operations know of; see [`interrupted`].
///
/// # Errors
/// When the journals cannot be read. A leftover on a medium that is not there is kept for the next time.
pub fn leftovers() -> Result<Vec<Leftover>> {
    Ok(interrupted()?.into_iter().flat_map(|interrupted| interrupted.leftovers).collect())
}

/// Forgets an interrupted operation: what it left on disk stays, and nothing knows of it any more but [`search`]. What it
/// had finished can still be undone.
///
/// # Errors
/// ENOENT when no such operation is known, EBUSY when it runs, or somebody else recovers it.
pub fn forget(id: &str) -> Result<()> {
    let mut held = undo::hold(id, Action::Journal)?;
    if !held.is_interrupted() {
        return Err(undo::unknown(Action::Journal, id));
    }
    let _ = put_back_modes(&mut held);
    let settled = if held.journal.has_changes() { held.archive() } else { held.forget() };
    settled.during(Action::Journal, || &held.journal.path)
}

/// Removes the stages that an interrupted operation left, those that are its own.
pub(crate) fn remove_stages(journal: &Written, pool: &Pool) -> std::result::Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    for stage in &journal.stages {
        match look(journal, stage) {
            Ok(Some(leftover)) if leftover.is_ours => {
                errors.extend(leftover.remove_with(pool).err().into_iter().flatten())
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => errors.push(Error::new(Action::Remove, stage.dir.join(engine::os(&stage.name)), error)),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Whether the nearest directory above that exists is on a file system of its own rather than an empty mount point.
fn is_still_there(dir: &Path) -> bool {
    let above = dir.ancestors().find(|path| path.exists());
    above.is_some_and(|path| !journal_root_only(path))
}

/// The root and the usual places of media say nothing about a medium.
fn journal_root_only(path: &Path) -> bool {
    ["/", "/media", "/mnt", "/run", "/run/media"].iter().any(|place| path == Path::new(place))
        || path.parent() == Some(Path::new("/run/media"))
        || path.parent() == Some(Path::new("/media"))
        || path.parent() == Some(Path::new("/mnt"))
}

fn look(journal: &Written, stage: &Recorded) -> io::Result<Option<Leftover>> {
    let dir = stage.open_dir()?;
    if mount::lasting_name(&dir, &stage.dir) != stage.file_system {
        // Another medium is mounted where the operation's was.
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let stat = match Stat::at(&dir, &stage.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        stat => stat?,
    };
    Ok(Some(Leftover {
        path: stage.dir.join(engine::os(&stage.name)),
        wanted: Some(stage.dir.join(engine::os(&stage.wanted))),
        verb: Some(journal.verb.clone()),
        started: Some(journal.started),
        // Without a recorded inode the operation ended between making the name and recording it: it has no contents then, or
        // is one of several names of a file.
        is_ours: match (stage.inode, stat.kind()) {
            (Some(inode), _) => inode == stat.id.ino,
            (None, FileType::RegularFile) => stat.size == 0 || stat.links > 1,
            (None, FileType::Directory) => list::is_empty(&dir, &stage.name),
            (None, _) => true,
        },
        operation: Some(journal.id.clone()),
        asked: journal.asked.clone(),
        id: stat.id,
        name: stage.name.clone(),
        dir: stage.dir.clone(),
    }))
}

/// Everything below `path` that has the name of a stage and is in no journal of this user's, such as on a medium that was
/// written by another machine. Stages of running operations are in their journals. Mounts below are searched too; stages themselves are not looked into.
///
/// # Errors
/// When a directory could not be listed, with what was found before.
pub fn search(path: impl AsRef<Path>) -> std::result::Result<Vec<Leftover>, (Vec<Leftover>, Vec<Error>)> {
    let job = Job::new("search", OnShortage::Warn);
    let search = Search { root: path.as_ref().to_owned(), found: Mutex::default() };
    let (engine, _) = engine::run(search, &job, Pool::global(), Workers::Adapt);
    let mut found = std::mem::take(&mut *lock(&engine.visitor.found));
    // Read after the walk: what was found is recorded by then. The same directory can have several paths, the name is unique.
    let known = journal::recorded().during(Action::Journal, PathBuf::new);
    let known = known.map_err(|error| (Vec::new(), vec![error]))?;
    found.retain(|leftover| known.iter().all(|stage| stage.name != leftover.name));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let report = job.report(Outcome::Done);
    if report.failures.is_empty() { Ok(found) } else { Err((found, report.failures)) }
}

struct Search {
    root: PathBuf,
    found: Mutex<Vec<Leftover>>,
}

impl Search {
    /// Keeps an entry that has the name of a stage; `false` for any other.
    fn keep(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit<bool> {
        if !journal::is_stage_name(entry.name.to_bytes()) {
            return Ok(false);
        }
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let stat = Stat::at(&*dir, entry.name).during(Action::Stat, path)?;
        lock(&self.found).push(Leftover {
            path: path(),
            wanted: None,
            verb: None,
            started: None,
            is_ours: matches!(stat.kind(), FileType::RegularFile | FileType::Directory),
            operation: None,
            asked: Vec::new(),
            id: stat.id,
            name: entry.name.to_owned(),
            dir: entry.dir.path(End::Source),
        });
        Ok(true)
    }
}

impl Visitor for Search {
    type Dir = ();
    type Share = ();

    fn roots(&self) -> usize {
        1
    }

    fn root_path(&self, _: usize) -> PathBuf {
        self.root.clone()
    }

    fn root(&self, _: &mut Worker<Self>, _: usize) -> Visit<Root<Self>> {
        let (side, name) = super::source::open(&self.root)?;
        Ok(Root::Entry(Node::top(side, None, ()), name))
    }

    fn enter_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<Enter<()>> {
        Ok(if self.keep(worker, entry)? { Enter::Skip } else { Enter::Into((), None) })
    }

    fn opened_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        self.keep(worker, entry).map(|_| ())
    }

    fn help(&self, _: &mut Worker<Self>, _: &Arc<()>) {}

    fn close_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn leave_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn abandon_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }
}
