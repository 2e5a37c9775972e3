//! P9: whether two files are the same, exactly, when somebody asks.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use fileops::{Conflict, OnConflict, Operation, Question, Resolution, Scope, copy_as};
use fileops_tests::Tree;

use crate::{about, asked, end, skipped, wait_until};

/// As large as the promise says, and holes at both ends, so that it takes no room.
const LARGE: u64 = 1 << 30;

fn conflict(operation: &Operation, name: &str, count: usize) -> Conflict {
    match &about(&asked(operation, count), name).question {
        Question::Conflict(conflict) => Conflict::clone(conflict),
        other => panic!("{other:?}"),
    }
}

fn large(tree: &Tree, name: &str, byte: u8) {
    let file = File::create(tree.path(name)).unwrap();
    file.set_len(LARGE).unwrap();
    file.write_all_at(&[byte], LARGE / 2 + 12_345).unwrap();
}

#[test]
fn two_large_files_that_differ_in_one_byte_are_different_and_equal_ones_are_skipped_by_rule() {
    let tree = Tree::new("from/ to/");
    large(&tree, "from/a", 1);
    large(&tree, "to/a", 2);
    large(&tree, "from/b", 1);
    large(&tree, "to/b", 1);
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    assert!(!conflict(&operation, "a", 2).compare().wait().unwrap());
    assert!(conflict(&operation, "b", 2).compare().wait().unwrap());
    let id = operation.questions()[0].id;
    operation.answer(id, Resolution::Different, Scope::Kind).unwrap();
    assert_eq!(skipped(&end(operation)), ["b"]);
    let mut byte = [0];
    File::open(tree.path("to/a")).unwrap().read_exact_at(&mut byte, LARGE / 2 + 12_345).unwrap();
    assert_eq!(byte, [1]);
}

#[test]
fn links_and_kinds_are_compared_too() {
    let tree = Tree::new("from/a->x to/a->x from/b->x to/b->y from/c=x to/c->x from/d| to/d|");
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let is_equal = |name| conflict(&operation, name, 4).compare().wait().unwrap();
    assert_eq!(["a", "b", "c", "d"].map(is_equal), [true, false, false, true]);
    operation.cancel();
    let _ = end(operation);
}

#[test]
fn a_comparison_that_is_dropped_or_whose_operation_is_cancelled_ends() {
    let tree = Tree::new("from/ to/");
    large(&tree, "from/a", 1);
    large(&tree, "to/a", 1);
    let operation = copy_as(tree.path("from"), tree.path("to")).on_conflict(OnConflict::Ask).start();
    let conflict = conflict(&operation, "a", 1);
    let read = || {
        let io = fs::read_to_string("/proc/self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse::<u64>().unwrap()
    };
    let comparison = conflict.compare();
    let begun = read();
    wait_until(|| read() > begun + (1 << 20));
    drop(comparison);
    let dropped = read();
    std::thread::sleep(Duration::from_millis(300));
    assert!(read() - dropped < LARGE, "it was read to its end");
    let comparison = conflict.compare();
    let since = Instant::now();
    operation.cancel();
    assert_eq!(comparison.wait().unwrap_err().kind(), std::io::ErrorKind::Interrupted);
    assert!(since.elapsed() < Duration::from_millis(500));
    let _ = end(operation);
    assert_eq!(conflict.compare().wait().unwrap_err().kind(), std::io::ErrorKind::Interrupted);
}
