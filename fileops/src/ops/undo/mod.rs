//! Undoing: the inverse of each step that an operation recorded, the last first. Itself an operation, with a journal of its
//! own, so that undoing an undo is the redo.

mod history;
mod inverse;
mod settle;
mod trim;
mod unchanged;

pub use history::{Past, PastState, history, undone};
pub(crate) use settle::settle;

use crate::engine::Workers;
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{self, Dir, Held, Step};
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::ops::{recover, steps};
use crate::pool::Pool;
use crate::progress::add;
use crate::report::{Outcome, Report};
use crate::schedule::Uses;
use crate::sys::stat::{Stat, Time};
use inverse::Inverse;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use trim::trim;

/// Takes back what an operation did: what it made goes, what it replaced comes back, what it moved goes home. `id` is the
/// [`Report::id`](crate::Report::id) of the operation, or a [`Past::id`] of the [`history`].
///
/// Only what is still as the operation left it is taken away; what was changed since is a failure, and stays. What is taken
/// away goes to the kept area of its mount, so that [`redo`] can bring it back. An undo that was cancelled or failed in part
/// can be called again and goes on with the rest.
///
/// ```
/// # let base = std::env::temp_dir().join(format!("fileops-doc-undo-{}", std::process::id()));
/// # let (photo, album) = (base.join("photo.jpg"), base.join("album"));
/// # std::fs::create_dir_all(&album)?;
/// # std::fs::write(&photo, b"x")?;
/// # fileops::block_on(async {
/// let done = fileops::copy([&photo], &album).await;
/// if let Some(id) = done.id {
///     fileops::undo(id).await.into_result()?;
/// }
/// # Ok::<_, fileops::Incomplete>(())
/// # })?;
/// # assert!(!album.join("photo.jpg").exists());
/// # std::fs::remove_dir_all(&base)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The [`Report`] names every step that could not be taken back. ENOENT when no such operation is known, EBUSY when
/// another undo of it runs.
pub fn undo(id: impl Into<String>) -> Undo {
    Undo { id: id.into(), is_redo: false, pool: None }
}

/// Does again what an [`undo`] took back. `id` is that of the operation that was undone.
///
/// # Errors
/// As [`undo`]. ENOENT too when the operation was not undone.
pub fn redo(id: impl Into<String>) -> Undo {
    Undo { id: id.into(), is_redo: true, pool: None }
}

/// An undo or redo that was not started yet; see [`undo`] and [`redo`].
#[must_use = "nothing is undone until it is started or awaited"]
pub struct Undo {
    id: String,
    is_redo: bool,
    pool: Option<Pool>,
}

impl Undo {
    /// Uses the threads of this pool, instead of the global one.
    pub fn pool(mut self, pool: &Pool) -> Undo {
        self.pool = Some(pool.clone());
        self
    }

    /// Starts undoing, and gives the handle.
    pub fn start(self) -> Operation {
        let pool = self.pool.unwrap_or_else(|| Pool::global().clone());
        let (id, is_redo) = (self.id, self.is_redo);
        let job = Job::new(if is_redo { "redo" } else { "undo" }, OnShortage::Warn);
        Operation::start_in_turn(&pool.clone(), job, Uses::names(), move |job| {
            if let Err(error) = run(&id, is_redo, &job, &pool) {
                job.fail(error);
            }
            let is_cancelled = job.control.is_cancelled();
            finish(&job, &pool, true, is_cancelled);
            job.report(if is_cancelled { Outcome::Cancelled } else { Outcome::Done })
        })
    }
}

impl IntoFuture for Undo {
    type Output = Report;
    type IntoFuture = Running;

    fn into_future(self) -> Running {
        Running::new(self.start())
    }
}

fn run(id: &str, is_redo: bool, job: &Arc<Job>, pool: &Pool) -> Result<()> {
    let mut held = if is_redo { undo_of(id)? } else { hold(id)? };
    let told = |path: &Path| Error::new(Action::Undo, path, std::io::ErrorKind::InvalidData);
    if held.journal.ended.is_none() {
        settle(&mut held).during(Action::Journal, PathBuf::new)?;
        recover::remove_stages(&held.journal, pool).map_err(|mut errors| {
            let last = errors.pop().unwrap_or_else(|| told(&held.journal.path));
            errors.into_iter().for_each(|error| job.fail(error));
            last
        })?;
    }
    let touched = untouched_since(&held);
    job.journal.undoes(&held.journal.id);
    let left: Vec<_> =
        held.journal.steps.iter().filter(|begun| begun.step.is_change() && !begun.is_inverted).cloned().collect();
    job.meter.totals.entries.store(left.len() as u64, Relaxed);
    job.meter.totals.is_complete.store(true, Relaxed);
    let counters = job.meter.counters();
    let mut inverse = Inverse::new(job, pool, &held.journal);
    let mut is_whole = true;
    for begun in left.into_iter().rev() {
        if job.checkpoint().is_err() {
            is_whole = false;
            break;
        }
        match inverse.of(&begun.step) {
            Ok(()) => {
                add(&counters.entries, 1);
                held.inverted(begun.number).during(Action::Journal, || &held.journal.path)?;
            }
            Err(error) => {
                is_whole = false;
                add(&counters.passed, 1);
                job.fail(error);
            }
        }
    }
    inverse.seal();
    if is_whole {
        for (dir, modified) in touched {
            let _ = steps::open_dir(&dir).and_then(|file| steps::set_modified(&file, modified));
        }
        settle_history(&held, is_redo).during(Action::Journal, || &held.journal.path)?;
    }
    Ok(())
}

/// Ends what an operation has recorded and kept.
pub(crate) fn finish(job: &Job, pool: &Pool, is_clean: bool, is_cancelled: bool) {
    job.journal.finish(is_clean, is_cancelled);
    if is_clean {
        trim(job, pool);
    }
    job.kept.tidy();
}

/// The journal of an operation, wherever it is.
fn hold(id: &str) -> Result<Held> {
    let path = journal::find(id).during(Action::Journal, PathBuf::new)?;
    let path = path.ok_or_else(|| Error::new(Action::Undo, id, std::io::ErrorKind::NotFound))?;
    let held = journal::hold(&path).during(Action::Journal, || &path)?;
    held.ok_or_else(|| Error::new(Action::Undo, id, std::io::ErrorKind::ResourceBusy))
}

/// The journal of the newest undo of an operation.
fn undo_of(id: &str) -> Result<Held> {
    let past = journal::history().during(Action::Journal, PathBuf::new)?;
    let undo = past.into_iter().rev().find(|past| past.undoes.as_deref() == Some(id) && past.has_changes());
    let undo = undo.ok_or_else(|| Error::new(Action::Redo, id, std::io::ErrorKind::NotFound))?;
    hold(&undo.id)
}

/// After a redo there are three journals of what is one operation to its user: the newest has everything.
fn settle_history(held: &Held, is_redo: bool) -> std::io::Result<()> {
    let is_interrupted = held.journal.ended.is_none();
    match &held.journal.undoes {
        Some(original) if is_redo => {
            if let Some(path) = journal::find(original)? {
                if let Some(original) = journal::hold(&path)?.filter(|held| !held.journal.has_changes()) {
                    original.forget()?;
                }
            }
            held.forget()
        }
        _ if is_interrupted => held.archive(),
        _ => Ok(()),
    }
}

/// The directories that the operation worked in and nobody else has since, with the times they had before it.
fn untouched_since(held: &Held) -> Vec<(Dir, Time)> {
    let end = held.journal.ended.map_or(held.journal.written, |(_, end)| end);
    let end = Time { seconds: end.as_secs() as i64, nanoseconds: end.subsec_nanos().into() };
    let mut seen = HashSet::new();
    let touched = held.journal.steps.iter().filter_map(|begun| match &begun.step {
        Step::Touched { dir, modified } if seen.insert(dir.path.clone()) => Some((dir.clone(), *modified)),
        _ => None,
    });
    let is_untouched = |dir: &Dir| match steps::open_dir(dir).and_then(Stat::of) {
        Ok(stat) => stat.modified <= end,
        // The operation took it away, and it is about to come back.
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    touched.filter(|(dir, _)| is_untouched(dir)).collect()
}

/// How many workers look whether a tree is as it was.
const CHECKERS: Workers = Workers::Adapt;

/// What was changed since the operation.
fn changed(path: PathBuf) -> Error {
    Error::new(Action::Undo, path, Refusal::ChangedSince)
}
