//! One fault at the first request, at the second, and so on, until an operation has run without one: each thing is where it
//! was, or in the trash with an info file that tells where it was, and the report is right.

use std::fs;
use std::path::{Path, PathBuf};

use fileops::{OnConflict, Report};
use fileops_tests::snapshot::{Snapshot, snapshot};
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, require_fuse};

use crate::{alone, complete, items_in, own_trash, path_in, put};

/// More requests than any of these operations makes.
const MOST: u64 = 400;

pub(crate) const ENTRIES: &str = "one=hello dir/two#9000 dir/deep/three=inside link->one";
pub(crate) const NAMES: [&str; 3] = ["one", "dir", "link"];

/// What goes wrong, at any request.
const FAULTS: [(Op, Action); 4] = [
    (Op::Any, Action::Errno(libc::EIO)),
    (Op::Any, Action::LostReply(libc::EIO)),
    (Op::Any, Action::Errno(libc::ENOSPC)),
    (Op::Write, Action::ZeroWrite),
];

/// Runs an operation with each fault at each request; gives how many runs there were.
fn sweep(
    faults: &[(Op, Action)],
    prepare: impl Fn(&FaultFs, &Path) -> PathBuf,
    run: impl Fn(&Path) -> Report,
    check: impl Fn(&Run),
) -> u64 {
    let fs = crate::uncached();
    let mut runs = 0;
    for &(op, ref action) in faults {
        for n in 1.. {
            assert!(n <= MOST, "{action:?}: still a fault");
            fs.clear();
            let _ = fs::remove_dir_all(own_trash(fs.backing()));
            let dir = prepare(&fs, &fs.backing().join(format!("{runs}")));
            let before = fs.injected();
            fs.clear_log();
            fs.add(Fault::new(op, action.clone()).nth(n));
            let report = run(&fs.path().join(dir.strip_prefix(fs.backing()).expect("below")));
            fs.clear();
            let is_last = fs.injected() == before;
            let request = fs.log().into_iter().filter(|(one, _)| op.covers(*one)).nth(n as usize - 1);
            let label = format!("{action:?} at {n}: {request:?}; {:?} {:?}", report.failures, report.notes);
            check(&Run { label, report, dir: dir.clone(), trash: own_trash(fs.backing()), is_last });
            let _ = fs::remove_dir_all(&dir);
            runs += 1;
            if is_last {
                break;
            }
        }
    }
    runs
}

struct Run {
    label: String,
    report: Report,
    /// Where the entries were, in the backing directory.
    dir: PathBuf,
    trash: PathBuf,
    is_last: bool,
}

impl Run {
    fn where_they_are(&self) -> Vec<&'static str> {
        where_they_are(&self.dir, &self.trash, &self.label)
    }
}

/// Each entry is whole, in exactly one of both places; gives which are in the trash.
pub(crate) fn where_they_are(dir: &Path, trash: &Path, label: &str) -> Vec<&'static str> {
    let expected = fileops_tests::Tree::new(ENTRIES);
    let infos = fs::read_dir(trash.join("info")).into_iter().flatten().flatten();
    let infos: Vec<_> = infos.map(|entry| entry.file_name().into_string().expect("text")).collect();
    let mut trashed = Vec::new();
    for name in NAMES {
        let whole = contents(&snapshot(expected.path(name)));
        let here = dir.join(name);
        let is_here = here.symlink_metadata().is_ok();
        let mut there = Vec::new();
        for info in infos.iter().filter(|info| info.ends_with(".trashinfo")) {
            let file = trash.join("files").join(info.trim_end_matches(".trashinfo"));
            let text = fs::read_to_string(trash.join("info").join(info)).expect("read");
            if text.starts_with("[Trash Info]\nPath=")
                && path_in(&trash.join("info").join(info)).file_name() == Some(name.as_ref())
                && file.symlink_metadata().is_ok()
            {
                there.push(file);
            }
        }
        assert_eq!(usize::from(is_here) + there.len(), 1, "{name} is here: {is_here}, there: {there:?}; {}", label);
        let at = there.first().unwrap_or(&here);
        assert_eq!(contents(&snapshot(at)), whole, "{name}: {}", label);
        trashed.extend((!is_here).then_some(name));
    }
    trashed
}

/// What is compared: kinds, contents, targets.
fn contents(of: &Snapshot) -> Vec<(Vec<u8>, String)> {
    of.iter()
        .map(|(path, entry)| (path.clone(), format!("{:?} {:?} {:?}", entry.kind, entry.hash, entry.target)))
        .collect()
}

fn new_entries(dir: &Path) -> PathBuf {
    fs::create_dir(dir).expect("made");
    make(dir, ENTRIES);
    dir.to_owned()
}

#[test]
fn after_any_fault_each_thing_is_at_its_place_or_in_the_trash_with_an_info_file() {
    alone!();
    require_fuse!();
    let run = |dir: &Path| {
        let paths = NAMES.map(|name| dir.join(name));
        fileops::block_on(async { fileops::trash(paths).jobs(1).await })
    };
    let runs = sweep(
        &FAULTS,
        |_, dir| new_entries(dir),
        run,
        |run| {
            let trashed = run.where_they_are();
            assert_eq!(run.report.entries, trashed.len() as u64, "{}", run.label);
            assert_eq!(run.report.moved.len(), trashed.len(), "{}", run.label);
            assert_eq!(run.report.failures.len(), NAMES.len() - trashed.len(), "{}", run.label);
            assert!(!run.is_last || run.report.is_complete(), "{}", run.label);
            // What stayed has no info file.
            let infos = fs::read_dir(run.trash.join("info")).into_iter().flatten().count();
            assert_eq!(infos, trashed.len(), "info files; {}", run.label);
        },
    );
    println!("seen: {runs} runs");
    assert!(runs > 200);
}

#[test]
fn after_any_fault_in_a_restore_each_thing_is_in_the_trash_or_at_its_place() {
    alone!();
    require_fuse!();
    let prepare = |fs: &FaultFs, dir: &Path| {
        let dir = new_entries(dir);
        let shown = fs.path().join(dir.strip_prefix(fs.backing()).expect("below"));
        complete(put(&NAMES.map(|name| shown.join(name)).each_ref().map(|path| path.as_path())));
        // Only one run in two has to make the parent.
        if dir.file_name().is_some_and(|name| name.to_string_lossy().ends_with(['1', '3', '5', '7', '9'])) {
            fs::remove_dir(&dir).expect("removed");
        }
        dir
    };
    let run = |dir: &Path| {
        let trash = own_trash(dir.parent().expect("in one"));
        let ids = NAMES.map(|name| fileops::Trashed::Id(trash.join(format!("info/{name}.trashinfo"))));
        fileops::block_on(async { fileops::restore(ids).on_conflict(OnConflict::Fail).await })
    };
    let runs = sweep(&FAULTS[..2], prepare, run, |run| {
        let trashed = run.where_they_are();
        assert_eq!(run.report.entries, (NAMES.len() - trashed.len()) as u64, "{}", run.label);
        assert!(run.report.failures.len() >= trashed.len(), "{}", run.label);
        assert!(!run.is_last || run.report.is_complete(), "{}", run.label);
    });
    println!("seen: {runs} runs");
    assert!(runs > 200);
}

#[test]
fn an_info_file_that_could_not_be_made_durable_keeps_the_file_where_it_is() {
    alone!();
    require_fuse!();
    for op in [Op::Write, Op::Fsync, Op::Fsyncdir, Op::Create] {
        let fs = crate::uncached();
        make(fs.backing(), "a=x");
        fs.add(Fault::new(op, Action::Errno(libc::EIO)));
        let report = put(&[&fs.path().join("a")]);
        assert_eq!(crate::errnos(&report), [Some(libc::EIO)], "{op:?}: {report:?}");
        assert!(fs.backing().join("a").exists(), "{op:?}");
        assert_eq!(crate::names(&own_trash(fs.backing())), Default::default(), "{op:?}");
    }
}

#[test]
fn the_info_file_is_on_its_device_before_anything_moves() {
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    make(fs.backing(), "a=x");
    complete(put(&[&fs.path().join("a")]));
    let log: Vec<_> = fs.log().into_iter().map(|(op, path)| (op, path.display().to_string())).collect();
    let at = |what: &dyn Fn(&(Op, String)) -> bool| log.iter().position(what).expect("it was asked for");
    let wrote = at(&|(op, _)| *op == Op::Write);
    let synced = at(&|(op, _)| *op == Op::Fsync);
    let listed = at(&|(op, path)| *op == Op::Fsyncdir && path.ends_with("info"));
    let moved = at(&|(op, path)| *op == Op::Rename && path == "a");
    assert!(wrote < synced && synced < moved && listed < moved, "{log:?}");
    assert_eq!(items_in(&own_trash(fs.path())).len(), 1);
}
