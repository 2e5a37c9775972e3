//! Copying: the options, and what happens before and after the walk. `visitor` does the entries.

mod adopted;
mod arrivals;
mod asked;
mod attributes;
mod compare;
mod contents;
mod departures;
mod directories;
mod files;
mod links;
mod mend;
mod moving;
mod names;
mod place;
mod replace;
mod resume;
mod rights;
mod route;
mod scan;
mod settling;
mod spot;
mod verify;
mod visitor;

pub(crate) use asked::asked;
pub use resume::Resume;
pub use settling::Durability;
pub use verify::Verify;

use super::delete::Mounts;
use super::{remove, source, steps, undo};
use crate::conflict::{Merges, OnConflict, Undoable};
use crate::control::lock;
use crate::engine::{self, End, Engine, GRACE, Node, Workers};
use crate::error::{Action, During, Result};
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::pool::Pool;
use crate::question::OnError;
use crate::report::{NoteKind, Outcome, Report};
use crate::schedule::{Effort, Uses, scheduler};
use crate::sys::mount::FsKind;
use crate::sys::open::Follow;
use crate::sys::stat::{Id, Stat};
use crate::sys::{name, open, process};
use links::Links as LinkGroups;
use moving::Moving;
use place::{Ledger, Place};
use resume::Interrupted;
use route::Routes;
use scan::Scan;
use settling::Waiting;
use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// Copies files and trees into a directory that exists, each under its own name.
///
/// Everything is kept: contents with their holes, hard links, symbolic links, modes, owners where allowed, times to the
/// nanosecond, all extended attributes (ACLs, capabilities), special files. Nothing is ever half-written under its final
/// name, and no file is replaced before its successor is whole and on the device. What exists already is not touched
/// unless [`on_conflict`](Copy::on_conflict) says so; directories merge.
///
/// A source that ends in `.` or `..` or is `/` means its contents, as for cp(1).
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-doc-{}", std::process::id()));
/// # let (photo, album) = (base.join("photo.jpg"), base.join("album"));
/// # std::fs::create_dir_all(&album)?;
/// # std::fs::write(&photo, b"x")?;
/// # fileops::block_on(async {
/// fileops::copy([&photo], &album).await.into_result()?;
/// # Ok::<_, fileops::Incomplete>(())
/// # })?;
/// # assert!(album.join("photo.jpg").exists());
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The [`Report`] names every entry that failed. A failure ends its entry, not the operation.
pub fn copy<S: Into<PathBuf>>(sources: impl IntoIterator<Item = S>, into_dir: impl Into<PathBuf>) -> Copy {
    let sources = sources.into_iter().map(Into::into).collect();
    Copy::new(sources, Destination::Into(into_dir.into()))
}

/// Copies one file or tree to exactly this name, even if a directory of that name exists (which is then merged with).
pub fn copy_as(source: impl Into<PathBuf>, name: impl Into<PathBuf>) -> Copy {
    Copy::new(vec![source.into()], Destination::Name(name.into()))
}

/// Copies one file or tree beside itself, under a name of its own: "name (copy).txt", then "name (copy 2).txt".
pub fn duplicate(path: impl Into<PathBuf>) -> Copy {
    let path = path.into();
    let beside = source::split(&path).map_or_else(|_| path.clone(), |(parent, _)| parent);
    let mut copy = Copy::new(vec![path], Destination::Into(beside)).on_conflict(OnConflict::Rename);
    copy.options.copies = Copies::AreDuplicates;
    copy
}

/// What a copy is called whose own name is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Copies {
    /// "name (2)".
    #[default]
    AreNumbered,
    /// "name (copy)".
    AreDuplicates,
}

/// What a symbolic link is copied as.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// A link with the same text.
    #[default]
    Keep,
    /// What it points to. A link to nothing stays a link, one that leads back up is a failure.
    Follow,
}

/// What happens to names that the target's file system does not allow (FAT, NTFS).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// The entry fails.
    #[default]
    Keep,
    /// Forbidden characters become `_`, dots and spaces at the end go; the report notes it.
    Portable,
}

/// What becomes of directories that were copied from a read-only medium, where no directory is writable.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadOnlyDirs {
    /// Their owner may write to them; the report notes it.
    #[default]
    MakeWritable,
    /// They stay as they are.
    Keep,
}

/// What a cancelled copy leaves.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// A new tree is removed; what was finished in directories that existed before stays.
    #[default]
    RemoveNewTrees,
    /// Everything that is finished stays, under its final name.
    KeepFinished,
}

/// A copy that was not started yet; see [`copy`] and [`copy_as`].
#[must_use = "nothing is copied until it is started or awaited"]
pub struct Copy {
    sources: Vec<PathBuf>,
    destination: Destination,
    options: Options,
    pool: Option<Pool>,
}

#[derive(Clone)]
pub(super) enum Destination {
    Into(PathBuf),
    Name(PathBuf),
}

impl Destination {
    fn path(&self) -> &Path {
        match self {
            Destination::Into(path) | Destination::Name(path) => path,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) on_conflict: OnConflict,
    pub(super) on_shortage: OnShortage,
    pub(super) on_cancel: OnCancel,
    pub(super) links: Links,
    pub(super) names: Names,
    pub(super) read_only_dirs: ReadOnlyDirs,
    pub(super) workers: Workers,
    pub(super) retries: u32,
    /// `None`: as the target's medium asks for.
    pub(super) durability: Option<Durability>,
    pub(super) verify: Verify,
    pub(super) bandwidth: Option<u64>,
    pub(super) resume: Resume,
    pub(super) undoable: Undoable,
    pub(super) on_error: OnError,
    pub(super) merges: Merges,
    /// For a move: what happens at mount points below its sources.
    pub(super) moves: Option<Mounts>,
    pub(super) copies: Copies,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            on_conflict: OnConflict::default(),
            on_shortage: OnShortage::default(),
            on_cancel: OnCancel::default(),
            links: Links::default(),
            names: Names::default(),
            read_only_dirs: ReadOnlyDirs::default(),
            workers: Workers::Adapt,
            retries: 0,
            durability: None,
            verify: Verify::default(),
            bandwidth: None,
            resume: Resume::default(),
            undoable: Undoable::default(),
            on_error: OnError::default(),
            merges: Merges::default(),
            moves: None,
            copies: Copies::default(),
        }
    }
}

impl Copy {
    fn new(sources: Vec<PathBuf>, destination: Destination) -> Copy {
        let options = Options::default();
        Copy { sources, destination, options, pool: None }
    }

    /// What happens where a target exists already; default [`OnConflict::Fail`].
    pub fn on_conflict(mut self, rule: OnConflict) -> Copy {
        self.options.on_conflict = rule;
        self
    }

    /// Whether directories that exist are merged with at once, where conflicts are asked; default [`Merges::Silent`].
    pub fn merges(mut self, merges: Merges) -> Copy {
        self.options.merges = merges;
        self
    }

    /// What happens when an entry fails; default [`OnError::Continue`].
    pub fn on_error(mut self, rule: OnError) -> Copy {
        self.options.on_error = rule;
        self
    }

    /// What happens when the target is too full; default [`OnShortage::Warn`].
    pub fn on_shortage(mut self, rule: OnShortage) -> Copy {
        self.options.on_shortage = rule;
        self
    }

    /// What a cancel leaves; default [`OnCancel::RemoveNewTrees`].
    pub fn on_cancel(mut self, rule: OnCancel) -> Copy {
        self.options.on_cancel = rule;
        self
    }

    /// What symbolic links are copied as; default [`Links::Keep`].
    pub fn links(mut self, links: Links) -> Copy {
        self.options.links = links;
        self
    }

    /// What happens to names the target does not allow; default [`Names::Keep`].
    pub fn names(mut self, names: Names) -> Copy {
        self.options.names = names;
        self
    }

    /// What becomes of directories from read-only media; default [`ReadOnlyDirs::MakeWritable`].
    pub fn read_only_dirs(mut self, rule: ReadOnlyDirs) -> Copy {
        self.options.read_only_dirs = rule;
        self
    }

    /// Tries an entry that failed so many times more, with growing pauses; default 0. A large file is then copied by one
    /// worker, and files are replaced one by one.
    pub fn retry(mut self, times: u32) -> Copy {
        self.options.retries = times;
        self
    }

    /// Moves no more than so many bytes of contents a second; see [`Operation::set_bandwidth`]. Default `None`, no limit.
    pub fn bandwidth(mut self, bytes_per_second: Option<u64>) -> Copy {
        self.options.bandwidth = bytes_per_second;
        self
    }

    /// Whether an [`undo`](crate::undo) can take it back; default [`Undoable::Yes`].
    pub fn undoable(mut self, undoable: Undoable) -> Copy {
        self.options.undoable = undoable;
        self
    }

    /// Uses so many workers, instead of as many as are useful.
    pub fn jobs(mut self, count: usize) -> Copy {
        self.options.workers = Workers::Fixed(count);
        self
    }

    /// Uses the threads of this pool, instead of the global one.
    pub fn pool(mut self, pool: &Pool) -> Copy {
        self.pool = Some(pool.clone());
        self
    }

    /// Starts copying, and gives the handle.
    pub fn start(self) -> Operation {
        let pool = self.pool.unwrap_or_else(|| Pool::global().clone());
        let (sources, destination, options) = (self.sources, self.destination, self.options);
        let job = Job::with_rules("copy", options.on_shortage, options.on_error);
        job.bandwidth.set(options.bandwidth);
        job.meter.device.is_counted.store(options.durability == Some(Durability::Device), Relaxed);
        let target = destination.path().to_owned();
        let uses = Uses { sources: sources.clone(), target: Some(target), effort: Effort::Contents };
        Operation::start_in_turn(&pool.clone(), job, uses, move |job| run(sources, destination, options, &job, &pool))
    }
}

impl IntoFuture for Copy {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// A copy under way: what all workers share.
struct Copying {
    sources: Vec<PathBuf>,
    options: Options,
    destination: Destination,
    /// The directory at the target that everything goes into, opened by the first worker that needs it.
    target: Arc<OnceLock<Arc<TargetDir>>>,
    routes: Routes,
    links: LinkGroups,
    ledger: Arc<Ledger>,
    /// Directories that exist at the target and are merged with at the top: never to be walked as a source.
    merged: Mutex<Vec<Id>>,
    /// Files made in directories that existed before, where a rule lets them replace others: never one another.
    placed: Mutex<HashSet<Id>>,
    umask: u32,
    /// Whether files can be given to other owners.
    may_give_away: bool,
    /// Who owns what we make.
    user: u32,
    /// New directories that are not done: removed with the tree they are in, they are not removed again.
    unfinished: AtomicU64,
    durability: Durability,
    waiting: Waiting,
    interrupted: Interrupted,
    /// Directories that were given rights for the time.
    loosened: Mutex<Vec<Loosened>>,
    /// What is known beyond that, if it is a move.
    moving: Option<Moving>,
}

/// A directory whose owner may do more in it than it should be.
struct Loosened {
    dir: Arc<Node<Place>>,
    end: End,
    /// What it should be.
    mode: u32,
}

/// Where everything goes.
struct TargetDir {
    file: Arc<OwnedFd>,
    path: PathBuf,
    stat: Stat,
    /// The directory and all above it: copying one of them would be copying it into itself.
    above: Vec<Id>,
}

/// Copies; or moves, by options.
pub(super) fn run(
    sources: Vec<PathBuf>,
    destination: Destination,
    options: Options,
    job: &Arc<Job>,
    pool: &Pool,
) -> Report {
    if options.undoable == Undoable::No {
        job.journal.keep_no_steps();
    }
    job.journal.asked(&asked::words(&sources, &destination, &options));
    let (outcome, is_clean) = transfer(sources, destination, options, job, pool);
    undo::finish(job, pool, is_clean, outcome == Outcome::Cancelled);
    if let Some(error) = job.journal.take_error() {
        job.note(NoteKind::NotJournalled, Some(&error), PathBuf::new);
    }
    job.report(outcome)
}

/// The work itself, also as a part of another operation: the job's journal goes on. Gives whether it was cancelled, and
/// whether nothing unfinished is left.
pub(super) fn transfer(
    sources: Vec<PathBuf>,
    destination: Destination,
    options: Options,
    job: &Arc<Job>,
    pool: &Pool,
) -> (Outcome, bool) {
    let options = Options { workers: workers_for(&sources, &destination, options.workers), ..options };
    let follow = if options.links == Links::Follow { Follow::Yes } else { Follow::No };
    let copying = Copying::new(sources.clone(), destination, options, job);
    let needs_no_room = copying.moving.as_ref().map(|moving| Arc::clone(&moving.has_renamed));
    let scan = Scan::start((sources, follow), &copying.target, needs_no_room, job, pool);
    let (engine, is_over) = engine::run(copying, job, pool, options.workers);
    scan.stop(job);
    let is_settled = settle(&engine, job, pool);
    job.is_finishing.store(true, Relaxed);
    let outcome = if job.control.is_cancelled() { Outcome::Cancelled } else { Outcome::Done };
    let is_over = is_over && is_settled && clean_up(&engine, job, pool, outcome);
    let left = engine.visitor.ledger.left();
    for staged in &left {
        job.note(NoteKind::LeftBehind, None, || staged.path.join(engine::os(staged.name())));
    }
    (outcome, is_over && left.is_empty())
}

/// Waits until everything is on the device, and compared, that shall be. On a thread of its own, since that can take long;
/// `false` when the caller cancelled meanwhile and it takes longer still.
fn settle(engine: &Arc<Engine<Copying>>, job: &Arc<Job>, pool: &Pool) -> bool {
    if job.control.is_cancelled() || !(engine.visitor.is_durable() || engine.visitor.is_verifying()) {
        return true;
    }
    let last = {
        let (engine, job) = (Arc::clone(engine), Arc::clone(job));
        move || engine.visitor.settle_all(&job, &|node| engine.descriptor(node, End::Target))
    };
    if !pool.has_threads() {
        last();
        return true;
    }
    let task = pool.spawn(last);
    while !job.wait_until(|| task.is_done() || job.control.is_cancelled(), GRACE) {}
    let is_over = job.wait_until(|| task.is_done(), GRACE);
    if !is_over {
        job.is_stuck_at(engine.visitor.target_path());
    }
    is_over
}

/// Removes what is unfinished. On a thread of its own, since a call may hang there too; `false` when the caller cancelled
/// and nothing moves any more.
fn clean_up(engine: &Arc<Engine<Copying>>, job: &Arc<Job>, pool: &Pool, outcome: Outcome) -> bool {
    let removed = Arc::<AtomicU64>::default();
    let clean = {
        let (engine, job, pool, removed) = (Arc::clone(engine), Arc::clone(job), pool.clone(), Arc::clone(&removed));
        move || {
            engine.clear();
            engine.visitor.tighten_all(&engine);
            engine.visitor.clean_up(&job, &pool, outcome, &removed);
            engine.visitor.ledger.seal();
            steps::put_back_times(&job);
            job.control.wake_all();
        }
    };
    let is_quick = outcome == Outcome::Done && engine.visitor.ends_quickly();
    if !pool.has_threads() || is_quick {
        clean();
        count_removed(engine, job, &removed);
        return true;
    }
    // Where the system has no thread for it, it is done here.
    let clean: Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>> = Arc::new(Mutex::new(Some(Box::new(clean))));
    let task = pool.spawn({
        let clean = Arc::clone(&clean);
        move || {
            if let Some(clean) = take(&clean) {
                clean();
            }
        }
    });
    let departed = engine.visitor.moving.as_ref().map(|moving| Arc::clone(&moving.departures.gone));
    let gone = || removed.load(Relaxed) + departed.as_ref().map_or(0, |departed| departed.load(Relaxed));
    let is_clean = loop {
        let before = gone();
        if job.wait_until(|| task.is_done(), GRACE) {
            break true;
        }
        if let Some(clean) = take(&clean) {
            clean();
            break true;
        }
        if job.control.is_cancelled() && gone() == before {
            let left = engine.visitor.ledger.left();
            left.iter().for_each(|staged| job.is_stuck_at(staged.path.join(engine::os(staged.name()))));
            if left.is_empty() {
                let (Destination::Into(path) | Destination::Name(path)) = &engine.visitor.destination;
                job.is_stuck_at(path.clone());
            }
            break false;
        }
    };
    count_removed(engine, job, &removed);
    is_clean
}

fn take<T>(from: &Mutex<Option<T>>) -> Option<T> {
    lock(from).take()
}

/// Of what was removed, only what was done counts.
fn count_removed(engine: &Engine<Copying>, job: &Job, removed: &AtomicU64) {
    let removed = removed.load(Relaxed).saturating_sub(engine.visitor.unfinished.load(Relaxed));
    job.removed.fetch_add(removed.min(job.meter.sums().entries), Relaxed);
}

/// One worker where a head has to travel between places, or where a source has to meet what another one became.
fn workers_for(sources: &[PathBuf], destination: &Destination, workers: Workers) -> Workers {
    if have_one_target(sources) {
        return Workers::Fixed(1);
    }
    if workers != Workers::Adapt {
        return workers;
    }
    // The target first: of very many sources only some are looked at.
    let paths = std::iter::once(destination.path()).chain(sources.iter().map(PathBuf::as_path));
    let is_rotational = scheduler().has_head(paths);
    if is_rotational { Workers::Fixed(1) } else { workers }
}

/// Whether several sources become one: they have one name, or are contents. Whole directories that were begun at one time
/// could not be merged; one worker ends each source before it begins the next.
fn have_one_target(sources: &[PathBuf]) -> bool {
    let mut names = HashSet::new();
    sources.len() > 1 && sources.iter().any(|path| source::has_no_name(path) || !names.insert(path.file_name()))
}

impl Copying {
    fn new(sources: Vec<PathBuf>, destination: Destination, options: Options, job: &Arc<Job>) -> Copying {
        let roots = sources.len();
        let moving = options.moves.map(|mounts| Moving::new(mounts, roots, have_one_target(&sources)));
        let durability = options.durability.unwrap_or_else(|| settling::for_medium(destination.path()));
        job.meter.device.is_counted.store(durability == Durability::Device, Relaxed);
        Copying {
            moving,
            sources,
            options,
            destination,
            target: Arc::default(),
            routes: Routes::default(),
            links: LinkGroups::new(
                options.links == Links::Follow
                    || options.retries > 0
                    || options.on_shortage == OnShortage::Pause
                    || options.on_conflict == OnConflict::Ask
                    || options.on_error == OnError::Ask,
            ),
            ledger: Arc::new(Ledger::new(job)),
            merged: Mutex::default(),
            placed: Mutex::default(),
            umask: process::umask(),
            may_give_away: process::effective_ids().0 == 0,
            user: process::effective_ids().0,
            unfinished: AtomicU64::new(0),
            durability,
            waiting: Waiting::default(),
            interrupted: Interrupted::look(options.resume),
            loosened: Mutex::default(),
        }
    }

    /// The directory at the target. Two workers may open it at the same time, and then use the same one.
    fn target_dir(&self) -> Result<Arc<TargetDir>> {
        if let Some(target) = self.target.get() {
            return Ok(Arc::clone(target));
        }
        let path = match &self.destination {
            Destination::Into(path) => path.clone(),
            Destination::Name(path) if source::has_no_name(path) => path.clone(),
            Destination::Name(path) => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
        };
        let file = open::root(&path).during(Action::Open, || &path)?;
        let stat = Stat::of_dir(&file).during(Action::Stat, || &path)?;
        let above = directories_above(&file, stat.id);
        let target = Arc::new(TargetDir { file: Arc::new(file), path, stat, above });
        Ok(Arc::clone(self.target.get_or_init(|| target)))
    }

    /// What the directory at the target is called in reports.
    fn target_path(&self) -> PathBuf {
        self.target.get().map(|target| target.path.clone()).unwrap_or_default()
    }

    /// The name a root gets at the target, where it does not keep its own; none if the target is a directory itself ("..").
    fn target_name(&self) -> Result<Option<CString>> {
        match &self.destination {
            Destination::Into(_) => Ok(None),
            Destination::Name(path) if path.as_os_str().is_empty() => source::split(path).map(|_| None),
            Destination::Name(path) if source::has_no_name(path) => Ok(None),
            Destination::Name(path) => source::split(path).map(|(_, name)| Some(name)),
        }
    }

    /// After the walk: directories that were opened for the time, and not left.
    fn tighten_all(&self, engine: &Engine<Copying>) {
        loop {
            let Some(dir) = lock(&self.loosened).last().map(|one| Arc::clone(&one.dir)) else { return };
            self.tighten(&dir, |end| engine.descriptor(&dir, end));
        }
    }

    /// Whether the end makes no call that could hang.
    fn ends_quickly(&self) -> bool {
        let is_local = |target: &Arc<TargetDir>| FsKind::of(&*target.file).is_ok_and(|kind| !kind.may_fail_at_close());
        let has_stages = !self.ledger.left().is_empty();
        !has_stages && (self.ledger.is_settled() || self.target.get().is_some_and(is_local))
    }

    /// After the walk: what is still under a name of ours is removed, or kept if that was asked for.
    fn clean_up(&self, job: &Arc<Job>, pool: &Pool, outcome: Outcome, removed: &Arc<AtomicU64>) {
        if let Some(moving) = &self.moving {
            drop(moving.arrivals.take());
            moving.departures.see_off_waiting(job, pool, moving.mounts);
        }
        for staged in self.ledger.left() {
            let keeps = outcome == Outcome::Cancelled && self.options.on_cancel == OnCancel::KeepFinished;
            let is_dir = Stat::at(&*staged.dir, staged.name()).is_ok_and(|stat| stat.is_dir());
            if keeps && is_dir && !staged.is_doubtful() {
                staged.finish();
                // Where somebody took the name, it stays under ours.
                if staged.publish(&staged.wanted).is_ok() {
                    self.ledger.is_published(&staged, &staged.wanted);
                }
                continue;
            }
            let Some(id) = staged.id().filter(|_| !staged.is_doubtful()) else { continue };
            match remove::entry(&staged.dir, staged.path.clone(), staged.name(), id, pool, removed) {
                Ok(()) => self.ledger.gone(&staged),
                Err(errors) if errors.iter().all(|error| error.source.kind() == std::io::ErrorKind::NotFound) => {
                    self.ledger.gone(&staged);
                }
                Err(errors) => errors.into_iter().for_each(|error| job.fail(error)),
            }
        }
    }
}

/// A directory and everything above it, up to the root of the file tree. Goes through mount points.
fn directories_above(dir: &OwnedFd, id: Id) -> Vec<Id> {
    let mut above = vec![id];
    let mut at = name::handle(dir, c"..", Follow::Yes);
    while let Ok(file) = at {
        let Ok(stat) = Stat::of(&file) else { break };
        if above.last() == Some(&stat.id) {
            break;
        }
        above.push(stat.id);
        at = name::handle(&file, c"..", Follow::Yes);
    }
    above
}
