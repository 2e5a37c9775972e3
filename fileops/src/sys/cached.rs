//! Calls that are answered from the kernel's memory or not at all, so that a thread may make them which must not wait.
//!
//! `openat2(O_PATH, RESOLVE_CACHED)` finds a name without asking any file system, and fails where that cannot be. Everything
//! else asks the file system that the file lies on: only once it is known to keep its inodes here ([`local`]).
//! Source: openat2(2); Documentation/filesystems/path-lookup.rst, "RCU-walk".

use super::local::{self, Reads, Verdict};
use super::open::Follow;
use super::stat::Full;
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, ReadWriteFlags};
use std::ffi::CStr;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// What memory has to say.
#[derive(Debug)]
pub(crate) enum Cached<T> {
    /// The answer, as the call that may wait would give it.
    Known(io::Result<T>),
    /// A thread that may wait has to ask.
    Unknown,
    /// The same, and it should [learn](local::learn) about this mount.
    New(u64),
}

impl<T> Cached<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Cached<U> {
        match self {
            Cached::Known(answer) => Cached::Known(answer.map(change)),
            Cached::Unknown => Cached::Unknown,
            Cached::New(mount) => Cached::New(mount),
        }
    }
}

/// Continues with what is known, and leaves with what is not.
macro_rules! known {
    ($cached:expr) => {
        match $cached {
            Cached::Known(Ok(value)) => value,
            Cached::Known(Err(error)) => return Cached::Known(Err(error)),
            Cached::Unknown => return Cached::Unknown,
            Cached::New(mount) => return Cached::New(mount),
        }
    };
}

/// Set where the kernel (before Linux 5.12) or a sandbox has no such calls.
static IS_MISSING: AtomicBool = AtomicBool::new(false);

/// Opens a name below a directory, or a path, if that takes no wait.
fn open(dir: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Cached<OwnedFd> {
    if IS_MISSING.load(Ordering::Relaxed) {
        return Cached::Unknown;
    }
    match fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => Cached::Known(Ok(file)),
        // These are told by what is in memory.
        Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::ACCESS)) => {
            Cached::Known(Err(error.into()))
        }
        // An unknown flag, an unknown call, a call that a sandbox forbids. An empty path is ENOENT.
        Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            IS_MISSING.store(true, Ordering::Relaxed);
            Cached::Unknown
        }
        Err(_) => Cached::Unknown,
    }
}

/// A handle to what a path names, on a local file system.
fn handle(path: &CStr, follow: Follow) -> Cached<(OwnedFd, Reads)> {
    let flags = if follow == Follow::Yes { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    let handle = known!(open(CWD, path, flags));
    match local::look(&handle) {
        Verdict::Local(reads) => Cached::Known(Ok((handle, reads))),
        Verdict::Foreign => Cached::Unknown,
        Verdict::New(mount) => Cached::New(mount),
    }
}

/// What is at a path.
pub(crate) fn metadata(path: &CStr, follow: Follow) -> Cached<Full> {
    let (handle, _) = known!(handle(path, follow));
    Cached::Known(Full::of(&handle))
}

/// Opens a regular file or a directory for reading.
pub(crate) fn file(path: &CStr) -> Cached<OwnedFd> {
    let (file, ..) = known!(opened(path));
    Cached::Known(Ok(file))
}

/// Opens a regular file or a directory, and tells what it is and when its reads may be made here.
fn opened(path: &CStr) -> Cached<(OwnedFd, fs::Statx, Reads)> {
    let (handle, reads) = known!(handle(path, Follow::Yes));
    let before = match fs::statx(&handle, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) {
        Ok(stat) => stat,
        Err(_) => return Cached::Unknown,
    };
    // To open a FIFO or a device is to do something.
    if !matches!(FileType::from_raw_mode(before.stx_mode.into()), FileType::RegularFile | FileType::Directory) {
        return Cached::Unknown;
    }
    // A file that somebody holds a lease of answers EAGAIN instead of waiting until that is given up.
    let file = match open(CWD, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Cached::Known(Ok(file)) => file,
        _ => return Cached::Unknown,
    };
    // Somebody may have put another one there in between.
    match fs::fstat(&file) {
        Ok(after) if is_same(&before, &after) => Cached::Known(Ok((file, before, reads))),
        _ => Cached::Unknown,
    }
}

#[allow(clippy::unnecessary_cast)] // the types of the fields differ between architectures
fn is_same(one: &fs::Statx, other: &fs::Stat) -> bool {
    let dev = fs::makedev(one.stx_dev_major, one.stx_dev_minor);
    (dev, one.stx_ino) == (other.st_dev as u64, other.st_ino as u64)
}

/// Larger files are read elsewhere: to copy them takes longer than to change threads.
pub(crate) const READ_MOST: usize = 256 << 10;

/// The contents of a small regular file.
pub(crate) fn contents(path: &CStr) -> Cached<Vec<u8>> {
    let (file, stat, reads) = known!(opened(path));
    let is_file = FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile;
    let Ok(size @ ..=READ_MOST) = usize::try_from(stat.stx_size) else { return Cached::Unknown };
    if !is_file || !reads.leaves_times(&stat) || !is_resident(&file, 0, stat.stx_size) {
        return Cached::Unknown;
    }
    let mut bytes = vec![0; size];
    match read_at(&file, &mut bytes, 0) {
        Some(length) if length == size => Cached::Known(Ok(bytes)),
        _ => Cached::Unknown,
    }
}

/// Reads what the page cache has; `None` where that is not known to be all there is.
fn read_at(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Option<usize> {
    if buffer.is_empty() {
        return Some(0);
    }
    rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
}

/// Whether a part of a file is in the page cache, so that a read starts nothing: RWF_NOWAIT alone starts to read ahead, which
/// can wait for the disk to take the request. Where the kernel cannot tell (before Linux 6.5) it is taken to be.
///
/// Source: mm/filemap.c, filemap_get_pages(); cachestat(2).
#[allow(unsafe_code)]
fn is_resident(file: impl AsFd, offset: u64, length: u64) -> bool {
    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Counts {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    /// The same on all architectures but Alpha. Source: include/uapi/asm-generic/unistd.h.
    const CACHESTAT: libc::c_long = 451;
    if length == 0 {
        return true;
    }
    let range = Range { offset, length };
    let mut counts = Counts::default();
    // SAFETY: the descriptor is open for the length of the call; `range` is only read, and `counts` has the layout of a
    // `struct cachestat`, which the kernel fills.
    let answer = unsafe { libc::syscall(CACHESTAT, file.as_fd().as_raw_fd(), &raw const range, &raw mut counts, 0u32) };
    let page = rustix::param::page_size() as u64;
    let pages = (offset + length).div_ceil(page) - offset / page;
    answer != 0 || counts.cached >= pages
}
