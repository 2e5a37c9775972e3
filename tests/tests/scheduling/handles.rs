//! What the holder of an operation can do while it waits.

use super::{Busy, LONG, MOMENT, alone, assert_waits, complete, exists, finish, order, wait_until};
use fileops::{OnShortage, Outcome, Phase, scheduler};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};
use std::thread;
use std::time::Duration;

#[test]
fn a_cancelled_one_gives_its_report_at_once_and_has_touched_nothing() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let (second, third) = (busy.copy("second"), busy.copy("third"));
    assert_waits(&third, 2);
    second.cancel();
    assert!(second.is_done());
    let report = finish(second);
    assert_eq!((report.outcome, report.entries, report.elapsed), (Outcome::Cancelled, 0, Duration::ZERO));
    assert!(report.failures.is_empty() && report.stuck.is_empty());
    assert_waits(&third, 1);
    let (device, _sources) = busy.release();
    complete(third);
    assert_eq!(order(&device), "first third");
}

#[test]
fn a_paused_one_is_passed_and_goes_on_when_it_is_resumed() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let (second, third) = (busy.copy("second"), busy.copy("third"));
    second.pause();
    assert_eq!(second.progress().phase, Phase::Paused);
    assert_waits(&third, 1);
    let (device, _sources) = busy.release();
    complete(third);
    thread::sleep(MOMENT);
    assert_eq!((order(&device), second.progress().phase), ("first third".to_owned(), Phase::Paused));
    second.resume();
    complete(second);
    assert!(exists(&device, "second"));
}

#[test]
fn a_pause_frees_the_device_and_the_paused_one_waits_for_its_turn_when_it_is_resumed() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    busy.device.add(Fault::new(Op::Write, Action::Hang).nth(1));
    let second = busy.copy("second");
    assert_waits(&second, 1);
    busy.first.pause();
    assert!(busy.device.wait_hanging(2, LONG));
    assert_eq!((busy.first.progress().phase, second.progress().phase), (Phase::Paused, Phase::Running));
    busy.first.resume();
    assert_waits(&busy.first, 1);
    // The call that hung was made before the pause; the next one is not made.
    busy.device.release();
    complete(second);
    complete(busy.first);
}

#[test]
fn one_that_pauses_for_want_of_room_lets_somebody_make_room() {
    alone!();
    require_fuse!();
    let (device, sources) = (FaultFs::new(), Tree::new("new#60000"));
    std::fs::write(device.backing().join("old"), vec![1; 60_000]).unwrap();
    device.knobs(|knobs| knobs.quota = Some(100_000));
    let copy = fileops::copy([sources.path("new")], device.path()).on_shortage(OnShortage::Pause).start();
    wait_until("it is short of room", || copy.shortage().is_some());
    complete(fileops::delete([device.path().join("old")]).start());
    copy.resume();
    assert_eq!(copy.shortage(), None);
    complete(copy);
}

#[test]
fn one_that_waits_can_be_started_now() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let (second, third) = (busy.copy("second"), busy.copy("third"));
    assert_waits(&third, 2);
    third.start_now();
    complete(third);
    assert_waits(&second, 1);
    let _last = busy.release();
    complete(second);
}

#[test]
fn a_paused_one_can_be_started_now() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    let second = busy.copy("second");
    second.pause();
    second.start_now();
    complete(second);
    busy.release();
}

#[test]
fn the_order_of_those_that_wait_can_be_changed() {
    alone!();
    require_fuse!();
    let busy = Busy::new("a b c d");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| busy.copy(name));
    d.move_to_front();
    c.move_before(&b);
    let places = [&a, &b, &c, &d].map(|copy| copy.progress().place);
    assert_eq!(places, [Some(2), Some(4), Some(3), Some(1)]);
    let (device, _sources) = busy.release();
    [a, b, c, d].into_iter().for_each(complete);
    assert_eq!(order(&device), "first d a c b");
}

#[test]
fn all_can_be_paused_and_resumed() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let (second, third) = (busy.copy("second"), busy.copy("third"));
    scheduler().pause_all();
    let phases = [&busy.first, &second, &third].map(|operation| operation.progress().phase);
    assert_eq!(phases, [Phase::Paused; 3]);
    busy.device.release();
    thread::sleep(MOMENT);
    assert_eq!(order(&busy.device), "first");
    scheduler().resume_all();
    let (device, _sources) = busy.release();
    complete(second);
    complete(third);
    assert_eq!(order(&device), "first second third");
}

#[test]
fn all_that_are_not_over_are_listed_in_their_order() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let (second, third) = (busy.copy("second"), busy.copy("third"));
    third.move_before(&second);
    second.pause();
    let listed = scheduler().operations();
    let seen: Vec<_> = listed.iter().map(|one| (&*one.id, one.verb, one.phase, one.place)).collect();
    let expected = [
        (busy.first.id(), "copy", Phase::Running, None),
        (third.id(), "copy", Phase::Waiting, Some(1)),
        (second.id(), "copy", Phase::Paused, None),
    ];
    assert_eq!(seen, expected);
    assert!(listed.iter().all(|one| one.devices == listed[0].devices && one.devices.len() == 1));
    scheduler().start_now(second.id());
    complete(second);
    let _last = busy.release();
    complete(third);
    wait_until("none is listed", || scheduler().operations().is_empty());
}
