//! One blocking call as a future: dropped, panicked, polled by many.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fileops::{Pool, TaskError, block_on};

use crate::{Gate, LONG, MORE_THAN_A_LANE, fill, wait_until};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, woken: &Arc<Woken>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&woken.waker()))
}

#[test]
fn a_task_that_is_dropped_in_the_queue_never_starts() {
    let (pool, gate) = (Pool::new(), Gate::new());
    let held = fill(&pool, &gate);
    let started = Arc::new(AtomicUsize::new(0));
    let call = || {
        let started = Arc::clone(&started);
        move || started.fetch_add(1, Ordering::SeqCst)
    };
    let mut polled = pool.run(call());
    assert!(poll(&mut polled, &Arc::default()).is_pending());
    let kept = pool.run(call());
    drop((polled, pool.run(call())));
    gate.open();
    held.into_iter().for_each(|task| block_on(task).unwrap());
    assert_eq!(block_on(kept), Ok(0));
    block_on(pool.run(|| ())).unwrap();
    assert_eq!(started.load(Ordering::SeqCst), 1);
}

#[test]
fn a_task_that_is_dropped_while_it_runs_ends_by_itself() {
    let (pool, gate) = (Pool::new(), Gate::new());
    let (call, (done, ended)) = (gate.call(), channel());
    let task = pool.run(move || {
        call();
        done.send(()).unwrap();
    });
    gate.wait_begun(1);
    drop(task);
    assert!(ended.try_recv().is_err());
    gate.open();
    ended.recv_timeout(LONG).expect("the call went on to its end");
}

#[test]
fn the_result_of_a_dropped_task_is_dropped_too() {
    struct Result(Arc<AtomicBool>);
    impl Drop for Result {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (pool, gate, was_dropped) = (Pool::new(), Gate::new(), Arc::new(AtomicBool::new(false)));
    let (call, result) = (gate.call(), Result(Arc::clone(&was_dropped)));
    let task = pool.run(move || {
        call();
        result
    });
    gate.wait_begun(1);
    drop(task);
    gate.open();
    wait_until("the result is dropped", || was_dropped.load(Ordering::SeqCst));
}

#[test]
fn more_panics_than_threads_leave_a_pool_that_works() {
    let pool = Pool::new();
    let tasks: Vec<_> = (0..MORE_THAN_A_LANE).map(|_| pool.run(|| panic!("this panic is part of the test"))).collect();
    for task in tasks {
        let message = "this panic is part of the test".to_owned();
        assert_eq!(block_on(task), Err::<(), _>(TaskError::Panicked(message)));
    }
    let number = 7;
    let formatted = block_on(pool.run(move || panic!("number {number}, part of the test")));
    assert_eq!(formatted, Err::<(), _>(TaskError::Panicked("number 7, part of the test".to_owned())));
    let odd = block_on(pool.run(|| std::panic::panic_any(5)));
    assert!(matches!(odd, Err::<(), _>(TaskError::Panicked(_))));
    let all: Vec<_> = (0..100).map(|number| pool.run(move || number)).collect();
    assert_eq!(all.into_iter().map(|task| block_on(task).unwrap()).sum::<i32>(), 4950);
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_woken() {
    let (pool, gate) = (Pool::new(), Gate::new());
    let mut task = pool.run(gate.call());
    let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
    assert!(poll(&mut task, &first).is_pending());
    assert!(poll(&mut task, &second).is_pending());
    gate.open();
    wait_until("the second is woken", || second.times() > 0);
    assert_eq!((first.times(), second.times()), (0, 1));
    assert_eq!(poll(&mut task, &first), Poll::Ready(Ok(())));
}

#[test]
fn a_task_can_be_polled_in_a_loop_beside_others() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (pool, gate) = (Pool::new(), Gate::new());
        let mut slow = pin!(pool.run(gate.call()));
        let mut gate = Some(gate);
        let (mut ticks, mut quick) = (0, 0);
        loop {
            tokio::select! {
                done = &mut slow => break done.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(1)) => ticks += 1,
                // Made anew each time, and often dropped before it is done.
                done = pool.run(|| 1) => quick += done.unwrap(),
            }
            if ticks >= 1 && quick >= 5 {
                gate.take().into_iter().for_each(Gate::open);
            }
        }
        assert!(ticks >= 1 && quick >= 5);
    });
}

#[test]
fn a_task_that_lost_a_race_does_not_hold_its_thread() {
    let pool = Pool::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..MORE_THAN_A_LANE {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = std::future::ready(()) => (),
                _ = pool.run(|| std::thread::sleep(Duration::from_millis(1))) => (),
            }
        });
    }
    assert_eq!(block_on(pool.run(|| 1)), Ok(1));
}

#[test]
fn many_threads_use_one_pool() {
    let pool = Pool::new();
    let sum: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let pool = pool.clone();
                scope.spawn(move || (0..500).map(|number| block_on(pool.run(move || number)).unwrap()).sum::<u64>())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(sum, 8 * 124_750);
}

#[test]
fn a_task_moves_to_another_thread_between_polls() {
    let (pool, gate) = (Pool::new(), Gate::new());
    let mut task = pool.run(gate.call());
    assert!(poll(&mut task, &Arc::default()).is_pending());
    let elsewhere = std::thread::spawn(move || block_on(task));
    gate.open();
    assert_eq!(elsewhere.join().unwrap(), Ok(()));
}
