//! A sync that fails is believed, and the next one is not.

use fileops::{Action as Doing, Durability, OnConflict};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, alone, assert_same_tree, require_fuse, sweep};

use crate::{finish, stages};

#[test]
fn a_file_whose_sync_fails_is_a_failure_and_does_not_get_its_name() {
    alone!();
    require_fuse!();
    for source in ["file#70000", "file#17000000"] {
        let (tree, target) = (Tree::new(source), FaultFs::new());
        target.add(Fault::new(Op::Fsync, Action::Errno(libc::EIO)).nth(1));
        let report = finish(fileops::copy([tree.path("file")], target.path()).start());
        assert_eq!(report.failures.len(), 1, "{report:?}");
        assert_eq!((report.failures[0].action, report.failures[0].errno()), (Doing::Sync, Some(libc::EIO)));
        assert_eq!(report.files, 0);
        assert!(!target.backing().join("file").exists(), "it has its name");
        assert_eq!(stages(target.backing()).len(), 0);
    }
}

#[test]
fn a_file_whose_sync_fails_is_written_again_from_the_start_when_tried_again() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new("top/file#70000"), FaultFs::new());
    target.add(Fault::new(Op::Fsync, Action::Errno(libc::EIO)).nth(1));
    let copy = fileops::copy([tree.path("top")], target.path()).retry(1);
    assert!(finish(copy.start()).is_complete());
    assert_same_tree(tree.path("top"), target.backing().join("top"));
    let log = target.log();
    let creations = log.iter().filter(|(op, path)| *op == Op::Create && path.ends_with("file")).count();
    assert_eq!(creations, 2, "the first one was believed");
}

#[test]
fn the_old_file_stays_when_the_new_one_cannot_be_synced() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new("file=new"), FaultFs::new());
    make(target.backing(), "file=old");
    target.add(Fault::new(Op::Fsync, Action::Errno(libc::EIO)));
    let copy = fileops::copy([tree.path("file")], target.path()).on_conflict(OnConflict::Replace);
    let report = finish(copy.start());
    assert_eq!(report.failures.len(), 1);
    assert_eq!(std::fs::read(target.backing().join("file")).expect("read"), b"old");
}

#[test]
fn no_sync_that_fails_is_kept_from_the_caller() {
    alone!();
    require_fuse!();
    let tree = Tree::new("top/a=x top/dir/b#70000 top/dir/sub/c=z top/link->a");
    for op in [Op::Fsync, Op::Fsyncdir] {
        let faults = sweep(100, |n| {
            let target = FaultFs::new();
            let fault = target.add(Fault::new(op, Action::Errno(libc::EIO)).nth(n));
            let copy = fileops::copy([tree.path("top")], target.path()).durability(Durability::Device);
            let report = finish(copy.start());
            let was_hit = target.hits(fault) > 0;
            assert_eq!(report.is_complete(), !was_hit, "{op:?} {n}: {report:?}");
            assert!(report.failures.iter().all(|failure| failure.action == Doing::Sync), "{op:?} {n}: {report:?}");
            target
        });
        assert!(faults >= 3, "{op:?}: {faults}");
    }
}
