//! One fault at the first request, at the second, and so on, until a copy has run without one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fileops::{NoteKind, OnConflict, Report};
use fileops_tests::snapshot::{Entry, Snapshot};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Ignore, Op, Tree, differences, require_fuse, snapshot};

use crate::{alone, errnos, finish, has_note, is_stage, journals, stages, uncached};

/// More requests than any of these copies makes.
const MOST: u64 = 500;

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scene {
    /// A tree that is new at the destination.
    Tree,
    /// A file in the place of an old one.
    Replace,
    /// A tree into one that is there, over some of its files.
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Source,
    Destination,
}

impl Scene {
    fn source(self) -> &'static str {
        match self {
            Scene::Tree => {
                "top/one=hello top/two#9000 top/dir/three=inside top/dir/empty/ top/link->one top/same=>top/one"
            }
            Scene::Replace => "top#9000",
            Scene::Merge => {
                "top/one=hello top/two#9000 top/fresh#5000 top/new/three=inside top/link->one top/same=>top/one"
            }
        }
    }

    fn destination(self) -> &'static str {
        match self {
            Scene::Tree => "",
            Scene::Replace => "top=old",
            Scene::Merge => "top/one=old top/two=old top/link->old top/other=stays",
        }
    }
}

/// One scene with a fault at one of its requests.
struct Run {
    label: String,
    /// The one that the fault was at.
    request: String,
    /// Something was removed behind the copier's back.
    vanishes: Option<Side>,
    before: Snapshot,
    after: Snapshot,
    old: Snapshot,
    new: Snapshot,
    /// Where the copy went.
    into: PathBuf,
    report: Report,
}

fn sweep(scene: Scene, side: Side, faults: &[(Op, Action)]) {
    let fs = uncached();
    let plain = Tree::new("");
    let (from, to) = match side {
        Side::Source => (fs.path(), plain.root()),
        Side::Destination => (plain.root(), fs.path()),
    };
    let backing = |path: &Path| fs.backing().join(path.strip_prefix(fs.path()).unwrap_or(path));
    let prepare = || {
        let at = backing(from);
        let _ = fs::remove_dir_all(at.join("top"));
        let _ = fs::remove_file(at.join("top"));
        make(&at, scene.source());
        if fs::metadata(at.join("top")).expect("made").is_dir() {
            let _ = xattr::set(at.join("top/two"), "user.test", b"value");
        }
    };
    prepare();
    let (mut wrong, mut runs, mut left_behind) = (Vec::new(), 0, 0);
    for (index, (op, action)) in faults.iter().enumerate() {
        let vanishes = matches!(action, Action::Vanish).then_some(side);
        for n in 1.. {
            assert!(n <= MOST, "{action:?}: still a fault after {MOST} runs");
            let into = to.join(format!("{index}-{n}"));
            fs::create_dir(backing(&into)).expect("made");
            make(&backing(&into), scene.destination());
            let before = snapshot(backing(from).join("top"));
            let old = snapshot(backing(&into));
            let copy = fileops::copy([from.join("top")], &into).on_conflict(OnConflict::Replace).jobs(1);
            let (count, label) = (fs.injected(), format!("{scene:?} {side:?} {action:?} at {op:?} {n}"));
            fs.clear_log();
            fs.add(Fault::new(*op, action.clone()).nth(n));
            let report = finish(copy.start());
            fs.clear();
            let is_last = fs.injected() == count;
            let request = request(&fs, *op, n);
            let label = format!("{label} ({request})");
            let (after, new) = (what_is(&backing(from).join("top")), what_is(&backing(&into)));
            let into = backing(&into);
            let run = Run { label, request, vanishes, before, after, old, new, into, report };
            if is_last {
                assert!(run.report.is_complete(), "{}: without a fault: {:?}", run.label, run.report);
            }
            left_behind += usize::from(has_note(&run.report, NoteKind::LeftBehind));
            wrong.extend(run.check());
            journals().iter().for_each(|journal| fs::remove_file(journal).expect("removed"));
            if run.vanishes == Some(Side::Source) {
                prepare();
            }
            runs += 1;
            if is_last {
                break;
            }
        }
    }
    println!("seen: {scene:?} {side:?}: {runs} runs, {left_behind} left something behind");
    let shown = wrong.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} wrong of {runs}:\n{shown}", wrong.len());
}

/// What is there; nothing, if it vanished.
fn what_is(path: &Path) -> Snapshot {
    if fs::symlink_metadata(path).is_ok() { snapshot(path) } else { Snapshot::new() }
}

/// The request that the fault was at.
fn request(fs: &FaultFs, op: Op, n: u64) -> String {
    let mut matching = fs.log().into_iter().filter(|(one, _)| op.covers(*one));
    matching.nth(n as usize - 1).map_or("none".to_owned(), |(op, path)| format!("{op:?} {}", path.display()))
}

impl Run {
    fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut say = |what: String| {
            let Report { failures, notes, .. } = &self.report;
            wrong.push(format!("{}: {what}; {failures:?} {notes:?}", self.label));
        };
        if self.vanishes != Some(Side::Source) && self.before != self.after {
            say(format!("the source changed: {:?}", differences(&self.before, &self.after, &Ignore::default())));
        }
        if !self.report.is_complete() && self.report.failures.is_empty() {
            say("incomplete without a reason".to_owned());
        }
        let top = what_is(&self.into.join("top"));
        if self.report.is_complete() {
            self.check_complete(&top, &mut say);
        }
        for (path, entry) in top.iter().filter(|(path, _)| !is_in_stage(path)) {
            let full = with_top(path);
            let is_old = self.old.get(&full).is_some_and(|old| same(old, entry, true));
            let is_new = self.before.get(path).is_some_and(|source| same(source, entry, self.keeps_xattrs()));
            if !is_old && !is_new {
                say(format!("{:?} is neither the old one nor the new one: {entry:?}", String::from_utf8_lossy(path)));
            }
        }
        for path in self.old.keys().filter(|path| self.vanishes.is_none() && !self.new.contains_key(*path)) {
            say(format!("{:?} is gone", String::from_utf8_lossy(path)));
        }
        // Only what removes, or tells what may be removed, can leave something when it fails once.
        let may_leave = ["Unlink", "Rmdir", "Getattr", "Lookup", "Opendir", "Readdir"];
        let is_excused = may_leave.iter().any(|op| self.request.starts_with(op)) || self.vanishes.is_some();
        if has_note(&self.report, NoteKind::LeftBehind) && !is_excused {
            say("something is left behind for no reason".to_owned());
        }
        let left = stages(&self.into);
        if !left.is_empty() && !has_note(&self.report, NoteKind::LeftBehind) {
            say(format!("{left:?} is left, and nobody says so"));
        }
        if left.is_empty() != journals().is_empty()
            && self.vanishes.is_none()
            && !has_note(&self.report, NoteKind::LeftBehind)
        {
            say(format!("left: {left:?}, journals: {:?}", journals()));
        }
        wrong
    }

    /// ENOSPC for an attribute means that this one is too large, where there is room: that is noted.
    fn keeps_xattrs(&self) -> bool {
        !has_note(&self.report, NoteKind::AttributesNotKept)
    }

    /// A complete copy is the same tree; but what was removed behind the copier's back may be missing.
    fn check_complete(&self, top: &Snapshot, say: &mut impl FnMut(String)) {
        let mut expected = self.before.clone();
        for (path, entry) in &self.old {
            if let Some(path) = below_top(path) {
                expected.entry(path).or_insert_with(|| entry.clone());
            }
        }
        let is_merge = self.old.len() > 2;
        let ignore = Ignore { root: is_merge, xattrs: !self.keeps_xattrs(), ..Ignore::default() };
        let found = match self.vanishes {
            None => differences(&expected, top, &ignore),
            Some(Side::Destination) => Vec::new(),
            Some(Side::Source) => {
                expected = self.after.clone();
                expected
                    .retain(|path, entry| top.get(path).is_none_or(|copied| !same(entry, copied, self.keeps_xattrs())));
                expected.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
            }
        };
        if !found.is_empty() {
            say(format!("complete, but {found:?}"));
        }
    }
}

fn is_in_stage(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|name| is_stage(OsStr::from_bytes(name)))
}

/// The path below the copied entry of a path in the directory that it was copied into.
fn below_top(path: &[u8]) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(b"top")?;
    (rest.is_empty() || rest.starts_with(b"/")).then(|| rest.strip_prefix(b"/").unwrap_or(rest).to_vec())
}

fn with_top(path: &[u8]) -> Vec<u8> {
    if path.is_empty() { b"top".to_vec() } else { [b"top/", path].concat() }
}

/// Two entries are the same; of directories only that they are some.
fn same(a: &Entry, b: &Entry, with_xattrs: bool) -> bool {
    let xattrs = |entry: &Entry| if with_xattrs { entry.xattrs.clone() } else { Default::default() };
    let plain = |entry: &Entry| Entry { group: None, xattrs: xattrs(entry), ..entry.clone() };
    a.kind.is_dir() && b.kind.is_dir() || plain(a) == plain(b)
}

/// Every kind of fault, at whatever request it can be at.
fn faults() -> Vec<(Op, Action)> {
    vec![
        (Op::Any, Action::Errno(libc::EIO)),
        (Op::Any, Action::Errno(libc::ENOSPC)),
        (Op::Any, Action::Errno(libc::EINTR)),
        (Op::Any, Action::LostReply(libc::EIO)),
        (Op::Any, Action::LostReply(libc::EINTR)),
        (Op::Any, Action::Vanish),
        (Op::Write, Action::ShortWrite(1)),
        (Op::Write, Action::ZeroWrite),
        (Op::Read, Action::ShortRead(1)),
        (Op::Read, Action::ShortRead(0)),
    ]
}

#[test]
fn a_fault_while_a_tree_is_read_is_reported_and_nothing_is_torn() {
    alone!();
    require_fuse!();
    sweep(Scene::Tree, Side::Source, &faults());
}

#[test]
fn a_fault_while_a_tree_is_written_is_reported_and_nothing_is_torn() {
    alone!();
    require_fuse!();
    sweep(Scene::Tree, Side::Destination, &faults());
}

#[test]
fn a_fault_while_the_new_file_is_read_leaves_the_old_one_whole() {
    alone!();
    require_fuse!();
    sweep(Scene::Replace, Side::Source, &faults());
}

#[test]
fn a_fault_while_a_file_is_replaced_leaves_the_old_one_or_the_new_one_whole() {
    alone!();
    require_fuse!();
    sweep(Scene::Replace, Side::Destination, &faults());
}

#[test]
fn a_fault_while_trees_are_merged_leaves_each_file_old_or_new() {
    alone!();
    require_fuse!();
    // The longest scene: what the others show as well is left to them.
    let mut faults = faults();
    faults.retain(|(_, action)| !matches!(action, Action::Errno(libc::ENOSPC | libc::EINTR)));
    sweep(Scene::Merge, Side::Destination, &faults);
}

#[test]
fn what_a_file_system_says_only_at_the_close_is_reported() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/file=new top/other=x"), uncached());
    for errno in [libc::EIO, libc::ENOSPC, libc::EDQUOT] {
        let into = target.path().join(errno.to_string());
        fs::create_dir(&into).expect("made");
        let fault = target.add(Fault::new(Op::Flush, Action::Errno(errno)).name("file").nth(1));
        let report = finish(fileops::copy([source.path("top")], &into).start());
        target.remove(fault);
        assert_eq!(errnos(&report), [errno], "{report:?}");
        fileops_tests::tree::assert_tree(&into, "top/other=x");
    }
}

#[test]
fn stages_have_one_pattern() {
    assert!(is_stage(".fileops-abcdefg2-17.part".as_ref()));
    assert!(!is_stage(".fileops-abcdefg2.part".as_ref()));
}

#[test]
fn a_new_tree_whose_times_cannot_be_set_has_all_its_files_and_one_failure() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/one=hello top/two#9000 top/dir/three=inside top/link->one"), uncached());
    let fault = target.add(Fault::new(Op::Utimens, Action::Errno(libc::EIO)).name(".fileops*"));
    let operation = fileops::copy([source.path("top")], target.path()).start();
    let mut operation = std::pin::pin!(operation);
    let report = crate::within(crate::PATIENCE, operation.as_mut()).expect("it ends");
    assert!(target.hits(fault) > 0);
    assert_eq!(errnos(&report), [libc::EIO], "{report:?}");
    let failure = &report.failures[0];
    assert_eq!((failure.action, &failure.path), (fileops::Action::SetTimes, &target.path().join("top")));
    fileops_tests::tree::assert_tree(target.backing(), "top/one=hello top/two#9000 top/dir/three=inside top/link->one");
    assert_eq!((report.entries, report.files, report.directories, report.removed), (5, 3, 1, 0), "{report:?}");
    let progress = operation.progress();
    assert_eq!((progress.entries_done, progress.entries_total), (6, 6));
    assert_eq!((stages(target.backing()), journals()), (vec![], vec![]));
}

/// Copies with two retries and one fault, which must not show.
#[track_caller]
fn is_tried_again(source: &Tree, old: &str, fault: Fault) -> Report {
    let target = uncached();
    make(target.backing(), old);
    let fault = target.add(fault);
    let copy = fileops::copy([source.path("top")], target.path()).on_conflict(OnConflict::Replace).retry(2);
    let report = finish(copy.start());
    assert_eq!(target.hits(fault), 1);
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    fileops_tests::assert_same_tree(source.path("top"), target.backing().join("top"));
    assert_eq!((stages(target.backing()), journals()), (vec![], vec![]));
    report
}

#[test]
fn a_fault_that_goes_away_is_survived_by_trying_again() {
    alone!();
    require_fuse!();
    let eio = |op| Fault::new(op, Action::Errno(libc::EIO));
    // So large that several workers would share it.
    let large = Tree::new("top#41943040");
    let report = is_tried_again(&large, "", eio(Op::Write).nth(20));
    assert_eq!((report.files, report.bytes), (1, 40 << 20));
    let file = Tree::new("top#9000");
    for op in [Op::Fsync, Op::Write, Op::Rename] {
        let report = is_tried_again(&file, "top=old", eio(op).nth(1));
        assert_eq!((report.files, report.bytes), (1, 9000), "{op:?}");
    }
    let tree = Tree::new("top/dir/file=hello top/dir/deep/file=hello");
    for n in 1..=3 {
        let report = is_tried_again(&tree, "", eio(Op::Mkdir).nth(n));
        assert_eq!((report.entries, report.bytes), (5, 10), "{n}");
    }
    // Of each directory: its mode, its times, and at last the name of all.
    for (op, count) in [(Op::Chmod, 3), (Op::Utimens, 5), (Op::Rename, 1)] {
        for n in 1..=count {
            let report = is_tried_again(&tree, "", eio(op).nth(n));
            assert_eq!((report.entries, report.bytes), (5, 10), "{op:?} {n}");
        }
    }
}

#[test]
fn a_name_whose_answer_was_lost_is_not_given_again() {
    alone!();
    require_fuse!();
    for source in ["top/dir/file=hello", "top=hello", "top->nowhere"] {
        let source = Tree::new(source);
        let report = is_tried_again(&source, "", Fault::new(Op::Rename, Action::LostReply(libc::EIO)).nth(1));
        assert!(report.entries > 0 && report.removed == 0, "{report:?}");
    }
}

#[test]
fn names_of_one_file_stay_one_when_a_link_is_tried_again() {
    alone!();
    require_fuse!();
    let eio = |n| Fault::new(Op::Link, Action::Errno(libc::EIO)).nth(n);
    for names in ["top/a=hello top/b=>top/a", "top/a=hello top/b=>top/a top/c=>top/a top/d=>top/a"] {
        let report = is_tried_again(&Tree::new(names), "", eio(1));
        assert_eq!(report.bytes, 5, "{report:?}");
    }
}

#[test]
fn a_name_that_waited_for_the_first_copy_of_its_file_is_tried_again_too() {
    alone!();
    require_fuse!();
    let (source, target) = (FaultFs::new(), uncached());
    make(source.backing(), "top/1/file=hello top/2/file=>top/1/file");
    // The first copy is under way while the second name is met.
    let first = source.add(Fault::new(Op::Read, Action::Hang).first(1));
    target.add(Fault::new(Op::Link, Action::Errno(libc::EIO)).nth(1));
    let operation = fileops::copy([source.path().join("top")], target.path()).retry(2).jobs(2).start();
    assert!(source.wait_hanging(1, crate::PATIENCE));
    crate::wait_until("the second name is met", || source.count(Op::Open) == 2);
    source.release();
    let report = finish(operation);
    assert_eq!((source.hits(first), target.injected()), (1, 1));
    assert!(report.is_complete(), "{report:?}");
    fileops_tests::assert_same_tree(source.backing().join("top"), target.backing().join("top"));
}
