//! Very many operations at once.

use super::{Busy, alone, complete, finish, order, wait_until};
use fileops::scheduler;
use fileops_tests::require_fuse;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc is there").count()
}

#[test]
fn two_hundred_wait_without_threads_of_their_own_and_start_in_order() {
    alone!();
    require_fuse!();
    let names: Vec<_> = (0..200).map(|n| format!("n{n}")).collect();
    let busy = Busy::new(&names.join(" "));
    let before = threads();
    let copies: Vec<_> = names.iter().map(|name| busy.copy(name)).collect();
    let places: Vec<_> = copies.iter().map(|copy| copy.progress().place).collect();
    assert_eq!(places, (1..=200).map(Some).collect::<Vec<_>>());
    // The looks at their sources have the threads of one lane, and the watch has one.
    assert!(threads() <= before + 20, "{} threads, {before} before", threads());
    let (device, _sources) = busy.release();
    copies.into_iter().for_each(complete);
    assert_eq!(order(&device), format!("first {}", names.join(" ")));
}

#[test]
fn all_of_two_hundred_can_be_cancelled_at_once() {
    alone!();
    require_fuse!();
    let names: Vec<_> = (0..200).map(|n| format!("n{n}")).collect();
    let busy = Busy::new(&names.join(" "));
    let copies: Vec<_> = names.iter().map(|name| busy.copy(name)).collect();
    copies.iter().for_each(|copy| copy.cancel());
    assert!(copies.iter().all(|copy| copy.is_done()));
    copies.into_iter().for_each(|copy| drop(finish(copy)));
    let (device, _sources) = busy.release();
    assert_eq!(order(&device), "first");
    wait_until("none is left", || scheduler().operations().is_empty());
}
