//! What waits, what goes on, and how the waiting ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use fileops::{OnConflict, OnError, Outcome, Phase, Question, Resolution, Scope, Unfit, copy, copy_as};
use fileops_tests::tree::make;
use fileops_tests::user::give;
use fileops_tests::{
    Action, Fault, FaultFs, Op, Tree, as_user, require_fuse, require_root, test_name, user, user_part,
};

use crate::{about, alone, answer, asked, end, failed, is_conflict, skipped, wait_until};

/// A user without a name.
const USER: u32 = 1234;

/// P8.
#[test]
fn all_else_has_its_final_name_before_the_first_answer() {
    user_part!("copy", {
        let root = std::path::PathBuf::from(user::variable("ROOT"));
        let (from, to) = (root.join("from"), root.join("to"));
        let operation = copy_as(&from, &to).on_conflict(OnConflict::Ask).on_error(OnError::Ask).start();
        let questions = asked(&operation, 7);
        assert_eq!(questions.iter().filter(|open| is_conflict(open)).count(), 5);
        for number in 0..200 {
            let copied = fs::read(to.join(format!("new/{number}/file"))).expect("it is copied");
            assert_eq!(copied, format!("{number}").as_bytes());
        }
        assert_eq!(fs::read(to.join("old/other")).unwrap(), b"other");
        for number in 0..5 {
            assert_eq!(fs::read(to.join(format!("old/{number}"))).unwrap(), b"old");
        }
        assert!(!to.join("new/unreadable").exists() && !to.join("unreadable").exists());
        let Question::Failure(failure) = &about(&questions, "unreadable").question else { panic!("no failure") };
        assert_eq!((failure.error.errno(), failure.rights), (Some(libc::EACCES), Ok(())));
        answer(&operation, &questions, "0", Resolution::Replace);
        answer(&operation, &questions, "1", Resolution::Skip);
        answer(&operation, &questions, "2", Resolution::KeepBoth);
        answer(&operation, &questions, "3", Resolution::Rename("name".into()));
        answer(&operation, &questions, "4", Resolution::Different);
        for open in questions.iter().filter(|open| !is_conflict(open)) {
            operation.answer(open.id, Resolution::Skip, Scope::This).expect("it fits");
        }
        let report = end(operation);
        assert_eq!((failed(&report), skipped(&report)), (vec!["unreadable".into(); 2], vec!["1".into()]));
        let read = |name: &str| fs::read_to_string(to.join("old").join(name)).unwrap();
        assert_eq!([read("0"), read("1"), read("2"), read("4")], ["new", "old", "old", "new"]);
        assert_eq!([read("2 (2)"), read("name")], ["new", "new"]);
        assert_eq!(report.outcome, Outcome::Done);
    });
    require_root!();
    let tree = Tree::new("from/old/other=other from/unreadable!000=x from/new/unreadable!000=x to/old/ state/");
    for number in 0..200 {
        let dir = tree.path(format!("from/new/{number}"));
        fs::create_dir(&dir).and_then(|()| fs::write(dir.join("file"), format!("{number}"))).unwrap();
    }
    for number in 0..5 {
        fs::write(tree.path(format!("from/old/{number}")), "new").unwrap();
        fs::write(tree.path(format!("to/old/{number}")), "old").unwrap();
    }
    give(tree.root(), USER, USER);
    let state = tree.path("state");
    let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
    as_user(USER, USER, test_name!(), "copy", &set);
}

#[test]
fn waiting_for_answers_costs_no_processor_time() {
    alone!();
    let tree = Tree::new("from/a=new from/b=b to/a=old");
    let operation =
        copy([tree.path("from/a"), tree.path("from/b")], tree.path("to")).on_conflict(OnConflict::Ask).start();
    asked(&operation, 1);
    let switches = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let ours = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "fileops\n"));
        let status = ours.filter_map(|task| fs::read_to_string(task.join("status")).ok()).collect::<String>();
        let lines = status.lines().filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        lines.map(|count| count.trim().parse::<u64>().unwrap()).sum::<u64>()
    };
    let quiet = (0..10).any(|_| {
        let before = switches();
        thread::sleep(Duration::from_millis(400));
        // What began just before may still end.
        switches() == before
    });
    assert!(quiet, "threads wake while there is nothing to do");
    operation.cancel();
    let _ = end(operation);
}

#[test]
fn a_cancel_ends_the_wait_and_reports_what_was_not_answered() {
    let tree = Tree::new("from/a=new from/b=new from/c=c to/a=old to/b=old");
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let questions = asked(&operation, 2);
    operation.cancel();
    assert_eq!(questions.len(), 2);
    let report = end(operation);
    assert_eq!((report.outcome, failed(&report)), (Outcome::Cancelled, vec!["a".into(), "b".into()]));
    tree.assert("from/a=new from/b=new from/c=c to/a=old to/b=old to/c=c");
}

#[test]
fn an_answer_that_ends_everything_is_told_from_a_cancel() {
    let tree = Tree::new("from/a=new to/a=old");
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let questions = asked(&operation, 1);
    answer(&operation, &questions, "a", Resolution::Stop);
    let report = end(operation);
    assert_eq!((report.outcome, failed(&report)), (Outcome::Stopped, vec!["a".into()]));
    tree.assert("from/a=new to/a=old");
}

#[test]
fn the_first_failure_ends_everything_where_that_is_the_rule() {
    let tree = Tree::new("from/a=new to/a=old");
    let sources = [tree.path("from/a"), tree.path("from/missing")];
    let report = copy(sources, tree.path("to")).on_error(OnError::Stop).jobs(1).start().wait();
    assert_eq!((report.outcome, failed(&report)), (Outcome::Stopped, vec!["a".into()]));
}

#[test]
fn a_source_that_is_missing_is_asked_about_and_tried_again() {
    let tree = Tree::new("to/");
    let operation = copy([tree.path("late")], tree.path("to")).on_error(OnError::Ask).start();
    let questions = asked(&operation, 1);
    fs::write(tree.path("late"), "late").unwrap();
    answer(&operation, &questions, "late", Resolution::Retry);
    assert!(end(operation).is_complete());
    tree.assert("late=late to/late=late");
}

#[test]
fn a_paused_operation_works_on_no_answer_until_it_goes_on() {
    let tree = Tree::new("from/a=new to/a=old");
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let questions = asked(&operation, 1);
    operation.pause();
    answer(&operation, &questions, "a", Resolution::Replace);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(operation.progress().phase, Phase::Paused);
    tree.assert("from/a=new to/a=old");
    operation.resume();
    assert!(end(operation).is_complete());
    tree.assert("from/a=new to/a=new");
}

#[test]
fn the_next_question_is_a_future_and_there_is_none_after_the_last() {
    let tree = Tree::new("from/a=new from/b=new to/a=old to/b=old");
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let mut seen = Vec::new();
    while let Some(open) = fileops::block_on(operation.question()) {
        seen.push(open.question.path().to_owned());
        operation.answer(open.id, Resolution::Replace, Scope::This).unwrap();
        assert_eq!(operation.answer(open.id, Resolution::Replace, Scope::This), Err(Unfit::NotOpen));
    }
    assert_eq!(crate::names(seen), ["a", "b"]);
    assert!(end(operation).is_complete());
    tree.assert("from/a=new from/b=new to/a=new to/b=new");
}

#[test]
fn answers_come_from_several_threads_in_any_order() {
    let tree = Tree::new("from/ to/");
    for number in 0..200 {
        fs::write(tree.path(format!("from/{number}")), "new").unwrap();
        fs::write(tree.path(format!("to/{number}")), "old").unwrap();
    }
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let questions = asked(&operation, 200);
    thread::scope(|scope| {
        for part in 0..4 {
            let (operation, questions) = (&operation, &questions);
            scope.spawn(move || {
                for open in questions.iter().rev().filter(|open| open.id % 4 == part) {
                    let number: u32 = open.question.path().file_name().unwrap().to_str().unwrap().parse().unwrap();
                    let resolution = if number % 2 == 0 { Resolution::Replace } else { Resolution::Skip };
                    operation.answer(open.id, resolution, Scope::This).expect("it is open");
                }
            });
        }
    });
    let report = end(operation);
    assert_eq!((report.skipped.len(), report.failures.len()), (100, 0));
    for number in 0..200 {
        let now = fs::read_to_string(tree.path(format!("to/{number}"))).unwrap();
        assert_eq!(now, if number % 2 == 0 { "new" } else { "old" });
    }
}

#[test]
fn rights_are_given_for_the_time_and_only_where_they_are_ours() {
    user_part!("copy", {
        let root = std::path::PathBuf::from(user::variable("ROOT"));
        let (from, to) = (root.join("from"), root.join("to"));
        let operation = copy_as(&from, &to).on_error(OnError::Ask).start();
        let questions = asked(&operation, 4);
        let refused = operation.answer(about(&questions, "others").id, Resolution::RetryWithRights, Scope::This);
        assert_eq!(refused, Err(Unfit::NotOwner));
        for name in ["file", "dir", "inside"] {
            answer(&operation, &questions, name, Resolution::RetryWithRights);
        }
        answer(&operation, &questions, "others", Resolution::Skip);
        let report = end(operation);
        assert_eq!(failed(&report), ["others"]);
    });
    require_root!();
    let tree = Tree::new(
        "from/file!000=x from/dir/a=a from/dir/below/b=b from/others!600=x from/ours/inside=i from/plain=p \
         to/ours/ state/",
    );
    give(tree.root(), USER, USER);
    give(&tree.path("from/others"), 0, 0);
    fs::set_permissions(tree.path("from/dir"), Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(tree.path("to/ours"), Permissions::from_mode(0o555)).unwrap();
    let state = tree.path("state");
    let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
    as_user(USER, USER, test_name!(), "copy", &set);
    fs::remove_dir_all(&state).unwrap();
    tree.assert(
        "from/file!0=x from/dir!0/ from/dir/a=a from/dir/below/b=b from/others!600=x from/ours/inside=i from/plain=p \
         to/file!0=x to/dir!0/ to/dir/a=a to/dir/below/b=b to/ours!555/ to/ours/inside=i to/plain=p",
    );
}

#[test]
fn deleting_and_measuring_ask_too() {
    user_part!("delete", {
        let root = std::path::PathBuf::from(user::variable("ROOT"));
        let measure = fileops::measure([root.join("tree")]).on_error(OnError::Ask).start();
        let questions = asked(&measure, 1);
        answer(&measure, &questions, "closed", Resolution::Skip);
        assert_eq!(failed(&end(measure)), ["closed"]);
        let delete = fileops::delete([root.join("tree")]).on_error(OnError::Ask).start();
        let questions = asked(&delete, 1);
        wait_until(|| !root.join("tree/dir").exists());
        assert!(root.join("tree/closed").exists());
        answer(&delete, &questions, "closed", Resolution::Retry);
        let again = asked(&delete, 1);
        assert_ne!(again[0].id, questions[0].id);
        answer(&delete, &again, "closed", Resolution::Skip);
        assert_eq!(failed(&end(delete)), ["closed"]);
    });
    require_root!();
    let tree = Tree::new("tree/dir/a=a tree/closed/b=b state/");
    give(tree.root(), USER, USER);
    give(&tree.path("tree/closed"), 0, 0);
    fs::set_permissions(tree.path("tree/closed"), Permissions::from_mode(0o700)).unwrap();
    let state = tree.path("state");
    let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
    as_user(USER, USER, test_name!(), "delete", &set);
    fs::remove_dir(&state).unwrap();
    tree.assert("tree/closed/b=b");
}

#[test]
fn what_nobody_can_answer_is_left_out() {
    let tree = Tree::new("from/a=new from/b=b to/a=old");
    let report = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start().wait();
    assert_eq!(skipped(&report), ["a"]);
    let report = fileops::block_on(async {
        copy([tree.path("from/a"), tree.path("from/missing")], tree.path("to"))
            .on_conflict(OnConflict::Ask)
            .on_error(OnError::Ask)
            .await
    });
    assert_eq!((skipped(&report), failed(&report)), (vec!["a".into()], vec!["missing".into()]));
    tree.assert("from/a=new from/b=b to/a=old to/b=b");
    // Dropped while it waits, it goes on to its end.
    let operation = copy_as(tree.path("from/a"), tree.path("to/a")).on_conflict(OnConflict::Ask).start();
    asked(&operation, 1);
    let question = operation.question();
    assert!(fileops::block_on(question).is_some());
    let last = operation.question();
    drop(operation);
    assert!(fileops::block_on(last).is_none());
    tree.assert("from/a=new from/b=b to/a=old to/b=b");
}

#[test]
fn an_inbox_answers_while_the_operation_itself_is_awaited() {
    let tree = Tree::new("from/a=new from/b=new to/a=old to/b=old");
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let inbox = operation.inbox();
    let answerer = thread::spawn(move || {
        while let Some(open) = fileops::block_on(inbox.question()) {
            inbox.answer(open.id, Resolution::Replace, Scope::This).unwrap();
        }
    });
    assert!(fileops::block_on(operation).is_complete());
    answerer.join().unwrap();
    tree.assert("from/a=new from/b=new to/a=new to/b=new");
}

#[test]
fn a_medium_that_is_gone_pauses_everything_and_is_asked_about_once() {
    require_fuse!();
    let fs = FaultFs::new();
    let tree = Tree::new("to/");
    for number in 0..300 {
        make(fs.path(), &format!("from/{number}/file={number}"));
    }
    fs.add(Fault::new(Op::Any, Action::Errno(libc::ENODEV)).name("file").from(10));
    let start = || copy_as(fs.path().join("from"), tree.path("to/new")).on_error(OnError::Ask).jobs(4).start();
    let operation = start();
    wait_until(|| operation.progress().phase == Phase::Paused);
    let questions = operation.questions();
    let Question::MediumGone(error) = &questions[0].question else { panic!("{questions:?}") };
    assert_eq!((questions.len(), error.errno()), (1, Some(libc::ENODEV)));
    let id = questions[0].id;
    assert_eq!(operation.answer(id, Resolution::Skip, Scope::This), Err(Unfit::NoAnswer));
    // Still gone: paused and asked again.
    operation.answer(id, Resolution::Retry, Scope::This).unwrap();
    wait_until(|| operation.questions().first().is_some_and(|open| open.id != id));
    assert_eq!(operation.questions().len(), 1);
    fs.clear();
    operation.answer(operation.questions()[0].id, Resolution::Retry, Scope::This).unwrap();
    wait_until(|| {
        // A worker that was late may have asked once more.
        let late = operation.questions();
        for open in late {
            let _ = operation.answer(open.id, Resolution::Retry, Scope::This);
        }
        operation.is_done()
    });
    let report = end(operation);
    assert!(report.is_complete() && report.files == 300, "{report:?}");
    fs::remove_dir_all(tree.path("to/new")).unwrap();
    fs.add(Fault::new(Op::Any, Action::Errno(libc::ENODEV)).name("file").from(10));
    let operation = start();
    wait_until(|| !operation.questions().is_empty());
    operation.answer(operation.questions()[0].id, Resolution::Stop, Scope::This).unwrap();
    assert_eq!(end(operation).outcome, Outcome::Stopped);
    tree.assert("to/");
    let operation = start();
    wait_until(|| !operation.questions().is_empty());
    assert_eq!(operation.wait().outcome, Outcome::Stopped, "nobody can answer");
}
