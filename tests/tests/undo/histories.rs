//! A random tree, several random operations on it, one of them with a fault or a cancel at a random moment: copies, moves,
//! also to another file system and back, trash, restore, and the small verbs. All of them are undone, redone and undone, the
//! last first, and each time the trees are byte for byte what they were.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use fileops::{NoteKind, OnCancel, OnConflict, Operation, Report, Trashed};
use fileops_tests::random::{FUSE_TIMES, Item, few_names, item, make};
use fileops_tests::snapshot::Snapshot;
use fileops_tests::{Ignore, Mount, alone, differences, require_fuse, require_root, snapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::random::{Place, Trouble, run_all, trouble};
use crate::{finish, uncached};

/// A place in a tree: whether it is on the other file system, and where there.
#[derive(Clone, Copy, Debug)]
struct At(bool, &'static str);

#[derive(Clone, Copy, Debug)]
enum Deed {
    Copy(At, At),
    CopyAs(At, At),
    Move(At, At),
    MoveAs(At, At),
    Duplicate(At),
    Trash(At),
    Restore(At),
    Rename(At, &'static str),
    File(At),
    Dir(At),
    Symlink(At),
    /// In one of the trees.
    HardLink(At, &'static str),
}

impl Deed {
    fn start(self, dirs: &[PathBuf; 2], rule: OnConflict, on_cancel: OnCancel) -> Operation {
        let path = |At(is_there, path): At| dirs[usize::from(is_there)].join(path);
        match self {
            Deed::Copy(from, to) => copying(fileops::copy([path(from)], path(to)), rule, on_cancel),
            Deed::CopyAs(from, to) => copying(fileops::copy_as(path(from), path(to)), rule, on_cancel),
            Deed::Duplicate(at) => fileops::duplicate(path(at)).jobs(2).start(),
            Deed::Move(from, to) => fileops::move_to([path(from)], path(to)).on_conflict(rule).jobs(2).start(),
            Deed::MoveAs(from, to) => fileops::move_as(path(from), path(to)).on_conflict(rule).jobs(2).start(),
            Deed::Trash(at) => fileops::trash([path(at)]).jobs(2).start(),
            Deed::Restore(at) => fileops::restore([Trashed::Original(path(at))]).on_conflict(rule).start(),
            Deed::Rename(at, name) => fileops::rename(path(at), name).start(),
            Deed::File(at) => fileops::create_file(path(at)).start(),
            Deed::Dir(at) => fileops::create_dir(path(at)).start(),
            Deed::Symlink(at) => fileops::symlink("text", path(at)).start(),
            Deed::HardLink(at, name) => fileops::hard_link(path(at), path(at).with_file_name(name)).start(),
        }
    }

    /// Whether it moves something to another file system.
    fn is_across(self) -> bool {
        matches!(self, Deed::Move(from, to) | Deed::MoveAs(from, to) if from.0 != to.0)
    }
}

fn copying(copy: fileops::Copy, rule: OnConflict, on_cancel: OnCancel) -> Operation {
    copy.on_conflict(rule).on_cancel(on_cancel).jobs(2).start()
}

#[derive(Clone, Debug)]
struct Case {
    new: Vec<Item>,
    old: Vec<Item>,
    deeds: Vec<(Deed, OnConflict, OnCancel)>,
    trouble: Trouble,
    /// Which of the deeds it comes to.
    at: prop::sample::Index,
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = |names: &'static [&'static str]| {
        (any::<bool>(), prop::sample::select(names)).prop_map(|(is_there, name)| At(is_there, name))
    };
    // `new` and `old` are here in the beginning.
    let top = move || {
        prop_oneof![3 => prop::sample::select(&["new", "old"][..]).prop_map(|name| At(false, name)),
        2 => at(&["new", "old"])]
    };
    let into = move || at(&["", "", "old", "new"]);
    let inner = move || {
        prop_oneof![3 => prop::sample::select(&["new/a", "old/a", "old/b", "new/c", "new", "old"][..])
        .prop_map(|name| At(false, name)), 2 => at(&["new/a", "old/a", "new/b", "old/new", "new/a/b", "new", "old"])]
    };
    let name = || prop::sample::select(&["a", "b", "z", "y"][..]);
    prop_oneof![
        1 => (top(), into()).prop_map(|(from, to)| Deed::Copy(from, to)),
        1 => (top(), top()).prop_map(|(from, to)| Deed::CopyAs(from, to)),
        2 => (inner(), into()).prop_map(|(from, to)| Deed::Move(from, to)),
        2 => (top(), into()).prop_map(|(from, to)| Deed::Move(from, At(!from.0, to.1))),
        2 => (top(), top()).prop_map(|(from, to)| Deed::MoveAs(from, At(!from.0, to.1))),
        1 => inner().prop_map(Deed::Duplicate),
        2 => inner().prop_map(Deed::Trash),
        1 => inner().prop_map(Deed::Restore),
        2 => (inner(), name()).prop_map(|(at, name)| Deed::Rename(at, name)),
        1 => at(&["new/z", "old/z", "z"]).prop_map(Deed::File),
        1 => at(&["new/y", "old/y", "y"]).prop_map(Deed::Dir),
        1 => at(&["new/x", "old/x", "x"]).prop_map(Deed::Symlink),
        1 => (inner(), name()).prop_map(|(at, name)| Deed::HardLink(at, name)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    use OnConflict::{Different, Fail, Newer, Rename, Replace, Skip};
    // The other file system knows no times before 1970 either, if this one is FUSE.
    let seconds: Range<i64> = FUSE_TIMES;
    let items = || vec(item(few_names(), 100_000, seconds.clone()), 0..9);
    let rule = prop::sample::select(vec![Fail, Skip, Replace, Replace, Replace, Rename, Newer, Different]);
    let on_cancel = prop::sample::select(vec![OnCancel::RemoveNewTrees, OnCancel::KeepFinished]);
    let deeds = vec((deed(), rule, on_cancel), 1..6);
    let all = (items(), items(), deeds, trouble(), any::<prop::sample::Index>());
    all.prop_map(|(new, old, deeds, trouble, at)| Case { new, old, deeds, trouble, at })
}

/// How many operations were undone, how many of them had gone to another file system, how many had failures.
#[derive(Default)]
struct Seen([AtomicU32; 4]);

impl Seen {
    fn add(&self, at: usize, is_so: bool) {
        self.0[at].fetch_add(u32::from(is_so), Relaxed);
    }
}

fn check((here, there): (&Place, &Mount), name: &str, case: &Case, seen: &Seen) -> TestCaseResult {
    let (dirs, roots) =
        ([here.path().join(name), there.path().join(name)], [here.backing().join(name), there.path().join(name)]);
    roots.iter().for_each(|root| fs::create_dir(root).expect("made"));
    make(&roots[0].join("new"), &case.new);
    make(&roots[0].join("old"), &case.old);
    let look = || -> [Snapshot; 2] { roots.each_ref().map(snapshot) };
    let mut states = vec![look()];
    let mut reports: Vec<(Deed, Report)> = Vec::new();
    for (n, &(deed, rule, on_cancel)) in case.deeds.iter().enumerate() {
        let trouble = if case.at.index(case.deeds.len()) == n { &case.trouble } else { &Trouble::None };
        let report = here.run(trouble, || deed.start(&dirs, rule, on_cancel));
        for leftover in fileops::leftovers().expect("read") {
            leftover.remove().expect("removed");
        }
        states.push(look());
        // What could not be kept cannot come back, and the report says so.
        if report.notes.iter().any(|note| matches!(note.kind, NoteKind::NotKept | NoteKind::NotJournalled)) {
            seen.add(3, true);
            return Ok(());
        }
        seen.add(0, report.id.is_some());
        seen.add(1, report.id.is_some() && deed.is_across());
        seen.add(2, !report.failures.is_empty());
        reports.push((deed, report));
    }
    // Of a file with several names of which some were elsewhere, or away, each comes back.
    let hard_links = reports.len() > 1 && reports.iter().any(|(deed, _)| deed.is_across())
        || reports.iter().any(|(deed, report)| deed.is_across() && !report.is_complete());
    let dir_mtime = reports.iter().any(|(_, report)| !report.stuck.is_empty());
    let ignore = Ignore { dir_mtime, hard_links, ..Ignore::default() };
    let same = |expected: &[Snapshot; 2], what: &str| {
        for (expected, found) in expected.iter().zip(&look()) {
            let found = differences(expected, found, &ignore);
            prop_assert!(found.is_empty(), "{what}: {found:#?}\n{}", told(&reports));
        }
        Ok(())
    };
    let complete = |report: Report, what: &str| {
        prop_assert!(report.is_complete() && report.notes.is_empty(), "{what}: {report:#?}\n{}", told(&reports));
        Ok(report.id.expect("something was done"))
    };
    let mut ids: Vec<_> = reports.iter().map(|(_, report)| report.id.clone()).collect();
    for round in 0..2 {
        for (n, id) in ids.iter().enumerate().rev() {
            if let Some(id) = id {
                complete(finish(fileops::undo(id).start()), &format!("round {round}, the undo of {n}"))?;
            }
            same(&states[n], &format!("round {round}, after the undo of {n}"))?;
        }
        if round == 1 {
            break;
        }
        for (n, id) in ids.iter_mut().enumerate() {
            if let Some(id) = id {
                *id = complete(finish(fileops::redo(&*id).start()), &format!("the redo of {n}"))?;
            }
            same(&states[n + 1], &format!("after the redo of {n}"))?;
        }
    }
    Ok(())
}

/// What was done, briefly.
fn told(reports: &[(Deed, Report)]) -> String {
    let told = |(deed, report): &(Deed, Report)| {
        let Report { id, outcome, failures, skipped, moved, notes, .. } = report;
        format!("{deed:?} {id:?} {outcome:?} {failures:?} {skipped:?} {moved:?} {notes:?}\n")
    };
    reports.iter().map(told).collect()
}

fn check_all(here: &Place, cases: u32) {
    let (there, seen) = (Mount::tmpfs("size=256m").expect("tmpfs"), Seen::default());
    let clean = |name: &str| {
        for root in [here.backing(), there.path()] {
            let _ = fs::remove_dir_all(root.join(name));
            let _ = fs::remove_dir_all(root.join(".Trash-0"));
        }
    };
    run_all(cases, case(), |name, case| {
        let checked = check((here, &there), name, case, &seen);
        clean(name);
        checked
    });
    let [undone, across, failed, unkept] = seen.0.map(AtomicU32::into_inner);
    println!("seen: {cases} cases, {undone} undone, {across} across, {failed} with failures, {unkept} not kept");
    assert!(undone > cases && across > cases / 8, "{undone} were undone, {across} across");
}

#[test]
fn random_operations_on_a_disk_are_undone_and_redone() {
    alone!();
    require_root!();
    check_all(&Place::Real(Mount::ext4(256).expect("ext4")), 60);
}

#[test]
fn random_operations_with_a_random_fault_are_undone_and_redone() {
    alone!();
    require_root!();
    require_fuse!();
    check_all(&Place::Fuse(uncached()), 60);
}
