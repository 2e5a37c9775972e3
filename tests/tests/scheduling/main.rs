//! When operations start: in order on a device that does one thing at a time, at once on all others.

mod ends;
mod handles;
mod many;
mod order;
mod policies;
mod small;

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use fileops::{Operation, Phase, Report};
use fileops_tests::temp::Temp;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// Long enough for what must not happen to happen if it could.
const MOMENT: Duration = Duration::from_millis(100);

/// Says to a process of this program that it has a scheduler and a state directory of its own.
const ALONE: &str = "FILEOPS_TEST_ALONE";

/// Runs the rest of the test in a process of its own: there is one scheduler for a process.
macro_rules! alone {
    () => {
        if std::env::var_os(crate::ALONE).is_none() {
            return crate::run_alone(fileops_tests::test_name!());
        }
    };
}

pub(crate) use alone;

fn run_alone(test: &str) {
    let home = Temp::new("home").expect("a temporary directory");
    let mut command = Command::new("timeout");
    command.arg("120").arg(std::env::current_exe().expect("a program"));
    command.args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"]);
    command.env(ALONE, "1").env("HOME", home.path()).env("XDG_STATE_HOME", home.path().join("state"));
    let output = command.output().expect("this program runs");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{test} failed:\n{said}");
    said.lines().filter_map(|line| line.find("skipped: ").map(|at| &line[at..])).for_each(|line| println!("{line}"));
}

/// A device whose first operation hangs in its first write, and the sources of some operations.
struct Busy {
    device: FaultFs,
    sources: Tree,
    first: Operation,
}

impl Busy {
    /// `names` are sources of one file each, beside the first operation's.
    fn new(names: &str) -> Busy {
        let all: String = ["first"].into_iter().chain(names.split(' ')).map(|name| format!("{name}=x ")).collect();
        let (device, sources) = (FaultFs::new(), Tree::new(&all));
        // A call that makes a name would lock the directory for all others.
        device.add(Fault::new(Op::Write, Action::Hang).nth(1));
        let first = fileops::copy([sources.path("first")], device.path()).start();
        assert!(device.wait_hanging(1, LONG));
        Busy { device, sources, first }
    }

    /// Starts another copy to the device.
    fn copy(&self, name: &str) -> Operation {
        fileops::copy([self.sources.path(name)], self.device.path()).start()
    }

    /// Lets the first operation end.
    fn release(self) -> (FaultFs, Tree) {
        self.device.release();
        complete(self.first);
        (self.device, self.sources)
    }
}

/// The names that the device was asked about, in the order in which it was first asked about each.
fn order(device: &FaultFs) -> String {
    let mut names: Vec<String> = Vec::new();
    for (_, path) in device.log() {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !name.starts_with('.') && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names.join(" ")
}

#[track_caller]
fn complete(operation: Operation) {
    let report = finish(operation);
    assert!(report.is_complete(), "{report:?}");
}

/// Waits for the end of an operation, which must come.
#[track_caller]
fn finish(operation: Operation) -> Report {
    let (send, receive) = channel();
    thread::spawn(move || send.send(Box::new(operation.wait())).is_ok());
    *receive.recv_timeout(LONG).expect("the operation does not end")
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "it does not come to this: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// It waits now, and a moment later.
#[track_caller]
fn assert_waits(operation: &Operation, place: usize) {
    for _ in 0..2 {
        let progress = operation.progress();
        assert_eq!((progress.phase, progress.place), (Phase::Waiting, Some(place)));
        assert!(operation.is_waiting());
        thread::sleep(MOMENT);
    }
}

fn exists(device: &FaultFs, name: impl AsRef<Path>) -> bool {
    device.backing().join(name).exists()
}
