//! Entries of a move across file systems that fail, and what is answered: tried again, left out, or the end.

use std::fs;
use std::time::{Duration, Instant};

use fileops::{OnError, Open, Operation, Outcome, Phase, Resolution, Scope};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, alone, require_fuse};

use crate::{PATIENCE, assert_tree, errnos, finish, stages, uncached};

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until there is nothing left to do but to wait for answers.
#[track_caller]
fn asked(operation: &Operation, count: usize) -> Vec<Open> {
    wait_until(|| operation.progress().phase == Phase::Asking && operation.questions().len() == count);
    operation.questions()
}

fn moved(source: &FaultFs, target: &FaultFs, name: &str) -> Operation {
    fileops::move_to([source.path().join(name)], target.path()).on_error(OnError::Ask).start()
}

/// What can be refused while a file, or the directory it is in, is carried from one file system to another; at which side.
const FAILURES: [(&str, Op, &str, bool); 5] = [
    ("a file that cannot be opened", Op::Open, "bad", true),
    ("a file that cannot be read", Op::Read, "bad", true),
    ("a directory that cannot be listed", Op::Opendir, "dir", true),
    ("a file that cannot be made", Op::Create, "*", false),
    ("a file that cannot be written", Op::Write, "*", false),
];

fn places(is_source: bool) -> (FaultFs, FaultFs, usize) {
    let (source, target) = (uncached(), uncached());
    make(source.backing(), "top/dir/bad=bad top/good=good");
    (source, target, usize::from(!is_source))
}

#[test]
fn what_failed_is_moved_when_it_is_tried_again_and_could_be() {
    alone!();
    require_fuse!();
    for (what, op, name, is_source) in FAILURES {
        let (source, target, side) = places(is_source);
        [&source, &target][side].add(Fault::new(op, Action::Errno(libc::EIO)).name(name));
        let operation = moved(&source, &target, "top");
        wait_until(|| operation.progress().phase == Phase::Asking);
        // Nothing is gone of which there is no copy.
        assert_tree(source.backing(), "top/dir/bad=bad top/good=good");
        source.clear();
        target.clear();
        while !operation.is_done() {
            for open in operation.questions() {
                // Answered meanwhile, or asked anew.
                let _ = operation.answer(open.id, Resolution::Retry, Scope::This);
            }
            std::thread::yield_now();
        }
        let report = finish(operation);
        assert!(report.is_complete(), "{what}: {report:?}");
        assert!(!source.backing().join("top").exists(), "{what}: {report:?}");
        assert_tree(target.backing(), "top/dir/bad=bad top/good=good");
    }
}

#[test]
fn what_is_left_out_stays_where_it_is_with_the_directories_above_it() {
    alone!();
    require_fuse!();
    for (what, op, name, is_source) in FAILURES {
        let (source, target, side) = places(is_source);
        [&source, &target][side].add(Fault::new(op, Action::Errno(libc::EIO)).name(name));
        let operation = moved(&source, &target, "top");
        while !operation.is_done() {
            for open in operation.questions() {
                let _ = operation.answer(open.id, Resolution::Skip, Scope::Kind);
            }
            std::thread::yield_now();
        }
        let report = finish(operation);
        assert!(!report.failures.is_empty() && report.outcome == Outcome::Done, "{what}: {report:?}");
        assert!(errnos(&report).iter().all(|&errno| errno == libc::EIO), "{what}: {report:?}");
        assert_eq!(fs::read_to_string(source.backing().join("top/dir/bad")).expect("it stays"), "bad", "{what}");
        // Each file is whole at one end, or at both.
        let good = [&source, &target].map(|place| fs::read_to_string(place.backing().join("top/good")));
        assert!(good.iter().flatten().all(|text| text == "good") && good.iter().any(Result::is_ok), "{what}");
        assert!(!target.backing().join("top/dir/bad").exists(), "{what}");
        assert!(stages(target.backing()).is_empty(), "{what}");
    }
}

#[test]
fn the_answer_stop_leaves_every_file_at_one_end() {
    alone!();
    require_fuse!();
    for (what, op, name, is_source) in FAILURES {
        let (source, target, side) = places(is_source);
        [&source, &target][side].add(Fault::new(op, Action::Errno(libc::EIO)).name(name));
        let operation = moved(&source, &target, "top");
        wait_until(|| !operation.questions().is_empty());
        let id = operation.questions()[0].id;
        operation.answer(id, Resolution::Stop, Scope::This).expect("it fits");
        let report = finish(operation);
        assert_eq!(report.outcome, Outcome::Stopped, "{what}");
        for (file, text) in [("top/dir/bad", "bad"), ("top/good", "good")] {
            let found = [&source, &target].map(|place| fs::read_to_string(place.backing().join(file)));
            assert!(found.iter().flatten().all(|found| found == text), "{what}: {file} is torn");
            assert!(found.iter().any(Result::is_ok), "{what}: {file} is lost");
        }
        assert!(stages(target.backing()).is_empty(), "{what}");
    }
}

#[test]
fn a_failing_file_among_others_does_not_hold_them_up() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    make(source.backing(), "a=1 bad=2 c=3");
    source.add(Fault::new(Op::Open, Action::Errno(libc::EACCES)).name("bad"));
    let sources = ["a", "bad", "c"].map(|name| source.path().join(name));
    let operation = fileops::move_to(sources, target.root()).on_error(OnError::Ask).start();
    let questions = asked(&operation, 1);
    target.assert("a=1 c=3");
    source.clear();
    operation.answer(questions[0].id, Resolution::Retry, Scope::This).expect("it fits");
    assert!(finish(operation).is_complete());
    target.assert("a=1 bad=2 c=3");
    assert_tree(source.backing(), "");
}

#[test]
fn a_source_that_is_called_missing_once_is_not_left_by_a_move_that_is_complete() {
    alone!();
    require_fuse!();
    for tree in ["file=x", "dir/file=x", "dir/file=x dir/link->file dir/other=y"] {
        let top = tree.split(['/', '=']).next().expect("a name");
        for op in [Op::Lookup, Op::Getattr, Op::Unlink, Op::Rmdir, Op::Readdir] {
            for nth in 1.. {
                let (source, target) = (uncached(), Tree::new(""));
                make(source.backing(), tree);
                let fault = source.add(Fault::new(op, Action::Errno(libc::ENOENT)).nth(nth));
                let report = finish(fileops::move_to([source.path().join(top)], target.root()).jobs(1).start());
                let is_gone = !source.backing().join(top).exists();
                assert!(!report.is_complete() || is_gone, "{tree}, {op:?} {nth}: {report:?}");
                assert!(is_gone || !report.failures.is_empty(), "{tree}, {op:?} {nth}: {report:?}");
                if source.hits(fault) == 0 {
                    assert!(report.is_complete(), "{report:?}");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_source_that_was_not_there_holds_nobody_up_and_is_moved_when_it_is() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    make(source.backing(), "a=1 c=3");
    let sources = ["late", "a", "later", "c"].map(|name| source.path().join(name));
    let operation = fileops::move_to(sources, target.root()).on_error(OnError::Ask).start();
    let questions = asked(&operation, 2);
    target.assert("a=1 c=3");
    make(source.backing(), "late/file=2 later=4");
    for open in questions {
        operation.answer(open.id, Resolution::Retry, Scope::This).expect("it fits");
    }
    assert!(finish(operation).is_complete());
    target.assert("a=1 c=3 late/file=2 later=4");
    assert_tree(source.backing(), "");
}
