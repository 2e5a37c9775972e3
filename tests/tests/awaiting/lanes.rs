//! Calls that hang hold up none that wait for something else.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use fileops::fs::{self, Call};
use fileops::{Pool, block_on};
use fileops_tests::{Action, Fault, FaultFs, Op, Options, Tree, alone, require_fuse};

const LONG: Duration = Duration::from_secs(60);

/// Many more than a lane has threads for.
const STUCK: usize = 200;

const LOCAL: usize = 1000;

/// A file system in which to look for anything called `stuck` takes for ever.
fn hanging() -> FaultFs {
    let fs = Options { threads: 64, ..Options::default() }.mount().unwrap();
    fs.add(Fault::new(Op::Lookup, Action::Hang).name("stuck*"));
    fs
}

/// Polls all of them once.
fn begin<T: Send + 'static>(calls: impl Iterator<Item = Call<T>>) -> Vec<Call<T>> {
    let mut calls: Vec<_> = calls.collect();
    for call in &mut calls {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::future::Future::poll(std::pin::Pin::new(call), &mut context).is_pending());
    }
    calls
}

/// Calls that workers make answer for this directory, which has a link of this name.
#[track_caller]
fn answers(pool: &Pool, link: &Path) {
    let (pool, link) = (pool.clone(), link.to_owned());
    let (send, done) = channel();
    std::thread::spawn(move || {
        for _ in 0..LOCAL {
            block_on(fs::read_link(&link).on(&pool)).unwrap();
            block_on(fs::metadata(link.parent().unwrap()).on(&pool)).unwrap();
        }
        send.send(())
    });
    done.recv_timeout(LONG).expect("local calls are not held up");
}

#[test]
fn calls_through_a_link_into_a_mount_that_hangs_hold_up_no_local_ones() {
    alone!();
    require_fuse!();
    let (tree, fs, pool) = (Tree::new("link->nowhere"), hanging(), Pool::new());
    symlink(fs.path(), tree.path("away")).unwrap();
    let away = |number| fileops::fs::metadata(tree.path(format!("away/stuck{number}"))).on(&pool);
    let stats = begin((0..STUCK).map(away));
    let new = |number| fileops::fs::create_dir(tree.path(format!("away/stuck{number}/new"))).on(&pool);
    let dirs = begin((0..STUCK).map(new));
    assert!(fs.wait_hanging(8, LONG), "the calls reach the file system");
    answers(&pool, &tree.path("link"));
    drop((stats, dirs));
    fs.clear();
    fs.release();
}

#[test]
fn opening_many_fifos_holds_up_no_local_calls() {
    alone!();
    let (tree, pool) = (Tree::new("fifo| link->nowhere"), Pool::new());
    // The mount is known.
    block_on(fs::metadata(tree.root()).on(&pool)).unwrap();
    let opens = begin((0..STUCK).map(|_| fs::File::open(tree.path("fifo")).on(&pool)));
    let reads = begin((0..STUCK).map(|_| fs::read(tree.path("fifo")).on(&pool)));
    answers(&pool, &tree.path("link"));
    drop((opens, reads));
    // Those that are under way are let go.
    drop(File::options().read(true).write(true).open(tree.path("fifo")).unwrap());
}
