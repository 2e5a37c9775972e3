//! What an entry is: kind, identity, size, times.

use super::again;
use super::open::Follow;
use rustix::fs::{self, AtFlags, FileType, StatxFlags};
use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For a path that a caller wrote: it begins in the current directory.
pub(crate) const HERE: std::os::fd::BorrowedFd<'static> = fs::CWD;

/// Which file, within one process: two names with the same identity are the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

/// Which mount, and where the kernel does not tell (before Linux 5.8) which device. Bind mounts of one device differ, and the
/// subvolumes of one mount do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OnMount(u64, u64);

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

impl From<SystemTime> for Time {
    fn from(moment: SystemTime) -> Time {
        match moment.duration_since(UNIX_EPOCH) {
            Ok(since) => Time {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos().into(),
            },
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
                match before.subsec_nanos() {
                    0 => Time { seconds, nanoseconds: 0 },
                    nanoseconds => Time { seconds: seconds - 1, nanoseconds: i64::from(1_000_000_000 - nanoseconds) },
                }
            }
        }
    }
}

impl Time {
    /// For a time that is to stay as it is. Source: utimensat(2).
    #[allow(clippy::unnecessary_cast)] // its type differs between architectures
    pub(crate) const AS_IT_IS: Time = Time { seconds: 0, nanoseconds: fs::UTIME_OMIT as i64 };

    /// By the machine's clock.
    pub(crate) fn now() -> Time {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time { seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX), nanoseconds: now.subsec_nanos().into() }
    }
}

impl Time {
    /// A file system may hold a time that the clock does not; the nearest there is then stands for it.
    pub(crate) fn moment(self) -> SystemTime {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = match self.seconds {
            0.. => UNIX_EPOCH.checked_add(whole),
            _ => UNIX_EPOCH.checked_sub(whole),
        };
        let nanoseconds = Duration::from_nanos(self.nanoseconds.try_into().unwrap_or(0));
        second.and_then(|second| second.checked_add(nanoseconds)).unwrap_or(UNIX_EPOCH)
    }

    /// The next that there is.
    pub(crate) fn next(self) -> Time {
        match self.nanoseconds {
            999_999_999 => Time { seconds: self.seconds + 1, nanoseconds: 0 },
            nanoseconds => Time { nanoseconds: nanoseconds + 1, ..self },
        }
    }
}

/// The attributes of one entry, as one call gave them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) id: Id,
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) rdev: u64,
    pub(crate) size: u64,
    /// Allocated, in bytes.
    pub(crate) allocated: u64,
    pub(crate) accessed: Time,
    pub(crate) modified: Time,
    /// When anything about it changed last: contents, attributes, a name. Nobody can set it.
    pub(crate) changed: Time,
    /// Which mount, where the kernel tells (Linux 5.8); 0 otherwise.
    pub(crate) mount: u64,
}

impl Stat {
    /// Of an open file.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Stat> {
        again(|| fs::fstat(&file)).map(Stat::from)
    }

    /// Of a name in a directory; a symbolic link is not followed.
    pub(crate) fn at(dir: impl AsFd, name: &CStr) -> io::Result<Stat> {
        again(|| fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)).map(Stat::from)
    }

    /// Of a name in a directory, or of what it points to.
    pub(crate) fn following(dir: impl AsFd, name: &CStr) -> io::Result<Stat> {
        again(|| fs::statat(&dir, name, AtFlags::empty())).map(Stat::from)
    }

    /// Of an open directory or handle, with its mount.
    pub(crate) fn of_dir(dir: impl AsFd) -> io::Result<Stat> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        match again(|| fs::statx(&dir, c"", AtFlags::EMPTY_PATH, wanted)) {
            // Before Linux 4.11, or forbidden by a sandbox: mounts are told apart by device alone.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Stat::of(&dir),
            stat => stat.map(|stat| Stat::from(&stat)),
        }
    }

    /// Which mount it is on, if it was asked for by [`of_dir`](Stat::of_dir).
    pub(crate) fn on_mount(&self) -> OnMount {
        OnMount(self.mount, if self.mount == 0 { self.id.dev } else { 0 })
    }

    /// A number of the mount that a directory is on, which no later mount of this run of the kernel has; `None` before Linux
    /// 6.8.
    pub(crate) fn mount_session(dir: impl AsFd) -> Option<u64> {
        // Source: STATX_MNT_ID_UNIQUE in linux/stat.h.
        let unique = StatxFlags::from_bits_retain(0x4000);
        let stat = again(|| fs::statx(&dir, c"", AtFlags::EMPTY_PATH, unique)).ok()?;
        (stat.stx_mask & unique.bits() != 0).then_some(stat.stx_mnt_id)
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    /// The permission bits with setuid, setgid and sticky.
    pub(crate) fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Whether some of the file is a hole, as far as the block count tells.
    pub(crate) fn has_holes(&self) -> bool {
        self.allocated < self.size
    }

    /// Whether nobody wrote to the file between the two.
    pub(crate) fn is_unchanged(&self, later: &Stat) -> bool {
        self.id == later.id && self.size == later.size && self.modified == later.modified
    }
}

/// The attributes of one entry with what only statx(2) tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub(crate) stat: Stat,
    /// Where the file system keeps it.
    pub(crate) created: Option<Time>,
}

impl Full {
    /// Of an open file or a handle.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Full> {
        Full::ask(&file, c"", AtFlags::EMPTY_PATH)
    }

    /// Of a name in a directory, or of what it points to.
    pub(crate) fn at(dir: impl AsFd, name: &CStr, follow: Follow) -> io::Result<Full> {
        // An automount is not mounted for a look. Source: stat(2), NOTES.
        let flags = if follow == Follow::Yes { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        Full::ask(&dir, name, flags | AtFlags::NO_AUTOMOUNT)
    }

    fn ask(dir: impl AsFd, name: &CStr, flags: AtFlags) -> io::Result<Full> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
        match again(|| fs::statx(&dir, name, flags, wanted)) {
            // Before Linux 4.11, or forbidden by a sandbox.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                let stat = if name.is_empty() {
                    Stat::of(&dir)
                } else if flags.contains(AtFlags::SYMLINK_NOFOLLOW) {
                    Stat::at(&dir, name)
                } else {
                    Stat::following(&dir, name)
                };
                stat.map(|stat| Full { stat, created: None })
            }
            raw => raw.map(|raw| {
                let time = Time { seconds: raw.stx_btime.tv_sec, nanoseconds: raw.stx_btime.tv_nsec.into() };
                let has_time = raw.stx_mask & StatxFlags::BTIME.bits() != 0;
                Full { stat: Stat::from(&raw), created: has_time.then_some(time) }
            }),
        }
    }
}

impl From<&fs::Statx> for Stat {
    fn from(raw: &fs::Statx) -> Stat {
        let time = |time: &fs::StatxTimestamp| Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec.into() };
        let has_mount = raw.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Stat {
            id: Id { dev: fs::makedev(raw.stx_dev_major, raw.stx_dev_minor), ino: raw.stx_ino },
            mode: raw.stx_mode.into(),
            links: raw.stx_nlink.into(),
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            rdev: fs::makedev(raw.stx_rdev_major, raw.stx_rdev_minor),
            size: raw.stx_size,
            allocated: raw.stx_blocks * 512,
            accessed: time(&raw.stx_atime),
            modified: time(&raw.stx_mtime),
            changed: time(&raw.stx_ctime),
            mount: if has_mount { raw.stx_mnt_id } else { 0 },
        }
    }
}

impl From<fs::Stat> for Stat {
    // The types of the fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn from(raw: fs::Stat) -> Stat {
        Stat {
            id: Id { dev: raw.st_dev as u64, ino: raw.st_ino as u64 },
            mode: raw.st_mode as u32,
            links: raw.st_nlink as u64,
            uid: raw.st_uid as u32,
            gid: raw.st_gid as u32,
            rdev: raw.st_rdev as u64,
            size: raw.st_size as u64,
            allocated: raw.st_blocks as u64 * 512,
            accessed: Time { seconds: raw.st_atime as i64, nanoseconds: raw.st_atime_nsec as i64 },
            modified: Time { seconds: raw.st_mtime as i64, nanoseconds: raw.st_mtime_nsec as i64 },
            changed: Time { seconds: raw.st_ctime as i64, nanoseconds: raw.st_ctime_nsec as i64 },
            mount: 0,
        }
    }
}

/// The time that a file system which knows no finer one gives to what changes now.
///
/// Source: clock_gettime(2), CLOCK_REALTIME_COARSE.
pub(crate) fn coarse_now() -> Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Time { seconds: now.tv_sec, nanoseconds: now.tv_nsec }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_before_1970_comes_back_as_it_was() {
        for nanoseconds in [0, 1, 999_999_999, 1_000_000_000, 1_500_000_000] {
            let moment = UNIX_EPOCH - Duration::from_nanos(nanoseconds);
            assert_eq!(Time::from(moment).moment(), moment);
            assert!((0..1_000_000_000).contains(&Time::from(moment).nanoseconds));
        }
    }

    #[test]
    fn both_calls_give_a_directory_the_same_identity_and_attributes() {
        let dir = std::fs::File::open("/proc/self").unwrap();
        let (one, other) = (Stat::of(&dir).unwrap(), Stat::of_dir(&dir).unwrap());
        assert_eq!(
            (one.id, one.mode, one.links, one.uid, one.gid),
            (other.id, other.mode, other.links, other.uid, other.gid)
        );
        let dir = std::fs::File::open("/").unwrap();
        let (one, other) = (Stat::of(&dir).unwrap(), Stat::of_dir(&dir).unwrap());
        assert_eq!(
            (one.id, one.size, one.modified, one.allocated),
            (other.id, other.size, other.modified, other.allocated)
        );
    }
}
