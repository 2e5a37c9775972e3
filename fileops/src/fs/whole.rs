//! A whole file in one call.

use super::call::{Call, Subject};
use crate::error::Action;
use crate::sys::cached::{self, Cached};
use crate::sys::stat::HERE;
use crate::sys::{data, open};
use std::path::Path;

/// The contents of a file.
///
/// Up to 256 KiB that are in the page cache come without a change of threads.
///
/// # Errors
/// `NotFound`, `PermissionDenied`, `IsADirectory`, and whatever the file system answers.
pub fn read(path: impl AsRef<Path>) -> Call<Vec<u8>> {
    Call::in_memory(
        Subject::new(Action::Read, path.as_ref()),
        |subject| match subject.name() {
            Ok(name) => cached::contents(name),
            Err(error) => Cached::Known(Err(error)),
        },
        |subject| {
            let file = open::plain(HERE, subject.name()?)?;
            Ok(data::read_to_end(&file)?)
        },
    )
}
