//! Opening, creating and closing files.

use super::{again, again_making};
use rustix::fs::{self, Mode, OFlags};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Whether a symbolic link under the name is opened or refused (ELOOP, ENOTDIR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    No,
    Yes,
}

impl Follow {
    fn flags(self) -> OFlags {
        match self {
            Follow::No => OFlags::NOFOLLOW,
            Follow::Yes => OFlags::empty(),
        }
    }
}

/// Opens a directory of the caller's by path; links on the way are followed, as the caller wrote them.
pub(crate) fn root(path: &Path) -> io::Result<OwnedFd> {
    quietly(fs::CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
}

/// A handle on whatever a path of the caller's leads to, for looking at it only: nothing is read, no device is opened.
pub(crate) fn handle(path: &Path) -> io::Result<OwnedFd> {
    again(|| fs::openat(fs::CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))
}

/// The path that an open file has by now, of which no name is a link; nothing is asked of its file system.
pub(crate) fn real_path(file: impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

/// Opens a directory by its real path, name by name: a component that became a link since is refused.
pub(crate) fn real(path: &Path) -> io::Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    let mut at = root(Path::new("/"))?;
    for part in path.components().skip(1) {
        let name = std::ffi::CString::new(part.as_os_str().as_bytes())?;
        // On the way it is enough that one may pass.
        at = again(|| {
            fs::openat(&at, &name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        })?;
    }
    dir(&at, c".", Follow::No)
}

/// Opens a directory for listing, without touching its access time where that is allowed.
pub(crate) fn dir(parent: impl AsFd, name: &CStr, follow: Follow) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | follow.flags();
    quietly(parent.as_fd(), name, flags)
}

/// Opens a regular file for reading. What is no regular file does not hang the caller (a FIFO without a writer).
pub(crate) fn file(parent: impl AsFd, name: &CStr, follow: Follow) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | follow.flags();
    match quietly(parent.as_fd(), name, flags) {
        // Somebody holds a lease: wait until the kernel has broken it, if it is a regular file.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            if super::stat::Stat::at(&parent, name)?.is_file() {
                return quietly(parent.as_fd(), name, flags - OFlags::NONBLOCK);
            }
            Err(error)
        }
        answer => answer,
    }
}

/// How a file of the caller's is opened. What each means stands at `fs::OpenOptions`.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) truncate: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    /// Of a file that is made, less the umask.
    pub(crate) mode: u32,
    /// Further flags of open(2).
    pub(crate) extra: i32,
}

impl How {
    pub(crate) const NOTHING: How = How {
        read: false,
        write: false,
        append: false,
        truncate: false,
        create: false,
        create_new: false,
        mode: 0o666,
        extra: 0,
    };

    pub(crate) const READ: How = How { read: true, ..How::NOTHING };

    /// Whether it is for reading, and for nothing else.
    pub(crate) fn only_reads(&self) -> bool {
        let How { read, write, append, truncate, create, create_new, mode: _, extra } = *self;
        read && !(write || append || truncate || create || create_new) && extra == 0
    }

    /// # Errors
    /// EINVAL for what contradicts itself, as std's `OpenOptions` has it.
    pub(crate) fn flags(&self) -> io::Result<OFlags> {
        let access = match (self.read, self.write, self.append) {
            (true, false, false) => OFlags::RDONLY,
            (false, true, false) => OFlags::WRONLY,
            (true, true, false) => OFlags::RDWR,
            (false, _, true) => OFlags::WRONLY | OFlags::APPEND,
            (true, _, true) => OFlags::RDWR | OFlags::APPEND,
            (false, false, false) => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        let makes = self.truncate || self.create || self.create_new;
        let is_wrong = (makes && !self.write && !self.append) || (self.append && self.truncate && !self.create_new);
        if is_wrong {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let making = match (self.create, self.truncate, self.create_new) {
            (_, _, true) => OFlags::CREATE | OFlags::EXCL,
            (true, true, _) => OFlags::CREATE | OFlags::TRUNC,
            (true, false, _) => OFlags::CREATE,
            (false, true, _) => OFlags::TRUNC,
            (false, false, _) => OFlags::empty(),
        };
        let extra = OFlags::from_bits_retain(self.extra as u32) - OFlags::RWMODE;
        Ok(access | making | extra | OFlags::CLOEXEC | OFlags::NOCTTY)
    }
}

/// The same of a path of a caller's; links are followed.
#[cfg(feature = "extract")]
pub(crate) fn file_at(path: &Path) -> io::Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    file(fs::CWD, &std::ffi::CString::new(path.as_os_str().as_bytes())?, Follow::Yes)
}

/// O_NOATIME is for the owner alone (open(2)); anybody else gets the plain open.
fn quietly(parent: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy, flags: OFlags) -> io::Result<OwnedFd> {
    match again(|| fs::openat(parent, name, flags | OFlags::NOATIME, Mode::empty())) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            again(|| fs::openat(parent, name, flags, Mode::empty()))
        }
        answer => answer,
    }
}

/// What a new file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// To be read back.
    ReadWrite,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Access::Write => OFlags::WRONLY,
            Access::ReadWrite => OFlags::RDWR,
        }
    }
}

/// Creates a file that must not exist yet.
pub(crate) fn create(parent: impl AsFd, name: &CStr, mode: u32) -> io::Result<OwnedFd> {
    create_for(parent, name, mode, Access::Write)
}

/// Creates a file that must not exist yet.
pub(crate) fn create_for(parent: impl AsFd, name: &CStr, mode: u32, access: Access) -> io::Result<OwnedFd> {
    let flags = access.flags() | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    again_making(|| fs::openat(&parent, name, flags, Mode::from_raw_mode(mode)))
}

/// Opens a file that is there, to read it and to write to it.
pub(crate) fn existing(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    again(|| fs::openat(&parent, name, flags, Mode::empty()))
}

/// Creates a file without a name, for `name::link_unnamed`. EOPNOTSUPP, EISDIR or ENOENT where there is no such thing.
pub(crate) fn create_unnamed(parent: impl AsFd, mode: u32, access: Access) -> io::Result<OwnedFd> {
    let flags = access.flags() | OFlags::TMPFILE | OFlags::CLOEXEC;
    again(|| fs::openat(&parent, c".", flags, Mode::from_raw_mode(mode)))
}

/// Closes a file and tells what NFS and FUSE say only then.
#[allow(unsafe_code)]
pub(crate) fn close(file: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was owned by `file`, is given up by `into_raw_fd`, and is not used again.
    unsafe { rustix::io::try_close(file.into_raw_fd()) }.map_err(io::Error::from)
}
