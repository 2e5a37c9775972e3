//! When something goes wrong while metadata is written beside files: SIGKILL, full disks, cancels.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use fileops::{Metadata, OnConflict, copy, move_to};
use fileops_tests::alone::{part, wait_for_child};
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{Action, Fault, FaultFs, Knobs, Op, Options, alone, require_fuse, test_name, user_part};
use rustix::process::{Pid, Signal, kill_process};

use crate::beside::{NAME, fat, finish, lines, tag, tags};
use crate::tree;

const PATIENCE: Duration = Duration::from_secs(60);

/// A file system without attributes that the kernel keeps nothing of.
fn uncached() -> FaultFs {
    let (attr_timeout, entry_timeout) = Default::default();
    let knobs = Knobs { no_xattrs: true, ..Knobs::default() };
    Options { attr_timeout, entry_timeout, knobs, ..Options::default() }.mount().expect("a FUSE file system")
}

/// Runs a part of the test in a child that is killed at the `n`-th request; `false` if it had fewer.
fn killed_at(n: u64, test: &str, what: &str, from: &Path, target: &FaultFs, into: &Path) -> bool {
    let child = Arc::new(AtomicI32::new(0));
    let victim = Arc::clone(&child);
    let kill = move || {
        let pid = loop {
            match Pid::from_raw(victim.load(Ordering::Acquire)) {
                Some(pid) => break pid,
                None => std::thread::yield_now(),
            }
        };
        kill_process(pid, Signal::KILL).expect("killed");
    };
    let fault = target.add(Fault::new(Op::Any, Action::call(kill)).nth(n));
    let set = [("FROM", from.as_os_str()), ("INTO", into.as_os_str())];
    let running = part(test, what, &set).spawn().expect("runs");
    child.store(running.id() as i32, Ordering::Release);
    let status = wait_for_child(running, PATIENCE).expect("a killed process ends");
    let was_killed = target.hits(fault) > 0;
    target.remove(fault);
    assert!(was_killed || status.success(), "{status}");
    was_killed
}

#[test]
fn a_kill_leaves_the_old_lines_or_the_new_ones_and_moves_lose_no_tags() {
    user_part!("move", {
        finish(move_to([variable("FROM")], variable("INTO")).metadata(Metadata::Sidecar).start().wait());
    });
    alone!();
    require_fuse!();
    let tree = tree!("old=1 home/");
    tag(tree.path("old"), "old");
    let target = uncached();
    for (kills, n) in (1..).step_by(2).enumerate() {
        assert!(n < 1000, "still a request");
        make(tree.root(), &format!("{n}/new=22"));
        tag(tree.path(format!("{n}/new")), "new");
        make(target.backing(), &format!("{n}/"));
        let into = target.path().join(n.to_string());
        finish(copy([tree.path("old")], &into).metadata(Metadata::Sidecar).start().wait());
        let before = lines(&into);
        let source = tree.path(format!("{n}/new"));
        let was_killed = killed_at(n, test_name!(), "move", &source, &target, &into);
        let now = lines(&into);
        let at = format!("killed at {n}");
        let has_old = before.iter().all(|line| now.contains(line));
        let is_new = now.len() == 3 && now[1].starts_with("file\tnew\t");
        assert!(now == before || has_old && is_new, "{at}: {now:?}");
        // The file is at one end at least, with its tag there or beside it.
        if source.exists() {
            assert_eq!(tags(&source).as_deref(), Some("new"), "{at}");
        } else {
            assert!(is_new && into.join("new").exists(), "{at}: {now:?}");
        }
        // Recovery leaves nothing of ours.
        for leftover in fileops::leftovers().expect("read") {
            match leftover.is_ours {
                true => leftover.remove().unwrap_or_else(|errors| panic!("{at}: {errors:?}")),
                // The old lines after the exchange, which undo would bring back.
                false => fs::remove_file(&leftover.path).expect("it is there"),
            }
        }
        assert!(lines(&into) == now, "{at}: recovery changed the lines");
        if !was_killed {
            println!("seen: {kills} kills");
            assert!(kills >= 15, "{kills}");
            return;
        }
    }
}

#[test]
fn where_there_is_no_room_for_it_the_failure_names_it_and_a_move_keeps_its_source() {
    require_fuse!();
    let tree = tree!("src/one=1 src/dir/two=22");
    tag(tree.path("src/one"), &"x".repeat(2000));
    tag(tree.path("src/dir/two"), &"y".repeat(2000));
    for whole_tree in [false, true] {
        let fs = fat();
        fs.knobs(|knobs| knobs.quota = Some(500));
        let source = if whole_tree { tree.path("src") } else { tree.path("src/one") };
        let report = move_to([&source], fs.path()).metadata(Metadata::Sidecar).start().wait();
        assert!(!report.failures.is_empty(), "{report:#?}");
        for error in &report.failures {
            assert_eq!((error.errno(), error.path.file_name()), (Some(libc::ENOSPC), Some(NAME.as_ref())), "{error:?}");
        }
        assert_eq!(tags(tree.path("src/one")), Some("x".repeat(2000)), "{report:#?}");
        assert_eq!(tags(tree.path("src/dir/two")), Some("y".repeat(2000)));
        assert!(!fs.path().join(NAME).exists());
    }
    let fs = fat();
    fs.knobs(|knobs| knobs.quota = Some(500));
    let report = copy([tree.path("src/one")], fs.path()).metadata(Metadata::Sidecar).start().wait();
    let [error] = &report.failures[..] else { panic!("{report:#?}") };
    assert_eq!((error.errno(), error.path.file_name()), (Some(libc::ENOSPC), Some(NAME.as_ref())));
    assert_eq!(fs::read(fs.path().join("one")).unwrap(), b"1", "the file itself is there");
    assert_eq!(fs::read_dir(fs.backing()).unwrap().count(), 1, "nothing unfinished is left");
}

#[test]
fn a_full_disk_leaves_the_old_lines_as_they_were() {
    require_fuse!();
    let tree = tree!("one=1 two=2");
    tag(tree.path("one"), "a");
    tag(tree.path("two"), &"x".repeat(2000));
    let fs = fat();
    finish(copy([tree.path("one")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    let before = lines(fs.path());
    fs.knobs(|knobs| knobs.quota = Some(800));
    let report = copy([tree.path("two")], fs.path()).metadata(Metadata::Sidecar).start().wait();
    assert_eq!(report.failures.len(), 1, "{report:#?}");
    assert_eq!(lines(fs.path()), before);
}

#[test]
fn files_that_a_cancelled_copy_has_finished_keep_their_tags() {
    require_fuse!();
    let tree = tree!("a=1 z#3000000 home/");
    tag(tree.path("a"), "t");
    let fs = fat();
    let copy_both = copy([tree.path("a"), tree.path("z")], fs.path()).jobs(1).metadata(Metadata::Sidecar);
    let operation = Arc::new(copy_both.start());
    let stop = Arc::clone(&operation);
    // The second file is being written.
    fs.add(Fault::new(Op::Write, Action::call(move || stop.cancel())).nth(3));
    while !operation.is_done() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(fs.path().join("a").exists() && !fs.path().join("z").exists());
    assert_eq!(lines(fs.path()).len(), 2);
}

#[test]
fn replaced_lines_are_those_of_the_new_file() {
    require_fuse!();
    let tree = tree!("a/file=1 b/file=22 home/");
    tag(tree.path("a/file"), "first");
    tag(tree.path("b/file"), "second");
    let fs = fat();
    for source in ["a/file", "b/file"] {
        let copy = copy([tree.path(source)], fs.path()).on_conflict(OnConflict::Replace);
        finish(copy.metadata(Metadata::Sidecar).start().wait());
    }
    finish(copy([fs.path().join("file")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/file")).as_deref(), Some("second"));
}
