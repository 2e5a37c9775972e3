//! A directory that is swapped for a symbolic link while it is copied: nothing outside is read or written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fileops::{Links, OnConflict};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, Op, Tree, require_fuse, snapshot};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{alone, finish, uncached};

/// What nobody may read.
const MARK: &str = "MARK";

fn swap(a: &Path, b: &Path) {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).expect("exchanged");
}

/// No file below holds what is outside.
#[track_caller]
fn assert_unmarked(root: &Path, at: &str) {
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).expect("read") {
            let entry = entry.expect("read");
            let kind = entry.file_type().expect("known");
            if kind.is_dir() {
                left.push(entry.path());
            } else if kind.is_file() {
                let text = fs::read(entry.path()).expect("read");
                let marked = text.windows(MARK.len()).any(|window| window == MARK.as_bytes());
                assert!(!marked, "{at}: {} was read outside", entry.path().display());
            }
        }
    }
}

#[test]
fn a_source_directory_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    let outside = Tree::new("three=MARK deep/four=MARK deep/five=MARK");
    for n in 1.. {
        assert!(n < 500, "still a request");
        let name = n.to_string();
        make(source.backing(), &format!("{name}/top/one=x {name}/top/dir/three=x {name}/top/dir/deep/four=x"));
        symlink(outside.root(), source.backing().join(&name).join("link")).expect("made");
        let back = source.backing().join(&name);
        let act = Action::call(move || swap(&back.join("top/dir"), &back.join("link")));
        let fault = source.add(Fault::new(Op::Any, act).nth(n));
        make(target.root(), &format!("{name}/"));
        let copy = fileops::copy([source.path().join(&name).join("top")], target.path(&name)).jobs(1);
        let report = finish(copy.start());
        assert_unmarked(&target.path(&name), &format!("swapped at {n}, {report:?}"));
        if source.hits(fault) == 0 {
            assert!(report.is_complete() && n > 30, "{n} requests, {report:?}");
            return;
        }
        source.remove(fault);
    }
}

#[test]
fn a_destination_directory_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    let new = "top/one=new top/dir/three=new top/dir/deep/four=new top/dir/link->four";
    let (source, target) = (Tree::new(new), uncached());
    let (entries, outside) = ("three=outside deep/four=outside link=outside", Tree::new(""));
    make(outside.root(), entries);
    let before = snapshot(outside.root());
    for n in 1.. {
        assert!(n < 500, "still a request");
        let name = n.to_string();
        make(target.backing(), &format!("{name}/top/dir/three=old {name}/top/dir/deep/four=old"));
        symlink(outside.root(), target.backing().join(&name).join("link")).expect("made");
        let back = target.backing().join(&name);
        let act = Action::call(move || swap(&back.join("top/dir"), &back.join("link")));
        let fault = target.add(Fault::new(Op::Any, act).nth(n));
        let into = target.path().join(&name);
        let copy = fileops::copy([source.path("top")], into).on_conflict(OnConflict::Replace).jobs(1);
        let report = finish(copy.start());
        assert_eq!(snapshot(outside.root()), before, "swapped at {n}, {report:?}");
        outside.assert(entries);
        if target.hits(fault) == 0 {
            assert!(report.is_complete() && n > 30, "{n} requests, {report:?}");
            return;
        }
        target.remove(fault);
    }
}

#[test]
fn a_stage_swapped_at_any_request_leads_nowhere_else() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/one=new top/dir/three=new top/dir/deep/four=new"), uncached());
    let entries = "one=outside dir/three=outside dir/deep/four=outside";
    let outside = Tree::new(entries);
    let before = snapshot(outside.root());
    for n in 1.. {
        assert!(n < 500, "still a request");
        let name = n.to_string();
        make(target.backing(), &format!("{name}/"));
        symlink(outside.root(), target.backing().join(format!("{name}.link"))).expect("made");
        let (back, link) = (target.backing().join(&name), target.backing().join(format!("{name}.link")));
        let act = Action::call(move || {
            if let Some(stage) = crate::stages(&back).pop() {
                swap(&stage, &link);
            }
        });
        let fault = target.add(Fault::new(Op::Any, act).nth(n));
        let report = finish(fileops::copy([source.path("top")], target.path().join(&name)).jobs(1).start());
        assert_eq!(snapshot(outside.root()), before, "swapped at {n}, {report:?}");
        if target.hits(fault) == 0 {
            assert!(report.is_complete() && n > 30, "{n} requests, {report:?}");
            return;
        }
        target.remove(fault);
    }
}

/// Swaps two names to and fro while something is done.
fn while_swapping(a: &Path, b: &Path, mut work: impl FnMut()) -> u64 {
    /// Also when the work panics: the scope waits for its threads.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (is_over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                swap(a, b);
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        work();
    });
    swaps.into_inner()
}

const ROUNDS: usize = 30;

#[test]
fn a_source_directory_swapped_all_the_time_leads_nowhere_else() {
    alone!();
    let (inside, marked): (Vec<_>, Vec<_>) =
        (0..60).map(|n| (format!("top/dir/{n}/file=x "), format!("{n}/file=MARK "))).unzip();
    let (source, outside, target) = (Tree::new(&inside.concat()), Tree::new(&marked.concat()), Tree::new(""));
    symlink(outside.root(), source.path("link")).expect("made");
    let mut failed = 0;
    let swaps = while_swapping(&source.path("top/dir"), &source.path("link"), || {
        for round in 0..ROUNDS {
            make(target.root(), &format!("{round}/"));
            let report = finish(fileops::copy([source.path("top")], target.path(round.to_string())).start());
            failed += usize::from(!report.is_complete());
            assert_unmarked(&target.path(round.to_string()), &format!("{report:?}"));
        }
    });
    println!("seen: {swaps} swaps, {failed} of {ROUNDS} copies failed");
    assert!(swaps > 100, "{swaps} swaps");
}

#[test]
fn a_destination_directory_swapped_all_the_time_leads_nowhere_else() {
    alone!();
    let names = |start: &str, text: &str| (0..60).map(|n| format!("{start}{n}/file={text} ")).collect::<String>();
    let (source, outside) = (Tree::new(&names("top/dir/", "new")), Tree::new(&names("", "outside")));
    let target = Tree::new(&names("top/dir/", "old"));
    symlink(outside.root(), target.path("link")).expect("made");
    let before = snapshot(outside.root());
    let swaps = while_swapping(&target.path("top/dir"), &target.path("link"), || {
        for _ in 0..ROUNDS {
            let copy = fileops::copy([source.path("top")], target.root()).on_conflict(OnConflict::Replace);
            let report = finish(copy.start());
            assert_eq!(snapshot(outside.root()), before, "{report:?}");
        }
    });
    println!("seen: {swaps} swaps");
    assert!(swaps > 100, "{swaps} swaps");
}

#[test]
fn the_marks_would_be_found() {
    alone!();
    // With links followed the same copy does read outside: the check is one that can fail.
    let (outside, source, target) = (Tree::new("three=MARK"), Tree::new("top/"), Tree::new(""));
    symlink(outside.root(), source.path("top/dir")).expect("made");
    let copy = fileops::copy([source.path("top")], target.root()).links(Links::Follow);
    assert!(finish(copy.start()).is_complete());
    assert!(std::panic::catch_unwind(|| assert_unmarked(target.root(), "on purpose")).is_err());
}
