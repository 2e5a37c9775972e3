//! New files in the places of old ones.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fileops::{OnConflict, Refusal, Report, Undoable};
use fileops_tests::tree::{inode, make};
use fileops_tests::{Action, Fault, FaultFs, Knobs, Op, Options, Tree, assert_same_tree, require_fuse};

use crate::{alone, errnos, finish, journals, stages, uncached};

fn replace(source: impl Into<std::path::PathBuf>, into: impl Into<std::path::PathBuf>) -> Report {
    finish(fileops::copy([source.into()], into).on_conflict(OnConflict::Replace).undoable(Undoable::No).start())
}

#[test]
fn a_link_at_the_destination_is_replaced_and_not_written_through() {
    alone!();
    for leads_to in ["other", "nowhere", "dir", "../outside"] {
        let tree = Tree::new("outside=stays source/name=new target/other=stays target/dir/");
        symlink(leads_to, tree.path("target/name")).expect("made");
        let report = replace(tree.path("source/name"), tree.path("target"));
        assert!(report.is_complete(), "{leads_to}: {report:?}");
        tree.assert("outside=stays source/name=new target/name=new target/other=stays target/dir/");
    }
    for rule in [OnConflict::Fail, OnConflict::Skip] {
        let tree = Tree::new("source/name=new target/other=stays target/name->other target/void->nowhere");
        fs::write(tree.path("source/void"), "new").expect("written");
        let sources = [tree.path("source/name"), tree.path("source/void")];
        let report = finish(fileops::copy(sources, tree.path("target")).on_conflict(rule).start());
        assert_eq!(report.failures.len() + report.skipped.len(), 2, "{report:?}");
        tree.assert("source/name=new source/void=new target/other=stays target/name->other target/void->nowhere");
    }
}

#[test]
fn a_new_tree_does_not_go_through_a_link_that_has_its_name() {
    alone!();
    let tree = Tree::new("outside/ source/top/file=new target/");
    symlink("../outside", tree.path("target/top")).expect("made");
    for rule in [OnConflict::Fail, OnConflict::Replace, OnConflict::Newer, OnConflict::Different] {
        let report = finish(fileops::copy([tree.path("source/top")], tree.path("target")).on_conflict(rule).start());
        assert_eq!(report.failures.len(), 1, "{rule:?}: {report:?}");
        tree.assert("outside/ source/top/file=new target/top->../outside");
    }
}

#[test]
fn a_running_program_is_replaced_and_goes_on() {
    alone!();
    let tree = Tree::new("source/ target/");
    fs::copy("/bin/sleep", tree.path("target/program")).expect("copied");
    fs::copy("/bin/true", tree.path("source/program")).expect("copied");
    let mut running = Command::new(tree.path("target/program")).arg("60").spawn().expect("runs");
    let busy = fs::OpenOptions::new().write(true).open(tree.path("target/program")).map(drop);
    assert_eq!(busy.map_err(|error| error.raw_os_error()), Err(Some(libc::ETXTBSY)));
    let report = replace(tree.path("source/program"), tree.path("target"));
    let goes_on = running.try_wait().expect("a child").is_none();
    running.kill().expect("killed");
    running.wait().expect("ended");
    assert!(report.is_complete() && goes_on, "{report:?}");
    assert_same_tree(tree.path("source/program"), tree.path("target/program"));
    assert!(Command::new(tree.path("target/program")).status().expect("runs").success());
}

#[test]
fn five_hundred_files_of_one_directory_are_replaced() {
    alone!();
    let names = |text: &str| (0..500).map(|n| format!("top/{n}={text}{n} ")).collect::<String>();
    let (source, target) = (Tree::new(&names("new")), Tree::new(&names("old")));
    fs::write(target.path("top/other"), "stays").expect("written");
    let report = replace(source.path("top"), target.root());
    assert!(report.is_complete() && report.files == 500, "{report:?}");
    target.assert(&format!("{} top/other=stays", names("new")));
    assert_eq!(journals().len(), 0);
}

#[test]
fn each_new_file_is_on_the_device_before_it_takes_the_old_one_s_place() {
    alone!();
    require_fuse!();
    let names = |text: &str| (0..12).map(|n| format!("top/{n}={text} ")).collect::<String>();
    let (source, target) = (Tree::new(&names("new")), uncached());
    make(target.backing(), &names("old"));
    let report = replace(source.path("top"), target.path());
    assert!(report.is_complete(), "{report:?}");
    let mut synced = std::collections::HashSet::new();
    let mut renamed = 0;
    for (op, path) in target.log() {
        match op {
            Op::Fsync => drop(synced.insert(path)),
            Op::Rename => {
                assert!(synced.contains(&path), "{} was not synced", path.display());
                renamed += 1;
            }
            _ => {}
        }
    }
    assert_eq!(renamed, 12);
}

/// Replaces `target` while something happens to it at the `n`-th request of a kind.
fn meddled(op: Op, n: u64, knobs: Knobs, meddle: impl Fn(&Path) + Send + Sync + 'static) -> (Report, FaultFs) {
    let (source, target) = (Tree::new("target#9000"), crate::uncached_with(Options { knobs, ..Options::default() }));
    make(target.backing(), "target=old");
    let path = target.backing().join("target");
    let fault = target.add(Fault::new(op, Action::call(move || meddle(&path))).nth(n));
    let report = replace(source.path("target"), target.path());
    assert_eq!(target.hits(fault), 1);
    (report, target)
}

#[track_caller]
fn is_refused(report: &Report, target: &FaultFs, expected: &str) {
    let refusals: Vec<_> = report.failures.iter().map(|error| error.refusal()).collect();
    assert_eq!(refusals, [Some(Refusal::TargetChanged)], "{report:?}");
    fileops_tests::tree::assert_tree(target.backing(), expected);
    assert_eq!(journals().len(), 0);
}

#[test]
fn what_somebody_wrote_to_the_target_meanwhile_survives() {
    alone!();
    require_fuse!();
    for (op, no_rename_flags) in [(Op::Write, false), (Op::Fsync, false), (Op::Rename, false), (Op::Fsync, true)] {
        let knobs = || Knobs { no_rename_flags, ..Knobs::default() };
        let (report, target) = meddled(op, 1, knobs(), |path| fs::write(path, "theirs").expect("written"));
        is_refused(&report, &target, "target=theirs");
        let (report, target) = meddled(op, 1, knobs(), |path| {
            fs::write(path.with_file_name("temporary"), "theirs").expect("written");
            fs::rename(path.with_file_name("temporary"), path).expect("renamed");
        });
        is_refused(&report, &target, "target=theirs");
        let (report, target) = meddled(op, 1, knobs(), |path| {
            fs::remove_file(path).expect("removed");
            make(path, "their/own=x");
        });
        is_refused(&report, &target, "target/their/own=x");
    }
}

#[test]
fn a_target_that_vanished_meanwhile_leaves_nothing_unfinished() {
    alone!();
    require_fuse!();
    let (report, target) = meddled(Op::Fsync, 1, Knobs::default(), |path| fs::remove_file(path).expect("removed"));
    match report.is_complete() {
        true => assert_eq!(fs::metadata(target.backing().join("target")).expect("there").len(), 9000),
        false => assert_eq!(errnos(&report), [libc::ENOENT], "{report:?}"),
    }
    assert_eq!((stages(target.backing()).len(), journals().len()), (0, 0));
}

#[test]
fn a_name_that_somebody_took_meanwhile_is_not_taken_from_him() {
    alone!();
    require_fuse!();
    for (no_rename_flags, no_links) in [(false, false), (true, false), (true, true)] {
        for (new, op) in [("name#9000", Op::Utimens), ("name/file=x", Op::Utimens), ("name->nowhere", Op::Symlink)] {
            let knobs = Knobs { no_rename_flags, no_links, ..Knobs::default() };
            let (source, target) = (Tree::new(new), crate::uncached_with(Options { knobs, ..Options::default() }));
            let path = target.backing().join("name");
            let taken = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&taken);
            let act = Action::call(move || {
                if !flag.swap(true, Ordering::Relaxed) {
                    fs::write(&path, "theirs").expect("written");
                }
            });
            target.add(Fault::new(op, act));
            let report = replace(source.path("name"), target.path());
            assert!(taken.load(Ordering::Relaxed), "{new}");
            assert_eq!(errnos(&report), [libc::EEXIST], "{new}: {report:?}");
            fileops_tests::tree::assert_tree(target.backing(), "name=theirs");
            assert_eq!(journals().len(), 0);
        }
    }
}

#[test]
fn file_systems_without_the_calls_for_it_are_copied_to_all_the_same() {
    alone!();
    require_fuse!();
    let new = "top/one=new top/two#9000 top/dir/three=new top/link->one top/same=>top/one top/fresh/four=new";
    let old = "top/one=old top/two=old top/dir/three=old top/link->old top/other=stays";
    for (no_rename_flags, no_links) in [(false, true), (true, false), (true, true)] {
        for old in ["", old] {
            let source = Tree::new(new);
            let knobs = Knobs { no_rename_flags, no_links, ..Knobs::default() };
            let target = Options { knobs, ..Options::default() }.mount().expect("mounted");
            make(target.backing(), old);
            let report = replace(source.path("top"), target.path());
            assert!(report.is_complete(), "{report:?}");
            let other = if old.is_empty() { "" } else { "top/other=stays" };
            let same = if no_links { "top/same=new" } else { "top/same=>top/one" };
            let expected = new.replace("top/same=>top/one", same);
            fileops_tests::tree::assert_tree(target.backing(), &format!("{expected} {other}"));
            assert_eq!(journals().len(), 0);
        }
    }
}

#[test]
fn a_file_is_not_replaced_where_its_directory_is_read_only() {
    alone!();
    fileops_tests::user_part!("copy", {
        let report = replace(fileops_tests::user::variable("FROM"), fileops_tests::user::variable("INTO"));
        assert_eq!(errnos(&report), [libc::EACCES], "{report:?}");
    });
    fileops_tests::require_root!();
    // The old file may be written to by anybody: not even then in place.
    let tree = Tree::new("source/file!644=new target/file!666=old");
    fs::set_permissions(tree.path("target"), fs::Permissions::from_mode(0o755)).expect("set");
    let before = inode(tree.path("target/file"));
    let state = Tree::new("");
    fs::set_permissions(state.root(), fs::Permissions::from_mode(0o777)).expect("set");
    let (from, into) = (tree.path("source/file"), tree.path("target"));
    let set = [("FROM", from.as_os_str()), ("INTO", into.as_os_str()), ("XDG_STATE_HOME", state.root().as_os_str())];
    fileops_tests::as_user(1234, 1234, fileops_tests::test_name!(), "copy", &set);
    tree.assert("source/file=new target/file=old");
    assert_eq!(inode(tree.path("target/file")), before);
}
