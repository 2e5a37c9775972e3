//! What no trash can take, and what has the name of something that is taken out of the trash, is asked about.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fileops::{
    OnConflict, OnError, OnNoTrash, Question, QuestionKind, Refusal, Resolution, Restore, Scope, Trashed, Unfit,
};
use fileops_tests::tree::{assert_tree, make};
use fileops_tests::{Mount, Tree, require_root, snapshot};

use crate::{about, alone, answer, asked, end, failed, names, skipped};

/// A mount on which no trash can be: something else is in its place.
fn without_trash(outside: &Tree) -> Mount {
    let mount = Mount::tmpfs("size=4m").expect("mounted");
    let user = rustix::process::geteuid().as_raw();
    symlink(outside.root(), mount.path().join(format!(".Trash-{user}"))).expect("made");
    mount
}

fn put(path: &Path) {
    let report = fileops::block_on(async { fileops::trash([path]).await });
    report.into_result().unwrap_or_else(|error| panic!("{error}: {:?}", error.report));
}

fn originals(tree: &Tree, names: &[&str]) -> Vec<Trashed> {
    names.iter().map(|name| Trashed::Original(tree.path(name))).collect()
}

/// So many names are in the trash, and something else has each of them since.
fn taken(tree: &Tree, names: &[&str]) -> Restore {
    for name in names {
        fs::write(tree.path(name), format!("old {name}")).expect("made");
        put(&tree.path(name));
        fs::write(tree.path(name), format!("new {name}")).expect("made");
    }
    fileops::restore(originals(tree, names)).on_conflict(OnConflict::Ask)
}

fn undone(id: Option<String>) {
    let id = id.expect("there is something to undo");
    let report = fileops::block_on(async { fileops::undo(id).await });
    report.into_result().unwrap_or_else(|error| panic!("{error}: {:?}", error.report));
}

fn set_age(path: PathBuf, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("set");
}

#[test]
fn what_no_trash_can_take_is_asked_about_and_all_else_is_in_the_trash_by_then() {
    require_root!();
    alone!();
    let (tree, outside) = (Tree::new("a=x b/c=y"), Tree::new("files/ info/"));
    let mount = without_trash(&outside);
    make(mount.path(), "skip=1 delete/deep/file=2 delete/link->file retry=3 keep=4");
    let path = |name| mount.path().join(name);
    let sources = [path("skip"), tree.path("a"), path("delete"), path("retry"), tree.path("b")];
    let trash = fileops::trash(sources).on_no_trash(OnNoTrash::Ask).start();
    let questions = asked(&trash, 3);
    tree.assert("");
    assert!(questions.iter().all(|open| open.question.kind() == QuestionKind::NoTrash), "{questions:?}");
    let Question::NoTrash(error) = &about(&questions, "skip").question else { panic!("{questions:?}") };
    assert_eq!(error.refusal(), Some(Refusal::NoTrash));
    for (unfit, scope) in [(Resolution::Replace, Scope::This), (Resolution::Anyway, Scope::All)] {
        assert_eq!(trash.answer(about(&questions, "skip").id, unfit, scope), Err(Unfit::NoAnswer));
    }
    answer(&trash, &questions, "skip", Resolution::Skip);
    answer(&trash, &questions, "delete", Resolution::Delete);
    // What is to be deleted is known as that by now. Then somebody makes a trash possible.
    asked(&trash, 1);
    let user = rustix::process::geteuid().as_raw();
    fs::remove_file(mount.path().join(format!(".Trash-{user}"))).expect("removed");
    answer(&trash, &questions, "retry", Resolution::Retry);
    let report = end(trash);
    assert_eq!(failed(&report), ["skip"], "{report:?}");
    assert_eq!(names(report.moved.iter().map(|moved| &moved.path)), ["a", "b", "retry"]);
    outside.assert("files/ info/");
    assert_eq!(fs::read_to_string(path("skip")).expect("it stays"), "1");
    assert!(!path("delete").exists() && !path("retry").exists() && path("keep").exists());
    undone(report.id);
    tree.assert("a=x b/c=y");
    assert_eq!(fs::read_to_string(path("retry")).expect("it is back"), "3");
    assert!(!path("delete").exists(), "for good");
}

#[test]
fn nothing_is_deleted_instead_where_nobody_says_so() {
    require_root!();
    alone!();
    let outside = Tree::new("");
    let mount = without_trash(&outside);
    make(mount.path(), "a=1 b/c=2");
    let before = snapshot(mount.path());
    let sources = || [mount.path().join("a"), mount.path().join("b")];
    for rule in [OnNoTrash::Fail, OnNoTrash::Ask] {
        // Nobody can answer.
        let report = fileops::block_on(async { fileops::trash(sources()).on_no_trash(rule).await });
        assert_eq!(failed(&report), ["a", "b"], "{rule:?}");
        assert!(report.failures.iter().all(|error| error.refusal() == Some(Refusal::NoTrash)), "{report:?}");
        assert_eq!(snapshot(mount.path()), before);
    }
    let trash = fileops::trash(sources()).on_no_trash(OnNoTrash::Ask).start();
    let questions = asked(&trash, 2);
    trash.cancel();
    assert_eq!(failed(&end(trash)), ["a", "b"], "{questions:?}");
    assert_eq!(snapshot(mount.path()), before);
}

#[test]
fn what_no_trash_can_take_is_deleted_by_rule_and_by_one_answer_for_all() {
    require_root!();
    alone!();
    let outside = Tree::new("");
    let mount = without_trash(&outside);
    make(mount.path(), "a=1 b/c=2 c=3 d/e=4");
    let path = |name| mount.path().join(name);
    let report = fileops::trash([path("a"), path("b")]).on_no_trash(OnNoTrash::Delete).start().wait();
    assert!(report.is_complete() && report.moved.is_empty(), "{report:?}");
    let trash = fileops::trash([path("c"), path("d")]).on_no_trash(OnNoTrash::Ask).start();
    let questions = asked(&trash, 2);
    trash.answer(questions[0].id, Resolution::Delete, Scope::Kind).expect("it fits");
    assert!(end(trash).is_complete());
    assert_eq!(fs::read_dir(mount.path()).expect("read").count(), 1);
}

#[test]
fn what_has_the_name_of_an_item_is_asked_about_and_all_else_is_back_by_then() {
    alone!();
    let tree = Tree::new("free=x");
    put(&tree.path("free"));
    let all = ["skip", "replace", "both", "named", "newer", "older", "different", "same"];
    drop(taken(&tree, &all));
    fs::write(tree.path("same"), "old same").expect("made");
    let age = |name: &str, seconds| set_age(tree.path(name), seconds);
    // What is in the trash is younger than this, and older than that.
    age("newer", 3600);
    age("older", 0);
    let items = originals(&tree, &[&["free"], &all[..]].concat());
    let restore = fileops::restore(items).on_conflict(OnConflict::Ask).start();
    let questions = asked(&restore, 8);
    assert_eq!(fs::read_to_string(tree.path("free")).expect("it is back"), "x");
    let open = |name: &str| {
        let is_it = |open: &&fileops::Open| matches!(&open.question, Question::Conflict(conflict) if conflict.target.path == tree.path(name));
        questions.iter().find(is_it).unwrap_or_else(|| panic!("no {name}: {questions:?}"))
    };
    let Question::Conflict(conflict) = &open("same").question else { panic!("a conflict") };
    assert_eq!((conflict.source.size, conflict.target.size), (8, 8));
    assert!(conflict.compare().wait().expect("compared"));
    let Question::Conflict(conflict) = &open("different").question else { panic!("a conflict") };
    assert!(!conflict.compare().wait().expect("compared"));
    assert_eq!(restore.answer(open("skip").id, Resolution::Merge, Scope::This), Err(Unfit::NoAnswer));
    let answers = [
        ("skip", Resolution::Skip),
        ("replace", Resolution::Replace),
        ("both", Resolution::KeepBoth),
        ("named", Resolution::Rename("given".into())),
        ("newer", Resolution::Newer),
        ("older", Resolution::Newer),
        ("different", Resolution::Different),
        ("same", Resolution::Different),
    ];
    let mut before = snapshot(tree.root());
    for (name, resolution) in answers {
        restore.answer(open(name).id, resolution, Scope::This).unwrap_or_else(|unfit| panic!("{name}: {unfit}"));
    }
    let report = end(restore);
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(names(report.skipped.iter().map(|skipped| &skipped.target)), ["older", "same", "skip"]);
    tree.assert(
        "free=x skip=new\\sskip replace=old\\sreplace both=new\\sboth both\\s(2)=old\\sboth named=new\\snamed \
         given=old\\snamed newer=old\\snewer older=new\\solder different=old\\sdifferent same=old\\ssame",
    );
    // What was replaced is kept.
    undone(report.id);
    let mut now = snapshot(tree.root());
    now.remove(&b"free"[..]);
    before.remove(&b"free"[..]);
    let ignore = fileops_tests::Ignore { dir_mtime: true, ..Default::default() };
    let found = fileops_tests::differences(&before, &now, &ignore);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn an_answer_replaces_only_what_was_seen_when_it_was_asked() {
    alone!();
    let tree = Tree::new("");
    let restore = taken(&tree, &["a"]).start();
    let questions = asked(&restore, 1);
    fs::write(tree.path("a"), "somebody's work").expect("made");
    restore.answer(questions[0].id, Resolution::Replace, Scope::This).expect("it fits");
    let again = asked(&restore, 1);
    assert_ne!(again[0].id, questions[0].id);
    tree.assert("a=somebody's\\swork");
    restore.answer(again[0].id, Resolution::Skip, Scope::This).expect("it fits");
    assert_eq!(skipped(&end(restore)), ["a.trashinfo"]);
    tree.assert("a=somebody's\\swork");
}

#[test]
fn a_directory_is_never_merged_with_or_replaced_by_an_item() {
    alone!();
    for there in ["a/mine=new", "a=new"] {
        let tree = Tree::new("a/file=old");
        put(&tree.path("a"));
        make(tree.root(), there);
        for rule in [OnConflict::Replace, OnConflict::Newer, OnConflict::Different] {
            let restore = fileops::restore(originals(&tree, &["a"])).on_conflict(rule);
            assert_eq!(fileops::block_on(async { restore.await }).failures.len(), 1, "{rule:?}");
            tree.assert(there);
        }
        let restore = fileops::restore(originals(&tree, &["a"])).on_conflict(OnConflict::Ask).start();
        let questions = asked(&restore, 1);
        for resolution in [Resolution::Merge, Resolution::Replace, Resolution::Newer, Resolution::Different] {
            assert_eq!(restore.answer(questions[0].id, resolution, Scope::This), Err(Unfit::NoAnswer));
        }
        restore.answer(questions[0].id, Resolution::KeepBoth, Scope::All).expect("it fits");
        assert!(end(restore).is_complete());
        tree.assert(&format!("{there} a\\s(2)/file=old"));
    }
}

#[test]
fn of_two_items_of_one_name_none_replaces_the_other() {
    alone!();
    let tree = Tree::new("");
    for contents in ["first", "second"] {
        fs::write(tree.path("a"), contents).expect("made");
        put(&tree.path("a"));
    }
    let restore = fileops::restore(originals(&tree, &["a", "a"])).on_conflict(OnConflict::Replace);
    let report = fileops::block_on(async { restore.await });
    assert_eq!((report.entries, report.failures.len()), (1, 1), "{report:?}");
    tree.assert("a=second");
}

#[test]
fn an_item_that_fails_is_asked_about_and_comes_back_when_it_is_tried_again() {
    alone!();
    let tree = Tree::new("dir/a=x b=y");
    put(&tree.path("dir/a"));
    put(&tree.path("b"));
    // Something is in the way that leads there.
    fs::remove_dir(tree.path("dir")).expect("removed");
    make(tree.root(), "dir=mine");
    let restore = fileops::restore(originals(&tree, &["dir/a", "b"])).on_error(OnError::Ask).start();
    let questions = asked(&restore, 1);
    tree.assert("dir=mine b=y");
    fs::remove_file(tree.path("dir")).expect("removed");
    restore.answer(questions[0].id, Resolution::Retry, Scope::This).expect("it fits");
    assert!(end(restore).is_complete());
    assert_tree(tree.root(), "dir/a=x b=y");
}
