//! Pools of one's own: how they end.

use std::future::IntoFuture;
use std::time::Instant;

use fileops::{Pool, TaskError, block_on};
use fileops_tests::{Tree, assert_same_tree};

use crate::{Gate, SECOND, fill, wait};

#[test]
fn a_pool_that_is_dropped_gives_up_what_is_queued_and_lets_the_rest_end() {
    let (pool, gate) = (Pool::new(), Gate::new());
    let mut held = fill(&pool, &gate);
    let queued = pool.run(|| ());
    let last = held.pop().unwrap();
    let clone = pool.clone();
    drop(pool);
    let other = clone.run_at("/", || 3);
    assert_eq!(block_on(other), Ok(3), "a clone keeps the pool");
    let begun = Instant::now();
    drop(clone);
    assert!(begun.elapsed() < SECOND, "dropping a pool waits for nobody");
    // Nobody has opened the gate: these are told although no thread is free.
    assert_eq!(wait(queued), Some(Err(TaskError::PoolClosed)));
    assert_eq!(wait(last), Some(Err(TaskError::PoolClosed)));
    gate.open();
    let answers: Vec<_> = held.into_iter().map(block_on).collect();
    assert!(answers.contains(&Ok(())), "what was running has ended: {answers:?}");
}

#[test]
fn a_pool_can_be_dropped_inside_an_async_context() {
    let runtimes = [
        tokio::runtime::Builder::new_current_thread().build().unwrap(),
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
    ];
    for runtime in runtimes {
        let gate = Gate::new();
        let task = runtime.block_on(async {
            let pool = Pool::new();
            assert_eq!(pool.run(|| 1).await, Ok(1));
            let held = pool.run(gate.call());
            gate.wait_begun(1);
            let begun = Instant::now();
            drop(pool);
            assert!(begun.elapsed() < SECOND, "it waited for the call");
            Some(held)
        });
        gate.open();
        assert_eq!(runtime.block_on(task.unwrap()), Ok(()));
    }
}

#[test]
fn a_pool_can_be_dropped_by_its_own_call() {
    let (pool, gate) = (Pool::new(), Gate::new());
    let (call, last) = (gate.call(), pool.clone());
    let task = pool.run(move || {
        call();
        drop(last);
    });
    drop(pool);
    gate.open();
    assert_eq!(block_on(task), Ok(()));
}

#[test]
fn an_operation_keeps_the_pool_it_was_started_on() {
    let tree = Tree::new("a/file=hello a/sub/more#100000 b/ c/");
    let pool = Pool::new();
    let operation = fileops::copy([tree.path("a")], tree.path("b")).pool(&pool).start();
    let awaited = fileops::copy([tree.path("a")], tree.path("c")).pool(&pool);
    drop(pool);
    assert!(operation.wait().is_complete());
    assert!(block_on(awaited.into_future()).is_complete());
    assert_same_tree(tree.path("a"), tree.path("b/a"));
    assert_same_tree(tree.path("a"), tree.path("c/a"));
}

#[test]
fn a_full_pool_does_not_hold_up_another() {
    let (first, second, gate) = (Pool::new(), Pool::new(), Gate::new());
    let held = fill(&first, &gate);
    let answer = wait(second.run(|| 5));
    gate.open();
    held.into_iter().for_each(|task| block_on(task).unwrap());
    assert_eq!(answer, Some(Ok(5)));
}
