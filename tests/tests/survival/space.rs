//! Too little room.

use std::fs;
use std::time::Duration;

use fileops::{OnConflict, OnShortage, Outcome, Phase};
use fileops_tests::tree::{inode, noise};
use fileops_tests::{Mount, Tree, require_root};

use crate::{alone, errnos, finish, journals, stages, wait_until};

#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=2m").expect("mounted");
    let source = Tree::new("file#3000000");
    let (target, old) = (mount.path().join("file"), noise(1_500_000));
    fs::write(&target, &old).expect("written");
    let before = inode(&target);
    let copy = fileops::copy([source.path("file")], mount.path()).on_conflict(OnConflict::Replace);
    let report = finish(copy.start());
    assert_eq!(errnos(&report), [libc::ENOSPC], "{report:?}");
    assert_eq!((fs::read(&target).expect("read") == old, inode(&target)), (true, before));
    assert_eq!((stages(mount.path()), journals()), (vec![], vec![]));
    let free = rustix::fs::statvfs(mount.path()).expect("statvfs").f_bavail * 4096;
    assert!(free > 450_000, "{free} bytes are free: what did not fit still takes room");
}

#[test]
fn what_does_not_fit_fails_and_the_rest_is_copied() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=2m").expect("mounted");
    let source = Tree::new("top/a=first top/big#3000000 top/dir/z=last");
    let report = finish(fileops::copy([source.path("top")], mount.path()).jobs(1).start());
    assert_eq!(errnos(&report), [libc::ENOSPC], "{report:?}");
    assert_eq!(
        report.failures[0].target.as_ref().unwrap_or(&report.failures[0].path).file_name(),
        Some("big".as_ref())
    );
    fileops_tests::tree::assert_tree(mount.path(), "top/a=first top/dir/z=last");
}

/// A file system with 1.5 MB in the way of a file of 3 MB.
fn crowded() -> (Mount, Tree) {
    let mount = Mount::tmpfs("size=4m").expect("mounted");
    fs::write(mount.path().join("filler"), noise(1_500_000)).expect("written");
    (mount, Tree::new("file#3000000"))
}

#[test]
fn a_copy_that_pauses_for_room_goes_on_when_there_is_some() {
    alone!();
    require_root!();
    let (mount, source) = crowded();
    let copy = fileops::copy([source.path("file")], mount.path()).on_shortage(OnShortage::Pause);
    let operation = copy.start();
    wait_until("a shortage", || operation.shortage().is_some());
    wait_until("a pause", || operation.progress().phase == Phase::Paused);
    let shortage = operation.shortage().expect("it is known");
    assert_eq!(shortage.path, mount.path());
    assert!(shortage.free < 1_600_000, "{shortage:?}");
    assert!(!mount.path().join("file").exists());
    // Going on without room leads to the next pause.
    operation.resume();
    wait_until("a second shortage", || operation.shortage().is_some());
    assert!(!operation.is_done());
    fs::remove_file(mount.path().join("filler")).expect("removed");
    operation.resume();
    let report = finish(operation);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(fs::read(mount.path().join("file")).expect("read"), noise(3_000_000));
    assert_eq!((stages(mount.path()), journals()), (vec![], vec![]));
}

#[test]
fn a_copy_that_pauses_for_room_can_be_cancelled() {
    alone!();
    require_root!();
    let (mount, source) = crowded();
    let operation = fileops::copy([source.path("file")], mount.path()).on_shortage(OnShortage::Pause).start();
    wait_until("a shortage", || operation.shortage().is_some());
    operation.cancel();
    let report = crate::within(Duration::from_secs(5), operation).expect("the cancel ends the pause");
    assert_eq!(report.outcome, Outcome::Cancelled);
    let names: Vec<_> =
        fs::read_dir(mount.path()).expect("read").map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(names, ["filler"]);
    assert_eq!(journals(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn a_copy_pauses_where_no_more_files_can_be_made_and_goes_on_when_some_can() {
    alone!();
    require_root!();
    // How many can still be made, and what is copied then.
    for (left, source) in [(0, "top=hello"), (0, "top/"), (1, "top/file=hello"), (1, "top/dir/"), (1, "top/pipe|")] {
        let mount = Mount::tmpfs("size=4m,nr_inodes=8").expect("mounted");
        let inodes = || rustix::fs::statvfs(mount.path()).expect("statvfs").f_favail;
        let filler = |n| mount.path().join(format!("filler{n}"));
        let fillers = inodes() - left;
        (0..fillers).for_each(|n| fs::write(filler(n), "").expect("written"));
        assert_eq!(inodes(), left);
        let source = Tree::new(source);
        let operation = fileops::copy([source.path("top")], mount.path()).on_shortage(OnShortage::Pause).start();
        wait_until("a shortage", || operation.shortage().is_some());
        wait_until("a pause", || operation.progress().phase == Phase::Paused);
        assert!(!mount.path().join("top").exists());
        (0..fillers).for_each(|n| fs::remove_file(filler(n)).expect("removed"));
        operation.resume();
        let report = finish(operation);
        assert!(report.is_complete(), "{report:?}");
        fileops_tests::assert_same_tree(source.path("top"), mount.path().join("top"));
        assert_eq!((stages(mount.path()), journals()), (vec![], vec![]));
    }
}
