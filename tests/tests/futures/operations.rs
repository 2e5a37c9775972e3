//! Operations as futures: what dropping them means, and that they hold up nobody.

use std::fs;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use fileops::{OnCancel, Outcome, Phase, Pool, block_on};
use fileops_tests::tree::{make, noise};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, assert_same_tree, require_fuse};

use crate::{LONG, SECOND, wait_until};

/// A file system to which a megabyte takes a second.
fn slow() -> FaultFs {
    let fs = FaultFs::new();
    fs.knobs(|knobs| knobs.bandwidth = Some(1_000_000));
    fs
}

fn names(fs: &FaultFs) -> usize {
    fs::read_dir(fs.backing()).unwrap().count()
}

fn poll_once<F: Future + Unpin>(future: &mut F) {
    assert!(Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn an_operation_that_is_dropped_goes_on_by_itself() {
    let tree = Tree::new("a/file=hello a/sub/more#100000 b/");
    drop(fileops::copy([tree.path("a")], tree.path("b")).start());
    // A directory appears under its name when it is whole.
    wait_until("the copy is whole", || tree.path("b/a").exists());
    assert_same_tree(tree.path("a"), tree.path("b/a"));
}

#[test]
fn a_future_of_a_copy_that_is_dropped_cancels_it() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/"), slow());
    fs::write(tree.path("a/file"), noise(20_000_000)).unwrap();
    let mut future = fileops::copy([tree.path("a")], fs.path()).into_future();
    poll_once(&mut future);
    wait_until("it writes", || fs.count(Op::Write) > 0);
    drop(future);
    let begun = Instant::now();
    wait_until("what was begun is gone", || names(&fs) == 0);
    assert!(begun.elapsed() < 10 * SECOND, "that took {:?} of the 20 s which the whole copy takes", begun.elapsed());
}

#[test]
fn a_future_that_was_awaited_to_its_end_cancels_nothing_when_it_is_dropped() {
    let tree = Tree::new("a/file=hello b/");
    let report = block_on(async {
        let mut future = pin!(fileops::copy([tree.path("a")], tree.path("b")).into_future());
        future.as_mut().await
    });
    assert_eq!(report.outcome, Outcome::Done);
    tree.assert("a/file=hello b/a/file=hello");
}

#[test]
fn a_copy_that_is_not_started_does_nothing() {
    let tree = Tree::new("a/file=hello b/ c/");
    let pool = Pool::new();
    let copy = fileops::copy([tree.path("a")], tree.path("b")).pool(&pool);
    let other = fileops::copy([tree.path("a")], tree.path("c")).pool(&pool);
    assert!(block_on(other.into_future()).is_complete());
    drop(copy);
    tree.assert("a/file=hello b/ c/a/file=hello");
}

#[test]
fn an_operation_tells_its_end_before_and_after_its_report_was_taken() {
    let tree = Tree::new("a/file=hello b/");
    let mut operation = fileops::copy([tree.path("a")], tree.path("b")).start();
    wait_until("it is done", || operation.is_done());
    assert_eq!(operation.progress().phase, Phase::Done);
    let report = block_on(&mut operation);
    assert!(report.is_complete());
    assert!(operation.is_done(), "it is done after the report was taken too");
    let progress = operation.progress();
    assert_eq!((progress.phase, progress.entries_done, progress.bytes_done), (Phase::Done, 2, 5));
    operation.pause();
    operation.cancel();
    assert_eq!(operation.progress().phase, Phase::Done, "what is done stays done");
}

#[test]
fn an_operation_can_be_polled_beside_a_timer_and_cancelled_by_it() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/"), slow());
    fs::write(tree.path("a/file"), noise(20_000_000)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (report, looks) = runtime.block_on(async {
        let mut operation = pin!(fileops::copy([tree.path("a")], fs.path()).start());
        let mut looks = 0;
        loop {
            tokio::select! {
                report = operation.as_mut() => break (report, looks),
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    looks += 1;
                    if operation.progress().bytes_done > 0 {
                        operation.cancel();
                    }
                }
            }
        }
    });
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(looks > 0, "the timer went on beside the copy");
    assert_eq!(names(&fs), 0);
}

#[test]
fn an_operation_that_hangs_does_not_block_the_runtime_it_is_awaited_in() {
    require_fuse!();
    let (tree, fs) = (Tree::new("b/ c/ local/file=x"), FaultFs::new());
    make(fs.backing(), "a/one=1 a/two=2");
    fs.add(Fault::new(Op::Open, Action::Hang));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let hangs = fileops::copy([fs.path().join("a")], tree.path("b")).on_cancel(OnCancel::KeepFinished).start();
        assert!(fs.wait_hanging(1, LONG));
        // The only thread of the runtime is free for these.
        assert_eq!(Pool::global().run(|| 1).await, Ok(1));
        assert!(fileops::copy([tree.path("local")], tree.path("c")).await.is_complete());
        assert!(!hangs.is_done());
        fs.clear();
        fs.release();
        assert!(hangs.await.is_complete());
    });
    tree.assert("local/file=x c/local/file=x b/a/one=1 b/a/two=2");
}

#[test]
fn a_cancel_ends_an_operation_whose_file_system_never_answers() {
    require_fuse!();
    let (tree, fs) = (Tree::new("b/"), FaultFs::new());
    make(fs.backing(), "a/one=1");
    fs.add(Fault::new(Op::Open, Action::Hang));
    let operation = fileops::copy([fs.path().join("a")], tree.path("b")).start();
    assert!(fs.wait_hanging(1, LONG));
    operation.cancel();
    let report = operation.wait();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(!report.stuck.is_empty(), "the report says where it is stuck");
    assert!(report.stuck.iter().all(|path| path.starts_with(fs.path())), "{:?}", report.stuck);
}
