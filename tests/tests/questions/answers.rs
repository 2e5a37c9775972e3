//! Each answer, each scope.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use fileops::{EntryKind, Merges, OnConflict, Operation, Question, QuestionKind, Resolution, Scope, Unfit, copy_as};
use fileops_tests::tree::{inode, make};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};

use crate::{about, answer, asked, end, failed, is_conflict, skipped, wait_until};

fn start(tree: &Tree) -> Operation {
    copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start()
}

fn set_age(path: impl AsRef<std::path::Path>, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(3600 * hours);
    File::options().append(true).open(path).and_then(|file| file.set_modified(time)).unwrap();
}

#[test]
fn a_conflict_tells_what_is_on_both_sides() {
    let tree = Tree::new("from/a=longer to/a=old from/l=x to/l->a");
    set_age(tree.path("to/a"), 2);
    let operation = start(&tree);
    let questions = asked(&operation, 2);
    let Question::Conflict(conflict) = &about(&questions, "a").question else { panic!("no conflict") };
    assert_eq!((&conflict.source.path, &conflict.target.path), (&tree.path("from/a"), &tree.path("to/a")));
    assert_eq!((conflict.source.size, conflict.target.size), (6, 3));
    let modified = fs::metadata(tree.path("to/a")).unwrap().modified().unwrap();
    assert_eq!(conflict.target.modified, modified);
    assert!(conflict.is_newer());
    let Question::Conflict(conflict) = &about(&questions, "l").question else { panic!("no conflict") };
    assert_eq!((conflict.source.kind, conflict.target.kind), (EntryKind::File, EntryKind::Symlink));
    operation.cancel();
    let _ = end(operation);
}

#[test]
fn newer_and_different_decide_when_they_are_answered() {
    let tree = Tree::new("from/a=new from/b=new from/c=same from/d=new to/a=old to/b=old to/c=same to/d=old");
    set_age(tree.path("to/a"), 2);
    set_age(tree.path("from/b"), 2);
    let operation = start(&tree);
    let questions = asked(&operation, 4);
    answer(&operation, &questions, "a", Resolution::Newer);
    answer(&operation, &questions, "b", Resolution::Newer);
    answer(&operation, &questions, "c", Resolution::Different);
    answer(&operation, &questions, "d", Resolution::Different);
    let report = end(operation);
    assert_eq!((skipped(&report), failed(&report).len()), (vec!["b".into(), "c".into()], 0));
    tree.assert("from/a=new from/b=new from/c=same from/d=new to/a=new to/b=old to/c=same to/d=new");
}

#[test]
fn a_name_that_is_taken_too_is_one_more_question() {
    let tree = Tree::new("from/a=new to/a=old to/b=b");
    let operation = start(&tree);
    let questions = asked(&operation, 1);
    answer(&operation, &questions, "a", Resolution::Rename("b".into()));
    let again = asked(&operation, 1);
    let Question::Conflict(conflict) = &again[0].question else { panic!("no conflict") };
    assert_eq!(conflict.target.path, tree.path("to/b"));
    answer(&operation, &again, "a", Resolution::Rename("c".into()));
    assert!(end(operation).is_complete());
    tree.assert("from/a=new to/a=old to/b=b to/c=new");
}

#[test]
fn an_answer_is_about_what_was_shown() {
    let tree = Tree::new("from/a=new to/a=old");
    let operation = start(&tree);
    let questions = asked(&operation, 1);
    fs::write(tree.path("to/a"), "somebody's").unwrap();
    answer(&operation, &questions, "a", Resolution::Replace);
    let again = asked(&operation, 1);
    assert_ne!(again[0].id, questions[0].id);
    tree.assert("from/a=new to/a=somebody's");
    answer(&operation, &again, "a", Resolution::Replace);
    assert!(end(operation).is_complete());
    tree.assert("from/a=new to/a=new");
}

#[test]
fn what_is_gone_by_the_answer_is_no_conflict() {
    let tree = Tree::new("from/a=new to/a=old");
    let operation = start(&tree);
    let questions = asked(&operation, 1);
    fs::remove_file(tree.path("to/a")).unwrap();
    answer(&operation, &questions, "a", Resolution::Skip);
    assert!(end(operation).is_complete());
    tree.assert("from/a=new to/a=new");
}

#[test]
fn directories_merge_silently_unless_that_is_asked() {
    let tree = Tree::new("from/d/a=a from/e/b=b from/f/c=c from/g/d=d to/d/old=1 to/e/old=2 to/f/old=3 to/g/old=4");
    let silent = start(&tree);
    assert!(end(silent).is_complete());
    let tree = Tree::new("from/d/a=a from/e/b=b from/f/c=c from/g/d=d to/d/old=1 to/e/old=2 to/f/old=3 to/g/old=4");
    let operation =
        copy_as(tree.path("from"), tree.path("to/.")).on_conflict(OnConflict::Ask).merges(Merges::Ask).start();
    let questions = asked(&operation, 4);
    assert!(questions.iter().all(|open| open.question.kind() == QuestionKind::Merge));
    assert_eq!(operation.answer(questions[0].id, Resolution::Replace, Scope::This), Err(Unfit::NoAnswer));
    answer(&operation, &questions, "d", Resolution::Merge);
    answer(&operation, &questions, "e", Resolution::Skip);
    answer(&operation, &questions, "f", Resolution::KeepBoth);
    answer(&operation, &questions, "g", Resolution::Rename("h".into()));
    let report = end(operation);
    assert_eq!(skipped(&report), ["e"]);
    tree.assert(
        "from/d/a=a from/e/b=b from/f/c=c from/g/d=d \
         to/d/a=a to/d/old=1 to/e/old=2 to/f/old=3 to/f\\s(2)/c=c to/g/old=4 to/h/d=d",
    );
}

#[test]
fn a_file_and_a_directory_never_replace_each_other() {
    let tree = Tree::new("from/a=a from/b/x=x to/a/y=y to/b=b");
    let operation = start(&tree);
    let questions = asked(&operation, 2);
    for open in &questions {
        assert_eq!(open.question.kind(), QuestionKind::Mismatch);
        for resolution in [Resolution::Replace, Resolution::Merge, Resolution::Newer, Resolution::Retry] {
            assert_eq!(operation.answer(open.id, resolution, Scope::This), Err(Unfit::NoAnswer));
        }
    }
    assert_eq!(operation.questions().len(), 2);
    answer(&operation, &questions, "a", Resolution::KeepBoth);
    answer(&operation, &questions, "b", Resolution::Rename("c".into()));
    assert!(end(operation).is_complete());
    tree.assert("from/a=a from/b/x=x to/a/y=y to/a\\s(2)=a to/b=b to/c/x=x");
}

#[test]
fn an_answer_for_its_kind_is_the_rule_from_then_on() {
    require_fuse!();
    let (fs, tree) = (FaultFs::new(), Tree::new("to/a=old to/b=old to/m/ to/late/c=old to/late/d=old to/late/n/"));
    make(fs.path(), "from/a=new from/b=new from/m=m from/late/c=new from/late/d=new from/late/n=n");
    fs.add(Fault::new(Op::Opendir, Action::Hang).name("late"));
    let operation = copy_as(fs.path().join("from"), tree.path("to")).on_conflict(OnConflict::Ask).jobs(2).start();
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    wait_until(|| operation.questions().len() == 3);
    let questions = operation.questions();
    operation.answer(about(&questions, "a").id, Resolution::Replace, Scope::Kind).unwrap();
    wait_until(|| operation.questions().len() == 1);
    fs.clear();
    fs.release();
    // Only of the other kind are there more.
    let questions = asked(&operation, 2);
    answer(&operation, &questions, "m", Resolution::Skip);
    answer(&operation, &questions, "n", Resolution::Skip);
    let report = end(operation);
    assert_eq!((skipped(&report), report.failures.len()), (vec!["m".into(), "n".into()], 0));
    tree.assert("to/a=new to/b=new to/m/ to/late/c=new to/late/d=new to/late/n/");
}

#[test]
fn an_answer_for_all_answers_what_it_fits() {
    let tree = Tree::new("from/a=new from/b=new from/m=m to/a=old to/b=old to/m/");
    let operation = start(&tree);
    let questions = asked(&operation, 3);
    let named = operation.answer(about(&questions, "a").id, Resolution::Rename("x".into()), Scope::All);
    assert_eq!(named, Err(Unfit::OneOnly));
    operation.answer(about(&questions, "a").id, Resolution::Replace, Scope::All).unwrap();
    let left = asked(&operation, 1);
    operation.answer(about(&left, "m").id, Resolution::Skip, Scope::All).unwrap();
    assert_eq!(skipped(&end(operation)), ["m"]);
    tree.assert("from/a=new from/b=new from/m=m to/a=new to/b=new to/m/");
}

#[test]
fn names_that_nothing_can_have_are_refused() {
    let tree = Tree::new("from/a=new to/a=old");
    let operation = start(&tree);
    let id = asked(&operation, 1)[0].id;
    for name in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
        let refused = operation.answer(id, Resolution::Rename(name.into()), Scope::This);
        assert_eq!(refused, Err(Unfit::NameNotAllowed), "{name:?}");
    }
    assert_eq!(operation.answer(id + 1, Resolution::Skip, Scope::This), Err(Unfit::NotOpen));
    assert!(operation.questions().iter().all(is_conflict));
    operation.answer(id, Resolution::Skip, Scope::This).unwrap();
    let _ = end(operation);
}

#[test]
fn a_parked_first_name_leaves_its_link_group_whole() {
    let tree = Tree::new("from/a=x from/b=>from/a from/d/c=>from/a to/a=old");
    let operation = start(&tree);
    let questions = asked(&operation, 1);
    assert_eq!(inode(tree.path("to/b")), inode(tree.path("to/d/c")));
    answer(&operation, &questions, "a", Resolution::Replace);
    assert!(end(operation).is_complete());
    tree.assert("from/a=x from/b=>from/a from/d/c=>from/a to/a=x to/b=>to/a to/d/c=>to/a");
}

#[test]
fn a_rule_never_replaces_what_the_same_operation_made() {
    let tree = Tree::new("one/a=1 two/a=2 to/");
    let operation =
        fileops::copy([tree.path("one/a"), tree.path("two/a")], tree.path("to")).on_conflict(OnConflict::Ask).start();
    let questions = asked(&operation, 1);
    answer(&operation, &questions, "a", Resolution::Replace);
    assert_eq!(failed(&end(operation)), ["a"]);
    tree.assert("one/a=1 two/a=2 to/a=1");
}
