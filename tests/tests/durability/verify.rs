//! Copies that are read back: what differs from the source is said, by its path, and not left under its name.

use std::fs;
use std::path::Path;

use fileops::{OnConflict, Refusal, Report, Verify};
use fileops_tests::snapshot;
use fileops_tests::tree::make;
use fileops_tests::{
    Action, Fault, FaultFs, Mount, Op, Options, Tree, alone, assert_same_tree, require_command, require_filesystem,
    require_fuse, require_root,
};

use crate::{fill, finish, stages};

const TREE: &str = "top/one=hello top/two#300000 top/empty= top/dir/three#70000 top/dir/four#9000 top/link->one \
    top/same=>top/one";

fn verify(source: &Path, into: &Path) -> Report {
    finish(fileops::copy([source], into).verify(Verify::Contents).start())
}

/// One flipped byte is reported with its path, the file is gone, and all others are there.
#[track_caller]
fn names_the_bad_file(report: &Report, source: &Path, backing: &Path, at: &str) {
    assert_eq!(report.failures.len(), 1, "{at}: {report:?}");
    let failure = &report.failures[0];
    assert_eq!(failure.refusal(), Some(Refusal::Mismatch), "{at}: {failure:?}");
    let relative = failure.path.strip_prefix(source).expect("the path of a source");
    assert!(!backing.join(relative).exists(), "{at}: the bad copy of {} is left", relative.display());
    let (expected, found) = (snapshot(source), snapshot(backing));
    let lost = expected.keys().filter(|path| !found.contains_key(*path));
    let lost: Vec<_> = lost.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(lost, [relative.to_string_lossy()], "{at}");
    for (path, entry) in found {
        assert_eq!(entry.hash, expected[&path].hash, "{at}: {}", String::from_utf8_lossy(&path));
    }
}

fn flip_each(op: Op) {
    let tree = Tree::new(TREE);
    let mut flips = 0;
    for n in 1.. {
        let target = Options { direct_io: true, ..Options::default() }.mount().expect("mounted");
        let fault = target.add(Fault::new(op, Action::Flip).nth(n));
        let report = verify(&tree.path("top"), target.path());
        if target.hits(fault) == 0 {
            assert!(report.is_complete(), "{report:?}");
            assert_same_tree(tree.path("top"), target.backing().join("top"));
            assert_eq!(report.verified.read_back.files, 5, "{:?}", report.verified);
            break;
        }
        flips += 1;
        let at = format!("{op:?} {n}");
        names_the_bad_file(&report, &tree.path("top"), &target.backing().join("top"), &at);
    }
    assert!(flips >= 4, "{flips}");
}

#[test]
fn a_byte_that_is_flipped_when_it_is_written_is_found() {
    alone!();
    require_fuse!();
    flip_each(Op::Write);
}

#[test]
fn a_byte_that_is_flipped_when_it_is_read_back_is_found() {
    alone!();
    require_fuse!();
    // A read of nothing, at an end of a file, has no byte to be flipped.
    let (tree, target) = (Tree::new("top/dir/three#70000 top/two=x"), FaultFs::new());
    target.add(Fault::new(Op::Read, Action::Flip).name("three").nth(1));
    let report = verify(&tree.path("top"), target.path());
    names_the_bad_file(&report, &tree.path("top"), &target.backing().join("top"), "read");
}

#[test]
fn a_bad_copy_never_has_its_name_where_others_see_it() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new("file#70000"), FaultFs::new());
    for (old, rule) in [(None, OnConflict::Fail), (Some("file=old"), OnConflict::Replace)] {
        old.into_iter().for_each(|old| make(target.backing(), old));
        target.add(Fault::new(Op::Write, Action::Flip).nth(1));
        let copy = fileops::copy([tree.path("file")], target.path()).on_conflict(rule).verify(Verify::Contents);
        let report = finish(copy.start());
        target.clear();
        assert_eq!(report.failures[0].refusal(), Some(Refusal::Mismatch), "{report:?}");
        let left = fs::read(target.backing().join("file")).ok();
        assert_eq!(left.as_deref(), old.map(|_| b"old".as_slice()));
        assert_eq!(stages(target.backing()).len(), 0);
        assert!(!target.log().iter().any(|(op, path)| matches!(op, Op::Rename | Op::Link) && path.ends_with("file")));
    }
}

#[test]
fn a_move_that_verifies_keeps_the_source_of_a_bad_copy() {
    alone!();
    require_fuse!();
    for (entries, bad) in [("file#70000", "file"), ("file/a=x file/b#70000", "file/b")] {
        let (tree, target) = (Tree::new(entries), FaultFs::new());
        let fault = Fault::new(Op::Write, Action::Flip);
        target.add(if bad == "file" { fault.nth(1) } else { fault.name("b").nth(1) });
        let report = finish(fileops::move_to([tree.path("file")], target.path()).verify(Verify::Contents).start());
        assert_eq!(report.failures.len(), 1, "{report:?}");
        assert_eq!(report.failures[0].refusal(), Some(Refusal::Mismatch), "{report:?}");
        assert!(tree.path(bad).exists(), "the source is gone");
        assert!(!tree.path("file/a").exists());
        assert!(!target.backing().join(bad).exists(), "the bad copy is left");
    }
}

#[test]
fn what_was_bad_once_is_good_when_it_is_tried_again() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new(TREE), FaultFs::new());
    target.add(Fault::new(Op::Write, Action::Flip).nth(2));
    let copy = fileops::copy([tree.path("top")], target.path()).verify(Verify::Contents).retry(1);
    let report = finish(copy.start());
    assert!(report.is_complete(), "{report:?}");
    assert_same_tree(tree.path("top"), target.backing().join("top"));
}

#[test]
fn a_single_file_that_was_staged_can_be_undone() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new("file#70000"), FaultFs::new());
    let report = verify(&tree.path("file"), target.path());
    assert!(report.is_complete(), "{report:?}");
    let undone = finish(fileops::undo(report.id.expect("it was recorded")).start());
    assert!(undone.is_complete(), "{undone:?}");
    assert!(!target.backing().join("file").exists());
}

#[test]
fn the_source_is_read_once() {
    alone!();
    require_fuse!();
    let source = Options { direct_io: true, ..Options::default() }.mount().expect("mounted");
    // Each is read in one step, however long that takes.
    make(source.backing(), "top/one=hello top/dir/three#70000 top/dir/four#9000 top/same=>top/one");
    let mut reads = Vec::new();
    for verify in [Verify::Nothing, Verify::Contents] {
        let into = Tree::new("");
        source.clear_log();
        let report = finish(fileops::copy([source.path().join("top")], into.root()).verify(verify).jobs(1).start());
        assert!(report.is_complete(), "{report:?}");
        reads.push(source.count(Op::Read));
    }
    assert_eq!(reads[0], reads[1]);
}

#[test]
fn a_disk_is_read_past_the_cache_and_memory_is_read_back() {
    alone!();
    require_root!();
    require_command!("mkfs.ext4");
    let tree = Tree::new(TREE);
    fill(&tree.path("top/large"), 40);
    let files = 6;
    let disk = Mount::ext4(200).expect("mounted");
    let report = verify(&tree.path("top"), disk.path());
    assert!(report.is_complete(), "{report:?}");
    let verified = report.verified;
    assert_eq!((verified.from_device.files, verified.from_device.bytes), (files, report.bytes), "{verified:?}");
    assert_same_tree(tree.path("top"), disk.path().join("top"));
    let memory = Mount::tmpfs("size=100m").expect("mounted");
    let report = verify(&tree.path("top"), memory.path());
    let verified = report.verified;
    assert_eq!((verified.read_back.files, verified.read_back.bytes), (files, report.bytes), "{verified:?}");
    assert_same_tree(tree.path("top"), memory.path().join("top"));
}

#[test]
fn a_clone_is_told_as_shared() {
    alone!();
    require_root!();
    require_command!("mkfs.xfs");
    require_filesystem!("xfs");
    let mount = Mount::xfs(400).expect("mounted");
    make(mount.path(), "from#300000 into/");
    let report = verify(&mount.path().join("from"), &mount.path().join("into"));
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.verified.shared.files, report.verified.shared.bytes), (1, 300_000));
    assert_eq!(report.verified.from_device.files, 0);
}

#[test]
fn holes_are_verified_and_stay_holes() {
    alone!();
    let tree = Tree::new("into/");
    let file = fs::File::create(tree.path("sparse")).expect("made");
    file.set_len(300 << 20).expect("long");
    for at in [0, 100 << 20, (299 << 20) + 5000] {
        std::os::unix::fs::FileExt::write_all_at(&file, &[7; 9000], at).expect("written");
    }
    drop(file);
    let report = verify(&tree.path("sparse"), &tree.path("into"));
    assert!(report.is_complete(), "{report:?}");
    assert!(crate::allocated(&tree.path("into/sparse")) < 1 << 20, "the holes are filled");
    assert_eq!(report.verified.from_device.files + report.verified.read_back.files, 1);
    assert_same_tree(tree.path("sparse"), tree.path("into/sparse"));
}
