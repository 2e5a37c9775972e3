//! Locks: who has one, who waits, and who does not want it any more.

use crate::wait_until;
use fileops::fs::{File, Lock};
use fileops::{block_on, fs};
use fileops_tests::{FaultFs, Tree, require_fuse};
use rustix::fs::{FlockOperation, flock};
use std::fs::OpenOptions;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap().into()
}

/// Whether a lock is free for another.
fn is_free(path: &Path, lock: Lock) -> bool {
    block_on(open(path).try_lock(lock)).unwrap().is_some()
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn shared_locks_go_together_and_an_exclusive_one_goes_alone() {
    let tree = Tree::new("file=0123456789");
    let path = tree.path("file");
    for kind in [Lock::shared as fn() -> Lock, || Lock::shared().bytes(0..u64::MAX)] {
        let exclusive = || if kind() == Lock::shared() { Lock::exclusive() } else { Lock::exclusive().bytes(3..4) };
        let (one, other) = (open(&path), open(&path));
        let first = block_on(one.lock(kind())).unwrap();
        let second = block_on(other.try_lock(kind())).unwrap().expect("shared");
        assert!(!is_free(&path, exclusive()));
        drop(first);
        assert!(!is_free(&path, exclusive()));
        block_on(second.release()).unwrap();
        let alone = block_on(one.try_lock(exclusive())).unwrap().expect("free");
        assert!(!is_free(&path, exclusive()) && !is_free(&path, kind()));
        drop(alone);
        assert!(is_free(&path, exclusive()));
    }
}

#[test]
fn locks_of_bytes_are_in_the_way_only_where_they_meet() {
    let tree = Tree::new("file=0123456789");
    let path = tree.path("file");
    let file = open(&path);
    let held = block_on(file.lock(Lock::exclusive().bytes(10..20))).unwrap();
    assert!(is_free(&path, Lock::exclusive().bytes(0..10)) && is_free(&path, Lock::exclusive().bytes(20..u64::MAX)));
    assert!(!is_free(&path, Lock::shared().bytes(19..20)));
    // The other kind knows nothing of it.
    assert!(is_free(&path, Lock::exclusive()));
    let error = block_on(open(&path).try_lock(Lock::shared().bytes(5..5))).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL));
    let only_read = block_on(File::open(&path)).unwrap();
    let error = block_on(only_read.try_lock(Lock::exclusive().bytes(0..1))).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EBADF));
    drop(held);
}

#[test]
fn the_locks_are_those_of_the_system() {
    let tree = Tree::new("file=");
    let path = tree.path("file");
    let theirs = std::fs::File::open(&path).unwrap();
    flock(&theirs, FlockOperation::LockShared).unwrap();
    assert!(!is_free(&path, Lock::exclusive()) && is_free(&path, Lock::shared()));
    flock(&theirs, FlockOperation::Unlock).unwrap();
    let ours = block_on(open(&path).lock(Lock::exclusive())).unwrap();
    assert!(flock(&theirs, FlockOperation::NonBlockingLockShared).is_err());
    ours.keep();
    // Kept, it lives as long as the file, which was closed just now.
    wait_until("the lock goes with the file", || flock(&theirs, FlockOperation::NonBlockingLockShared).is_ok());
}

#[test]
fn who_waits_gets_the_lock_when_it_is_free() {
    let tree = Tree::new("file=");
    let path = tree.path("file");
    let held = block_on(open(&path).lock(Lock::exclusive())).unwrap();
    let (waiting, woken) = (open(&path), Arc::new(Woken::default()));
    let mut future = waiting.lock(Lock::exclusive());
    let waker = Waker::from(Arc::clone(&woken));
    // It asks, is told no, and asks again.
    wait_until("it asked more than once", || {
        assert!(poll(&mut future, &waker).is_pending());
        woken.0.load(Ordering::SeqCst) > 3
    });
    drop(held);
    let lock = block_on(future).unwrap();
    assert!(!is_free(&path, Lock::exclusive()));
    drop(lock);
    assert!(is_free(&path, Lock::exclusive()));
}

#[test]
fn who_does_not_wait_any_more_never_has_the_lock() {
    require_fuse!();
    let fault = FaultFs::new();
    let path = fault.path().join("file");
    std::fs::write(&path, "").unwrap();
    for round in 0..20 {
        let held = block_on(open(&path).lock(Lock::exclusive())).unwrap();
        let waiting = open(&path);
        let mut future = waiting.lock(Lock::exclusive());
        let polls = round % 4;
        (0..=polls).for_each(|_| assert!(poll(&mut future, Waker::noop()).is_pending()));
        // It is given up while the lock becomes free.
        let free = std::thread::spawn(move || drop(held));
        drop(future);
        free.join().unwrap();
        wait_until("nobody has it", || is_free(&path, Lock::exclusive()));
    }
}

/// Takes locks for nobody, again and again.
fn abandon_locks_of(path: &Path) {
    for _ in 0..50 {
        let file = open(path);
        let mut call = file.try_lock(Lock::exclusive());
        let _ = poll(&mut call, Waker::noop());
        drop(call);
        // The file is open still: the lock would be, too.
        wait_until("it was released", || is_free(path, Lock::exclusive()));
        drop(file);
    }
}

#[test]
fn a_lock_that_was_taken_for_nobody_is_released() {
    let tree = Tree::new("file=");
    abandon_locks_of(&tree.path("file"));
}

#[test]
fn a_lock_that_was_taken_for_nobody_is_released_where_that_takes_a_worker() {
    require_fuse!();
    let fault = FaultFs::new();
    std::fs::write(fault.path().join("file"), "").unwrap();
    abandon_locks_of(&fault.path().join("file"));
}

#[test]
fn many_who_wait_take_no_threads_from_others() {
    require_fuse!();
    let fault = FaultFs::new();
    let path = fault.path().join("file");
    std::fs::write(&path, "hello").unwrap();
    let held = block_on(open(&path).lock(Lock::exclusive())).unwrap();
    let waiting: Vec<_> = (0..200).map(|_| open(&path)).collect();
    let mut futures: Vec<_> = waiting.iter().map(|file| file.lock(Lock::exclusive())).collect();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    futures.iter_mut().for_each(|future| assert!(poll(future, &waker).is_pending()));
    // All of them are told no before this one is asked, and the lane is free for it.
    let entries = block_on(fs::read_dir(fault.path()).all()).unwrap();
    assert_eq!(entries.len(), 1);
    drop(futures);
    drop(held);
    wait_until("nobody has it", || is_free(&path, Lock::exclusive()));
}
