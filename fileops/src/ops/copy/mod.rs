//! Copying: the options, and what happens before and after the walk. `visitor` does the entries.

mod adopted;
mod arrivals;
mod asked;
mod attributes;
mod beside;
mod compare;
mod contents;
mod departures;
mod directories;
mod draft;
mod ending;
mod files;
mod links;
mod mend;
mod moving;
mod names;
mod options;
mod place;
mod replace;
mod resume;
mod rights;
mod route;
mod scan;
mod settling;
mod spot;
mod together;
mod verify;
mod visitor;

pub(super) use asked::parse;
pub use beside::Metadata;
pub(super) use beside::add_lines;
pub(super) use options::{Copies, Destination, Options};
pub use options::{Copy, Links, Names, OnCancel, ReadOnlyDirs, copy, copy_as, duplicate};
pub use resume::Resume;
pub use settling::Durability;
pub(super) use together::Together;
pub use verify::Verify;

use super::{source, undo};
use crate::conflict::{OnConflict, Undoable};
use crate::control::lock;
use crate::engine::{self, End, Engine, Node, Workers};
use crate::error::{Action, During, Result};
use crate::operation::{Job, OnShortage};
use crate::pool::Pool;
use crate::question::OnError;
use crate::report::{NoteKind, Outcome, Report};
use crate::schedule::scheduler;
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
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// A copy under way: what all workers share.
struct Copying {
    sources: Vec<PathBuf>,
    options: Options,
    destination: Destination,
    /// The directory at the target that everything goes into, opened by the first worker that needs it.
    target: Arc<OnceLock<Arc<TargetDir>>>,
    routes: Routes,
    links: LinkGroups,
    together: Arc<Together>,
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
    /// Directories that others see, with metadata to be written beside their files.
    with_lines: Mutex<Vec<Arc<Node<Place>>>>,
    /// What is known beyond that, if it is a move.
    moving: Option<Moving>,
}

/// A directory whose owner may do more in it than it should be.
struct Loosened {
    dir: Arc<Node<Place>>,
    end: End,
    /// What it should be.
    mode: u32,
    /// What the journal calls it.
    record: Option<u64>,
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
    let (outcome, is_clean) = transfer(sources, destination, options, &Arc::default(), job, pool);
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
    together: &Arc<Together>,
    job: &Arc<Job>,
    pool: &Pool,
) -> (Outcome, bool) {
    let options = Options { workers: workers_for(&sources, &destination, options.workers), ..options };
    let follow = if options.links == Links::Follow { Follow::Yes } else { Follow::No };
    let places = options.syncs_names.then(|| ending::places(&sources, &destination));
    let copying =
        Copying { together: Arc::clone(together), ..Copying::new(sources.clone(), destination, options, job) };
    let needs_no_room = copying.moving.as_ref().map(|moving| Arc::clone(&moving.has_renamed));
    let scan = Scan::start((sources, follow), &copying.target, needs_no_room, job, pool);
    let (engine, is_over) = engine::run(copying, job, pool, options.workers);
    scan.stop(job);
    let is_settled = ending::settle(&engine, job, pool);
    if options.moves.is_some() && !job.control.is_cancelled() {
        engine.visitor.tell_together(&engine, job);
    }
    places.into_iter().flatten().for_each(|place| ending::sync_place(&place, job));
    job.is_finishing.store(true, Relaxed);
    let outcome = if job.control.is_cancelled() { Outcome::Cancelled } else { Outcome::Done };
    let is_over = is_over && is_settled && ending::clean_up(&engine, job, pool, outcome);
    let left = engine.visitor.ledger.left();
    for staged in &left {
        job.note(NoteKind::LeftBehind, None, || staged.path.join(engine::os(staged.name())));
    }
    (outcome, is_over && left.is_empty())
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
            together: Arc::default(),
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
            with_lines: Mutex::default(),
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
