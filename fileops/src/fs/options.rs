//! How a file is opened.

use super::call::Call;
use super::file::File;
use super::memory;
use super::subject::{Subject, Wants};
use crate::error::Action;
use crate::sys::open::How;
use std::path::Path;

/// What a file is opened for, as in `std::fs::OpenOptions`: nothing to begin with.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("fileops-options-doc-{}", std::process::id()));
/// use fileops::fs::OpenOptions;
///
/// # fileops::block_on(async {
/// let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).await?;
/// file.write_at("hello", 0).await?;
/// # Ok::<_, fileops::Error>(())
/// # })?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(super) how: How,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptions {
    /// For nothing yet; a new file gets mode 0666 less the umask.
    pub fn new() -> OpenOptions {
        OpenOptions { how: How::NOTHING }
    }

    /// It can be read.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.how.read = read;
        self
    }

    /// It can be written to.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.how.write = write;
        self
    }

    /// Every write goes to its end, whatever its position.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.how.append = append;
        self
    }

    /// It is emptied.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.how.truncate = truncate;
        self
    }

    /// It is made if it is not there.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.how.create = create;
        self
    }

    /// It is made, and must not be there: `AlreadyExists` otherwise, a symbolic link's name too.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.how.create_new = create_new;
        self
    }

    /// The permission bits of a file that is made, less the umask.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.how.mode = mode;
        self
    }

    /// Further flags of open(2), such as `O_DIRECT` or `O_NOFOLLOW`. `O_CLOEXEC` and `O_NOCTTY` are always set.
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.how.extra = flags;
        self
    }

    /// Opens a file. For reading alone that takes no change of threads where it is known to the kernel on a local file system.
    ///
    /// # Dropping
    /// A file that a worker opens meanwhile is closed again; one that it makes stays.
    ///
    /// # Errors
    /// `InvalidInput` for options that contradict each other, `NotFound`, `PermissionDenied`, and whatever the file system
    /// answers.
    pub fn open(&self, path: impl AsRef<Path>) -> Call<File> {
        self.open_of(|action| Subject::new(action, path.as_ref(), Wants::Opened))
    }

    pub(super) fn open_of(&self, subject: impl FnOnce(Action) -> Subject) -> Call<File> {
        let how = self.how.clone();
        let makes = how.create || how.create_new;
        let subject = subject(if makes { Action::Create } else { Action::Open });
        if how.only_reads() {
            return Call::in_memory(subject, memory::file, |subject| {
                Ok(File::opened(subject.at()?.open(&How::READ)?, &How::READ, subject))
            });
        }
        Call::new(subject, move |subject| Ok(File::opened(subject.at()?.open(&how)?, &how, subject)))
    }
}
