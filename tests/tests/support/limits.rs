//! What the whole file system passes on, and what it cannot.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use fileops_tests::tree::{make, noise};
use fileops_tests::{FaultFs, Knobs, Modes, Op, Tree, assert_same_tree, require_fuse};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{SECOND, code};

#[test]
fn everything_is_passed_on() {
    require_fuse!();
    let fs = FaultFs::new();
    let tree = Tree::new("a/file!4755=hello a/link->file a/hard=>a/file b!700/c/d!1777/ big#3000000");
    make(tree.root(), "pipe| b/nowhere->/no/where b/empty=");
    if xattr::set(tree.path("big"), "user.test", b"value").is_err() {
        println!("no extended attributes below {}", tree.root().display());
    }
    let past = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::new(5, 7));
    File::options().write(true).open(tree.path("big")).expect("opens").set_times(past).expect("set");
    let copy = fs.path().join("copy");
    let status = Command::new("cp").arg("-a").arg(tree.root()).arg(&copy).status();
    assert!(status.expect("cp runs").success());
    assert_same_tree(tree.root(), &copy);
    assert_same_tree(tree.root(), fs.backing().join("copy"));
    let meta = fs::metadata(copy.join("big")).expect("it is there");
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (5, 7));
    let swap = RenameFlags::EXCHANGE;
    renameat_with(CWD, copy.join("a"), CWD, copy.join("big"), swap).expect("exchange");
    assert!(copy.join("big/file").is_file() && copy.join("a").is_file());
    let keep = RenameFlags::NOREPLACE;
    let kept = renameat_with(CWD, copy.join("a"), CWD, copy.join("pipe"), keep);
    assert_eq!(kept, Err(rustix::io::Errno::EXIST));
    fs.knobs(|knobs| knobs.no_rename_flags = true);
    let refused = renameat_with(CWD, copy.join("a"), CWD, copy.join("new"), keep);
    assert_eq!(refused, Err(rustix::io::Errno::INVAL));
    let moved = fs.log().into_iter().filter(|(op, _)| *op == Op::Rename);
    assert_eq!(moved.map(|(_, path)| path).next_back().as_deref(), Some("copy/a".as_ref()));
    fs::remove_dir_all(&copy).expect("it can be removed");
    assert_eq!(fs::read_dir(fs.backing()).expect("it can be read").count(), 0);
}

#[test]
fn open_files_outlive_their_names() {
    require_fuse!();
    let fs = FaultFs::new();
    let path = fs.path().join("file");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("new");
    fs::remove_file(&path).expect("removed");
    file.write_all(b"still here").expect("written");
    file.set_permissions(fs::Permissions::from_mode(0o600)).expect("mode");
    assert_eq!(file.metadata().expect("known").len(), 10);
    assert_eq!(file.metadata().expect("known").nlink(), 0);
    file.set_len(5).expect("cut");
    let mut text = [0; 10];
    assert_eq!(file.read_at(&mut text, 0).expect("read"), 5);
}

#[test]
fn bandwidth_and_quota() {
    require_fuse!();
    let fs = FaultFs::new();
    make(fs.backing(), "there#1000");
    fs.knobs(|knobs| knobs.bandwidth = Some(10_000_000));
    let start = Instant::now();
    fs::write(fs.path().join("file"), noise(1_000_000)).expect("written");
    assert!(start.elapsed() >= SECOND / 10);
    fs.knobs(|knobs| (knobs.bandwidth, knobs.quota) = (None, Some(1_501_000)));
    let second = fs.path().join("second");
    assert_eq!(code(fs::write(&second, noise(600_000))), libc::ENOSPC);
    assert_eq!(fs::metadata(&second).expect("there").len(), 500_000);
    let stat = rustix::fs::statvfs(fs.path()).expect("statvfs");
    assert_eq!(stat.f_bavail, 0);
    fs::remove_file(fs.path().join("file")).expect("removed");
    fs::write(&second, noise(600_000)).expect("there is room");
    let file = OpenOptions::new().write(true).open(&second).expect("opened");
    assert_eq!(code(file.set_len(2_000_000)), libc::ENOSPC);
    file.set_len(1).expect("cut");
    fs::rename(fs.path().join("there"), &second).expect("renamed");
    fs::write(fs.path().join("third"), noise(1_500_000)).expect("there is room");
}

#[test]
fn what_fat_cannot() {
    require_fuse!();
    let fs = FaultFs::new();
    fs.knobs(|knobs| *knobs = Knobs { max_file: Some(10), ..Knobs::fat() });
    let at = |name: &str| fs.path().join(name);
    let names = ["a:b", "a?", "a\tb", "dot.", "space ", "fine"].map(|name| code(File::create(at(name))));
    assert_eq!(names, [libc::EINVAL, libc::EINVAL, libc::EINVAL, libc::EINVAL, libc::EINVAL, 0]);
    assert_eq!(code(fs::create_dir(at("con:"))), libc::EINVAL);
    assert_eq!(code(fs::rename(at("fine"), at("b|"))), libc::EINVAL);
    assert_eq!(code(fs::write(at("FINE"), "0123456789x")), libc::EFBIG);
    assert_eq!(fs::read(at("Fine")).expect("the same file").len(), 10);
    assert_eq!(code(File::create_new(at("fInE"))), libc::EEXIST);
    assert_eq!(code(symlink("fine", at("link"))), libc::EPERM);
    assert_eq!(code(fs::hard_link(at("fine"), at("link"))), libc::EPERM);
    assert_eq!(
        code(rustix::fs::mknodat(CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).map_err(Error::from)),
        libc::EPERM
    );
    assert_eq!(code(fs::set_permissions(at("fine"), fs::Permissions::from_mode(0o600))), libc::EPERM);
    assert_eq!(code(std::os::unix::fs::chown(at("fine"), Some(1), None)), libc::EPERM);
    assert_eq!(code(xattr::set(at("fine"), "user.x", b"y")), libc::EOPNOTSUPP);
    let odd = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::new(7, 9));
    File::options().write(true).open(at("fine")).expect("opened").set_times(odd).expect("set");
    let meta = fs::metadata(at("fine")).expect("there");
    assert_eq!((meta.mtime(), meta.mtime_nsec(), meta.mode() & 0o7777), (6, 0, 0o755));
    fs.knobs(|knobs| knobs.modes = Modes::Ignore);
    fs::set_permissions(at("fine"), fs::Permissions::from_mode(0o600)).expect("ignored");
    assert_eq!(fs::metadata(at("fine")).expect("there").mode() & 0o7777, 0o755);
    fs::remove_file(at("FiNe")).expect("removed");
    assert!(!at("fine").exists());
}
