//! A cancel at the first request, at the second, and so on: each entry is at its source or at its target, and nowhere twice.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use fileops::{OnConflict, Outcome, Report};
use fileops_tests::alone::journals;
use fileops_tests::skip::is_root;
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, alone, require_fuse};

use crate::{Scene, elsewhere, errnos, finish, same, stages, uncached, what_is};

const NEW: &str = "top/one=hello top/two#9000 top/fresh#5000 top/dir/three=inside top/dir/deep/four#9000 top/link->one top/same=>top/one";
const OLD: &str = "top/one=old top/two=old top/dir/three=old top/other=stays";

/// Moves and cancels while the file system works on its `n`-th request; `false` if there was none.
fn cancelled_at(n: u64, fs: &FaultFs, from: &Path, to: &Path) -> (Report, bool) {
    let (reached, is_reached) = channel();
    let (go_on, may_go_on) = channel();
    let may_go_on = Mutex::new(may_go_on);
    let wait = move || {
        reached.send(()).expect("the test waits");
        may_go_on.lock().expect("one at a time").recv().expect("the test answers");
    };
    let fault = fs.add(Fault::new(Op::Any, Action::call(wait)).nth(n));
    let operation = fileops::move_to([from.join("top")], to).on_conflict(OnConflict::Replace).jobs(1).start();
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
    fs.remove(fault);
    (report, is_cancelled)
}

fn at_every_request(is_source: bool, old: &str) {
    let (fs, disk, memory) = (uncached(), Tree::new(""), is_root().then(elsewhere));
    let plain = memory.as_ref().map_or(disk.root(), |memory| memory.path());
    let mut moved = 0;
    for n in 1.. {
        assert!(n < 600, "still a request");
        let name = n.to_string();
        let on_fault = |part: &str| (fs.path().join(&name).join(part), fs.backing().join(&name).join(part));
        let on_plain = |part: &str| (plain.join(&name).join(part), plain.join(&name).join(part));
        let (from, from_backing) = if is_source { on_fault("from") } else { on_plain("from") };
        let (to, to_backing) = if is_source { on_plain("to") } else { on_fault("to") };
        for (dir, entries) in [(&from_backing, NEW), (&to_backing, old)] {
            fs::create_dir_all(dir).expect("made");
            make(dir, entries);
        }
        let scene = Scene::of(&from_backing, &to_backing);
        let (report, is_cancelled) = cancelled_at(n, &fs, &from, &to);
        let at = format!("cancelled at {n}: {report:?}");
        assert_eq!(errnos(&report), [], "{at}");
        let wrong = scene.check(&from_backing, &to_backing, report.is_complete());
        assert!(wrong.is_empty(), "{at}: {wrong:#?}");
        // On a machine that is too busy to clean up in time that is said, and left to recovery.
        if report.stuck.is_empty() {
            assert_eq!((stages(&to_backing), journals()), (vec![], vec![]), "{at}");
        }
        journals().iter().for_each(|journal| fs::remove_file(journal).expect("removed"));
        // Nothing is at both places, unless it was there before.
        let (source, target) = (what_is(&from_backing), what_is(&to_backing));
        for (path, entry) in source.iter().filter(|(_, entry)| !entry.kind.is_dir()) {
            let is_there = target.get(path).is_some_and(|found| same(entry, found));
            assert!(!is_there, "{at}: {} is at both places", String::from_utf8_lossy(path));
        }
        moved += usize::from(is_cancelled && target.len() > scene.target.len());
        if !is_cancelled {
            assert!(n > 20, "there were only {n} requests");
            println!("seen: {n} cancels, {moved} after something had moved");
            return;
        }
        assert!(report.outcome == Outcome::Cancelled || report.is_complete(), "{at}");
    }
}

#[test]
fn a_cancel_at_a_request_of_the_target_leaves_a_new_tree_at_one_place() {
    alone!();
    require_fuse!();
    at_every_request(false, "");
}

#[test]
fn a_cancel_at_a_request_of_the_source_leaves_a_new_tree_at_one_place() {
    alone!();
    require_fuse!();
    at_every_request(true, "");
}

#[test]
fn a_cancel_at_a_request_of_the_target_leaves_each_file_of_a_merge_at_one_place() {
    alone!();
    require_fuse!();
    at_every_request(false, OLD);
}

#[test]
fn a_cancel_at_a_request_of_the_source_leaves_each_file_of_a_merge_at_one_place() {
    alone!();
    require_fuse!();
    at_every_request(true, OLD);
}
