//! Free space: looked at while the scan runs, asked about, never a reason to lose what is there.

use std::fs;

use fileops::{NoteKind, OnConflict, OnShortage, Outcome, Phase};
use fileops_tests::tree::noise;
use fileops_tests::{Action, Fault, FaultFs, Mount, Op, Tree, assert_same_tree, require_fuse, require_root};

use crate::{complete, errnos, run, wait_until};

/// A slow file system with room for so many bytes: slow enough for the scan to come first.
fn small(room: u64) -> FaultFs {
    let fs = FaultFs::new();
    fs.knobs(|knobs| (knobs.bandwidth, knobs.quota) = (Some(1_500_000), Some(room)));
    fs
}

fn files(count: usize) -> Tree {
    let tree = Tree::new("a/");
    (0..count).for_each(|number| fs::write(tree.path(format!("a/{number}")), noise(500_000)).unwrap());
    tree
}

#[test]
fn what_will_not_fit_is_noted_and_what_fits_is_copied() {
    require_fuse!();
    let (tree, fs) = (files(6), small(2_200_000));
    let report = run(fileops::copy([tree.path("a")], fs.path()));
    let note = report.notes.iter().find(|note| note.kind == NoteKind::MayNotFit);
    assert_eq!(note.map(|note| (note.count, note.path.as_path())), Some((1, fs.path())));
    assert_eq!((report.outcome, report.files), (Outcome::Done, 4));
    assert_eq!(errnos(&report), [libc::ENOSPC; 2]);
    assert_eq!(fs::read_dir(fs.backing().join("a")).unwrap().count(), 4, "no half file is left");
}

#[test]
fn what_fits_is_not_warned_about() {
    require_fuse!();
    let (tree, fs) = (files(4), small(4_000_000));
    let report = complete(fileops::copy([tree.path("a")], fs.path()));
    assert!(report.notes.iter().all(|note| note.kind != NoteKind::MayNotFit), "{:?}", report.notes);
}

#[test]
fn a_copy_that_will_not_fit_pauses_before_it_is_full_and_goes_on_when_there_is_room() {
    require_fuse!();
    let (tree, fs) = (files(6), small(2_600_000));
    let operation = fileops::copy([tree.path("a")], fs.path()).on_shortage(OnShortage::Pause).start();
    wait_until("it pauses", || operation.shortage().is_some());
    let shortage = operation.shortage().unwrap();
    assert_eq!(operation.progress().phase, Phase::Paused);
    assert_eq!(shortage.path, fs.path());
    assert!(shortage.needed > shortage.free && shortage.free > 0, "{shortage:?}");
    assert!(shortage.needed <= 3_100_000, "{shortage:?}");
    fs.knobs(|knobs| (knobs.bandwidth, knobs.quota) = (None, None));
    operation.resume();
    assert!(operation.shortage().is_none());
    assert!(operation.wait().is_complete());
    assert_same_tree(tree.path("a"), fs.backing().join("a"));
}

#[test]
fn a_copy_that_goes_on_all_the_same_pauses_again_where_there_is_no_room() {
    require_fuse!();
    let (tree, fs) = (files(4), small(1_200_000));
    let operation = fileops::copy([tree.path("a")], fs.path()).on_shortage(OnShortage::Pause).start();
    wait_until("it pauses by the estimate", || operation.shortage().is_some());
    operation.resume();
    wait_until("it pauses as the disk is full", || operation.shortage().is_some());
    assert_eq!(operation.progress().phase, Phase::Paused);
    fs.knobs(|knobs| (knobs.bandwidth, knobs.quota) = (None, None));
    operation.resume();
    assert!(operation.wait().is_complete());
    assert_same_tree(tree.path("a"), fs.backing().join("a"));
}

#[test]
fn a_full_disk_pauses_a_copy_too_short_for_an_estimate() {
    require_root!();
    let (tree, small) = (files(4), Mount::tmpfs("size=1m").unwrap());
    let operation = fileops::copy([tree.path("a")], small.path()).on_shortage(OnShortage::Pause).start();
    wait_until("it pauses", || operation.shortage().is_some());
    assert_eq!(operation.shortage().unwrap().path, small.path().join("a"));
    // Room is made by somebody else.
    small.remount("size=8m").unwrap();
    operation.resume();
    assert!(operation.wait().is_complete());
    assert_same_tree(tree.path("a"), small.path().join("a"));
}

#[test]
fn a_copy_that_waits_for_room_can_be_cancelled_and_harms_nothing() {
    require_root!();
    let (tree, small) = (files(1), Mount::tmpfs("size=800k").unwrap());
    fs::write(small.path().join("0"), noise(400_000)).unwrap();
    let copy = fileops::copy([tree.path("a/0")], small.path()).on_conflict(OnConflict::Replace);
    let operation = copy.on_shortage(OnShortage::Pause).start();
    wait_until("it pauses", || operation.shortage().is_some());
    operation.cancel();
    assert_eq!(operation.wait().outcome, Outcome::Cancelled);
    assert!(fs::read(small.path().join("0")).unwrap() == noise(400_000), "the old file is there");
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 1);
}

#[test]
fn a_file_system_that_counts_no_blocks_is_not_thought_to_be_full() {
    require_root!();
    require_fuse!();
    let (source, memory) = (FaultFs::new(), Mount::with(&["-t", "ramfs", "ramfs"]).unwrap());
    let made = files(4);
    let same = fileops::copy_as(made.path("a"), source.backing().join("a"));
    complete(same);
    // Slow enough for the scan to come first.
    source.add(Fault::new(Op::Read, Action::Latency(std::time::Duration::from_millis(100))));
    for rule in [OnShortage::Warn, OnShortage::Pause] {
        let target = memory.path().join(format!("{rule:?}"));
        let operation = fileops::copy_as(source.path().join("a"), &target).on_shortage(rule).jobs(1).start();
        let mut was_known = false;
        while !operation.is_done() {
            let progress = operation.progress();
            was_known |= !progress.is_total_growing && progress.phase == Phase::Running;
            assert_ne!(progress.phase, Phase::Paused, "{:?}", operation.shortage());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let report = operation.wait();
        assert!(was_known, "too quick for a scan: {:?}", report.elapsed);
        assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
        assert_same_tree(made.path("a"), target);
    }
}
