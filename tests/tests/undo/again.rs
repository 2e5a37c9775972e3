//! An undo that was cancelled, failed or was killed: nothing is lost, and a later one completes it; two at once.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use fileops::{NoteKind, OnConflict, Operation, Outcome, Report};
use fileops_tests::alone::{part, wait_for_child};
use fileops_tests::snapshot::Snapshot;
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{
    Action, Fault, FaultFs, Ignore, Knobs, Op, Options, Tree, alone, differences, require_fuse, snapshot, test_name,
    user_part,
};

use crate::{assert_same, contents, errnos, finish, has_note, uncached_with, undo, undone};

const NEW: &str = "new/one=new1 new/fresh=new3 new/dir/three=new4 new/tree/deep/four=new5";
const OLD: &str = "new/one=old1 new/dir/three=old4 new/other=stays";

/// A copy of `NEW` over `OLD` that was made, in a directory of its own.
struct Done {
    id: String,
    before: Snapshot,
    after: Snapshot,
}

fn done(name: &str, source: &Tree, target: &FaultFs) -> Done {
    make(target.backing(), &format!("{name}/"));
    let backing = target.backing().join(name).join("new");
    make(&target.backing().join(name), OLD);
    let before = snapshot(&backing);
    let copy = fileops::copy([source.path("new")], target.path().join(name)).on_conflict(OnConflict::Replace);
    let report = finish(copy.jobs(1).start());
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    Done { id: report.id.expect("done"), before, after: snapshot(&backing) }
}

/// Everything that was old is somewhere on the file system, under its name or kept.
fn nothing_is_lost(backing: &Path, at: &str) {
    let found = contents(backing);
    for text in ["old1", "old4", "stays"] {
        assert!(found.contains_key(text.as_bytes()), "{at}: {text} is lost");
    }
}

fn kinds() -> [Knobs; 2] {
    let (no_rename_flags, no_links) = (true, true);
    [Knobs::default(), Knobs { no_rename_flags, no_links, ..Knobs::default() }]
}

/// Undoes, and redoes, with trouble at the first request, at the second, and so on, each time as often as it takes.
fn with_trouble(step: usize, trouble: impl Fn(u64, &FaultFs, &dyn Fn() -> Operation) -> Option<Report>) {
    let source = Tree::new(NEW);
    for (kind, knobs) in kinds().into_iter().enumerate() {
        let target = uncached_with(Options { knobs, ..Options::default() });
        let (mut troubled, mut incomplete) = (0, 0);
        for n in (1..).step_by(step) {
            assert!(n < 500, "still a request");
            let name = format!("{kind}-{n}");
            let Done { id, before, after } = done(&name, &source, &target);
            // Without the kept area, which is above where an error does not let it be at the top.
            let backing = target.backing().join(&name).join("new");
            let at = format!("file system {kind}, trouble at {n}");
            let report = trouble(n, &target, &|| fileops::undo(&id).start());
            let is_over = report.is_none();
            // What could not be set the only time that it was tried.
            let dir_mtime = report.as_ref().is_some_and(|report| has_note(report, NoteKind::TimesNotKept));
            let assert_same = |expected: &Snapshot, dir_mtime: bool, what: &str| {
                let found = differences(expected, &snapshot(&backing), &Ignore { dir_mtime, ..Ignore::default() });
                assert!(found.is_empty(), "{at}, {what}:\n  {}\n", found.join("\n  "));
            };
            // What was taken away is a copy, and may be dropped where it cannot be kept.
            let is_kept = !report.as_ref().is_some_and(|report| has_note(report, NoteKind::NotKept));
            let was_whole = report.as_ref().is_none_or(Report::is_complete);
            nothing_is_lost(target.backing(), &at);
            incomplete += u32::from(report.is_some_and(|report| !report.is_complete()));
            let again = undo(&id);
            assert!(again.is_complete(), "{at}: {again:?}");
            assert_same(&before, dir_mtime, "undone");
            // Whatever was done in two goes is one for a redo; which of them left which time of a directory is not known.
            let redone = finish(fileops::redo(&id).start());
            assert!(redone.is_complete(), "{at}: {redone:?}");
            if is_kept {
                assert_same(&after, dir_mtime || !was_whole, "redone");
            }
            undone(&redone.id.expect("something was done"));
            assert_same(&before, dir_mtime, "undone again");
            nothing_is_lost(target.backing(), &at);
            if is_over {
                break;
            }
            troubled += 1;
        }
        println!("seen: {troubled} times trouble, {incomplete} undos incomplete");
        assert!(troubled > 10 && incomplete > 2, "{troubled}, {incomplete}");
    }
}

#[test]
fn an_undo_that_failed_at_any_request_is_completed_by_the_next() {
    alone!();
    require_fuse!();
    for action in [Action::Errno(libc::EIO), Action::LostReply(libc::EIO)] {
        with_trouble(4, |n, target, start| {
            let fault = target.add(Fault::new(Op::Any, action.clone()).nth(n));
            let report = finish(start());
            let was_hit = target.hits(fault) > 0;
            target.remove(fault);
            was_hit.then_some(report)
        });
    }
}

#[test]
fn an_undo_that_was_cancelled_at_any_request_goes_on_with_the_rest() {
    alone!();
    require_fuse!();
    with_trouble(9, |n, target, start| {
        let (reached, is_reached) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let act = Action::call(move || {
            let _ = reached.send(());
            let _ = may_go_on.lock().expect("one at a time").recv();
        });
        let fault = target.add(Fault::new(Op::Any, act).nth(n));
        let operation = start();
        let mut is_cancelled = false;
        while !operation.is_done() {
            match is_reached.recv_timeout(Duration::from_millis(1)) {
                Ok(()) => {
                    operation.cancel();
                    is_cancelled = true;
                    let _ = go_on.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the rule is gone"),
            }
        }
        let report = finish(operation);
        target.remove(fault);
        assert_eq!(errnos(&report), [], "a cancel is no failure: {report:?}");
        assert!(is_cancelled || report.outcome == Outcome::Done, "{report:?}");
        is_cancelled.then_some(report)
    });
}

#[test]
fn of_two_undos_at_once_one_does_it_and_nothing_is_lost() {
    user_part!("undo", {
        let report = undo(variable("ID").to_str().expect("letters"));
        let is_fine = report.is_complete() || errnos(&report) == [libc::EBUSY];
        assert!(is_fine, "{report:?}");
    });
    alone!();
    let names = |text: &str| (0..100).map(|n| format!("new/{n}={text}{n} ")).collect::<String>();
    let source = Tree::new(&names("new"));
    for round in 0..8 {
        let into = Tree::new(&names("old"));
        let before = snapshot(into.root());
        let id = crate::replaced(source.path("new"), into.root());
        let set = [("ID", id.as_ref())];
        let children: Vec<_> = (0..2).map(|_| part(test_name!(), "undo", &set).spawn().expect("runs")).collect();
        let own = (round % 2 == 0).then(|| undo(&id));
        for child in children {
            let status = wait_for_child(child, crate::PATIENCE);
            assert!(status.is_some_and(|status| status.success()), "{status:?}");
        }
        if let Some(report) = own {
            assert!(report.is_complete() || errnos(&report) == [libc::EBUSY], "{report:?}");
        }
        undone(&id);
        assert_same(into.root(), &before, "after all of them");
    }
}

#[test]
fn an_undo_beside_another_operation_does_its_work() {
    alone!();
    require_fuse!();
    let (slow, tree) = (FaultFs::new(), Tree::new("new/one=new1 into/new/one=old1"));
    make(slow.backing(), "large#9000");
    let before = snapshot(tree.path("into/new"));
    let id = crate::replaced(tree.path("new"), tree.path("into"));
    slow.add(Fault::new(Op::Read, Action::Hang));
    let other = fileops::copy([slow.path().join("large")], tree.path("into")).start();
    assert!(slow.wait_hanging(1, crate::PATIENCE));
    undone(&id);
    assert_same(&tree.path("into/new"), &before, "undone");
    // One that runs cannot be undone.
    let running = fs::read_dir(crate::state("operations")).expect("read").next().expect("it runs").expect("read");
    let name = running.file_name().into_string().expect("letters").replace(".journal", "");
    assert_eq!(errnos(&undo(&name)), [libc::EBUSY]);
    slow.clear();
    slow.release();
    let report = finish(other);
    assert!(report.is_complete(), "{report:?}");
    undone(&report.id.expect("done"));
    assert!(!tree.path("into/large").exists());
}

#[test]
fn what_is_not_known_or_was_not_undone_is_not_found() {
    alone!();
    let tree = Tree::new("new/one=x");
    for id in ["", "abcdefgh", "..", "../x", "a/b"] {
        assert_eq!(errnos(&undo(id)), [libc::ENOENT], "{id}");
        assert_eq!(errnos(&finish(fileops::redo(id).start())), [libc::ENOENT], "{id}");
    }
    let id = crate::copied(tree.path("new"), tree.path("copy"));
    assert_eq!(errnos(&finish(fileops::redo(&id).start())), [libc::ENOENT]);
    tree.assert("new/one=x copy/one=x");
}
