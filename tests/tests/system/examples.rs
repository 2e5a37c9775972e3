//! The examples of the documentation, each run on a directory of its own. `cargo test --workspace` builds them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fileops_tests::tree::assert_tree;
use fileops_tests::{Tree, skip};

/// The program of an example, if it was built: cargo builds those of a package with all its tests, not with one.
fn example(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples").join(name);
    path.exists().then_some(path)
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

macro_rules! example {
    ($name:expr) => {
        match example($name) {
            Some(path) => {
                let mut command = Command::new(path);
                command.env("XDG_STATE_HOME", Tree::new("").root());
                command
            }
            None => {
                fileops_tests::skip::missing(concat!("example ", $name));
                skip!("the example {} is not built", $name)
            }
        }
    };
}

/// Copies a tree and says so.
#[track_caller]
fn check_copy(mut command: Command) {
    let tree = Tree::new("a/file=hello a/sub/link->../file b/");
    let said = said(command.arg(tree.path("a")).arg(tree.path("b")));
    assert!(said.contains("copied 4 entries, 5 bytes"), "{said}");
    assert_tree(&tree.path("b"), "a/file=hello a/sub/link->../file");
}

#[test]
fn a_copy_is_awaited_in_tokio() {
    check_copy(example!("await_tokio"));
}

#[test]
fn a_copy_is_awaited_in_smol() {
    check_copy(example!("await_smol"));
}

#[test]
fn a_copy_is_awaited_in_glibs_main_loop() {
    #[cfg(not(feature = "glib"))]
    skip!("built without GLib, whose development files were not found");
    #[cfg(feature = "glib")]
    check_copy(example!("await_glib"));
}

#[test]
fn a_copy_tells_how_far_it_is() {
    let mut command = example!("copy");
    let tree = Tree::new("a/file=hello b/");
    let said = said(command.arg(tree.path("a")).arg(tree.path("b")));
    assert!(said.is_empty() || said.contains(" of "), "{said}");
    assert_tree(&tree.path("b"), "a/file=hello");
}

#[test]
fn mounts_are_listed() {
    let said = said(&mut example!("mounts"));
    assert!(said.lines().any(|line| line.contains(" on /proc: ")), "{said}");
}

#[test]
fn a_folder_is_watched() {
    let mut command = example!("watch");
    let tree = Tree::new("old=x");
    let mut child = command.arg(tree.root()).arg("2").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next(), Some(format!("watching {}", tree.root().display())));
    fs::write(tree.path("new"), "x").unwrap();
    assert_eq!(lines.next(), Some(format!("created {}", tree.path("new").display())));
    fs::rename(tree.path("old"), tree.path("older")).unwrap();
    let renamed = format!("renamed {} to {}", tree.path("old").display(), tree.path("older").display());
    assert_eq!(lines.next(), Some(renamed));
    assert!(child.wait().unwrap().success());
}
