//! Which mounts are file systems of this machine that answer for an inode in memory without waiting for anything.
//!
//! A file tells its mount by `name_to_handle_at`, which no file system has to be asked for (`statx` would ask 9p, and
//! `fstatfs` any server). What kind a mount is is learned once, by a thread that may wait: the kernel never gives a mount's
//! unique number (Linux 6.12) to another one.
//! Source: open_by_handle_at(2), AT_HANDLE_MNT_ID_UNIQUE; statmount(2).

use super::mount;
use rustix::fs::Statx;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

/// File systems whose inodes, once in memory, answer statx without a disk, a network or a lock that is held over either.
const LOCAL: [u64; 6] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0xf2f5_2010, // F2FS
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
];

/// The names of those in mountinfo.
const LOCAL_NAMES: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "devtmpfs", "ramfs"];

/// What is known of the mount that a file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Local(Reads),
    /// Anything else: a server, a program, made up while it is asked for.
    Foreign,
    /// Nobody has looked yet, under this number.
    New(u64),
}

/// What a read does to the access time: to set it may wait for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Nothing (noatime).
    Leave,
    /// Sets it where it is not later than the last change, or a day old.
    Relative,
    /// Sets it always.
    Set,
}

impl Reads {
    /// Whether a read of a file that is as `stat` says leaves its times alone.
    ///
    /// Source: fs/inode.c, relatime_need_update().
    pub(crate) fn leaves_times(self, stat: &Statx) -> bool {
        /// An hour less than the kernel's day: a clock that was set back a little does no harm.
        const FRESH: i64 = 23 * 60 * 60;
        let at = |time: &rustix::fs::StatxTimestamp| (time.tv_sec, time.tv_nsec);
        let is_newest = at(&stat.stx_atime) > at(&stat.stx_mtime).max(at(&stat.stx_ctime));
        match self {
            Reads::Leave => true,
            Reads::Set => false,
            Reads::Relative => {
                is_newest && clock_gettime(ClockId::RealtimeCoarse).tv_sec.saturating_sub(stat.stx_atime.tv_sec) < FRESH
            }
        }
    }
}

/// Set where mounts have no numbers of their own for ever, or cannot be asked for by them.
static IS_OLD: AtomicBool = AtomicBool::new(false);

/// What is known of mounts by their unique numbers: number * 4 + one of the constants below. A place that is taken is
/// overwritten, so that no lock is needed and nothing grows; what was forgotten is learned again.
static KNOWN: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

const FOREIGN: u64 = 0;
const LEAVE: u64 = 1;
const RELATIVE: u64 = 2;
const SET: u64 = 3;

/// What is known of the mount that an open file or a handle is on. Waits for nothing.
pub(crate) fn look(file: impl AsFd) -> Verdict {
    if !IS_OLD.load(Ordering::Relaxed) {
        match number(&file, HANDLE_UNIQUE) {
            Ok(number) => return known(number).map_or(Verdict::New(number), verdict),
            Err(libc::EINVAL) => IS_OLD.store(true, Ordering::Relaxed),
            Err(_) => return Verdict::Foreign,
        }
    }
    match number(&file, 0) {
        Ok(number) => Numbered::look(number),
        Err(_) => Verdict::Foreign,
    }
}

/// The number in mountinfo of the mount that an open file or a handle is on; `None` where its file system tells none. Waits
/// for nothing.
pub(crate) fn number_of(file: impl AsFd) -> Option<u64> {
    number(file, 0).ok()
}

/// The same, of one that may have to be learned first. May wait.
pub(crate) fn surely(file: impl AsFd) -> Verdict {
    match look(&file) {
        Verdict::New(number) => {
            learn(number);
            look(&file)
        }
        known => known,
    }
}

/// Finds out about a mount that [`look`] did not know. May wait.
pub(crate) fn learn(number: u64) {
    if IS_OLD.load(Ordering::Relaxed) {
        return Numbered::learn();
    }
    match statmount(number) {
        Ok((magic, attributes)) => {
            let word = if LOCAL.contains(&magic) { reads(attributes) } else { FOREIGN };
            KNOWN[place(number)].store(number << 2 | word, Ordering::Relaxed);
        }
        // It is gone, or in no place that this process can reach.
        Err(libc::ENOENT) => KNOWN[place(number)].store(number << 2 | FOREIGN, Ordering::Relaxed),
        Err(_) => IS_OLD.store(true, Ordering::Relaxed),
    }
}

/// Source: MOUNT_ATTR__ATIME in linux/mount.h.
fn reads(attributes: u64) -> u64 {
    match attributes & 0x70 {
        0x00 => RELATIVE,
        0x10 => LEAVE,
        _ => SET,
    }
}

fn place(number: u64) -> usize {
    (number % KNOWN.len() as u64) as usize
}

fn known(number: u64) -> Option<u64> {
    let word = KNOWN[place(number)].load(Ordering::Relaxed);
    (word != 0 && word >> 2 == number).then_some(word & 3)
}

fn verdict(word: u64) -> Verdict {
    match word {
        FOREIGN => Verdict::Foreign,
        LEAVE => Verdict::Local(Reads::Leave),
        RELATIVE => Verdict::Local(Reads::Relative),
        _ => Verdict::Local(Reads::Set),
    }
}

/// AT_HANDLE_MNT_ID_UNIQUE.
const HANDLE_UNIQUE: libc::c_int = 1;

/// The number of the mount that a file is on, or the error. File systems without handles (9p, SMB) tell none.
#[allow(unsafe_code)]
fn number(file: impl AsFd, flags: libc::c_int) -> Result<u64, i32> {
    /// A `struct file_handle` with room for none, which is enough to be told the mount.
    #[repr(C)]
    struct Handle {
        length: u32,
        kind: i32,
    }
    let mut handle = Handle { length: 0, kind: 0 };
    let mut number = 0u64;
    // SAFETY: the descriptor is open for the length of the call, the empty path ends with a NUL, the handle has the layout of
    // one of length 0, and the kernel writes a number of 32 or 64 bits to `number`.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut number,
            libc::AT_EMPTY_PATH | flags,
        )
    };
    // Without the flag it is an `int`.
    let number = if flags == 0 { u64::from(u32::from_ne_bytes(first_half(number))) } else { number };
    match answer {
        0 => Ok(number),
        _ => match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EOVERFLOW) => Ok(number),
            error => Err(error.unwrap_or(libc::EIO)),
        },
    }
}

fn first_half(number: u64) -> [u8; 4] {
    let bytes = number.to_ne_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

/// The kind of file system of a mount, by its number in `linux/magic.h`, and the mount's attributes; or the error.
///
/// Source: statmount(2), STATMOUNT_SB_BASIC and STATMOUNT_MNT_BASIC: no file system is asked.
#[allow(unsafe_code)]
fn statmount(number: u64) -> Result<(u64, u64), i32> {
    #[repr(C)]
    struct Request {
        size: u32,
        spare: u32,
        mount: u64,
        param: u64,
    }
    #[repr(C)]
    struct Answer {
        size: u32,
        options: u32,
        mask: u64,
        major: u32,
        minor: u32,
        magic: u64,
        flags: u32,
        kind: u32,
        mount: u64,
        parent: u64,
        old: u32,
        old_parent: u32,
        attributes: u64,
        rest: [u64; 54],
    }
    /// The same on all architectures but Alpha. Source: include/uapi/asm-generic/unistd.h.
    const STATMOUNT: libc::c_long = 457;
    const BASICS: u64 = 1 | 2;
    let request = Request { size: 24, spare: 0, mount: number, param: BASICS };
    // SAFETY: all fields are numbers, for which zero is a valid value.
    let mut answer: Answer = unsafe { std::mem::zeroed() };
    // SAFETY: `request` is a `struct mnt_id_req` of its first version and is only read; the kernel writes at most the size
    // given to `answer`, which begins like a `struct statmount`.
    let done =
        unsafe { libc::syscall(STATMOUNT, &raw const request, &raw mut answer, std::mem::size_of::<Answer>(), 0u32) };
    match done {
        0 if answer.mask & BASICS == BASICS => Ok((answer.magic, answer.attributes)),
        0 => Err(libc::ENOSYS),
        _ => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// Mounts by the numbers that mountinfo has, which the kernel gives again: they hold until it says that something changed.
struct Numbered {
    file: Option<File>,
    /// Whether the table was read after the last change: the kernel tells of one only once.
    is_current: bool,
    table: Vec<(u64, u64)>,
}

static NUMBERED: Mutex<Numbered> = Mutex::new(Numbered { file: None, is_current: false, table: Vec::new() });

impl Numbered {
    fn look(number: u64) -> Verdict {
        let mut numbered = match NUMBERED.try_lock() {
            Ok(numbered) => numbered,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody reads the table: that may take a while.
            Err(TryLockError::WouldBlock) => return Verdict::Foreign,
        };
        numbered.is_current &= !numbered.file.as_ref().is_none_or(mount::has_changed);
        if !numbered.is_current {
            return Verdict::New(number);
        }
        let found = numbered.table.iter().find(|(known, _)| *known == number);
        found.map_or(Verdict::Foreign, |(_, word)| verdict(*word))
    }

    fn learn() {
        let mut numbered = NUMBERED.lock().unwrap_or_else(PoisonError::into_inner);
        if numbered.file.is_none() {
            numbered.file = File::open("/proc/self/mountinfo").ok();
        }
        // Before the table is read: what changes while it is read shows at the next look.
        numbered.is_current = true;
        let text = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        numbered.table = text.split(|&byte| byte == b'\n').filter_map(mount_line).collect();
    }
}

/// Number and verdict. Source: proc_pid_mountinfo(5).
fn mount_line(line: &[u8]) -> Option<(u64, u64)> {
    let mount = mount::parse(line)?;
    let options = std::str::from_utf8(line.split(|&byte| byte == b' ').nth(5)?).ok()?;
    let has = |wanted| options.split(',').any(|option| option == wanted);
    let word = match LOCAL_NAMES.contains(&mount.kind.as_str()) {
        false => FOREIGN,
        true if has("noatime") => LEAVE,
        true if has("relatime") => RELATIVE,
        true => SET,
    };
    Some((mount.id(), word))
}
