//! What was changed since an operation stays, and the undo says so; what was not changed is undone all the same.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use fileops::{OnConflict, PastState, Refusal};
use fileops_tests::tree::assert_tree;
use fileops_tests::{Mount, Tree, alone, require_root, snapshot};

use crate::{assert_same, copied, finish, kept_in, redone, replaced, undo, undone};

/// Everything that can be done to a file: a name for it, and how.
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 8] = [
    ("other contents", |path| fs::write(path, "theirs").expect("written")),
    ("contents of the same length", |path| fs::write(path, "HELLO").expect("written")),
    ("contents and the old time", |path| {
        let time = fs::metadata(path).and_then(|meta| meta.modified()).expect("known");
        fs::write(path, "HELLO").expect("written");
        fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("set");
    }),
    ("a mode", |path| fs::set_permissions(path, Permissions::from_mode(0o601)).expect("set")),
    ("an attribute", |path| xattr::set(path, "user.theirs", b"x").expect("set")),
    ("a second name", |path| fs::hard_link(path, path.with_extension("second")).expect("linked")),
    ("another file", |path| {
        fs::write(path.with_extension("new"), "hello").expect("written");
        fs::rename(path.with_extension("new"), path).expect("renamed");
    }),
    ("a link", |path| {
        fs::remove_file(path).expect("removed");
        symlink("nowhere", path).expect("made");
    }),
];

/// Only what was changed stays; gives the failed path.
#[track_caller]
fn is_refused(id: &str, path: &Path, what: &str) {
    let report = undo(id);
    let failed: Vec<_> = report.failures.iter().map(|error| (error.path.as_path(), error.refusal())).collect();
    assert_eq!(failed, [(path, Some(Refusal::ChangedSince))], "{what}: {report:?}");
}

#[test]
fn a_new_file_that_was_changed_at_once_stays() {
    alone!();
    for (what, change) in CHANGES {
        let tree = Tree::new("from/one=hello from/two=hello into/");
        let report = finish(fileops::copy([tree.path("from/one"), tree.path("from/two")], tree.path("into")).start());
        let one = tree.path("into/one");
        change(&one);
        let after = snapshot(&one);
        is_refused(&report.id.expect("done"), &one, what);
        assert_same(&one, &after, what);
        assert!(!tree.path("into/two").exists(), "{what}: the other one is undone");
    }
}

#[test]
fn a_new_file_that_replaced_another_and_was_changed_at_once_stays() {
    alone!();
    for (what, change) in CHANGES {
        let tree = Tree::new("from/one=hello from/two=hello into/from/one=old1 into/from/two=old2");
        let id = replaced(tree.path("from"), tree.path("into"));
        let one = tree.path("into/from/one");
        change(&one);
        let after = snapshot(&one);
        is_refused(&id, &one, what);
        assert_same(&one, &after, what);
        assert_eq!(fs::read_to_string(tree.path("into/from/two")).expect("read"), "old2", "{what}");
    }
}

#[test]
fn a_new_tree_in_which_something_was_changed_at_once_stays_whole() {
    alone!();
    let more: [Change; 6] = [
        ("a file that was added", |path| fs::write(path.with_file_name("more"), "theirs").expect("written")),
        ("a file that was removed", |path| fs::remove_file(path).expect("removed")),
        ("a file that was renamed", |path| fs::rename(path, path.with_extension("else")).expect("renamed")),
        ("a file that was moved up", |path| {
            fs::rename(path, path.parent().and_then(Path::parent).expect("above").join("file")).expect("renamed");
        }),
        ("a directory that was added", |path| fs::create_dir(path.with_file_name("more")).expect("made")),
        ("a directory whose mode was changed", |path| {
            let dir = path.parent().expect("above");
            fs::set_permissions(dir, Permissions::from_mode(0o711)).expect("set");
        }),
    ];
    for (what, change) in CHANGES.into_iter().chain(more) {
        let tree = Tree::new("from/a/b/file=hello from/a/c/other=x from/d=x");
        let id = copied(tree.path("from"), tree.path("new"));
        let file = tree.path("new/a/b/file");
        change(&file);
        let after = snapshot(tree.path("new"));
        let report = undo(&id);
        assert!(!report.failures.is_empty(), "{what}: {report:?}");
        assert!(
            report.failures.iter().all(|error| error.refusal() == Some(Refusal::ChangedSince)),
            "{what}: {report:?}"
        );
        assert!(report.failures.iter().all(|error| error.path.starts_with(tree.path("new"))), "{what}: {report:?}");
        assert_same(&tree.path("new"), &after, what);
    }
}

#[test]
fn a_new_tree_whose_top_was_changed_stays() {
    alone!();
    let changes: [Change; 5] = [
        ("a mode", |top| fs::set_permissions(top, Permissions::from_mode(0o711)).expect("set")),
        ("an attribute", |top| xattr::set(top, "user.theirs", b"x").expect("set")),
        ("an entry", |top| fs::write(top.join("more"), "theirs").expect("written")),
        ("an entry and the old time", |top| {
            let time = fs::metadata(top).and_then(|meta| meta.modified()).expect("known");
            fs::write(top.join("more"), "theirs").expect("written");
            fs::File::open(top).and_then(|top| top.set_modified(time)).expect("set");
        }),
        ("another directory", |top| {
            fs::rename(top, top.with_extension("away")).expect("renamed");
            fs::create_dir(top).expect("made");
        }),
    ];
    for (what, change) in changes {
        let tree = Tree::new("from/file=hello");
        let id = copied(tree.path("from"), tree.path("new"));
        change(&tree.path("new"));
        let after = snapshot(tree.root());
        let report = undo(&id);
        assert!(!report.failures.is_empty(), "{what}: {report:?}");
        assert_same(tree.root(), &after, what);
    }
}

#[test]
fn an_old_file_that_is_not_kept_any_more_is_named_and_the_new_one_stays() {
    alone!();
    let tree = Tree::new("from/one=new from/two=new into/from/one=old1 into/from/two=old2");
    let id = replaced(tree.path("from"), tree.path("into"));
    let areas = [crate::state("kept"), Path::new("/").to_owned(), std::env::temp_dir()];
    let kept = areas.iter().flat_map(|dir| {
        let here = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("read").path());
        here.chain(kept_in(dir)).filter(|path| path.is_file()).collect::<Vec<_>>()
    });
    let one = kept.filter(|path| fs::read(path).is_ok_and(|text| text == b"old1"));
    one.for_each(|path| fs::remove_file(path).expect("removed"));
    let report = undo(&id);
    assert_eq!(report.failures.iter().map(|error| error.refusal()).collect::<Vec<_>>(), [Some(Refusal::NotKept)]);
    tree.assert("from/one=new from/two=new into/from/one=new into/from/two=old2");
}

#[test]
fn a_second_undo_goes_on_once_what_is_in_its_way_is_gone() {
    alone!();
    let tree =
        Tree::new("from/one=new from/two=new from/tree/file=x into/from/one=old1 into/from/two=old2 into/from/keep=x");
    let before = snapshot(tree.root());
    let id = replaced(tree.path("from"), tree.path("into"));
    let (one, added) = (tree.path("into/from/one"), tree.path("into/from/tree/added"));
    fs::write(&one, "theirs").expect("written");
    fs::write(&added, "theirs").expect("written");
    let report = undo(&id);
    assert_eq!(report.failures.len(), 2, "{report:?}");
    assert_eq!(fileops::history().expect("read")[0].state, PastState::PartlyUndone);
    fs::remove_file(&one).expect("removed");
    // The other one is still as it was changed.
    let report = undo(&id);
    assert!(!report.failures.is_empty(), "{report:?}");
    assert!(report.failures.iter().all(|error| error.path.starts_with(tree.path("into/from/tree"))), "{report:?}");
    assert_eq!(fs::read_to_string(&one).expect("read"), "old1");
    fs::remove_dir_all(tree.path("into/from/tree")).expect("removed");
    let report = undo(&id);
    assert!(report.is_complete(), "{report:?}");
    let ignore = fileops_tests::Ignore { dir_mtime: true, ..Default::default() };
    let found = fileops_tests::differences(&before, &snapshot(tree.root()), &ignore);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(fileops::history().expect("read")[0].state, PastState::Undone);
    // And once more there is nothing to do.
    undone(&id);
}

#[test]
fn what_was_skipped_or_failed_is_no_part_of_an_undo() {
    alone!();
    for rule in [OnConflict::Fail, OnConflict::Skip, OnConflict::Rename] {
        let tree = Tree::new("from/one=new from/two=new into/one=old1");
        let sources = [tree.path("from/one"), tree.path("from/two")];
        let report = finish(fileops::copy(sources, tree.path("into")).on_conflict(rule).start());
        undone(&report.id.expect("done"));
        tree.assert("from/one=new from/two=new into/one=old1");
    }
    let tree = Tree::new("from/one=new into/one=old1");
    let report =
        finish(fileops::copy([tree.path("from/one")], tree.path("into")).on_conflict(OnConflict::Skip).start());
    assert_eq!(report.id, None);
}

#[test]
fn a_file_that_had_a_name_of_ours_while_it_was_written_is_undone() {
    alone!();
    let tree = Tree::new("into/");
    let large = tree.path("large");
    fs::File::create(&large).and_then(|file| file.set_len((64 << 20) + 1)).expect("made");
    let report = finish(fileops::copy([&large], tree.path("into")).start());
    undone(&report.id.expect("something to undo"));
    assert!(!tree.path("into/large").exists());
}

#[test]
fn what_a_redo_replaced_is_kept_however_little_room_is_left() {
    require_root!();
    alone!();
    let mount = Mount::tmpfs("size=10m").expect("mounted");
    let (new, file) = (mount.path().join("new"), mount.path().join("into/new"));
    fs::create_dir(mount.path().join("into")).expect("made");
    fs::write(&file, vec![1; 3 << 20]).expect("written");
    fs::write(&new, vec![2; 2 << 20]).expect("written");
    // The areas are looked at after every sixteenth operation.
    let tree = Tree::new("");
    for number in 0..14 {
        let made = finish(fileops::create_file(tree.path(number.to_string())).start());
        assert!(made.is_complete(), "{made:?}");
    }
    let id = replaced(&new, mount.path().join("into"));
    undone(&id);
    let redone = redone(&id);
    assert_eq!(fs::metadata(&file).expect("there").len(), 2 << 20);
    undone(&redone);
    assert_eq!(fs::metadata(&file).expect("there").len(), 3 << 20);
}

/// What an operation that was no copy is called.
#[track_caller]
fn done(operation: fileops::Operation) -> String {
    let report = finish(operation);
    assert!(report.is_complete(), "{report:?}");
    report.id.expect("something to undo")
}

#[test]
fn many_operations_on_one_file_are_undone_and_redone_one_after_the_other() {
    alone!();
    let tree = Tree::new("one/file=1 two/file=22 three/file=333 into/");
    let before = snapshot(tree.root());
    let mut ids: Vec<_> =
        ["one", "two", "three"].map(|dir| replaced(tree.path(dir).join("file"), tree.path("into"))).into();
    ids.push(done(fileops::rename(tree.path("into/file"), "other").start()));
    let after = snapshot(tree.root());
    for _ in 0..2 {
        ids.iter().rev().for_each(|id| undone(id));
        assert_same(tree.root(), &before, "undone");
        ids = ids.iter().map(|id| redone(id)).collect();
        assert_same(tree.root(), &after, "redone");
    }
}

#[test]
fn a_tree_that_was_moved_away_and_back_is_undone_if_nothing_was_done_in_it() {
    alone!();
    for is_changed in [false, true] {
        let tree = Tree::new("from/sub/file=x into/");
        let copy = copied(tree.path("from"), tree.path("into/it"));
        let file = tree.path("into/it/sub/file");
        if is_changed {
            fs::set_permissions(&file, Permissions::from_mode(0o601)).expect("set");
        }
        let rename = done(fileops::rename(tree.path("into/it"), "other").start());
        undone(&rename);
        match is_changed {
            false => undone(&copy),
            true => is_refused(&copy, &file, "a mode"),
        }
        assert_eq!(file.exists(), is_changed);
    }
}

#[test]
fn what_was_changed_before_it_was_replaced_stays_when_it_is_back() {
    alone!();
    let tree = Tree::new("one/file=1 two/file=22 into/");
    let first = replaced(tree.path("one/file"), tree.path("into"));
    let file = tree.path("into/file");
    fs::set_permissions(&file, Permissions::from_mode(0o601)).expect("set");
    undone(&replaced(tree.path("two/file"), tree.path("into")));
    is_refused(&first, &file, "a mode");
    assert_eq!(fs::read_to_string(&file).expect("read"), "1");
}

#[test]
fn what_was_changed_in_a_new_tree_before_it_was_trashed_stays_when_it_is_back() {
    alone!();
    let tree = Tree::new("from/file=1 into/");
    let copy = copied(tree.path("from"), tree.path("into/it"));
    let file = tree.path("into/it/file");
    fs::write(&file, "mine").expect("written");
    undone(&done(fileops::rename(&file, "other").start()));
    is_refused(&copy, &file, "contents");
    assert_eq!(fs::read_to_string(&file).expect("read"), "mine");
}

#[test]
fn nothing_is_undone_through_a_link_that_took_the_place_of_a_directory() {
    alone!();
    // The same names and contents elsewhere.
    let tree =
        Tree::new("from/one=hello from/two=hello into/from/two=old outside/from/one=hello outside/from/two=hello");
    let id = replaced(tree.path("from"), tree.path("into"));
    for (place, to) in [("into", "outside"), ("into/from", "../outside/from")] {
        let away = tree.path("away");
        fs::rename(tree.path(place), &away).expect("renamed");
        symlink(to, tree.path(place)).expect("made");
        let report = undo(&id);
        assert_eq!(report.failures.len(), 2, "{report:?}");
        assert_tree(&tree.path("outside"), "from/one=hello from/two=hello");
        fs::remove_file(tree.path(place)).expect("removed");
        fs::rename(&away, tree.path(place)).expect("renamed");
    }
    undone(&id);
    tree.assert("from/one=hello from/two=hello into/from/two=old outside/from/one=hello outside/from/two=hello");
}
