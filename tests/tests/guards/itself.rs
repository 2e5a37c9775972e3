//! A directory into itself, a file onto itself: in whatever spelling, nothing is lost.

use std::fs;
use std::path::Path;

use fileops::{Links, OnConflict, Refusal};
use fileops_tests::{Mount, Tree, assert_same_tree, require_root};

use crate::{RULES, complete, inode, refusals, run, set_modified};

/// Copying a source, spelled so, into a directory is refused by every rule, and changes nothing.
#[track_caller]
fn refused_into(source: &Path, target: &Path) {
    for rule in RULES {
        let report = run(fileops::copy([source], target).on_conflict(rule));
        let spelled = format!("{} into {}, {rule:?}", source.display(), target.display());
        assert_eq!(refusals(&report), [Refusal::IntoItself], "{spelled}");
        assert_eq!((report.entries, report.skipped.len()), (0, 0), "{spelled}");
        assert_eq!(report.failures[0].errno(), Some(libc::EINVAL));
    }
}

#[test]
fn a_directory_is_not_copied_into_itself_in_any_spelling() {
    let entries = "a/file=hello a/sub/deep/er/ other/ link->a loop->a/sub";
    let tree = Tree::new(entries);
    for (source, target) in [
        ("a", "a"),
        ("a", "a/sub"),
        ("a", "a/sub/deep/er"),
        ("./a", "a/"),
        ("a/", "./a/./sub/"),
        ("other/../a", "a/sub"),
        ("a", "a/sub/../sub"),
        ("a", "link"),
        ("a", "link/sub"),
        ("a", "loop"),
        ("a", "loop/deep"),
        ("a/.", "a"),
        ("a/./", "a"),
        ("a/.//", "a"),
        ("a/.", "a/sub/deep"),
        ("a/sub/..", "a"),
        ("a/sub/..", "a/sub"),
        ("link/.", "a/sub"),
        (".", "a"),
        ("a/..", "a/sub"),
        ("..", "other"),
    ] {
        refused_into(&tree.path(source), &tree.path(target));
        tree.assert(entries);
    }
    refused_into(Path::new("/"), tree.root());
    tree.assert(entries);
}

#[test]
fn a_directory_is_not_copied_to_a_name_in_itself() {
    let entries = "a/file=hello a/sub/ link->a";
    let tree = Tree::new(entries);
    for name in ["a/new", "a/sub", "a/sub/new", "link/new", "./a/sub/../new", "a/file"] {
        for rule in RULES {
            let report = run(fileops::copy_as(tree.path("a"), tree.path(name)).on_conflict(rule));
            assert_eq!(refusals(&report), [Refusal::IntoItself], "{name}, {rule:?}");
            tree.assert(entries);
        }
    }
}

#[test]
fn a_link_to_a_directory_is_copied_into_it_as_a_link() {
    let tree = Tree::new("a/file=hello a/sub/ link->a");
    complete(fileops::copy([tree.path("link")], tree.path("a")));
    complete(fileops::copy([tree.path("link/")], tree.path("a/sub")));
    tree.assert("a/file=hello a/link->a a/sub/link->a link->a");
}

#[test]
fn a_link_that_is_followed_is_the_directory_it_leads_to() {
    let entries = "a/file=hello a/sub/ link->a";
    let tree = Tree::new(entries);
    for target in ["a", "a/sub", "link", "link/sub"] {
        let report = run(fileops::copy([tree.path("link")], tree.path(target)).links(Links::Follow));
        assert_eq!(refusals(&report), [Refusal::IntoItself], "{target}");
        tree.assert(entries);
    }
}

#[test]
fn a_directory_is_not_copied_into_itself_through_a_bind_mount() {
    require_root!();
    let entries = "a/file=hello a/sub/deep/ b/";
    let tree = Tree::new(entries);
    let (a, whole) = (tree.path("a"), Mount::bind(tree.root()).unwrap());
    let bound = Mount::bind(&a).unwrap();
    let at = |mount: &Mount, name: &str| mount.path().join(name);
    for (source, target) in [
        (a.clone(), bound.path().to_owned()),
        (a.clone(), at(&bound, "sub")),
        (a.clone(), at(&whole, "a")),
        (a.clone(), at(&whole, "a/sub/deep")),
        (bound.path().to_owned(), a.clone()),
        (bound.path().to_owned(), a.join("sub")),
        (at(&bound, "."), a.join("sub")),
        (at(&bound, "sub/.."), a.join("sub")),
        (at(&whole, "a"), at(&bound, "sub")),
        (at(&whole, "."), tree.path("b")),
    ] {
        refused_into(&source, &target);
        tree.assert(entries);
    }
}

#[test]
fn a_directory_that_leads_to_the_target_only_through_a_bind_mount_leaves_its_own_copy_out() {
    require_root!();
    let tree = Tree::new("top/a/sub/ top/b=x");
    // Above this is nothing of `top`.
    let bound = Mount::bind(&tree.path("top/a/sub")).unwrap();
    let report = run(fileops::copy([tree.path("top")], bound.path()));
    assert_eq!(refusals(&report), [Refusal::IntoItself]);
    tree.assert("top/a/sub/top/a/sub/ top/a/sub/top/b=x top/b=x");
}

#[test]
fn a_directory_onto_itself_is_refused_skipped_or_copied_beside() {
    for rule in RULES {
        for target in ["", "./", "b/.."] {
            let tree = Tree::new("a/file=hello a/sub/link->../file b/");
            let report = run(fileops::copy([tree.path("a")], tree.path(target)).on_conflict(rule));
            match rule {
                OnConflict::Rename => {
                    assert!(report.is_complete(), "{report:?}");
                    assert_same_tree(tree.path("a"), tree.path("a (2)"));
                    fs::remove_dir_all(tree.path("a (2)")).unwrap();
                }
                OnConflict::Skip => assert_eq!((refusals(&report), report.skipped.len()), (vec![], 1)),
                _ => assert_eq!(refusals(&report), [Refusal::SameFile], "{rule:?}"),
            }
            tree.assert("a/file=hello a/sub/link->../file b/");
        }
    }
}

/// Copying a file to a name that is the same file loses nothing by any rule.
#[track_caller]
fn keeps(tree: &Tree, source: &Path, name: &Path) {
    let before = (inode(source), inode(name));
    for rule in RULES {
        let report = run(fileops::copy_as(source, name).on_conflict(rule));
        let spelled = format!("{} to {}, {rule:?}", source.display(), name.display());
        match rule {
            OnConflict::Rename => {
                assert!(report.is_complete(), "{spelled}: {report:?}");
                let beside = name.with_file_name(format!("{} (2)", name.file_name().unwrap().to_string_lossy()));
                assert_eq!(fs::read(&beside).unwrap(), b"hello", "{spelled}");
                fs::remove_file(beside).unwrap();
            }
            OnConflict::Skip => assert_eq!((refusals(&report), report.skipped.len()), (vec![], 1), "{spelled}"),
            _ => assert_eq!(refusals(&report), [Refusal::SameFile], "{spelled}"),
        }
        assert_eq!((inode(source), inode(name)), before, "{spelled}");
        tree.assert("f=hello hard=>f d/ link->d");
    }
}

#[test]
fn a_file_onto_itself_is_kept_in_any_spelling_by_every_rule() {
    let tree = Tree::new("f=hello hard=>f d/ link->d");
    for name in ["f", "./f", "d/../f", "link/../f", "hard", "d/../hard"] {
        keeps(&tree, &tree.path("f"), &tree.path(name));
        keeps(&tree, &tree.path(name), &tree.path("f"));
    }
}

#[test]
fn a_file_onto_itself_through_a_bind_mount_is_kept_by_every_rule() {
    require_root!();
    let tree = Tree::new("f=hello hard=>f d/ link->d");
    let bound = Mount::bind(tree.root()).unwrap();
    for name in ["f", "hard"] {
        keeps(&tree, &tree.path("f"), &bound.path().join(name));
        keeps(&tree, &bound.path().join(name), &tree.path("f"));
    }
}

#[test]
fn a_file_onto_a_link_to_it_takes_the_place_of_the_link_alone() {
    for rule in RULES {
        let tree = Tree::new("f=hello sym->f");
        // Newer than the link, so that it is to be replaced by each rule that replaces.
        set_modified(&tree.path("sym"), 1);
        let report = run(fileops::copy_as(tree.path("f"), tree.path("sym")).on_conflict(rule));
        match rule {
            OnConflict::Fail => assert_eq!(refusals(&report), [Refusal::Exists]),
            OnConflict::Skip => assert_eq!(report.skipped.len(), 1),
            _ => assert!(report.is_complete(), "{rule:?}: {report:?}"),
        }
        tree.assert(match rule {
            OnConflict::Fail | OnConflict::Skip => "f=hello sym->f",
            OnConflict::Rename => "f=hello sym->f sym\\s(2)=hello",
            _ => "f=hello sym=hello",
        });
    }
}

#[test]
fn a_link_onto_the_file_it_leads_to_does_not_take_its_place() {
    for rule in RULES {
        for text in ["f", "./f", "other", "d/../f"] {
            let entries = format!("f=hello other->f d/ sym->{text}");
            let tree = Tree::new(&entries);
            set_modified(&tree.path("f"), 1);
            let report = run(fileops::copy_as(tree.path("sym"), tree.path("f")).on_conflict(rule));
            match rule {
                OnConflict::Fail => assert_eq!(refusals(&report), [Refusal::Exists]),
                OnConflict::Skip => assert_eq!(report.skipped.len(), 1),
                OnConflict::Rename => {
                    assert!(report.is_complete(), "{report:?}");
                    fs::remove_file(tree.path("f (2)")).unwrap();
                }
                _ => assert_eq!(refusals(&report), [Refusal::SameFile], "{rule:?}"),
            }
            tree.assert(&entries);
        }
    }
}

#[test]
fn a_followed_link_onto_the_file_it_leads_to_is_that_file() {
    let entries = "f=hello sym->f";
    let tree = Tree::new(entries);
    for rule in [OnConflict::Fail, OnConflict::Replace, OnConflict::Newer, OnConflict::Different] {
        let copy = fileops::copy_as(tree.path("sym"), tree.path("f")).links(Links::Follow);
        assert_eq!(refusals(&run(copy.on_conflict(rule))), [Refusal::SameFile], "{rule:?}");
        tree.assert(entries);
    }
}
