//! Files with several names.

use fileops::{OnConflict, Refusal};
use fileops_tests::tree::{inode, make};
use fileops_tests::{Action, Fault, Op, Tree, alone, require_fuse, require_root};

use crate::{assert_tree, complete, elsewhere, errnos, refusals, run, uncached};

#[test]
fn of_two_names_of_one_file_the_one_that_was_moved_to_stays() {
    alone!();
    let tree = Tree::new("a=x b=>a into/a=>a");
    for (from, to) in [("a", "b"), ("b", "into/a")] {
        let number = inode(tree.path(to));
        let relocation = fileops::move_as(tree.path(from), tree.path(to)).on_conflict(OnConflict::Replace);
        complete(run(relocation));
        assert!(!tree.path(from).exists());
        assert_eq!(inode(tree.path(to)), number);
    }
    tree.assert("into/a=x");
}

#[test]
fn two_names_of_one_file_are_left_alone_unless_replacing_was_asked_for() {
    alone!();
    let entries = "a=x b=>a";
    let tree = Tree::new(entries);
    let report = run(fileops::move_as(tree.path("a"), tree.path("b")));
    assert_eq!(refusals(&report), [Some(Refusal::SameFile)]);
    for rule in [OnConflict::Skip, OnConflict::Newer, OnConflict::Different] {
        let report = run(fileops::move_as(tree.path("a"), tree.path("b")).on_conflict(rule));
        assert_eq!((report.failures.len(), report.skipped.len()), (0, 1), "{rule:?}");
    }
    tree.assert(entries);
    complete(run(fileops::move_as(tree.path("a"), tree.path("b")).on_conflict(OnConflict::Rename)));
    tree.assert("b=x b\\s(2)=>b");
}

#[test]
fn groups_of_names_stay_groups_across_devices() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("one/a=x one/b=>one/a two/sub/c=>one/a single=>one/a other=y"), elsewhere());
    let sources = ["one", "two", "single", "other"].map(|name| tree.path(name));
    complete(run(fileops::move_to(sources, target.path())));
    tree.assert("");
    assert_tree(target.path(), "one/a=x one/b=>one/a two/sub/c=>one/a single=>one/a other=y");
}

#[test]
fn groups_stay_groups_in_directories_that_are_merged() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/a=x top/sub/b=>top/a top/new/c=>top/a"), elsewhere());
    make(target.path(), "top/sub/other=y");
    complete(run(fileops::move_to([tree.path("top")], target.path())));
    tree.assert("");
    assert_tree(target.path(), "top/a=x top/sub/b=>top/a top/new/c=>top/a top/sub/other=y");
}

#[test]
fn groups_stay_groups_where_names_of_theirs_replace_old_files() {
    alone!();
    require_root!();
    // Whichever name comes first, its source is gone when the next is read.
    let (tree, target) = (Tree::new("top/a=x top/b=>top/a top/c=>top/a"), elsewhere());
    make(target.path(), "top/a=old top/b=old top/c=old");
    complete(run(fileops::move_to([tree.path("top")], target.path()).on_conflict(OnConflict::Replace)));
    tree.assert("");
    assert_tree(target.path(), "top/a=x top/b=>top/a top/c=>top/a");
}

#[test]
fn a_name_outside_the_moved_tree_keeps_its_file() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/a=x outside=>top/a"), elsewhere());
    complete(run(fileops::move_to([tree.path("top")], target.path())));
    tree.assert("outside=x");
    assert_tree(target.path(), "top/a=x");
}

#[test]
fn of_a_group_the_name_that_could_not_be_linked_is_made_by_itself() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new("top/a=x top/b=>top/a"), uncached());
    target.add(Fault::new(Op::Link, Action::Errno(libc::EMLINK)));
    complete(run(fileops::move_to([tree.path("top")], target.path())));
    tree.assert("");
    assert_tree(target.backing(), "top/a=x top/b=x");
}

#[test]
fn of_a_group_the_name_that_failed_keeps_its_source() {
    alone!();
    require_fuse!();
    let (tree, target) = (Tree::new("top/a=x top/sub/b=>top/a"), uncached());
    target.add(Fault::new(Op::Link, Action::Errno(libc::EIO)));
    let report = run(fileops::move_to([tree.path("top")], target.path()).jobs(1));
    assert_eq!(errnos(&report), [libc::EIO]);
    let (left, there) = (
        ["a", "sub/b"].map(|name| tree.path("top").join(name).exists()),
        ["a", "sub/b"].map(|name| target.backing().join("top").join(name).exists()),
    );
    // Which of them is the first is a matter of the list.
    assert!(left[0] != left[1] && there[0] == left[1] && there[1] == left[0], "{left:?} {there:?}");
}

#[test]
fn a_link_and_the_group_of_its_target_stay_apart() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/a=x top/b=>top/a top/link->a"), elsewhere());
    complete(run(fileops::move_to([tree.path("top")], target.path())));
    assert_tree(target.path(), "top/a=x top/b=>top/a top/link->a");
}
