//! Destinations and sources that go away, and limits of the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fileops::{NoteKind, OnConflict, Report};
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{
    Action, Fault, FaultFs, Op, Tree, as_user, assert_same_tree, require_fuse, require_root, test_name, user_part,
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{PATIENCE, alone, errnos, finish, part, stages, uncached, wait_for_child};

const NEW: &str = "top/one=new top/two#9000 top/dir/three=new top/link->one top/same=>top/one";

/// Copies with something happening at the first request of the destination, at the second, and so on.
fn at_each_request(old: &str, act: impl Fn(&FaultFs, &Path) -> Action, check: impl Fn(&Report, &Path, &str)) {
    let source = Tree::new(NEW);
    let mut target = uncached();
    for n in 1.. {
        assert!(n < 500, "still a request");
        let name = n.to_string();
        make(target.backing(), &format!("{name}/"));
        if !target.path().join(&name).exists() {
            // The last round unmounted it.
            target = uncached();
            make(target.backing(), &format!("{name}/"));
        }
        let (into, backing) = (target.path().join(&name), target.backing().join(&name));
        make(&backing, old);
        let fault = target.add(Fault::new(Op::Any, act(&target, &backing)).nth(n));
        let copy = fileops::copy([source.path("top")], &into).on_conflict(OnConflict::Replace);
        let report = finish(copy.start());
        let at = format!("at {n}: {report:?}");
        if target.hits(fault) == 0 {
            assert!(report.is_complete() && n > 20, "{at}");
            return;
        }
        target.remove(fault);
        check(&report, &backing, &at);
    }
}

#[test]
fn a_destination_that_is_removed_meanwhile_fails_without_a_hang() {
    alone!();
    require_fuse!();
    let gone = |_: &FaultFs, backing: &Path| {
        let backing = backing.to_owned();
        // Another worker may just make something in it.
        Action::call(move || while fs::remove_dir_all(&backing).is_err() && backing.exists() {})
    };
    at_each_request("", gone, |_, backing, at| {
        // Nothing makes it again.
        assert!(!backing.exists(), "{at}");
    });
}

#[test]
fn a_destination_that_is_unmounted_meanwhile_fails_without_a_hang() {
    alone!();
    require_fuse!();
    require_root!();
    let unmounted = |fs: &FaultFs, _: &Path| {
        let point = fs.path().to_owned();
        Action::call(move || {
            let lazily = rustix::mount::UnmountFlags::FORCE | rustix::mount::UnmountFlags::DETACH;
            let _ = rustix::mount::unmount(&point, lazily);
        })
    };
    at_each_request("", unmounted, |report, backing, at| {
        assert!(!report.is_complete() || backing.join("top").exists(), "{at}");
        if let Ok(two) = fs::metadata(backing.join("top/two")) {
            assert_eq!(two.len(), 9000, "{at}");
        }
    });
}

#[test]
fn a_source_that_is_unmounted_meanwhile_fails_without_a_hang() {
    alone!();
    require_fuse!();
    require_root!();
    for n in (1..).step_by(4) {
        let (source, target) = (uncached(), Tree::new(""));
        make(source.backing(), NEW);
        let point = source.path().to_owned();
        let act = Action::call(move || {
            let lazily = rustix::mount::UnmountFlags::FORCE | rustix::mount::UnmountFlags::DETACH;
            let _ = rustix::mount::unmount(&point, lazily);
        });
        let fault = source.add(Fault::new(Op::Any, act).nth(n));
        let report = finish(fileops::copy([source.path().join("top")], target.root()).start());
        assert!(stages(target.root()).is_empty(), "at {n}: {report:?}");
        if report.is_complete() {
            assert_same_tree(source.backing().join("top"), target.path("top"));
        }
        if source.hits(fault) == 0 {
            assert!(report.is_complete() && n > 20, "{report:?}");
            return;
        }
        if let Ok(two) = fs::metadata(target.path("top/two")) {
            assert_eq!(two.len(), 9000);
        }
    }
}

#[test]
fn a_destination_that_becomes_read_only_meanwhile_keeps_what_is_old() {
    use Op::*;
    alone!();
    require_fuse!();
    let writing =
        [Create, Write, Mkdir, Symlink, Link, Rename, Unlink, Rmdir, Chmod, Chown, Truncate, Utimens, Setxattr];
    let (source, target) = (Tree::new(NEW), uncached());
    let copy_to = |name: &str| {
        make(target.backing(), &format!("{name}/top/one=old {name}/top/two=old {name}/top/other=stays"));
        let copy = fileops::copy([source.path("top")], target.path().join(name)).on_conflict(OnConflict::Replace);
        finish(copy.jobs(1).start())
    };
    assert!(copy_to("whole").is_complete());
    let requests: Vec<_> = target.log().into_iter().map(|(op, _)| op).filter(|op| writing.contains(op)).collect();
    assert!(requests.len() > 20, "{requests:?}");
    for n in 0..requests.len() {
        // All that would write is refused once `n` requests were granted.
        for op in writing {
            let granted = requests[..n].iter().filter(|one| **one == op).count() as u64;
            target.add(Fault::new(op, Action::Errno(libc::EROFS)).from(granted + 1));
        }
        let report = copy_to(&n.to_string());
        target.clear();
        let (top, at) = (target.backing().join(n.to_string()).join("top"), format!("after {n}: {report:?}"));
        // What comes after the last name is of use for an undo only.
        assert!(errnos(&report).contains(&libc::EROFS) || (report.is_complete() && n > 20), "{at}");
        assert_eq!(fs::read_to_string(top.join("other")).expect("read"), "stays");
        let one = fs::read_to_string(top.join("one")).expect("read");
        assert!(one == "old" || one == "new", "{one}, {at}");
        let two = fs::metadata(top.join("two")).expect("there").len();
        assert!(two == 3 || two == 9000, "{two}, {at}");
        let left = stages(&top);
        assert!(left.is_empty() || crate::has_note(&report, NoteKind::LeftBehind), "{left:?}, {at}");
    }
}

#[test]
fn a_limit_on_file_sizes_fails_the_file_and_kills_nobody() {
    user_part!("copy", {
        let limit = Some(1_000_000);
        setrlimit(Resource::Fsize, Rlimit { current: limit, maximum: limit }).expect("set");
        let report = finish(fileops::copy([variable("FROM")], variable("INTO")).start());
        assert_eq!(errnos(&report), [libc::EFBIG], "{report:?}");
    });
    alone!();
    let (source, target) = (Tree::new("top/large#3000000 top/small=x"), Tree::new(""));
    let set = [("FROM", source.path("top")), ("INTO", target.root().to_owned())];
    let set = set.each_ref().map(|(name, path)| (*name, path.as_os_str()));
    let child = part(test_name!(), "copy", &set).spawn().expect("runs");
    let status = wait_for_child(child, PATIENCE).expect("it ends");
    assert!(status.success(), "{status}");
    target.assert("top/small=x");
}

#[test]
fn a_process_that_may_have_no_threads_copies_all_the_same() {
    user_part!("copy", {
        setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) }).expect("set");
        let refused = std::thread::Builder::new().spawn(|| {}).is_err();
        let report = finish(fileops::copy([variable("FROM")], variable("INTO")).start());
        assert!(report.is_complete(), "{report:?}");
        println!("{}", if refused { "without threads" } else { "with threads" });
    });
    alone!();
    require_root!();
    let (source, target) = (Tree::new("top/large#3000000 top/dir/small=x top/link->large"), Tree::new("into/ state/"));
    for name in ["into", "state"] {
        fs::set_permissions(target.path(name), fs::Permissions::from_mode(0o777)).expect("set");
    }
    let set = [("FROM", source.path("top")), ("INTO", target.path("into")), ("XDG_STATE_HOME", target.path("state"))];
    let set = set.each_ref().map(|(name, path)| (*name, path.as_os_str()));
    let said = as_user(4321, 4321, test_name!(), "copy", &set);
    assert!(said.contains("without threads"), "{said}");
    let ignore = fileops_tests::Ignore { owner: true, ..Default::default() };
    fileops_tests::assert_same_tree_but(source.path("top"), target.path("into/top"), &ignore);
}
