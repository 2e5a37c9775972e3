//! A random tree, a random operation on it with a fault or a cancel at a random moment: an undo gives the tree of before, a
//! redo the tree of after, byte for byte.

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use fileops::{NoteKind, OnCancel, OnConflict, Operation, Outcome, Report};
use fileops_tests::random::{ALL_TIMES, FUSE_TIMES, Item, few_names, item, make};
use fileops_tests::temp::Temp;
use fileops_tests::{
    Action, Fault, FaultFs, Ignore, Mount, Op, alone, differences, require_fuse, require_root, snapshot,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner};

use crate::{finish, uncached};

/// What is done to `old`, with `new` beside it.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// `new` becomes `old/new`.
    Into,
    /// What is in `new` comes into `old`.
    As,
    /// What is in `new` comes into a new directory.
    New,
    /// `new` becomes `old/new`, and is no more.
    Move,
    /// `new` is merged with `old`, and is no more.
    MoveAs,
}

impl Deed {
    fn start(self, dir: &Path, rule: OnConflict, on_cancel: OnCancel) -> Operation {
        let (new, old) = (dir.join("new"), dir.join("old"));
        let copy = match self {
            Deed::Move => return fileops::move_to([new], old).on_conflict(rule).jobs(2).start(),
            Deed::MoveAs => return fileops::move_as(new, old).on_conflict(rule).jobs(2).start(),
            Deed::Into => fileops::copy([new], old),
            Deed::As => fileops::copy_as(new, old),
            Deed::New => fileops::copy_as(new, dir.join("other")),
        };
        copy.on_conflict(rule).on_cancel(on_cancel).jobs(2).start()
    }
}

/// What happens meanwhile.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    None,
    /// An error, at the so-manieth request of a kind; the call may have been made all the same.
    Fault {
        op: Op,
        nth: u64,
        errno: i32,
        is_lost_reply: bool,
    },
    /// A cancel at the so-manieth request, or after so many microseconds where there are none to be seen.
    Cancel {
        nth: u64,
    },
}

#[derive(Clone, Debug)]
struct Case {
    new: Vec<Item>,
    old: Vec<Item>,
    deed: Deed,
    rule: OnConflict,
    on_cancel: OnCancel,
    trouble: Trouble,
}

pub(crate) fn trouble() -> impl Strategy<Value = Trouble> {
    let ops: Vec<Op> = Op::ALL.iter().copied().filter(|op| !matches!(op, Op::Any | Op::Setattr)).collect();
    let op = prop::sample::select(ops);
    let errno = prop::sample::select(vec![libc::EIO, libc::ENOSPC, libc::EINTR, libc::EPERM, libc::EACCES]);
    let fault = (op, 1..12u64, errno, any::<bool>());
    prop_oneof![
        2 => Just(Trouble::None),
        5 => fault.prop_map(|(op, nth, errno, is_lost_reply)| Trouble::Fault { op, nth, errno, is_lost_reply }),
        2 => (1..400u64).prop_map(|nth| Trouble::Cancel { nth }),
    ]
}

fn case(items: usize, seconds: Range<i64>) -> impl Strategy<Value = Case> {
    use OnConflict::{Different, Fail, Newer, Rename, Replace, Skip};
    let items = || vec(item(few_names(), 600_000, seconds.clone()), 0..items);
    let deed = prop::sample::select(vec![Deed::Into, Deed::As, Deed::As, Deed::New, Deed::Move, Deed::MoveAs]);
    let rule = prop::sample::select(vec![Fail, Skip, Replace, Replace, Replace, Rename, Newer, Different]);
    let on_cancel = prop::sample::select(vec![OnCancel::RemoveNewTrees, OnCancel::KeepFinished]);
    (items(), items(), deed, rule, on_cancel, trouble()).prop_map(|(new, old, deed, rule, on_cancel, trouble)| Case {
        new,
        old,
        deed,
        rule,
        on_cancel,
        trouble,
    })
}

/// Where the cases are tried.
pub(crate) enum Place {
    Real(Mount),
    Fuse(FaultFs),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Real(mount) => mount.path(),
            Place::Fuse(faulty) => faulty.path(),
        }
    }

    /// Where trees are made and looked at: not through what may fail.
    pub(crate) fn backing(&self) -> &Path {
        match self {
            Place::Real(mount) => mount.path(),
            Place::Fuse(faulty) => faulty.backing(),
        }
    }

    fn seconds(&self) -> Range<i64> {
        if let Place::Fuse(_) = self { FUSE_TIMES } else { ALL_TIMES }
    }

    pub(crate) fn run(&self, trouble: &Trouble, start: impl FnOnce() -> Operation) -> Report {
        match (self, trouble) {
            (Place::Fuse(faulty), Trouble::Fault { op, nth, errno, is_lost_reply }) => {
                let action = if *is_lost_reply { Action::LostReply(*errno) } else { Action::Errno(*errno) };
                let fault = faulty.add(Fault::new(*op, action).nth(*nth));
                let report = finish(start());
                faulty.remove(fault);
                report
            }
            (Place::Fuse(faulty), Trouble::Cancel { nth }) => cancelled_at(*nth, faulty, start),
            (_, Trouble::Cancel { nth }) => {
                let operation = start();
                std::thread::sleep(Duration::from_micros(*nth * 10));
                operation.cancel();
                finish(operation)
            }
            _ => finish(start()),
        }
    }
}

/// Cancels while the file system works on its `n`-th request.
fn cancelled_at(n: u64, faulty: &FaultFs, start: impl FnOnce() -> Operation) -> Report {
    let (reached, is_reached) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let act = Action::call(move || {
        let _ = reached.send(());
        let _ = may_go_on.lock().expect("one at a time").recv();
    });
    let fault = faulty.add(Fault::new(Op::Any, act).nth(n));
    let operation = start();
    while !operation.is_done() {
        match is_reached.recv_timeout(Duration::from_millis(1)) {
            Ok(()) => {
                operation.cancel();
                let _ = go_on.send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the rule is gone"),
        }
    }
    faulty.remove(fault);
    finish(operation)
}

/// How many cases had something to undo, had failures, were cancelled.
#[derive(Default)]
struct Seen([AtomicU32; 4]);

impl Seen {
    fn add(&self, at: usize, is_so: bool) {
        self.0[at].fetch_add(u32::from(is_so), Relaxed);
    }
}

fn check(place: &Place, name: &str, case: &Case, seen: &Seen) -> TestCaseResult {
    let (dir, backing) = (place.path().join(name), place.backing().join(name));
    std::fs::create_dir(&backing).expect("made");
    make(&backing.join("new"), &case.new);
    make(&backing.join("old"), &case.old);
    let before = snapshot(&backing);
    let report = place.run(&case.trouble, || case.deed.start(&dir, case.rule, case.on_cancel));
    for leftover in fileops::leftovers().expect("read") {
        leftover.remove().expect("removed");
    }
    fileops::leftovers().expect("read");
    let after = snapshot(&backing);
    // What a hung call left was removed afterwards.
    let ignore = Ignore { dir_mtime: !report.stuck.is_empty(), ..Ignore::default() };
    let same = |expected, what: &str| {
        let found = differences(expected, &snapshot(&backing), &ignore);
        prop_assert!(found.is_empty(), "{what}: {found:#?}\n{report:#?}");
        Ok(())
    };
    seen.add(0, report.id.is_some());
    seen.add(1, !report.failures.is_empty());
    seen.add(2, report.outcome == Outcome::Cancelled);
    // What could not be kept cannot come back, and the report says so.
    let is_kept = |kind| report.notes.iter().all(|note| note.kind != kind);
    if !is_kept(NoteKind::NotKept) || !is_kept(NoteKind::NotJournalled) {
        seen.add(3, true);
        return Ok(());
    }
    let Some(id) = report.id.clone() else {
        return same(&before, "nothing was done");
    };
    let complete = |report: Report, what: &str| {
        prop_assert!(report.is_complete() && report.notes.is_empty(), "{what}: {report:#?}");
        Ok(report.id.expect("something was done"))
    };
    complete(finish(fileops::undo(&id).start()), "the undo")?;
    same(&before, "after the undo")?;
    let again = complete(finish(fileops::redo(&id).start()), "the redo")?;
    same(&after, "after the redo")?;
    complete(finish(fileops::undo(&again).start()), "the undo of the redo")?;
    same(&before, "after the second undo")
}

/// Always the same cases, unless `FILEOPS_TEST_SEED` is a number. Each has a name of its own.
pub(crate) fn run_all<C: std::fmt::Debug>(
    cases: u32,
    strategy: impl Strategy<Value = C>,
    check: impl Fn(&str, &C) -> TestCaseResult,
) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 150, ..Config::default() };
    let seed = std::env::var("FILEOPS_TEST_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let rng = match seed {
        None => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        Some(seed) => {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
        }
    };
    let number = AtomicU32::new(0);
    let done = TestRunner::new_with_rng(config, rng).run(&strategy, |case| {
        let name = number.fetch_add(1, Relaxed).to_string();
        check(&name, &case)
    });
    match done {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => panic!("{why}\n{case:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn check_all(place: &Place, cases: u32) {
    let seen = Seen::default();
    run_all(cases, case(14, place.seconds()), |name, case| {
        let checked = check(place, name, case, &seen);
        let _ = std::fs::remove_dir_all(place.backing().join(name));
        checked
    });
    let [undoable, failed, cancelled, unkept] = seen.0.map(AtomicU32::into_inner);
    println!(
        "seen: {cases} cases, {undoable} undone, {failed} with failures, {cancelled} cancelled, {unkept} not kept"
    );
    assert!(undoable > cases / 2, "{undoable} of {cases} had something to undo");
}

#[test]
fn a_random_operation_on_a_disk_is_undone_and_redone() {
    alone!();
    require_root!();
    check_all(&Place::Real(Mount::ext4(256).expect("ext4")), 60);
}

#[test]
fn a_random_operation_in_memory_is_undone_and_redone() {
    alone!();
    require_root!();
    check_all(&Place::Real(Mount::tmpfs("size=256m").expect("tmpfs")), 100);
}

#[test]
fn a_random_operation_on_btrfs_is_undone_and_redone() {
    alone!();
    require_root!();
    fileops_tests::require_filesystem!("btrfs");
    fileops_tests::require_command!("mkfs.btrfs");
    check_all(&Place::Real(Mount::btrfs(256).expect("btrfs")), 60);
}

#[test]
fn a_random_operation_with_a_random_fault_is_undone_and_redone() {
    alone!();
    require_root!();
    require_fuse!();
    check_all(&Place::Fuse(uncached()), 150);
}

#[test]
fn a_random_operation_beside_the_state_directory_is_undone_and_redone() {
    alone!();
    require_root!();
    // The kept area is in the state directory then.
    let dir = Temp::new("undo").expect("a directory");
    let place = Mount::bind(dir.path()).expect("mounted");
    check_all(&Place::Real(place), 20);
}
