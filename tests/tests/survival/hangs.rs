//! Cancel and pause: inside a large file on a slow file system, and where calls hang.

use std::fs::{self, File};
use std::future::IntoFuture;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use fileops::{OnCancel, OnConflict, Operation, Outcome, Phase, Report, Undoable};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Knobs, Op, Options, Tree, assert_same_tree, require_fuse};

use crate::{alone, finish, stages, uncached, wait_until, within};

/// What cancel and pause may take, with the slack of a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What a cancel may take where calls hang: the engine waits for them for half a second.
const GRACE: Duration = Duration::from_secs(5);

/// A destination that takes 4 MB a second.
fn slow() -> FaultFs {
    Options { knobs: Knobs { bandwidth: Some(4_000_000), ..Knobs::default() }, ..Options::default() }
        .mount()
        .expect("mounted")
}

/// A file of 10 GiB that takes no room, on a file system that does not tell its holes.
fn huge() -> FaultFs {
    let fs = FaultFs::new();
    File::create(fs.backing().join("huge")).expect("made").set_len(10 << 30).expect("sparse");
    fs
}

#[test]
fn cancel_ends_a_copy_inside_a_huge_file_on_a_slow_disk() {
    alone!();
    require_fuse!();
    let (source, target) = (huge(), slow());
    let operation = fileops::copy([source.path().join("huge")], target.path()).start();
    wait_until("some writes", || target.count(Op::Write) > 3);
    let begun = Instant::now();
    operation.cancel();
    assert_eq!(operation.progress().phase, Phase::Cancelling);
    // Final: neither of these wakes it up.
    operation.resume();
    operation.pause();
    assert_eq!(operation.progress().phase, Phase::Cancelling);
    let report = finish(operation);
    let took = begun.elapsed();
    assert_eq!((report.outcome, report.files), (Outcome::Cancelled, 0));
    assert!(took < AT_ONCE, "the cancel took {took:?}");
    assert!(report.stuck.is_empty() && report.failures.is_empty(), "{report:?}");
    assert_eq!(fs::read_dir(target.backing()).expect("read").count(), 0);
}

#[test]
fn pause_and_cancel_act_inside_a_file_that_is_read_and_written() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new(""), slow());
    // Large enough for several workers, and on another kind of file system.
    fs::write(source.path("large"), vec![1; 40 << 20]).expect("written");
    let operation = fileops::copy([source.path("large")], target.path()).start();
    wait_until("some writes", || target.count(Op::Write) > 3);
    operation.pause();
    thread::sleep(AT_ONCE);
    let before = target.total();
    thread::sleep(AT_ONCE / 2);
    assert_eq!(target.total(), before, "calls were made during the pause");
    assert!(!operation.is_done());
    operation.resume();
    wait_until("more writes", || target.total() > before + 3);
    let begun = Instant::now();
    operation.cancel();
    let report = finish(operation);
    let took = begun.elapsed();
    assert!(report.outcome == Outcome::Cancelled && took < AT_ONCE, "{took:?}, {report:?}");
    assert_eq!(fs::read_dir(target.backing()).expect("read").count(), 0);
}

#[test]
fn a_cancelled_tree_that_keeps_its_finished_files_does_not_keep_half_of_a_large_one() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/small=x"), slow());
    fs::write(source.path("top/large"), vec![1; 40 << 20]).expect("written");
    let copy = fileops::copy([source.path("top")], target.path()).on_cancel(OnCancel::KeepFinished);
    let operation = copy.start();
    wait_until("the small file and some of the large one", || {
        target.count(Op::Write) > 5 && operation.progress().entries_done > 0
    });
    operation.cancel();
    let report = finish(operation);
    assert_eq!((report.outcome, report.files), (Outcome::Cancelled, 1), "{report:?}");
    fileops_tests::tree::assert_tree(target.backing(), "top/small=x");
}

#[test]
fn a_paused_copy_starts_no_call_and_goes_on_after_it() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), slow());
    make(source.backing(), "top/large#9000000 top/small=x top/dir/other#70000");
    let operation = fileops::copy([source.path().join("top")], target.path()).start();
    wait_until("some writes", || target.count(Op::Write) > 3);
    operation.pause();
    assert_eq!(operation.progress().phase, Phase::Paused);
    thread::sleep(AT_ONCE);
    let asked = || (source.total(), target.total());
    let before = asked();
    let done = operation.progress().bytes_done;
    // Longer than the scan beside the work waits before it begins.
    thread::sleep(AT_ONCE);
    assert_eq!(asked(), before, "calls were made during the pause: {:?}", source.log().split_off(before.0 as usize));
    assert_eq!((operation.progress().bytes_done, operation.is_done()), (done, false));
    assert!(!target.backing().join("top").exists());
    target.knobs(|knobs| knobs.bandwidth = None);
    operation.resume();
    let report = finish(operation);
    assert!(report.is_complete(), "{report:?}");
    assert_same_tree(source.backing().join("top"), target.backing().join("top"));
}

#[test]
fn a_pause_before_the_scan_holds_the_scan_back_too() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), FaultFs::new());
    make(source.backing(), "top/a=1 top/b=2 top/dir/c=3");
    let hang = target.add(Fault::new(Op::Create, Action::Hang).nth(1));
    let operation = fileops::copy([source.path().join("top")], target.path()).start();
    assert!(target.wait_hanging(1, GRACE));
    operation.pause();
    target.release();
    target.remove(hang);
    // The scan begins after 0.8 s.
    thread::sleep(AT_ONCE / 2);
    let before = source.total();
    thread::sleep(AT_ONCE);
    assert_eq!(
        source.total(),
        before,
        "calls were made during the pause: {:?}",
        source.log().split_off(before as usize)
    );
    operation.resume();
    assert!(finish(operation).is_complete());
}

/// Copies over an old file until something hangs, then cancels.
fn cancel_hanging(hanging: &FaultFs, source: PathBuf, into: PathBuf) -> Option<Report> {
    let copy = fileops::copy([source], into).on_conflict(OnConflict::Replace).undoable(Undoable::No);
    let operation = copy.start();
    let end = Instant::now() + GRACE;
    while !hanging.wait_hanging(1, Duration::from_millis(1)) {
        if operation.is_done() {
            assert!(finish(operation).is_complete());
            return None;
        }
        assert!(Instant::now() < end, "neither over nor hanging");
    }
    operation.cancel();
    assert_eq!(operation.progress().phase, Phase::Cancelling);
    Some(within(GRACE, operation).expect("the cancelled operation gives its report"))
}

/// The first call of each kind hangs; the operation is cancelled then.
fn every_hang(is_at_source: bool, kinds: &[Op]) {
    for op in kinds {
        // One for each: what a cancelled operation left behind may still make a call, which is not to be the one that hangs.
        let (fs, plain) = (uncached(), Tree::new(""));
        let (from, to) = if is_at_source { (fs.path(), plain.root()) } else { (plain.root(), fs.path()) };
        let at = format!("{op:?}");
        make(from, &format!("{at}/top/one=new {at}/top/two#300000 {at}/top/link->one"));
        make(to, &format!("{at}/top/one=old"));
        let _ = xattr::set(from.join(&at).join("top/one"), "user.test", b"value");
        fs.add(Fault::new(*op, Action::Hang).nth(1));
        let report = cancel_hanging(&fs, from.join(&at).join("top"), to.join(&at));
        let report = report.unwrap_or_else(|| panic!("{op:?} is not called"));
        assert_eq!(report.outcome, Outcome::Cancelled);
        assert!(!report.stuck.is_empty(), "{op:?}: nothing is said to be stuck");
        let top = from.join(&at).join("top");
        let is_near = |path: &PathBuf| path.starts_with(&top) || top.starts_with(path);
        assert!(report.stuck.iter().all(is_near), "{op:?}: {:?}", report.stuck);
        fs.clear();
        fs.release();
        let target = to.join(&at);
        wait_until("nothing unfinished is left", || stages(&target).is_empty());
        let one = fs::read_to_string(target.join("top/one")).expect("it is there");
        assert!(one == "old" || one == "new", "{op:?}: {one:?}");
        let two = fs::metadata(target.join("top/two")).map_or(300_000, |two| two.len());
        assert_eq!(two, 300_000, "{op:?}: a half-written file");
    }
}

#[test]
fn cancel_leaves_a_destination_that_hangs() {
    alone!();
    require_fuse!();
    use Op::*;
    every_hang(
        false,
        &[Lookup, Opendir, Create, Write, Utimens, Setxattr, Flush, Open, Fsync, Rename, Unlink, Symlink],
    );
}

#[test]
fn cancel_leaves_a_source_that_hangs() {
    alone!();
    require_fuse!();
    use Op::*;
    every_hang(true, &[Lookup, Getattr, Opendir, Readdir, Open, Read, Listxattr, Getxattr, Readlink]);
}

#[test]
fn a_worker_that_hangs_in_its_part_of_a_directory_is_named_too() {
    alone!();
    require_fuse!();
    // The second worker comes for one directory and then takes a part of the other one, which it has not listed.
    let many: String = (0..300).map(|n| format!("top/many/{n}=x ")).collect();
    let (source, target) = (FaultFs::new(), Tree::new(""));
    make(source.backing(), &format!("{many} top/one/file=x"));
    source.add(Fault::new(Op::Open, Action::Hang).from(150));
    let operation = fileops::copy([source.path().join("top")], target.root()).jobs(2).start();
    assert!(source.wait_hanging(2, GRACE));
    operation.cancel();
    let report = within(GRACE, operation).expect("cancel returns");
    assert_eq!(report.stuck, [source.path().join("top/many"), source.path().join("top/many")]);
}

#[test]
fn cancel_ends_although_the_cleaning_up_hangs() {
    alone!();
    require_fuse!();
    for op in [Op::Unlink, Op::Rmdir, Op::Readdir] {
        let (source, target) = (Tree::new("top/one=x top/two#300000 top/dir/three=x"), uncached());
        target.add(Fault::new(Op::Write, Action::Hang).nth(3));
        let operation = fileops::copy([source.path("top")], target.path()).jobs(1).start();
        assert!(target.wait_hanging(1, GRACE));
        target.add(Fault::new(op, Action::Hang));
        operation.cancel();
        target.release();
        let report = within(GRACE, operation).unwrap_or_else(|| panic!("{op:?} holds the report up"));
        assert_eq!(report.outcome, Outcome::Cancelled);
        assert!(!target.backing().join("top").exists());
    }
}

#[test]
fn a_copy_that_hangs_delays_no_other() {
    alone!();
    require_fuse!();
    let (hanging, source, target) = (FaultFs::new(), Tree::new("top/one=x top/dir/two#70000"), Tree::new(""));
    hanging.add(Fault::new(Op::Create, Action::Hang));
    let many: String = (0..100).map(|n| format!("many/{n}/file=x ")).collect();
    make(source.root(), &many);
    let stuck = fileops::copy([source.path("many")], hanging.path()).jobs(16).start();
    assert!(hanging.wait_hanging(8, GRACE));
    let report = within(GRACE, fileops::copy([source.path("top")], target.root()).start()).expect("it goes on");
    assert!(report.is_complete(), "{report:?}");
    assert_same_tree(source.path("top"), target.path("top"));
    stuck.cancel();
    let report = within(GRACE, stuck).expect("cancel returns");
    assert!(report.stuck.len() >= 8, "{:?}", report.stuck);
}

#[test]
fn a_dropped_future_cancels() {
    alone!();
    require_fuse!();
    let (source, target) = (huge(), slow());
    let mut future = fileops::copy([source.path().join("huge")], target.path()).into_future();
    let is_ready = std::future::Future::poll(Pin::new(&mut future), &mut Context::from_waker(Waker::noop())).is_ready();
    assert!(!is_ready);
    wait_until("some writes", || target.count(Op::Write) > 3);
    assert_eq!(stages(target.backing()).len(), 1);
    drop(future);
    wait_until("the stage is removed", || stages(target.backing()).is_empty());
    assert_eq!(fs::read_dir(target.backing()).expect("read").count(), 0);
}

#[test]
fn a_dropped_operation_goes_on() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/large#1000000 top/dir/small=x"), FaultFs::new());
    target.add(Fault::new(Op::Write, Action::Hang).nth(2));
    let operation: Operation = fileops::copy([source.path("top")], target.path()).start();
    assert!(target.wait_hanging(1, GRACE));
    drop(operation);
    target.clear();
    target.release();
    wait_until("the tree is there", || target.backing().join("top").exists());
    assert_same_tree(source.path("top"), target.backing().join("top"));
}
