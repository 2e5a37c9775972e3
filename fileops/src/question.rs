//! What an operation asks its caller, and the answers there are. `inbox` has those that are open.

use crate::conflict::{Conflict, EntryKind, NAME_MAX};
use crate::error::{Error, Refusal};
use crate::sys::stat::Stat;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// What happens when an entry fails.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The report names it; everything else goes on.
    #[default]
    Continue,
    /// The entry is parked and its question open; everything else goes on. What a guard of ours refused
    /// ([`Error::refusal`]) fails all the same: it would be refused again.
    Ask,
    /// Nothing further is started, as after a cancel.
    Stop,
}

/// What happens to something that no trash can take.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNoTrash {
    /// It stays where it is, and fails with [`Refusal::NoTrash`].
    #[default]
    Fail,
    /// It waits, and its question is open; everything else goes on.
    Ask,
    /// It is deleted for good, which no undo takes back: only for who says so.
    Delete,
}

/// What an undo does about something that was changed since the operation.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChanged {
    /// It stays as it is, and fails with [`Refusal::ChangedSince`].
    #[default]
    Fail,
    /// It waits, and with it what depends on it; its question is open, and everything else goes on.
    Ask,
    /// It is undone all the same. What was changed is kept, and a [`redo`](crate::redo) brings it back.
    Anyway,
}

/// A question that waits for an answer.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Open {
    /// What to call it in [`Inbox::answer`](crate::Inbox::answer).
    pub id: u64,
    /// What is asked.
    pub question: Question,
}

/// What is asked. More kinds will come.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Question {
    /// The target exists.
    Conflict(Arc<Conflict>),
    /// An entry failed.
    Failure(Failure),
    /// A medium, or the server of a mount, is gone, as this error said: the operation paused as a whole.
    MediumGone(Arc<Error>),
    /// No trash can take something.
    NoTrash(Arc<Error>),
    /// Something was changed since the operation that is undone.
    Changed(Arc<Error>),
}

/// An entry that failed, and waits for what is to be done about it.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Failure {
    /// What failed, and why.
    pub error: Arc<Error>,
    /// Whether [`Resolution::RetryWithRights`] can work, or why not.
    pub rights: Result<(), Unfit>,
}

/// What questions have in common that can be answered at once.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuestionKind {
    /// A file, link or special file is in the place of another.
    Replace,
    /// A directory is in the place of another; only where [`Merges::Ask`](crate::Merges::Ask) wants that asked.
    Merge,
    /// One of both is a directory, and the other is not.
    Mismatch,
    /// An entry failed.
    Failure,
    /// A medium is gone.
    MediumGone,
    /// No trash can take something.
    NoTrash,
    /// Something was changed since the operation that is undone.
    Changed,
}

/// An answer.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The entry is left out; the report names it.
    Skip,
    /// The new file takes the old one's place, once it is whole.
    Replace,
    /// What is in the directory goes into the one that is there.
    Merge,
    /// The new one gets this name.
    Rename(OsString),
    /// The new one gets the next free name: "name (2)".
    KeepBoth,
    /// Replace if the source was modified later, else skip.
    Newer,
    /// Replace if the contents differ, else skip.
    Different,
    /// The entry is tried again; after [`Question::MediumGone`] the operation goes on.
    Retry,
    /// The entry is tried again, and a file or directory of the user's own that keeps the user out is opened for the time.
    RetryWithRights,
    /// What no trash can take is deleted for good.
    Delete,
    /// What was changed is undone all the same: it is kept, and a redo brings it back.
    Anyway,
    /// The whole operation ends, as after a cancel.
    Stop,
}

/// Which questions an answer is for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The one that was named.
    #[default]
    This,
    /// All of its kind that are open, and those still to come.
    Kind,
    /// All that the answer fits, open and still to come.
    All,
}

/// Why an answer was not taken. The question stays open.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such question, or it was answered before.
    NotOpen,
    /// This kind of question has no such answer.
    NoAnswer,
    /// One name is for one entry.
    OneOnly,
    /// No entry can have this name.
    NameNotAllowed,
    /// Another user's file or directory keeps us out.
    NotOwner,
    /// It is not for want of rights that the entry failed.
    NotAboutRights,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::NotOpen => "no such question is open",
            Unfit::NoAnswer => "this question has no such answer",
            Unfit::OneOnly => "a name is for one entry only",
            Unfit::NameNotAllowed => "no entry can have this name",
            Unfit::NotOwner => "it belongs to another user",
            Unfit::NotAboutRights => "it did not fail for want of rights",
        })
    }
}

impl std::error::Error for Unfit {}

impl Question {
    /// What it has in common with others.
    pub fn kind(&self) -> QuestionKind {
        let is_dir = |kind| kind == EntryKind::Directory;
        match self {
            Question::Failure(_) => QuestionKind::Failure,
            Question::MediumGone(_) => QuestionKind::MediumGone,
            Question::NoTrash(_) => QuestionKind::NoTrash,
            Question::Changed(_) => QuestionKind::Changed,
            Question::Conflict(conflict) => match (is_dir(conflict.source.kind), is_dir(conflict.target.kind)) {
                (true, true) => QuestionKind::Merge,
                (false, false) => QuestionKind::Replace,
                _ => QuestionKind::Mismatch,
            },
        }
    }

    /// The entry it is about.
    pub fn path(&self) -> &Path {
        match self {
            Question::Conflict(conflict) => &conflict.source.path,
            Question::Failure(failure) => &failure.error.path,
            Question::MediumGone(error) | Question::NoTrash(error) | Question::Changed(error) => &error.path,
        }
    }

    /// Whether an answer fits.
    ///
    /// # Errors
    /// Why it does not.
    pub fn allows(&self, resolution: &Resolution) -> Result<(), Unfit> {
        let is_known = match resolution {
            Resolution::Stop => true,
            Resolution::Skip => !matches!(self, Question::MediumGone(_)),
            Resolution::Replace | Resolution::Newer | Resolution::Different => self.kind() == QuestionKind::Replace,
            Resolution::Merge => {
                let can_merge = matches!(self, Question::Conflict(conflict) if conflict.can_merge);
                can_merge && self.kind() == QuestionKind::Merge
            }
            Resolution::Rename(_) | Resolution::KeepBoth => matches!(self, Question::Conflict(_)),
            Resolution::Retry => !matches!(self, Question::Conflict(_)),
            Resolution::RetryWithRights => matches!(self, Question::Failure(_)),
            Resolution::Delete => self.kind() == QuestionKind::NoTrash,
            Resolution::Anyway => self.kind() == QuestionKind::Changed,
        };
        match (is_known, self, resolution) {
            (false, ..) => Err(Unfit::NoAnswer),
            (_, _, Resolution::Rename(name)) if !is_name(name) => Err(Unfit::NameNotAllowed),
            (_, Question::Failure(failure), Resolution::RetryWithRights) => failure.rights,
            _ => Ok(()),
        }
    }

    /// Whether an answer leaves out what it is about, without another look.
    pub(crate) fn is_ended_by(&self, resolution: &Resolution) -> bool {
        *resolution == Resolution::Skip && !matches!(self, Question::Conflict(_))
    }

    /// What the report says when nobody answers.
    pub(crate) fn unanswered(&self) -> Error {
        match self {
            Question::Failure(failure) => failure.error.again(),
            Question::MediumGone(error) | Question::NoTrash(error) | Question::Changed(error) => error.again(),
            Question::Conflict(conflict) => {
                Error::new(conflict.action, &conflict.source.path, Refusal::Exists).with_target(&conflict.target.path)
            }
        }
    }

    /// What was seen at a target when this was asked: an answer that replaces something is about that.
    pub(crate) fn seen(&self) -> Option<Stat> {
        match self {
            Question::Conflict(conflict) => Some(conflict.seen),
            _ => None,
        }
    }
}

fn is_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let is_short = !name.is_empty() && name.len() <= NAME_MAX;
    is_short && name != b"." && name != b".." && !name.iter().any(|&byte| matches!(byte, 0 | b'/'))
}
