//! One fault at the first request, at the second, and so on, until a move has run without one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use fileops::{Error, OnConflict};
use fileops_tests::skip::is_root;
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, Op, Tree, alone, require_fuse};

use crate::{Scene, elsewhere, finish, stages, uncached};

/// More requests than any of these moves makes.
const MOST: u64 = 600;

/// Where the faults are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Source,
    Target,
    /// Both are on the one file system: what can be renamed is.
    Both,
}

const TREE: &str = "top/one=hello top/two#9000 top/dir/three=inside top/dir/empty/ top/link->one top/same=>top/one";
const OLD: &str = "top/one=old top/two=old top/link->old top/other=stays";

fn sweep(side: Side, new: &str, old: &str, faults: &[(Op, Action)]) {
    sweep_some(side, (new, old), faults, 1);
}

/// The same, at every so-manieth request.
fn sweep_some(side: Side, (new, old): (&str, &str), faults: &[(Op, Action)], step: usize) {
    let fs = uncached();
    // In memory, where syncing costs nothing.
    let memory = is_root().then(elsewhere);
    let disk = Tree::new("");
    let plain = memory.as_ref().map_or(disk.root(), |memory| memory.path());
    let (mut wrong, mut runs, mut faulty) = (Vec::new(), 0, 0);
    for (op, action) in faults {
        for n in (1..).step_by(step) {
            assert!(n <= MOST, "{action:?}: still a fault after {MOST} runs");
            let name = runs.to_string();
            let on_fault = |part: &str| (fs.path().join(&name).join(part), fs.backing().join(&name).join(part));
            let on_plain = |part: &str| (plain.join(&name).join(part), plain.join(&name).join(part));
            let (from, from_backing) = if side == Side::Target { on_plain("from") } else { on_fault("from") };
            let (to, to_backing) = if side == Side::Source { on_plain("to") } else { on_fault("to") };
            for (dir, entries) in [(&from_backing, new), (&to_backing, old)] {
                fs::create_dir_all(dir).expect("made");
                make(dir, entries);
            }
            let scene = Scene::of(&from_backing, &to_backing);
            let (count, relocation) = (fs.injected(), fileops::move_to([from.join("top")], &to));
            fs.clear_log();
            fs.add(Fault::new(*op, action.clone()).nth(n));
            let report = finish(relocation.on_conflict(OnConflict::Replace).jobs(1).start());
            fs.clear();
            let is_last = fs.injected() == count;
            let request = fs.log().into_iter().filter(|(one, _)| op.covers(*one)).nth(n as usize - 1);
            let label = format!("{side:?} {action:?} at {op:?} {n} ({request:?})");
            if is_last {
                assert!(report.is_complete(), "{label}: without a fault: {report:?}");
            }
            let mut found = scene.check(&from_backing, &to_backing, report.is_complete());
            found.retain(|what| !is_taken_for_anothers(what, &report.failures));
            if !report.is_complete() && report.failures.is_empty() {
                found.push("incomplete without a reason".to_owned());
            }
            let is_told = report.notes.iter().any(|note| note.kind == fileops::NoteKind::LeftBehind);
            if !stages(&to_backing).is_empty() && !is_told {
                found.push(format!("{:?} is left, and nobody says so", stages(&to_backing)));
            }
            faulty += usize::from(!report.is_complete());
            wrong.extend(
                found.into_iter().map(|what| format!("{label}: {what}; {:?} {:?}", report.failures, report.notes)),
            );
            runs += 1;
            remove(&fs.backing().join(&name));
            remove(&plain.join(&name));
            fileops_tests::alone::journals().iter().for_each(|journal| fs::remove_file(journal).expect("removed"));
            if is_last {
                break;
            }
        }
    }
    println!("seen: {side:?}: {runs} runs, {faulty} of them with failures");
    let shown = wrong.iter().take(30).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} wrong in {runs} runs:\n{shown}", wrong.len());
}

/// A file system that makes a file and answers that there is one already (to an ESTALE the kernel asks again by itself, and
/// finds what it made): it cannot be told from somebody else's, stays empty, and is named as a failure.
fn is_taken_for_anothers(what: &str, failures: &[Error]) -> bool {
    let is_named = |failure: &Error| {
        let name = failure.path.file_name().expect("a name").to_string_lossy();
        failure.action == fileops::Action::Create
            && failure.source.kind() == ErrorKind::AlreadyExists
            && what.contains(&format!("/{name} is neither old nor new"))
    };
    what.contains("size: 0") && failures.iter().any(is_named)
}

fn remove(path: &Path) {
    let _ = fs::remove_dir_all(path);
}

/// Every kind of fault that a request can have.
fn faults() -> Vec<(Op, Action)> {
    vec![
        (Op::Any, Action::Errno(libc::EIO)),
        (Op::Any, Action::Errno(libc::ENOSPC)),
        (Op::Any, Action::Errno(libc::EINTR)),
        (Op::Any, Action::LostReply(libc::EIO)),
        (Op::Any, Action::LostReply(libc::EINTR)),
        (Op::Write, Action::ShortWrite(1)),
        (Op::Write, Action::ZeroWrite),
        (Op::Read, Action::ShortRead(1)),
        (Op::Read, Action::ShortRead(0)),
    ]
}

/// For the longest scenes: what the others show as well is left to them.
fn some_faults() -> Vec<(Op, Action)> {
    let mut faults = faults();
    faults.retain(|(_, action)| {
        !matches!(action, Action::Errno(libc::ENOSPC | libc::EINTR) | Action::LostReply(libc::EINTR))
    });
    faults
}

#[test]
fn a_fault_at_the_source_loses_nothing_of_a_new_tree() {
    alone!();
    require_fuse!();
    sweep(Side::Source, TREE, "", &faults());
}

#[test]
fn a_fault_at_the_target_loses_nothing_of_a_new_tree() {
    alone!();
    require_fuse!();
    sweep(Side::Target, TREE, "", &faults());
}

#[test]
fn a_fault_at_the_source_loses_nothing_of_a_merge() {
    alone!();
    require_fuse!();
    sweep(Side::Source, TREE, OLD, &some_faults());
}

#[test]
fn a_fault_at_the_target_loses_nothing_of_a_merge() {
    alone!();
    require_fuse!();
    sweep(Side::Target, TREE, OLD, &some_faults());
}

#[test]
fn a_fault_at_either_side_loses_nothing_of_a_file_that_replaces() {
    alone!();
    require_fuse!();
    sweep(Side::Source, "top#9000", "top=old", &faults());
    sweep(Side::Target, "top#9000", "top=old", &faults());
}

/// What a request of names can have.
fn faults_of_names() -> Vec<(Op, Action)> {
    faults().into_iter().filter(|(op, _)| *op == Op::Any).collect()
}

#[test]
fn a_fault_while_a_tree_is_renamed_loses_nothing() {
    alone!();
    require_fuse!();
    sweep(Side::Both, TREE, "", &faults_of_names());
}

#[test]
fn a_fault_while_trees_merge_by_renames_loses_nothing() {
    alone!();
    require_fuse!();
    let merge = "top/one=hello top/dir/three=inside top/link->one";
    sweep(Side::Both, merge, "top/one=old top/dir/other=stays", &faults_of_names());
}

#[test]
fn a_fault_while_a_file_replaces_another_by_a_rename_loses_neither() {
    alone!();
    require_fuse!();
    sweep(Side::Both, "top#9000", "top=old", &faults_of_names());
}

/// Answers that servers give now and then, and that mean something else where they are expected.
fn odd_answers() -> Vec<(Op, Action)> {
    let odd = [libc::ESTALE, libc::EXDEV, libc::EEXIST, libc::ENOENT, libc::EAGAIN];
    odd.map(|errno| (Op::Any, Action::Errno(errno))).to_vec()
}

#[test]
fn an_odd_answer_at_either_side_loses_nothing_of_a_new_tree() {
    alone!();
    require_fuse!();
    sweep_some(Side::Source, (TREE, ""), &odd_answers(), 5);
    sweep_some(Side::Target, (TREE, ""), &odd_answers(), 5);
}

#[test]
fn an_odd_answer_at_either_side_loses_nothing_of_a_merge() {
    alone!();
    require_fuse!();
    sweep_some(Side::Source, (TREE, OLD), &odd_answers(), 11);
    sweep_some(Side::Target, (TREE, OLD), &odd_answers(), 11);
}

#[test]
fn an_odd_answer_while_trees_merge_by_renames_loses_nothing() {
    alone!();
    require_fuse!();
    let merge = "top/one=hello top/dir/three=inside top/link->one";
    sweep_some(Side::Both, (merge, "top/one=old top/dir/other=stays"), &odd_answers(), 2);
}
