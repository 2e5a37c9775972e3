//! Trees, other users, and skipped tests.

use std::fs::{self};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use fileops_tests::{
    FaultFs, Tree, as_user, differences, require_fuse, require_root, skip, snapshot, test_name, user_part,
};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::code;

#[test]
fn trees_show_how_they_differ() {
    let tree = Tree::new(r"a/file=hello a/link->file b/ c\sd=x\n z=>a/file m!640=");
    tree.assert(r"z=hello a/file=>z a/link->file b/ c\sd=x\n m=");
    let message = std::panic::catch_unwind(|| tree.assert(r"a/file=hallo b/ m!600="));
    let message = message.expect_err("they differ");
    let message = message.downcast_ref::<String>().expect("text");
    for line in ["- a/file=hallo", "+ a/file=hello", "+ c d=x\\n", "  b/", "- m!600=", "+ m!640="] {
        assert!(message.contains(line), "no {line:?} in {message}");
    }
    let other = Tree::new(r"a/file=hello a/link->else b/ c\sd=x\n z=hello m!600=");
    let ignore = fileops_tests::Ignore { mtime: true, ..Default::default() };
    let lines = differences(&snapshot(tree.root()), &snapshot(other.root()), &ignore);
    let expected = [
        "a/file: same file as Some(\"a/file\"), None",
        "a/link: target Some(\"file\"), Some(\"else\")",
        "m: mode 640, 600",
        "z: same file as Some(\"a/file\"), None",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn trees_may_be_deeper_than_a_path_is_long() {
    let tree = Tree::new("");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |at: BorrowedFd<'_>, name: &Path| openat(at, name, flags, Mode::empty()).expect("opens");
    let mut dir = open(CWD, tree.root());
    for _ in 0..1500 {
        mkdirat(&dir, "dddddddddd", 0o755.into()).expect("made");
        dir = open(dir.as_fd(), "dddddddddd".as_ref());
    }
    mkdirat(&dir, "end", 0o755.into()).expect("made");
    let all = snapshot(tree.root());
    assert_eq!(all.len(), 1502);
    let root = tree.root().to_owned();
    drop(tree);
    assert!(!root.exists());
}

#[test]
fn another_user_is_another_user() {
    user_part!("reader", {
        let file = fileops_tests::user::variable("FILE");
        assert_eq!(rustix::process::geteuid().as_raw(), 1234);
        assert_eq!(code(fs::read(file)), libc::EACCES);
    });
    user_part!("failing", { panic!("part of the test") });
    user_part!("writer", {
        let dir = fileops_tests::user::variable("DIR");
        fs::write(Path::new(&dir).join("mine"), "x").expect("written");
    });
    require_root!();
    let tree = Tree::new("secret!600=x open!777/");
    let file = tree.path("secret");
    as_user(1234, 4321, test_name!(), "reader", &[("FILE", file.as_ref())]);
    let name = test_name!();
    assert!(std::panic::catch_unwind(|| as_user(1234, 4321, name, "failing", &[])).is_err());
    require_fuse!();
    let fs = FaultFs::over(tree.path("open"));
    as_user(1234, 4321, name, "writer", &[("DIR", fs.path().as_ref())]);
    let meta = fs::metadata(tree.path("open/mine")).expect("there");
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (1234, 4321, 0o644));
}

#[test]
fn a_skipped_test_says_why() {
    if std::env::var_os("FILEOPS_TEST_SKIP").is_some() {
        skip!("for {}", "the test");
    }
    let tree = Tree::new("");
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", test_name!(), "--nocapture", "--test-threads=1"]);
    command.env("FILEOPS_TEST_SKIP", "1").env("FILEOPS_SKIPPED", tree.path("list"));
    let output = command.output().expect("runs");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("skipped: for the test\n"));
    let list = fs::read_to_string(tree.path("list")).expect("noted");
    assert_eq!(list, "trees::a_skipped_test_says_why: for the test\n");
}
