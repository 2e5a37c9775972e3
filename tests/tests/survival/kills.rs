//! SIGKILL at the first request, at the second, and so on: final names are absent or whole, and recovery knows the rest.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fileops::OnConflict;
use fileops_tests::kills;
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{FaultFs, Tree, require_fuse, snapshot, test_name, user_part};

use crate::{PATIENCE, alone, journals, part, stages, uncached};

/// Copies FROM into INTO, in a process that is going to be killed.
macro_rules! copying_part {
    () => {
        user_part!("copy", {
            let copy = fileops::copy([variable("FROM")], variable("INTO")).on_conflict(OnConflict::Replace);
            let report = copy.start().wait();
            assert!(report.is_complete(), "{report:?}");
        });
    };
}

/// Copies in a child that is killed at the `n`-th request of the destination; `false` if it had fewer.
fn killed_at(n: u64, test: &str, from: &Path, target: &FaultFs, into: &Path) -> bool {
    let set = [("FROM", from.as_os_str()), ("INTO", into.as_os_str())];
    kills::killed_at(n, target, part(test, "copy", &set), PATIENCE)
}

/// Kills at every `step`-th request, and lets recovery clean up after each.
fn kill_everywhere(test: &str, new: &str, old: &str, step: u64) {
    let (source, target) = (Tree::new(new), uncached());
    let (mut kills, mut found_ours) = (0, 0);
    for n in (1..).step_by(step as usize) {
        assert!(n < 1000, "still a request");
        let name = n.to_string();
        make(target.backing(), &format!("{name}/"));
        let (into, backing) = (target.path().join(&name), target.backing().join(&name));
        make(&backing, old);
        let was_killed = killed_at(n, test, &source.path("top"), &target, &into);
        let at = format!("killed at {n}");
        check_final_names(source.root(), &backing, old, &at);
        found_ours += recover(&into, &backing, old, &at);
        if !was_killed {
            println!("seen: {kills} kills, {found_ours} stages found and removed");
            assert!(kills >= 15 && found_ours >= 5, "{kills} kills, {found_ours} stages");
            return;
        }
        kills += 1;
    }
}

fn check_final_names(source: &Path, into: &Path, old: &str, at: &str) {
    let (new, before) = (snapshot(source), Tree::new(old));
    let before = snapshot(before.root());
    let found = snapshot(into);
    for path in before.keys() {
        assert!(found.contains_key(path), "{at}: {:?} is gone", String::from_utf8_lossy(path));
    }
    for (path, entry) in &found {
        let shown = String::from_utf8_lossy(path);
        if shown.split('/').any(|name| crate::is_stage(OsStr::new(name))) || entry.kind.is_dir() {
            continue;
        }
        let is_new = new.get(path).is_some_and(|new| {
            (new.hash, &new.target, new.mode, new.mtime) == (entry.hash, &entry.target, entry.mode, entry.mtime)
        });
        let is_old = before.get(path).is_some_and(|old| (old.hash, &old.target) == (entry.hash, &entry.target));
        assert!(is_new || is_old, "{at}: {shown} is torn: {entry:?}");
    }
    // A new tree is there with all that belongs to it, or not at all.
    for tree in ["top", "top/dir"] {
        if !before.contains_key(tree.as_bytes()) && found.contains_key(tree.as_bytes()) {
            let missing = new.keys().find(|path| path.starts_with(tree.as_bytes()) && !found.contains_key(*path));
            assert_eq!(missing, None, "{at}: half a tree");
        }
    }
}

/// Recovery lists what is left, removes what is ours and nothing else. Gives how many were ours.
fn recover(into: &Path, backing: &Path, old: &str, at: &str) -> usize {
    // An old file that is under a stage's name goes to where it is kept.
    let listed = fileops::leftovers().expect("the journals can be read");
    let left = stages(backing);
    let mut paths: Vec<_> = listed.iter().map(|leftover| leftover.path.clone()).collect();
    let mut expected: Vec<_> =
        left.iter().map(|path| into.join(path.strip_prefix(backing).expect("it is below"))).collect();
    paths.sort();
    expected.sort();
    assert_eq!(paths, expected, "{at}: what is listed, what is there");
    let mut ours = 0;
    for leftover in &listed {
        assert_eq!(leftover.verb.as_deref(), Some("copy"));
        let name = leftover.path.file_name().expect("it has one");
        let on_disk = left.iter().find(|path| path.file_name() == Some(name)).expect("it is there");
        if leftover.is_ours {
            ours += 1;
            leftover.remove().unwrap_or_else(|errors| panic!("{at}: {}: {errors:?}", leftover.path.display()));
            assert!(on_disk.symlink_metadata().is_err(), "{at}");
        } else {
            // The old file after the exchange: somebody's, whatever it is called.
            let wanted = leftover.wanted.as_ref().expect("it is known").strip_prefix(into).expect("it is below");
            let old = Tree::new(old);
            let before = old.path(wanted);
            let is_old = before.symlink_metadata().is_ok() && contents(&before) == contents(on_disk);
            assert!(is_old, "{at}: {} is not the old file", leftover.path.display());
            let refused = leftover.remove().expect_err("it is not ours");
            assert_eq!(refused[0].errno(), Some(libc::EPERM));
            fs::remove_file(on_disk).expect("it is still there");
        }
    }
    assert!(fileops::leftovers().expect("read").is_empty(), "{at}: still something");
    // What was replaced before the kill can still be undone: the operation is listed until somebody settles it.
    for interrupted in fileops::interrupted().expect("read") {
        assert!(interrupted.leftovers.is_empty(), "{at}: {:?}", interrupted.leftovers);
        fileops::forget(&interrupted.id).unwrap_or_else(|error| panic!("{at}: {error}"));
    }
    assert!(journals().is_empty(), "{at}: {:?}", journals());
    ours
}

/// Where a link leads, or what is in a file.
fn contents(path: &Path) -> (Option<PathBuf>, Option<Vec<u8>>) {
    let link = fs::read_link(path).ok();
    let bytes = if link.is_none() { fs::read(path).ok() } else { None };
    (link, bytes)
}

const NEW: &str = "top/one=hello top/two#300000 top/fresh#70000 top/dir/three=inside top/dir/four#9000 top/link->one top/same=>top/one";

#[test]
fn a_kill_leaves_a_new_tree_absent_or_whole() {
    copying_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), NEW, "", 3);
}

#[test]
fn a_kill_leaves_each_replaced_file_old_or_new() {
    copying_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), NEW, "top/one=old top/two=old top/link->old top/other=stays", 6);
}

#[test]
fn a_kill_at_any_request_of_a_replacement_leaves_the_old_file_or_the_new_one() {
    copying_part!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), "top#9000", "top=old", 1);
}

#[test]
fn a_kill_at_a_random_moment_on_a_disk_leaves_final_names_absent_or_whole() {
    copying_part!();
    alone!();
    let many: String = (0..60).map(|n| format!("top/{}/{n}#{} ", n % 7, n * 700)).collect();
    let source = Tree::new(&many);
    let expected = snapshot(source.path("top"));
    let into = Tree::new("");
    let mut kills = 0;
    for round in 0..15_u64 {
        let set = [("FROM", source.path("top")), ("INTO", into.root().to_owned())];
        let set = set.each_ref().map(|(name, path)| (*name, path.as_os_str()));
        let mut child = part(test_name!(), "copy", &set).spawn().expect("runs");
        std::thread::sleep(Duration::from_micros(2_000 + round * 977));
        let was_running = child.try_wait().expect("a child").is_none();
        child.kill().expect("killed");
        child.wait().expect("ended");
        kills += u32::from(was_running);
        if into.path("top").exists() {
            assert_eq!(snapshot(into.path("top")), expected, "half a tree");
            fs::remove_dir_all(into.path("top")).expect("removed");
        }
        for leftover in fileops::leftovers().expect("read") {
            assert!(leftover.is_ours, "{leftover:?}");
            leftover.remove().expect("removed");
        }
        assert_eq!(fs::read_dir(into.root()).expect("read").count(), 0);
    }
    println!("seen: {kills} kills while it ran");
}
