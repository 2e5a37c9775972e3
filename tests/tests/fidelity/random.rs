//! Random trees, each copied and compared entry by entry.

use std::fs;
use std::path::Path;

use fileops::{Copy, copy_as};
use fileops_tests::random::{ALL_TIMES, item, make, name};
use fileops_tests::skip::is_root;
use fileops_tests::temp::Temp;
use fileops_tests::{Mount, assert_same_tree, require_root};
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::run_whole;

/// Copies random trees, always the same ones.
fn check(to: &Path, cases: u32, with: impl Fn(Copy) -> Copy) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let done = runner.run(&vec(item(name(), 3_000_000, ALL_TIMES), 0..60), |items| {
        let from = Temp::new("random").expect("a directory");
        let (source, target) = (from.path().join("src"), to.join("dst"));
        make(&source, &items);
        run_whole(with(copy_as(&source, &target)));
        assert_same_tree(&source, &target);
        fs::remove_dir_all(&target).expect("removed");
        Ok(())
    });
    done.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn random_trees_are_the_same_on_a_disk() {
    require_root!();
    let target = Temp::new("target").expect("a directory");
    check(target.path(), 20, |copy| copy);
    assert!(is_root());
}

#[test]
fn random_trees_are_the_same_in_memory_and_with_many_workers() {
    require_root!();
    let memory = Mount::tmpfs("size=128m").expect("tmpfs");
    check(memory.path(), 20, |copy| copy.jobs(8));
}
