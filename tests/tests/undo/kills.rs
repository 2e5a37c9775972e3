//! SIGKILL while something is undone or redone, at the first request, at the second, and so on: what was killed is gone on
//! with, nothing is lost, and in the end the trees are what they were before the operation, or after it.

use std::fs;
use std::path::{Path, PathBuf};

use fileops::{OnConflict, Operation, Report, Trashed};
use fileops_tests::alone::part;
use fileops_tests::kills::killed_at;
use fileops_tests::skip::is_root;
use fileops_tests::snapshot::Snapshot;
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{
    FaultFs, Ignore, Knobs, Mount, Options, Tree, alone, differences, require_fuse, snapshot, test_name, user_part,
};

use crate::{PATIENCE, contents, finish, uncached, uncached_with, undo};

/// Undoes or redoes, in a process that is going to be killed.
macro_rules! parts {
    () => {
        user_part!("undo", {
            let report = undo(variable("ID").to_str().expect("letters"));
            assert!(report.is_complete(), "{report:?}");
        });
        user_part!("redo", {
            let report = redo(variable("ID").to_str().expect("letters"));
            assert!(report.is_complete(), "{report:?}");
        });
    };
}

fn redo(id: &str) -> Report {
    finish(fileops::redo(id).start())
}

/// What is killed.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Undo,
    Redo,
}

/// One file system that kills, and one that does not; each run has a directory of its own on both.
struct Ground {
    fs: FaultFs,
    plain: Plain,
}

enum Plain {
    Mount(Mount),
    Tree(Tree),
}

impl Ground {
    fn new(fs: FaultFs) -> Ground {
        let plain = match is_root() {
            true => Plain::Mount(Mount::tmpfs("size=64m").expect("a tmpfs can be mounted")),
            false => Plain::Tree(Tree::new("")),
        };
        Ground { fs, plain }
    }

    fn plain(&self) -> &Path {
        match &self.plain {
            Plain::Mount(mount) => mount.path(),
            Plain::Tree(tree) => tree.root(),
        }
    }
}

/// The places of one run.
struct Run {
    /// As the operation sees them: on the file system that kills, and on the other one.
    shown: [PathBuf; 2],
    backing: [PathBuf; 2],
}

impl Run {
    fn look(&self) -> [Snapshot; 2] {
        self.backing.each_ref().map(snapshot)
    }
}

/// Kills at every `step`-th request of an undo or redo; what was begun is completed by the next, and so on.
fn kill_everywhere(
    (test, what, step): (&str, What, usize),
    ground: &Ground,
    (killing, plain): (&str, &str),
    prepare: impl Fn(&Run),
    start: impl Fn(&Run) -> Operation,
) {
    for (kills, n) in (1..).step_by(step).enumerate() {
        assert!(n < 1000, "still a request");
        let name = n.to_string();
        let on = |root: &Path| root.join(&name);
        let run = Run {
            shown: [on(ground.fs.path()), on(ground.plain())],
            backing: [on(ground.fs.backing()), on(ground.plain())],
        };
        for (dir, entries) in run.backing.iter().zip([killing, plain]) {
            fs::create_dir(dir).expect("made");
            make(dir, entries);
        }
        prepare(&run);
        let before = run.look();
        let report = finish(start(&run));
        assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
        let id = report.id.expect("something to undo");
        let after = run.look();
        let texts: Vec<_> = run.backing.iter().flat_map(|dir| contents(dir).into_keys()).collect();
        if what == What::Redo {
            let report = undo(&id);
            assert!(report.is_complete(), "{report:?}");
        }
        let word = if what == What::Undo { "undo" } else { "redo" };
        let was_killed = killed_at(n as u64, &ground.fs, part(test, word, &[("ID", id.as_ref())]), PATIENCE);
        let at = format!("killed at {n}");
        let nothing_is_lost = |at: &str| {
            let found: Vec<_> = [ground.fs.backing(), ground.plain()].map(contents).into_iter().collect();
            let lost = texts.iter().find(|text| found.iter().all(|found| !found.contains_key(*text)));
            assert!(lost.is_none(), "{at}: {:?} is lost", lost.map(|text| String::from_utf8_lossy(text)));
        };
        nothing_is_lost(&at);
        // Where a move goes on its directories get the time of that, and names of one file that went apart stay so.
        let ignore = Ignore { dir_mtime: was_killed, hard_links: was_killed, ..Ignore::default() };
        let assert_same = |then: &[Snapshot; 2], when: &str| {
            for (then, now) in then.iter().zip(&run.look()) {
                let found = differences(then, now, &ignore);
                assert!(found.is_empty(), "{at}, {when}:\n  {}\n", found.join("\n  "));
            }
        };
        let complete = |report: Report, when: &str| {
            assert!(report.is_complete(), "{at}, {when}: {report:?}");
            report.id
        };
        let mut last = id.clone();
        if what == What::Redo {
            // What was killed is undone or gone on with; when all of it was done, there is nothing left to redo.
            let report = redo(&id);
            let was_done = report.failures.iter().all(|error| error.errno() == Some(libc::ENOENT));
            assert!(report.is_complete() || was_done, "{at}, redone: {report:?}");
            assert_same(&after, "redone");
            let all = fileops::history().expect("read");
            let newest = all.iter().find(|past| past.state == fileops::PastState::Done).expect("the redo");
            last = newest.id.clone();
        }
        complete(undo(&last), "undone");
        assert_same(&before, "undone");
        nothing_is_lost(&at);
        let again = complete(redo(&last), "redone").expect("done");
        assert_same(&after, "redone at last");
        complete(undo(&again), "undone at last");
        assert_same(&before, "undone at last");
        nothing_is_lost(&at);
        let left = fileops::leftovers().expect("read");
        assert!(left.is_empty(), "{at}: {left:?}");
        if !was_killed {
            println!("seen: {kills} kills");
            assert!(kills >= 5, "{kills} kills");
            return;
        }
    }
}

const NEW: &str = "new/one=new1 new/fresh=new3 new/dir/three=new4 new/tree/deep/four=new5";
const OLD: &str = "new/one=old1 new/dir/three=old4 new/other=stays";

fn replacing(run: &Run) -> Operation {
    let [killing, plain] = &run.shown;
    fileops::copy([plain.join("new")], killing).on_conflict(OnConflict::Replace).jobs(1).start()
}

#[test]
fn a_killed_undo_of_a_copy_that_replaces_is_gone_on_with() {
    parts!();
    alone!();
    require_fuse!();
    kill_everywhere((test_name!(), What::Undo, 7), &Ground::new(uncached()), (OLD, NEW), |_| {}, replacing);
    let (no_rename_flags, no_links) = (true, true);
    let options = Options { knobs: Knobs { no_rename_flags, no_links, ..Knobs::default() }, ..Options::default() };
    kill_everywhere(
        (test_name!(), What::Undo, 11),
        &Ground::new(uncached_with(options)),
        (OLD, NEW),
        |_| {},
        replacing,
    );
}

#[test]
fn a_killed_redo_of_a_copy_that_replaces_is_gone_on_with() {
    parts!();
    alone!();
    require_fuse!();
    kill_everywhere((test_name!(), What::Redo, 7), &Ground::new(uncached()), (OLD, NEW), |_| {}, replacing);
}

#[test]
fn a_killed_undo_or_redo_of_a_merge_by_renames_is_gone_on_with() {
    parts!();
    alone!();
    require_fuse!();
    let all = format!("from/{} into/{}", NEW.replace(" new", " from/new"), OLD.replace(" new", " into/new"));
    let start = |run: &Run| {
        let [killing, _] = &run.shown;
        let relocation = fileops::move_to([killing.join("from/new")], killing.join("into"));
        relocation.on_conflict(OnConflict::Replace).jobs(1).start()
    };
    for what in [What::Undo, What::Redo] {
        kill_everywhere((test_name!(), what, 15), &Ground::new(uncached()), (&all, ""), |_| {}, start);
    }
}

const TREE: &str = "top/one=hello top/two#9000 top/dir/three=inside top/link->one top/same=>top/one single=x";

#[test]
fn a_killed_undo_or_redo_of_a_move_to_another_file_system_is_gone_on_with() {
    parts!();
    alone!();
    require_fuse!();
    let start = |run: &Run| {
        let [killing, plain] = &run.shown;
        let sources = ["top", "single"].map(|name| plain.join(name));
        fileops::move_to(sources, killing).on_conflict(OnConflict::Replace).jobs(1).start()
    };
    for what in [What::Undo, What::Redo] {
        kill_everywhere((test_name!(), what, 15), &Ground::new(uncached()), ("single=old", TREE), |_| {}, start);
    }
}

#[test]
fn a_killed_undo_or_redo_of_a_move_from_another_file_system_is_gone_on_with() {
    parts!();
    alone!();
    require_fuse!();
    let start = |run: &Run| {
        let [killing, plain] = &run.shown;
        let sources = ["top", "single"].map(|name| killing.join(name));
        fileops::move_to(sources, plain).on_conflict(OnConflict::Replace).jobs(1).start()
    };
    for what in [What::Undo, What::Redo] {
        kill_everywhere(
            (test_name!(), what, 15),
            &Ground::new(uncached()),
            (TREE, "top/one=old top/other=stays"),
            |_| {},
            start,
        );
    }
}

#[test]
fn a_killed_undo_or_redo_of_what_was_trashed_or_restored_is_gone_on_with() {
    parts!();
    alone!();
    require_fuse!();
    let trash = |run: &Run| {
        let [killing, _] = &run.shown;
        fileops::trash(["one", "dir", "two"].map(|name| killing.join(name))).jobs(1).start()
    };
    let trashed = |run: &Run| {
        let report = finish(trash(run));
        assert!(report.is_complete(), "{report:?}");
    };
    let restore = |run: &Run| {
        let [killing, _] = &run.shown;
        fileops::restore(["one", "dir", "two"].map(|name| Trashed::Original(killing.join(name)))).start()
    };
    let entries = "one=hello dir/inner=inside dir/deep/more=x two#9000";
    for what in [What::Undo, What::Redo] {
        kill_everywhere((test_name!(), what, 15), &Ground::new(uncached()), (entries, ""), |_| {}, trash);
    }
    kill_everywhere((test_name!(), What::Redo, 9), &Ground::new(uncached()), (entries, ""), trashed, restore);
}
