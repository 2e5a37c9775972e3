//! What the file system as a whole can and cannot do.

use std::ffi::OsStr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::rules::lock;

/// What becomes of modes and owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modes {
    /// They are kept.
    #[default]
    Keep,
    /// All files have the mode 755 and the owner of the root; to change that is `EPERM`.
    Deny,
    /// All files have the mode 755 and the owner of the root; to change that does nothing.
    Ignore,
}

/// The limits and habits of the whole file system; the default has none.
#[derive(Clone, Debug, Default)]
pub struct Knobs {
    /// How long every request takes at least.
    pub latency: Duration,
    /// How many bytes a second can be written, by all clients together.
    pub bandwidth: Option<u64>,
    /// Extended attributes are `EOPNOTSUPP`.
    pub no_xattrs: bool,
    /// Hard links are `EPERM`.
    pub no_links: bool,
    /// Symbolic links are `EPERM`.
    pub no_symlinks: bool,
    /// Pipes, sockets and devices are `EPERM`.
    pub no_special: bool,
    /// What becomes of modes and owners.
    pub modes: Modes,
    /// `renameat2` with flags is `EINVAL`.
    pub no_rename_flags: bool,
    /// Names which Windows does not allow are `EINVAL`.
    pub dos_names: bool,
    /// Upper and lower case are the same in names, and nothing is cached.
    pub ignore_case: bool,
    /// A longer file is `EFBIG`.
    pub max_file: Option<u64>,
    /// Times are reported rounded down to a multiple of this, in seconds (0: to the nanosecond).
    pub time_step: u32,
    /// More data in files is `ENOSPC`.
    pub quota: Option<u64>,
    /// `fallocate` and seeking for holes are passed on (or else `ENOSYS`).
    pub sparse: bool,
}

impl Knobs {
    /// The rules of FAT: names, case, sizes below 4 GiB, times of 2 s, no links, modes, xattrs.
    pub fn fat() -> Self {
        Self {
            no_xattrs: true,
            no_links: true,
            no_symlinks: true,
            no_special: true,
            modes: Modes::Deny,
            dos_names: true,
            ignore_case: true,
            max_file: Some(u64::from(u32::MAX)),
            time_step: 2,
            ..Self::default()
        }
    }

    /// May an entry be made with this name?
    pub(super) fn check_name(&self, name: &OsStr) -> Result<(), Errno> {
        let bad = |c: &u8| *c < 32 || b"<>:\"/\\|?*".contains(c);
        let bytes = name.as_encoded_bytes();
        let wrong = bytes.iter().any(bad) || matches!(bytes.last(), Some(b'.' | b' '));
        if self.dos_names && wrong { Err(Errno::INVAL) } else { Ok(()) }
    }

    pub(super) fn deny(&self, denied: bool) -> Result<(), Errno> {
        if denied { Err(Errno::PERM) } else { Ok(()) }
    }

    pub(super) fn xattrs(&self) -> Result<(), Errno> {
        if self.no_xattrs { Err(Errno::OPNOTSUPP) } else { Ok(()) }
    }
}

/// A line which all writes share: each waits for its turn and takes the time of its bytes.
pub(super) struct Throttle(Mutex<Instant>);

impl Throttle {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// How long a write of so many bytes must wait.
    pub(super) fn delay(&self, bytes: usize, per_second: u64) -> Duration {
        let now = Instant::now();
        let mut free = lock(&self.0);
        let cost = Duration::from_secs_f64(bytes as f64 / per_second.max(1) as f64);
        *free = (*free).max(now) + cost;
        *free - now
    }
}

/// The bytes which the files hold, counted while there is a quota.
#[derive(Default)]
pub(super) struct Usage(Mutex<u64>);

impl Usage {
    pub(super) fn set(&self, used: u64) {
        *lock(&self.0) = used;
    }

    pub(super) fn get(&self) -> u64 {
        *lock(&self.0)
    }

    /// Takes so many bytes of the quota, or what is left of it.
    pub(super) fn take(&self, bytes: u64, quota: u64) -> u64 {
        let mut used = lock(&self.0);
        let granted = bytes.min(quota.saturating_sub(*used));
        *used += granted;
        granted
    }

    pub(super) fn give(&self, bytes: u64) {
        let mut used = lock(&self.0);
        *used = used.saturating_sub(bytes);
    }
}
