//! What an operation did, and what it did not: every entry that failed or was skipped, and what could not be kept.

use crate::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Something that could not be kept although the entry was copied. Equal ones are counted, not repeated.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoteKind {
    /// The owner or group could not be set.
    OwnerNotKept,
    /// Setuid or setgid was dropped because the owner could not be kept.
    SetIdNotKept,
    /// The target's file system does not hold this mode.
    ModeNotKept,
    /// The target's file system does not hold these times.
    TimesNotKept,
    /// An extended attribute (an ACL, a capability) could not be set.
    AttributesNotKept,
    /// A hard link became a file of its own.
    LinkNotKept,
    /// A name was changed by rule to one the target's file system allows.
    NameChanged,
    /// A directory from a read-only medium was made writable for its owner.
    MadeWritable,
    /// The target seems too full for what is still to come.
    MayNotFit,
    /// Recovery has no record of this operation: its state directory could not be written.
    NotJournalled,
    /// What was replaced or taken away could not be kept: an undo cannot bring it back.
    NotKept,
    /// Something unfinished could not be removed; `fileops recover` finds it.
    LeftBehind,
}

/// One kind of note, where it was met first, and how often.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Note {
    /// What was not kept.
    pub kind: NoteKind,
    /// The first path it happened to.
    pub path: PathBuf,
    /// How many paths it happened to.
    pub count: u64,
    /// The kernel's answer the first time.
    pub errno: Option<i32>,
}

/// An entry that was left out by rule, or by an answer.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The source.
    pub path: PathBuf,
    /// What is in its place.
    pub target: PathBuf,
}

/// Files and their bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many files.
    pub files: u64,
    /// Bytes of their contents, holes included.
    pub bytes: u64,
}

/// What was compared with the source, and what the comparison is worth.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Read past the page cache from a device of this machine.
    pub from_device: Tally,
    /// Read again from a file system that has no device of this machine below it: memory, a server, a program. What that
    /// answered is right; where it had it from is not known.
    pub read_back: Tally,
    /// Sharing their blocks with the source: there is nothing to compare.
    pub shared: Tally,
}

/// Something that was put into the trash, or taken out again.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it was: its path, or what the trash called it.
    pub path: PathBuf,
    /// Where it is: what the trash calls it ([`TrashItem::id`](crate::TrashItem::id)), or its path.
    pub target: PathBuf,
}

/// How an operation ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went through everything; single entries may have failed all the same.
    Done,
    /// It was cancelled.
    Cancelled,
    /// A failure ended it, by rule or by an answer: what a cancel leaves is left.
    Stopped,
}

/// What an operation did, and what it did not.
#[non_exhaustive]
#[derive(Debug)]
#[must_use = "a report names the entries that failed"]
pub struct Report {
    /// What [`undo`](crate::undo) calls the operation; `None` if there is nothing to undo.
    pub id: Option<String>,
    /// Whether it was cancelled.
    pub outcome: Outcome,
    /// Entries done: files, directories, links and special files.
    pub entries: u64,
    /// Entries among them that were removed again with the new tree they were in: it was cancelled, or could not get its
    /// name.
    pub removed: u64,
    /// Regular files among them.
    pub files: u64,
    /// Directories among them.
    pub directories: u64,
    /// Symbolic links among them.
    pub symlinks: u64,
    /// FIFOs, sockets and devices among them.
    pub specials: u64,
    /// Bytes of contents, holes included.
    pub bytes: u64,
    /// Bytes that were allocated for them at the source.
    pub allocated: u64,
    /// Files that share their blocks with the source.
    pub cloned: u64,
    /// Files that were verified, where that was asked for.
    pub verified: Verified,
    /// Bytes that an interrupted operation had copied before, and that were not written again.
    pub resumed: u64,
    /// Wall-clock time, pauses included.
    pub elapsed: Duration,
    /// The most workers at it at one time.
    pub workers: usize,
    /// Entries that failed, each once; and those whose questions nobody answered.
    pub failures: Vec<Error>,
    /// Entries left out by rule, or by an answer.
    pub skipped: Vec<Skipped>,
    /// What was put into the trash, or taken out again, and where it is.
    pub moved: Vec<Moved>,
    /// What could not be kept.
    pub notes: Vec<Note>,
    /// Where calls were still under way when the operation ended: they will end when their file system answers.
    pub stuck: Vec<PathBuf>,
}

impl Report {
    /// The report, if nothing failed, was skipped or cancelled; else an error that holds it.
    ///
    /// # Errors
    /// [`Incomplete`] with the report in it.
    pub fn into_result(self) -> Result<Complete, Incomplete> {
        let report = Box::new(self);
        if report.is_complete() { Ok(Complete { report }) } else { Err(Incomplete { report }) }
    }

    /// Whether everything that was asked for is done.
    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Done && self.failures.is_empty() && self.skipped.is_empty()
    }
}

/// Everything was done: a report that nobody has to look at.
#[derive(Debug)]
#[non_exhaustive]
pub struct Complete {
    /// What was done.
    pub report: Box<Report>,
}

/// Not everything was done. `Display` counts, [`source`](std::error::Error::source) is the first failure.
#[derive(Debug)]
#[non_exhaustive]
pub struct Incomplete {
    /// What was done and what was not.
    pub report: Box<Report>,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let cancelled = match report.outcome {
            Outcome::Done => "",
            Outcome::Cancelled => "cancelled; ",
            Outcome::Stopped => "stopped; ",
        };
        let (done, failed, skipped) = (report.entries, report.failures.len(), report.skipped.len());
        write!(f, "{cancelled}{done} entries done, {failed} failed, {skipped} skipped")
    }
}

impl std::error::Error for Incomplete {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.report.failures.first().map(|error| error as _)
    }
}
