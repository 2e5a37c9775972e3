//! Taking things out of the trash again, to where they were. Parents that are gone are made; nothing is replaced unless
//! that is asked for, and then what was there is kept.

use super::list::{PATIENCE, Trashed, list_above};
use super::{drop_sizes, put_info_away, remember, report};
use crate::conflict::OnConflict;
use crate::control::lock;
use crate::engine::{Visit, Workers};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{Identity, Location, Step};
use crate::meta::sidecar::Kept;
use crate::operation::{Job, Operation, Running};
use crate::ops::coming::{Coming, Ruling};
use crate::ops::copy::{Metadata, add_lines};
use crate::ops::each::{self, Acting, Turn};
use crate::ops::terms::{Terms, setters};
use crate::ops::{sidecar, steps};
use crate::pool::Pool;
use crate::progress::add;
use crate::report::Report;
use crate::sys::name;
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat};
use crate::trash::{Damage, Folder, TrashItem};
use rustix::fs::FileType;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Takes items out of the trash, to where they were: as they were listed, by their ids, or by their original paths (of several
/// the one trashed last).
///
/// Directories on the way that are gone are made. A symbolic link on the way is not followed: the item stays in the trash then.
///
/// ```no_run
/// use fileops::Trashed;
/// # fileops::block_on(async {
/// fileops::restore([Trashed::Original("/home/me/old".into())]).await.into_result()?;
/// # Ok::<_, fileops::Incomplete>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The [`Report`] names every item that stays in the trash; one that is damaged fails with [`Refusal::Damaged`].
pub fn restore<I: Into<Trashed>>(items: impl IntoIterator<Item = I>) -> Restore {
    let items = items.into_iter().map(Into::into).collect();
    Restore { items, on_conflict: OnConflict::default(), metadata: Metadata::default(), terms: Terms::default() }
}

/// How often a name is looked at that is free one moment and taken the next.
const LOOKS: u32 = 10;

/// Something to take out of the trash that was not started yet; see [`restore`].
#[must_use = "nothing is restored until it is started or awaited"]
pub struct Restore {
    items: Vec<Trashed>,
    on_conflict: OnConflict,
    metadata: Metadata,
    terms: Terms,
}

setters!(Restore: on_error, retry, undoable, pool);

impl Restore {
    /// What becomes of tags and other attributes that were kept beside the items; default [`Metadata::Note`]. With
    /// [`Metadata::Sidecar`] they stand beside the files again.
    pub fn metadata(mut self, metadata: Metadata) -> Restore {
        self.metadata = metadata;
        self
    }

    /// What to do where something else has the item's old name; default [`OnConflict::Fail`]. What is replaced is kept, so that
    /// an [`undo`](crate::undo) brings it back. A directory is never merged with another one, nor replaced.
    pub fn on_conflict(mut self, rule: OnConflict) -> Restore {
        self.on_conflict = rule;
        self
    }

    /// Starts, and gives the handle.
    pub fn start(self) -> Operation {
        let Restore { items, on_conflict, metadata, terms } = self;
        let (job, pool) = terms.begin("restore");
        Operation::start(&pool.clone(), job, move |job| {
            let items = resolve(items, &job, &pool);
            let (folders, placed, lines) = Default::default();
            let restoring = Restoring { items, on_conflict, metadata, folders, placed, lines };
            // One at a time: of two that had one name the first that was asked for gets it.
            let over = each::run(restoring, &job, &pool, Workers::Fixed(1), terms.retries);
            if let Some(restoring) = &over {
                drop_sizes(&lock(&restoring.folders), &job);
                for (dir, path, lines) in std::mem::take(&mut *lock(&restoring.lines)) {
                    add_lines(&job, &dir, &path, &lines).err().into_iter().for_each(|error| job.fail(error));
                }
            }
            report(&job, &pool, over.is_some())
        })
    }
}

impl IntoFuture for Restore {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// Finds the items that are named by where they were.
pub(super) fn resolve(named: Vec<Trashed>, job: &Job, pool: &Pool) -> Vec<Wanted> {
    let originals: Vec<_> = named.iter().filter_map(Trashed::original).flat_map(spellings).collect();
    let mut listing = if originals.is_empty() { Default::default() } else { list_above(&originals, pool, PATIENCE) };
    let mut wanted = Vec::new();
    for item in named {
        match item {
            Trashed::Item(item) => wanted.push(Wanted::Item(item)),
            Trashed::Id(id) => wanted.push(Wanted::Id(id)),
            Trashed::Original(path) => {
                let spellings = spellings(&path);
                let is_it = |item: &TrashItem| item.original.as_ref().is_some_and(|path| spellings.contains(path));
                // Each of several is taken once, the last first.
                match listing.items.iter().position(is_it) {
                    Some(at) => wanted.push(Wanted::Item(Box::new(listing.items.remove(at)))),
                    None => {
                        job.fail(Error::new(Action::Restore, path, io::Error::from_raw_os_error(libc::ENOENT)));
                        listing.failures.drain(..).for_each(|error| job.fail(error));
                    }
                }
            }
        }
    }
    wanted
}

/// The absolute path, and the one without links in it as far as its directory is still there: that is what is recorded.
fn spellings(path: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = || {
        let dir = open::root(absolute.parent()?).ok()?;
        Some(name::real_path(&dir)?.join(absolute.file_name()?))
    };
    let real = real().filter(|real| *real != absolute);
    std::iter::once(absolute).chain(real).collect()
}

/// An item that is known, or is still to be looked at.
pub(super) enum Wanted {
    Item(Box<TrashItem>),
    Id(PathBuf),
}

impl Wanted {
    pub(super) fn path(&self) -> &Path {
        match self {
            Wanted::Item(item) => &item.id,
            Wanted::Id(id) => id,
        }
    }

    /// The item. One that was listed must be there still, and be the same.
    pub(super) fn item(&self) -> io::Result<TrashItem> {
        match self {
            Wanted::Id(id) => TrashItem::at(id),
            Wanted::Item(item) => {
                let now = TrashItem::read(&item.folder, &item.name)?;
                if now.is_same(item) { Ok(now) } else { Err(Refusal::TargetChanged.into()) }
            }
        }
    }
}

/// What is to be kept beside the files of a directory, which has this path.
type Beside = (OwnedFd, PathBuf, BTreeMap<CString, Kept>);

struct Restoring {
    items: Vec<Wanted>,
    on_conflict: OnConflict,
    metadata: Metadata,
    lines: Mutex<Vec<Beside>>,
    /// Those that directories were taken out of.
    folders: Mutex<Vec<Arc<Folder>>>,
    /// What came back already: never replaced by another item.
    placed: Mutex<HashSet<Id>>,
}

impl Acting for Restoring {
    fn count(&self) -> usize {
        self.items.len()
    }

    fn path(&self, index: usize) -> PathBuf {
        self.items[index].path().to_owned()
    }

    fn act(&self, turn: &Turn<'_>, index: usize) -> Visit {
        let item = self.items[index].item().during(Action::Restore, || self.items[index].path())?;
        let (Some(stat), Some(original)) = (item.file, &item.original) else {
            let error = match item.damage {
                Some(Damage::NoFile) => io::Error::from_raw_os_error(libc::ENOENT),
                _ => Refusal::Damaged.into(),
            };
            return Err(Error::new(Action::Restore, &item.id, error).into());
        };
        let failed = |error| Error::new(Action::Restore, &item.id, error).with_target(original);
        let way = Way::open(&item, original, turn.job).map_err(failed)?;
        let trip = Trip::new(&item, &stat, original, &way, turn.job);
        let placed = self.place(turn, &trip);
        if !matches!(placed, Ok(Some(_))) {
            way.give_up();
        }
        match placed? {
            Some(name) => self.finish(turn, &trip, &way, name)?,
            None => {
                add(&turn.counters.passed, 1);
                turn.job.skip(item.id.clone(), original.clone());
            }
        }
        Ok(())
    }
}

/// An item on its way back.
struct Trip<'a> {
    item: &'a TrashItem,
    stat: &'a Stat,
    original: &'a Path,
    from: Location,
    /// The directory that it goes back to.
    dir: &'a OwnedFd,
    to: Location,
}

impl<'a> Trip<'a> {
    fn new(item: &'a TrashItem, stat: &'a Stat, original: &'a Path, way: &'a Way, job: &Job) -> Trip<'a> {
        let files = job.journal.dir(&*item.folder.files, &item.folder.path.join("files"));
        let from = Location { dir: files, name: item.name.clone() };
        let home = job.journal.dir(&way.dir, original.parent().unwrap_or(original));
        Trip { item, stat, original, from, dir: &way.dir, to: Location { dir: home, name: way.name.clone() } }
    }
}

/// What an item is called now, and whether its step is recorded.
enum Placed {
    New(CString),
    Recorded(CString),
}

impl Restoring {
    /// Moves the item to its old name, or to one beside it; gives the name, or nothing if it is to be skipped.
    fn place(&self, turn: &Turn<'_>, trip: &Trip<'_>) -> Visit<Option<Placed>> {
        let Trip { item, stat, .. } = *trip;
        let (from, to) = (&*item.folder.files, trip.dir);
        let failed = |error| Error::new(Action::Restore, &item.id, error).with_target(trip.original);
        let mut name = trip.to.name.clone();
        for _ in 0..LOOKS {
            match steps::rename(from, &item.name, to, &name, stat.id) {
                Ok(()) => return Ok(Some(Placed::New(name))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error).into()),
            }
            let coming = Coming {
                job: turn.job,
                pool: turn.pool,
                action: Action::Restore,
                rule: self.on_conflict,
                answer: turn.answer,
                from: (from, &trip.from),
                stat,
                path: &item.id,
                to: (to, &trip.to),
            };
            match coming.ruling()? {
                Ruling::Free => name = trip.to.name.clone(),
                Ruling::Name(other) => name = other,
                Ruling::Skip => return Ok(None),
                Ruling::Replace(old) if lock(&self.placed).contains(&old.id) => {
                    return Err(failed(Refusal::Exists.into()).into());
                }
                Ruling::Replace(old) => {
                    coming.replace(&old).map_err(failed)?;
                    return Ok(Some(Placed::Recorded(trip.to.name.clone())));
                }
            }
        }
        Err(failed(Refusal::Exists.into()).into())
    }

    fn finish(&self, turn: &Turn<'_>, trip: &Trip<'_>, way: &Way, placed: Placed) -> Result<()> {
        let (job, item, stat) = (turn.job, trip.item, trip.stat);
        let (Placed::New(name) | Placed::Recorded(name)) = &placed;
        let target = trip.original.with_file_name(OsStr::from_bytes(name.to_bytes()));
        let journal = &job.journal;
        for made in &way.made {
            let at = Location { dir: journal.dir(&made.dir, &made.path), name: made.name.clone() };
            journal.did(&Step::Created { at, identity: Identity::from(&made.stat) });
        }
        if self.metadata == Metadata::Sidecar {
            let kept = sidecar::line_in(&item.folder.dir, &item.folder.files, &item.name, stat);
            if let (Some(kept), Ok(dir)) = (kept, name::handle(&way.dir, c".", Follow::No)) {
                let path = target.parent().map(Path::to_owned).unwrap_or_default();
                lock(&self.lines).push((dir, path, [(name.clone(), kept)].into()));
            }
        }
        if let Placed::New(name) = placed {
            let to = Location { name, ..trip.to.clone() };
            journal.did(&Step::Moved { from: trip.from.clone(), to, identity: Identity::from(stat) });
        }
        lock(&self.placed).insert(stat.id);
        job.moved(item.id.clone(), target);
        each::count(turn.counters, stat.kind());
        if stat.is_dir() {
            remember(&mut lock(&self.folders), &item.folder);
        }
        put_info_away(item, job).during(Action::Remove, || &item.id)
    }
}

/// The directory that something goes back to, reached without following a link.
struct Way {
    dir: OwnedFd,
    name: CString,
    made: Vec<Made>,
}

/// A directory that was made on the way.
struct Made {
    dir: OwnedFd,
    path: PathBuf,
    name: CString,
    stat: Stat,
}

impl Way {
    fn open(item: &TrashItem, original: &Path, job: &Job) -> io::Result<Way> {
        let (mut dir, rest) = item.folder.way_to(original)?;
        let mut path = original.to_owned();
        for _ in rest.components() {
            path.pop();
        }
        let mut names = Vec::new();
        for part in rest.components() {
            names.push(CString::new(part.as_os_str().as_bytes())?);
        }
        let name = names.pop().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let mut made = Vec::new();
        for part in names {
            let next = match enter(&dir, &part) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    touch(&dir, &path, &made, job);
                    make(&dir, &part, &path, &mut made)
                }
                entered => entered,
            };
            match next {
                Ok(next) => dir = next,
                Err(error) => {
                    remove(&made);
                    return Err(error);
                }
            }
            path.push(OsStr::from_bytes(part.to_bytes()));
        }
        touch(&dir, &path, &made, job);
        Ok(Way { dir, name, made })
    }

    /// Removes the directories that were made, as far as nobody uses them.
    fn give_up(&self) {
        remove(&self.made);
    }
}

/// Records when the first directory in which something is made was changed last, so that an undo leaves it so.
fn touch(dir: &OwnedFd, path: &Path, made: &[Made], job: &Job) {
    if made.is_empty() {
        let _ = steps::touch(job, &job.journal.dir(dir, path), dir);
    }
}

fn remove(made: &[Made]) {
    for made in made.iter().rev() {
        let _ = name::rmdir(&made.dir, &made.name);
    }
}

/// Opens a directory as a handle: it may be one that can be entered and not listed.
fn enter(dir: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let next = name::handle(dir, name, Follow::No)?;
    match Stat::of(&next)?.kind() {
        FileType::Directory => Ok(next),
        FileType::Symlink => Err(io::Error::from_raw_os_error(libc::ELOOP)),
        _ => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
    }
}

fn make(dir: &OwnedFd, name: &CStr, path: &Path, made: &mut Vec<Made>) -> io::Result<OwnedFd> {
    match name::mkdir(dir, name, 0o777) {
        // Somebody else was faster, and it is theirs.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return enter(dir, name),
        answer => answer?,
    }
    let next = enter(dir, name)?;
    let stat = Stat::of(&next)?;
    let above = name::handle(dir, c".", Follow::No)?;
    made.push(Made { dir: above, path: path.to_owned(), name: name.to_owned(), stat });
    Ok(next)
}
