//! How many workers there are, and how few calls they make.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fileops_tests::tree::{make, noise};
use fileops_tests::{FaultFs, Mount, Op, Options, Tree, assert_same_tree, require_fuse, require_root};
use rustix::fs::{AtFlags, Mode, OFlags, openat};

use crate::complete;

/// More workers than this gain nothing.
const MOST: usize = 16;

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// Files in directories below `a`, of so many bytes each.
fn fill(root: &std::path::Path, dirs: usize, files: usize, bytes: usize) {
    for dir in 0..dirs {
        fs::create_dir_all(root.join(format!("a/{dir}"))).unwrap();
        (0..files).for_each(|file| fs::write(root.join(format!("a/{dir}/{file}")), noise(bytes)).unwrap());
    }
}

#[test]
fn where_every_call_waits_there_are_more_workers_than_cores() {
    require_fuse!();
    let (tree, fs) = (Tree::new("b/ c/ d/"), Options { log: false, ..Options::default() }.mount().unwrap());
    fill(fs.backing(), 20, 20, 100);
    fs.knobs(|knobs| knobs.latency = Duration::from_millis(1));
    let source = fs.path().join("a");
    let report = complete(fileops::copy([&source], tree.path("b")));
    assert!(report.workers > cores().min(MOST - 1), "{} workers", report.workers);
    assert!(report.workers <= MOST.max(cores()), "{} workers", report.workers);
    let measured = complete(fileops::measure([&source]));
    assert!(measured.workers > cores().min(MOST - 1), "{} workers", measured.workers);
    assert_same_tree(fs.backing().join("a"), tree.path("b/a"));
    for jobs in [1, 3] {
        let into = tree.path(if jobs == 1 { "c" } else { "d" });
        assert_eq!(complete(fileops::copy([&source], into).jobs(jobs)).workers, jobs);
    }
    assert_eq!(complete(fileops::measure([source]).jobs(1)).workers, 1);
}

#[test]
fn in_memory_there_are_about_as_many_workers_as_cores() {
    require_root!();
    let mount = Mount::tmpfs("size=64m").unwrap();
    fill(mount.path(), 40, 100, 1000);
    fs::create_dir(mount.path().join("b")).unwrap();
    let report = complete(fileops::copy([mount.path().join("a")], mount.path().join("b")));
    // Twice as many where the machine was busy with others, which looks like waiting.
    assert!(report.workers <= (2 * cores()).max(4), "{} workers", report.workers);
}

#[test]
fn as_many_workers_as_were_asked_for_stay_to_the_end() {
    require_root!();
    let mount = Mount::tmpfs("size=64m").unwrap();
    fill(mount.path(), 200, 100, 0);
    fs::create_dir(mount.path().join("b")).unwrap();
    let operation = fileops::copy([mount.path().join("a")], mount.path().join("b")).jobs(4).start();
    let mut seen = Vec::new();
    while !operation.is_done() {
        let progress = operation.progress();
        if progress.entries_done > 1000 && progress.entries_done < 19_000 {
            seen.push(progress.workers);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let report = operation.wait();
    assert!(report.is_complete() && report.workers == 4, "{report:?}");
    assert!(seen.len() > 10, "too quick to see: {:?}", report.elapsed);
    assert!(seen.iter().all(|&workers| workers == 4), "{seen:?}");
}

#[test]
fn a_chain_of_directories_is_the_work_of_one() {
    let tree = Tree::new("b/");
    let chain = (0..500).map(|_| "d").collect::<Vec<_>>().join("/");
    make(tree.root(), &format!("a/{chain}/file=hello"));
    let report = complete(fileops::copy([tree.path("a")], tree.path("b")));
    assert_eq!((report.directories, report.workers), (501, 1));
}

/// A source of which the kernel remembers nothing, so that each call is a request that can be counted.
fn counted() -> FaultFs {
    let (attr_timeout, entry_timeout) = Default::default();
    Options { attr_timeout, entry_timeout, direct_io: true, ..Options::default() }.mount().unwrap()
}

const DIRS: u64 = 10;

/// Looks at the root and at each directory: what it is, where it is, whether it is still the same.
const FOR_DIRS: u64 = 12 * (DIRS + 2);

/// What the requests were that something made, by kind.
fn requests(fs: &FaultFs, work: impl FnOnce()) -> impl Fn(Op) -> u64 {
    fs.clear_log();
    work();
    let counts: Vec<_> = Op::ALL.iter().map(|&op| (op, fs.count(op))).collect();
    move |op| counts.iter().find(|(other, _)| *other == op).unwrap().1
}

/// Does to each file, from its open directory, what cannot be left out. The kernel asks for rights besides.
fn for_each(fs: &FaultFs, files: u64, visit: impl Fn(BorrowedFd<'_>, &str)) {
    for dir in 0..DIRS {
        let dir = fs::File::open(fs.path().join(format!("a/{dir}"))).unwrap();
        (0..files / DIRS).for_each(|file| visit(dir.as_fd(), &file.to_string()));
    }
}

fn open(dir: BorrowedFd<'_>, name: &str) -> OwnedFd {
    openat(dir, name, OFlags::RDONLY | OFlags::NOATIME | OFlags::NOFOLLOW, Mode::empty()).unwrap()
}

#[test]
fn a_small_file_is_opened_once_asked_once_and_read_once() {
    require_fuse!();
    let (tree, fs) = (Tree::new("b/"), counted());
    fill(fs.backing(), DIRS as usize, 40, 1000);
    let files = DIRS * 40;
    let needed = requests(&fs, || {
        for_each(&fs, files, |dir, name| {
            let file = open(dir, name);
            rustix::fs::fstat(&file).unwrap();
            rustix::io::read(&file, &mut [0; 2000][..]).unwrap();
            rustix::fs::flistxattr(&file, &mut [0; 200][..]).unwrap();
        });
    });
    let made = requests(&fs, || {
        assert_eq!(complete(fileops::copy([fs.path().join("a")], tree.path("b"))).files, files);
    });
    for op in [Op::Getattr, Op::Lookup, Op::Listxattr, Op::Any] {
        assert!(made(op) <= needed(op) + FOR_DIRS, "{} {op:?}, where {} will do", made(op), needed(op));
    }
    assert_eq!((made(Op::Open), made(Op::Read), made(Op::Getxattr)), (files, files, 0));
}

#[test]
fn a_file_that_is_read_in_several_calls_is_asked_twice() {
    require_fuse!();
    let (tree, fs) = (Tree::new("b/"), counted());
    fill(fs.backing(), DIRS as usize, 20, 300_000);
    let files = DIRS * 20;
    let needed = requests(&fs, || {
        for_each(&fs, files, |dir, name| {
            let file = open(dir, name);
            rustix::fs::fstat(&file).unwrap();
            rustix::fs::fstat(&file).unwrap();
        });
    });
    let made = requests(&fs, || {
        assert_eq!(complete(fileops::copy([fs.path().join("a")], tree.path("b"))).files, files);
    });
    let (made, needed) = (made(Op::Getattr), needed(Op::Getattr));
    assert!(made <= needed + FOR_DIRS, "{made} times for {files} files, where {needed} will do");
    assert!(made >= needed, "{made} times for {files} files, not {needed}: a change would not be seen");
}

#[test]
fn each_entry_is_asked_once_to_be_measured() {
    require_fuse!();
    let fs = counted();
    fill(fs.backing(), DIRS as usize, 40, 10);
    let files = DIRS * 40;
    let needed = requests(&fs, || {
        for_each(&fs, files, |dir, name| {
            rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        });
    });
    let made = requests(&fs, || {
        assert_eq!(complete(fileops::measure([fs.path().join("a")])).files, files);
    });
    for op in [Op::Getattr, Op::Lookup, Op::Any] {
        assert!(made(op) <= needed(op) + FOR_DIRS, "{} {op:?}, where {} will do", made(op), needed(op));
    }
    assert_eq!((made(Op::Open), made(Op::Read)), (0, 0));
}
