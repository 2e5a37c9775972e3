//! What is deleted goes as a whole, and nothing else goes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fileops::{Complete, Mounts, Outcome, Refusal, Report};
use fileops_tests::tree::make;
use fileops_tests::user::{give, variable};
use fileops_tests::{Action, Fault, FaultFs, Mount, Op, Tree};
use fileops_tests::{as_user, require_command, require_fuse, require_root, test_name, user_part};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with};

fn delete(paths: &[&Path]) -> Report {
    fileops::block_on(async { fileops::delete(paths).await })
}

#[track_caller]
fn complete(report: Report) -> Complete {
    report.into_result().unwrap_or_else(|error| panic!("{error}: {:?}", error.report))
}

fn refusals(report: &Report) -> Vec<Option<Refusal>> {
    report.failures.iter().map(fileops::Error::refusal).collect()
}

#[test]
fn a_tree_goes_with_everything_in_it_and_is_counted() {
    let tree = Tree::new("a/file=x a/sub/deep/file=y a/link->file a/second=>a/file a/pipe| a/empty/ b=stays");
    let report = complete(delete(&[&tree.path("a")])).report;
    tree.assert("b=stays");
    let counts = [report.entries, report.files, report.directories, report.symlinks, report.specials];
    assert_eq!(counts, [9, 3, 4, 1, 1]);
}

#[test]
fn several_paths_go_and_one_that_is_missing_is_named() {
    let tree = Tree::new("a=1 b/c=2 d=3");
    let report = delete(&[&tree.path("a"), &tree.path("missing"), &tree.path("b")]);
    tree.assert("d=3");
    assert_eq!(report.failures.len(), 1);
    assert_eq!((&report.failures[0].path, report.failures[0].errno()), (&tree.path("missing"), Some(libc::ENOENT)));
}

#[test]
fn a_symbolic_link_goes_and_what_it_points_to_stays() {
    let tree = Tree::new(
        "outside/file=x links/to_dir->../outside links/to_file->../outside/file links/broken->nothing top->outside",
    );
    complete(delete(&[&tree.path("links"), &tree.path("top/")]));
    tree.assert("outside/file=x");
}

#[test]
fn a_path_that_ends_in_dots_is_refused() {
    let tree = Tree::new("a/b/file=x");
    for path in ["a/.", "a/b/..", "a/./", "."] {
        assert_eq!(refusals(&delete(&[&tree.path(path)])), [Some(Refusal::NoName)], "{path}");
    }
    let report = delete(&[Path::new("")]);
    assert_eq!(report.failures[0].errno(), Some(libc::ENOENT));
    tree.assert("a/b/file=x");
}

#[test]
fn what_is_mounted_below_stays_with_the_directories_above_it() {
    require_root!();
    let tree = Tree::new("a/sub/point/ a/sub/file=x a/other=y kept/file=z");
    let bound = Mount::bind_at(&tree.path("kept"), &tree.path("a/sub/point")).expect("bound");
    let report = delete(&[&tree.path("a")]);
    assert_eq!(refusals(&report), [Some(Refusal::MountPoint)]);
    assert_eq!(report.failures[0].path, tree.path("a/sub/point"));
    tree.assert("a/sub/point/file=z kept/file=z");
    drop(bound);
    tree.assert("a/sub/ kept/file=z");
}

#[test]
fn a_path_that_is_a_mount_point_stays_whole() {
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "file=x dir/file=y");
    assert_eq!(refusals(&delete(&[mount.path()])), [Some(Refusal::MountPoint)]);
    fileops_tests::tree::assert_tree(mount.path(), "file=x dir/file=y");
}

#[test]
fn what_is_mounted_below_is_emptied_when_that_is_asked_for() {
    require_root!();
    let tree = Tree::new("a/point/ a/file=x kept/dir/file=z");
    let bound = Mount::bind_at(&tree.path("kept"), &tree.path("a/point")).expect("bound");
    let report = fileops::block_on(async { fileops::delete([tree.path("a")]).mounts(Mounts::Cross).await });
    assert_eq!(report.failures.iter().map(fileops::Error::errno).collect::<Vec<_>>(), [Some(libc::EBUSY)]);
    tree.assert("a/point/ kept/");
    drop(bound);
}

#[test]
fn directories_that_lack_their_owners_permission_go_and_what_cannot_go_keeps_its_mode() {
    user_part!("delete", {
        let root = variable("TREE");
        let root = Path::new(&root);
        complete(delete(&[&root.join("locked")]));
        let report = delete(&[&root.join("mixed")]);
        let failed: Vec<_> = report.failures.iter().map(|error| (error.path.clone(), error.errno())).collect();
        assert_eq!(failed, [(root.join("mixed/roots/file"), Some(libc::EACCES))], "{report:?}");
    });
    require_root!();
    let tree =
        Tree::new("locked/a/b/file=x locked/read/file=x locked/read!500/ locked/none/ mixed/own=x mixed/roots/file=x");
    give(tree.root(), 1000, 1000);
    make(&tree.path("locked/none"), "file=x");
    give(&tree.path("locked"), 1000, 1000);
    fs::set_permissions(tree.path("locked/none"), fs::Permissions::from_mode(0o000)).expect("closed");
    fs::set_permissions(tree.path("locked"), fs::Permissions::from_mode(0o500)).expect("closed");
    std::os::unix::fs::chown(tree.path("mixed/roots"), Some(0), Some(0)).expect("given");
    fs::set_permissions(tree.path("mixed"), fs::Permissions::from_mode(0o500)).expect("closed");
    as_user(1000, 1000, test_name!(), "delete", &[("TREE", tree.root().as_ref())]);
    tree.assert("mixed!500/ mixed/roots/file=x");
}

#[test]
fn a_file_that_must_not_change_is_named_and_all_else_goes() {
    require_root!();
    require_command!("mkfs.ext4", "chattr");
    let mount = Mount::ext4(32).expect("mounted");
    make(mount.path(), "a/sub/fixed=x a/sub/other=y a/file=z");
    let chattr = |flag: &str| {
        let fixed = mount.path().join("a/sub/fixed");
        let status = Command::new("chattr").args([OsStr::new(flag), fixed.as_os_str()]).status().expect("runs");
        assert!(status.success());
    };
    chattr("+i");
    let report = delete(&[&mount.path().join("a")]);
    chattr("-i");
    assert_eq!(report.failures.iter().map(fileops::Error::errno).collect::<Vec<_>>(), [Some(libc::EPERM)]);
    assert_eq!(report.failures[0].path, mount.path().join("a/sub/fixed"));
    assert!(mount.path().join("a/sub/fixed").exists() && !mount.path().join("a/file").exists());
    assert!(!mount.path().join("a/sub/other").exists());
}

#[test]
fn a_tree_of_ten_thousand_levels_goes() {
    let tree = Tree::new("deep/");
    let mut dir = openat(CWD, tree.path("deep"), OFlags::PATH, Mode::empty()).expect("opened");
    for _ in 0..10_000 {
        mkdirat(&dir, "d", Mode::from_raw_mode(0o755)).expect("made");
        dir = openat(&dir, "d", OFlags::PATH, Mode::empty()).expect("opened");
    }
    drop(dir);
    assert_eq!(complete(delete(&[&tree.path("deep")])).report.entries, 10_001);
    tree.assert("");
}

#[test]
fn a_directory_swapped_for_a_link_at_any_request_leads_nowhere_else() {
    require_fuse!();
    let outside = Tree::new("file=kept deep/file=kept deep/more/file=kept");
    let options = fileops_tests::Options {
        attr_timeout: Duration::ZERO,
        entry_timeout: Duration::ZERO,
        ..fileops_tests::Options::default()
    };
    let fs = options.mount().expect("mounted");
    for n in 1.. {
        assert!(n < 200, "still a request");
        let name = n.to_string();
        make(fs.backing(), &format!("{name}/top/dir/file=x {name}/top/dir/deep/more/file=x"));
        let back = fs.backing().join(&name);
        symlink(outside.root(), back.join("link")).expect("made");
        let act = Action::call(move || {
            let _ = renameat_with(CWD, back.join("top/dir"), CWD, back.join("link"), RenameFlags::EXCHANGE);
        });
        let fault = fs.add(Fault::new(Op::Any, act).nth(n));
        let path = fs.path().join(&name).join("top");
        let report = fileops::block_on(async { fileops::delete([path]).jobs(1).await });
        outside.assert("file=kept deep/file=kept deep/more/file=kept");
        if fs.hits(fault) == 0 {
            complete(report);
            return;
        }
        fs.remove(fault);
    }
}

#[test]
fn directories_that_are_swapped_all_the_time_lead_nowhere_else() {
    let outside = Tree::new("file=kept deep/file=kept");
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        let tree = Tree::new("top/dir/file=x top/dir/deep/file=x");
        symlink(outside.root(), tree.path("link")).expect("made");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, tree.path("top/dir"), CWD, tree.path("link"), RenameFlags::EXCHANGE);
                }
            });
            // Whatever it can delete of what is swapped there.
            let _ = delete(&[&tree.path("top")]);
            is_over.store(true, Ordering::Relaxed);
        });
        outside.assert("file=kept deep/file=kept");
    }
}

#[test]
fn a_cancel_ends_it_and_what_was_not_reached_is_whole() {
    require_fuse!();
    let fs = FaultFs::new();
    make(fs.backing(), "a/1=x a/2=x a/3=x a/4=x");
    let second = fs.add(Fault::new(Op::Unlink, Action::Hang).nth(2));
    let operation = fileops::delete([fs.path().join("a")]).jobs(1).start();
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    operation.cancel();
    fs.release();
    let report = operation.wait();
    assert_eq!((report.outcome, fs.hits(second)), (Outcome::Cancelled, 1));
    assert!((2..=3).contains(&fs::read_dir(fs.backing().join("a")).expect("read").count()));
}

#[test]
fn an_odd_answer_at_any_request_is_named_and_nothing_else_goes() {
    require_fuse!();
    let (attr_timeout, entry_timeout) = Default::default();
    let options = fileops_tests::Options { attr_timeout, entry_timeout, ..Default::default() };
    let fs = options.mount().expect("a FUSE file system can be mounted");
    let (mut runs, mut failed) = (0, 0);
    for errno in [libc::ESTALE, libc::EXDEV, libc::EEXIST, libc::ENOENT, libc::EAGAIN, libc::EIO] {
        for n in 1.. {
            assert!(n < 300, "still a request");
            let name = runs.to_string();
            let backing = fs.backing().join(&name);
            fs::create_dir(&backing).expect("made");
            make(&backing, "top/one=x top/dir/two=y top/dir/deep/three=z top/link->one beside=stays");
            let fault = fs.add(Fault::new(Op::Any, Action::Errno(errno)).nth(n));
            let report = delete(&[&fs.path().join(&name).join("top")]);
            let was_hit = fs.hits(fault) > 0;
            fs.remove(fault);
            let at = format!("{errno} at {n}: {report:?}");
            assert!(backing.join("beside").exists(), "{at}");
            // What is left is told.
            let is_left = backing.join("top").symlink_metadata().is_ok();
            assert!(!is_left || !report.failures.is_empty(), "{at}");
            failed += usize::from(!report.failures.is_empty());
            runs += 1;
            if !was_hit {
                assert!(report.is_complete() && !is_left, "{at}");
                break;
            }
        }
    }
    println!("seen: {runs} runs, {failed} with failures");
    assert!(failed > 50, "{failed} of {runs}");
}
