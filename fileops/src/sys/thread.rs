//! Threads: their signals, and whether they run or wait.

use std::fs;
use std::time::Duration;

/// Blocks every signal in the calling thread, so that handlers run on the application's own threads and a file size
/// limit answers EFBIG instead of killing the process (SIGXFSZ). Faults (SIGSEGV and the like) cannot be blocked.
#[allow(unsafe_code)]
pub(crate) fn block_signals() {
    // SAFETY: `set` is written by sigfillset before it is read; sigdelset and pthread_sigmask get valid pointers, and a
    // null old set is allowed (pthread_sigmask(3)).
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP] {
            libc::sigdelset(&mut set, fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
    }
}

/// The kernel's number of the calling thread.
pub(crate) fn id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Whether a thread of this process sleeps in a call (waiting for a disk, a network, a lock), rather than runs or wants to.
/// `None` without /proc.
pub(crate) fn is_waiting(id: i32) -> Option<bool> {
    let stat = fs::read(format!("/proc/self/task/{id}/stat")).ok()?;
    // "id (name) S ...": the name may hold spaces and brackets, so look from its end. Source: proc(5).
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    Some(matches!(stat.get(end + 2)?, b'S' | b'D'))
}

/// The time a thread of this process has spent on a processor; of one that is there just now, up to the last tick. `None`
/// where the kernel keeps no such account.
///
/// Source: Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat": nanoseconds.
pub(crate) fn run_time(id: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Processors this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
