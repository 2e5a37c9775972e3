//! Counts what is in trees: entries, bytes, allocated bytes. Also the scan that runs ahead of a copy.

use super::source;
use crate::control::lock;
use crate::engine::{self, End, Enter, Entry, Node, Root, Side, Visit, Visitor, Worker, Workers};
use crate::error::{Action, During};
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::pool::Pool;
use crate::progress::{LARGE, add};
use crate::question::OnError;
use crate::report::{Outcome, Report};
use crate::sys::open::Follow;
use crate::sys::stat::{Id, Stat};
use rustix::fs::FileType;
use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Counts the entries, bytes and allocated bytes of trees, as du(1) does: a file with several names counts once, links are
/// not followed. The report's `bytes` are contents of files, its `allocated` all blocks, those of directories too.
///
/// ```
/// let report = fileops::block_on(async { fileops::measure(["/etc/hostname"]).await });
/// assert_eq!(report.entries, 1);
/// ```
pub fn measure<S: Into<PathBuf>>(paths: impl IntoIterator<Item = S>) -> Measure {
    Measure {
        paths: paths.into_iter().map(Into::into).collect(),
        workers: Workers::Adapt,
        on_error: OnError::default(),
        pool: None,
    }
}

/// A count that was not started yet; see [`measure`].
#[must_use = "nothing is counted until it is started or awaited"]
pub struct Measure {
    paths: Vec<PathBuf>,
    workers: Workers,
    on_error: OnError,
    pool: Option<Pool>,
}

impl Measure {
    /// What happens when an entry fails; default [`OnError::Continue`].
    pub fn on_error(mut self, rule: OnError) -> Measure {
        self.on_error = rule;
        self
    }

    /// Uses so many workers, instead of as many as are useful.
    pub fn jobs(mut self, count: usize) -> Measure {
        self.workers = Workers::Fixed(count);
        self
    }

    /// Uses the threads of this pool, instead of the global one.
    pub fn pool(mut self, pool: &Pool) -> Measure {
        self.pool = Some(pool.clone());
        self
    }

    /// Starts counting, and gives the handle.
    pub fn start(self) -> Operation {
        let pool = self.pool.unwrap_or_else(|| Pool::global().clone());
        let (paths, workers) = (self.paths, self.workers);
        let job = Job::with_rules("measure", OnShortage::Warn, self.on_error);
        Operation::start(&pool.clone(), job, move |job| {
            let count =
                Count { roots: Roots::Paths(paths), into: Sink::Counters, seen: Mutex::default(), follow: Follow::No };
            engine::run(count, &job, &pool, workers);
            job.report(if job.control.is_cancelled() { Outcome::Cancelled } else { Outcome::Done })
        })
    }
}

impl IntoFuture for Measure {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// Counts the sources of a running operation into its totals, on one thread, until it is told to stop.
/// `look` is called after every directory.
pub(crate) fn scan(
    roots: Vec<PathBuf>,
    follow: Follow,
    of: Arc<Job>,
    stop: &Arc<Job>,
    pool: &Pool,
    look: Box<dyn Fn() + Send + Sync>,
) {
    let count =
        Count { roots: Roots::Paths(roots), into: Sink::Totals(Arc::clone(&of), look), seen: Mutex::default(), follow };
    engine::run(count, stop, pool, Workers::Fixed(1));
    if !stop.control.is_cancelled() {
        of.meter.totals.is_complete.store(true, Relaxed);
    }
}

/// What a tree takes on the disk, for an operation that is under way; `None` if that cannot be told.
pub(super) fn allocated(dir: Arc<OwnedFd>, path: PathBuf, name: CString, of: &Arc<Job>, pool: &Pool) -> Option<u64> {
    let sum = Arc::new(AtomicU64::new(0));
    let into = Sink::Sum(Arc::clone(of), Arc::clone(&sum));
    let roots = Roots::One(dir, path, name);
    let job = Job::new("measure", OnShortage::Warn);
    let (_, is_over) =
        engine::run(Count { roots, into, seen: Mutex::default(), follow: Follow::No }, &job, pool, Workers::Adapt);
    let is_whole = is_over && job.report(Outcome::Done).failures.is_empty() && !of.control.is_cancelled();
    is_whole.then(|| sum.load(Relaxed))
}

enum Roots {
    Paths(Vec<PathBuf>),
    /// An entry of an open directory.
    One(Arc<OwnedFd>, PathBuf, CString),
}

struct Count {
    roots: Roots,
    into: Sink,
    /// Files with several names that were counted.
    seen: Mutex<HashSet<Id>>,
    follow: Follow,
}

enum Sink {
    /// The operation's own result.
    Counters,
    /// What another operation has before it.
    Totals(Arc<Job>, Box<dyn Fn() + Send + Sync>),
    /// What is allocated, for another operation.
    Sum(Arc<Job>, Arc<AtomicU64>),
}

impl Count {
    /// What is done for another operation waits and ends with it.
    fn wait_for_other(&self, worker: &Worker<Self>) -> Visit {
        match &self.into {
            Sink::Counters => {}
            Sink::Totals(of, _) => of.rest_while_paused(worker.job())?,
            Sink::Sum(of, _) => of.checkpoint()?,
        }
        Ok(())
    }

    fn count(&self, worker: &Worker<Self>, stat: &Stat) {
        // Paths of which one is in another lead to a file again. A copy makes it again.
        let may_come_again = self.roots() > 1 && matches!(self.into, Sink::Counters);
        let has_one_name = stat.is_dir() || stat.links < 2;
        let is_first = (has_one_name && !may_come_again) || lock(&self.seen).insert(stat.id);
        let bytes = if is_first && stat.is_file() { stat.size } else { 0 };
        let allocated = if is_first { stat.allocated } else { 0 };
        match &self.into {
            Sink::Counters => {
                let counters = &worker.counters;
                add(&counters.entries, 1);
                add(&counters.bytes, bytes);
                add(&counters.file_bytes, bytes);
                add(&counters.allocated, allocated);
                let kind = match stat.kind() {
                    FileType::RegularFile => &counters.files,
                    FileType::Directory => &counters.directories,
                    FileType::Symlink => &counters.symlinks,
                    _ => &counters.specials,
                };
                add(kind, 1);
            }
            Sink::Sum(_, sum) => {
                sum.fetch_add(allocated, Relaxed);
            }
            Sink::Totals(job, _) => {
                let totals = &job.meter.totals;
                totals.entries.fetch_add(1, Relaxed);
                totals.bytes.fetch_add(bytes, Relaxed);
                totals.allocated.fetch_add(allocated, Relaxed);
                if bytes > LARGE {
                    totals.large_bytes.fetch_add(bytes, Relaxed);
                }
            }
        }
    }
}

impl Visitor for Count {
    type Dir = ();
    type Share = ();

    fn roots(&self) -> usize {
        match &self.roots {
            Roots::Paths(paths) => paths.len(),
            Roots::One(..) => 1,
        }
    }

    fn root_path(&self, index: usize) -> PathBuf {
        match &self.roots {
            Roots::Paths(paths) => paths[index].clone(),
            Roots::One(_, path, name) => path.join(engine::os(name)),
        }
    }

    fn root(&self, _: &mut Worker<Self>, index: usize) -> Visit<Root<Self>> {
        let (side, name) = match &self.roots {
            Roots::Paths(paths) => source::open(&paths[index])?,
            Roots::One(dir, path, name) => (Side::root(path.clone(), Arc::clone(dir)), name.clone()),
        };
        Ok(Root::Entry(Node::top(side, None, ()), name))
    }

    fn follow(&self) -> Follow {
        self.follow
    }

    fn enter_dir(&self, _: &mut Worker<Self>, _: &Entry<'_, Self>) -> Visit<Enter<()>> {
        Ok(Enter::Into((), None))
    }

    fn opened_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<()>>) -> Visit {
        self.wait_for_other(worker)?;
        self.count(worker, dir.stat());
        Ok(())
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        self.wait_for_other(worker)?;
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        self.count(worker, &entry.stat(&dir).during(Action::Stat, path)?);
        Ok(())
    }

    fn help(&self, _: &mut Worker<Self>, _: &Arc<()>) {}

    fn close_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        if let Sink::Totals(_, look) = &self.into {
            look();
        }
        Ok(())
    }

    fn leave_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }

    fn abandon_dir(&self, _: &mut Worker<Self>, _: &Arc<Node<()>>) -> Visit {
        Ok(())
    }
}
