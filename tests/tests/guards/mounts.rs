//! Mounts inside what is copied: gone through, but never round.
//!
//! The targets are small, so that a copy which does go round ends with ENOSPC instead of never.

use std::fs;
use std::path::Path;

use fileops::{OnConflict, Refusal};
use fileops_tests::tree::{assert_tree, make};
use fileops_tests::{Mount, require_root};

use crate::{complete, refusals, run};

fn tmpfs(entries: &str) -> Mount {
    let mount = Mount::tmpfs("size=4m,nr_inodes=2000").unwrap();
    make(mount.path(), entries);
    mount
}

#[test]
fn a_tree_that_holds_a_mount_of_itself_is_copied_once() {
    require_root!();
    let (from, to) = (tmpfs("a/file=hello a/sub/bound/ a/sub/x=y"), tmpfs(""));
    let a = from.path().join("a");
    let bound = Mount::bind_at(&a, &a.join("sub/bound")).unwrap();
    let report = run(fileops::copy([&a], to.path()));
    assert_eq!(refusals(&report), [Refusal::IntoItself]);
    assert_eq!(report.failures[0].path, bound.path());
    assert_tree(to.path(), "a/file=hello a/sub/x=y");
    let counted = run(fileops::measure([&a]));
    assert_eq!((counted.files, refusals(&counted)), (2, vec![Refusal::IntoItself]));
}

#[test]
fn a_tree_that_holds_a_mount_of_a_directory_above_is_copied_as_it_is_seen() {
    require_root!();
    let (from, to) = (tmpfs("top/a/file=hello top/a/bound/ top/beside=x"), tmpfs(""));
    let top = from.path().join("top");
    let _bound = Mount::bind_at(&top, &top.join("a/bound")).unwrap();
    complete(fileops::copy([top.join("a")], to.path()));
    // A bind mount does not show itself once more: below it the place is empty.
    assert_tree(to.path(), "a/file=hello a/bound/beside=x a/bound/a/file=hello a/bound/a/bound/");
}

#[test]
fn mounts_below_a_source_are_copied_too() {
    require_root!();
    let (from, other, to) = (tmpfs("a/here=1 a/mnt/ a/again/ b/there=2"), tmpfs("c/d=3 e->c"), tmpfs(""));
    let a = from.path().join("a");
    let _other = Mount::bind_at(other.path(), &a.join("mnt")).unwrap();
    let _same = Mount::bind_at(&from.path().join("b"), &a.join("again")).unwrap();
    complete(fileops::copy([&a], to.path()));
    assert_tree(to.path(), "a/here=1 a/mnt/c/d=3 a/mnt/e->c a/again/there=2");
    assert_eq!(complete(fileops::measure([&a])).entries, 8);
}

/// `a/mnt` is the target's file system.
fn around(target: &str) -> (Mount, Mount, Mount) {
    let (from, to) = (tmpfs("a/file=hello a/mnt/ a/z=1"), tmpfs(target));
    let bound = Mount::bind_at(to.path(), &from.path().join("a/mnt")).unwrap();
    (from, to, bound)
}

#[test]
fn a_target_that_is_mounted_inside_the_source_is_refused() {
    require_root!();
    let (from, to, bound) = around("sub/");
    for target in [bound.path().to_owned(), bound.path().join("sub")] {
        assert_eq!(refusals(&run(fileops::copy([from.path().join("a")], target))), [Refusal::IntoItself]);
        assert_tree(to.path(), "sub/");
    }
}

#[test]
fn a_copy_that_meets_its_own_new_tree_leaves_it_out() {
    require_root!();
    let (from, to, _bound) = around("other=x");
    let report = run(fileops::copy([from.path().join("a")], to.path()));
    assert_eq!(refusals(&report), [Refusal::IntoItself]);
    assert_tree(to.path(), "other=x a/file=hello a/z=1 a/mnt/other=x");
}

#[test]
fn a_copy_that_meets_the_directory_it_merges_with_leaves_it_out() {
    require_root!();
    let (from, to, _bound) = around("other=x a/old=1");
    let report = run(fileops::copy([from.path().join("a")], to.path()));
    assert_eq!(refusals(&report), [Refusal::IntoItself]);
    assert_tree(to.path(), "other=x a/old=1 a/file=hello a/z=1 a/mnt/other=x");
}

#[test]
fn the_contents_of_a_directory_that_lead_to_the_target_leave_it_out() {
    require_root!();
    let (from, to, _bound) = around("other=x");
    let report = run(fileops::copy([from.path().join("a/.")], to.path()));
    assert_eq!(refusals(&report), [Refusal::IntoItself]);
    assert_tree(to.path(), "other=x file=hello z=1");
}

#[test]
fn a_directory_merged_with_a_mount_of_itself_stays_as_it_is() {
    require_root!();
    for rule in [OnConflict::Fail, OnConflict::Replace, OnConflict::Newer, OnConflict::Different] {
        let (from, to) = (tmpfs("a/sub/file=hello a/x=1"), tmpfs("a/sub/"));
        let _bound = Mount::bind_at(&from.path().join("a/sub"), &to.path().join("a/sub")).unwrap();
        let report = run(fileops::copy([from.path().join("a")], to.path()).on_conflict(rule));
        assert_eq!(refusals(&report), [Refusal::SameFile], "{rule:?}");
        assert_tree(from.path(), "a/sub/file=hello a/x=1");
        assert_tree(to.path(), "a/sub/file=hello a/x=1");
    }
}

#[test]
fn a_name_that_is_a_mount_point_is_never_replaced() {
    require_root!();
    let (from, to, over) = (tmpfs("a=new"), tmpfs("a=old"), tmpfs("file=mounted"));
    let place = to.path().join("a");
    let mounted = Mount::bind_at(&over.path().join("file"), &place).unwrap();
    let report = run(fileops::copy([from.path().join("a")], to.path()).on_conflict(OnConflict::Replace));
    assert_eq!((report.entries, report.failures.len()), (0, 1), "{report:?}");
    assert_eq!(report.failures[0].source.raw_os_error(), Some(libc::EBUSY));
    let is_there = |path: &Path, text: &str| assert_eq!(fs::read_to_string(path).unwrap(), text);
    is_there(&place, "mounted");
    is_there(&over.path().join("file"), "mounted");
    drop(mounted);
    assert_tree(to.path(), "a=old");
}
