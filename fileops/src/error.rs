//! What failed: the action, the paths, the kernel's answer. Sentences for people are made in the user interface.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What was being done when the kernel, or a guard of ours, said no.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Starting the operation itself (threads, descriptors).
    Start,
    /// Opening a file or directory.
    Open,
    /// Reading a directory's entries.
    List,
    /// Asking for an entry's attributes.
    Stat,
    /// Watching a file or directory for changes.
    Watch,
    /// Reading a file's contents.
    Read,
    /// Writing a file's contents.
    Write,
    /// Copying an entry as a whole, where no single call is to blame.
    Copy,
    /// Moving an entry as a whole, where no single call is to blame.
    Move,
    /// Creating a file.
    Create,
    /// Creating a directory.
    CreateDir,
    /// Creating a FIFO, socket or device.
    CreateSpecial,
    /// Creating or reading a symbolic link.
    Symlink,
    /// Reading what a symbolic link holds.
    ReadLink,
    /// Finding the real path behind links.
    Resolve,
    /// Creating a hard link.
    Link,
    /// Renaming, which is also how a finished stage gets its final name.
    Rename,
    /// Putting something into the trash.
    Trash,
    /// Taking something out of the trash again.
    Restore,
    /// Removing a file.
    Remove,
    /// Removing a directory.
    RemoveDir,
    /// Changing permission bits.
    SetMode,
    /// Changing owner or group.
    SetOwner,
    /// Changing access and modification times.
    SetTimes,
    /// Reading extended attributes (POSIX ACLs and capabilities are such).
    ReadXattr,
    /// Writing extended attributes.
    WriteXattr,
    /// Finding out what a file is, and what its contents say of themselves.
    Extract,
    /// Making data durable.
    Sync,
    /// Keeping or reading the records that recovery needs.
    Journal,
    /// Comparing a copy with its source.
    Verify,
    /// Taking back what an operation did.
    Undo,
    /// Doing again what was taken back.
    Redo,
}

impl Action {
    /// A short English verb phrase for terminals and logs: "open", "set times of".
    pub fn verb(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Open => "open",
            Action::List => "list",
            Action::Stat => "stat",
            Action::Watch => "watch",
            Action::Read => "read",
            Action::Write => "write",
            Action::Copy => "copy",
            Action::Move => "move",
            Action::Create => "create",
            Action::CreateDir => "create directory",
            Action::CreateSpecial => "create special file",
            Action::Symlink => "make symbolic link",
            Action::ReadLink => "read symbolic link",
            Action::Resolve => "resolve",
            Action::Link => "link",
            Action::Rename => "rename",
            Action::Trash => "trash",
            Action::Restore => "restore",
            Action::Remove => "remove",
            Action::RemoveDir => "remove directory",
            Action::SetMode => "set mode of",
            Action::SetOwner => "set owner of",
            Action::SetTimes => "set times of",
            Action::ReadXattr => "read attributes of",
            Action::WriteXattr => "write attributes of",
            Action::Extract => "extract metadata from",
            Action::Sync => "sync",
            Action::Journal => "journal",
            Action::Verify => "verify",
            Action::Undo => "undo",
            Action::Redo => "redo",
        }
    }
}

/// Why a guard of ours refused before, or instead of, the kernel.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Source and target are one file, by device and inode.
    SameFile,
    /// A directory would go into itself.
    IntoItself,
    /// The target exists and no rule allows to touch it.
    Exists,
    /// A file would replace a directory, or a directory a file.
    KindDiffers,
    /// The source changed while it was read; nothing was left under the target's name.
    Changed,
    /// The target was exchanged by somebody else between the check and the replacement.
    TargetChanged,
    /// The target's file system cannot hold such a name.
    NameNotAllowed,
    /// The file is larger than the target's file system can hold.
    TooLarge,
    /// The target's file system has no such kind of entry.
    KindNotSupported,
    /// Another file system is mounted there, and the operation stays on its own.
    MountPoint,
    /// A path that ends in `.` or `..` names no entry that could be taken away.
    NoName,
    /// What was read back is not what was written. The copy was removed, or never got its name.
    Mismatch,
    /// No trash can take it: the file system is read-only, or is not for keeping files, or there is no right to make one.
    NoTrash,
    /// It is a trash, or is in one, or has one in it.
    IsTrash,
    /// What is recorded of it in the trash does not tell where it was, or is not there.
    Damaged,
    /// It is not any more what the operation left, and stays as it is.
    ChangedSince,
    /// What was replaced or taken away is not kept any more.
    NotKept,
    /// Some of it could not be done, for reasons told beside.
    InPart,
    /// The file system, or this kind of entry, has no such attributes. Of user attributes: only regular files and
    /// directories have them (xattr(7)).
    NoAttributes,
    /// The value is longer than the file system, or the kernel (64 KiB), takes for one attribute.
    ValueTooLong,
    /// The attributes of this file together need more than the file system has for them, though its disk is not full.
    AttributesFull,
    /// An attribute that is text by its definition is not UTF-8, or holds what text cannot.
    NotText,
    /// No such value is possible: a tag with a comma in it, a rating above 10, a name without a namespace.
    NotAValue,
    /// Its contents would need more time or memory to be understood than they are given.
    TooMuch,
}

impl Refusal {
    /// The errno that fits best, for callers that speak in numbers.
    pub fn errno(self) -> i32 {
        match self {
            Refusal::SameFile | Refusal::IntoItself | Refusal::NameNotAllowed | Refusal::NoName => libc::EINVAL,
            Refusal::Exists => libc::EEXIST,
            Refusal::KindDiffers => libc::EISDIR,
            Refusal::Changed | Refusal::TargetChanged | Refusal::ChangedSince => libc::ESTALE,
            Refusal::NotKept => libc::ENOENT,
            Refusal::InPart => libc::EIO,
            Refusal::TooLarge => libc::EFBIG,
            Refusal::KindNotSupported | Refusal::NoTrash => libc::EOPNOTSUPP,
            Refusal::IsTrash | Refusal::Damaged => libc::EINVAL,
            Refusal::MountPoint => libc::EBUSY,
            Refusal::Mismatch => libc::EIO,
            Refusal::NoAttributes => libc::EOPNOTSUPP,
            Refusal::ValueTooLong => libc::E2BIG,
            Refusal::AttributesFull => libc::ENOSPC,
            Refusal::NotText => libc::EILSEQ,
            Refusal::NotAValue => libc::EINVAL,
            Refusal::TooMuch => libc::EFBIG,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::SameFile => "source and target are the same file",
            Refusal::IntoItself => "a directory cannot go into itself",
            Refusal::Exists => "the target exists",
            Refusal::KindDiffers => "a directory and a file cannot replace each other",
            Refusal::Changed => "the source changed while it was read",
            Refusal::TargetChanged => "the target was changed by somebody else",
            Refusal::NameNotAllowed => "the target's file system does not allow this name",
            Refusal::TooLarge => "the file is too large for the target's file system",
            Refusal::KindNotSupported => "the target's file system has no such kind of file",
            Refusal::MountPoint => "another file system is mounted there",
            Refusal::NoTrash => "no trash can take it",
            Refusal::IsTrash => "the trash itself, and what is in it, cannot be put into the trash",
            Refusal::Damaged => "the trash does not know where it was",
            Refusal::ChangedSince => "it was changed since",
            Refusal::NotKept => "it is not kept any more",
            Refusal::InPart => "some of it could not be done",
            Refusal::NoName => "a path that ends in . or .. or is / cannot be taken away",
            Refusal::Mismatch => "what was read back is not what was written",
            Refusal::NoAttributes => "such attributes cannot be kept there",
            Refusal::ValueTooLong => "the value is too long for one attribute",
            Refusal::AttributesFull => "there is no room for more attributes of this file",
            Refusal::NotText => "the attribute is not text",
            Refusal::NotAValue => "no such value is possible",
            Refusal::TooMuch => "the contents ask for more time or memory than they are given",
        })
    }
}

impl StdError for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        let kind = match refusal {
            Refusal::Exists => io::ErrorKind::AlreadyExists,
            Refusal::KindDiffers => io::ErrorKind::IsADirectory,
            Refusal::Changed | Refusal::TargetChanged | Refusal::ChangedSince => io::ErrorKind::StaleNetworkFileHandle,
            Refusal::NotKept => io::ErrorKind::NotFound,
            Refusal::TooLarge => io::ErrorKind::FileTooLarge,
            Refusal::KindNotSupported | Refusal::NoTrash | Refusal::NoAttributes => io::ErrorKind::Unsupported,
            Refusal::AttributesFull => io::ErrorKind::StorageFull,
            Refusal::ValueTooLong => io::ErrorKind::ArgumentListTooLong,
            Refusal::NotText => io::ErrorKind::InvalidData,
            Refusal::MountPoint => io::ErrorKind::ResourceBusy,
            Refusal::Mismatch => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, refusal)
    }
}

/// A failure of one entry. `Display` tells what failed, [`source`](StdError::source) why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    /// What was being done.
    pub action: Action,
    /// To what.
    pub path: PathBuf,
    /// The second path of a copy, rename or link.
    pub target: Option<PathBuf>,
    /// The kernel's answer, or a [`Refusal`].
    pub source: io::Error,
}

/// What a call on one entry gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about one path.
    pub fn new(action: Action, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Error {
        Error { action, path: path.into(), target: None, source: source.into() }
    }

    /// The same error, naming the second path too.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<PathBuf>) -> Error {
        self.target = Some(target.into());
        self
    }

    /// The same error once more, for a second place that has to own one.
    pub(crate) fn again(&self) -> Error {
        let source = match (self.source.raw_os_error(), self.refusal()) {
            (Some(errno), _) => io::Error::from_raw_os_error(errno),
            (_, Some(refusal)) => refusal.into(),
            _ => io::Error::new(self.source.kind(), self.source.to_string()),
        };
        Error { action: self.action, path: self.path.clone(), target: self.target.clone(), source }
    }

    /// The kernel's number, or the one that fits the refusal best.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error().or_else(|| self.refusal().map(Refusal::errno))
    }

    /// Which guard of ours refused, if it was not the kernel.
    pub fn refusal(&self) -> Option<Refusal> {
        self.source.get_ref()?.downcast_ref::<Refusal>().copied()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.verb(), Shown(&self.path))?;
        match &self.target {
            Some(target) => write!(f, " to {}", Shown(target)),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

/// A path as it may be shown on a terminal: what is not UTF-8, not printable, or could turn the text around is escaped.
pub struct Shown<'a>(pub &'a std::path::Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::fmt::Write;
        use std::os::unix::ffi::OsStrExt;
        for chunk in self.0.as_os_str().as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    // Bidirectional controls are printable, and can still make a name look like another one.
                    '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                        write!(f, "{}", character.escape_unicode())?;
                    }
                    _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                    _ => f.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Says, where a call is made, what was being done to what.
pub(crate) trait During<T> {
    /// `path` is only built when the call failed.
    fn during<P: Into<PathBuf>>(self, action: Action, path: impl FnOnce() -> P) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during<P: Into<PathBuf>>(self, action: Action, path: impl FnOnce() -> P) -> Result<T> {
        self.map_err(|source| Error::new(action, path(), source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    #[test]
    fn names_are_shown_without_control_characters() {
        let path = Path::new(OsStr::from_bytes(b"a\x1b[31m\n\xff\\\xe2\x80\xae.txt"));
        assert_eq!(Shown(path).to_string(), r"a\u{1b}[31m\n\xff\\\u{202e}.txt");
    }

    #[test]
    fn a_refusal_survives_as_error_source() {
        let error = Error::new(Action::Copy, "/a", Refusal::SameFile).with_target("/b");
        assert_eq!(error.refusal(), Some(Refusal::SameFile));
        assert_eq!(error.errno(), Some(libc::EINVAL));
        assert_eq!(error.to_string(), "copy /a to /b");
    }
}
