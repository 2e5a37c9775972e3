//! The small verbs: a rename, a new file, directory or link. Each is one call, and none replaces anything.

use super::renaming::{self, Spelling};
use super::terms::{Terms, setters};
use super::turns::{self, Answer, Turns};
use super::{each, source, steps, undo};
use crate::conflict::numbered;
use crate::engine::Visit;
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{Dir, Identity, Location, Step};
use crate::operation::{Job, Operation, Running};
use crate::pool::Pool;
use crate::progress::Counters;
use crate::report::{NoteKind, Outcome, Report};
use crate::sys::stat::Stat;
use crate::sys::{name, open};
use rustix::fs::FileType;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Gives an entry another name in the directory it is in. On file systems to which upper and lower case are the same that
/// may be another spelling of its own.
///
/// # Errors
/// EEXIST if the name is taken, EINVAL if it is none (empty, `.`, `..`, or with a slash).
pub fn rename(path: impl Into<PathBuf>, new_name: impl Into<OsString>) -> Single {
    Single::of(What::Rename(new_name.into()), path)
}

/// Makes an empty file.
///
/// # Errors
/// EEXIST if something has that name.
pub fn create_file(path: impl Into<PathBuf>) -> Single {
    Single::of(What::File, path)
}

/// Makes an empty directory; the one it is in must exist.
///
/// # Errors
/// EEXIST if something has that name.
pub fn create_dir(path: impl Into<PathBuf>) -> Single {
    Single::of(What::Dir, path)
}

/// Makes a symbolic link at `path` with this text, whatever it leads to.
///
/// # Errors
/// EEXIST if something has that name.
pub fn symlink(text: impl Into<PathBuf>, path: impl Into<PathBuf>) -> Single {
    Single::of(What::Symlink(text.into()), path)
}

/// Makes `path` a second name of a file that exists; of a symbolic link itself, if it is one.
///
/// # Errors
/// EEXIST if something has that name, EXDEV on another file system, EPERM for a directory.
pub fn hard_link(existing: impl Into<PathBuf>, path: impl Into<PathBuf>) -> Single {
    Single::of(What::HardLink(existing.into()), path)
}

/// One or more small changes that were not made yet; see [`rename`], [`create_file`], [`create_dir`], [`symlink`] and
/// [`hard_link`].
#[must_use = "nothing is done until it is started or awaited"]
pub struct Single {
    all: Vec<(What, PathBuf)>,
    terms: Terms,
}

setters!(Single: on_error, retry, undoable, pool);

enum What {
    Rename(OsString),
    File,
    Dir,
    Symlink(PathBuf),
    HardLink(PathBuf),
}

impl Single {
    fn of(what: What, path: impl Into<PathBuf>) -> Single {
        Single { all: vec![(what, path.into())], terms: Terms::default() }
    }

    /// Makes another change after this one, in the same operation: one report, and one undo.
    pub fn and(mut self, mut other: Single) -> Single {
        self.all.append(&mut other.all);
        self
    }

    /// Starts it, and gives the handle.
    pub fn start(self) -> Operation {
        let Single { all, terms } = self;
        let (job, pool) = terms.begin(verb(&all));
        Operation::start(&pool.clone(), job, move |job| run(&all, terms.retries, &job, &pool))
    }
}

impl IntoFuture for Single {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// What records call it.
fn verb(all: &[(What, PathBuf)]) -> &'static str {
    match all.first() {
        Some((What::Rename(_), _)) => "rename",
        Some((What::Symlink(_) | What::HardLink(_), _)) => "link",
        _ => "create",
    }
}

fn run(all: &[(What, PathBuf)], retries: u32, job: &Arc<Job>, pool: &Pool) -> Report {
    let mut changes = Changes { all, job, counters: job.meter.counters() };
    turns::run(&mut changes, job, pool.has_threads(), retries);
    let is_cancelled = job.control.is_cancelled();
    steps::put_back_times(job);
    undo::finish(job, pool, true, is_cancelled);
    if let Some(error) = job.journal.take_error() {
        job.note(NoteKind::NotJournalled, Some(&error), PathBuf::new);
    }
    job.report(if is_cancelled { Outcome::Cancelled } else { Outcome::Done })
}

struct Changes<'a> {
    all: &'a [(What, PathBuf)],
    job: &'a Job,
    counters: Arc<Counters>,
}

impl Turns for Changes<'_> {
    fn count(&self) -> usize {
        self.all.len()
    }

    fn act(&mut self, index: usize, _: Answer<'_>) -> Visit {
        let (what, path) = &self.all[index];
        let place = Place::of(what.action(), path)?;
        each::count(&self.counters, what.make(&place, self.job)?);
        Ok(())
    }

    fn paths(&self, index: usize) -> Vec<PathBuf> {
        let (what, path) = &self.all[index];
        match what {
            What::Rename(name) => vec![path.clone(), path.with_file_name(name)],
            What::HardLink(existing) => vec![existing.clone(), path.clone()],
            What::File | What::Dir | What::Symlink(_) => vec![path.clone()],
        }
    }
}

/// A name in an open directory.
struct Place<'a> {
    path: &'a Path,
    parent: PathBuf,
    dir: OwnedFd,
    name: CString,
}

impl Place<'_> {
    fn of(action: Action, path: &Path) -> Result<Place<'_>> {
        if source::has_no_name(path) && !path.as_os_str().is_empty() {
            return Err(Error::new(action, path, Refusal::NoName));
        }
        let (parent, name) = source::split(path)?;
        let dir = open::root(&parent).during(Action::Open, || &parent)?;
        Ok(Place { path, parent, dir, name })
    }

    /// How the directory is recorded, which is about to change.
    fn touched(&self, job: &Job) -> Result<Dir> {
        let dir = job.journal.dir(&self.dir, &self.parent);
        steps::touch(job, &dir, &self.dir).during(Action::Stat, || &self.parent)?;
        Ok(dir)
    }
}

impl What {
    fn action(&self) -> Action {
        match self {
            What::Rename(_) => Action::Rename,
            What::File => Action::Create,
            What::Dir => Action::CreateDir,
            What::Symlink(_) => Action::Symlink,
            What::HardLink(_) => Action::Link,
        }
    }

    fn make(&self, place: &Place<'_>, job: &Job) -> Result<FileType> {
        let (dir, name, action) = (&place.dir, &place.name, self.action());
        let path = || place.path;
        let home = place.touched(job)?;
        match self {
            What::Rename(new_name) => return rename_in(place, new_name, home, job),
            What::File => open::create(dir, name, 0o666).map(drop).during(action, path)?,
            What::Dir => name::mkdir(dir, name, 0o777).during(action, path)?,
            What::Symlink(text) => {
                let text = CString::new(text.as_os_str().as_bytes()).map_err(io::Error::from).during(action, path)?;
                name::symlink(&text, dir, name).during(action, path)?;
            }
            What::HardLink(existing) => {
                let from = Place::of(action, existing)?;
                name::link(&from.dir, &from.name, dir, name)
                    .during(action, || existing)
                    .map_err(|error| error.with_target(place.path))?;
            }
        }
        // An error of the moment must not cost the record.
        let stat = Stat::at(dir, name).or_else(|_| Stat::at(dir, name)).during(Action::Stat, path)?;
        let at = Location { dir: home, name: name.clone() };
        job.journal.did(&Step::Created { at, identity: Identity::from(&stat) });
        Ok(stat.kind())
    }
}

fn rename_in(place: &Place<'_>, new_name: &OsStr, home: Dir, job: &Job) -> Result<FileType> {
    let target = place.parent.join(new_name);
    let failed = |error: io::Error| Error::new(Action::Rename, place.path, error).with_target(&target);
    let bytes = new_name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(failed(io::Error::from_raw_os_error(libc::EINVAL)));
    }
    let wanted = CString::new(bytes).map_err(io::Error::from).map_err(failed)?;
    let (dir, name) = (&place.dir, &place.name);
    let stat = Stat::at(dir, name).during(Action::Stat, || place.path)?;
    let is_itself = Stat::at(dir, &wanted).is_ok_and(|found| found.id == stat.id);
    let spelling = if is_itself { renaming::spelling((dir, name), (dir, &wanted)) } else { Ok(Spelling::Another) };
    match spelling.map_err(failed)? {
        Spelling::Same => return Err(failed(Refusal::SameFile.into())),
        Spelling::Folded => {
            let mut between = (2..u32::MAX).map(|number| numbered(&wanted, number));
            let is_free = |name: &CString| Stat::at(dir, name).is_err();
            let between = between.find(is_free).ok_or_else(|| failed(io::ErrorKind::AlreadyExists.into()))?;
            renaming::respell(dir, name, &between, &wanted, &stat).map_err(failed)?;
        }
        Spelling::Another => renaming::rename((dir, name), (dir, &wanted), &stat).map_err(failed)?,
    }
    let from = Location { dir: home.clone(), name: name.clone() };
    let to = Location { dir: home, name: wanted };
    job.journal.did(&Step::Moved { from, to, identity: Identity::from(&stat) });
    Ok(stat.kind())
}
