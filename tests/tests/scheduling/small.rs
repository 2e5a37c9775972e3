//! A small operation goes beside a long one.

use super::{LONG, alone, assert_waits, complete, exists, wait_until};
use fileops::Operation;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};
use std::fs::File;
use std::io::Write;

/// A device that is busy with a long copy, which hangs.
struct Long {
    device: FaultFs,
    sources: Tree,
    copy: Operation,
}

impl Long {
    fn new(others: &str) -> Long {
        let (device, sources) = (FaultFs::new(), Tree::new(others));
        for name in ["long", "longer"] {
            // Nearly nothing but a hole: what is copied is little.
            let mut file = File::create(sources.path(name)).unwrap();
            file.write_all(b"x").unwrap();
            file.set_len(1 << 30).unwrap();
        }
        device.add(Fault::new(Op::Write, Action::Hang).nth(1));
        device.knobs(|knobs| knobs.sparse = true);
        let copy = fileops::copy([sources.path("long")], device.path()).start();
        assert!(device.wait_hanging(1, LONG));
        Long { device, sources, copy }
    }

    fn copy(&self, name: &str) -> Operation {
        fileops::copy([self.sources.path(name)], self.device.path()).start()
    }

    fn end(self) {
        self.copy.cancel();
        self.device.release();
        let _ = self.copy.wait();
    }
}

#[test]
fn a_small_copy_overtakes_those_that_wait_and_goes_beside_the_one_that_runs() {
    alone!();
    require_fuse!();
    let long = Long::new("small/one=x small/two=x");
    let longer = long.copy("longer");
    assert_waits(&longer, 1);
    complete(long.copy("small"));
    assert!(exists(&long.device, "small/two") && !exists(&long.device, "long"));
    assert_waits(&longer, 1);
    longer.cancel();
    long.end();
}

#[test]
fn of_two_small_copies_one_goes_at_a_time() {
    alone!();
    require_fuse!();
    let long = Long::new("one=x two=x");
    long.device.add(Fault::new(Op::Write, Action::Hang).nth(1));
    let one = long.copy("one");
    assert!(long.device.wait_hanging(2, LONG));
    let two = long.copy("two");
    wait_until("it waits for the other small one only", || two.progress().place == Some(1));
    assert_waits(&two, 1);
    long.device.release();
    complete(one);
    complete(two);
    long.end();
}

#[test]
fn a_long_copy_starts_although_a_small_one_runs() {
    alone!();
    require_fuse!();
    let long = Long::new("small=x");
    long.device.add(Fault::new(Op::Write, Action::Hang).nth(1));
    let small = long.copy("small");
    assert!(long.device.wait_hanging(2, LONG));
    let longer = long.copy("longer");
    // Until it is known that it is long, it waits for both.
    wait_until("it waits for the long one only", || longer.progress().place == Some(1));
    long.copy.cancel();
    let _ = long.copy.wait();
    wait_until("it has begun", || !longer.is_waiting());
    assert!(!small.is_done());
    long.device.release();
    complete(small);
    complete(longer);
}

#[test]
fn a_copy_of_many_files_is_not_small() {
    alone!();
    require_fuse!();
    let files: String = (0..200).map(|n| format!("many/{n}=x ")).collect();
    let long = Long::new(&files);
    let many = long.copy("many");
    assert_waits(&many, 1);
    many.cancel();
    long.end();
}

#[test]
fn one_whose_sources_hang_waits_in_order_and_can_be_cancelled() {
    alone!();
    require_fuse!();
    let (long, hanging) = (Long::new("small=x"), FaultFs::new());
    std::fs::write(hanging.backing().join("file"), "x").unwrap();
    hanging.add(Fault::new(Op::Lookup, Action::Hang));
    let stuck = fileops::copy([hanging.path().join("file")], long.device.path()).start();
    assert!(hanging.wait_hanging(1, LONG));
    assert_waits(&stuck, 1);
    // It counts as long in the end, though nobody knows.
    complete(long.copy("small"));
    stuck.cancel();
    assert!(stuck.is_done());
    long.end();
}
