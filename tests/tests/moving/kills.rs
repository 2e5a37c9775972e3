//! SIGKILL at the first request, at the second, and so on: every file is whole at its source or at its target.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use fileops::OnConflict;
use fileops_tests::alone::{journals, part};
use fileops_tests::kills;
use fileops_tests::skip::is_root;
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{FaultFs, Tree, alone, require_fuse, snapshot, test_name, user_part};

use crate::{PATIENCE, Scene, elsewhere, same, stages, uncached};

/// Moves FROM into INTO, in a process that is going to be killed.
macro_rules! moving_part {
    () => {
        user_part!("move", {
            let relocation = fileops::move_to([variable("FROM")], variable("INTO")).on_conflict(OnConflict::Replace);
            let report = relocation.jobs(1).start().wait();
            assert!(report.is_complete(), "{report:?}");
        });
    };
}

/// Moves in a child that is killed at the `n`-th request; `false` if it had fewer.
fn killed_at(n: u64, test: &str, fs: &FaultFs, from: &Path, into: &Path) -> bool {
    let set: [(&str, &OsStr); 2] = [("FROM", from.as_os_str()), ("INTO", into.as_os_str())];
    kills::killed_at(n, fs, part(test, "move", &set), PATIENCE)
}

/// Which end has the requests at which the process is killed.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Source,
    Target,
    Both,
}

fn kill_everywhere(test: &str, side: Side, new: &str, old: &str, step: usize) {
    let (fs, disk, memory) = (uncached(), Tree::new(""), is_root().then(elsewhere));
    let plain = memory.as_ref().map_or(disk.root(), |memory| memory.path());
    for (kills, n) in (1..).step_by(step).enumerate() {
        assert!(n < 1000, "still a request");
        let name = n.to_string();
        let on_fault = |part: &str| (fs.path().join(&name).join(part), fs.backing().join(&name).join(part));
        let on_plain = |part: &str| (plain.join(&name).join(part), plain.join(&name).join(part));
        let (from, from_backing) = if side == Side::Target { on_plain("from") } else { on_fault("from") };
        let (to, to_backing) = if side == Side::Source { on_plain("to") } else { on_fault("to") };
        for (dir, entries) in [(&from_backing, new), (&to_backing, old)] {
            fs::create_dir_all(dir).expect("made");
            make(dir, entries);
        }
        let scene = Scene::of(&from_backing, &to_backing);
        let was_killed = killed_at(n as u64, test, &fs, &from.join("top"), &to);
        let wrong = scene.check(&from_backing, &to_backing, !was_killed);
        assert!(wrong.is_empty(), "killed at {n}: {wrong:#?}");
        recover(&to_backing, n);
        let wrong = scene.check(&from_backing, &to_backing, !was_killed);
        assert!(wrong.is_empty(), "killed at {n}, after recovery: {wrong:#?}");
        if !was_killed {
            println!("seen: {kills} kills");
            assert!(kills >= 10, "{kills} kills");
            return;
        }
    }
}

/// Recovery removes what is ours and nothing else, and then no stage is left.
fn recover(to: &Path, n: usize) {
    for leftover in fileops::leftovers().expect("the journals can be read") {
        if leftover.is_ours {
            leftover.remove().unwrap_or_else(|errors| panic!("killed at {n}: {errors:?}"));
        }
    }
    let left = stages(to);
    if left.is_empty() {
        return;
    }
    // Made, and killed before that was recorded; or the old file after the exchange.
    assert!(left.len() == 1, "killed at {n}: {left:?}");
    journals().iter().for_each(|journal| fs::remove_file(journal).expect("removed"));
}

const NEW: &str = "top/one=hello top/two#300000 top/dir/three=inside top/dir/four#9000 top/link->one top/same=>top/one";
const OLD: &str = "top/one=old top/two=old top/link->old top/other=stays";

#[test]
fn a_kill_at_a_request_of_the_target_loses_nothing_of_a_new_tree() {
    moving_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), Side::Target, NEW, "", 1);
}

#[test]
fn a_kill_at_a_request_of_the_source_loses_nothing_of_a_new_tree() {
    moving_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), Side::Source, NEW, "", 1);
}

#[test]
fn a_kill_at_a_request_of_the_target_loses_nothing_of_a_merge() {
    moving_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), Side::Target, NEW, OLD, 2);
}

#[test]
fn a_kill_at_a_request_of_the_source_loses_nothing_of_a_merge() {
    moving_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), Side::Source, NEW, OLD, 1);
}

#[test]
fn a_kill_while_a_file_replaces_another_by_a_rename_loses_neither() {
    moving_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), Side::Both, "top#9000", "top=old", 1);
}

#[test]
fn a_kill_while_trees_merge_by_renames_loses_nothing() {
    moving_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), Side::Both, NEW, OLD, 1);
}

/// What was killed stands in the history, and is undone with all that it had done by then.
#[test]
fn a_move_that_was_killed_is_rolled_back_by_an_undo() {
    moving_part!();
    alone!();
    require_fuse!();
    let (fs, disk) = (uncached(), Tree::new(""));
    for old in ["", OLD] {
        for n in (1..).step_by(7) {
            assert!(n < 1000, "still a request");
            let name = format!("{n}-{}", old.len());
            let (from, to) = (disk.root().join(&name), fs.path().join(&name));
            let to_backing = fs.backing().join(&name);
            for (dir, entries) in [(&from, NEW), (&to_backing, old)] {
                fs::create_dir_all(dir).expect("made");
                make(dir, entries);
            }
            let before = (snapshot(&from), snapshot(&to_backing));
            let was_killed = killed_at(n as u64, test_name!(), &fs, &from.join("top"), &to);
            for past in fileops::history().expect("read") {
                let report = fileops::undo(&past.id).start().wait();
                assert!(report.is_complete(), "killed at {n}: {report:?}");
            }
            recover(&to_backing, n);
            for (before, dir) in [(&before.0, &from), (&before.1, &to_backing)] {
                let after = snapshot(dir);
                assert!(before.keys().eq(after.keys()), "killed at {n}: {:?}, {:?}", before.keys(), after.keys());
                let changed = before.iter().find(|(path, entry)| !same(entry, &after[*path]));
                assert!(changed.is_none(), "killed at {n}: {changed:?}");
            }
            let _ = fs::remove_dir_all(fs.backing().join(".fileops-kept-0"));
            journals().iter().for_each(|journal| fs::remove_file(journal).expect("removed"));
            let history = Path::new(&std::env::var_os("XDG_STATE_HOME").expect("set")).join("fileops/history");
            let _ = fs::remove_dir_all(history);
            if !was_killed {
                break;
            }
        }
    }
}
