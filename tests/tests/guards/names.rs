//! Names of things that are kept beside each other, and sources that share a name.

use std::fs;

use fileops::{OnConflict, Refusal};
use fileops_tests::{Tree, assert_same_tree};

use crate::{RULES, complete, refusals, run};

#[test]
fn a_copy_beside_gets_the_first_free_number_before_its_ending() {
    for (name, second, third) in [
        ("name.tar.gz", "name (2).tar.gz", "name (3).tar.gz"),
        ("a.txt", "a (2).txt", "a (3).txt"),
        (".profile", ".profile (2)", ".profile (3)"),
        ("README", "README (2)", "README (3)"),
        ("a (2).txt", "a (3).txt", "a (4).txt"),
    ] {
        let tree = Tree::new("src/ dst/");
        fs::write(tree.path("src").join(name), "new").unwrap();
        fs::write(tree.path("dst").join(name), "old").unwrap();
        for beside in [second, third] {
            let copy = fileops::copy([tree.path("src").join(name)], tree.path("dst"));
            complete(copy.on_conflict(OnConflict::Rename));
            assert_eq!(fs::read_to_string(tree.path("dst").join(beside)).unwrap(), "new", "{beside}");
        }
        assert_eq!(fs::read_to_string(tree.path("dst").join(name)).unwrap(), "old");
        assert_eq!(fs::read_dir(tree.path("dst")).unwrap().count(), 3, "{name}");
    }
}

#[test]
fn a_name_of_255_bytes_is_shortened_to_stand_beside_itself() {
    let name = format!("{}.txt", "n".repeat(251));
    let tree = Tree::new("src/ dst/");
    fs::write(tree.path("src").join(&name), "new").unwrap();
    for _ in 0..3 {
        complete(fileops::copy([tree.path("src").join(&name)], tree.path("dst")).on_conflict(OnConflict::Rename));
    }
    let mut names: Vec<_> = fs::read_dir(tree.path("dst")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let numbered = |number: u32| format!("{} ({number}).txt", "n".repeat(247));
    assert_eq!(names, [numbered(2), numbered(3), name].map(std::ffi::OsString::from));
}

#[test]
fn a_copy_to_a_taken_name_beside_keeps_both_whole_when_many_want_it() {
    let tree = Tree::new("1/x=a 2/x=b 3/x=c 4/x=d 5/x=e dst/");
    let sources = ["1/x", "2/x", "3/x", "4/x", "5/x"].map(|name| tree.path(name));
    complete(fileops::copy(sources, tree.path("dst")).on_conflict(OnConflict::Rename));
    let mut texts: Vec<_> = fs::read_dir(tree.path("dst"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    texts.sort();
    assert_eq!(texts, ["a", "b", "c", "d", "e"]);
    assert!(tree.path("dst/x").exists() && tree.path("dst/x (5)").exists());
}

#[test]
fn of_two_files_of_one_name_the_second_meets_the_first_by_rule() {
    for rule in RULES {
        let tree = Tree::new("1/x=first 2/x=second dst/");
        crate::set_modified(&tree.path("1/x"), 1000);
        crate::set_modified(&tree.path("2/x"), 2000);
        let report = run(fileops::copy([tree.path("1/x"), tree.path("2/x")], tree.path("dst")).on_conflict(rule));
        let dst = match rule {
            OnConflict::Skip => {
                assert_eq!(report.skipped.len(), 1);
                "dst/x=first"
            }
            OnConflict::Rename => "dst/x=first dst/x\\s(2)=second",
            // What the same operation has made is never replaced: its source would be nowhere.
            _ => {
                assert_eq!(refusals(&report), [Refusal::Exists], "{rule:?}");
                assert_eq!(report.failures[0].path, tree.path("2/x"));
                "dst/x=first"
            }
        };
        tree.assert(&format!("1/x=first 2/x=second {dst}"));
    }
}

#[test]
fn two_directories_of_one_name_merge() {
    for _ in 0..20 {
        let tree = Tree::new("1/x/a=1 1/x/sub/c=3 2/x/b=2 2/x/sub/d=4 dst/");
        complete(fileops::copy([tree.path("1/x"), tree.path("2/x")], tree.path("dst")));
        tree.assert("1/x/a=1 1/x/sub/c=3 2/x/b=2 2/x/sub/d=4 dst/x/a=1 dst/x/b=2 dst/x/sub/c=3 dst/x/sub/d=4");
    }
}

#[test]
fn the_contents_of_two_directories_merge() {
    for _ in 0..20 {
        let tree = Tree::new("1/a=1 1/sub/c=3 2/b=2 2/sub/d=4 dst/");
        complete(fileops::copy([tree.path("1/."), tree.path("2/.")], tree.path("dst")));
        tree.assert("1/a=1 1/sub/c=3 2/b=2 2/sub/d=4 dst/a=1 dst/b=2 dst/sub/c=3 dst/sub/d=4");
    }
}

#[test]
fn one_source_given_twice_is_copied_once() {
    for rule in [OnConflict::Fail, OnConflict::Skip, OnConflict::Different, OnConflict::Newer] {
        let tree = Tree::new("a/file=hello a/hard=>a/file a/sub/x=y f=1 dst/");
        let sources = ["a", "f", "./a", "f"].map(|name| tree.path(name));
        let report = run(fileops::copy(sources, tree.path("dst")).on_conflict(rule));
        match rule {
            OnConflict::Fail => assert_eq!(refusals(&report), [Refusal::Exists; 4]),
            _ => assert_eq!((refusals(&report), report.skipped.len()), (vec![], 4)),
        }
        assert_same_tree(tree.path("a"), tree.path("dst/a"));
        tree.assert(
            "a/file=hello a/hard=>a/file a/sub/x=y f=1 \
             dst/a/file=hello dst/a/hard=>dst/a/file dst/a/sub/x=y dst/f=1",
        );
    }
}
