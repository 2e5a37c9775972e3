//! Metadata on the file itself: tags, a comment, a rating, where it came from; and what its contents say of themselves.
//!
//! All of it stands in extended attributes (xattr(7)) under the names that programs agree on, so that file managers,
//! getfattr(1), `gio info` and search engines see it, and theirs is seen here. It moves with the file and is copied with it;
//! no database has to know.
//!
//! Tag a file, and read it again:
//!
//! ```
//! # let path = std::env::current_dir()?.join(format!("fileops-meta-doc-{}", std::process::id()));
//! # std::fs::write(&path, "hello")?;
//! use fileops::meta::{self, Changes, Key};
//!
//! # let told = fileops::block_on(async {
//! meta::change(&path, Changes::new().tags(["holiday", "2026"]).rating(8).comment("the good one")).await?.into_result()?;
//!
//! let known = meta::read(&path).await?;
//! assert_eq!(known.tags, ["holiday", "2026"]);
//! assert_eq!(known.rating, Some(8)); // four stars
//!
//! meta::change(&path, Changes::new().add_tag("printed").remove(Key::Comment)).await?.into_result()?;
//! assert_eq!(meta::tags(&path).await?, ["holiday", "2026", "printed"]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # });
//! # std::fs::remove_file(&path)?;
//! # // Where the build directory has no attributes there is nothing to show.
//! # match told { Err(error) if error.to_string().starts_with("write attributes") => {} told => told? }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | call | gives |
//! |---|---|
//! | [`read`] | all attributes that programs agree on, with their types |
//! | [`tags`] | the tags alone, in one call |
//! | [`change`] | sets and removes several at once, and tells how far it came |
//! | [`get`], [`set`], [`remove`], [`list`] | any attribute by its name, raw |
//! | [`extract`](extract()) | kind, size of a picture, length of a song, title and pages of a document, charset of a text |
//!
//! Each is a [`Call`]: nothing happens before it is polled, any executor can do that, and a worker of the
//! file's mount makes it. Symbolic links are followed: what is tagged is the file. No call opens a FIFO or a device, and none
//! but `extract` needs the right to read the file.
//!
//! # Limits
//! Of user attributes the kernel takes 64 KiB each; ext4 has about 4 KiB for all of a file, other file systems more, FAT and
//! many FUSE file systems none. What does not fit is an error that says so: [`NoAttributes`](crate::Refusal::NoAttributes),
//! [`ValueTooLong`](crate::Refusal::ValueTooLong), [`AttributesFull`](crate::Refusal::AttributesFull). Reading where there are
//! none gives nothing, and is no error.

mod attributes;
mod common;
#[cfg(feature = "extract")]
mod extract;
pub(crate) mod sidecar;

pub use attributes::{Attributes, Changed};
pub use common::{Changes, Common, Key};
#[cfg(feature = "extract")]
pub use extract::{Cache, Extracted};

use crate::error::{Action, Error, Refusal};
use crate::fs::{Call, blocking};
use std::ffi::OsString;
use std::path::Path;

/// What a file has of the attributes that programs agree on. Nothing of a file on a file system without attributes.
///
/// # Errors
/// What open(2) and getxattr(2) say, with the path. What is no such value is no error, but
/// [`unreadable`](Common::unreadable).
pub fn read(path: impl AsRef<Path>) -> Call<Common> {
    blocking(Action::ReadXattr, path.as_ref(), common::read)
}

/// The tags of a file (`user.xdg.tags`), in the order in which they are written, each once.
///
/// # Errors
/// As [`read`]; and [`Refusal::NotText`] for tags that are not UTF-8.
pub fn tags(path: impl AsRef<Path>) -> Call<Vec<String>> {
    blocking(Action::ReadXattr, path.as_ref(), common::tags)
}

/// Makes changes to the attributes of a file, one after the other. A value that is not possible makes all of them fail before
/// the first; what the file system refuses ends them where it stands.
///
/// Between [`add_tag`](Changes::add_tag)'s reading and writing somebody else's change of the tags may get lost: there is no
/// lock for attributes.
///
/// # Errors
/// What kept the file from being reached. All else is in [`Changed`], with what was done before.
pub fn change(path: impl AsRef<Path>, changes: Changes) -> Call<Changed> {
    blocking(Action::WriteXattr, path.as_ref(), |path| changes.apply(path))
}

/// The value of any attribute, by its name with its namespace ("user.xdg.tags"). `None` if there is no such attribute, or the
/// file system has none at all.
///
/// # Errors
/// What getxattr(2) says; [`Refusal::NotAValue`] for a name that none can have.
pub fn get(path: impl AsRef<Path>, name: impl Into<OsString>) -> Call<Option<Vec<u8>>> {
    let name = name.into();
    blocking(Action::ReadXattr, path.as_ref(), move |path| attributes::get(path, &name))
}

/// Sets any attribute, by its name with its namespace, to any bytes; what it was is replaced.
///
/// # Errors
/// [`Refusal::NoAttributes`], [`Refusal::ValueTooLong`], [`Refusal::AttributesFull`], and else what setxattr(2) says.
pub fn set(path: impl AsRef<Path>, name: impl Into<OsString>, value: impl Into<Vec<u8>>) -> Call<()> {
    let (name, value) = (name.into(), value.into());
    blocking(Action::WriteXattr, path.as_ref(), move |path| attributes::set(path, &name, &value))
}

/// Takes any attribute away. Gives whether it was there.
///
/// # Errors
/// What removexattr(2) says.
pub fn remove(path: impl AsRef<Path>, name: impl Into<OsString>) -> Call<bool> {
    let name = name.into();
    blocking(Action::WriteXattr, path.as_ref(), move |path| attributes::remove(path, &name))
}

/// All attributes that the caller may see and read, ACLs and others that are not the user's among them, sorted by their names.
///
/// # Errors
/// What listxattr(2) and getxattr(2) say.
pub fn list(path: impl AsRef<Path>) -> Call<Attributes> {
    blocking(Action::ReadXattr, path.as_ref(), attributes::list)
}

/// What a file is, and what its contents say of themselves: nothing in them is believed, and a parser that breaks is an answer
/// that says [`is_damaged`](Extracted::is_damaged).
///
/// Reads at most 64 MiB, for at most 10 s. A large song or video needs only its head, or both ends, of which a server
/// is asked in some ten reads.
///
/// # Errors
/// What open(2) and read(2) say; [`Refusal::TooMuch`] where a limit ended it.
#[cfg(feature = "extract")]
pub fn extract(path: impl AsRef<Path>, cache: Cache) -> Call<Extracted> {
    blocking(Action::Extract, path.as_ref(), move |path| extract::extract(path, cache))
}

/// An error about one path, where a value is not possible.
fn refused(path: &Path, refusal: Refusal) -> Error {
    Error::new(Action::WriteXattr, path, refusal)
}

/// A file that is expected to be small, as far as that.
#[cfg(feature = "extract")]
fn read_small(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
