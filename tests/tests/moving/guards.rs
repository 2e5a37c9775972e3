//! Into itself, onto itself, over mount points, under `.` and `..`: refused, and nothing is lost.

use std::fs;

use fileops::{Mounts, OnConflict, Refusal};
use fileops_tests::tree::make;
use fileops_tests::{Knobs, Mount, Tree, alone, require_fuse, require_root};

use crate::{assert_tree, complete, elsewhere, errnos, names, refusals, run, uncached};

const RULES: [OnConflict; 6] = [
    OnConflict::Fail,
    OnConflict::Skip,
    OnConflict::Replace,
    OnConflict::Rename,
    OnConflict::Newer,
    OnConflict::Different,
];

#[test]
fn a_directory_does_not_move_into_itself_in_any_spelling() {
    alone!();
    let entries = "a/file=hello a/sub/deep/ other/ link->a loop->a/sub";
    let tree = Tree::new(entries);
    for (source, target) in [
        ("a", "a"),
        ("a", "a/sub"),
        ("a/", "./a/./sub/deep"),
        ("other/../a", "a/sub"),
        ("a", "link"),
        ("a", "loop/deep"),
    ] {
        for rule in RULES {
            let report = run(fileops::move_to([tree.path(source)], tree.path(target)).on_conflict(rule));
            assert_eq!(refusals(&report), [Some(Refusal::IntoItself)], "{source} into {target}, {rule:?}");
            tree.assert(entries);
        }
    }
    let report = run(fileops::move_as(tree.path("a"), tree.path("a/sub/new")));
    assert_eq!(refusals(&report), [Some(Refusal::IntoItself)]);
    tree.assert(entries);
}

#[test]
fn a_directory_does_not_move_into_a_bind_mount_of_itself() {
    alone!();
    require_root!();
    let entries = "outer/a/file=hello outer/a/sub/ outer/x=1";
    let tree = Tree::new(entries);
    let bound = Mount::bind(&tree.path("outer/a")).expect("bound");
    for (source, target) in [("outer/a", ""), ("outer/a", "sub"), ("outer", ""), ("outer", "sub")] {
        let report = run(fileops::move_to([tree.path(source)], bound.path().join(target)));
        assert_eq!(refusals(&report), [Some(Refusal::IntoItself)], "{source} into {target}");
        tree.assert(entries);
    }
}

#[test]
fn onto_itself_nothing_happens_in_any_spelling_by_any_rule() {
    alone!();
    let entries = "file=x dir/inside=y link->dir self->.";
    let tree = Tree::new(entries);
    for source in ["file", "dir", "link", "./file", "dir/", "link/", "dir/../file", "self/file"] {
        for into in ["", "self", "link/.."] {
            for rule in RULES {
                let report = run(fileops::move_to([tree.path(source)], tree.path(into)).on_conflict(rule));
                let skips = usize::from(rule == OnConflict::Skip);
                assert_eq!((report.failures.len(), report.skipped.len()), (1 - skips, skips), "{source} {rule:?}");
                assert!(refusals(&report).iter().all(|refusal| *refusal == Some(Refusal::SameFile)), "{report:?}");
                tree.assert(entries);
            }
        }
    }
    let report = run(fileops::move_as(tree.path("file"), tree.path("file")).on_conflict(OnConflict::Replace));
    assert_eq!(refusals(&report), [Some(Refusal::SameFile)]);
    tree.assert(entries);
}

#[test]
fn onto_itself_through_a_bind_mount_nothing_is_lost() {
    alone!();
    require_root!();
    let entries = "file=x dir/inside=y";
    let tree = Tree::new(entries);
    let bound = Mount::bind(tree.root()).expect("bound");
    for source in ["file", "dir"] {
        for rule in
            [OnConflict::Fail, OnConflict::Replace, OnConflict::Newer, OnConflict::Different, OnConflict::Rename]
        {
            let report = run(fileops::move_to([tree.path(source)], bound.path()).on_conflict(rule));
            assert_eq!(refusals(&report), [Some(Refusal::SameFile)], "{source} {rule:?}");
            tree.assert(entries);
        }
    }
}

#[test]
fn a_link_does_not_replace_what_it_points_to() {
    alone!();
    require_root!();
    let tree = Tree::new("into/data=precious data->into/data");
    let report = run(fileops::move_to([tree.path("data")], tree.path("into")).on_conflict(OnConflict::Replace));
    assert_eq!(refusals(&report), [Some(Refusal::SameFile)]);
    tree.assert("into/data=precious data->into/data");
}

#[test]
fn the_target_of_a_link_at_the_destination_is_not_touched() {
    alone!();
    require_root!();
    for target in [None, Some(elsewhere())] {
        let tree = Tree::new("a=new outside=precious into/");
        let into = target.as_ref().map_or(tree.path("into"), |target| target.path().to_owned());
        std::os::unix::fs::symlink(tree.path("outside"), into.join("a")).expect("made");
        complete(run(fileops::move_to([tree.path("a")], &into).on_conflict(OnConflict::Replace)));
        assert_eq!(fs::read_to_string(tree.path("outside")).expect("read"), "precious");
        assert_tree(&into, "a=new");
    }
}

#[test]
fn a_path_without_a_name_of_its_own_is_refused() {
    alone!();
    let tree = Tree::new("a/b/file=x into/");
    for path in ["a/.", "a/b/..", "a/./", "."] {
        let report = run(fileops::move_to([tree.path(path)], tree.path("into")));
        assert_eq!(refusals(&report), [Some(Refusal::NoName)], "{path}");
    }
    let report = run(fileops::move_to(["/"], tree.path("into")));
    assert_eq!(refusals(&report), [Some(Refusal::NoName)]);
    let report = run(fileops::move_as(tree.path("a"), tree.path("into/..")));
    assert_eq!(refusals(&report), [Some(Refusal::NoName)]);
    let report = run(fileops::move_to([""], tree.path("into")));
    assert_eq!(errnos(&report), [libc::ENOENT]);
    tree.assert("a/b/file=x into/");
}

#[test]
fn a_mount_point_is_refused_and_stays() {
    alone!();
    require_root!();
    let tree = Tree::new("mnt/ file=x near/");
    let (inner, other) = (elsewhere(), elsewhere());
    make(inner.path(), "inside=y");
    let _mounted = Mount::bind_at(inner.path(), &tree.path("mnt")).expect("bound");
    fs::write(tree.path("file2"), "below").expect("written");
    let _file = Mount::bind_at(&inner.path().join("inside"), &tree.path("file2")).expect("bound");
    for into in [tree.path("near"), other.path().to_owned()] {
        for name in ["mnt", "file2"] {
            let report = run(fileops::move_to([tree.path(name)], &into));
            assert_eq!(refusals(&report), [Some(Refusal::MountPoint)], "{name} into {}", into.display());
        }
        assert!(names(&into).is_empty());
        assert_tree(inner.path(), "inside=y");
    }
}

#[test]
fn what_is_mounted_below_a_source_stays_with_its_parents() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/one=1 top/sub/mnt/ top/sub/two=2"), elsewhere());
    let inner = elsewhere();
    make(inner.path(), "inside=y");
    let _mounted = Mount::bind_at(inner.path(), &tree.path("top/sub/mnt")).expect("bound");
    let report = run(fileops::move_to([tree.path("top")], target.path()));
    assert_eq!(refusals(&report), [Some(Refusal::MountPoint)]);
    tree.assert("top/sub/mnt/inside=y");
    assert_tree(target.path(), "top/one=1 top/sub/two=2");
}

#[test]
fn what_is_mounted_below_a_source_moves_when_asked_to() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/one=1 top/sub/mnt/"), elsewhere());
    let inner = elsewhere();
    make(inner.path(), "inside=y");
    let _mounted = Mount::bind_at(inner.path(), &tree.path("top/sub/mnt")).expect("bound");
    let report = run(fileops::move_to([tree.path("top")], target.path()).mounts(Mounts::Cross));
    // The mount point itself is busy.
    assert_eq!(errnos(&report), [libc::EBUSY]);
    tree.assert("top/sub/mnt/");
    assert_tree(target.path(), "top/one=1 top/sub/mnt/inside=y");
}

#[test]
fn a_name_changes_its_case_where_case_does_not_count() {
    alone!();
    require_fuse!();
    for knobs in [Knobs::fat(), Knobs { no_rename_flags: true, ..Knobs::fat() }] {
        for rule in RULES {
            let fs = uncached();
            fs.knobs(|own| *own = knobs.clone());
            make(fs.backing(), "file=x dir/inside=y other=z");
            complete(run(fileops::move_as(fs.path().join("file"), fs.path().join("FILE")).on_conflict(rule)));
            complete(run(fileops::move_as(fs.path().join("dir"), fs.path().join("Dir")).on_conflict(rule)));
            assert_tree(fs.backing(), "FILE=x Dir/inside=y other=z");
        }
    }
}

#[test]
fn names_that_differ_in_case_only_conflict_where_case_does_not_count() {
    alone!();
    require_fuse!();
    let fs = uncached();
    fs.knobs(|own| *own = Knobs::fat());
    make(fs.backing(), "file=new into/FILE=old");
    let report = run(fileops::move_to([fs.path().join("file")], fs.path().join("into")));
    assert_eq!(errnos(&report), [libc::EEXIST]);
    complete(run(fileops::move_to([fs.path().join("file")], fs.path().join("into")).on_conflict(OnConflict::Replace)));
    assert_eq!(names(&fs.backing().join("into")).len(), 1);
    let (name, _) = names(&fs.backing().join("into")).pop_first().expect("one");
    assert_eq!(fs::read_to_string(fs.backing().join("into").join(name)).expect("read"), "new");
    assert!(!fs.backing().join("file").exists());
}
