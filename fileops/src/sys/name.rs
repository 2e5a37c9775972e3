//! Names: making, linking, renaming and removing entries.

use super::open::Follow;
use super::stat::Stat;
use super::{again, again_making};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

pub(crate) fn mkdir(dir: impl AsFd, name: &CStr, mode: u32) -> io::Result<()> {
    again_making(|| fs::mkdirat(&dir, name, Mode::from_raw_mode(mode)))
}

pub(crate) fn symlink(to: &CStr, dir: impl AsFd, name: &CStr) -> io::Result<()> {
    again_making(|| fs::symlinkat(to, &dir, name))
}

pub(crate) fn readlink(dir: impl AsFd, name: &CStr) -> io::Result<CString> {
    again(|| fs::readlinkat(&dir, name, Vec::new()))
}

/// A FIFO, a socket or a device. The mode is subject to the umask.
pub(crate) fn mknod(dir: impl AsFd, name: &CStr, kind: FileType, mode: u32, rdev: u64) -> io::Result<()> {
    again_making(|| fs::mknodat(&dir, name, kind, Mode::from_raw_mode(mode), rdev))
}

/// A second name for a file; the link itself if it is a symbolic link.
pub(crate) fn link(from: impl AsFd, name: &CStr, to: impl AsFd, new_name: &CStr) -> io::Result<()> {
    again_making(|| fs::linkat(&from, name, &to, new_name, AtFlags::empty()))
}

/// Gives a file made by `open::create_unnamed` its name; EEXIST if the name is taken.
///
/// Goes through /proc, as open(2) recommends for callers without CAP_DAC_READ_SEARCH.
pub(crate) fn link_unnamed(file: impl AsFd, dir: impl AsFd, name: &CStr) -> io::Result<()> {
    let path = descriptor_path(file);
    again_making(|| fs::linkat(fs::CWD, &*path, &dir, name, AtFlags::SYMLINK_FOLLOW))
}

/// The name under which the kernel shows an open descriptor of this process.
pub(crate) fn descriptor_path(file: impl AsFd) -> CString {
    CString::new(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).expect("a number holds no NUL")
}

/// Renames; what has the new name already is replaced. An interrupted call may have been made, and is not made again.
pub(crate) fn rename(from: impl AsFd, name: &CStr, to: impl AsFd, new_name: &CStr) -> io::Result<()> {
    fs::renameat(from, name, to, new_name).map_err(io::Error::from)
}

/// Swaps two entries in one step. EINVAL or ENOSYS where the file system cannot. An interrupted call may have been made, and
/// is not made again: that would swap them back.
pub(crate) fn exchange(from: impl AsFd, name: &CStr, to: impl AsFd, new_name: &CStr) -> io::Result<()> {
    fs::renameat_with(from, name, to, new_name, RenameFlags::EXCHANGE).map_err(io::Error::from)
}

/// Renames, within a directory or into another one; EEXIST if the new name is taken.
///
/// Where the file system has no RENAME_NOREPLACE (FAT, some FUSE) a file is linked and unlinked, a directory is renamed
/// over an empty one made for it: both fail when somebody took the name. What can do neither is checked and then renamed,
/// which leaves a moment in which somebody else's new file could be replaced.
pub(crate) fn rename_new(from: impl AsFd, name: &CStr, to: impl AsFd, new_name: &CStr) -> io::Result<()> {
    if rename_surely_new(&from, name, &to, new_name)? {
        return Ok(());
    }
    match Stat::at(&to, new_name) {
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EEXIST)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => rename(&from, name, &to, new_name),
        Err(error) => Err(error),
    }
}

/// As [`rename_new`], for a file that nobody misreads an empty one for: where nothing else excludes others the name is
/// taken by an empty file, which is then replaced. A kill in between leaves that.
pub(crate) fn rename_claiming(from: impl AsFd, name: &CStr, to: impl AsFd, new_name: &CStr) -> io::Result<()> {
    if rename_surely_new(&from, name, &to, new_name)? {
        return Ok(());
    }
    drop(super::open::create(&to, new_name, 0o600)?);
    rename(&from, name, &to, new_name).inspect_err(|_| {
        let _ = unlink(&to, new_name);
    })
}

/// Gives `false`, and does nothing, where the file system has no way to be sure.
fn rename_surely_new(from: impl AsFd, name: &CStr, to: impl AsFd, new_name: &CStr) -> io::Result<bool> {
    match again(|| fs::renameat_with(&from, name, &to, new_name, RenameFlags::NOREPLACE)) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)) => {}
        answer => return answer.map(|()| true),
    }
    let stat = Stat::at(&from, name)?;
    if stat.is_dir() {
        mkdir(&to, new_name, 0o700)?;
        return rename(&from, name, &to, new_name).map(|()| true).inspect_err(|_| {
            // The rename may have been made, and its reply lost: only the empty directory made for it goes.
            if Stat::at(&to, new_name).is_ok_and(|made| made.id != stat.id) && is_listed(&from, name, stat.id.ino) {
                let _ = rmdir(&to, new_name);
            }
        });
    }
    match link(&from, name, &to, new_name) {
        Ok(()) => unlink(&from, name).map(|()| true).inspect_err(|_| {
            // As it was, but only if the first name is surely still there.
            if is_listed(&from, name, stat.id.ino) {
                let _ = unlink(&to, new_name);
            }
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(false),
    }
}

/// Whether a directory's own list has a name for this inode, whatever the kernel remembers of the name.
fn is_listed(dir: impl AsFd, name: &CStr, inode: u64) -> bool {
    super::list::inodes(dir, [name, name]).is_ok_and(|[found, _]| found == Some(inode))
}

/// Where an open directory is, by its real path; `None` where /proc is missing or it has none any more.
pub(crate) fn real_path(dir: impl AsFd) -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let shown = readlink(fs::CWD, &descriptor_path(dir)).ok()?;
    let path = std::path::PathBuf::from(std::ffi::OsString::from_vec(shown.into_bytes()));
    path.is_absolute().then_some(path)
}

pub(crate) fn unlink(dir: impl AsFd, name: &CStr) -> io::Result<()> {
    again(|| fs::unlinkat(&dir, name, AtFlags::empty()))
}

pub(crate) fn rmdir(dir: impl AsFd, name: &CStr) -> io::Result<()> {
    again(|| fs::unlinkat(&dir, name, AtFlags::REMOVEDIR))
}

/// Opens an entry of any kind only as a handle, for `descriptor_path` and `Stat::of`.
pub(crate) fn handle(dir: impl AsFd, name: &CStr, follow: Follow) -> io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let flags = if follow == Follow::No { flags | OFlags::NOFOLLOW } else { flags };
    again(|| fs::openat(&dir, name, flags, Mode::empty()))
}

/// The same of a path of a caller's.
pub(crate) fn handle_at(path: &CStr, follow: Follow) -> io::Result<std::os::fd::OwnedFd> {
    handle(fs::CWD, path, follow)
}

/// Removes a directory with all that is in it, by descriptors; a symbolic link is removed, not followed.
pub(crate) fn remove_tree(path: &std::path::Path) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}

/// The path without links, `.` and `..`.
pub(crate) fn canonical(path: &std::path::Path) -> io::Result<std::path::PathBuf> {
    std::fs::canonicalize(path)
}

/// Whether the process, by its effective user, may do all of this with what a path names.
pub(crate) fn access(dir: impl AsFd, path: &CStr, read: bool, write: bool, execute: bool) -> io::Result<()> {
    let wanted = [(read, fs::Access::READ_OK), (write, fs::Access::WRITE_OK), (execute, fs::Access::EXEC_OK)];
    let wanted = wanted.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, flag)| flag);
    again(|| fs::accessat(&dir, path, fs::Access::EXISTS | wanted.clone().collect(), AtFlags::EACCESS))
}
