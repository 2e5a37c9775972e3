//! Sources and targets as callers write them: missing, empty, with dots, relative.

use std::fs;
use std::path::Path;

use fileops::{Action, OnConflict, Outcome, Refusal};
use fileops_tests::{Tree, assert_same_tree, test_name, user::variable, user_part};

use crate::children::alone;
use crate::{complete, errnos, refusals, run};

#[test]
fn a_missing_source_fails_alone() {
    let tree = Tree::new("a=1 c=3 dst/");
    let report = run(fileops::copy(["a", "b", "c", "d/e"].map(|name| tree.path(name)), tree.path("dst")));
    assert_eq!(errnos(&report), [libc::ENOENT; 2]);
    let mut paths: Vec<_> = report.failures.iter().map(|error| error.path.clone()).collect();
    paths.sort();
    // Of the last the directory itself is missing.
    assert_eq!(paths, ["b", "d"].map(|name| tree.path(name)));
    tree.assert("a=1 c=3 dst/a=1 dst/c=3");
}

#[test]
fn a_target_that_is_no_directory_is_refused_and_nothing_is_made() {
    let entries = "a=1 file=2 dangling->nowhere tofile->file";
    let tree = Tree::new(entries);
    for (target, errno) in [
        ("missing", libc::ENOENT),
        ("missing/deeper", libc::ENOENT),
        ("dangling", libc::ENOENT),
        ("file", libc::ENOTDIR),
        ("file/in", libc::ENOTDIR),
        ("tofile", libc::ENOTDIR),
    ] {
        for rule in [OnConflict::Fail, OnConflict::Replace, OnConflict::Rename] {
            let report = run(fileops::copy([tree.path("a")], tree.path(target)).on_conflict(rule));
            assert_eq!(errnos(&report), [errno], "{target}");
            assert_eq!((report.failures[0].action, &report.failures[0].path), (Action::Open, &tree.path(target)));
            tree.assert(entries);
        }
    }
}

#[test]
fn a_target_that_is_a_link_to_a_directory_is_that_directory() {
    let tree = Tree::new("a=1 dst/ link->dst");
    complete(fileops::copy([tree.path("a")], tree.path("link")));
    tree.assert("a=1 dst/a=1 link->dst");
}

#[test]
fn a_dangling_link_under_the_final_name_is_replaced_and_never_written_through() {
    for rule in [OnConflict::Fail, OnConflict::Replace] {
        let tree = Tree::new("a=1 dangling->nowhere");
        let report = run(fileops::copy_as(tree.path("a"), tree.path("dangling")).on_conflict(rule));
        assert_eq!(report.is_complete(), rule == OnConflict::Replace);
        tree.assert(if rule == OnConflict::Replace { "a=1 dangling=1" } else { "a=1 dangling->nowhere" });
    }
}

#[test]
fn no_sources_are_nothing_to_do() {
    let tree = Tree::new("dst/");
    let report = complete(fileops::copy(Vec::<&Path>::new(), tree.path("dst")));
    assert_eq!((report.outcome, report.entries), (Outcome::Done, 0));
    assert_eq!(complete(fileops::measure(Vec::<&Path>::new())).entries, 0);
    let operation = fileops::copy(Vec::<&Path>::new(), tree.path("missing")).start();
    assert!(operation.wait().is_complete());
    tree.assert("dst/");
}

#[test]
fn an_empty_path_names_nothing() {
    let tree = Tree::new("a=1 dst/");
    for report in [
        run(fileops::copy([""], tree.path("dst"))),
        run(fileops::copy([tree.path("a")], "")),
        run(fileops::copy_as("", tree.path("dst/x"))),
        run(fileops::copy_as(tree.path("a"), "")),
        run(fileops::measure([""])),
    ] {
        assert_eq!(errnos(&report), [libc::ENOENT], "{report:?}");
    }
    tree.assert("a=1 dst/");
}

#[test]
fn a_source_that_ends_in_dots_is_its_contents() {
    for source in ["a/.", "a/./", "a/.//", "a/sub/..", "a/sub/../", "other/../a/."] {
        let tree = Tree::new("a/file=hello a/sub/x=y a/.hidden=z other/ dst/");
        complete(fileops::copy([tree.path(source)], tree.path("dst")));
        tree.assert("a/file=hello a/sub/x=y a/.hidden=z other/ dst/file=hello dst/sub/x=y dst/.hidden=z");
    }
}

#[test]
fn slashes_and_dots_in_the_middle_change_nothing() {
    for source in ["a", "a/", "a//", "./a", ".//a///", "other/../a", "other/./../a/"] {
        let tree = Tree::new("a/file=hello other/ dst/");
        complete(fileops::copy([tree.path(source)], tree.path("dst/.")));
        tree.assert("a/file=hello other/ dst/a/file=hello");
    }
}

#[test]
fn a_file_does_not_become_a_directory_that_is_named_by_dots() {
    let tree = Tree::new("a=1 dst/");
    for name in [".", "..", "dst/.", "dst/..", "/"] {
        let report = run(fileops::copy_as(tree.path("a"), tree.path(name)).on_conflict(OnConflict::Replace));
        assert_eq!(refusals(&report), [Refusal::KindDiffers], "{name}");
        tree.assert("a=1 dst/");
    }
}

#[test]
fn a_directory_is_merged_with_one_that_is_named_by_dots() {
    for name in ["dst/.", "dst/./", "dst/sub/.."] {
        let tree = Tree::new("a/file=hello a/sub/x=y dst/sub/old=1");
        complete(fileops::copy_as(tree.path("a"), tree.path(name)));
        tree.assert("a/file=hello a/sub/x=y dst/file=hello dst/sub/x=y dst/sub/old=1");
    }
    let tree = Tree::new("a/file=hello link->a dst/");
    let report = run(fileops::copy_as(tree.path("link"), tree.path("dst/.")));
    assert_eq!(refusals(&report), [Refusal::KindDiffers]);
    let report = run(fileops::copy_as(tree.path("a"), tree.path("a/.")));
    assert_eq!(refusals(&report), [Refusal::IntoItself]);
    tree.assert("a/file=hello link->a dst/");
}

#[test]
fn a_copy_to_an_exact_name_merges_with_a_directory_of_that_name() {
    let tree = Tree::new("a/file=hello dst/old=1");
    complete(fileops::copy_as(tree.path("a"), tree.path("dst/")));
    complete(fileops::copy_as(tree.path("a/."), tree.path("new")));
    tree.assert("a/file=hello dst/old=1 dst/file=hello new/file=hello");
}

#[test]
fn relative_paths_are_those_of_the_process() {
    user_part!("alone", {
        std::env::set_current_dir(variable("TREE")).unwrap();
        complete(fileops::copy(["a"], "dst"));
        complete(fileops::copy(["a/."], "./contents"));
        complete(fileops::copy_as("a", "named"));
        complete(fileops::copy_as("./a/file", "dst/file"));
        assert_eq!(complete(fileops::measure(["a", "./dst/a"])).entries, 6);
        assert_eq!(refusals(&run(fileops::copy(["."], "dst"))), [Refusal::IntoItself]);
        assert_eq!(refusals(&run(fileops::copy(["a"], "."))), [Refusal::SameFile]);
        let report = run(fileops::copy(["missing", "a/file"], "dst"));
        let mut paths: Vec<_> = report.failures.iter().map(|error| error.path.to_str().unwrap()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["a/file", "missing"], "reports spell paths as the caller did");
        std::env::set_current_dir("contents").unwrap();
        complete(fileops::copy(["."], "../here"));
        complete(fileops::copy_as("..", "../../up").on_conflict(OnConflict::Skip));
        fs::remove_dir_all("../../up").unwrap();
    });
    let tree = Tree::new("t/a/file=1 t/a/sub/ t/dst/ t/contents/ t/here/");
    alone(test_name!(), &[("TREE", tree.path("t").as_ref())]);
    for copy in ["t/dst/a", "t/contents", "t/named", "t/here"] {
        assert_eq!(fs::read_to_string(tree.path(copy).join("file")).unwrap(), "1", "{copy}");
    }
    assert_same_tree(tree.path("t/a"), tree.path("t/named"));
    assert_eq!(fs::read_to_string(tree.path("t/dst/file")).unwrap(), "1");
}
