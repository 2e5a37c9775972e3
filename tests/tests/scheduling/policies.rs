//! Always, per device, one at a time.

use super::{Busy, LONG, alone, assert_waits, complete, exists};
use fileops::{Schedule, scheduler};
use fileops_tests::{Action, Fault, FaultFs, Op, require_fuse};

#[test]
fn all_start_at_once_when_that_is_the_policy() {
    alone!();
    require_fuse!();
    assert_eq!(scheduler().schedule(), Schedule::PerDevice);
    scheduler().set_schedule(Schedule::Always);
    let busy = Busy::new("second");
    complete(busy.copy("second"));
    assert!(exists(&busy.device, "second") && !exists(&busy.device, "first"));
    busy.release();
}

#[test]
fn one_goes_at_a_time_when_that_is_the_policy_but_a_measure_goes_too() {
    alone!();
    require_fuse!();
    scheduler().set_schedule(Schedule::OneAtATime);
    let (busy, other) = (Busy::new("second"), FaultFs::new());
    let second = fileops::copy([busy.sources.path("second")], other.path()).start();
    assert_waits(&second, 1);
    complete(fileops::measure([busy.sources.path("second")]).start());
    let _last = busy.release();
    complete(second);
}

#[test]
fn a_new_policy_starts_what_need_not_wait_any_more() {
    alone!();
    require_fuse!();
    scheduler().set_schedule(Schedule::OneAtATime);
    let (busy, other) = (Busy::new("second third"), FaultFs::new());
    let second = busy.copy("second");
    let third = fileops::copy([busy.sources.path("third")], other.path()).start();
    assert_waits(&third, 2);
    scheduler().set_schedule(Schedule::PerDevice);
    complete(third);
    assert_waits(&second, 1);
    scheduler().set_schedule(Schedule::Always);
    complete(second);
    busy.release();
}

#[test]
fn a_new_policy_leaves_alone_what_runs() {
    alone!();
    require_fuse!();
    scheduler().set_schedule(Schedule::Always);
    let busy = Busy::new("second third");
    busy.device.add(Fault::new(Op::Write, Action::Hang).nth(1));
    let second = busy.copy("second");
    assert!(busy.device.wait_hanging(2, LONG));
    scheduler().set_schedule(Schedule::PerDevice);
    assert!(!second.is_waiting());
    let third = busy.copy("third");
    assert_waits(&third, 2);
    let _last = busy.release();
    complete(second);
    complete(third);
}
