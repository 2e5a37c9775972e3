//! Whole files in the place of others: what stays, what an error leaves, what a kill leaves.

use crate::{PATIENCE, assert_same_error, names, odd, pattern, wait_until};
use fileops::fs::{AtomicWrite, Synced, write_atomic};
use fileops::{block_on, fs};
use fileops_tests::alone::{part, wait_for_child};
use fileops_tests::rich::{ACCESS_ACL, DEFAULT_ACL, shared_acl};
use fileops_tests::user::variable;
use fileops_tests::{
    Action, Fault, FaultFs, Mount, Op, Options, Tree, require_fuse, require_root, test_name, user_part,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_new_file_is_made_as_std_makes_it() {
    let tree = Tree::new("");
    let path = odd(tree.root());
    block_on(write_atomic(&path, pattern(3_000_000))).unwrap();
    assert!(std::fs::read(&path).unwrap() == pattern(3_000_000));
    std::fs::write(tree.path("theirs"), "").unwrap();
    assert_eq!(mode(&path), mode(&tree.path("theirs")));
    block_on(AtomicWrite::new().mode(0o600).synced(Synced::Name).write(tree.path("secret"), "x")).unwrap();
    assert_eq!(mode(&tree.path("secret")), 0o600);
    assert_eq!(names(tree.root()).len(), 3);
}

#[test]
fn what_is_replaced_hands_down_mode_owner_attributes_and_acl() {
    require_root!();
    let mount = Mount::tmpfs("size=8m").unwrap();
    let path = mount.path().join("file");
    std::fs::write(&path, "old").unwrap();
    chown(&path, Some(1234), Some(4321)).unwrap();
    xattr::set(&path, "user.tag", b"red").unwrap();
    xattr::set(&path, "trusted.a", b"b").unwrap();
    xattr::set(&path, ACCESS_ACL, &shared_acl()).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o4775)).unwrap();
    let acl = xattr::get(&path, ACCESS_ACL).unwrap();
    let old = std::fs::File::open(&path).unwrap();
    block_on(write_atomic(&path, "new")).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (1234, 4321, 0o4775));
    assert_eq!(xattr::get(&path, "user.tag").unwrap().as_deref(), Some(&b"red"[..]));
    assert_eq!(xattr::get(&path, "trusted.a").unwrap().as_deref(), Some(&b"b"[..]));
    assert_eq!(xattr::get(&path, ACCESS_ACL).unwrap(), acl);
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::io::read_to_string(old).unwrap(), "old", "who has the old file open keeps it");
    assert_eq!(names(mount.path()), ["file"]);
}

#[test]
fn an_acl_that_the_directory_gives_does_not_come_to_a_file_that_had_none() {
    require_root!();
    let mount = Mount::tmpfs("size=8m").unwrap();
    let path = mount.path().join("file");
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    xattr::set(mount.path(), DEFAULT_ACL, &shared_acl()).unwrap();
    block_on(write_atomic(&path, "new")).unwrap();
    assert_eq!((xattr::get(&path, ACCESS_ACL).unwrap(), mode(&path)), (None, 0o640));
    block_on(write_atomic(mount.path().join("fresh"), "new")).unwrap();
    assert!(xattr::get(mount.path().join("fresh"), ACCESS_ACL).unwrap().is_some());
}

#[test]
fn links_stay_and_what_they_point_to_is_replaced() {
    let tree = Tree::new("dir/file=old a->b b->dir/file dangling->dir/new");
    block_on(write_atomic(tree.path("a"), "new")).unwrap();
    block_on(write_atomic(tree.path("dangling"), "fresh")).unwrap();
    tree.assert("dir/file=new dir/new=fresh a->b b->dir/file dangling->dir/new");
    symlink("loop", tree.path("loop")).unwrap();
    assert_same_error(block_on(write_atomic(tree.path("loop"), "")), std::fs::write(tree.path("loop"), ""));
}

#[test]
fn what_cannot_be_written_fails_as_std_has_it_and_nothing_is_left() {
    let tree = Tree::new("dir/ file=old");
    for name in ["dir", "dir/", "missing/x", "file/x", "missing/"] {
        assert_same_error(block_on(write_atomic(tree.path(name), "")), std::fs::write(tree.path(name), ""));
    }
    assert_same_error(block_on(write_atomic("", "")), std::fs::write("", ""));
    tree.assert("dir/ file=old");
    let tree = Tree::new("pipe|");
    let error = block_on(write_atomic(tree.path("pipe"), "")).unwrap_err();
    assert_eq!((error.source.kind(), error.path), (std::io::ErrorKind::InvalidInput, tree.path("pipe")));
    tree.assert("pipe|");
}

#[test]
fn who_may_not_write_to_a_file_may_not_replace_it() {
    user_part!("write", {
        let error = block_on(write_atomic(variable("FILE"), "new")).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EACCES));
        // In a directory of the user's own: the file of somebody else, which the user may write to, would change hands.
        let error = block_on(write_atomic(variable("OTHERS"), "new")).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EPERM));
    });
    require_root!();
    let tree = Tree::new("dir/file=old dir/others=old");
    std::fs::set_permissions(tree.root(), Permissions::from_mode(0o755)).unwrap();
    chown(tree.path("dir"), Some(1234), Some(1234)).unwrap();
    std::fs::set_permissions(tree.path("dir/file"), Permissions::from_mode(0o444)).unwrap();
    std::fs::set_permissions(tree.path("dir/others"), Permissions::from_mode(0o666)).unwrap();
    let set = [("FILE", tree.path("dir/file")), ("OTHERS", tree.path("dir/others"))];
    let set = [(set[0].0, set[0].1.as_os_str()), (set[1].0, set[1].1.as_os_str())];
    fileops_tests::as_user(1234, 1234, test_name!(), "write", &set);
    tree.assert("dir/file=old dir/others=old");
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    require_root!();
    let mount = Mount::tmpfs("size=2m").unwrap();
    let path = mount.path().join("file");
    std::fs::write(&path, pattern(1_500_000)).unwrap();
    let error = block_on(write_atomic(&path, vec![0; 3_000_000])).unwrap_err();
    assert_eq!((error.errno(), &error.path), (Some(libc::ENOSPC), &path));
    assert!(std::fs::read(&path).unwrap() == pattern(1_500_000));
    assert_eq!(names(mount.path()), ["file"]);
}

/// Without names in the kernel's memory, so that each request comes to the file system.
fn uncached() -> FaultFs {
    let options = Options { attr_timeout: Duration::ZERO, entry_timeout: Duration::ZERO, ..Options::default() };
    options.mount().unwrap()
}

#[test]
fn after_an_error_at_any_request_the_old_file_is_there_and_nothing_else() {
    require_fuse!();
    for synced in [Synced::Nothing, Synced::Name] {
        let requests = fileops_tests::sweep(200, |n| {
            let fault = uncached();
            std::fs::write(fault.backing().join("file"), "old").unwrap();
            // What is asked after the last name was given is no part of the step.
            fault.add(Fault::new(Op::Any, Action::Errno(libc::EIO)).nth(n));
            let answer = block_on(AtomicWrite::new().synced(synced).write(fault.path().join("file"), "new"));
            let there = std::fs::read(fault.backing().join("file")).unwrap();
            match answer {
                Ok(()) => assert_eq!(there, b"new"),
                // The name may be there and its sync have failed.
                Err(_) if synced == Synced::Name => assert!(there == b"old" || there == b"new"),
                Err(_) => assert_eq!(there, b"old", "request {n}"),
            }
            assert_eq!(names(fault.backing()), ["file"], "request {n}");
            fault
        });
        assert!(requests > 5, "{requests} requests");
    }
}

#[test]
fn who_does_not_wait_any_more_leaves_the_old_file() {
    require_fuse!();
    for op in [Op::Create, Op::Write, Op::Flush] {
        let fault = uncached();
        let path = fault.path().join("file");
        std::fs::write(fault.backing().join("file"), "old").unwrap();
        fault.add(Fault::new(op, Action::Hang).first(1));
        let mut call = write_atomic(&path, pattern(3_000_000));
        assert!(Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(fault.wait_hanging(1, PATIENCE), "{op:?}");
        drop(call);
        fault.release();
        wait_until("it is cleaned up", || fault.count(Op::Unlink) > 0 && names(fault.backing()) == ["file"]);
        assert_eq!(std::fs::read(fault.backing().join("file")).unwrap(), b"old", "{op:?}");
        assert_eq!(fault.count(Op::Rename), 0);
    }
}

#[test]
fn a_kill_at_any_request_leaves_the_old_file_or_the_new_one() {
    require_fuse!();
    user_part!("write", {
        block_on(AtomicWrite::new().synced(Synced::Name).write(variable("FILE"), "new")).unwrap();
    });
    let mut seen = [false; 2];
    for n in 1.. {
        let fault = uncached();
        std::fs::write(fault.backing().join("file"), "old").unwrap();
        let child = Arc::new(AtomicI32::new(0));
        let victim = Arc::clone(&child);
        let kill = move || {
            let pid = loop {
                match Pid::from_raw(victim.load(Ordering::Acquire)) {
                    Some(pid) => break pid,
                    None => std::thread::yield_now(),
                }
            };
            kill_process(pid, Signal::KILL).expect("killed");
        };
        let rule = fault.add(Fault::new(Op::Any, Action::call(kill)).nth(n));
        let path = fault.path().join("file");
        let running = part(test_name!(), "write", &[("FILE", path.as_os_str())]).spawn().unwrap();
        child.store(running.id() as i32, Ordering::Release);
        wait_for_child(running, PATIENCE).expect("it ends");
        let there = std::fs::read(fault.backing().join("file")).unwrap();
        assert!(there == b"old" || there == b"new", "request {n}");
        seen[usize::from(there == b"new")] = true;
        // What is left has the name that is looked for.
        let left: Vec<_> = names(fault.backing()).into_iter().filter(|name| name != "file").collect();
        assert!(left.len() <= 1 && left.iter().all(|name| name.starts_with(".fileops-") && name.ends_with(".part")));
        if fault.hits(rule) == 0 {
            assert!(left.is_empty(), "{left:?}");
            break;
        }
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn who_reads_meanwhile_has_the_old_or_the_new_contents() {
    let tree = Tree::new("");
    let path = tree.path("file");
    let contents = |letter: u8| vec![letter; 300_000];
    block_on(write_atomic(&path, contents(b'a'))).unwrap();
    let reader = {
        let path = path.clone();
        std::thread::spawn(move || {
            for _ in 0..200 {
                let bytes = std::fs::read(&path).unwrap();
                assert!(bytes.len() == 300_000 && bytes.iter().all(|&byte| byte == bytes[0]));
            }
        })
    };
    let quick = AtomicWrite::new().synced(Synced::Nothing);
    while !reader.is_finished() {
        for letter in b'b'..b'f' {
            block_on(quick.clone().write(&path, contents(letter))).unwrap();
        }
    }
    reader.join().unwrap();
    assert_eq!(block_on(fs::read(&path)).unwrap(), contents(b'e'));
    assert_eq!(names(tree.root()), ["file"]);
}
