//! What a person sees while an operation runs.

use std::fs;
use std::time::{Duration, Instant};

use fileops::{OnConflict, Operation, Phase, Progress, Report};
use fileops_tests::tree::noise;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};

use crate::{LONG, wait_until};

/// Looks at an operation until it is done, and takes its report.
fn watch(mut operation: Operation) -> (Vec<Progress>, Report) {
    let mut seen = Vec::new();
    while !operation.is_done() {
        seen.push(operation.progress());
        std::thread::sleep(Duration::from_millis(10));
    }
    let report = fileops::block_on(&mut operation);
    seen.push(operation.progress());
    (seen, report)
}

/// How far along a phase is; each comes after those before it.
fn rank(phase: Phase) -> usize {
    [Phase::Running, Phase::Finishing, Phase::Done].iter().position(|&other| other == phase).expect("one of these")
}

#[track_caller]
fn assert_honest(seen: &[Progress]) {
    for (before, after) in seen.iter().zip(&seen[1..]) {
        assert!(rank(before.phase) <= rank(after.phase));
        assert!(before.entries_done <= after.entries_done && before.bytes_done <= after.bytes_done);
        assert!(before.entries_total <= after.entries_total && before.bytes_total <= after.bytes_total);
        assert!(before.elapsed <= after.elapsed);
        assert!(!after.is_total_growing || before.is_total_growing, "the total does not grow again");
    }
    assert!(seen.iter().all(|at| at.entries_done <= at.entries_total && at.bytes_done <= at.bytes_total));
    let last = seen.last().unwrap();
    assert_eq!(last.phase, Phase::Done);
    assert!(!last.is_total_growing);
}

#[track_caller]
fn assert_all_done(last: &Progress, entries: u64, bytes: u64) {
    assert_eq!((last.entries_done, last.entries_total), (entries, entries));
    assert_eq!((last.bytes_done, last.bytes_total), (bytes, bytes));
    assert_eq!(last.current, None, "nothing is before it any more");
}

#[test]
fn a_short_copy_knows_its_totals_in_the_end() {
    let tree = Tree::new("a/x=hello a/y=>a/x a/sub/link->../x a/sub/z#100000 b/");
    let (seen, report) = watch(fileops::copy([tree.path("a")], tree.path("b")).start());
    assert!(report.is_complete());
    assert_honest(&seen);
    assert_all_done(seen.last().unwrap(), 6, 100_005);
}

#[test]
fn a_long_copy_knows_its_totals_before_the_end_and_is_all_done_at_the_end() {
    require_fuse!();
    for source in ["a", "a/."] {
        for target in ["", "a/d1/ a/d2/"] {
            let (tree, fs) = (Tree::new(target), FaultFs::new());
            for dir in 0..10 {
                fs::create_dir_all(fs.backing().join(format!("a/d{dir}"))).unwrap();
                for file in 0..30 {
                    fs::write(fs.backing().join(format!("a/d{dir}/{file}")), noise(1000)).unwrap();
                }
            }
            fs::hard_link(fs.backing().join("a/d0/0"), fs.backing().join("a/link")).unwrap();
            fs.add(Fault::new(Op::Read, Action::Latency(Duration::from_millis(10))));
            let (seen, report) = watch(fileops::copy([fs.path().join(source)], tree.root()).jobs(2).start());
            assert!(report.is_complete(), "{report:?}");
            assert!(report.elapsed > Duration::from_secs(1), "too quick to see: {:?}", report.elapsed);
            assert_honest(&seen);
            assert!(seen[0].is_total_growing);
            let known = seen.iter().find(|at| !at.is_total_growing).unwrap();
            assert_eq!(known.phase, Phase::Running, "the totals are known before the end");
            let last = seen.last().unwrap();
            assert_eq!((known.entries_total, known.bytes_total), (last.entries_total, last.bytes_total));
            // Directories that were there already, and the one whose contents these are, count as done.
            assert_all_done(last, 312, 300_000);
        }
    }
}

#[test]
fn what_was_skipped_is_not_left_to_do_in_the_end() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/1=old a/2=old"), FaultFs::new());
    for file in 0..150 {
        fs::create_dir_all(fs.backing().join("a")).unwrap();
        fs::write(fs.backing().join(format!("a/{file}")), noise(1000)).unwrap();
    }
    fs.add(Fault::new(Op::Read, Action::Latency(Duration::from_millis(20))));
    let copy = fileops::copy([fs.path().join("a")], tree.root()).on_conflict(OnConflict::Skip).jobs(2);
    let (seen, report) = watch(copy.start());
    assert_eq!(report.skipped.len(), 2);
    assert_honest(&seen);
    assert_eq!((report.entries, report.bytes), (148, 148_000));
    assert_all_done(seen.last().unwrap(), 151, 150_000);
}

/// A target to which a megabyte takes a second.
fn slow_target() -> FaultFs {
    let fs = FaultFs::new();
    fs.knobs(|knobs| knobs.bandwidth = Some(1_000_000));
    fs
}

#[test]
fn the_current_path_is_that_of_the_large_file_being_copied() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/small=x a/large#2000000"), slow_target());
    let (seen, report) = watch(fileops::copy([tree.path("a")], fs.path()).start());
    assert!(report.is_complete());
    assert_honest(&seen);
    let large = seen.iter().filter(|at| at.current.as_ref() == Some(&tree.path("a/large"))).count();
    assert!(large * 2 > seen.len(), "{large} of {} looks", seen.len());
    let known = seen.iter().filter_map(|at| at.current.as_ref());
    assert!(known.into_iter().all(|path| path.starts_with(tree.root())));
    assert!(seen.iter().any(|at| at.workers > 0));
}

#[test]
fn the_time_left_and_the_rate_are_those_of_the_device() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/1#2000000 a/2#2000000"), slow_target());
    let begun = Instant::now();
    let operation = fileops::copy([tree.path("a")], fs.path()).start();
    let mut estimates = Vec::new();
    while !operation.is_done() {
        let progress = operation.progress();
        if let Some(left) = progress.time_left.filter(|_| !progress.is_total_growing) {
            estimates.push((begun.elapsed(), left, progress.rate));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let end = begun.elapsed();
    assert!(operation.wait().is_complete());
    let early: Vec<_> = estimates.iter().filter(|(at, ..)| *at < end / 2).collect();
    assert!(!early.is_empty(), "no estimate in the first half of {end:?}");
    for &&(at, left, rate) in &early {
        let real = end - at;
        assert!(left < real * 3 && left > real / 3, "after {at:?}: {left:?} left, and really {real:?}");
        assert!(rate > 1e5 && rate < 1e7, "{rate} bytes a second");
    }
}

#[test]
fn a_pause_is_a_phase_and_nothing_is_done_in_it() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/large#3000000"), slow_target());
    let operation = fileops::copy([tree.path("a")], fs.path()).start();
    wait_until("it writes", || operation.progress().bytes_done > 0);
    operation.pause();
    assert_eq!(operation.progress().phase, Phase::Paused);
    // The write under way ends by itself; then nothing more is written.
    let mut done = operation.progress().bytes_done;
    let mut still = 0;
    let end = Instant::now() + LONG;
    while still < 30 {
        assert!(Instant::now() < end, "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
        let now = operation.progress().bytes_done;
        still = if now == done { still + 1 } else { 0 };
        done = now;
    }
    assert!(done < 3_000_000);
    operation.resume();
    assert_eq!(operation.progress().phase, Phase::Running);
    operation.cancel();
    assert_eq!(operation.progress().phase, Phase::Cancelling);
    operation.resume();
    assert_ne!(operation.progress().phase, Phase::Running, "cancelled is final");
    assert_eq!(operation.wait().outcome, fileops::Outcome::Cancelled);
}

#[test]
fn the_time_left_is_unknown_while_the_total_grows_and_then_about_right_within_one_large_directory() {
    require_fuse!();
    let (tree, fs) = (Tree::new(""), FaultFs::new());
    fs::create_dir(fs.backing().join("a")).unwrap();
    (0..600).for_each(|file| fs::write(fs.backing().join(format!("a/{file}")), noise(1000)).unwrap());
    fs.knobs(|knobs| knobs.latency = Duration::from_millis(2));
    let (seen, report) = watch(fileops::copy([fs.path().join("a")], tree.root()).jobs(1).start());
    assert!(report.is_complete(), "{report:?}");
    assert_honest(&seen);
    assert!(seen[0].is_total_growing);
    assert!(seen.iter().all(|at| !at.is_total_growing || at.time_left.is_none()));
    let middle = |at: &&Progress| !at.is_total_growing && (200..400).contains(&at.entries_done);
    let middle: Vec<_> = seen.iter().filter(middle).collect();
    assert!(middle.len() > 10, "too quick to see: {:?}", report.elapsed);
    for at in middle {
        let (left, real) = (at.time_left.expect("known"), report.elapsed - at.elapsed);
        // Twice too much or too little would do; the rest is for a busy machine.
        assert!(left < real * 10 && left > real / 10, "after {:?}: {left:?} left, and really {real:?}", at.elapsed);
    }
}

#[test]
fn what_was_skipped_and_what_failed_is_not_left_to_do_in_the_end() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/skip1=old a/skip2=old"), FaultFs::new());
    fs::create_dir_all(fs.backing().join("a/fail3")).unwrap();
    let names = (0..150).map(|file| file.to_string()).chain(["skip1", "skip2", "fail1", "fail2"].map(str::to_owned));
    names.for_each(|name| fs::write(fs.backing().join("a").join(name), noise(1000)).unwrap());
    fs.add(Fault::new(Op::Read, Action::Latency(Duration::from_millis(20))));
    fs.add(Fault::new(Op::Open, Action::Errno(libc::EIO)).name("fail1"));
    fs.add(Fault::new(Op::Read, Action::Errno(libc::EIO)).name("fail2"));
    fs.add(Fault::new(Op::Opendir, Action::Errno(libc::EACCES)).name("fail3").from(1));
    let copy = fileops::copy([fs.path().join("a")], tree.root()).on_conflict(OnConflict::Skip).jobs(2);
    let (seen, report) = watch(copy.start());
    assert_eq!((report.skipped.len(), report.failures.len(), report.entries), (2, 3, 150), "{report:?}");
    assert_honest(&seen);
    assert!(seen.iter().any(|at| !at.is_total_growing && at.phase == Phase::Running), "too quick for a scan");
    let last = seen.last().unwrap();
    assert_eq!((last.entries_done, last.entries_total), (156, 156));
}
