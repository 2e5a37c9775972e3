//! Directories that are there already: merged with, name by name, and gone from their old place when nothing is left there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use fileops::OnConflict;
use fileops_tests::tree::{inode, make};
use fileops_tests::{Action, Fault, Op, Tree, alone, require_fuse, require_root};

use crate::{assert_tree, complete, elsewhere, errnos, refusals, run, uncached};

#[test]
fn directories_merge_by_renaming_what_is_in_them() {
    alone!();
    let tree = Tree::new("from/top/one=1 from/top/sub/two=2 from/top/sub/new/three=3 top/old=x top/sub/other=y");
    let number = inode(tree.path("from/top/sub/new/three"));
    let report = complete(run(fileops::move_to([tree.path("from/top")], tree.root()))).report;
    tree.assert("from/ top/one=1 top/old=x top/sub/two=2 top/sub/other=y top/sub/new/three=3");
    assert_eq!(inode(tree.path("top/sub/new/three")), number);
    assert_eq!(report.bytes, 0);
}

#[test]
fn a_merge_keeps_the_source_of_what_was_skipped_and_its_parents() {
    alone!();
    let old = "top/sub/same=old";
    let tree = Tree::new(&format!("from/top/one=1 from/top/sub/same=new from/top/gone/x=1 {old}"));
    make(tree.root(), "top/gone/");
    let report = run(fileops::move_to([tree.path("from/top")], tree.root()).on_conflict(OnConflict::Skip));
    assert_eq!((report.skipped.len(), report.failures.len()), (1, 0), "{report:?}");
    tree.assert("from/top/sub/same=new top/one=1 top/sub/same=old top/gone/x=1");
}

#[test]
fn a_merge_keeps_the_source_of_what_failed_and_its_parents() {
    alone!();
    let tree = Tree::new("from/top/one=1 from/top/sub/same=new from/top/sub/other=1 top/sub/same=old");
    let report = run(fileops::move_to([tree.path("from/top")], tree.root()));
    assert_eq!(errnos(&report), [libc::EEXIST]);
    tree.assert("from/top/sub/same=new top/one=1 top/sub/same=old top/sub/other=1");
}

#[test]
fn a_merge_across_devices_leaves_what_failed_with_its_parents() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/one=1 top/sub/same=new top/sub/other=1 top/new/x=1 top/empty/"), elsewhere());
    make(target.path(), "top/sub/same=old");
    let report = run(fileops::move_to([tree.path("top")], target.path()));
    assert_eq!(errnos(&report), [libc::EEXIST]);
    tree.assert("top/sub/same=new");
    assert_tree(target.path(), "top/one=1 top/sub/same=old top/sub/other=1 top/new/x=1 top/empty/");
}

#[test]
fn a_merge_across_devices_replaces_and_empties_the_source() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/one=1 top/sub/same=new top/sub/other=1 top/new/deep/x=1"), elsewhere());
    make(target.path(), "top/sub/same=old top/keep=x");
    complete(run(fileops::move_to([tree.path("top")], target.path()).on_conflict(OnConflict::Replace)));
    tree.assert("");
    assert_tree(target.path(), "top/one=1 top/sub/same=new top/sub/other=1 top/new/deep/x=1 top/keep=x");
}

#[test]
fn sources_of_one_name_merge_across_devices_one_after_the_other() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("one/top/a=1 one/top/same=1 two/top/b=2 two/top/same=2"), elsewhere());
    let sources = ["one/top", "two/top"].map(|name| tree.path(name));
    let report = run(fileops::move_to(sources, target.path()));
    assert_eq!(errnos(&report), [libc::EEXIST]);
    tree.assert("one/ two/top/same=2");
    assert_tree(target.path(), "top/a=1 top/b=2 top/same=1");
}

#[test]
fn more_files_than_wait_at_a_time_merge_across_devices() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new(&(0..700).map(|n| format!("top/{n}=x{n} ")).collect::<String>()), elsewhere());
    make(target.path(), "top/other=y");
    let report = complete(run(fileops::move_to([tree.path("top")], target.path()))).report;
    assert_eq!(report.files, 700);
    tree.assert("");
    assert_eq!(fs::read_dir(target.path().join("top")).unwrap().count(), 701);
    assert_eq!(fs::read_to_string(target.path().join("top/699")).unwrap(), "x699");
}

#[test]
fn a_directory_that_something_came_to_meanwhile_stays_and_that_is_a_failure() {
    alone!();
    require_fuse!();
    let fs = uncached();
    make(fs.backing(), "from/top/one=1 from/top/two=2 top/old=x");
    let late = fs.backing().join("from/top/late");
    // After the list was made: at the second rename.
    fs.add(Fault::new(Op::Rename, Action::call(move || drop(fs::write(&late, "late")))).nth(2));
    let report = run(fileops::move_to([fs.path().join("from/top")], fs.path()).jobs(1));
    let late = fs::read_to_string(fs.backing().join("from/top/late"));
    // The list may have come in two parts; then it was moved too.
    if report.is_complete() {
        assert!(late.is_err());
        return;
    }
    assert_eq!(late.expect("it stays"), "late");
    assert_eq!(errnos(&report), [libc::ENOTEMPTY]);
    assert_eq!(report.failures[0].path, fs.path().join("from/top"));
    assert_tree(fs.backing(), "from/top/late=late top/old=x top/one=1 top/two=2");
}

#[test]
fn the_directory_that_is_merged_with_keeps_its_own_mode() {
    alone!();
    let tree = Tree::new("from/top/x=1 top/");
    fs::set_permissions(tree.path("from/top"), Permissions::from_mode(0o700)).expect("set");
    fs::set_permissions(tree.path("top"), Permissions::from_mode(0o2751)).expect("set");
    complete(run(fileops::move_to([tree.path("from/top")], tree.root())));
    assert_eq!(fs::metadata(tree.path("top")).unwrap().permissions().mode() & 0o7777, 0o2751);
    tree.assert("from/ top/x=1");
}

#[test]
fn a_directory_is_not_merged_with_itself() {
    alone!();
    let tree = Tree::new("top/x=1");
    for rule in [OnConflict::Fail, OnConflict::Replace, OnConflict::Rename, OnConflict::Newer] {
        let report = run(fileops::move_to([tree.path("top")], tree.root()).on_conflict(rule));
        assert_eq!(refusals(&report), [Some(fileops::Refusal::SameFile)], "{rule:?}");
        tree.assert("top/x=1");
    }
}
