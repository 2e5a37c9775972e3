//! Owner, mode, times and extended attributes.

use super::again;
use super::name::descriptor_path;
use super::stat::{Stat, Time};
use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

pub(crate) fn set_mode(file: impl AsFd, mode: u32) -> io::Result<()> {
    again(|| fs::fchmod(&file, Mode::from_raw_mode(mode)))
}

pub(crate) fn set_owner(file: impl AsFd, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    again(|| fs::fchown(&file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)))
}

/// Of a name; a symbolic link itself.
pub(crate) fn set_owner_at(dir: impl AsFd, name: &CStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    again(|| fs::chownat(&dir, name, uid.map(Uid::from_raw), gid.map(Gid::from_raw), AtFlags::SYMLINK_NOFOLLOW))
}

/// Of what a path names, links followed.
pub(crate) fn set_mode_following(dir: impl AsFd, path: &CStr, mode: u32) -> io::Result<()> {
    again(|| fs::chmodat(&dir, path, Mode::from_raw_mode(mode), AtFlags::empty()))
}

/// Of what a path names, links followed.
pub(crate) fn set_owner_following(dir: impl AsFd, path: &CStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    again(|| fs::chownat(&dir, path, uid.map(Uid::from_raw), gid.map(Gid::from_raw), AtFlags::empty()))
}

/// Of what a path names, links followed.
pub(crate) fn set_times_following(dir: impl AsFd, path: &CStr, accessed: Time, modified: Time) -> io::Result<()> {
    again(|| fs::utimensat(&dir, path, &timestamps(accessed, modified), AtFlags::empty()))
}

/// Of a name that is no symbolic link; if it was swapped for one, the link's target is left alone.
pub(crate) fn set_mode_at(dir: impl AsFd, name: &CStr, mode: u32) -> io::Result<()> {
    let file = super::name::handle(&dir, name, super::open::Follow::No)?;
    if Stat::of(&file)?.kind() == fs::FileType::Symlink {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    let path = descriptor_path(&file);
    match again(|| fs::chmodat(fs::CWD, &*path, Mode::from_raw_mode(mode), AtFlags::empty())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => set_mode_without_proc(dir, name, mode),
        answer => answer,
    }
}

/// For a name that was just seen not to be a link. Before Linux 6.6 the look and the call are two.
#[allow(unsafe_code)]
fn set_mode_without_proc(dir: impl AsFd, name: &CStr, mode: u32) -> io::Result<()> {
    /// The same on all architectures but Alpha. Source: fchmodat(2), include/uapi/asm-generic/unistd.h.
    const FCHMODAT2: libc::c_long = 452;
    // SAFETY: the descriptor is borrowed for the length of the call, the name ends with a NUL, and nothing is written to
    // memory of ours.
    let answer =
        unsafe { libc::syscall(FCHMODAT2, dir.as_fd().as_raw_fd(), name.as_ptr(), mode, libc::AT_SYMLINK_NOFOLLOW) };
    match answer {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOSYS) => {
                again(|| fs::chmodat(&dir, name, Mode::from_raw_mode(mode), AtFlags::empty()))
            }
            error => Err(error),
        },
    }
}

pub(crate) fn set_times(file: impl AsFd, accessed: Time, modified: Time) -> io::Result<()> {
    again(|| fs::futimens(&file, &timestamps(accessed, modified)))
}

/// Of a name; a symbolic link itself.
pub(crate) fn set_times_at(dir: impl AsFd, name: &CStr, accessed: Time, modified: Time) -> io::Result<()> {
    again(|| fs::utimensat(&dir, name, &timestamps(accessed, modified), AtFlags::SYMLINK_NOFOLLOW))
}

fn timestamps(accessed: Time, modified: Time) -> Timestamps {
    let raw = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds as _ };
    Timestamps { last_access: raw(accessed), last_modification: raw(modified) }
}

/// Where extended attributes are read or written: an open file, or a name that cannot be opened (a link, a device).
pub(crate) enum Subject<'a, F: AsFd> {
    File(&'a F),
    /// A path through /proc/self/fd: the directory is given by its descriptor, and the last name is not followed.
    Name(&'a CStr),
    /// A path whose links are followed: of a caller, or of an open handle.
    Path(&'a CStr),
}

impl<F: AsFd> Clone for Subject<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: AsFd> Copy for Subject<'_, F> {}

/// The path under which `name` in `dir` can be given to calls that know no descriptors.
pub(crate) fn subject_path(dir: impl AsFd, name: &CStr) -> CString {
    let mut path = format!("/proc/self/fd/{}/", dir.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    CString::new(path).expect("neither part holds a NUL")
}

/// The names of all extended attributes the caller may see, each ended by a NUL. Most files have none.
pub(crate) fn xattr_names<F: AsFd>(subject: Subject<'_, F>, space: &mut Vec<u8>) -> io::Result<()> {
    fill(space, |buffer| match subject {
        Subject::File(file) => fs::flistxattr(file, buffer),
        Subject::Name(path) => fs::llistxattr(path, buffer),
        Subject::Path(path) => fs::listxattr(path, buffer),
    })
}

/// The value of one extended attribute.
pub(crate) fn xattr<F: AsFd>(subject: Subject<'_, F>, name: &CStr, space: &mut Vec<u8>) -> io::Result<()> {
    fill(space, |buffer| match subject {
        Subject::File(file) => fs::fgetxattr(file, name, buffer),
        Subject::Name(path) => fs::lgetxattr(path, name, buffer),
        Subject::Path(path) => fs::getxattr(path, name, buffer),
    })
}

/// xattr(7): a list or a value is 64 KiB at most.
const XATTR_MAX: usize = 64 << 10;

/// Enough for the names and values that files usually have, so that one call does.
const XATTR_USUAL: usize = 256;

fn fill(space: &mut Vec<u8>, mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<()> {
    space.resize(XATTR_USUAL, 0);
    let length = match again(|| call(space)) {
        Err(error) if error.raw_os_error() == Some(Errno::RANGE.raw_os_error()) => {
            space.resize(XATTR_MAX, 0);
            again(|| call(space))?
        }
        answer => answer?,
    };
    space.truncate(length);
    Ok(())
}

pub(crate) fn set_xattr<F: AsFd>(subject: Subject<'_, F>, name: &CStr, value: &[u8]) -> io::Result<()> {
    again(|| match subject {
        Subject::File(file) => fs::fsetxattr(file, name, value, XattrFlags::empty()),
        Subject::Name(path) => fs::lsetxattr(path, name, value, XattrFlags::empty()),
        Subject::Path(path) => fs::setxattr(path, name, value, XattrFlags::empty()),
    })
}

pub(crate) fn remove_xattr<F: AsFd>(subject: Subject<'_, F>, name: &CStr) -> io::Result<()> {
    again(|| match subject {
        Subject::File(file) => fs::fremovexattr(file, name),
        Subject::Name(path) => fs::lremovexattr(path, name),
        Subject::Path(path) => fs::removexattr(path, name),
    })
}
