//! Undo and redo of moves.

use fileops::{OnConflict, Report};
use fileops_tests::tree::make;
use fileops_tests::{Ignore, Tree, alone, differences, require_root, snapshot};
use std::path::Path;

use crate::{complete, elsewhere, run};

/// Undoes, and does again; each time the trees have to be what they were.
#[track_caller]
fn there_and_back(report: Report, places: &[&Path], before: &[fileops_tests::snapshot::Snapshot]) {
    let id = report.id.clone().expect("it can be undone");
    complete(report);
    let after: Vec<_> = places.iter().copied().map(snapshot).collect();
    let same = |then: &[fileops_tests::snapshot::Snapshot], what: &str| {
        for (place, then) in places.iter().zip(then) {
            let without_kept = |all: &fileops_tests::snapshot::Snapshot| -> fileops_tests::snapshot::Snapshot {
                let is_kept = |path: &[u8]| path.starts_with(b".fileops-kept-");
                all.iter()
                    .filter(|(path, _)| !is_kept(path))
                    .map(|(path, entry)| (path.clone(), entry.clone()))
                    .collect()
            };
            let ignore = Ignore { root: true, ..Ignore::default() };
            let found = differences(&without_kept(then), &without_kept(&snapshot(place)), &ignore);
            assert!(found.is_empty(), "{what}: {}: {found:?}", place.display());
        }
    };
    complete(fileops::undo(&id).start().wait());
    same(before, "undone");
    complete(fileops::redo(&id).start().wait());
    // Directories that came and went have new times.
    for (place, then) in places.iter().zip(&after) {
        let (then, now) = (then.keys(), snapshot(place));
        let is_kept = |path: &&Vec<u8>| path.starts_with(b".fileops-kept-");
        assert!(then.filter(|path| !is_kept(path)).eq(now.keys().filter(|path| !is_kept(path))), "done again");
    }
}

const TREE: &str = "from/top/one=new from/top/two#9000 from/top/dir/three=inside from/top/dir/deep/four=x from/top/link->one from/top/same=>from/top/one";

#[test]
fn a_rename_goes_home() {
    alone!();
    let tree = Tree::new(&format!("{TREE} into/"));
    let before = snapshot(tree.root());
    let report = run(fileops::move_to([tree.path("from/top")], tree.path("into")));
    there_and_back(report, &[tree.root()], &[before]);
}

#[test]
fn a_merge_by_renames_comes_apart_again_with_every_old_file() {
    alone!();
    let tree = Tree::new(&format!("{TREE} into/top/one=old into/top/dir/other=y into/top/link->old"));
    let before = snapshot(tree.root());
    let relocation = fileops::move_to([tree.path("from/top")], tree.path("into"));
    let report = run(relocation.on_conflict(OnConflict::Replace));
    there_and_back(report, &[tree.root()], &[before]);
}

#[test]
fn one_of_two_names_of_a_file_comes_back() {
    alone!();
    let tree = Tree::new("a=x b=>a");
    let before = snapshot(tree.root());
    let report = run(fileops::move_as(tree.path("a"), tree.path("b")).on_conflict(OnConflict::Replace));
    there_and_back(report, &[tree.root()], &[before]);
}

#[test]
fn what_was_carried_to_another_device_is_carried_home() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new(&format!("{TREE} from/single=y")), elsewhere());
    let before = [snapshot(tree.root()), snapshot(target.path())];
    let sources = ["from/top", "from/single"].map(|name| tree.path(name));
    let report = run(fileops::move_to(sources, target.path()));
    there_and_back(report, &[tree.root(), target.path()], &before);
}

#[test]
fn a_merge_across_devices_comes_apart_again_with_every_old_file() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("from/top/one=new from/top/dir/three=inside from/top/new/x=1"), elsewhere());
    make(target.path(), "top/one=old top/dir/other=y");
    let before = [snapshot(tree.root()), snapshot(target.path())];
    let relocation = fileops::move_to([tree.path("from/top")], target.path());
    let report = run(relocation.on_conflict(OnConflict::Replace));
    there_and_back(report, &[tree.root(), target.path()], &before);
}
