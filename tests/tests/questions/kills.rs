//! A process that is killed while it waits for answers.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use fileops::{OnConflict, OnError, copy};
use fileops_tests::user::part;
use fileops_tests::{Tree, test_name, user, user_part};

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
