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
//! Conflicts and failures can be asked about: the entry waits in the operation's [`Inbox`], and everything else is done
//! meanwhile. An answer is for one entry, or for all that are like it.
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-crate-doc-3-{}", std::process::id()));
//! # let (photos, disk) = (base.join("photos"), base.join("disk"));
//! # std::fs::create_dir_all(&photos)?;
//! # std::fs::create_dir_all(disk.join("photos"))?;
//! # std::fs::write(photos.join("a.jpg"), b"new")?;
//! # std::fs::write(disk.join("photos/a.jpg"), b"old")?;
//! # fileops::block_on(async {
//! use fileops::{OnConflict, Question, Resolution, Scope};
//!
//! let copy = fileops::copy([&photos], &disk).on_conflict(OnConflict::Ask).start();
//! while let Some(open) = copy.question().await {
//!     if let Question::Conflict(conflict) = &open.question {
//!         let resolution = if conflict.compare().await? { Resolution::Skip } else { Resolution::KeepBoth };
//!         copy.answer(open.id, resolution, Scope::This)?;
//!     }
//! }
//! copy.await.into_result()?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # assert!(disk.join("photos/a (2).jpg").exists());
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | verb | |
//! |---|---|
//! | [`copy`], [`copy_as`] | trees with everything that belongs to them; never half-written under a final name |
//! | [`move_to`], [`move_as`] | by renaming; across mounts by a durable copy, whose source goes last |
//! | [`rename`], [`create_file`], [`create_dir`], [`symlink`], [`hard_link`], [`duplicate`] | one entry, and never in the place of another |
//! | [`delete`] | for good: no link is followed, no mount point crossed unless asked |
//! | [`trash`], [`restore`] | into the trash of the freedesktop specification, on every mount, and back |
//! | [`trash_list`], [`trash_delete`], [`empty_trash`] | what is in it, and away with it |
//! | [`measure`] | entries, bytes, allocated bytes, as du(1) counts |
//! | [`interrupted`], [`leftovers`], [`search`] | what interrupted operations left on disk, told by identity, removed when asked |
//!
//! | beside them | |
//! |---|---|
//! | [`uri`] | addresses of network shares: URL, path below `~/net`, name |
//!
//! Dropping an [`Operation`] lets it run on by itself; dropping the future of `copy(..).await` cancels it; a builder that
//! was not started does nothing. [`Pool`] makes any blocking call a future, with threads apart for each mount, so that one
//! that never answers delays nobody else.
#![deny(unsafe_code)]

mod bandwidth;
mod comparison;
mod conflict;
mod control;
mod engine;
mod error;
pub mod fs;
mod inbox;
mod journal;
mod kept;
pub mod meta;
pub mod mounts;
mod operation;
mod ops;
mod pool;
mod progress;
mod question;
mod report;
mod schedule;
mod sys;
mod trash;
pub mod uri;
pub mod watch;

pub use comparison::Comparison;
pub use conflict::{Conflict, EntryKind, Merges, OnConflict, Party, Undoable, stem};
pub use error::{Action, Error, Refusal, Result, Shown};
pub use inbox::{Inbox, NextQuestion};
pub use operation::{OnShortage, Operation, Running, Shortage};
pub use ops::copy::{
    Copy, Durability, Links, Metadata, Names, OnCancel, ReadOnlyDirs, Resume, Verify, copy, copy_as, duplicate,
};
pub use ops::delete::{Delete, Mounts, delete};
pub use ops::measure::{Measure, measure};
pub use ops::recover::{Again, Interrupted, Leftover, forget, interrupted, leftovers, search};
pub use ops::relocate::{Move, move_as, move_to};
pub use ops::single::{Single, create_dir, create_file, hard_link, rename, symlink};
pub use ops::trash::{
    EmptyTrash, Listing, Restore, Trash, TrashDelete, TrashList, TrashListing, Trashed, empty_trash, restore, trash,
    trash_delete, trash_list,
};
pub use ops::undo::{Past, PastState, Undo, history, redo, undo, undone};
pub use pool::{Pool, Priority, Task, TaskError, block_on};
pub use progress::{Phase, Progress};
pub use question::{Failure, OnChanged, OnError, OnNoTrash, Open, Question, QuestionKind, Resolution, Scope, Unfit};
pub use report::{Complete, Incomplete, Moved, Note, NoteKind, Outcome, Report, Skipped, Tally, Verified};
pub use schedule::{Schedule, Scheduled, Scheduler, scheduler};
pub use trash::{Damage, TrashItem};
