//! Killed copies that go on where they stopped.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use fileops::{NoteKind, OnConflict, Report, Resume};
use fileops_tests::alone::{journals, part, wait_for_child};
use fileops_tests::user::variable;
use fileops_tests::{
    Ignore, Mount, Tree, alone, assert_same_tree, assert_same_tree_but, require_command, require_root, test_name,
    user_part,
};

use crate::{MIB, PATIENCE, allocated, fill, finish, stages};

/// Copies FROM into INTO slowly, in a process that is going to be killed.
macro_rules! copying_part {
    () => {
        user_part!("copy", {
            let copy = fileops::copy([variable("FROM")], variable("INTO")).on_conflict(OnConflict::Replace);
            let report = finish(copy.bandwidth(Some(100 * MIB)).start());
            println!("{report:?}");
        });
    };
}

fn start(test: &str, from: &Path, into: &Path) -> Child {
    let set = [("FROM", from.as_os_str()), ("INTO", into.as_os_str())];
    let set: Vec<(&str, &OsStr)> = set.into_iter().collect();
    part(test, "copy", &set).spawn().expect("this program runs")
}

/// Copies until about so many bytes are there; gives the stage.
fn interrupted_at(test: &str, from: &Path, into: &Path, bytes: u64) -> PathBuf {
    let mut child = start(test, from, into);
    let end = Instant::now() + PATIENCE;
    loop {
        let found = stages(into);
        if found.iter().map(|stage| allocated(stage)).sum::<u64>() >= bytes {
            break;
        }
        assert!(Instant::now() < end, "it does not come so far");
        assert!(child.try_wait().expect("a child").is_none(), "it was over before");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let mut found = stages(into);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Copies again. Gives the report and the share of the bytes that was written.
fn again(from: &Path, into: &Path) -> (Report, f64) {
    let wrote = || {
        let io = fs::read_to_string("/proc/self/io").expect("read");
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("the kernel counts");
        line.parse::<u64>().expect("a number")
    };
    let before = wrote();
    let report = finish(fileops::copy([from], into).on_conflict(OnConflict::Replace).start());
    let share = (wrote() - before) as f64 / report.bytes.max(1) as f64;
    (report, share)
}

fn nothing_is_left(into: &Path) {
    assert_eq!(stages(into).len(), 0);
    assert!(journals().is_empty(), "{:?}", journals());
}

fn large(tree: &Tree) -> PathBuf {
    fill(&tree.path("large"), 100);
    tree.path("large")
}

fn many(mib: u64) -> Tree {
    let mut text = String::new();
    for n in 0..mib * 20 {
        text += &format!("top/{}/{}/{n}#{} ", n % 5, n % 3, 50_000 + n);
    }
    text += "top/link->0/0/0 top/0/same=>top/0/0/0 top/1/same=>top/0/0/0 top/closed/inner=x top/closed!500/ top/pipe|";
    let tree = Tree::new(&text);
    fill(&tree.path("top/4/large"), mib);
    tree
}

#[test]
fn a_large_file_goes_on_where_it_was_killed() {
    copying_part!();
    alone!();
    let source = Tree::new("");
    let from = large(&source);
    for percent in [30, 50, 70, 95] {
        let into = Tree::new("");
        interrupted_at(test_name!(), &from, into.root(), percent * MIB);
        let (report, written) = again(&from, into.root());
        assert!(report.is_complete(), "{report:?}");
        let resumed = report.resumed as f64 / report.bytes as f64;
        println!("seen: killed at {percent} %, {:.0} % there, {:.0} % written", 100.0 * resumed, 100.0 * written);
        assert!(written <= 1.05 - percent as f64 / 100.0, "{percent}: {written}");
        assert!(resumed >= percent as f64 / 100.0 - 0.05, "{percent}: {resumed}");
        assert_same_tree(&from, into.path("large"));
        nothing_is_left(into.root());
    }
}

#[test]
fn a_tree_goes_on_where_it_was_killed() {
    copying_part!();
    alone!();
    let source = many(40);
    let from = source.path("top");
    for percent in [30, 50, 70, 95] {
        let into = Tree::new("");
        interrupted_at(test_name!(), &from, into.root(), percent * 80 * MIB / 100);
        let (report, written) = again(&from, into.root());
        assert!(report.is_complete(), "{report:?}");
        println!("seen: killed at {percent} %, {:.0} % written", 100.0 * written);
        assert!(written <= 1.05 - percent as f64 / 100.0, "{percent}: {written}");
        assert_same_tree(&from, into.path("top"));
        nothing_is_left(into.root());
    }
}

#[test]
fn a_source_that_changed_is_copied_from_the_beginning() {
    copying_part!();
    alone!();
    let (source, into) = (Tree::new(""), Tree::new(""));
    let from = large(&source);
    let stage = interrupted_at(test_name!(), &from, into.root(), 30 * MIB);
    fs::OpenOptions::new().write(true).open(&from).expect("opened").write_all_at(b"other", 5000).expect("written");
    let (report, _) = again(&from, into.root());
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.resumed, 0);
    assert_same_tree(&from, into.path("large"));
    assert_eq!(stages(into.root()), [stage], "what is another's stays");
    let left = fileops::leftovers().expect("read");
    assert_eq!(left.len(), 1);
    left[0].remove().expect("removed");
    assert!(fileops::leftovers().expect("read").is_empty());
    nothing_is_left(into.root());
}

#[test]
fn in_a_tree_only_what_changed_is_copied_again() {
    copying_part!();
    alone!();
    let (source, into) = (many(20), Tree::new(""));
    let from = source.path("top");
    let stage = interrupted_at(test_name!(), &from, into.root(), 32 * MIB);
    let whole = (0..400).map(|n| format!("{}/{}/{n}", n % 5, n % 3)).filter(|name| {
        let (copy, source) = (fs::metadata(stage.join(name)), fs::metadata(from.join(name)).expect("there"));
        copy.is_ok_and(|copy| {
            (copy.len(), copy.mtime(), copy.mtime_nsec()) == (source.len(), source.mtime(), source.mtime_nsec())
        })
    });
    let whole: Vec<_> = whole.take(4).collect();
    assert_eq!(whole.len(), 4, "it did not come far");
    // Written to; grown; gone; another mode.
    fs::OpenOptions::new().write(true).open(from.join(&whole[0])).unwrap().write_all_at(b"other", 500).unwrap();
    fs::write(from.join(&whole[1]), vec![7; 90_000]).unwrap();
    fs::remove_file(from.join(&whole[2])).unwrap();
    fs::set_permissions(from.join(&whole[3]), fs::Permissions::from_mode(0o751)).unwrap();
    fs::write(from.join("added"), b"new").unwrap();
    let (report, written) = again(&from, into.root());
    assert!(report.failures.is_empty(), "{report:?}");
    assert!(written < 0.5, "{written}");
    assert_same_tree(&from, into.path("top"));
    // What the source has no more is set aside.
    assert!(report.notes.iter().any(|note| note.kind == NoteKind::LeftBehind), "{report:?}");
    let left = fileops::leftovers().expect("read");
    assert_eq!(left.len(), 1, "{left:?}");
    left[0].remove().expect("removed");
    assert!(fileops::leftovers().expect("read").is_empty());
    nothing_is_left(into.root());
}

#[test]
fn what_somebody_did_in_the_stage_is_neither_believed_nor_lost() {
    copying_part!();
    alone!();
    let (source, into) = (many(20), Tree::new(""));
    let from = source.path("top");
    let stage = interrupted_at(test_name!(), &from, into.root(), 35 * MIB);
    let large = stage.join("4/large");
    assert!(large.exists());
    fs::OpenOptions::new().write(true).open(&large).unwrap().write_all_at(b"damaged", 5000).unwrap();
    fs::write(stage.join("0/foreign"), b"somebody's").unwrap();
    fs::create_dir(stage.join("foreign dir")).unwrap();
    let (report, _) = again(&from, into.root());
    assert!(report.failures.is_empty(), "{report:?}");
    assert_same_tree(&from, into.path("top"));
    let left = stages(into.root());
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|path| fs::read(path).is_ok_and(|bytes| bytes == b"somebody's")));
    let told: Vec<_> = fileops::leftovers().expect("read").into_iter().map(|leftover| leftover.path).collect();
    assert!(left.iter().all(|path| told.contains(path)), "{told:?}");
}

#[test]
fn nothing_is_resumed_when_that_is_not_wanted() {
    copying_part!();
    alone!();
    let (source, into) = (Tree::new(""), Tree::new(""));
    let from = large(&source);
    let stage = interrupted_at(test_name!(), &from, into.root(), 30 * MIB);
    let report = finish(fileops::copy([&from], into.root()).resume(Resume::Never).start());
    assert!(report.is_complete());
    assert_eq!(report.resumed, 0);
    assert_same_tree(&from, into.path("large"));
    assert_eq!(stages(into.root()), [stage]);
}

#[test]
fn of_two_processes_one_takes_over_a_stage() {
    copying_part!();
    alone!();
    let source = many(20);
    let from = source.path("top");
    for round in 0..3 {
        let into = Tree::new("");
        interrupted_at(test_name!(), &from, into.root(), 20 * MIB);
        let children = [0, 1].map(|_| start(test_name!(), &from, into.root()));
        for child in children {
            assert!(wait_for_child(child, PATIENCE).is_some_and(|status| status.success()), "{round}");
        }
        assert_same_tree(&from, into.path("top"));
        nothing_is_left(into.root());
    }
}

#[test]
fn a_copy_can_be_asked_for_again_as_it_was() {
    copying_part!();
    alone!();
    let (source, into) = (Tree::new(""), Tree::new(""));
    let from = large(&source);
    interrupted_at(test_name!(), &from, into.root(), 30 * MIB);
    let left = fileops::leftovers().expect("read");
    let copy = left[0].again().expect("it was recorded");
    drop(left);
    let report = finish(copy.start());
    assert!(report.is_complete(), "{report:?}");
    assert!(report.resumed >= 25 * MIB);
    assert_same_tree(&from, into.path("large"));
    nothing_is_left(into.root());
}

#[test]
fn a_move_across_devices_goes_on_where_it_was_killed_and_only_then_are_the_sources_gone() {
    user_part!("copy", {
        let relocation = fileops::move_to([variable("FROM")], variable("INTO"));
        println!("{:?}", finish(relocation.bandwidth(Some(100 * MIB)).start()));
    });
    alone!();
    require_root!();
    let (source, kept) = (many(20), many(20));
    let mount = Mount::tmpfs("size=200m").expect("mounted");
    let (from, into) = (source.path("top"), mount.path());
    interrupted_at(test_name!(), &from, into, 28 * MIB);
    let ignored = Ignore { mtime: true, ..Ignore::default() };
    assert_same_tree_but(kept.path("top/4"), from.join("4"), &ignored);
    let left = fileops::leftovers().expect("read");
    let again = left[0].again().expect("it was recorded");
    assert!(matches!(again, fileops::Again::Move(_)));
    drop(left);
    let report = finish(again.start());
    assert!(report.is_complete(), "{report:?}");
    assert!(report.resumed > MIB, "{report:?}");
    assert!(!from.exists());
    assert_same_tree_but(kept.path("top"), into.join("top"), &ignored);
    nothing_is_left(into);
}

#[test]
fn after_a_power_cut_files_are_read_and_not_believed() {
    copying_part!();
    alone!();
    require_root!();
    require_command!("mkfs.ext4", "xfs_io");
    let source = many(20);
    let from = source.path("top");
    let mount = Mount::ext4(300).expect("mounted");
    let stage = interrupted_at(test_name!(), &from, mount.path(), 30 * MIB);
    rustix::fs::syncfs(fs::File::open(mount.path()).unwrap()).unwrap();
    mount.fail_power().expect("the power fails, and comes back");
    // As a file looks whose data never came to the disk.
    let name = (0..400).map(|n| format!("{}/{}/{n}", n % 5, n % 3)).find(|name| stage.join(name).exists());
    let victim = stage.join(name.expect("some are there"));
    let meta = fs::metadata(&victim).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&victim).unwrap();
    file.write_all_at(&vec![0; meta.len() as usize], 0).unwrap();
    file.set_modified(meta.modified().unwrap()).unwrap();
    drop(file);
    let (report, _) = again(&from, mount.path());
    assert!(report.is_complete(), "{report:?}");
    assert_same_tree(&from, mount.path().join("top"));
    nothing_is_left(mount.path());
}
