//! Sources that change while they are read: reported, the rest copied, and nothing under the name of what is not whole.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fileops::{OnConflict, Refusal, Report};
use fileops_tests::tree::{assert_tree, make, noise};
use fileops_tests::{Action, Fault, FaultFs, Op, Options, Tree, require_fuse};

use crate::{alone, errnos, finish, stages, uncached_with};

/// More than one read takes.
const LARGE: usize = 700_000;

/// Copies `top/a`, `top/file` and `top/z` while something happens to `top/file`, at the `n`-th request of a kind about it.
fn changed(
    bytes: usize,
    (op, n): (Op, u64),
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> (Report, FaultFs, Tree) {
    let source = uncached_with(Options { direct_io: true, ..Options::default() });
    make(source.backing(), &format!("top/a=first top/file#{bytes} top/z=last"));
    let file = source.backing().join("top/file");
    let fault = source.add(Fault::new(op, Action::call(move || change(&file))).name("file").nth(n));
    let target = Tree::new("");
    let report = finish(fileops::copy([source.path().join("top")], target.root()).jobs(1).start());
    assert_eq!(source.hits(fault), 1, "the change was not made");
    assert!(stages(target.root()).is_empty());
    (report, source, target)
}

/// As `changed`, and the file must be missing and reported as changed.
#[track_caller]
fn is_reported(bytes: usize, at: (Op, u64), change: impl Fn(&Path) + Send + Sync + 'static) {
    let (report, source, target) = changed(bytes, at, change);
    let refusals: Vec<_> = report.failures.iter().map(|error| error.refusal()).collect();
    assert_eq!(refusals, [Some(Refusal::Changed)], "{report:?}");
    assert_eq!(report.failures[0].path, source.path().join("top/file"));
    assert_tree(target.root(), "top/a=first top/z=last");
}

fn append(path: &Path) {
    OpenOptions::new().append(true).open(path).expect("opened").write_all(b"more").expect("written");
}

fn cut(path: &Path) {
    OpenOptions::new().write(true).open(path).expect("opened").set_len(10).expect("cut");
}

fn rewrite(path: &Path) {
    OpenOptions::new().write(true).open(path).expect("opened").write_all_at(b"other", 3).expect("written");
}

#[test]
fn a_file_that_grows_is_reported_as_changed() {
    alone!();
    require_fuse!();
    is_reported(5_000, (Op::Read, 1), append);
    is_reported(LARGE, (Op::Read, 2), append);
}

#[test]
fn a_file_that_shrinks_is_reported_as_changed() {
    alone!();
    require_fuse!();
    is_reported(5_000, (Op::Read, 1), cut);
    is_reported(LARGE, (Op::Read, 2), cut);
    is_reported(LARGE, (Op::Read, 1), |path| drop(File::create(path).expect("emptied")));
}

#[test]
fn a_file_that_is_written_to_is_reported_as_changed() {
    alone!();
    require_fuse!();
    is_reported(LARGE, (Op::Read, 2), rewrite);
}

#[test]
fn a_small_file_is_what_it_was_at_one_moment() {
    alone!();
    require_fuse!();
    let (report, source, target) = changed(5_000, (Op::Read, 1), rewrite);
    let copied = fs::read(target.path("top/file")).expect("read");
    assert!(report.is_complete(), "{report:?}");
    assert!(copied == fs::read(source.backing().join("top/file")).expect("read"));
}

#[test]
fn a_file_replaced_by_another_is_the_one_that_was_opened() {
    alone!();
    require_fuse!();
    let (report, _, target) = changed(LARGE, (Op::Read, 2), |path| {
        fs::write(path.with_file_name("other"), "other").expect("written");
        fs::rename(path.with_file_name("other"), path).expect("renamed");
    });
    match report.is_complete() {
        true => assert!(fs::read(target.path("top/file")).expect("read") == noise(LARGE)),
        false => assert_tree(target.root(), "top/a=first top/z=last"),
    }
}

#[test]
fn a_file_that_vanishes_fails_and_the_rest_is_copied() {
    alone!();
    require_fuse!();
    for bytes in [5_000, LARGE] {
        let (report, ..) = {
            let (report, source, target) =
                changed(bytes, (Op::Lookup, 1), |path| fs::remove_file(path).expect("removed"));
            assert_tree(target.root(), "top/a=first top/z=last");
            (report, source)
        };
        assert_eq!(errnos(&report), [libc::ENOENT], "{report:?}");
    }
}

#[test]
fn a_directory_that_vanishes_fails_and_the_rest_is_copied() {
    alone!();
    require_fuse!();
    for op in [Op::Lookup, Op::Opendir, Op::Readdir] {
        let source = crate::uncached();
        make(source.backing(), "top/a=first top/dir/in=x top/dir/deep/er=x top/z=last");
        let dir = source.backing().join("top/dir");
        let act = Action::call(move || fs::remove_dir_all(&dir).expect("removed"));
        source.add(Fault::new(op, act).name("top/dir").nth(1));
        let target = Tree::new("");
        let report = finish(fileops::copy([source.path().join("top")], target.root()).jobs(1).start());
        assert_eq!(errnos(&report), [libc::ENOENT], "{op:?}: {report:?}");
        assert!(source.fired());
        for name in ["a", "z"] {
            assert!(target.path("top").join(name).exists(), "{op:?}: {name} is not copied");
        }
        assert!(!target.path("top/dir/in").exists());
    }
}

#[test]
fn a_file_that_turns_into_something_else_fails() {
    alone!();
    require_fuse!();
    let (report, _, target) = changed(5_000, (Op::Lookup, 1), |path| {
        fs::remove_file(path).expect("removed");
        let made = rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0);
        made.expect("a pipe, which nobody writes to");
    });
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert_tree(target.root(), "top/a=first top/z=last");
}

#[test]
fn a_changed_file_leaves_the_old_one_whole() {
    alone!();
    require_fuse!();
    let source = uncached_with(Options { direct_io: true, ..Options::default() });
    make(source.backing(), &format!("file#{LARGE}"));
    let file = source.backing().join("file");
    source.add(Fault::new(Op::Read, Action::call(move || append(&file))).nth(2));
    let target = Tree::new("file=old");
    let copy = fileops::copy([source.path().join("file")], target.root()).on_conflict(OnConflict::Replace);
    let report = finish(copy.start());
    assert_eq!(report.failures[0].refusal(), Some(Refusal::Changed), "{report:?}");
    target.assert("file=old");
}

#[test]
fn a_retry_copies_a_file_that_changed_once() {
    alone!();
    require_fuse!();
    let source = uncached_with(Options { direct_io: true, ..Options::default() });
    make(source.backing(), &format!("file#{LARGE}"));
    let file = source.backing().join("file");
    source.add(Fault::new(Op::Read, Action::call(move || append(&file))).nth(2));
    let target = Tree::new("");
    let report = finish(fileops::copy([source.path().join("file")], target.root()).retry(2).start());
    assert!(report.is_complete(), "{report:?}");
    assert!(fs::read(target.path("file")).expect("read") == [noise(LARGE), b"more".to_vec()].concat());
}

#[test]
fn a_file_that_grows_for_ever_does_not_hold_the_copy() {
    alone!();
    let (source, target) = (Tree::new("top/a=first top/log#3000000"), Tree::new(""));
    let is_over = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                append(&source.path("top/log"));
            }
        });
        let report = finish(fileops::copy([source.path("top")], target.root()).start());
        is_over.store(true, Ordering::Relaxed);
        report
    });
    assert!(report.failures.iter().all(|error| error.refusal() == Some(Refusal::Changed)), "{report:?}");
    assert_eq!(fs::read(target.path("top/a")).expect("read"), b"first");
    let log = fs::read(source.path("top/log")).expect("read");
    match fs::read(target.path("top/log")) {
        // Between two appends, whole as of one moment.
        Ok(copied) => assert!(report.is_complete() && copied == log[..copied.len()] && copied.len() >= 3_000_000),
        Err(_) => assert_eq!(report.failures.len(), 1),
    }
}
