//! Where an entry is named: by a path as a caller wrote it, or below a directory that the path cannot leave.
//!
//! Below a directory `openat2(RESOLVE_BENEATH)` finds the way; where there is none (before Linux 5.6, or forbidden by a
//! sandbox) the path is walked name by name, and links and `..` on it are refused.

use super::again;
use super::open::{Follow, How};
use super::stat::{Full, HERE};
use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A path, and the directory it cannot leave, if there is one.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) dir: Option<BorrowedFd<'a>>,
    pub(crate) path: &'a CStr,
}

/// An entry for calls that take a directory and a name, and follow no link at its end.
pub(crate) struct Entry {
    /// `None` where the name is a whole path of the caller's.
    dir: Option<OwnedFd>,
    pub(crate) name: CString,
}

impl Entry {
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_ref().map_or(HERE, |dir| dir.as_fd())
    }
}

impl At<'_> {
    /// The entry itself, which may be there or not.
    ///
    /// # Errors
    /// EINVAL for a path below a directory that ends in `.` or `..`; EXDEV for one that leaves it.
    pub(crate) fn entry(self) -> io::Result<Entry> {
        let Some(dir) = self.dir else { return Ok(Entry { dir: None, name: self.path.to_owned() }) };
        let bytes = self.path.to_bytes();
        let end = bytes.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let start = bytes[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        // A slash at the end stays: it asks for a directory.
        let name = CString::new(&bytes[start..])?;
        match &bytes[start..end] {
            b"" if bytes.is_empty() => return Err(Errno::NOENT.into()),
            b"" => return Err(Errno::XDEV.into()),
            b"." | b".." => return Err(Errno::INVAL.into()),
            _ => {}
        }
        let above = if start == 0 { c".".to_owned() } else { CString::new(&bytes[..start])? };
        let dir = below(dir, &above, OFlags::PATH | OFlags::DIRECTORY, 0)?;
        Ok(Entry { dir: Some(dir), name })
    }

    /// Opens it as a handle.
    pub(crate) fn handle(self, follow: Follow) -> io::Result<OwnedFd> {
        self.open_with(OFlags::PATH | nofollow(follow), 0)
    }

    /// Opens a directory as a handle.
    pub(crate) fn dir(self) -> io::Result<OwnedFd> {
        self.open_with(OFlags::PATH | OFlags::DIRECTORY, 0)
    }

    /// Opens it as open(2) does.
    pub(crate) fn open(self, how: &How) -> io::Result<OwnedFd> {
        self.open_with(how.flags()?, how.mode)
    }

    /// What is there.
    pub(crate) fn stat(self, follow: Follow) -> io::Result<Full> {
        match self.dir {
            None => Full::at(HERE, self.path, follow),
            Some(_) => Full::of(self.handle(follow)?),
        }
    }

    fn open_with(self, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
        match self.dir {
            None => again(|| fs::openat(HERE, self.path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))),
            Some(dir) => below(dir, self.path, flags, mode),
        }
    }
}

fn nofollow(follow: Follow) -> OFlags {
    if follow == Follow::No { OFlags::NOFOLLOW } else { OFlags::empty() }
}

/// Opens a path that cannot leave a directory.
fn below(dir: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
    /// Somebody renamed something meanwhile, so that `..` cannot be believed. Source: openat2(2), EAGAIN.
    const TRIES: usize = 100;
    // openat2 refuses a mode where nothing is made, which open ignores.
    let makes = flags.intersects(OFlags::CREATE | OFlags::TMPFILE);
    let made = if makes { Mode::from_raw_mode(mode & 0o7777) } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match again(|| fs::openat2(dir, path, flags | OFlags::CLOEXEC, made, resolve)) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && !flags.contains(OFlags::NONBLOCK) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                return walked(dir, path, flags, made);
            }
            answer => return answer,
        }
    }
    Err(Errno::AGAIN.into())
}

/// The same without openat2: name by name, no link followed.
fn walked(dir: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let bytes = path.to_bytes();
    if bytes.is_empty() {
        return Err(Errno::NOENT.into());
    }
    if bytes.starts_with(b"/") {
        return Err(Errno::XDEV.into());
    }
    let asks_for_dir = if bytes.ends_with(b"/") { OFlags::DIRECTORY } else { OFlags::empty() };
    let mut names = bytes.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b".")).peekable();
    let mut above: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        if name == b".." {
            return Err(Errno::XDEV.into());
        }
        let (name, at) = (CString::new(name)?, above.as_ref().map_or(dir, |above| above.as_fd()));
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY;
        let flags = if names.peek().is_some() { on_the_way } else { flags | asks_for_dir };
        above = Some(again(|| fs::openat(at, &name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode))?);
    }
    match above {
        Some(last) => Ok(last),
        None => again(|| fs::openat(dir, c".", flags | OFlags::CLOEXEC, mode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, create_dir_all, read_link, remove_dir_all, write};
    use std::os::unix::fs::symlink;

    /// Both ways find the same, and leave the directory by no path.
    #[test]
    fn with_and_without_openat2_no_path_leads_out_of_the_directory() {
        let base = std::env::temp_dir().join(format!("fileops-at-{}", std::process::id()));
        create_dir_all(base.join("in/deep")).unwrap();
        write(base.join("out"), "out").unwrap();
        write(base.join("in/deep/file"), "in").unwrap();
        symlink("../out", base.join("in/link")).unwrap();
        let dir = File::open(base.join("in")).unwrap();
        let ways: [fn(BorrowedFd<'_>, &CStr) -> io::Result<OwnedFd>; 2] = [
            |dir, path| below(dir, path, OFlags::RDONLY, 0),
            |dir, path| walked(dir, path, OFlags::RDONLY, Mode::empty()),
        ];
        for way in ways {
            let found = way(dir.as_fd(), c"deep//./file").unwrap();
            assert_eq!(super::super::name::real_path(&found).unwrap(), base.join("in/deep/file"));
            for outside in [c"../out", c"link", c"/etc/passwd", c"deep/../../out", c"deep/file/"] {
                way(dir.as_fd(), outside).unwrap_err();
            }
        }
        assert!(read_link(base.join("in/link")).is_ok());
        remove_dir_all(base).unwrap();
    }

    #[test]
    fn an_entry_is_a_directory_and_a_single_name() {
        let base = std::env::temp_dir().join(format!("fileops-entry-{}", std::process::id()));
        create_dir_all(base.join("a/b")).unwrap();
        let dir = File::open(&base).unwrap();
        let entry = |path| At { dir: Some(dir.as_fd()), path }.entry();
        assert_eq!(entry(c"a/b/new").unwrap().name.as_c_str(), c"new");
        assert_eq!(entry(c"new/").unwrap().name.as_c_str(), c"new/");
        for (path, errno) in [
            (c"", libc::ENOENT),
            (c"/", libc::EXDEV),
            (c"a/..", libc::EINVAL),
            (c".", libc::EINVAL),
            (c"../x", libc::EXDEV),
        ] {
            assert_eq!(entry(path).err().and_then(|error| error.raw_os_error()), Some(errno), "{path:?}");
        }
        remove_dir_all(base).unwrap();
    }
}
