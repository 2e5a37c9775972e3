//! One device in order, others at once.

use super::{Busy, LONG, MOMENT, alone, assert_waits, complete, exists, order, wait_until};
use fileops::Phase;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};
use std::thread;

#[test]
fn two_copies_to_one_slow_device_are_in_order_and_a_third_to_another_starts_at_once() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second third");
    let second = busy.copy("second");
    assert_waits(&second, 1);
    let other = FaultFs::new();
    complete(fileops::copy([busy.sources.path("third")], other.path()).start());
    assert!(exists(&other, "third"));
    let (device, _sources) = busy.release();
    complete(second);
    assert_eq!(order(&device), "first second");
}

#[test]
fn of_two_trees_no_request_comes_between_the_others() {
    alone!();
    require_fuse!();
    let files = |letter: char| (0..30).map(|n| format!("{letter}/{letter}{n}=x ")).collect::<String>();
    let (device, sources) = (FaultFs::new(), Tree::new(&(files('a') + &files('b'))));
    let copies = ["a", "b"].map(|name| fileops::copy([sources.path(name)], device.path()).start());
    copies.into_iter().for_each(complete);
    let names = order(&device);
    let last = names.rfind(" a").expect("some names");
    assert!(names.find(" b").is_some_and(|first| first > last), "{names}");
}

#[test]
fn what_waits_asks_nothing_of_its_device() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    let second = busy.copy("second");
    assert_waits(&second, 1);
    assert_eq!((order(&busy.device), second.progress().elapsed), ("first".to_owned(), std::time::Duration::ZERO));
    let _last = busy.release();
    complete(second);
}

#[test]
fn what_reads_from_a_busy_device_waits_too() {
    alone!();
    require_fuse!();
    let (busy, target) = (Busy::new("second"), Tree::new(""));
    std::fs::write(busy.device.backing().join("there"), "x").unwrap();
    let second = fileops::copy([busy.device.path().join("there")], target.root()).start();
    assert_waits(&second, 1);
    let _last = busy.release();
    complete(second);
    target.assert("there=x");
}

#[test]
fn a_deletion_waits_too_and_a_measure_does_not() {
    alone!();
    require_fuse!();
    let busy = Busy::new("second");
    std::fs::write(busy.device.backing().join("there"), "x").unwrap();
    let delete = fileops::delete([busy.device.path().join("there")]).start();
    assert_waits(&delete, 1);
    complete(fileops::measure([busy.device.path().join("there")]).start());
    assert!(exists(&busy.device, "there"));
    let (device, _sources) = busy.release();
    complete(delete);
    assert!(!exists(&device, "there"));
}

#[test]
fn memory_and_ordinary_disks_have_no_queue() {
    alone!();
    require_fuse!();
    // What hangs is the source, which is a device of its own for each.
    let (one, two, target) = (FaultFs::new(), FaultFs::new(), Tree::new(""));
    let copies = [&one, &two].map(|fs| {
        std::fs::write(fs.backing().join("file"), "x").unwrap();
        fs.add(Fault::new(Op::Read, Action::Hang).nth(1));
        let dir = target.path(if std::ptr::eq(fs, &one) { "one" } else { "two" });
        std::fs::create_dir(&dir).unwrap();
        fileops::copy([fs.path().join("file")], dir).start()
    });
    assert!(one.wait_hanging(1, LONG) && two.wait_hanging(1, LONG));
    complete(fileops::copy_as(target.path("one"), target.path("three")).start());
    one.release();
    two.release();
    copies.into_iter().for_each(complete);
}

#[test]
fn two_devices_crosswise_do_not_lock_up() {
    alone!();
    require_fuse!();
    let (one, two) = (FaultFs::new(), FaultFs::new());
    for (fs, name) in [(&one, "from-one"), (&two, "from-two")] {
        std::fs::write(fs.backing().join(name), "x").unwrap();
        std::fs::create_dir(fs.backing().join("into")).unwrap();
    }
    for round in 0..10 {
        one.add(Fault::new(Op::Write, Action::Hang).nth(1));
        let copy = |from: &FaultFs, name: &str, to: &FaultFs| {
            let target = to.path().join(format!("into/{name}-{round}"));
            fileops::copy_as(from.path().join(name), target).start()
        };
        let first = copy(&one, "from-one", &one);
        assert!(one.wait_hanging(1, LONG));
        let others = [
            copy(&one, "from-one", &two),
            copy(&two, "from-two", &one),
            copy(&two, "from-two", &two),
            copy(&one, "from-one", &one),
        ];
        // The third could have its one device, but somebody is in line for that before it.
        thread::sleep(MOMENT / 10);
        assert!(others.iter().all(|other| other.progress().phase == Phase::Waiting));
        one.clear();
        one.release();
        complete(first);
        // The last one has the name of the first, which is there.
        let [a, b, c, last] = others;
        [a, b, c].into_iter().for_each(complete);
        wait_until("all are over", || last.is_done());
    }
}
