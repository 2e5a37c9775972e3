//! What was changed since an operation, and what has the name of something that comes back, is asked about when the operation
//! is undone; everything else is undone by then.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fileops::{
    OnChanged, OnConflict, OnError, Operation, PastState, Question, QuestionKind, Refusal, Report, Resolution, Scope,
    Unfit,
};
use fileops_tests::tree::make;
use fileops_tests::{Ignore, Tree, differences, snapshot};

use crate::{about, alone, answer, asked, end, failed, skipped};

fn complete(operation: Operation) -> String {
    let report = end(operation);
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    report.id.expect("something to undo")
}

/// Undoes with questions about everything.
fn undo(id: &str) -> Operation {
    fileops::undo(id).on_changed(OnChanged::Ask).on_conflict(OnConflict::Ask).start()
}

fn redo(id: &str) -> Report {
    end(fileops::redo(id).start())
}

fn replaced(tree: &Tree) -> String {
    complete(fileops::copy([tree.path("from")], tree.path("into")).on_conflict(OnConflict::Replace).start())
}

#[track_caller]
fn is_as(tree: &Tree, before: &fileops_tests::snapshot::Snapshot) {
    let found = differences(before, &snapshot(tree.root()), &Ignore { dir_mtime: true, ..Default::default() });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_was_changed_is_asked_about_and_all_else_is_undone_by_then() {
    alone!();
    let tree = Tree::new(
        "from/new=1 from/old=2 from/tree/a=3 from/skip=4 from/plain=5 into/from/old=before into/from/plain=was",
    );
    let before = snapshot(tree.root());
    let id = replaced(&tree);
    for name in ["new", "old", "tree/a", "skip"] {
        fs::write(tree.path("into/from").join(name), format!("my {name}")).expect("written");
    }
    let changed = snapshot(tree.root());
    let operation = undo(&id);
    let questions = asked(&operation, 4);
    assert_eq!(fs::read_to_string(tree.path("into/from/plain")).expect("read"), "was");
    assert!(questions.iter().all(|open| open.question.kind() == QuestionKind::Changed), "{questions:?}");
    let paths: BTreeSet<&Path> = questions.iter().map(|open| open.question.path()).collect();
    assert!(paths.contains(tree.path("into/from/old").as_path()), "{paths:?}");
    assert_eq!(operation.answer(questions[0].id, Resolution::Replace, Scope::This), Err(Unfit::NoAnswer));
    for open in &questions {
        let is_skip = open.question.path().ends_with("skip");
        let resolution = if is_skip { Resolution::Skip } else { Resolution::Anyway };
        operation.answer(open.id, resolution, Scope::This).expect("it fits");
    }
    let report = end(operation);
    assert_eq!(failed(&report), ["skip"], "{report:?}");
    assert_eq!(report.failures[0].refusal(), Some(Refusal::ChangedSince));
    let from = "from/new=1 from/old=2 from/tree/a=3 from/skip=4 from/plain=5";
    tree.assert(&format!("{from} into/from/old=before into/from/plain=was into/from/skip=my\\sskip"));
    assert_eq!(fileops::history().expect("read")[0].state, PastState::PartlyUndone);
    // What was changed is kept, and comes back.
    let again = redo(&id);
    assert!(again.is_complete(), "{again:?}");
    is_as(&tree, &changed);
    let last = fileops::undo(again.id.expect("something to undo")).on_changed(OnChanged::Anyway).start();
    assert!(end(last).is_complete());
    is_as(&tree, &before);
}

#[test]
fn what_is_undone_by_rule_is_kept_whatever_it_became() {
    alone!();
    let tree = Tree::new("from/file=1 from/tree/a=2 from/other=3 into/from/other=before");
    let id = replaced(&tree);
    fs::remove_file(tree.path("into/from/file")).expect("removed");
    make(tree.root(), "into/from/file/mine=work into/from/tree/more=work");
    fs::remove_file(tree.path("into/from/other")).expect("removed");
    make(tree.root(), "into/from/other->mine");
    let changed = snapshot(tree.root());
    let report = end(fileops::undo(&id).on_changed(OnChanged::Anyway).start());
    assert!(report.is_complete(), "{report:?}");
    tree.assert("from/file=1 from/tree/a=2 from/other=3 into/from/other=before");
    assert!(redo(&id).is_complete());
    is_as(&tree, &changed);
}

#[test]
fn a_moved_file_that_was_written_anew_goes_home_when_somebody_says_so() {
    alone!();
    let tree = Tree::new("a=x b=y into/");
    let id = complete(fileops::move_to([tree.path("a"), tree.path("b")], tree.path("into")).start());
    // As editors do.
    fs::write(tree.path("into/new"), "edited").expect("written");
    fs::rename(tree.path("into/new"), tree.path("into/a")).expect("renamed");
    let report = end(fileops::undo(&id).start());
    assert_eq!(report.failures[0].refusal(), Some(Refusal::ChangedSince));
    tree.assert("into/a=edited b=y");
    let operation = undo(&id);
    let questions = asked(&operation, 1);
    answer(&operation, &questions, "a", Resolution::Anyway);
    assert!(end(operation).is_complete());
    tree.assert("a=edited b=y into/");
}

#[test]
fn a_name_that_is_taken_where_something_comes_back_is_a_conflict() {
    alone!();
    let all = ["skip", "replace", "both", "named", "same"];
    let tree = Tree::new("into/");
    for name in all {
        fs::write(tree.path(name), format!("moved {name}")).expect("made");
    }
    let id = complete(fileops::move_to(all.map(|name| tree.path(name)), tree.path("into")).start());
    for name in all {
        fs::write(tree.path(name), format!("taken {name}")).expect("made");
    }
    fs::write(tree.path("same"), "moved same").expect("made");
    let taken = snapshot(tree.root());
    let report = end(fileops::undo(&id).start());
    assert_eq!(failed(&report), ["both", "named", "replace", "same", "skip"]);
    assert!(report.failures.iter().all(|error| error.refusal() == Some(Refusal::Exists)), "{report:?}");
    is_as(&tree, &taken);
    let operation = undo(&id);
    let questions = asked(&operation, 5);
    let Question::Conflict(conflict) = &about(&questions, "same").question else { panic!("{questions:?}") };
    assert_eq!(conflict.target.path, tree.path("same"));
    assert!(conflict.compare().wait().expect("compared"));
    assert!(!matches!(&about(&questions, "both").question,
        Question::Conflict(conflict) if conflict.compare().wait().expect("compared")));
    answer(&operation, &questions, "skip", Resolution::Skip);
    answer(&operation, &questions, "replace", Resolution::Replace);
    answer(&operation, &questions, "both", Resolution::KeepBoth);
    answer(&operation, &questions, "named", Resolution::Rename("given".into()));
    answer(&operation, &questions, "same", Resolution::Different);
    let report = end(operation);
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(skipped(&report), ["same", "skip"]);
    tree.assert(
        "into/skip=moved\\sskip into/same=moved\\ssame skip=taken\\sskip same=moved\\ssame replace=moved\\sreplace \
         both=taken\\sboth both\\s(2)=moved\\sboth named=taken\\snamed given=moved\\snamed",
    );
    assert!(redo(&id).is_complete());
    is_as(&tree, &taken);
}

#[test]
fn what_was_taken_away_comes_back_beside_or_in_the_place_of_what_has_its_name() {
    alone!();
    for (resolution, expected) in [
        (Resolution::Replace, "to/from=old"),
        (Resolution::KeepBoth, "to/from=mine to/from\\s(2)=old"),
        (Resolution::Rename("given".into()), "to/from=mine to/given=old"),
        (Resolution::Skip, "to/from=mine"),
    ] {
        let tree = Tree::new("from=new to/from=old");
        // The old file goes to the kept area, and the source to its name; then that is moved away, and somebody takes the name.
        let id =
            complete(fileops::move_to([tree.path("from")], tree.path("to")).on_conflict(OnConflict::Replace).start());
        tree.assert("to/from=new");
        fs::rename(tree.path("to/from"), tree.path("moved")).expect("renamed");
        make(tree.root(), "to/from=mine");
        let taken = snapshot(tree.root());
        let operation = undo(&id);
        // What is there is not what was moved: it stays, and the old file is to come back beside it.
        let questions = asked(&operation, 1);
        assert_eq!(questions[0].question.kind(), QuestionKind::Changed);
        operation.answer(questions[0].id, Resolution::Skip, Scope::This).expect("it fits");
        let questions = asked(&operation, 1);
        assert_eq!(questions[0].question.kind(), QuestionKind::Replace);
        operation.answer(questions[0].id, resolution.clone(), Scope::This).expect("it fits");
        let report = end(operation);
        assert_eq!(
            (failed(&report), report.skipped.len()),
            (vec!["from".to_owned()], usize::from(resolution == Resolution::Skip))
        );
        tree.assert(&format!("moved=new {expected}"));
        if resolution != Resolution::Skip {
            assert!(redo(&id).is_complete());
            is_as(&tree, &taken);
        }
    }
}

#[test]
fn steps_that_stand_on_a_waiting_one_wait_with_it_and_nothing_else_does() {
    alone!();
    let tree = Tree::new("a/file=x other=y");
    // One operation: a goes to b, what is in b goes to c.
    let single = fileops::rename(tree.path("a"), "b")
        .and(fileops::rename(tree.path("b/file"), "renamed"))
        .and(fileops::rename(tree.path("other"), "elsewhere"));
    let id = complete(single.start());
    tree.assert("b/renamed=x elsewhere=y");
    make(tree.root(), "b/file=taken");
    let operation = undo(&id);
    let questions = asked(&operation, 1);
    tree.assert("b/renamed=x b/file=taken other=y");
    answer(&operation, &questions, "renamed", Resolution::KeepBoth);
    assert!(end(operation).is_complete());
    tree.assert("a/file=taken a/file\\s(2)=x other=y");
}

#[test]
fn an_undo_that_is_cancelled_while_it_waits_names_what_was_not_answered_and_can_go_on() {
    alone!();
    let tree = Tree::new("from/a=1 from/b=2 into/from/");
    let before = snapshot(tree.root());
    let id = replaced(&tree);
    fs::write(tree.path("into/from/a"), "mine").expect("written");
    let operation = undo(&id);
    asked(&operation, 1);
    operation.cancel();
    let report = end(operation);
    assert_eq!((failed(&report), report.outcome), (vec!["a".to_owned()], fileops::Outcome::Cancelled));
    let operation = undo(&id);
    let questions = asked(&operation, 1);
    operation.answer(questions[0].id, Resolution::Anyway, Scope::All).expect("it fits");
    assert!(end(operation).is_complete());
    is_as(&tree, &before);
}

#[test]
fn a_step_that_fails_is_asked_about_and_tried_again() {
    alone!();
    let tree = Tree::new("a=x b=y into/");
    let before = snapshot(tree.root());
    let id = complete(fileops::move_to([tree.path("a"), tree.path("b")], tree.path("into")).start());
    fs::rename(tree.path("into/a"), tree.path("away")).expect("renamed");
    let operation = fileops::undo(&id).on_error(OnError::Ask).start();
    let questions = asked(&operation, 1);
    assert_eq!(fs::read_to_string(tree.path("b")).expect("it is back"), "y");
    fs::rename(tree.path("away"), tree.path("into/a")).expect("renamed");
    answer(&operation, &questions, "a", Resolution::Retry);
    assert!(end(operation).is_complete());
    is_as(&tree, &before);
}

#[test]
fn small_changes_that_fail_are_asked_about_and_those_that_need_them_wait() {
    alone!();
    let tree = Tree::new("dir=taken");
    let change = fileops::create_dir(tree.path("dir"))
        .and(fileops::create_file(tree.path("dir/file")))
        .and(fileops::create_file(tree.path("other")));
    let operation = change.on_error(OnError::Ask).start();
    let questions = asked(&operation, 1);
    tree.assert("dir=taken other=");
    fs::remove_file(tree.path("dir")).expect("removed");
    answer(&operation, &questions, "dir", Resolution::Retry);
    complete(operation);
    tree.assert("dir/file= other=");
}

#[test]
fn a_small_change_that_fails_stops_by_rule_what_comes_after_it() {
    alone!();
    let tree = Tree::new("a=x");
    let change = fileops::create_file(tree.path("a")).and(fileops::create_file(tree.path("b")));
    let report = end(change.on_error(OnError::Stop).start());
    assert_eq!((failed(&report), report.outcome), (vec!["a".to_owned()], fileops::Outcome::Stopped));
    tree.assert("a=x");
}
