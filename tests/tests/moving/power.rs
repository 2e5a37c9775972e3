//! The power fails after a move has said that it is complete, or while it is at it: every file is at its source or at its
//! target, and what was said to be moved is.

use std::fs;

use fileops::OnConflict;
use fileops_tests::tree::make;
use fileops_tests::{Mount, Tree, alone, require_command, require_filesystem, require_root};

use crate::{Scene, assert_arrived, assert_tree, complete, run};

const TREE: &str =
    "top/one=hello top/two#9000 top/dir/three=inside top/dir/deep/four#300000 top/link->one top/same=>top/one";

/// Runs a part with each file system that stops when it is told to.
fn on_each(part: impl Fn(Mount)) {
    part(Mount::ext4(128).expect("an ext4"));
    part(Mount::xfs(300).expect("an xfs"));
}

#[test]
fn what_was_moved_to_another_device_is_there_after_a_power_cut() {
    alone!();
    require_root!();
    require_command!("xfs_io");
    require_filesystem!("xfs");
    on_each(|target| {
        let tree = Tree::new(TREE);
        make(tree.root(), "single=x pipe| link->single");
        let before = fileops_tests::snapshot(tree.path("top"));
        let sources = ["top", "single", "pipe", "link"].map(|name| tree.path(name));
        complete(run(fileops::move_to(sources, target.path())));
        target.fail_power().expect("it stops and starts");
        tree.assert("");
        assert_arrived(&before, &target.path().join("top"));
        assert_eq!(fs::read_to_string(target.path().join("single")).expect("there"), "x");
        assert_eq!(fs::read_link(target.path().join("link")).expect("there").to_str(), Some("single"));
        assert!(target.path().join("pipe").exists());
    });
}

#[test]
fn what_was_merged_into_a_tree_on_another_device_is_there_after_a_power_cut() {
    alone!();
    require_root!();
    require_command!("xfs_io");
    require_filesystem!("xfs");
    on_each(|target| {
        let tree = Tree::new(TREE);
        make(target.path(), "top/one=old top/dir/other=y");
        rustix::fs::sync();
        let before = Tree::new(TREE);
        complete(run(fileops::move_to([tree.path("top")], target.path()).on_conflict(OnConflict::Replace)));
        target.fail_power().expect("it stops and starts");
        tree.assert("");
        fs::write(before.path("top/dir/other"), "y").expect("written");
        let names =
            "top/one=hello top/two#9000 top/dir/three=inside top/dir/deep/four#300000 top/link->one top/same=>top/one";
        fs::remove_dir_all(target.path().join("lost+found")).ok();
        assert_tree(target.path(), &format!("{names} top/dir/other=y"));
    });
}

#[test]
fn a_power_cut_in_the_middle_of_a_move_loses_nothing() {
    alone!();
    require_root!();
    require_command!("xfs_io");
    require_filesystem!("xfs");
    on_each(|target| {
        for round in 0..12_u64 {
            let tree = Tree::new(&(0..40).map(|n| format!("top/{}/{n}#{} ", n % 5, n * 900)).collect::<String>());
            make(tree.root(), "top/merged/one=new top/merged/two=new");
            let to = target.path().join(round.to_string());
            fs::create_dir(&to).expect("made");
            make(&to, "top/merged/one=old top/merged/other=stays");
            rustix::fs::sync();
            let scene = Scene::of(tree.root(), &to);
            let relocation = fileops::move_to([tree.path("top")], &to).on_conflict(OnConflict::Replace);
            let operation = relocation.start();
            std::thread::sleep(std::time::Duration::from_micros(round * 1500));
            let cut = target.cut_power();
            let report = crate::finish(operation);
            cut.and_then(|()| target.mount_again()).expect("it stops and starts");
            let wrong = scene.check(tree.root(), &to, report.is_complete());
            let first = wrong.iter().take(9).collect::<Vec<_>>();
            assert!(wrong.is_empty(), "round {round}, {report:?}: {first:#?}");
        }
    });
}
