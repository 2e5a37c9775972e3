//! Questions inside new trees: these get their names, and what waited follows as in any directory.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use fileops::{OnConflict, OnError, Operation, Outcome, QuestionKind, Resolution, Scope, Unfit, copy_as};
use fileops_tests::tree::{inode, make};
use fileops_tests::user::give;
use fileops_tests::{
    Action, Fault, FaultFs, Op, Tree, as_user, assert_same_tree, require_fuse, require_root, test_name, user, user_part,
};

use crate::{about, alone, answer, asked, end, failed, skipped, wait_until};

/// A user without a name.
const USER: u32 = 1234;

/// A file system in which opening these for reading fails until the faults are cleared.
fn damaged(entries: &str, names: &[&str]) -> FaultFs {
    let fs = FaultFs::new();
    make(fs.path(), entries);
    age_directories(&fs.path().join("from"), &mut 0);
    for name in names {
        fs.add(Fault::new(Op::Open, Action::Errno(libc::EIO)).name(*name));
        fs.add(Fault::new(Op::Opendir, Action::Errno(libc::EIO)).name(*name));
    }
    fs
}

fn start(from: &Path, to: PathBuf) -> Operation {
    copy_as(from, to).on_error(OnError::Ask).start()
}

/// Every directory gets a time of its own, long ago.
fn age_directories(path: &Path, hours: &mut u64) {
    for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.symlink_metadata().unwrap().is_dir() {
            age_directories(&entry, hours);
        }
    }
    *hours += 1;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*hours * 3600);
    File::open(path).and_then(|dir| dir.set_modified(time)).unwrap();
}

fn mtimes(path: &Path) -> Vec<i64> {
    ["", "a", "a/b", "d"].map(|name| fs::metadata(path.join(name)).unwrap().mtime()).to_vec()
}

#[test]
fn a_new_tree_has_its_name_before_the_first_answer_and_is_the_same_in_the_end() {
    require_fuse!();
    let fs = damaged(
        "from/a/good=g from/a/bad=x from/a/b/bad=y from/a/b/bad2=>from/a/b/bad from/a/b/other=o \
         from/d/baddir/e/f=f from/d/baddir/g=g from/z=z",
        &["bad", "bad2", "baddir"],
    );
    let tree = Tree::new("");
    let operation = start(&fs.path().join("from"), tree.path("to"));
    let questions = asked(&operation, 4);
    tree.assert("to/a/good=g to/a/b/other=o to/d/ to/z=z");
    let (source, target) = (fs.path().join("from"), tree.path("to"));
    assert_eq!(mtimes(&target), mtimes(&source));
    fs.clear();
    for open in &questions {
        operation.answer(open.id, Resolution::Retry, Scope::This).unwrap();
        // What is done meanwhile changes no directory's time for good.
        wait_until(|| operation.is_done() || operation.progress().phase == fileops::Phase::Asking);
        wait_until(|| mtimes(&target) == mtimes(&source));
    }
    let report = end(operation);
    assert!(report.is_complete(), "{report:?}");
    assert_same_tree(&source, &target);
    assert_eq!(inode(target.join("a/b/bad")), inode(target.join("a/b/bad2")));
    assert_eq!((report.files, report.directories), (8, 6));
}

#[test]
fn an_answer_that_comes_before_the_tree_has_its_name_is_worked_on_afterwards() {
    require_fuse!();
    let fs = damaged("from/bad=x from/slow=y", &["bad"]);
    fs.add(Fault::new(Op::Read, Action::Hang).name("slow"));
    let tree = Tree::new("");
    let operation = copy_as(fs.path().join("from"), tree.path("to")).on_error(OnError::Ask).jobs(2).start();
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    wait_until(|| !operation.questions().is_empty());
    let id = operation.questions()[0].id;
    operation.answer(id, Resolution::Skip, Scope::This).unwrap();
    assert!(!tree.path("to").exists());
    fs.clear();
    fs.release();
    let report = end(operation);
    assert_eq!(failed(&report), ["bad"]);
    tree.assert("to/slow=y");
}

#[test]
fn what_is_tried_again_while_a_tree_gets_its_name_is_never_half_written_in_it() {
    require_fuse!();
    let fs = damaged("from/d/bad=xxxxxxxx from/e/slow=y", &["bad"]);
    fs.add(Fault::new(Op::Read, Action::Hang).name("slow"));
    let tree = Tree::new("");
    let operation = copy_as(fs.path().join("from"), tree.path("to")).on_error(OnError::Ask).jobs(2).start();
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    wait_until(|| !operation.questions().is_empty());
    let id = operation.questions()[0].id;
    // The directory it is in is over but for it; the tree is not.
    fs.clear();
    fs.add(Fault::new(Op::Read, Action::Hang).name("bad"));
    operation.answer(id, Resolution::Retry, Scope::This).unwrap();
    thread::sleep(Duration::from_millis(100));
    fs.release();
    wait_until(|| tree.path("to").exists());
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    tree.assert("to/d/ to/e/slow=y");
    fs.clear();
    fs.release();
    assert!(end(operation).is_complete());
    tree.assert("to/d/bad=xxxxxxxx to/e/slow=y");
}

#[test]
fn a_directory_that_comes_late_leaves_the_times_above_it() {
    require_fuse!();
    let source = Tree::new("from/d/sub/x=x from/d/y=y from/z=z");
    age_directories(&source.path("from"), &mut 0);
    let fs = FaultFs::new();
    fs.add(Fault::new(Op::Mkdir, Action::Errno(libc::EIO)).name("sub"));
    let operation = start(&source.path("from"), fs.path().join("to"));
    let questions = asked(&operation, 1);
    fs.clear();
    answer(&operation, &questions, "sub", Resolution::Retry);
    assert!(end(operation).is_complete());
    assert_same_tree(source.path("from"), fs.path().join("to"));
}

#[test]
fn a_tree_whose_name_was_taken_meanwhile_is_asked_about_and_not_lost() {
    require_fuse!();
    let (fs, tree) = (FaultFs::new(), Tree::new("to/"));
    make(fs.path(), "from/slow=y from/d/z=z");
    let copied = |answers: &[Resolution]| {
        fs.add(Fault::new(Op::Read, Action::Hang).name("slow"));
        let operation = copy_as(fs.path().join("from"), tree.path("to/new")).on_conflict(OnConflict::Ask).start();
        assert!(fs.wait_hanging(1, Duration::from_secs(20)));
        make(tree.root(), "to/new/somebody=s");
        fs.clear();
        fs.release();
        for answer in answers {
            let questions = asked(&operation, 1);
            assert_eq!(questions[0].question.allows(&Resolution::Merge), Err(Unfit::NoAnswer));
            operation.answer(questions[0].id, answer.clone(), Scope::This).unwrap();
            wait_until(|| operation.questions().iter().all(|open| open.id != questions[0].id));
        }
        let report = end(operation);
        fs::remove_dir_all(tree.path("to/new")).unwrap();
        report
    };
    assert!(copied(&[Resolution::KeepBoth]).is_complete());
    tree.assert("to/new\\s(2)/slow=y to/new\\s(2)/d/z=z");
    assert!(copied(&[Resolution::Rename("new (2)".into()), Resolution::Rename("c".into())]).is_complete());
    tree.assert("to/new\\s(2)/slow=y to/new\\s(2)/d/z=z to/c/slow=y to/c/d/z=z");
    assert_eq!(failed(&copied(&[Resolution::Skip])), ["from"]);
    tree.assert("to/new\\s(2)/slow=y to/new\\s(2)/d/z=z to/c/slow=y to/c/d/z=z");
}

#[test]
fn a_name_whose_link_failed_is_linked_after_all() {
    require_fuse!();
    let source = Tree::new("from/a=x from/b=>from/a from/c=>from/a");
    let fs = FaultFs::new();
    fs.add(Fault::new(Op::Link, Action::Errno(libc::EIO)).first(1));
    let to = fs.path().join("to");
    let operation = copy_as(source.path("from"), &to).on_error(OnError::Ask).jobs(1).start();
    let questions = asked(&operation, 1);
    operation.answer(questions[0].id, Resolution::Retry, Scope::This).unwrap();
    let report = end(operation);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((inode(to.join("b")), inode(to.join("c"))), (inode(to.join("a")), inode(to.join("a"))));
}

#[test]
fn what_is_skipped_is_named_and_the_rest_is_whole() {
    require_fuse!();
    let fs = damaged("from/a/good=g from/a/bad=x from/baddir/g=g", &["bad", "baddir"]);
    let tree = Tree::new("");
    let operation = start(&fs.path().join("from"), tree.path("to"));
    let questions = asked(&operation, 2);
    assert!(questions.iter().all(|open| open.question.kind() == QuestionKind::Failure));
    operation.answer(questions[0].id, Resolution::Skip, Scope::Kind).unwrap();
    let report = end(operation);
    assert_eq!((failed(&report), report.outcome), (vec!["bad".into(), "baddir".into()], Outcome::Done));
    tree.assert("to/a/good=g");
}

#[test]
fn a_retry_that_fails_is_asked_again_and_so_is_a_conflict_that_came_since() {
    require_fuse!();
    let fs = damaged("from/bad=x", &["bad"]);
    let tree = Tree::new("");
    let operation =
        copy_as(fs.path().join("from"), tree.path("to")).on_error(OnError::Ask).on_conflict(OnConflict::Ask).start();
    let first = asked(&operation, 1);
    answer(&operation, &first, "bad", Resolution::Retry);
    let second = asked(&operation, 1);
    assert_ne!(second[0].id, first[0].id);
    fs.clear();
    // The tree is everybody's now.
    make(tree.root(), "to/bad=somebody's");
    answer(&operation, &second, "bad", Resolution::Retry);
    let third = asked(&operation, 1);
    assert_eq!(third[0].question.kind(), QuestionKind::Replace);
    answer(&operation, &third, "bad", Resolution::KeepBoth);
    assert!(end(operation).is_complete());
    tree.assert("to/bad=somebody's to/bad\\s(2)=x");
}

#[test]
fn a_retry_for_all_is_no_rule() {
    require_fuse!();
    let fs = damaged("from/bad=x from/bad2=y", &["bad", "bad2"]);
    let tree = Tree::new("");
    let operation = start(&fs.path().join("from"), tree.path("to"));
    let first = asked(&operation, 2);
    operation.answer(first[0].id, Resolution::Retry, Scope::All).unwrap();
    let again = asked(&operation, 2);
    assert!(again.iter().all(|open| first.iter().all(|before| before.id != open.id)));
    fs.clear();
    operation.answer(again[0].id, Resolution::Retry, Scope::Kind).unwrap();
    assert!(end(operation).is_complete());
    tree.assert("to/bad=x to/bad2=y");
}

#[test]
fn a_large_file_that_several_workers_copied_is_asked_about() {
    require_fuse!();
    let fs = FaultFs::new();
    make(fs.path(), "from/large#50000000 from/z=z");
    let fault = fs.add(Fault::new(Op::Read, Action::Errno(libc::EIO)).name("large").from(100));
    let tree = Tree::new("");
    let operation = start(&fs.path().join("from"), tree.path("to"));
    let questions = asked(&operation, 1);
    tree.assert("to/z=z");
    fs.remove(fault);
    answer(&operation, &questions, "large", Resolution::Retry);
    assert!(end(operation).is_complete());
    assert_same_tree(fs.path().join("from"), tree.path("to"));
}

#[test]
fn a_replacement_that_fails_leaves_the_old_file_and_is_asked_about() {
    require_fuse!();
    let fs = FaultFs::new();
    let tree = Tree::new("from/a=new from/b=new");
    make(fs.path(), "to/a=old to/b=old");
    fs.add(Fault::new(Op::Fsync, Action::Errno(libc::EIO)));
    let operation = copy_as(tree.path("from"), fs.path().join("to/."))
        .on_conflict(OnConflict::Replace)
        .on_error(OnError::Ask)
        .start();
    let questions = asked(&operation, 2);
    let read = |name: &str| fs::read_to_string(fs.path().join("to").join(name)).unwrap();
    assert_eq!([read("a"), read("b")], ["old", "old"]);
    fs.clear();
    answer(&operation, &questions, "a", Resolution::Retry);
    answer(&operation, &questions, "b", Resolution::Skip);
    assert_eq!(failed(&end(operation)), ["b"]);
    assert_eq!([read("a"), read("b")], ["new", "old"]);
    assert_eq!(fs::read_dir(fs.path().join("to")).unwrap().count(), 2);
}

#[test]
fn a_tree_that_cannot_get_its_name_is_asked_about() {
    require_fuse!();
    let fs = FaultFs::new();
    let tree = Tree::new("from/a/b=b");
    fs::create_dir(fs.path().join("to")).unwrap();
    fs.add(Fault::new(Op::Rename, Action::Errno(libc::EIO)));
    let operation = start(&tree.path("from"), fs.path().join("to/new"));
    let questions = asked(&operation, 1);
    assert!(!fs.path().join("to/new").exists());
    fs.clear();
    operation.answer(questions[0].id, Resolution::Retry, Scope::This).unwrap();
    let report = end(operation);
    assert!(report.is_complete(), "{report:?}");
    assert_same_tree(tree.path("from"), fs.path().join("to/new"));
}

#[test]
fn a_directory_stays_as_long_as_something_in_it_waits() {
    require_fuse!();
    let fs = FaultFs::new();
    make(fs.path(), "tree/a/bad=x tree/a/good=g tree/b/c=c");
    fs.add(Fault::new(Op::Unlink, Action::Errno(libc::EIO)).name("bad"));
    fs.add(Fault::new(Op::Rmdir, Action::Errno(libc::EBUSY)).name("b"));
    let operation = fileops::delete([fs.path().join("tree")]).on_error(OnError::Ask).start();
    let questions = asked(&operation, 2);
    fileops_tests::tree::assert_tree(fs.path(), "tree/a/bad=x tree/b/");
    fs.clear();
    answer(&operation, &questions, "b", Resolution::Retry);
    wait_until(|| !fs.path().join("tree/b").exists());
    assert!(fs.path().join("tree/a/bad").exists());
    answer(&operation, &questions, "bad", Resolution::Retry);
    let report = end(operation);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.entries, 6);
    assert!(!fs.path().join("tree").exists());
}

#[test]
fn a_directory_that_keeps_its_owner_out_gets_its_mode_when_nothing_waits_in_it() {
    user_part!("copy", {
        let root = PathBuf::from(user::variable("ROOT"));
        let operation = start(&root.join("from"), root.join("retried"));
        let questions = asked(&operation, 2);
        answer(&operation, &questions, "b", Resolution::RetryWithRights);
        answer(&operation, &questions, "x", Resolution::RetryWithRights);
        let report = end(operation);
        assert!(report.is_complete(), "{report:?}");
        let operation = start(&root.join("from"), root.join("cancelled"));
        asked(&operation, 2);
        operation.cancel();
        assert_eq!(failed(&end(operation)).len(), 2);
    });
    require_root!();
    let tree = Tree::new("from/a!555/ from/a/b!000=b from/a/c=c from/d!500/ from/d/e!500/ from/d/e/x!200=x state/");
    give(tree.root(), USER, USER);
    let state = tree.path("state");
    let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
    as_user(USER, USER, test_name!(), "copy", &set);
    fs::remove_dir_all(&state).unwrap();
    tree.assert(
        "from/a!555/ from/a/b!0=b from/a/c=c from/d!500/ from/d/e!500/ from/d/e/x!200=x \
         retried/a!555/ retried/a/b!0=b retried/a/c=c retried/d!500/ retried/d/e!500/ retried/d/e/x!200=x \
         cancelled/a!555/ cancelled/a/c=c cancelled/d!500/ cancelled/d/e!500/",
    );
}

#[test]
fn a_chain_of_directories_rests_as_deep_as_it_goes() {
    require_fuse!();
    let fs = FaultFs::new();
    let deep = (0..200).map(|_| "d").collect::<Vec<_>>().join("/");
    make(fs.path(), &format!("from/{deep}/bad=x from/{deep}/good=g"));
    fs.add(Fault::new(Op::Open, Action::Errno(libc::EIO)).name("bad"));
    let tree = Tree::new("");
    let operation = start(&fs.path().join("from"), tree.path("to"));
    let questions = asked(&operation, 1);
    assert!(tree.path("to").join(&deep).join("good").exists());
    fs.clear();
    answer(&operation, &questions, "bad", Resolution::Retry);
    assert!(end(operation).is_complete());
    assert_same_tree(fs.path().join("from"), tree.path("to"));
}

#[test]
fn what_waits_in_a_merged_directory_is_worked_on_at_once() {
    require_fuse!();
    let fs = damaged("from/bad=x from/slow=y", &["bad"]);
    fs.add(Fault::new(Op::Read, Action::Hang).name("slow"));
    let tree = Tree::new("to/");
    let operation = copy_as(fs.path().join("from"), tree.path("to/.")).on_error(OnError::Ask).jobs(2).start();
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    wait_until(|| !operation.questions().is_empty());
    let questions = operation.questions();
    let bad = about(&questions, "bad").id;
    fs.clear();
    operation.answer(bad, Resolution::Retry, Scope::This).unwrap();
    wait_until(|| tree.path("to/bad").exists());
    fs.release();
    let report = end(operation);
    assert!(report.is_complete() && skipped(&report).is_empty(), "{report:?}");
    let _ = fs::set_permissions(tree.path("to"), Permissions::from_mode(0o755));
    tree.assert("to/bad=x to/slow=y");
}

#[test]
fn a_tree_in_which_entries_waited_is_undone_as_a_whole() {
    alone!();
    require_fuse!();
    let fs = damaged("from/a/bad=x from/a/b/bad=y from/a/good=g from/baddir/f=f", &["bad", "baddir"]);
    let tree = Tree::new("to/old=o");
    let operation = copy_as(fs.path().join("from"), tree.path("to/new"))
        .on_error(OnError::Ask)
        .on_conflict(OnConflict::Ask)
        .start();
    let questions = asked(&operation, 3);
    fs.clear();
    operation.answer(questions[0].id, Resolution::Retry, Scope::Kind).unwrap();
    let report = end(operation);
    assert!(report.is_complete(), "{report:?}");
    tree.assert("to/old=o to/new/a/bad=x to/new/a/b/bad=y to/new/a/good=g to/new/baddir/f=f");
    let undone = fileops::undo(report.id.expect("it is recorded")).start().wait();
    assert!(undone.is_complete(), "{undone:?}");
    tree.assert("to/old=o");
}

#[test]
fn what_was_answered_in_a_merged_directory_is_undone() {
    alone!();
    let tree = Tree::new("from/a=new from/b=new from/c=new to/a=old to/b=old to/c=old");
    let operation = copy_as(tree.path("from"), tree.path("to/.")).on_conflict(OnConflict::Ask).start();
    let questions = asked(&operation, 3);
    answer(&operation, &questions, "a", Resolution::Replace);
    answer(&operation, &questions, "b", Resolution::KeepBoth);
    answer(&operation, &questions, "c", Resolution::Skip);
    let report = end(operation);
    tree.assert("from/a=new from/b=new from/c=new to/a=new to/b=old to/b\\s(2)=new to/c=old");
    let undone = fileops::undo(report.id.expect("it is recorded")).start().wait();
    assert!(undone.is_complete(), "{undone:?}");
    tree.assert("from/a=new from/b=new from/c=new to/a=old to/b=old to/c=old");
}
