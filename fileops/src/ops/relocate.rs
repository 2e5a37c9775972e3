//! Moving: the options. What is done is a copy's walk (`copy`) that renames wherever it can (`copy/moving`).

use super::copy::{self, Destination, Durability, Metadata, Names, Options, ReadOnlyDirs, Resume, Together, Verify};
use super::delete::Mounts;
use super::recover;
use crate::conflict::{Merges, OnConflict, Undoable};
use crate::engine::Workers;
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::pool::Pool;
use crate::question::OnError;
use crate::report::{Outcome, Report};
use crate::schedule::{Effort, Uses};
use crate::sys::mount;
use std::path::PathBuf;
use std::sync::Arc;

/// Moves files and trees into a directory that exists, each under its own name.
///
/// On one mount each entry is renamed, and no byte copied; a directory that is there already is merged with, name by name.
/// Across mounts an entry is copied as [`copy`](crate::copy()) does, with everything that belongs to it. Its source goes when
/// the copy is whole, on the device and under its final name, and only if it did not change since it was read. What fails or
/// is skipped stays where it is, with the directories it is in; so does what came to them meanwhile.
///
/// A symbolic link is moved itself, also where its name has a slash at the end. A path that ends in `.` or `..` is refused,
/// and so is one that is a mount point, unless [`mounts`](Move::mounts) says otherwise.
///
/// A cancel leaves each entry at its source or at its target: what was copied and has no name yet is removed again.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-doc-move-{}", std::process::id()));
/// # let (photo, album) = (base.join("photo.jpg"), base.join("album"));
/// # std::fs::create_dir_all(&album)?;
/// # std::fs::write(&photo, b"x")?;
/// # fileops::block_on(async {
/// fileops::move_to([&photo], &album).await.into_result()?;
/// # Ok::<_, fileops::Incomplete>(())
/// # })?;
/// # assert!(album.join("photo.jpg").exists() && !photo.exists());
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The [`Report`] names every entry that failed. A failure ends its entry, not the operation.
pub fn move_to<S: Into<PathBuf>>(sources: impl IntoIterator<Item = S>, into_dir: impl Into<PathBuf>) -> Move {
    let sources = sources.into_iter().map(Into::into).collect();
    Move::new(sources, Destination::Into(into_dir.into()))
}

/// Moves one file or tree to exactly this name, even if a directory of that name exists (which is then merged with).
pub fn move_as(source: impl Into<PathBuf>, name: impl Into<PathBuf>) -> Move {
    Move::new(vec![source.into()], Destination::Name(name.into()))
}

/// A move that was not started yet; see [`move_to`] and [`move_as`].
#[must_use = "nothing is moved until it is started or awaited"]
pub struct Move {
    sources: Vec<PathBuf>,
    destination: Destination,
    options: Options,
    pool: Option<Pool>,
    /// Which interrupted operation this goes on with.
    resumes: Option<String>,
}

impl Move {
    fn new(sources: Vec<PathBuf>, destination: Destination) -> Move {
        let options = Options { moves: Some(Mounts::default()), ..Options::default() };
        Move::with(sources, destination, options)
    }

    pub(super) fn with(sources: Vec<PathBuf>, destination: Destination, options: Options) -> Move {
        // What is copied is made durable in a way of its own, before its source goes.
        let options = Options { durability: Some(Durability::Cached), ..options };
        Move { sources, destination, options, pool: None, resumes: None }
    }

    pub(super) fn going_on_with(self, id: &str) -> Move {
        Move { resumes: Some(id.to_owned()), ..self }
    }

    /// Whether new names are on the device too when the move is done; default [`Durability::Cached`]. What is copied always is,
    /// before its source goes.
    pub fn durability(mut self, durability: Durability) -> Move {
        self.options.syncs_names = durability == Durability::Device;
        self
    }

    /// What is compared before a source goes that had to be copied; default [`Verify::Nothing`].
    pub fn verify(mut self, verify: Verify) -> Move {
        self.options.verify = verify;
        self
    }

    /// What becomes of that which an interrupted move left; default [`Resume::WhereInterrupted`].
    pub fn resume(mut self, resume: Resume) -> Move {
        self.options.resume = resume;
        self
    }

    /// What happens where a target exists already; default [`OnConflict::Fail`].
    pub fn on_conflict(mut self, rule: OnConflict) -> Move {
        self.options.on_conflict = rule;
        self
    }

    /// Whether directories that exist are merged with at once, where conflicts are asked; default [`Merges::Silent`].
    pub fn merges(mut self, merges: Merges) -> Move {
        self.options.merges = merges;
        self
    }

    /// What becomes of tags and other attributes where the target has no place for them; default [`Metadata::Note`].
    pub fn metadata(mut self, metadata: Metadata) -> Move {
        self.options.metadata = metadata;
        self
    }

    /// What happens when an entry fails; default [`OnError::Continue`].
    pub fn on_error(mut self, rule: OnError) -> Move {
        self.options.on_error = rule;
        self
    }

    /// Moves no more than so many bytes of contents a second, where they have to be copied. Default `None`, no limit.
    pub fn bandwidth(mut self, bytes_per_second: Option<u64>) -> Move {
        self.options.bandwidth = bytes_per_second;
        self
    }

    /// What happens when the target is too full; default [`OnShortage::Warn`].
    pub fn on_shortage(mut self, rule: OnShortage) -> Move {
        self.options.on_shortage = rule;
        self
    }

    /// What happens to names the target does not allow; default [`Names::Keep`].
    pub fn names(mut self, names: Names) -> Move {
        self.options.names = names;
        self
    }

    /// What becomes of directories from read-only media; default [`ReadOnlyDirs::MakeWritable`].
    pub fn read_only_dirs(mut self, rule: ReadOnlyDirs) -> Move {
        self.options.read_only_dirs = rule;
        self
    }

    /// What happens at mount points; default [`Mounts::Stay`].
    pub fn mounts(mut self, mounts: Mounts) -> Move {
        self.options.moves = Some(mounts);
        self
    }

    /// Tries an entry that failed so many times more, with growing pauses; default 0.
    pub fn retry(mut self, times: u32) -> Move {
        self.options.retries = times;
        self
    }

    /// Whether an [`undo`](crate::undo) can take it back; default [`Undoable::Yes`].
    pub fn undoable(mut self, undoable: Undoable) -> Move {
        self.options.undoable = undoable;
        self
    }

    /// Uses so many workers, instead of as many as are useful.
    pub fn jobs(mut self, count: usize) -> Move {
        self.options.workers = Workers::Fixed(count);
        self
    }

    /// Uses the threads of this pool, instead of the global one.
    pub fn pool(mut self, pool: &Pool) -> Move {
        self.pool = Some(pool.clone());
        self
    }

    /// Starts moving, and gives the handle.
    pub fn start(self) -> Operation {
        let pool = self.pool.unwrap_or_else(|| Pool::global().clone());
        let (sources, destination, options) = (self.sources, self.destination, self.options);
        let resumes = self.resumes;
        let job = Job::with_rules("move", options.on_shortage, options.on_error);
        job.bandwidth.set(options.bandwidth);
        let uses = uses(&sources, &destination);
        Operation::start_in_turn(&pool.clone(), job, uses, move |job| {
            let report = copy::run(sources, destination, options, &job, &pool);
            recover::was_resumed(resumes.as_deref(), &report);
            report
        })
    }
}

/// Moves one entry to a name, as a part of another operation, in whose journal it stands. `false` if it could not be moved as
/// a whole: the job has the failures then. What the rule leaves where it is, is no concern of the job's. What is kept beside
/// files finds its way back too.
pub(super) fn within(
    (source, name): (PathBuf, PathBuf),
    rule: OnConflict,
    together: &Arc<Together>,
    job: &Arc<Job>,
    pool: &Pool,
) -> bool {
    let Move { sources, destination, options, .. } =
        move_as(source, name).on_conflict(rule).metadata(Metadata::Sidecar);
    let (failures, skips) = (job.failure_count(), job.skip_count());
    let (outcome, is_clean) = copy::transfer(sources, destination, options, together, job, pool);
    job.forget_skips(skips);
    outcome == Outcome::Done && is_clean && job.failure_count() == failures
}

impl IntoFuture for Move {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

/// What is on the target's mount is renamed, which waits for nobody; a bind mount shows only when the work is begun.
fn uses(sources: &[PathBuf], destination: &Destination) -> Uses {
    let (Destination::Into(target) | Destination::Name(target)) = destination;
    let table = mount::table().unwrap_or_default();
    let point = |path: &PathBuf| {
        let path = std::path::absolute(path).unwrap_or_default();
        mount::serving(&table, &path).map(|mount| mount.point.clone())
    };
    let at = point(target);
    let is_renamed = sources.iter().all(|source| point(source) == at);
    let effort = if is_renamed { Effort::Names } else { Effort::Contents };
    Uses { sources: sources.to_vec(), target: Some(target.clone()), effort }
}
