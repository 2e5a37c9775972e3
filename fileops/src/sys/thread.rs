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

/// Makes a call during which the disk is asked with the lowest priority (where its scheduler knows any), and puts the thread's
/// own back.
///
/// Source: ioprio_set(2); IOPRIO_CLASS_IDLE in linux/ioprio.h.
pub(crate) fn with_idle_io<T>(call: impl FnOnce() -> T) -> T {
    struct PutBack(libc::c_long);
    impl Drop for PutBack {
        fn drop(&mut self) {
            set_io_priority(self.0);
        }
    }
    const IDLE: libc::c_long = 3 << 13;
    let before = io_priority();
    set_io_priority(IDLE);
    let _put_back = PutBack(before);
    call()
}

/// IOPRIO_WHO_PROCESS, which means a thread; thread 0 is this one.
const THIS_THREAD: (libc::c_int, libc::c_int) = (1, 0);

#[allow(unsafe_code)]
fn set_io_priority(priority: libc::c_long) {
    // SAFETY: three numbers; no memory of ours is touched. A hint: where it is refused, nothing is lowered.
    let _ = unsafe { libc::syscall(libc::SYS_ioprio_set, THIS_THREAD.0, THIS_THREAD.1, priority as libc::c_int) };
}

/// Of the calling thread, class and level in one number; 0 (as the processor's) where it is not told.
#[allow(unsafe_code)]
pub(crate) fn io_priority() -> libc::c_long {
    // SAFETY: two numbers; no memory of ours is touched.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, THIS_THREAD.0, THIS_THREAD.1) };
    // What was never set is told as the class it amounts to, and would then not follow the processor's any more.
    if priority < 0 { 0 } else { priority }
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
