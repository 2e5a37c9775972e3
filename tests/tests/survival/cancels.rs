//! A cancel at the first request, at the second, and so on: each target is whole or absent.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use fileops::{NoteKind, OnCancel, OnConflict, Outcome, Report};
use fileops_tests::tree::{assert_tree, make};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, differences, require_fuse, snapshot};

use crate::{alone, errnos, finish, has_note, journals, stages, uncached, wait_until};

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
        // A cancel can come too late.
        let is_done = report.outcome == Outcome::Done;
        assert!(is_done != is_cancelled || report.is_complete(), "{at}");
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

/// Cancels the copy of a tree in its middle, to keep what is finished; `meanwhile` comes when the stage is there.
fn kept(meanwhile: impl FnOnce(&Path)) -> (Report, FaultFs, Tree, SystemTime) {
    let (source, target) = (FaultFs::new(), Tree::new(""));
    let top = source.backing().join("top");
    make(source.backing(), &(0..200).map(|n| format!("top/{n}=hello ")).collect::<String>());
    fs::set_permissions(&top, Permissions::from_mode(0o2751)).expect("set");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(&top).and_then(|top| top.set_modified(time)).expect("set");
    source.add(Fault::new(Op::Read, Action::Latency(Duration::from_millis(10))));
    let copy = fileops::copy([source.path().join("top")], target.root()).on_cancel(OnCancel::KeepFinished).jobs(1);
    let operation = copy.start();
    wait_until("a stage with files", || operation.progress().entries_done > 3);
    assert_eq!(stages(target.root()).len(), 1);
    meanwhile(target.root());
    operation.cancel();
    let report = finish(operation);
    assert_eq!((report.outcome, report.removed), (Outcome::Cancelled, 0), "{report:?}");
    assert!((4..200).contains(&report.files), "{report:?}");
    (report, source, target, time)
}

#[test]
fn a_cancelled_tree_that_is_kept_has_the_mode_and_time_of_its_source() {
    alone!();
    require_fuse!();
    let (report, _, target, time) = kept(|_| ());
    let top = fs::metadata(target.path("top")).expect("it is kept");
    assert_eq!(top.permissions().mode() & 0o7777, 0o2751);
    assert_eq!(top.modified().expect("known"), time);
    assert_eq!(fs::read_dir(target.path("top")).expect("read").count() as u64, report.files);
    assert_eq!((stages(target.root()), journals()), (vec![], vec![]));
    assert!(report.notes.is_empty(), "{report:?}");
}

#[test]
fn a_cancelled_tree_whose_name_was_taken_stays_beside_it_and_that_is_noted() {
    alone!();
    require_fuse!();
    let (report, _, target, _) = kept(|target| make(target, "top=precious"));
    assert_eq!(fs::read_to_string(target.path("top")).expect("read"), "precious");
    let left = stages(target.root());
    assert_eq!((left.len(), journals().len()), (1, 1));
    assert_eq!(fs::read_dir(&left[0]).expect("read").count() as u64, report.files);
    assert!(has_note(&report, NoteKind::LeftBehind), "{report:?}");
    let found = fileops::leftovers().expect("read");
    assert_eq!(found.iter().map(|leftover| &leftover.path).collect::<Vec<_>>(), [&left[0]]);
}

#[test]
fn no_file_is_replaced_after_the_cancel_of_many_that_wait_for_it() {
    alone!();
    require_fuse!();
    const FILES: usize = 30;
    let names = |text: &str| (0..FILES).map(|n| format!("top/{n}={text} ")).collect::<String>();
    let (source, target) = (Tree::new(&names("new")), uncached());
    make(target.backing(), &names("old"));
    let (reached, is_reached) = channel();
    let (go_on, may_go_on) = channel();
    let may_go_on = Mutex::new(may_go_on);
    let act = Action::call(move || {
        reached.send(()).expect("the test waits");
        may_go_on.lock().expect("one at a time").recv().expect("the test answers");
    });
    target.add(Fault::new(Op::Fsync, act).nth(5));
    let copy = fileops::copy([source.path("top")], target.path()).on_conflict(OnConflict::Replace).jobs(1);
    let operation = copy.start();
    is_reached.recv_timeout(Duration::from_secs(30)).expect("the fifth is replaced");
    assert_eq!(stages(target.backing()).len(), FILES - 4, "they wait for each other");
    operation.cancel();
    target.clear_log();
    go_on.send(()).expect("the request waits");
    let report = finish(operation);
    assert_eq!((report.outcome, errnos(&report)), (Outcome::Cancelled, vec![]));
    let new = (0..FILES).filter(|n| {
        let text = fs::read_to_string(target.backing().join(format!("top/{n}"))).expect("read");
        assert!(text == "new" || text == "old", "{text}");
        text == "new"
    });
    let new = new.count();
    // The one that was being replaced may be.
    assert!((4..=5).contains(&new) && new as u64 == report.files, "{new}, {report:?}");
    // It takes the name, and the old one goes to be kept.
    assert!(target.count(Op::Rename) <= 2);
    assert_eq!((stages(target.backing()), journals()), (vec![], vec![]));
}

#[test]
fn the_report_of_a_cancelled_new_tree_counts_what_was_removed_again() {
    alone!();
    require_fuse!();
    let (source, target) = (FaultFs::new(), Tree::new(""));
    make(source.backing(), &(0..200).map(|n| format!("top/{n}/file=hello ")).collect::<String>());
    make(source.backing(), "stays=hello");
    source.add(Fault::new(Op::Read, Action::Latency(Duration::from_millis(10))));
    let sources = ["stays", "top"].map(|name| source.path().join(name));
    let operation = fileops::copy(sources, target.root()).jobs(1).start();
    wait_until("some files", || operation.progress().entries_done > 10);
    operation.cancel();
    let report = finish(operation);
    assert_eq!(report.outcome, Outcome::Cancelled);
    // Directories that were not done are not among them.
    assert!(report.directories > 3 && report.removed == report.entries - 1, "{report:?}");
    assert_tree(target.root(), "stays=hello");
}
