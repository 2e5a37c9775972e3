//! Calls that are answered from the kernel's memory or not at all, so that a thread may make them which must not wait.
//!
//! `openat2(O_PATH, RESOLVE_CACHED)` finds a name without asking any file system, and fails where that cannot be. Everything
//! else asks the file system that the file lies on: only once it is known to keep its inodes here ([`local`]).
//! Source: openat2(2); Documentation/filesystems/path-lookup.rst, "RCU-walk".

use super::at::At;
use super::local::{self, Reads, Verdict};
use super::open::Follow;
use super::stat::{Full, HERE};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, ReadWriteFlags};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
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

/// Opens what is named, if that takes no wait.
fn open(at: At<'_>, flags: OFlags, resolve: ResolveFlags) -> Cached<OwnedFd> {
    if IS_MISSING.load(Ordering::Relaxed) {
        return Cached::Unknown;
    }
    let (dir, beneath) = match at.dir {
        None => (HERE, ResolveFlags::empty()),
        Some(dir) => (dir, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS),
    };
    match fs::openat2(dir, at.path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED | resolve | beneath) {
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
fn handle(at: At<'_>, follow: Follow) -> Cached<(OwnedFd, Reads)> {
    let flags = if follow == Follow::Yes { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    let handle = known!(open(at, flags, ResolveFlags::empty()));
    match local::look(&handle) {
        Verdict::Local(reads) => Cached::Known(Ok((handle, reads))),
        Verdict::Foreign => Cached::Unknown,
        Verdict::New(mount) => Cached::New(mount),
    }
}

/// What is at a path.
pub(crate) fn metadata(at: At<'_>, follow: Follow) -> Cached<Full> {
    let (handle, _) = known!(handle(at, follow));
    Cached::Known(Full::of(&handle))
}

/// Opens a regular file for reading, and tells what its reads do to its times.
pub(crate) fn file(at: At<'_>) -> Cached<(OwnedFd, Reads)> {
    let (file, _, reads) = known!(opened(at));
    Cached::Known(Ok((file, reads)))
}

/// Opens a directory as a handle.
pub(crate) fn dir(at: At<'_>) -> Cached<OwnedFd> {
    let dir = known!(open(at, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty()));
    Cached::Known(Ok(dir))
}

/// Where a call that may wait does so, as far as memory tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whereabouts {
    /// The number of the mount in mountinfo.
    pub(crate) mount: Option<u64>,
    /// It is none that a server or a program stands behind.
    pub(crate) is_local: bool,
    /// A symbolic link is on the way, and it is not known where it leads.
    pub(crate) has_link: bool,
    /// A FIFO, a socket or a device.
    pub(crate) is_special: bool,
}

impl Whereabouts {
    /// Nothing is in memory.
    pub(crate) const UNKNOWN: Whereabouts =
        Whereabouts { mount: None, is_local: false, has_link: false, is_special: false };
}

/// Finds the mount of what is named. Waits for nothing, and asks no file system that is not local.
pub(crate) fn whereabouts(at: At<'_>, follow: Follow) -> Whereabouts {
    let mut found = Whereabouts::UNKNOWN;
    let flags = if follow == Follow::Yes { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    match open(at, flags, ResolveFlags::empty()) {
        Cached::Known(Ok(handle)) => {
            found.mount = local::number_of(&handle);
            if let Verdict::Local(_) = local::look(&handle) {
                found.is_local = true;
                found.is_special = fs::fstat(&handle).is_ok_and(|stat| is_special(stat.st_mode));
            }
        }
        _ => {
            let answer = open(at, flags, ResolveFlags::NO_SYMLINKS);
            found.has_link = matches!(answer, Cached::Known(Err(error)) if error.raw_os_error() == Some(libc::ELOOP));
        }
    }
    found
}

fn is_special(mode: u32) -> bool {
    !matches!(FileType::from_raw_mode(mode), FileType::RegularFile | FileType::Directory | FileType::Symlink)
}

/// Opens a regular file, and tells what it is and what reads do to its times.
fn opened(at: At<'_>) -> Cached<(OwnedFd, fs::Statx, Reads)> {
    let (handle, reads) = known!(handle(at, Follow::Yes));
    let before = match fs::statx(&handle, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) {
        Ok(stat) => stat,
        Err(_) => return Cached::Unknown,
    };
    // To open a FIFO or a device is to do something, to open a directory reads it (XFS), and what is encrypted or sealed
    // (fs-verity) needs its keys.
    let is_file = FileType::from_raw_mode(before.stx_mode.into()) == FileType::RegularFile;
    let special = fs::StatxAttributes::ENCRYPTED | fs::StatxAttributes::VERITY;
    if !is_file || before.stx_attributes.intersects(special) {
        return Cached::Unknown;
    }
    // A file that somebody holds a lease of answers EAGAIN instead of waiting until that is given up.
    let file = match open(at, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, ResolveFlags::empty()) {
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
pub(crate) fn contents(at: At<'_>) -> Cached<Vec<u8>> {
    let (file, stat, reads) = known!(opened(at));
    let Ok(size @ ..=READ_MOST) = usize::try_from(stat.stx_size) else { return Cached::Unknown };
    if !reads.leaves_times(&stat) || !is_resident(&file, 0, stat.stx_size) {
        return Cached::Unknown;
    }
    let mut bytes = vec![0; size];
    match read_cached(&file, &mut bytes, 0) {
        true => Cached::Known(Ok(bytes)),
        false => Cached::Unknown,
    }
}

/// Fills a buffer from the page cache; `false` where that has not all of it.
fn read_cached(file: impl AsFd, buffer: &mut [u8], offset: u64) -> bool {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut rest = [IoSliceMut::new(&mut buffer[filled..])];
        match rustix::io::preadv2(&file, &mut rest, offset + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(length @ 1..) => filled += length,
            _ => return false,
        }
    }
    true
}

/// How much after a part has to be in the page cache too: a read may start to read ahead, which may wait. Source:
/// mm/readahead.c; /sys/class/bdi/*/read_ahead_kb is 128 mostly.
const AHEAD: u64 = 256 << 10;

/// Reads from an open regular file of a local file system, into as much of the buffer as the file has; gives the length.
pub(crate) fn read_at(file: impl AsFd, reads: Reads, buffer: &mut [u8], offset: u64) -> Cached<usize> {
    if buffer.len() > READ_MOST {
        return Cached::Unknown;
    }
    let Ok(stat) = fs::statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) else { return Cached::Unknown };
    let rest = stat.stx_size.saturating_sub(offset);
    let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
    if wanted == 0 {
        return Cached::Known(Ok(0));
    }
    let checked = rest.min(wanted as u64 + AHEAD);
    if !reads.leaves_times(&stat) || !is_resident(&file, offset, checked) {
        return Cached::Unknown;
    }
    match read_cached(&file, &mut buffer[..wanted], offset) {
        true => Cached::Known(Ok(wanted)),
        false => Cached::Unknown,
    }
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
