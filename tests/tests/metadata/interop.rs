//! What is set here is seen by getfattr and gio, and what they set is seen here.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use fileops::meta::{self, Changes};
use fileops_tests::require_command;

use crate::{tree, wait};

fn output(program: &str, args: &[&OsStr], path: &Path) -> String {
    let output = Command::new(program).args(args).arg(path).env("LC_ALL", "C.UTF-8").output().expect("it runs");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn getfattr_sees_our_tags_and_we_see_what_setfattr_sets() {
    require_command!("getfattr", "setfattr");
    let tree = tree!("file=x");
    let path = tree.path("file");
    let _ =
        wait(meta::change(&path, Changes::new().tags(["holiday", "sea"]).rating(10))).unwrap().into_result().unwrap();
    let seen = output("getfattr", &["--absolute-names", "-d", "-m", "-"].map(OsStr::new), &path);
    for line in [r#"user.xdg.tags="holiday,sea""#, r#"user.baloo.rating="10""#] {
        assert!(seen.lines().any(|seen| seen == line), "{line} in:\n{seen}");
    }
    output("setfattr", &["-n", "user.xdg.tags", "-v", "theirs, too"].map(OsStr::new), &path);
    assert_eq!(wait(meta::tags(&path)).unwrap(), ["theirs", "too"]);
}

#[test]
fn gio_sees_our_tags_and_we_see_what_it_sets() {
    require_command!("gio");
    let tree = tree!("file=x");
    let path = tree.path("file");
    let _ = wait(meta::change(&path, Changes::new().tags(["holiday", "sea"]))).unwrap().into_result().unwrap();
    let seen = output("gio", &["info", "-a", "xattr::*"].map(OsStr::new), &path);
    assert!(seen.contains("xattr::xdg.tags: holiday,sea"), "{seen}");
    let args = ["set", "-t", "string"].map(OsStr::new);
    let mut command = Command::new("gio");
    let set = command.args(args).arg(&path).args(["xattr::xdg.comment", "said by gio"]).status().expect("it runs");
    assert!(set.success());
    assert_eq!(wait(meta::read(&path)).unwrap().comment.as_deref(), Some("said by gio"));
}
