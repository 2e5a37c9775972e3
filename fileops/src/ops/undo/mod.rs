//! Undoing: the inverse of each step that an operation recorded, the last first. Itself an operation, with a journal of its
//! own, so that undoing an undo is the redo.

mod history;
mod interrupted;
mod inverse;
mod known;
mod passage;
mod settle;
mod trim;
mod unchanged;

pub(crate) use history::about;
pub use history::{Past, PastState, history, undone};
pub(crate) use settle::settle;

use crate::conflict::OnConflict;
use crate::engine::{Stop, Visit, Workers};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::journal::{self, Begun, Held, Step, Written};
use crate::operation::{Job, Operation, Running};
use crate::ops::terms::{Terms, setters};
use crate::ops::turns::{self, Answer, Turns};
use crate::ops::{recover, steps};
use crate::pool::Pool;
use crate::progress::{Counters, add};
use crate::question::OnChanged;
use crate::report::{NoteKind, Outcome, Report};
use crate::schedule::Uses;
use crate::sys::stat::{Stat, Time};
use interrupted::{remove_stages, take_over, undoing};
use inverse::{Inverse, Inverted, Rules};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use trim::trim;

/// Takes back what an operation did: what it made goes, what it replaced comes back, what it moved goes home. `id` is the
/// [`Report::id`](crate::Report::id) of the operation, or a [`Past::id`] of the [`history`].
///
/// Only what is still as the operation left it is taken away; what was changed since is a failure, and stays, unless
/// [`Undo::on_changed`] says otherwise. What is taken away goes to the kept area of its mount, so that [`redo`] can bring it back. An undo that was cancelled or failed in part
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
    Undo::of(id.into(), false)
}

/// Does again what an [`undo`] took back. `id` is that of the operation that was undone.
///
/// # Errors
/// As [`undo`]. ENOENT too when the operation was not undone.
pub fn redo(id: impl Into<String>) -> Undo {
    Undo::of(id.into(), true)
}

/// An undo or redo that was not started yet; see [`undo`] and [`redo`].
#[must_use = "nothing is undone until it is started or awaited"]
pub struct Undo {
    id: String,
    is_redo: bool,
    rules: Rules,
    terms: Terms,
}

setters!(Undo: on_error, retry, pool);

impl Undo {
    fn of(id: String, is_redo: bool) -> Undo {
        Undo { id, is_redo, rules: Rules::default(), terms: Terms::default() }
    }

    /// What happens to what was changed since; default [`OnChanged::Fail`].
    pub fn on_changed(mut self, rule: OnChanged) -> Undo {
        self.rules.on_changed = rule;
        self
    }

    /// What happens where something comes back, and something else has its name by now; default [`OnConflict::Fail`]. What is
    /// replaced is kept, and a [`redo`] brings it back. A directory is never merged with another one, nor replaced.
    pub fn on_conflict(mut self, rule: OnConflict) -> Undo {
        self.rules.on_conflict = rule;
        self
    }

    /// Starts undoing, and gives the handle.
    pub fn start(self) -> Operation {
        let Undo { id, is_redo, rules, terms } = self;
        let (job, pool) = terms.begin(if is_redo { "redo" } else { "undo" });
        let asked = Asked { is_redo, rules, retries: terms.retries };
        Operation::start_in_turn(&pool.clone(), job, Uses::names(), move |job| {
            if let Err(error) = run(&id, asked, &job, &pool) {
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

/// What an undo was asked for.
#[derive(Clone, Copy)]
struct Asked {
    is_redo: bool,
    rules: Rules,
    retries: u32,
}

fn run(id: &str, asked: Asked, job: &Arc<Job>, pool: &Pool) -> Result<()> {
    interrupted::end(id, job, pool)?;
    if !asked.is_redo {
        let held = hold(id, Action::Undo)?;
        let verb = held.journal.original.clone().unwrap_or_else(|| held.journal.verb.clone());
        // An undo that was not whole is a part of this one.
        take_over(undoing(id, "undo")?, id, &verb, job)?;
        return invert(held, asked, job, pool).map(drop);
    }
    let held = undo_of(id, job, pool)?.ok_or_else(|| unknown(Action::Redo, id))?;
    let verb = held.journal.original.clone().unwrap_or_else(|| held.journal.verb.clone());
    let parts = undoing(&held.journal.id, "redo")?;
    // What was not undone is a part of what is done again.
    let mut original = original(id)?;
    if let Some(original) = &mut original {
        interrupted::share(original, job)?;
    }
    take_over(parts, &held.journal.id, &verb, job)?;
    if let Some(original) = &mut original {
        interrupted::give(original).during(Action::Journal, PathBuf::new)?;
    }
    if invert(held, asked, job, pool)? {
        // The redo has a journal of its own.
        original.map_or(Ok(()), |original| original.forget_but_passages()).during(Action::Journal, PathBuf::new)?;
    }
    Ok(())
}

/// The journal of what was undone, if it is still there.
fn original(id: &str) -> Result<Option<Held>> {
    let Some(path) = journal::find(id).during(Action::Journal, PathBuf::new)? else { return Ok(None) };
    journal::hold(&path).during(Action::Journal, || &path)
}

/// Inverts what is left of one operation; gives whether that is now nothing.
fn invert(mut held: Held, asked: Asked, job: &Arc<Job>, pool: &Pool) -> Result<bool> {
    settle(&mut held).during(Action::Journal, PathBuf::new)?;
    recover::put_back_modes(&mut held).during(Action::SetMode, || &held.journal.path)?;
    if held.journal.ended.is_none() {
        remove_stages(&held, job, pool)?;
    }
    let mut left: Vec<_> =
        held.journal.steps.iter().filter(|begun| begun.step.is_change() && !begun.is_inverted).cloned().collect();
    job.meter.totals.entries.fetch_add(left.len() as u64, Relaxed);
    job.meter.totals.is_complete.store(true, Relaxed);
    left.reverse();
    let inverse = Inverse::new(job, pool, &held.journal, asked.rules);
    let mut undoing = Undoing { held, left, inverse, job, counters: job.meter.counters(), has_skipped: false };
    let is_done = turns::run(&mut undoing, job, pool.has_threads(), asked.retries);
    let Undoing { held, mut inverse, has_skipped, .. } = undoing;
    let is_whole = is_done && !has_skipped;
    inverse.seal();
    put_back_times(&held, &inverse, is_whole, job);
    if is_whole || (held.is_interrupted() && !asked.is_redo) {
        // Nothing unfinished is left of an interrupted one: what could not be undone now can be from the history.
        settle_history(&held, asked.is_redo).during(Action::Journal, || &held.journal.path)?;
    }
    Ok(is_whole)
}

/// An operation that is being undone.
struct Undoing<'a> {
    held: Held,
    /// The steps, the last first.
    left: Vec<Begun>,
    inverse: Inverse<'a>,
    job: &'a Job,
    counters: Arc<Counters>,
    has_skipped: bool,
}

impl Turns for Undoing<'_> {
    fn count(&self) -> usize {
        self.left.len()
    }

    fn act(&mut self, index: usize, answer: Answer<'_>) -> Visit {
        let Begun { step, number, .. } = &self.left[index];
        match self.inverse.of(step, answer) {
            Ok(Inverted::Yes) => {
                add(&self.counters.entries, 1);
                // If this fails the next undo finds out that it was done.
                self.held.inverted(*number).during(Action::Journal, || &self.held.journal.path).map_err(|error| {
                    self.job.fail(error);
                    Stop::Cancelled
                })
            }
            Ok(Inverted::Skipped) => {
                self.has_skipped = true;
                add(&self.counters.passed, 1);
                Ok(())
            }
            Err(Stop::Failed(error)) if self.job.control.is_cancelled() && is_interruption(&error) => {
                Err(Stop::Cancelled)
            }
            Err(stop) => Err(stop),
        }
    }

    fn paths(&self, index: usize) -> Vec<PathBuf> {
        self.left[index].step.paths()
    }
}

fn is_interruption(error: &Error) -> bool {
    error.source.kind() == io::ErrorKind::Interrupted
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

pub(crate) fn unknown(action: Action, id: &str) -> Error {
    Error::new(action, id, io::Error::from_raw_os_error(libc::ENOENT))
}

/// Which operation an undo or redo is of, in the end.
pub(crate) fn undone_by(journal: &Written) -> io::Result<Option<String>> {
    let Some(id) = journal.undoes.clone() else { return Ok(None) };
    if journal.verb == "undo" {
        return Ok(Some(id));
    }
    // A redo undoes an undo.
    let undo = journal::history()?.into_iter().find(|past| past.id == id);
    Ok(undo.and_then(|undo| undo.undoes))
}

/// The journal of the newest undo of an operation that was not redone, or not to the end. An undo that is not whole is taken
/// over by the next; were there several, older programs left them.
fn undo_of(id: &str, job: &Arc<Job>, pool: &Pool) -> Result<Option<Held>> {
    let past = journal::history().during(Action::Journal, PathBuf::new)?;
    for undo in past.into_iter().rev().filter(|past| past.verb == "undo" && past.undoes.as_deref() == Some(id)) {
        interrupted::end(&undo.id, job, pool)?;
        if undo.has_changes() || !undoing(&undo.id, "redo")?.is_empty() {
            return hold(&undo.id, Action::Redo).map(Some);
        }
    }
    Ok(None)
}

fn settle_history(held: &Held, is_redo: bool) -> io::Result<()> {
    match held.journal.ended {
        _ if is_redo => held.forget_but_passages(),
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
