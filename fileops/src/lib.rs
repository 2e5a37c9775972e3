//! File operations for the Linux desktop: everything is a POSIX path, and what POSIX lacks is added around it.
//!
//! An operation is a builder that starts itself when it is awaited, on any executor:
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-crate-doc-{}", std::process::id()));
//! # let (photos, disk) = (base.join("photos"), base.join("disk"));
//! # std::fs::create_dir_all(&photos)?;
//! # std::fs::create_dir_all(&disk)?;
//! # fileops::block_on(async {
//! fileops::copy([&photos], &disk).await.into_result()?;
//! # Ok::<_, fileops::Incomplete>(())
//! # })?;
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Started by hand it gives an [`Operation`]: progress to be looked at, pause, resume, cancel, and the [`Report`] in the
//! end, which names every entry that failed or was skipped. A failure ends its entry, not the operation.
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-crate-doc-2-{}", std::process::id()));
//! # let (photos, disk) = (base.join("photos"), base.join("disk"));
//! # std::fs::create_dir_all(&photos)?;
//! # std::fs::create_dir_all(&disk)?;
//! use fileops::OnConflict;
//!
//! let copy = fileops::copy([&photos], &disk).on_conflict(OnConflict::Newer).start();
//! println!("{} entries so far", copy.progress().entries_done);
//! let report = copy.wait();
//! for failure in &report.failures {
//!     eprintln!("{failure}: {}", failure.source);
//! }
//! # assert!(report.is_complete());
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | verb | |
//! |---|---|
//! | [`copy`], [`copy_as`] | trees with everything that belongs to them; never half-written under a final name |
//! | [`move_to`], [`move_as`] | by renaming; across mounts by a durable copy, whose source goes last |
//! | [`delete`] | for good: no link is followed, no mount point crossed unless asked |
//! | [`measure`] | entries, bytes, allocated bytes, as du(1) counts |
//! | [`leftovers`], [`search`] | what interrupted operations left on disk, told by identity, removed when asked |
//!
//! Dropping an [`Operation`] lets it run on by itself; dropping the future of `copy(..).await` cancels it; a builder that
//! was not started does nothing. [`Pool`] makes any blocking call a future, with threads apart for each mount, so that one
//! that never answers delays nobody else.
#![deny(unsafe_code)]

mod conflict;
mod control;
mod engine;
mod error;
mod journal;
mod kept;
mod operation;
mod ops;
mod pool;
mod progress;
mod report;
mod schedule;
mod sys;

pub use conflict::{OnConflict, Undoable};
pub use error::{Action, Error, Refusal, Result, Shown};
pub use operation::{OnShortage, Operation, Running, Shortage};
pub use ops::copy::{Copy, Links, Names, OnCancel, ReadOnlyDirs, copy, copy_as};
pub use ops::delete::{Delete, Mounts, delete};
pub use ops::measure::{Measure, measure};
pub use ops::recover::{Leftover, leftovers, search};
pub use ops::relocate::{Move, move_as, move_to};
pub use ops::undo::{Past, PastState, Undo, history, redo, undo, undone};
pub use pool::{Pool, Task, TaskError, block_on};
pub use progress::{Phase, Progress};
pub use report::{Complete, Incomplete, Note, NoteKind, Outcome, Report, Skipped};
pub use schedule::{OperationId, Schedule, Scheduled, Scheduler, scheduler};
