//! Operations that were interrupted are listed until somebody goes on with them, rolls them back or forgets them: those too that
//! left nothing unfinished on disk.

use std::fs;
use std::path::{Path, PathBuf};

use fileops::{Again, Interrupted, OnConflict, PastState};
use fileops_tests::{Ignore, Tree, alone, differences, snapshot};

use crate::{finish, history, state, undo, undone};

/// Makes of an operation that is over one whose process was killed after its last step: its journal has no end.
fn kill(id: &str) -> PathBuf {
    let path = history().into_iter().find(|path| path.to_string_lossy().contains(id)).expect("it is in the history");
    let text = fs::read(&path).expect("read");
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let is_end = |line: &&&[u8]| line.starts_with(b"end\t");
    let kept: Vec<u8> = lines.iter().filter(|line| !is_end(line)).flat_map(|line| line.to_vec()).collect();
    assert!(kept.len() < text.len(), "it had an end");
    let interrupted = state("operations").join(format!("{id}.journal"));
    fs::create_dir_all(state("operations")).expect("made");
    fs::write(&interrupted, kept).expect("written");
    fs::remove_file(path).expect("removed");
    interrupted
}

#[track_caller]
fn only() -> Interrupted {
    let mut found = fileops::interrupted().expect("read");
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn done(operation: fileops::Operation) -> String {
    let report = finish(operation);
    assert!(report.is_complete(), "{report:?}");
    report.id.expect("something to undo")
}

#[track_caller]
fn is_as(root: &Path, before: &fileops_tests::snapshot::Snapshot) {
    let found = differences(before, &snapshot(root), &Ignore { dir_mtime: true, ..Default::default() });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_killed_copy_without_a_stage_is_listed_until_it_was_gone_on_with() {
    alone!();
    let tree = Tree::new("from/a=1 from/b=2 into/from/b=old");
    let before = snapshot(tree.root());
    let copy = fileops::copy([tree.path("from")], tree.path("into")).on_conflict(OnConflict::Replace);
    let id = done(copy.start());
    kill(&id);
    // It had not come to this one.
    fs::remove_file(tree.path("into/from/a")).expect("removed");
    for _ in 0..3 {
        let found = only();
        assert_eq!((found.id.as_str(), found.verb.as_str(), found.steps), (id.as_str(), "copy", 2));
        assert!(found.leftovers.is_empty() && found.path.starts_with(tree.path("into/from")), "{found:?}");
        assert!(fileops::leftovers().expect("read").is_empty());
    }
    assert!(fileops::history().expect("read")[0].was_interrupted);
    let again = only().again().expect("it can be gone on with");
    assert!(matches!(again, Again::Copy(_)));
    done(again.start());
    tree.assert("from/a=1 from/b=2 into/from/a=1 into/from/b=2");
    assert!(fileops::interrupted().expect("read").is_empty());
    let all: Vec<String> = fileops::history().expect("read").into_iter().map(|past| past.id).collect();
    assert_eq!(all.len(), 2);
    all.iter().for_each(|id| undone(id));
    is_as(tree.root(), &before);
}

#[test]
fn a_killed_operation_is_rolled_back_or_forgotten() {
    alone!();
    for forgets in [false, true] {
        let tree = Tree::new("a=1 b=2 into/");
        let before = snapshot(tree.root());
        let id = done(fileops::move_to([tree.path("a"), tree.path("b")], tree.path("into")).start());
        kill(&id);
        if forgets {
            fileops::forget(&id).expect("forgotten");
            assert!(fileops::interrupted().expect("read").is_empty());
            // It is an operation of the past.
            assert!(fileops::forget(&id).is_err());
            undone(&id);
        } else {
            let report = finish(only().roll_back().start());
            assert!(report.is_complete(), "{report:?}");
            assert!(fileops::interrupted().expect("read").is_empty());
        }
        is_as(tree.root(), &before);
    }
}

#[test]
fn a_killed_trashing_is_rolled_back_and_cannot_be_gone_on_with() {
    alone!();
    let tree = Tree::new("a=1");
    let before = snapshot(tree.root());
    let id = done(fileops::trash([tree.path("a")]).start());
    kill(&id);
    let found = only();
    assert_eq!((found.verb.as_str(), found.path.as_path()), ("trash", tree.path("a").as_path()));
    assert!(found.again().is_none());
    assert!(finish(found.roll_back().start()).is_complete());
    is_as(tree.root(), &before);
    assert!(fileops::interrupted().expect("read").is_empty());
}

/// Two files are moved away, and only one comes home, since the other's name is taken; then the undo's process is killed.
fn killed_undo(tree: &Tree) -> String {
    let id = done(fileops::move_to([tree.path("a"), tree.path("b")], tree.path("into")).start());
    fs::write(tree.path("a"), "taken").expect("written");
    let report = undo(&id);
    assert_eq!(report.failures.len(), 1, "{report:?}");
    kill(&report.id.expect("it did something"));
    fs::remove_file(tree.path("a")).expect("removed");
    tree.assert("b=2 into/a=1");
    id
}

#[test]
fn a_killed_undo_is_gone_on_with_or_rolled_back() {
    alone!();
    for goes_on in [true, false] {
        let tree = Tree::new("a=1 b=2 into/");
        let id = killed_undo(&tree);
        let found = only();
        assert_eq!((found.verb.as_str(), found.steps), ("undo", 1));
        if goes_on {
            done(found.again().expect("it can be").start());
            tree.assert("a=1 b=2 into/");
            assert_eq!(fileops::history().expect("read")[0].state, PastState::Undone);
            assert!(finish(fileops::redo(&id).start()).is_complete());
        } else {
            assert!(finish(found.roll_back().start()).is_complete());
        }
        tree.assert("into/a=1 into/b=2");
        assert!(fileops::interrupted().expect("read").is_empty());
    }
}

#[test]
fn a_killed_redo_is_gone_on_with() {
    alone!();
    let tree = Tree::new("a=1 b=2 into/");
    let id = done(fileops::move_to([tree.path("a"), tree.path("b")], tree.path("into")).start());
    undone(&id);
    fs::write(tree.path("into/a"), "taken").expect("written");
    let report = finish(fileops::redo(&id).start());
    assert_eq!(report.failures.len(), 1, "{report:?}");
    kill(&report.id.expect("it did something"));
    fs::remove_file(tree.path("into/a")).expect("removed");
    tree.assert("a=1 into/b=2");
    let found = only();
    assert_eq!((found.verb.as_str(), found.steps), ("redo", 1));
    assert!(matches!(found.again(), Some(Again::Undo(_))));
    done(only().again().expect("it can be").start());
    tree.assert("into/a=1 into/b=2");
    assert!(fileops::interrupted().expect("read").is_empty());
}

#[test]
fn a_clock_that_was_set_back_puts_nothing_before_what_was_done_earlier() {
    alone!();
    let tree = Tree::new("from/file=0 into/");
    let copy =
        || done(fileops::copy([tree.path("from/file")], tree.path("into")).on_conflict(OnConflict::Replace).start());
    let first = copy();
    // By a clock that was a hundred years ahead.
    let ahead = 4_900_000_000_000_000_000_u64;
    fs::rename(&history()[0], state("history").join(format!("{ahead:020}-{first}.journal"))).expect("renamed");
    fs::write(tree.path("from/file"), "1").expect("written");
    let second = copy();
    fs::write(tree.path("from/file"), "2").expect("written");
    let third = copy();
    let ids = || fileops::history().expect("read").into_iter().map(|past| past.id).collect::<Vec<_>>();
    assert_eq!(ids(), [third.clone(), second.clone(), first.clone()]);
    for (id, left) in [(third, "1"), (second, "0")] {
        undone(&id);
        assert_eq!(fs::read_to_string(tree.path("into/file")).expect("read"), left);
        assert_eq!(fileops::undone().expect("read")[0].id, id, "what was undone last is redone first");
    }
    undone(&first);
    tree.assert("from/file=2 into/");
}
