//! However an operation ends, the next one starts.

use super::{Busy, MOMENT, alone, assert_waits, complete, exists, finish, wait_until};
use fileops::Outcome;
use fileops_tests::require_fuse;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;

#[test]
fn the_next_starts_when_the_one_before_is_cancelled_though_its_call_never_ends() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    let second = busy.copy("second");
    assert_waits(&second, 1);
    busy.first.cancel();
    let report = finish(busy.first);
    assert_eq!((report.outcome, report.stuck.len()), (Outcome::Cancelled, 1));
    complete(second);
}

#[test]
fn the_next_starts_when_the_one_before_fails() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let (second, third) = (busy.copy("second"), busy.copy("third"));
    std::fs::remove_file(busy.sources.path("second")).unwrap();
    let (device, _sources) = busy.release();
    assert_eq!(finish(second).failures.len(), 1);
    complete(third);
    assert!(exists(&device, "third"));
}

#[test]
fn one_that_is_dropped_while_it_waits_starts_all_the_same() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    drop(busy.copy("second"));
    thread::sleep(MOMENT);
    assert!(!exists(&busy.device, "second"));
    let (device, _sources) = busy.release();
    wait_until("it is there", || exists(&device, "second"));
}

#[test]
fn a_future_that_is_dropped_while_it_waits_never_starts() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let mut second = fileops::copy([busy.sources.path("second")], busy.device.path()).into_future();
    assert!(Pin::new(&mut second).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let third = busy.copy("third");
    assert_waits(&third, 2);
    drop(second);
    assert_waits(&third, 1);
    let (device, _sources) = busy.release();
    complete(third);
    assert!(!exists(&device, "second"));
}

#[test]
fn one_whose_pool_is_dropped_while_it_waits_starts_all_the_same() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let pool = fileops::Pool::new();
    let second = fileops::copy([busy.sources.path("second")], busy.device.path()).pool(&pool).start();
    drop(pool);
    let third = busy.copy("third");
    let _last = busy.release();
    complete(second);
    complete(third);
}

#[test]
fn the_future_of_one_that_waits_is_woken_when_it_is_over() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    let second = busy.copy("second");
    let waiter = thread::spawn(move || second.wait());
    thread::sleep(MOMENT);
    let (device, _sources) = busy.release();
    assert!(waiter.join().expect("no panic").is_complete());
    assert!(exists(&device, "second"));
}

#[test]
fn one_that_stands_still_for_long_holds_up_nobody() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    let second = busy.copy("second");
    assert_waits(&second, 1);
    complete(second);
    assert!(exists(&busy.device, "second") && !busy.first.is_done());
    busy.release();
}
