//! The small verbs: one call each, nothing replaced, and each can be undone.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use fileops::{OnConflict, Refusal, Report};
use fileops_tests::tree::{assert_tree, inode, make};
use fileops_tests::{FaultFs, Knobs, Options, Tree, alone, assert_same_tree, require_fuse, snapshot};

fn run(single: fileops::Single) -> Report {
    single.start().wait()
}

#[track_caller]
fn complete(report: &Report) {
    assert!(report.is_complete(), "{report:?}");
}

#[track_caller]
fn failed(report: &Report, errno: i32) {
    let errnos: Vec<_> = report.failures.iter().map(|error| error.errno().unwrap_or(0)).collect();
    assert_eq!((errnos, report.entries), (vec![errno], 0), "{report:?}");
}

#[test]
fn an_entry_gets_another_name_in_its_directory() {
    alone!();
    let tree = Tree::new("dir/file=x dir/sub/deep=y link->dir");
    let number = inode(tree.path("dir/file"));
    complete(&run(fileops::rename(tree.path("dir/file"), "other")));
    let report = run(fileops::rename(tree.path("dir/sub/"), "renamed"));
    complete(&report);
    complete(&run(fileops::rename(tree.path("link/"), "pointer")));
    tree.assert("dir/other=x dir/renamed/deep=y pointer->dir");
    assert_eq!(inode(tree.path("dir/other")), number);
    assert_eq!((report.entries, report.directories), (1, 1));
}

#[test]
fn a_rename_replaces_nothing() {
    alone!();
    let entries = "a=1 b=2 dir/x=3 empty/ link->nothing";
    let tree = Tree::new(entries);
    for (from, to) in [("a", "b"), ("a", "empty"), ("dir", "empty"), ("a", "link"), ("empty", "a")] {
        failed(&run(fileops::rename(tree.path(from), to)), libc::EEXIST);
        tree.assert(entries);
    }
    let report = run(fileops::rename(tree.path("a"), "a"));
    assert_eq!(report.failures[0].refusal(), Some(Refusal::SameFile));
    tree.assert(entries);
}

#[test]
fn a_second_name_of_the_same_file_is_taken_too() {
    alone!();
    let tree = Tree::new("a=1 b=>a");
    failed(&run(fileops::rename(tree.path("a"), "b")), libc::EEXIST);
    tree.assert("a=1 b=>a");
}

#[test]
fn what_is_no_name_is_refused() {
    alone!();
    let tree = Tree::new("a=1 dir/");
    for name in ["", ".", "..", "dir/a", "/a", "a/"] {
        failed(&run(fileops::rename(tree.path("a"), name)), libc::EINVAL);
    }
    for path in ["dir/.", "dir/..", "."] {
        let reports = [
            run(fileops::rename(tree.path(path), "new")),
            run(fileops::create_file(tree.path(path))),
            run(fileops::create_dir(tree.path(path))),
            run(fileops::symlink("x", tree.path(path))),
            run(fileops::hard_link(tree.path("a"), tree.path(path))),
        ];
        for report in reports {
            assert_eq!(report.failures[0].refusal(), Some(Refusal::NoName), "{path}: {report:?}");
        }
    }
    failed(&run(fileops::rename(tree.path("missing"), "new")), libc::ENOENT);
    failed(&run(fileops::create_file("")), libc::ENOENT);
    tree.assert("a=1 dir/");
}

#[test]
fn a_name_changes_its_case_where_case_does_not_count() {
    alone!();
    require_fuse!();
    let (attr_timeout, entry_timeout) = Default::default();
    let options = Options { attr_timeout, entry_timeout, ..Options::default() };
    let fs: FaultFs = options.mount().expect("mounted");
    fs.knobs(|knobs| *knobs = Knobs::fat());
    make(fs.backing(), "file=x dir/y=1 other=z");
    complete(&run(fileops::rename(fs.path().join("file"), "FILE")));
    complete(&run(fileops::rename(fs.path().join("dir"), "Dir")));
    failed(&run(fileops::rename(fs.path().join("other"), "file")), libc::EEXIST);
    assert_tree(fs.backing(), "FILE=x Dir/y=1 other=z");
}

#[test]
fn files_directories_and_links_are_made() {
    alone!();
    let tree = Tree::new("file=x");
    complete(&run(fileops::create_file(tree.path("new"))));
    complete(&run(fileops::create_dir(tree.path("dir/"))));
    complete(&run(fileops::symlink("no/where", tree.path("dir/link"))));
    complete(&run(fileops::hard_link(tree.path("file"), tree.path("dir/second"))));
    complete(&run(fileops::hard_link(tree.path("dir/link"), tree.path("third"))));
    tree.assert("file=x new= dir/second=>file dir/link->no/where third->no/where");
    assert_eq!(inode(tree.path("third")), inode(tree.path("dir/link")));
}

#[test]
fn nothing_is_replaced_by_what_is_made() {
    alone!();
    let entries = "file=x dir/ link->file broken->nothing";
    let tree = Tree::new(entries);
    for name in ["file", "dir", "link", "broken"] {
        failed(&run(fileops::create_file(tree.path(name))), libc::EEXIST);
        failed(&run(fileops::create_dir(tree.path(name))), libc::EEXIST);
        failed(&run(fileops::symlink("x", tree.path(name))), libc::EEXIST);
        failed(&run(fileops::hard_link(tree.path("file"), tree.path(name))), libc::EEXIST);
        tree.assert(entries);
    }
    failed(&run(fileops::create_dir(tree.path("missing/dir"))), libc::ENOENT);
    failed(&run(fileops::hard_link(tree.path("dir"), tree.path("new"))), libc::EPERM);
    failed(&run(fileops::hard_link(tree.path("missing"), tree.path("new"))), libc::ENOENT);
    tree.assert(entries);
}

#[test]
fn several_are_one_operation_and_a_failure_ends_only_its_own() {
    alone!();
    let tree = Tree::new("b=x");
    let all = ["a", "b", "c"].map(|name| fileops::create_file(tree.path(name)));
    let report = run(all.into_iter().reduce(fileops::Single::and).expect("three"));
    assert_eq!((report.entries, report.failures.len()), (2, 1));
    tree.assert("a= b=x c=");
    complete(&fileops::undo(report.id.expect("it can be undone")).start().wait());
    tree.assert("b=x");
}

#[test]
fn each_can_be_undone_and_done_again() {
    alone!();
    let tree = Tree::new("file=x dir/sub/y=1");
    let before = snapshot(tree.root());
    let all = [
        fileops::rename(tree.path("dir"), "renamed"),
        fileops::create_dir(tree.path("new")),
        fileops::create_file(tree.path("new/empty")),
        fileops::symlink("file", tree.path("link")),
        fileops::hard_link(tree.path("file"), tree.path("second")),
        fileops::rename(tree.path("new"), "newer"),
    ];
    let reports = all.map(run);
    reports.iter().for_each(complete);
    let ids = reports.map(|report| report.id.expect("it can be undone"));
    let after = snapshot(tree.root());
    for id in ids.iter().rev() {
        complete(&fileops::undo(id).start().wait());
    }
    let ignore = fileops_tests::Ignore::default();
    assert_eq!(fileops_tests::differences(&before, &snapshot(tree.root()), &ignore), Vec::<String>::new());
    for id in &ids {
        complete(&fileops::redo(id).start().wait());
    }
    let ignore = fileops_tests::Ignore { root: true, ..ignore };
    let found = fileops_tests::differences(&after, &snapshot(tree.root()), &ignore);
    assert!(found.iter().all(|line| line.contains("mtime")), "{found:?}");
}

#[test]
fn a_rename_across_nothing_keeps_names_of_any_bytes() {
    alone!();
    let tree = Tree::new("a=1");
    complete(&run(fileops::rename(tree.path("a"), std::ffi::OsStr::from_bytes(b"\xff\n"))));
    tree.assert("\\xff\\n=1");
}

#[test]
fn a_duplicate_is_beside_the_original_and_called_a_copy() {
    alone!();
    let tree = Tree::new("a.tar.gz=x dir/sub/y=1 dir/sub/z=>dir/sub/y link->dir");
    for _ in 0..2 {
        for name in ["a.tar.gz", "dir/", "link"] {
            complete(&fileops::duplicate(tree.path(name)).start().wait());
        }
    }
    complete(&fileops::duplicate(tree.path("a (copy).tar.gz")).start().wait());
    for name in ["a (copy).tar.gz", "a (copy 2).tar.gz", "a (copy 3).tar.gz"] {
        assert_eq!(fs::read_to_string(tree.path(name)).expect("made"), "x");
    }
    for name in ["dir (copy)", "dir (copy 2)"] {
        assert_same_tree(tree.path("dir"), tree.path(name));
    }
    assert_eq!(fs::read_link(tree.path("link (copy 2)")).expect("made").to_str(), Some("dir"));
    assert_eq!(fs::read_dir(tree.root()).expect("listed").count(), 10);
    assert_eq!(fs::metadata(tree.path("a.tar.gz")).expect("there").nlink(), 1);
}

#[test]
fn a_duplicate_can_be_undone() {
    alone!();
    let tree = Tree::new("a=x");
    let report = fileops::duplicate(tree.path("a")).on_conflict(OnConflict::Rename).start().wait();
    complete(&report);
    tree.assert("a=x a\\s(copy)=x");
    complete(&fileops::undo(report.id.expect("it can be undone")).start().wait());
    tree.assert("a=x");
}
