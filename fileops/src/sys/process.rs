//! What this process is and may do.

use rustix::process::{Resource, getrlimit};
use std::fs;
use std::sync::OnceLock;

/// The effective user and group of new files.
pub(crate) fn effective_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// The bits that new files lose. Read, not set and set back: another thread may create a file in between.
pub(crate) fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    // Without /proc the strictest: modes are then set explicitly on every file.
    line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o777)
}

/// Which run of the kernel this is; empty where it does not tell.
pub(crate) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim_end().to_owned()
}

/// How many descriptors the process may have open.
pub(crate) fn descriptor_limit() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Whether descriptors can be named, as `/proc/self/fd` does: not in every chroot.
pub(crate) fn has_proc() -> bool {
    static HAS_PROC: OnceLock<bool> = OnceLock::new();
    *HAS_PROC.get_or_init(|| fs::metadata("/proc/self/fd").is_ok())
}
