//! Counting as du does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fileops::Action;
use fileops_tests::{Tree, as_user, require_command, require_root, test_name, user::variable, user_part};

use crate::{complete, errnos, run};

/// The sum that du prints, in bytes.
fn du(flags: &[&str], paths: &[PathBuf]) -> u64 {
    let output = Command::new("du").args(["-s", "-c", "--block-size=1"]).args(flags).args(paths).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next_back().unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// The sizes of directories and links, which du takes for contents.
fn overhead(path: &Path) -> u64 {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.is_dir() {
        meta.len() + fs::read_dir(path).unwrap().map(|entry| overhead(&entry.unwrap().path())).sum::<u64>()
    } else if meta.is_symlink() {
        meta.len()
    } else {
        0
    }
}

fn tree() -> Tree {
    let tree = Tree::new(
        "a/file=hello a/big#1000000 a/hard=>a/big a/link->big a/out->../b/other a/pipe| a/sub/deep/x#5000 \
         a/none= b/other#70000 b/hard=>a/big",
    );
    let hole = fs::File::create(tree.path("a/hole")).unwrap();
    hole.set_len(50_000_000).unwrap();
    tree
}

#[test]
fn a_tree_is_measured_as_du_measures_it() {
    require_command!("du");
    let tree = tree();
    let a = tree.path("a");
    let report = complete(fileops::measure([&a]));
    assert_eq!(report.allocated, du(&[], std::slice::from_ref(&a)));
    assert_eq!(report.bytes + overhead(&a), du(&["--apparent-size"], &[a]));
    assert_eq!(report.bytes, 51_005_005);
    assert!(report.allocated < 10_000_000, "a hole takes no room");
    assert_eq!((report.entries, report.files, report.directories), (12, 6, 3));
    assert_eq!((report.symlinks, report.specials), (2, 1));
}

#[test]
fn several_paths_are_one_sum_in_which_a_file_counts_once() {
    require_command!("du");
    let tree = tree();
    let paths = ["a", "b", "a/big"].map(|name| tree.path(name));
    let both = complete(fileops::measure(&paths[..2]));
    assert_eq!(both.allocated, du(&[], &paths[..2]));
    assert_eq!(both.bytes, 51_075_005);
    let names = complete(fileops::measure([tree.path("a/big"), tree.path("b/hard"), tree.path("a/hard")]));
    assert_eq!((names.entries, names.bytes), (3, 1_000_000));
    let alone = complete(fileops::measure([tree.path("b/hard")]));
    assert_eq!(alone.bytes, 1_000_000);
}

#[test]
fn links_are_not_followed() {
    let tree = tree();
    let report = complete(fileops::measure([tree.path("a/link"), tree.path("a/out")]));
    assert_eq!((report.symlinks, report.files, report.bytes), (2, 0, 0));
    let dirs = Tree::new("real/big#100000 link->real");
    let link = complete(fileops::measure([dirs.path("link"), dirs.path("link/")]));
    assert_eq!((link.symlinks, link.bytes), (2, 0));
    // Its contents are asked for.
    assert_eq!(complete(fileops::measure([dirs.path("link/.")])).bytes, 100_000);
}

#[test]
fn one_file_and_a_missing_one_are_measured() {
    let tree = tree();
    let report = run(fileops::measure([tree.path("missing"), tree.path("a/file"), tree.path("missing/in")]));
    assert_eq!((report.entries, report.bytes), (1, 5));
    assert_eq!(errnos(&report), [libc::ENOENT; 2]);
}

#[test]
fn a_directory_that_cannot_be_read_is_a_failure_and_the_rest_is_counted() {
    user_part!("user", {
        let path = variable("TREE");
        let report = run(fileops::measure([&path]));
        let mut failed: Vec<_> = report.failures.iter().map(|error| (error.action, error.path.clone())).collect();
        failed.sort_by(|a, b| a.1.cmp(&b.1));
        let closed = ["closed", "sub/closed"].map(|name| (Action::Open, Path::new(&path).join(name)));
        assert_eq!((failed, errnos(&report)), (closed.to_vec(), vec![libc::EACCES; 2]));
        // A file that cannot be read can be measured.
        assert_eq!((report.files, report.bytes), (3, 11));
    });
    require_root!();
    let tree = Tree::new("closed!700/ closed/in=x sub/closed!0/ sub/closed/in=x a=hello b!0=world sub/c=!");
    as_user(1000, 1000, test_name!(), "user", &[("TREE", tree.root().as_ref())]);
}

#[test]
fn a_tree_is_measured_alike_by_any_number_of_workers() {
    let tree = tree();
    let counted = |workers| {
        let report = complete(fileops::measure([tree.root()]).jobs(workers));
        (report.entries, report.bytes, report.allocated)
    };
    let one = counted(1);
    assert!([2, 5, 16].iter().all(|&workers| counted(workers) == one));
    let meta = fs::metadata(tree.path("a/big")).unwrap();
    assert!(one.2 >= meta.blocks() * 512);
}

#[test]
fn a_path_that_is_given_twice_or_lies_in_another_counts_its_bytes_once() {
    let tree = Tree::new("a/b/file#5000 a/b/other#70000 a/c=hello");
    let one = complete(fileops::measure([tree.path("a")]));
    assert_eq!(one.bytes, 75_005);
    for second in ["a", "a/b", "a/b/file", "a/.", "a/b/../../a"] {
        for jobs in [1, 4] {
            let both = complete(fileops::measure([tree.path("a"), tree.path(second)]).jobs(jobs));
            assert_eq!((both.bytes, both.allocated), (one.bytes, one.allocated), "{second}");
        }
    }
}
