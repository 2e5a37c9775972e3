//! Undoing: the inverse of each step that an operation recorded, the last first. Itself an operation, with a journal of its
//! own, so that undoing an undo is the redo.

mod history;
mod inverse;
mod known;
mod settle;
mod trim;
mod unchanged;

pub use history::{Past, PastState, history, undone};
pub(crate) use settle::settle;

use crate::engine::Workers;
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{self, Held, Step, Written};
use crate::operation::{Job, OnShortage, Operation, Running};
use crate::ops::{recover, steps};
use crate::pool::Pool;
use crate::progress::add;
use crate::report::{NoteKind, Outcome, Report};
use crate::schedule::Uses;
use crate::sys::stat::{Stat, Time};
use inverse::Inverse;
use std::collections::{HashMap, HashSet};
use std::io;
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
    end_undos(id).during(Action::Journal, PathBuf::new)?;
    if !is_redo {
        let held = hold(id, Action::Undo)?;
        return invert(held, false, job, pool).map(drop);
    }
    let mut held = undo_of(id)?.ok_or_else(|| unknown(Action::Redo, id))?;
    // An undo that was not whole was followed by others.
    while invert(held, true, job, pool)? {
        match undo_of(id)? {
            Some(next) => held = next,
            None => return forget_undone(id).during(Action::Journal, PathBuf::new),
        }
    }
    Ok(())
}

/// Inverts what is left of one operation; gives whether that is now nothing.
fn invert(mut held: Held, is_redo: bool, job: &Arc<Job>, pool: &Pool) -> Result<bool> {
    let told = |path: &Path| Error::new(Action::Undo, path, std::io::ErrorKind::InvalidData);
    settle(&mut held).during(Action::Journal, PathBuf::new)?;
    if held.journal.ended.is_none() {
        recover::remove_stages(&held.journal, pool).map_err(|mut errors| {
            let last = errors.pop().unwrap_or_else(|| told(&held.journal.path));
            errors.into_iter().for_each(|error| job.fail(error));
            last
        })?;
    }
    let verb = held.journal.original.clone().unwrap_or_else(|| held.journal.verb.clone());
    job.journal.undoes(&held.journal.id, &verb);
    if let Some(error) = job.journal.error() {
        return Err(error).during(Action::Journal, || &held.journal.path);
    }
    let left: Vec<_> =
        held.journal.steps.iter().filter(|begun| begun.step.is_change() && !begun.is_inverted).cloned().collect();
    job.meter.totals.entries.fetch_add(left.len() as u64, Relaxed);
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
                if let Err(error) = held.inverted(begun.number).during(Action::Journal, || &held.journal.path) {
                    // The next undo finds out that it was done.
                    job.fail(error);
                    is_whole = false;
                    break;
                }
            }
            Err(error) if job.control.is_cancelled() && error.source.kind() == io::ErrorKind::Interrupted => {
                is_whole = false;
            }
            Err(error) => {
                is_whole = false;
                add(&counters.passed, 1);
                job.fail(error);
            }
        }
    }
    inverse.seal();
    put_back_times(&held, &inverse, is_whole, job);
    if is_whole || (held.is_interrupted() && !is_redo) {
        // Nothing unfinished is left of an interrupted one: what could not be undone now can be from the history.
        settle_history(&held, is_redo).during(Action::Journal, || &held.journal.path)?;
    }
    Ok(is_whole)
}

/// Ends what an operation has recorded and kept.
pub(crate) fn finish(job: &Job, pool: &Pool, is_clean: bool, is_cancelled: bool) {
    if is_clean {
        steps::leave(job);
    }
    job.journal.finish(is_clean, is_cancelled);
    if is_clean {
        trim(job, pool);
    }
    job.kept.tidy();
}

/// The journal of an operation, wherever it is.
pub(crate) fn hold(id: &str, action: Action) -> Result<Held> {
    let path = journal::find(id).during(Action::Journal, PathBuf::new)?;
    let path = path.ok_or_else(|| unknown(action, id))?;
    let held = journal::hold(&path).during(Action::Journal, || &path)?;
    held.ok_or_else(|| Error::new(action, id, io::Error::from_raw_os_error(libc::EBUSY)))
}

fn unknown(action: Action, id: &str) -> Error {
    Error::new(action, id, io::Error::from_raw_os_error(libc::ENOENT))
}

/// The journal of the newest undo of an operation that was not redone.
fn undo_of(id: &str) -> Result<Option<Held>> {
    let past = journal::history().during(Action::Journal, PathBuf::new)?;
    let is_it = |past: &Written| past.verb == "undo" && past.undoes.as_deref() == Some(id) && past.has_changes();
    past.into_iter().rev().find(is_it).map(|undo| hold(&undo.id, Action::Redo)).transpose()
}

/// Undos of an operation that were interrupted are over.
fn end_undos(id: &str) -> io::Result<()> {
    for mut held in journal::interrupted()?.into_iter().filter(|held| held.journal.undoes.as_deref() == Some(id)) {
        settle(&mut held)?;
        if held.journal.has_changes() { held.archive()? } else { held.forget()? }
    }
    Ok(())
}

/// The journal of what was undone has nothing left to say once that was redone: the redo has its own.
fn forget_undone(id: &str) -> io::Result<()> {
    let Some(path) = journal::find(id)? else { return Ok(()) };
    match journal::hold(&path)?.filter(|held| !held.journal.has_changes()) {
        Some(held) => held.forget(),
        None => Ok(()),
    }
}

fn settle_history(held: &Held, is_redo: bool) -> io::Result<()> {
    match held.journal.ended {
        _ if is_redo => held.forget(),
        None if held.journal.steps.is_empty() => held.forget(),
        None => held.archive(),
        Some(_) => Ok(()),
    }
}

/// Gives the directories that the operation worked in, and nobody else since, the times that they had before it. If
/// something is left to be undone, those they had now: the next undo is to find them as the operation left them.
fn put_back_times(held: &Held, inverse: &Inverse<'_>, is_whole: bool, job: &Job) {
    let end = held.journal.ended.map_or(held.journal.written, |(_, end)| end);
    let end = Time { seconds: end.as_secs() as i64, nanoseconds: end.subsec_nanos().into() };
    let (mut before, mut left) = (Vec::new(), HashMap::new());
    let mut seen = HashSet::new();
    for begun in &held.journal.steps {
        match &begun.step {
            Step::Touched { dir, modified } if seen.insert(&dir.path) => before.push((dir, *modified)),
            Step::Left { dir, modified, .. } => drop(left.insert(&dir.path, *modified)),
            _ => {}
        }
    }
    for (dir, before) in before {
        let put_back = || -> io::Result<()> {
            let file = steps::open_dir(dir)?;
            let now = inverse.time_of(dir).map_or_else(|| Stat::of(&file).map(|stat| stat.modified), Ok)?;
            // An operation that was interrupted did not record how it left them.
            let is_untouched = left.get(&dir.path).map_or(now <= end, |left| *left == now);
            if !is_untouched {
                return Ok(());
            }
            if inverse.time_of(dir).is_none() {
                job.journal.did(&Step::Touched { dir: dir.clone(), modified: now });
            }
            steps::set_modified(&file, if is_whole { before } else { now })
        };
        match put_back() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                job.note(NoteKind::TimesNotKept, Some(&error), || dir.path.to_path_buf());
            }
            _ => {}
        }
    }
}

/// How many workers look whether a tree is as it was.
const CHECKERS: Workers = Workers::Adapt;

/// What was changed since the operation.
fn changed(path: PathBuf) -> Error {
    Error::new(Action::Undo, path, Refusal::ChangedSince)
}
