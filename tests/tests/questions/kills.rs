//! A process that is killed while it waits for answers.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use fileops::{OnConflict, OnError, Resolution, Scope, copy, copy_as};
use fileops_tests::user::{as_user, give, part};
use fileops_tests::{Tree, require_root, test_name, user, user_part};

use crate::{asked, wait_until};

#[test]
fn a_kill_while_questions_are_open_leaves_each_file_whole_or_absent_and_nothing_else() {
    user_part!("copy", {
        let root = PathBuf::from(user::variable("ROOT"));
        let sources = [root.join("from/old"), root.join("from/new"), root.join("from/missing")];
        let operation = copy(sources, root.join("to")).on_conflict(OnConflict::Ask).on_error(OnError::Ask).start();
        asked(&operation, 2);
        fs::write(root.join("ready"), "").unwrap();
        thread::sleep(Duration::from_secs(60));
    });
    assert_eq!(part(), None);
    let tree = Tree::new("from/old/a=new from/old/b=b from/new/c=c to/old/a=old state/");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test_name!()]).stdout(Stdio::null()).stderr(Stdio::null());
    child.env("FILEOPS_TEST_PART", "copy").env("ROOT", tree.root()).env("XDG_STATE_HOME", tree.path("state"));
    let mut child = child.spawn().unwrap();
    wait_until(|| tree.path("ready").exists());
    child.kill().and_then(|()| child.wait()).unwrap();
    fs::remove_file(tree.path("ready")).unwrap();
    let journals = fs::read_dir(tree.path("state/fileops/operations")).into_iter().flatten();
    let staged = journals.map(|journal| fs::read(journal.unwrap().path()).unwrap());
    let open = staged.map(|journal| {
        let lines = journal.split(|&byte| byte == b'\n').map(|line| OsStr::from_bytes(line).to_string_lossy());
        let lines: Vec<_> = lines.map(|line| line.into_owned()).collect();
        let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
        count("stage\t") - count("gone\t")
    });
    assert_eq!(open.sum::<usize>(), 0, "nothing is left to recover");
    fs::remove_dir_all(tree.path("state")).unwrap();
    tree.assert("from/old/a=new from/old/b=b from/new/c=c to/old/a=old to/old/b=b to/new/c=c");
}

#[test]
fn modes_that_an_answer_opened_are_put_back_after_a_kill() {
    user_part!("dies", {
        let root = PathBuf::from(user::variable("ROOT"));
        let operation = copy_as(root.join("from"), user::variable("TO")).on_error(OnError::Ask).start();
        let questions = asked(&operation, 1);
        operation.answer(questions[0].id, Resolution::RetryWithRights, Scope::This).unwrap();
        // What is in it keeps us out too, and so it stays open.
        wait_until(|| operation.questions().iter().any(|open| open.question.path().ends_with("locked")));
        fs::write(root.join("ready"), "").unwrap();
        thread::sleep(Duration::from_secs(60));
    });
    user_part!("recovers", {
        let root = PathBuf::from(user::variable("ROOT"));
        let dir = root.join("from/dir");
        let mode = || fs::metadata(&dir).unwrap().permissions().mode() & 0o7777;
        for is_changed in [false, true] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", test_name!()]).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = child
                .env("FILEOPS_TEST_PART", "dies")
                .env("TO", root.join(format!("to-{is_changed}")))
                .spawn()
                .unwrap();
            wait_until(|| root.join("ready").exists());
            child.kill().and_then(|()| child.wait()).unwrap();
            fs::remove_file(root.join("ready")).unwrap();
            assert_eq!(mode(), 0o520);
            if is_changed {
                // By its owner, who knows better.
                fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
            }
            let found = fileops::interrupted().unwrap();
            assert_eq!(mode(), if is_changed { 0o700 } else { 0o020 }, "{found:?}");
            for operation in found {
                fileops::forget(&operation.id).unwrap();
            }
            assert!(fileops::interrupted().unwrap().is_empty());
        }
    });
    require_root!();
    let tree = Tree::new("from/dir/locked!000=x from/plain=p state/");
    fs::set_permissions(tree.path("from/dir"), Permissions::from_mode(0o020)).unwrap();
    give(tree.root(), 1000, 1000);
    let state = tree.path("state");
    let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
    as_user(1000, 1000, test_name!(), "recovers", &set);
}
