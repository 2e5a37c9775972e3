//! What it does to drop a call.

use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use fileops::fs::{self, Call};
use fileops::{Pool, Task, block_on};
use fileops_tests::Tree;

const LONG: Duration = Duration::from_secs(60);

/// All threads that a lane can have, stuck ones included, and some more.
const MORE_THAN_A_LANE: usize = 40;

/// Takes all threads of the lane of a directory, until the sender is dropped.
fn fill(pool: &Pool, tree: &Tree) -> (Sender<()>, Vec<Task<()>>) {
    let (open, hold) = channel::<()>();
    let hold: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(hold));
    let call = |_| {
        let hold = Arc::clone(&hold);
        pool.run_at(tree.root(), move || assert!(hold.lock().unwrap().recv().is_err()))
    };
    (open, (0..MORE_THAN_A_LANE).map(call).collect())
}

fn poll_pending<T: Send + 'static>(call: &mut Call<T>) {
    assert!(Pin::new(call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_call_that_was_not_polled_does_nothing() {
    let tree = Tree::new("");
    drop(fs::write(tree.path("file"), "x"));
    drop(fs::create_dir(tree.path("dir")));
    block_on(fs::write(tree.path("other"), "x")).unwrap();
    tree.assert("other=x");
}

#[test]
fn a_call_that_is_dropped_before_it_began_does_not_begin() {
    let (tree, pool) = (Tree::new(""), Pool::new());
    let (open, held) = fill(&pool, &tree);
    let mut dropped = fs::create_dir(tree.path("dropped")).on(&pool);
    let mut kept = fs::create_dir(tree.path("kept")).on(&pool);
    poll_pending(&mut dropped);
    poll_pending(&mut kept);
    drop(dropped);
    drop(open);
    block_on(kept).unwrap();
    held.into_iter().for_each(|task| block_on(task).unwrap());
    // One more, which comes after all that waited.
    block_on(fs::create_dir(tree.path("last")).on(&pool)).unwrap();
    tree.assert("kept/ last/");
}

#[test]
fn what_a_call_opened_that_was_dropped_meanwhile_is_closed() {
    let (tree, pool) = (Tree::new("fifo|"), Pool::new());
    let mut open = fs::File::open(tree.path("fifo")).on(&pool);
    poll_pending(&mut open);
    // This waits until the worker opens the other end.
    let mut writer = File::options().write(true).open(tree.path("fifo")).unwrap();
    drop(open);
    let end = Instant::now() + LONG;
    loop {
        match writer.write(b"x") {
            Err(error) => break assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            Ok(_) => assert!(Instant::now() < end, "the other end stays open"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_write_that_was_dropped_while_it_ran_goes_on_to_its_end() {
    let (tree, pool) = (Tree::new("fifo|"), Pool::new());
    let bytes: Vec<u8> = (0..1_000_000u32).map(|number| (number % 251) as u8).collect();
    let mut write = fs::append(tree.path("fifo"), bytes.clone()).on(&pool);
    poll_pending(&mut write);
    let reader = File::open(tree.path("fifo")).unwrap();
    // A pipe holds less than this: the worker is in the middle of it.
    let mut reader = std::io::BufReader::new(reader);
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut reader, &mut first).unwrap();
    drop(write);
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut rest).unwrap();
    assert!(first[0] == bytes[0] && rest == bytes[1..]);
}

#[test]
fn a_file_that_is_dropped_is_closed_by_a_worker() {
    let (tree, pool) = (Tree::new(""), Pool::new());
    let file = block_on(fs::File::create(tree.path("file")).on(&pool)).unwrap();
    let clone = file.clone();
    drop(file);
    block_on(clone.write_at("still open", 0)).unwrap();
    drop(clone);
    let held = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.ok().and_then(|entry| std::fs::read_link(entry.path()).ok()) == Some(tree.path("file"))
    };
    let end = Instant::now() + LONG;
    while std::fs::read_dir("/proc/self/fd").unwrap().any(held) {
        assert!(Instant::now() < end, "it stays open");
        std::thread::sleep(Duration::from_millis(2));
    }
    tree.assert("file=still\\x20open");
}

#[test]
fn calls_of_a_pool_that_is_gone_fail_and_say_so() {
    let (tree, pool) = (Tree::new(""), Pool::new());
    let (open, held) = fill(&pool, &tree);
    let mut call = fs::create_dir(tree.path("dir")).on(&pool);
    poll_pending(&mut call);
    drop(pool);
    let error = block_on(call).unwrap_err();
    assert_eq!((error.action, error.path), (fileops::Action::CreateDir, tree.path("dir")));
    let reason = error.source.get_ref().and_then(|reason| reason.downcast_ref::<fileops::TaskError>());
    assert_eq!(reason, Some(&fileops::TaskError::PoolClosed));
    drop(open);
    drop(held);
}
