//! Names of one file stay names of one file, across directories and sources, and when something fails.

use std::fs;
use std::os::unix::fs::MetadataExt;

use fileops::{NoteKind, OnConflict};
use fileops_tests::tree::{make, noise};
use fileops_tests::{Action, Fault, FaultFs, Op, Options, Tree, require_fuse};

use crate::{complete, errnos, inode, run};

#[test]
fn names_in_several_sources_stay_one_file() {
    for rule in [OnConflict::Fail, OnConflict::Rename] {
        let tree = Tree::new("a/x=hello b/y=>a/x c/deep/z=>a/x single=>a/x dst/");
        let sources = ["a", "b", "c/deep", "single"].map(|name| tree.path(name));
        let report = complete(fileops::copy(sources, tree.path("dst")).on_conflict(rule));
        assert_eq!((report.files, report.bytes), (4, 5));
        tree.assert(
            "a/x=hello b/y=>a/x c/deep/z=>a/x single=>a/x \
             dst/a/x=hello dst/b/y=>dst/a/x dst/deep/z=>dst/a/x dst/single=>dst/a/x",
        );
    }
}

#[test]
fn names_of_one_link_or_pipe_stay_one() {
    let tree = Tree::new("a/pipe| a/other=>a/pipe dst/");
    std::os::unix::fs::symlink("nowhere", tree.path("a/link")).unwrap();
    rustix::fs::linkat(
        rustix::fs::CWD,
        tree.path("a/link"),
        rustix::fs::CWD,
        tree.path("a/second"),
        rustix::fs::AtFlags::empty(),
    )
    .unwrap();
    complete(fileops::copy([tree.path("a")], tree.path("dst")));
    assert_eq!(inode(tree.path("dst/a/link")), inode(tree.path("dst/a/second")));
    assert_eq!(inode(tree.path("dst/a/pipe")), inode(tree.path("dst/a/other")));
}

#[test]
fn a_name_outside_of_what_is_copied_is_left_alone() {
    let tree = Tree::new("out=hello a/x=>out a/y=>out dst/");
    complete(fileops::copy([tree.path("a")], tree.path("dst")));
    tree.assert("out=hello a/x=>out a/y=>out dst/a/x=hello dst/a/y=>dst/a/x");
    assert_ne!(inode(tree.path("dst/a/x")), inode(tree.path("out")));
}

#[test]
fn a_name_that_is_taken_leaves_the_others_one_file() {
    for (rule, taken) in [(OnConflict::Fail, "=old"), (OnConflict::Skip, "=old"), (OnConflict::Replace, "=>dst/a/x")] {
        let tree = Tree::new("a/x=hello a/y=>a/x a/z=>a/x dst/a/y=old");
        let report = run(fileops::copy([tree.path("a")], tree.path("dst")).on_conflict(rule));
        assert_eq!(report.is_complete(), rule == OnConflict::Replace);
        tree.assert(&format!("a/x=hello a/y=>a/x a/z=>a/x dst/a/x=hello dst/a/y{taken} dst/a/z=>dst/a/x"));
    }
}

/// Five names of one file, one of which fails at the first try.
#[track_caller]
fn one_of_five_fails(fs: &FaultFs, source: &std::path::Path, target: &std::path::Path, seen: &std::path::Path) {
    let report = run(fileops::copy([source.join("a")], target));
    assert_eq!((errnos(&report), report.files), (vec![libc::EIO], 4), "{report:?}");
    assert!(fs.fired());
    let copies: Vec<_> = fs::read_dir(seen.join("a")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(copies.len(), 4);
    for copy in copies {
        assert!(fs::read(&copy).unwrap() == noise(300_000));
        assert_eq!(fs::metadata(&copy).unwrap().nlink(), 4, "{}", copy.display());
    }
}

const FIVE: &str = "a/1#300000 a/2=>a/1 a/3=>a/1 a/4=>a/1 a/5=>a/1";

#[test]
fn when_the_first_of_five_names_cannot_be_read_the_others_are_one_file() {
    require_fuse!();
    for op in [Op::Open, Op::Read] {
        // Without the page cache, which would read once more by itself.
        let fs = Options { direct_io: true, ..Options::default() }.mount().unwrap();
        let tree = Tree::new("");
        make(fs.backing(), FIVE);
        fs.add(Fault::new(op, Action::Errno(libc::EIO)).nth(1));
        one_of_five_fails(&fs, fs.path(), tree.root(), tree.root());
    }
}

#[test]
fn when_the_first_of_five_names_cannot_be_written_the_others_are_one_file() {
    require_fuse!();
    for op in [Op::Create, Op::Write, Op::Utimens, Op::Flush] {
        let (tree, fs) = (Tree::new(FIVE), FaultFs::new());
        fs.add(Fault::new(op, Action::Errno(libc::EIO)).name("?").nth(1));
        one_of_five_fails(&fs, tree.root(), fs.path(), fs.backing());
    }
}

#[test]
fn where_there_are_no_hard_links_each_name_is_a_whole_file_and_that_is_noted() {
    require_fuse!();
    let (tree, fs) = (Tree::new("a/1=hello a/2=>a/1 a/3=>a/1"), FaultFs::new());
    fs.knobs(|knobs| knobs.no_links = true);
    let report = complete(fileops::copy([tree.path("a")], fs.path()));
    let notes: Vec<_> = report.notes.iter().map(|note| (note.kind, note.count, note.errno)).collect();
    assert_eq!(notes, [(NoteKind::LinkNotKept, 2, Some(libc::EPERM))]);
    let ignore = fileops_tests::Ignore { hard_links: true, ..Default::default() };
    fileops_tests::assert_same_tree_but(tree.path("a"), fs.path().join("a"), &ignore);
}

#[test]
fn names_of_one_file_are_one_after_a_second_copy_that_replaces_them() {
    let tree = Tree::new("a/x=hello a/sub/y=>a/x dst/");
    for rule in [OnConflict::Fail, OnConflict::Replace] {
        complete(fileops::copy([tree.path("a")], tree.path("dst")).on_conflict(rule));
        // What was there already keeps what it is itself.
        let ignore = fileops_tests::Ignore { dir_mtime: true, ..Default::default() };
        fileops_tests::assert_same_tree_but(tree.path("a"), tree.path("dst/a"), &ignore);
    }
}
