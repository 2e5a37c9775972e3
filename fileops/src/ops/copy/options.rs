//! What may be asked of a copy: the verbs, and their options with their defaults.

use super::{Durability, Metadata, Resume, Verify, run};
use crate::conflict::{Merges, OnConflict, Undoable};
use crate::engine::Workers;
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::ops::delete::Mounts;
use crate::ops::{recover, source};
use crate::pool::Pool;
use crate::question::OnError;
use crate::report::Report;
use crate::schedule::{Effort, Uses};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

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
pub(in crate::ops) enum Copies {
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
    /// Everything that is finished stays, under its final name; of a new tree that was to be verified nothing does.
    KeepFinished,
}

/// A copy that was not started yet; see [`copy`] and [`copy_as`].
#[must_use = "nothing is copied until it is started or awaited"]
pub struct Copy {
    pub(super) sources: Vec<PathBuf>,
    pub(super) destination: Destination,
    pub(super) options: Options,
    pub(super) pool: Option<Pool>,
    /// Which interrupted operation this goes on with.
    pub(super) resumes: Option<String>,
}

#[derive(Clone)]
pub(in crate::ops) enum Destination {
    Into(PathBuf),
    Name(PathBuf),
}

impl Destination {
    pub(super) fn path(&self) -> &Path {
        match self {
            Destination::Into(path) | Destination::Name(path) => path,
        }
    }
}

#[derive(Clone, Copy)]
pub(in crate::ops) struct Options {
    pub(in crate::ops) on_conflict: OnConflict,
    pub(in crate::ops) on_shortage: OnShortage,
    pub(in crate::ops) on_cancel: OnCancel,
    pub(in crate::ops) links: Links,
    pub(in crate::ops) names: Names,
    pub(in crate::ops) read_only_dirs: ReadOnlyDirs,
    pub(in crate::ops) workers: Workers,
    pub(in crate::ops) retries: u32,
    /// `None`: as the target's medium asks for.
    pub(in crate::ops) durability: Option<Durability>,
    pub(in crate::ops) verify: Verify,
    pub(in crate::ops) bandwidth: Option<u64>,
    pub(in crate::ops) resume: Resume,
    pub(in crate::ops) undoable: Undoable,
    pub(in crate::ops) on_error: OnError,
    pub(in crate::ops) merges: Merges,
    pub(in crate::ops) metadata: Metadata,
    /// For a move: what happens at mount points below its sources.
    pub(in crate::ops) moves: Option<Mounts>,
    /// For a move: names that were only changed are on the device too when it is done.
    pub(in crate::ops) syncs_names: bool,
    pub(in crate::ops) copies: Copies,
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
            metadata: Metadata::default(),
            moves: None,
            syncs_names: false,
            copies: Copies::default(),
        }
    }
}

impl Copy {
    pub(super) fn new(sources: Vec<PathBuf>, destination: Destination) -> Copy {
        Copy::with(sources, destination, Options::default())
    }

    pub(in crate::ops) fn with(sources: Vec<PathBuf>, destination: Destination, options: Options) -> Copy {
        Copy { sources, destination, options, pool: None, resumes: None }
    }

    pub(in crate::ops) fn going_on_with(self, id: &str) -> Copy {
        Copy { resumes: Some(id.to_owned()), ..self }
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

    /// What becomes of tags and other attributes where the target has no place for them; default [`Metadata::Note`].
    pub fn metadata(mut self, metadata: Metadata) -> Copy {
        self.options.metadata = metadata;
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
        let resumes = self.resumes;
        Operation::start_in_turn(&pool.clone(), job, uses, move |job| {
            let report = run(sources, destination, options, &job, &pool);
            recover::was_resumed(resumes.as_deref(), &report);
            report
        })
    }
}

impl IntoFuture for Copy {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}
