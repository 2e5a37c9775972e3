//! A cancel at the first request, at the second, and so on: each target is whole or absent.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use fileops::{OnCancel, OnConflict, Outcome, Report};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, differences, require_fuse, snapshot};

use crate::{alone, errnos, finish, journals, stages, uncached};

const SOURCE: &str = "top/one=hello top/two#9000 top/fresh#5000 top/dir/three=inside top/dir/deep/four#9000 top/link->one top/same=>top/one";

/// Copies and cancels while the destination works on its `n`-th request; `false` if there was none.
fn cancelled_at(n: u64, source: &Path, target: &FaultFs, into: &Path, rule: OnCancel) -> (Report, bool) {
    let (reached, is_reached) = channel();
    let (go_on, may_go_on) = channel();
    let may_go_on = Mutex::new(may_go_on);
    let fault = target.add(
        Fault::new(
            Op::Any,
            Action::call(move || {
                reached.send(()).expect("the test waits");
                may_go_on.lock().expect("one at a time").recv().expect("the test answers");
            }),
        )
        .nth(n),
    );
    let copy = fileops::copy([source.join("top")], into).on_conflict(OnConflict::Replace).on_cancel(rule).jobs(1);
    let operation = copy.start();
    let mut is_cancelled = false;
    while !operation.is_done() {
        match is_reached.recv_timeout(Duration::from_millis(1)) {
            Ok(()) => {
                operation.cancel();
                is_cancelled = true;
                go_on.send(()).expect("the request waits");
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("the rule is gone"),
        }
    }
    let report = finish(operation);
    target.remove(fault);
    (report, is_cancelled)
}

fn at_every_request(old: &str, rule: OnCancel, check: impl Fn(&Report, &Path, &Path)) {
    let (source, target) = (Tree::new(SOURCE), uncached());
    for n in 1.. {
        assert!(n < 500, "still a request");
        let name = n.to_string();
        make(target.backing(), &format!("{name}/"));
        let (into, backing) = (target.path().join(&name), target.backing().join(&name));
        make(&backing, old);
        let (report, is_cancelled) = cancelled_at(n, source.root(), &target, &into, rule);
        let at = format!("cancelled at {n}: {report:?}");
        assert_eq!(report.outcome, if is_cancelled { Outcome::Cancelled } else { Outcome::Done }, "{at}");
        assert_eq!(errnos(&report), [], "{at}");
        assert_eq!((stages(&backing), journals()), (vec![], vec![]), "{at}");
        check_whole(source.root(), &backing, old, &at);
        check(&report, source.root(), &backing);
        if !is_cancelled {
            assert!(n > 20, "there were only {n} requests");
            return;
        }
    }
}

/// What is there is a whole new file or the whole old one.
fn check_whole(source: &Path, into: &Path, old: &str, at: &str) {
    let (new, before) = (snapshot(source), Tree::new(old));
    let before = snapshot(before.root());
    for (path, entry) in snapshot(into) {
        let shown = String::from_utf8_lossy(&path).into_owned();
        let source = new.get(&path);
        if entry.kind.is_dir() {
            assert!(source.or(before.get(&path)).is_some_and(|known| known.kind.is_dir()), "{at}: {shown}");
            continue;
        }
        let is_new = source.is_some_and(|source| {
            (source.kind, source.hash, &source.target, source.mode, source.mtime)
                == (entry.kind, entry.hash, &entry.target, entry.mode, entry.mtime)
        });
        let is_old = before.get(&path).is_some_and(|old| (old.hash, &old.target) == (entry.hash, &entry.target));
        assert!(is_new || is_old, "{at}: {shown} is neither the old nor the new one: {entry:?}");
    }
    for path in before.keys() {
        assert!(into.join(String::from_utf8_lossy(path).as_ref()).symlink_metadata().is_ok(), "{at}: {path:?} is gone");
    }
}

#[test]
fn a_cancelled_new_tree_leaves_nothing() {
    alone!();
    require_fuse!();
    at_every_request("", OnCancel::RemoveNewTrees, |report, source, into| {
        // A cancel after the last name was given comes too late.
        let found = fs::read_dir(into).expect("read").count();
        if found > 0 {
            let found = differences(&snapshot(source.join("top")), &snapshot(into.join("top")), &Default::default());
            assert!(found.is_empty(), "{found:?}, {report:?}");
        }
    });
}

#[test]
fn a_cancelled_tree_may_keep_its_finished_files() {
    alone!();
    require_fuse!();
    let most = std::sync::atomic::AtomicUsize::new(0);
    at_every_request("", OnCancel::KeepFinished, |report, _, into| {
        let kept = snapshot(into).values().filter(|entry| !entry.kind.is_dir()).count();
        // What the report counts is there.
        assert_eq!(kept as u64, report.files + report.symlinks, "{report:?}");
        if report.outcome == Outcome::Cancelled {
            most.fetch_max(kept, std::sync::atomic::Ordering::Relaxed);
        }
    });
    assert!(most.into_inner() > 2);
}

#[test]
fn a_cancelled_merge_leaves_each_file_old_or_new() {
    alone!();
    require_fuse!();
    let old = "top/one=old top/two=old top/dir/three=old top/other=stays";
    at_every_request(old, OnCancel::RemoveNewTrees, |_, _, into| {
        assert_eq!(fs::read_to_string(into.join("top/other")).expect("read"), "stays");
        // The new tree in the old one is whole or absent.
        if into.join("top/dir/deep").exists() {
            assert_eq!(fs::metadata(into.join("top/dir/deep/four")).expect("whole").len(), 9000);
        }
    });
}
