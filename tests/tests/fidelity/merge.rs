//! Into directories that exist: they keep what they are, and get what they lack.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::{Duration, UNIX_EPOCH};

use fileops::{Names, OnConflict, Refusal, copy, copy_as};
use fileops_tests::rich::{ACCESS_ACL, shared_acl};
use fileops_tests::{Ignore, Rich, Tree, assert_same_tree, assert_same_tree_but, require_root, snapshot};

use crate::{failed, run, run_whole, whole};

#[test]
fn a_directory_that_exists_keeps_its_own_mode_owner_and_attributes_and_gets_what_it_lacks() {
    require_root!();
    let tree = Tree::new(
        "src/dir!700/ src/dir/new!600=new src/dir/deep!711/ src/dir/deep/new=deep src/dir/fresh!750/ src/dir/fresh/x=1
         dst/dir!755/ dst/dir/old!640=old dst/dir/deep!2775/ dst/dir/deep/old=older",
    );
    for (name, mark) in
        [("src/dir", "theirs"), ("src/dir/deep", "theirs"), ("dst/dir", "ours"), ("dst/dir/deep", "ours")]
    {
        xattr::set(tree.path(name), format!("user.{mark}"), b"x").expect("an attribute");
    }
    chown(tree.path("dst/dir"), Some(1234), Some(4321)).expect("an owner");
    xattr::set(tree.path("dst/dir/deep"), ACCESS_ACL, &shared_acl()).expect("a list");
    let before = snapshot(tree.path("dst"));
    let report = whole(copy([tree.path("src/dir")], tree.path("dst")));
    // The directories that were there are no work that was done.
    assert_eq!((report.files, report.directories), (3, 1));
    let after = snapshot(tree.path("dst"));
    for (name, old) in before {
        let mut new = after[&name].clone();
        if old.kind.is_dir() {
            // Something was made in it.
            new.mtime = old.mtime;
        }
        assert_eq!(old, new, "{}", name.escape_ascii());
    }
    for name in ["new", "deep/new", "fresh", "fresh/x"] {
        assert_same_tree(tree.path("src/dir").join(name), tree.path("dst/dir").join(name));
    }
    assert_eq!(after.len(), 9);
}

#[test]
fn a_merge_leaves_what_is_there_and_names_it() {
    let tree = Tree::new("src/a=new src/b=new src/dir/c=new src/dir/d=new dst/src/a=old dst/src/dir/c=old");
    let report = run(copy([tree.path("src")], tree.path("dst")));
    assert_eq!(failed(&report), [("a".to_owned(), libc::EEXIST), ("c".to_owned(), libc::EEXIST)]);
    assert!(report.failures.iter().all(|error| error.refusal() == Some(Refusal::Exists)));
    fs::remove_dir_all(tree.path("src")).expect("removed");
    tree.assert("dst/src/a=old dst/src/b=new dst/src/dir/c=old dst/src/dir/d=new");
}

#[test]
fn what_replaces_a_file_has_all_of_its_source_and_nothing_of_the_old_one() {
    require_root!();
    let tree = Tree::new("src/file!640=new dst/file!4777=old dst/second=>dst/file");
    xattr::set(tree.path("dst/file"), "user.old", b"x").expect("an attribute");
    xattr::set(tree.path("dst/file"), ACCESS_ACL, &shared_acl()).expect("a list");
    xattr::set(tree.path("src/file"), "user.new", b"x").expect("an attribute");
    chown(tree.path("src/file"), Some(1234), Some(4321)).expect("an owner");
    let modified = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let times = fs::FileTimes::new().set_modified(modified).set_accessed(modified);
    File::options().write(true).open(tree.path("src/file")).and_then(|file| file.set_times(times)).expect("times");
    let copy = copy([tree.path("src/file")], tree.path("dst")).on_conflict(OnConflict::Replace);
    run_whole(copy.undoable(fileops::Undoable::No));
    assert_same_tree(tree.path("src/file"), tree.path("dst/file"));
    // The other name of the old file has not changed.
    assert_eq!(fs::read(tree.path("dst/second")).expect("read"), b"old");
    assert_eq!(fs::metadata(tree.path("dst/second")).expect("known").nlink(), 1);
}

#[test]
fn a_rich_tree_is_the_same_when_its_directories_were_there_before() {
    require_root!();
    let tree = Tree::new("");
    let rich = Rich::make(tree.path("src"));
    let copied = tree.path("dst/src");
    for name in rich.entries().iter().filter(|name| rich.root().join(name).symlink_metadata().is_ok_and(|m| m.is_dir()))
    {
        fs::create_dir_all(copied.join(name)).expect("made");
    }
    let report = whole(copy([rich.root()], tree.path("dst")));
    assert_eq!(report.directories, 0);
    let (source, copied) = (snapshot(rich.root()), snapshot(&copied));
    assert!(source.keys().eq(copied.keys()));
    for (name, entry) in source.iter().filter(|(_, entry)| !entry.kind.is_dir()) {
        assert_eq!(*entry, copied[name], "{}", name.escape_ascii());
    }
}

#[test]
fn the_contents_of_a_directory_go_into_another_and_its_reading_shows_not() {
    require_root!();
    let tree = Tree::new("src/a=1 src/dir/b=2 dst!750/ dst/c=3");
    let long_ago = fs::FileTimes::new().set_accessed(UNIX_EPOCH + Duration::new(1_000_000_000, 5));
    for name in ["src", "src/a", "src/dir", "src/dir/b"] {
        File::open(tree.path(name)).and_then(|file| file.set_times(long_ago)).expect("times");
    }
    run_whole(copy([tree.path("src/.")], tree.path("dst")));
    for name in ["src", "src/a", "src/dir", "src/dir/b"] {
        let meta = fs::metadata(tree.path(name)).expect("known");
        assert_eq!((meta.atime(), meta.atime_nsec()), (1_000_000_000, 5), "{name}");
    }
    assert_eq!(fs::metadata(tree.path("dst")).expect("known").permissions().mode() & 0o7777, 0o750);
    tree.assert("src/a=1 src/dir/b=2 dst!750/ dst/c=3 dst/a=1 dst/dir/b=2");
}

#[test]
fn sources_of_one_name_never_replace_one_another() {
    let entries = "a/f=1 b/f=2 a/d/g=1 b/d/g=2 a/l->1 b/l->2 dst/f=old dst/d/";
    for rule in [OnConflict::Replace, OnConflict::Different] {
        let tree = Tree::new(entries);
        let sources = ["a/f", "b/f", "a/d", "b/d", "a/l", "b/l"].map(|name| tree.path(name));
        let report = run(copy(sources, tree.path("dst")).on_conflict(rule).jobs(1));
        assert_eq!(failed(&report), ["f", "g", "l"].map(|name| (name.to_owned(), libc::EEXIST)), "{report:#?}");
        assert!(report.failures.iter().all(|error| error.refusal() == Some(Refusal::Exists)));
        assert_eq!((report.files, report.symlinks), (2, 1));
        // Which of two is the first is the workers' affair.
        let copied = snapshot(tree.path("dst"));
        assert_eq!(copied.keys().map(Vec::as_slice).collect::<Vec<_>>(), [&b""[..], b"d", b"d/g", b"f", b"l"]);
        assert_ne!(fs::read(tree.path("dst/f")).expect("read"), b"old");
        // A second run may replace what the first one made.
        run_whole(copy([tree.path("a/f")], tree.path("dst")).on_conflict(OnConflict::Replace));
        assert_eq!(fs::read(tree.path("dst/f")).expect("read"), b"1");
    }
}

#[test]
fn an_exact_name_merges_with_a_directory_and_never_replaces_one() {
    let tree = Tree::new("src/a=1 dst/b=2 file=x");
    run_whole(copy_as(tree.path("src"), tree.path("dst")));
    for rule in [OnConflict::Fail, OnConflict::Replace] {
        let report = run(copy_as(tree.path("file"), tree.path("dst")).on_conflict(rule));
        assert_eq!(report.failures.len(), 1, "{report:#?}");
        let report = run(copy_as(tree.path("src"), tree.path("file")).on_conflict(rule));
        assert_eq!(report.failures.len(), 1, "{report:#?}");
    }
    tree.assert("src/a=1 dst/a=1 dst/b=2 file=x");
}

#[test]
fn portable_names_are_made_where_they_are_asked_for_on_any_file_system() {
    let tree = Tree::new(r"src/a:b=1 src/plain=2 src/dir\s./c?=3 dst/");
    let report = run(copy([tree.path("src")], tree.path("dst")).names(Names::Portable));
    assert!(report.is_complete(), "{report:#?}");
    fs::remove_dir_all(tree.path("src")).expect("removed");
    tree.assert("dst/src/a_b=1 dst/src/plain=2 dst/src/dir/c_=3");
    let again = Tree::new("src/x=1 dst/src/");
    run_whole(copy([again.path("src")], again.path("dst")).names(Names::Portable));
    assert_same_tree_but(again.path("src"), again.path("dst/src"), &Ignore { root: true, ..Default::default() });
}
