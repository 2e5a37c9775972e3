//! Undo and redo of what was done with the trash.

use std::fs;

use fileops::{OnConflict, Refusal, Report, Trashed};
use fileops_tests::snapshot::snapshot;
use fileops_tests::tree::make;
use fileops_tests::{Mount, Tree, require_root};

use crate::{alone, complete, home_trash, items_in, names, own_trash, put, refusals, set};

fn undo(report: &Report) -> Report {
    let id = report.id.clone().expect("there is something to undo");
    fileops::block_on(async { fileops::undo(id).await })
}

fn redo(report: &Report) -> Report {
    let id = report.id.clone().expect("there is something to redo");
    fileops::block_on(async { fileops::redo(id).await })
}

#[test]
fn what_was_trashed_is_as_before_after_an_undo_and_in_the_trash_after_a_redo() {
    alone!();
    make(&home_trash(), "files/a=somebody's info/a.trashinfo=somebody's");
    let tree = Tree::new("a!640=x dir/sub/b=y dir/link->b keep=z");
    let before = snapshot(tree.root());
    let report = complete(put(&[&tree.path("a"), &tree.path("dir")])).report;
    tree.assert("keep=z");
    complete(undo(&report));
    assert_eq!(snapshot(tree.root()), before);
    assert_eq!(names(&home_trash()), (set(&["a"]), set(&["a.trashinfo"])));
    complete(redo(&report));
    tree.assert("keep=z");
    let (files, infos) = names(&home_trash());
    assert_eq!(files, set(&["a", "a (2)", "dir"]));
    assert_eq!(infos, files.iter().map(|name| format!("{name}.trashinfo")).collect());
    let originals: Vec<_> = items_in(&home_trash()).into_iter().filter_map(|item| item.original).collect();
    assert!(originals.contains(&tree.path("a")) && originals.contains(&tree.path("dir")));
    // And once more.
    let past = fileops::history().expect("read").remove(0);
    complete(fileops::block_on(async { fileops::undo(past.id).await }));
    assert_eq!(snapshot(tree.root()), before);
}

#[test]
fn what_was_restored_is_in_the_trash_again_after_an_undo() {
    alone!();
    let tree = Tree::new("a/b/file=x keep=y");
    complete(put(&[&tree.path("a/b/file")]));
    fs::remove_dir_all(tree.path("a")).expect("removed");
    let (before, trash) = (snapshot(tree.root()), snapshot(home_trash().join("info")));
    let report = fileops::block_on(async { fileops::restore([Trashed::Original(tree.path("a/b/file"))]).await });
    let report = complete(report).report;
    tree.assert("a/b/file=x keep=y");
    complete(undo(&report));
    assert_eq!(snapshot(tree.root()), before);
    // All but the time of the directory itself.
    let entries = |of: &fileops_tests::snapshot::Snapshot| {
        of.iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, entry)| (name.clone(), entry.hash))
            .collect::<Vec<_>>()
    };
    assert_eq!(entries(&snapshot(home_trash().join("info"))), entries(&trash));
    assert_eq!(items_in(&home_trash())[0].original, Some(tree.path("a/b/file")));
    complete(redo(&report));
    tree.assert("a/b/file=x keep=y");
    assert_eq!(names(&home_trash()), Default::default());
}

#[test]
fn what_was_restored_on_a_file_system_with_a_uuid_is_in_the_trash_again_after_an_undo() {
    require_root!();
    alone!();
    let mount = Mount::ext4(32).expect("mounted");
    make(mount.path(), "a/file=x");
    complete(put(&[&mount.path().join("a/file")]));
    let trash = own_trash(mount.path());
    let report = complete(fileops::block_on(async { fileops::restore(items_in(&trash)).await })).report;
    assert_eq!(names(&trash), Default::default());
    complete(undo(&report));
    assert_eq!(names(&trash), (set(&["file"]), set(&["file.trashinfo"])));
}

#[test]
fn parents_that_somebody_uses_since_stay_after_an_undo() {
    alone!();
    let tree = Tree::new("a/file=x");
    complete(put(&[&tree.path("a/file")]));
    fs::remove_dir(tree.path("a")).expect("removed");
    let report = complete(fileops::block_on(async { fileops::restore(items_in(&home_trash())).await })).report;
    make(tree.root(), "a/other=mine");
    assert_eq!(refusals(&undo(&report)), [Some(Refusal::ChangedSince)]);
    tree.assert("a/other=mine");
    assert_eq!(names(&home_trash()).0, set(&["file"]));
}

#[test]
fn what_was_taken_out_since_is_back_already_and_all_else_comes_back() {
    alone!();
    let tree = Tree::new("a=1 b=2");
    let report = complete(put(&[&tree.path("a"), &tree.path("b")])).report;
    complete(fileops::block_on(async { fileops::restore([Trashed::Original(tree.path("a"))]).await }));
    complete(undo(&report));
    tree.assert("a=1 b=2");
    assert_eq!(names(&home_trash()), Default::default());
}

#[test]
fn names_of_one_file_go_and_come_back_together_and_stay_names_of_one_file() {
    alone!();
    let tree = Tree::new("dir/a=x dir/b=>dir/a dir/c=>dir/a");
    let before = snapshot(tree.root());
    let report = complete(put(&[&tree.path("dir/a"), &tree.path("dir/b")])).report;
    complete(undo(&report));
    assert_eq!(snapshot(tree.root()), before);
    let report = complete(put(&[&tree.path("dir/a"), &tree.path("dir/b"), &tree.path("dir/c")])).report;
    let back = fileops::block_on(async { fileops::restore(items_in(&home_trash())).await });
    let back = complete(back).report;
    let is_as_before = || {
        // A restore is a change of the directory.
        let ignore = fileops_tests::Ignore { dir_mtime: true, ..Default::default() };
        let found = fileops_tests::differences(&before, &snapshot(tree.root()), &ignore);
        assert!(found.is_empty(), "{found:?}");
    };
    is_as_before();
    complete(undo(&back));
    complete(undo(&report));
    is_as_before();
    // A name is back where another name of the file is by then: that one is kept, and comes back.
    let report = complete(put(&[&tree.path("dir/a")])).report;
    fs::hard_link(tree.path("dir/b"), tree.path("dir/a")).expect("linked");
    let restore = fileops::restore([Trashed::Original(tree.path("dir/a"))]).on_conflict(OnConflict::Replace);
    let back = complete(fileops::block_on(async { restore.await })).report;
    tree.assert("dir/a=x dir/b=>dir/a dir/c=>dir/a");
    complete(undo(&back));
    tree.assert("dir/a=x dir/b=>dir/a dir/c=>dir/a");
    assert_eq!(names(&home_trash()).0, set(&["a"]));
    drop(report);
}

#[test]
fn a_path_that_is_given_twice_is_done_once_and_fails_once() {
    alone!();
    let tree = Tree::new("a=x b=>a");
    let before = snapshot(tree.root());
    let report = put(&[&tree.path("a"), &tree.path("a"), &tree.path("b")]);
    assert_eq!((report.entries, report.failures.len(), report.moved.len()), (2, 1, 2), "{report:?}");
    assert!(undo(&report).is_complete());
    assert_eq!(snapshot(tree.root()), before);
}

#[test]
fn an_undo_in_a_top_directory_leaves_its_trash_empty() {
    alone!();
    require_root!();
    let mount = fileops_tests::Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "dir/a=x");
    let report = complete(put(&[&mount.path().join("dir")])).report;
    complete(undo(&report));
    assert_eq!(fs::read_to_string(mount.path().join("dir/a")).expect("it is back"), "x");
    assert_eq!(names(&own_trash(mount.path())), Default::default());
}
