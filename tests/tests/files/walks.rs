//! Trees as streams.

use crate::odd;
use fileops::{Result, block_on, fs};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};
use std::path::{Path, PathBuf};

/// Paths below the root, and errors.
fn walked(root: &Path, mut walk: fs::Walk) -> (Vec<PathBuf>, Vec<fileops::Error>) {
    let (mut paths, mut errors) = (Vec::new(), Vec::new());
    while let Some(entry) = block_on(walk.next()) {
        match entry {
            Ok(entry) => {
                let path = entry.path().strip_prefix(root).unwrap().to_owned();
                assert_eq!(path.components().count(), entry.depth());
                paths.push(path);
            }
            Err(error) => errors.push(error),
        }
    }
    paths.sort();
    (paths, errors)
}

fn paths(root: &Path, walk: fs::Walk) -> Vec<PathBuf> {
    let (paths, errors) = walked(root, walk);
    assert!(errors.is_empty(), "{errors:?}");
    paths
}

fn list(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn a_walk_finds_everything_below_a_path() {
    let tree = Tree::new("a/b/c=x a/d/ e->a f|");
    std::fs::write(odd(&tree.path("a")), "").unwrap();
    let root = tree.root();
    let all = paths(root, fs::walk(root));
    let odd = odd(Path::new("a"));
    assert_eq!(all, [list(&["", "a", "a/b", "a/b/c"]), vec![odd], list(&["a/d", "e", "f"])].concat());
    assert_eq!(paths(root, fs::walk(root).min_depth(1).max_depth(1)), list(&["a", "e", "f"]));
    let file = tree.path("a/b/c");
    assert_eq!(paths(&file, fs::walk(&file)), list(&[""]));
}

#[test]
fn more_than_a_batch_comes_whole_and_with_attributes() {
    let tree = Tree::new("");
    for number in 0..2000 {
        std::fs::create_dir_all(tree.path(format!("{}", number % 40))).unwrap();
        std::fs::write(tree.path(format!("{}/{number}", number % 40)), vec![0; number]).unwrap();
    }
    let mut walk = fs::walk(tree.root()).with_metadata();
    let (mut bytes, mut files) = (0, 0);
    while let Some(entry) = block_on(walk.next()) {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        assert_eq!(metadata.kind(), entry.kind());
        if metadata.is_file() {
            (files, bytes) = (files + 1, bytes + metadata.len());
        }
    }
    assert_eq!((files, bytes), (2000, 1999 * 2000 / 2));
}

#[test]
fn what_is_not_entered_is_an_entry_all_the_same() {
    let tree = Tree::new("a/b/c=x d/b/e=y");
    let walk = fs::walk(tree.root()).descend_into(|entry| entry.file_name() != "b" || entry.depth() < 2);
    assert_eq!(paths(tree.root(), walk), list(&["", "a", "a/b", "d", "d/b"]));
}

#[test]
fn links_are_followed_when_asked_and_a_loop_is_told() {
    let tree = Tree::new("a/b/c=x a/up->.. d->a/b");
    let (found, errors) = walked(tree.root(), fs::walk(tree.root()).follow_links());
    assert_eq!(found, list(&["", "a", "a/b", "a/b/c", "d", "d/c"]));
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!((error.errno(), &error.path), (Some(libc::ELOOP), &tree.path("a/up")));
    assert_eq!(error.target.as_deref(), Some(tree.root()));
}

#[test]
fn an_error_is_in_its_place_and_the_walk_goes_on() {
    require_fuse!();
    let fault = FaultFs::new();
    for dir in ["a", "bad", "z"] {
        std::fs::create_dir(fault.backing().join(dir)).unwrap();
        std::fs::write(fault.backing().join(dir).join("file"), "").unwrap();
    }
    fault.add(Fault::new(Op::Opendir, Action::Errno(libc::EIO)).name("bad"));
    let (found, errors) = walked(fault.path(), fs::walk(fault.path()));
    assert_eq!(found, list(&["", "a", "a/file", "bad", "z", "z/file"]));
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!((error.errno(), &error.path), (Some(libc::EIO), &fault.path().join("bad")));
}

#[test]
fn a_path_that_is_not_there_is_one_error() {
    let tree = Tree::new("");
    let all: Vec<Result<fs::WalkEntry>> = block_on(async {
        let mut walk = fs::walk(tree.path("missing"));
        let first = walk.next().await;
        assert!(walk.next().await.is_none());
        first.into_iter().collect()
    });
    assert_eq!(all[0].as_ref().unwrap_err().errno(), Some(libc::ENOENT));
}
