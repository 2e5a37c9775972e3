//! File operations for the Linux desktop: everything is a POSIX path, and what POSIX lacks is added around it.
#![deny(unsafe_code)]

mod conflict;
mod control;
mod engine;
mod error;
mod journal;
mod operation;
mod ops;
mod pool;
mod progress;
mod sys;

pub use conflict::OnConflict;
pub use error::{Action, Error, Refusal, Result, Shown};
pub use operation::{Incomplete, Note, NoteKind, OnShortage, Operation, Outcome, Report, Running, Shortage, Skipped};
pub use ops::copy::{Copy, Links, Names, OnCancel, ReadOnlyDirs, copy, copy_as};
pub use ops::measure::{Measure, measure};
pub use ops::recover::{Leftover, leftovers, search};
pub use pool::{Pool, Task, TaskError, block_on};
pub use progress::{Phase, Progress};
