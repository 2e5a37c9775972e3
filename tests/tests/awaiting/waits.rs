//! The thread that polls never waits: no poll of any call makes it give up its processor.
//!
//! Each test runs in a process of its own, whose other threads do nothing else.

use std::fs::File;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fileops::fs::{self, Access, Call, Dir, OpenOptions, Times};
use fileops::{Pool, block_on};
use fileops_tests::{
    Action, Fault, Mount, Op, Options, Tree, alone, require_command, require_filesystem, require_fuse, require_root,
    skip,
};

use crate::first_poll;

/// How often this thread slept so far.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

/// Polls once, fails if that waits for anything, and awaits the rest.
#[track_caller]
fn polled<T: Send + 'static>(what: &str, mut call: Call<T>) -> T {
    let before = sleeps();
    let first = Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop()));
    let slept = sleeps() - before;
    assert_eq!(slept, 0, "{what}: the thread that polls slept");
    let answer = match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => block_on(call),
    };
    answer.unwrap_or_else(|error| panic!("{what}: {error}: {}", error.source))
}

/// Makes the threads and tables that the first calls need.
fn warm_up() {
    for _ in 0..10 {
        let _ = block_on(fs::read_link("/proc/self/exe"));
        let _ = block_on(fs::metadata("/"));
    }
}

/// Every call on paths, each on names that the kernel does not know yet.
fn all_calls_on_cold_names(root: &Path) {
    const NAMES: usize = 30;
    for number in 0..NAMES {
        let dir = root.join(format!("{number}"));
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        std::fs::write(dir.join("sub/file"), "hello").unwrap();
        std::os::unix::fs::symlink("file", dir.join("sub/link")).unwrap();
    }
}

fn cold(mount: &Mount) {
    all_calls_on_cold_names(mount.path());
    mount.mount_again().unwrap();
    warm_up();
    let mut number = 0;
    let mut at = |name: &str| {
        number += 1;
        mount.path().join(format!("{}/sub/{name}", number - 1))
    };
    assert_eq!(polled("metadata", fs::metadata(at("file"))).len(), 5);
    assert!(polled("symlink_metadata", fs::symlink_metadata(at("link"))).is_symlink());
    assert_eq!(polled("read", fs::read(at("link"))), b"hello");
    assert_eq!(polled("read_to_string", fs::read_to_string(at("file"))), "hello");
    polled("open", fs::File::open(at("file")));
    polled("open for writing", OpenOptions::new().append(true).open(at("file")));
    polled("write", fs::write(at("new"), "x"));
    polled("append", fs::append(at("file"), "x"));
    polled("create_dir", fs::create_dir(at("new")));
    polled("create_dir_all", fs::create_dir_all(at("new/deep")));
    polled("remove_file", fs::remove_file(at("file")));
    polled("remove_dir_all", fs::remove_dir_all(at("")));
    polled("rename", fs::rename(at("file"), mount.path().join("renamed")));
    polled("hard_link", fs::hard_link(at("file"), mount.path().join("linked")));
    polled("symlink", fs::symlink("x", at("new")));
    polled("read_link", fs::read_link(at("link")));
    polled("canonicalize", fs::canonicalize(at("link")));
    assert!(polled("exists", fs::exists(at("link"))));
    assert!(!polled("is_same_file", fs::is_same_file(at("file"), mount.path())));
    assert!(polled("access", fs::access(at("file"), Access { read: true, ..Access::default() })));
    polled("set_permissions", fs::set_permissions(at("file"), 0o600));
    polled("chown", fs::chown(at("file"), None, None));
    polled("lchown", fs::lchown(at("link"), None, None));
    polled("set_times", fs::set_times(at("file"), Times::default()));
    let dir = polled("Dir::open", Dir::open(at("")));
    assert_eq!(polled("Dir::metadata", dir.metadata("file")).len(), 5);
    let dir = block_on(Dir::open(mount.path())).unwrap();
    assert_eq!(polled("Dir::read", dir.read("26/sub/file")), b"hello");
    drop(dir);
    // The names are known now, and the inodes: the contents are not.
    let path = at("file");
    block_on(fs::read(&path)).unwrap();
    let open = File::open(&path).unwrap();
    rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    drop(open);
    let file = polled("open of a known inode", fs::File::open(&path));
    assert_eq!(polled("read of a known inode", fs::read(&path)), b"hello");
    let open = File::open(&path).unwrap();
    rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    drop(open);
    assert_eq!(polled("read_at", file.read_at(vec![0; 10], 1)), b"ello");
}

#[test]
fn no_poll_waits_for_the_disk_of_ext4() {
    alone!();
    require_root!();
    require_command!("mkfs.ext4");
    require_filesystem!("ext4");
    cold(&Mount::ext4(32).unwrap());
}

#[test]
fn no_poll_waits_for_the_disk_of_xfs() {
    alone!();
    require_root!();
    require_command!("mkfs.xfs");
    require_filesystem!("xfs");
    cold(&Mount::xfs(300).unwrap());
}

#[test]
fn no_poll_waits_for_the_disk_of_btrfs() {
    alone!();
    require_root!();
    require_command!("mkfs.btrfs");
    require_filesystem!("btrfs");
    cold(&Mount::btrfs(128).unwrap());
}

#[test]
fn no_poll_waits_for_the_layers_of_an_overlay() {
    alone!();
    require_root!();
    require_command!("mkfs.ext4");
    require_filesystem!("ext4");
    require_filesystem!("overlay");
    let below = Mount::ext4(32).unwrap();
    std::fs::write(below.path().join("file"), "hello").unwrap();
    below.mount_again().unwrap();
    let overlay = Mount::overlay(below.path()).unwrap();
    warm_up();
    for _ in 0..3 {
        assert_eq!(polled("metadata", fs::metadata(overlay.path().join("file"))).len(), 5);
        assert_eq!(polled("read", fs::read(overlay.path().join("file"))), b"hello");
        drop(polled("open", fs::File::open(overlay.path().join("file"))));
    }
    drop(overlay);
}

#[test]
fn no_poll_waits_for_what_proc_makes_up() {
    alone!();
    warm_up();
    assert!(polled("status", fs::read_to_string("/proc/self/status")).contains("VmRSS"));
    polled("metadata", fs::metadata("/proc/self/status"));
    polled("open", fs::File::open("/proc/self/mountinfo"));
}

#[test]
fn no_poll_waits_for_the_other_end_of_a_fifo() {
    alone!();
    let tree = Tree::new("fifo|");
    warm_up();
    for _ in 0..3 {
        assert_eq!(polled("metadata", fs::metadata(tree.path("fifo"))).kind(), fs::Kind::Fifo);
        let path = tree.path("fifo");
        let writer = std::thread::spawn(move || {
            // Not before the poll: it waits for a reader.
            File::options().write(true).open(path).unwrap().write_all(b"hello").unwrap();
        });
        assert_eq!(polled("read", fs::read(tree.path("fifo"))), b"hello");
        writer.join().unwrap();
    }
    let before = sleeps();
    assert!(first_poll(fs::File::open(tree.path("fifo"))).is_pending());
    assert_eq!(sleeps(), before);
    // The worker that waits is let go.
    File::options().read(true).write(true).open(tree.path("fifo")).unwrap();
}

/// Holds a lease of the file whose name it is given until a line comes.
const LEASE: &str = "
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], 'r+')
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.readline()
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
";

#[test]
fn no_poll_waits_until_a_lease_is_given_up() {
    alone!();
    require_command!("python3");
    let tree = Tree::new("file=hello");
    let path = tree.path("file");
    warm_up();
    block_on(fs::read(&path)).unwrap();
    for is_read in [false, true] {
        let mut holder = Command::new("python3");
        holder.args(["-c", LEASE]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        if said.trim() != "held" {
            holder.wait().unwrap();
            skip!("no leases on {}", path.display());
        }
        let before = sleeps();
        let mut open = fs::File::open(&path);
        let mut read = fs::read(&path);
        let mut context = Context::from_waker(Waker::noop());
        match is_read {
            true => assert!(Pin::new(&mut read).poll(&mut context).is_pending()),
            false => assert!(Pin::new(&mut open).poll(&mut context).is_pending()),
        }
        assert_eq!(sleeps(), before);
        holder.stdin.take().unwrap().write_all(b"\n").unwrap();
        match is_read {
            true => assert_eq!(block_on(read).unwrap(), b"hello"),
            false => drop(block_on(open).unwrap()),
        }
        holder.wait().unwrap();
    }
}

#[test]
fn no_poll_waits_for_a_file_system_that_hangs() {
    alone!();
    require_fuse!();
    let threads = 64;
    let fs = Options { threads, ..Options::default() }.mount().unwrap();
    fileops_tests::tree::make(fs.backing(), "file=hello dir/");
    warm_up();
    // It is known to the kernel, and the mount to us.
    for _ in 0..3 {
        assert_eq!(block_on(fs::metadata(fs.path().join("file"))).unwrap().len(), 5);
    }
    for op in [Op::Lookup, Op::Getattr, Op::Open, Op::Read] {
        fs.add(Fault::new(op, Action::Hang));
    }
    let pool = Pool::new();
    block_on(fs::read_link("/proc/self/exe").on(&pool)).unwrap();
    let before = sleeps();
    let mut context = Context::from_waker(Waker::noop());
    let mut stats: Vec<_> =
        (0..4).map(|number| fs::metadata(fs.path().join(format!("stuck{number}"))).on(&pool)).collect();
    stats.push(fs::metadata(fs.path().join("file")).on(&pool));
    let mut reads = vec![fs::read(fs.path().join("file")).on(&pool), fs::read(fs.path().join("dir/new")).on(&pool)];
    let mut opens = vec![fs::File::open(fs.path().join("file")).on(&pool)];
    for stat in &mut stats {
        assert!(Pin::new(stat).poll(&mut context).is_pending());
    }
    for read in &mut reads {
        assert!(Pin::new(read).poll(&mut context).is_pending());
    }
    for open in &mut opens {
        assert!(Pin::new(open).poll(&mut context).is_pending());
    }
    assert_eq!(sleeps(), before, "the thread that polls slept");
    assert!(fs.wait_hanging(1, Duration::from_secs(30)), "the calls reach the file system");
    drop((stats, reads, opens));
    fs.clear();
    fs.release();
}

#[test]
fn no_poll_waits_for_an_automount() {
    alone!();
    require_root!();
    require_filesystem!("autofs");
    let tree = Tree::new("point/");
    // The group of whoever would mount: all others wait for it.
    let mut group = Command::new("sleep").arg("1000").process_group(0).stdin(Stdio::piped()).spawn().unwrap();
    // The requests go into its standard input, where nobody reads them.
    let asks = group.stdin.take().unwrap();
    let data = format!("fd={},pgrp={},minproto=5,maxproto=5,indirect", asks.as_raw_fd(), group.id());
    let data = std::ffi::CString::new(data).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    let mounted = rustix::mount::mount("autofs", tree.path("point"), "autofs", flags, Some(&*data));
    drop(asks);
    if let Err(error) = mounted {
        group.kill().unwrap();
        group.wait().unwrap();
        skip!("autofs cannot be mounted: {error}");
    }
    warm_up();
    let before = sleeps();
    let mut context = Context::from_waker(Waker::noop());
    let mut calls: Vec<_> = (0..4).map(|number| fs::metadata(tree.path(format!("point/share{number}/file")))).collect();
    for call in &mut calls {
        assert!(Pin::new(call).poll(&mut context).is_pending());
    }
    let slept = sleeps() - before;
    // Nobody can read the requests any more: whoever waits is told that there is nothing.
    group.kill().unwrap();
    group.wait().unwrap();
    rustix::mount::unmount(tree.path("point"), rustix::mount::UnmountFlags::DETACH).unwrap();
    drop(calls);
    assert_eq!(slept, 0, "the thread that polls slept");
}
