//! What was done: the operations that can be undone, and those that were.

use crate::error::{Action, During, Result};
use crate::journal::{self, Step, Written};
use std::path::PathBuf;
use std::time::Duration;

/// An operation of the past, as its journal tells.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Past {
    /// What [`undo`](crate::undo) and [`redo`](crate::redo) call it.
    pub id: String,
    /// What it was: "copy", "move", "trash".
    pub verb: String,
    /// When it ended, in seconds since 1970; its start, if it was interrupted.
    pub time: u64,
    /// The first path it was about.
    pub path: PathBuf,
    /// The steps it made: entries that were made, replaced, moved or taken away, a new tree counting as one.
    pub steps: usize,
    /// Whether it was cancelled.
    pub was_cancelled: bool,
    /// Whether it did not come to its end: its process was killed.
    pub was_interrupted: bool,
    /// What became of it.
    pub state: PastState,
}

/// What became of an operation of the past.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastState {
    /// It stands, and can be undone.
    Done,
    /// It was undone in part: the undo failed or was cancelled.
    PartlyUndone,
    /// It was undone, and can be redone.
    Undone,
}

/// The operations of this user that are over or were interrupted, the newest first. An undo is no entry of its own: it
/// changes the state of what it undid.
///
/// # Errors
/// When the records cannot be read.
pub fn history() -> Result<Vec<Past>> {
    let journals = journal::history().during(Action::Journal, PathBuf::new)?;
    let interrupted = journal::interrupted().during(Action::Journal, PathBuf::new)?;
    let all = journals.iter().chain(interrupted.iter().map(|held| &held.journal));
    let is_entry = |journal: &&Written| journal.undoes.is_none() || journal.verb == "redo";
    let mut found: Vec<(Duration, Past)> =
        all.filter(is_entry).filter_map(|journal| Some((journal.order, past(journal)?))).collect();
    found.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
    Ok(found.into_iter().map(|(_, past)| past).collect())
}

/// The operations that were undone and can be redone, the one that was undone last first.
///
/// # Errors
/// When the records cannot be read.
pub fn undone() -> Result<Vec<Past>> {
    let journals = journal::history().during(Action::Journal, PathBuf::new)?;
    let undos = journals.iter().rev().filter(|journal| journal.has_changes());
    let originals = undos.filter_map(|undo| undo.undoes.as_ref().filter(|_| undo.verb == "undo"));
    let original = |id: &String| journals.iter().find(|journal| journal.id == *id).and_then(past);
    Ok(originals.filter_map(original).collect())
}

/// What was moved tells more than what was made beside.
pub(crate) fn about(journal: &Written) -> Option<PathBuf> {
    let changes = || journal.steps.iter().map(|begun| &begun.step).filter(|step| step.is_change());
    let is_move = |step: &&Step| matches!(step, Step::Moved { .. } | Step::Carried { .. });
    changes().find(is_move).or_else(|| changes().next()).map(Step::path)
}

fn past(journal: &Written) -> Option<Past> {
    let changes = || journal.steps.iter().filter(|begun| begun.step.is_change());
    let undone = changes().filter(|begun| begun.is_inverted).count();
    let state = match undone {
        0 => PastState::Done,
        all if all == changes().count() => PastState::Undone,
        _ => PastState::PartlyUndone,
    };
    Some(Past {
        id: journal.id.clone(),
        verb: journal.original.as_ref().unwrap_or(&journal.verb).clone(),
        time: journal.ended.map_or(journal.started, |(_, end)| end.as_secs()),
        path: about(journal)?,
        steps: changes().count(),
        was_cancelled: journal.ended.is_some_and(|(was_cancelled, _)| was_cancelled),
        was_interrupted: journal.ended.is_none(),
        state,
    })
}
