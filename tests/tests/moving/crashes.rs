//! The power fails at any moment of a move to another file system, and of what was not waited for anything may be lost: each
//! file is whole at its source or at its target, and what was to be replaced is there, old or new.

use std::fs;

use fileops::OnConflict;
use fileops_tests::crash::{self, Chance};
use fileops_tests::temp::Temp;
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, Ignore, Op, alone, differences, require_fuse, snapshot};

use crate::{complete, is_in_stage, run, stages, uncached};

/// What a recording does not hold.
const IGNORED: Ignore = Ignore {
    root: true,
    mode: true,
    owner: true,
    mtime: true,
    dir_mtime: true,
    link_mtime: true,
    mtime_step: 0,
    xattrs: true,
    hard_links: true,
};

/// A move from `from` to `to` of one file system, which says that these are two.
fn move_crashes(new: &str, old: &str) {
    let fs = uncached();
    for (dir, entries) in [("from", new), ("to", old)] {
        fs::create_dir(fs.backing().join(dir)).expect("made");
        make(&fs.backing().join(dir), entries);
    }
    fs.add(Fault::new(Op::Rename, Action::Errno(libc::EXDEV)).name("from/*"));
    let [from, to] = ["from", "to"].map(|name| fs.path().join(name));
    let [was, had] = ["from", "to"].map(|name| snapshot(fs.backing().join(name)));
    let relocation = fileops::move_to([from.join("top")], &to).on_conflict(OnConflict::Replace).jobs(1);
    let moved = || drop(complete(run(relocation)));
    crash::each(&fs, moved, |dir, at| {
        let [source, target] = ["from", "to"].map(|name| snapshot(dir.join(name)));
        let is_same = |a: &fileops_tests::snapshot::Snapshot, b: &fileops_tests::snapshot::Snapshot, path: &Vec<u8>| {
            let one = |all: &fileops_tests::snapshot::Snapshot| {
                all.get(path).map(|entry| (path.clone(), entry.clone())).into_iter().collect()
            };
            let (a, b): (fileops_tests::snapshot::Snapshot, fileops_tests::snapshot::Snapshot) = (one(a), one(b));
            !b.is_empty() && differences(&a, &b, &IGNORED).is_empty()
        };
        let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        for path in was.keys().filter(|path| !path.is_empty()) {
            let is_somewhere = is_same(&was, &source, path) || is_same(&was, &target, path);
            assert!(is_somewhere, "{at}: {} is nowhere: {:?}, {:?}", shown(path), source.keys(), target.keys());
        }
        for path in target.keys().filter(|path| !is_in_stage(path)) {
            let is_right = is_same(&had, &target, path) || is_same(&was, &target, path);
            assert!(is_right, "{at}: {} is neither old nor new: {:?}", shown(path), target[path]);
        }
        for path in had.keys() {
            assert!(target.contains_key(path), "{at}: {} is gone from the target", shown(path));
        }
        // What is left is found.
        let found = fileops::search(dir.join("to")).expect("searched");
        assert_eq!(found.len(), stages(&dir.join("to")).len(), "{at}: {found:?}");
    });
}

#[test]
fn a_crash_at_any_moment_of_a_move_of_a_new_tree_loses_nothing() {
    alone!();
    require_fuse!();
    move_crashes("top/one=hello top/two#9000 top/dir/three=inside top/dir/deep/four#70000 top/link->one", "");
}

#[test]
fn a_crash_at_any_moment_of_a_move_that_replaces_loses_neither() {
    alone!();
    require_fuse!();
    move_crashes("top/one=hello top/two#9000 top/dir/three=inside", "top/one=old top/dir/three=old top/other=stays");
}

#[test]
fn a_crash_after_a_move_that_said_it_is_complete_finds_everything_at_the_target() {
    alone!();
    require_fuse!();
    let fs = uncached();
    make(fs.backing(), "from/top/one=hello from/top/dir/two#9000 to/");
    fs.add(Fault::new(Op::Rename, Action::Errno(libc::EXDEV)).name("from/*"));
    let before = snapshot(fs.backing().join("from/top"));
    fs.record();
    complete(run(fileops::move_to([fs.path().join("from/top")], fs.path().join("to")).jobs(1)));
    let (recording, mut chance) = (fs.recorded(), Chance::default());
    for _ in 0..50 {
        let dir = Temp::new("crash").expect("a directory");
        recording.crash(recording.moments() - 1, &mut chance, dir.path());
        let found = differences(&before, &snapshot(dir.path().join("to/top")), &IGNORED);
        assert!(found.is_empty(), "{found:?}");
    }
}
