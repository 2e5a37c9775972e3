//! Each kind of fault, as a client sees it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, FaultFs, Op, Options, require_fuse, sweep};

use crate::{SECOND, code};

#[test]
fn errors_come_when_and_where_the_rules_say() {
    require_fuse!();
    let fs = FaultFs::new();
    let write = |name: &str| fs::write(fs.path().join(name), "x");
    let rule = fs.add(Fault::new(Op::Create, Action::Errno(libc::EDQUOT)).name("*.txt").nth(2));
    assert_eq!(["1.txt", "1.dat", "2.txt", "3.txt"].map(|name| code(write(name))), [0, 0, libc::EDQUOT, 0]);
    assert_eq!((fs.hits(rule), fs.injected(), fs.fired()), (1, 1, true));
    fs.clear();
    fs.add(Fault::new(Op::Write, Action::Errno(libc::EIO)).first(1));
    assert_eq!([code(write("4")), code(write("4"))], [libc::EIO, 0]);
    fs.add(Fault::new(Op::Chmod, Action::Errno(libc::EROFS)).name("sub/deep"));
    fs::create_dir(fs.path().join("sub")).expect("made");
    ["deep", "sub/deep"].iter().for_each(|name| write(name).expect("written"));
    let chmod = |name: &str| fs::set_permissions(fs.path().join(name), fs::Permissions::from_mode(0o600));
    assert_eq!([code(chmod("deep")), code(chmod("sub/deep"))], [0, libc::EROFS]);
    fs.add(Fault::new(Op::Flush, Action::Errno(libc::EIO)));
    let status = Command::new("cp").arg("/dev/null").arg(fs.path().join("closed")).status();
    assert!(!status.expect("cp runs").success());
    assert_eq!(fs.count(Op::Chmod), 2);
    assert!(fs.total() > 10 && fs.log().len() as u64 >= fs.total());
}

#[test]
fn short_and_empty_writes_and_reads() {
    require_fuse!();
    let fs = FaultFs::new();
    let path = fs.path().join("file");
    let rule = fs.add(Fault::new(Op::Write, Action::ShortWrite(3)).nth(1));
    let mut file = File::create(&path).expect("made");
    assert_eq!(file.write(b"hello").expect("written"), 3);
    assert_eq!(file.write(b"lo").expect("written"), 2);
    fs.remove(rule);
    fs.add(Fault::new(Op::Write, Action::ZeroWrite));
    let mut file = OpenOptions::new().append(true).open(&path).expect("opened");
    assert_eq!(file.write(b"!").expect("nothing written"), 0);
    fs.clear();
    fs.add(Fault::new(Op::Read, Action::ShortRead(2)).nth(1));
    let mut file = File::open(&path).expect("opened");
    let mut text = [0; 9];
    assert_eq!([file.read(&mut text).expect("read"), file.read(&mut text).expect("read")], [2, 3]);
}

#[test]
fn damage_loss_and_disappearance() {
    require_fuse!();
    let fs = FaultFs::new();
    let path = fs.path().join("file");
    fs.add(Fault::new(Op::Write, Action::Flip));
    fs::write(&path, "hello").expect("written");
    fs.clear();
    assert_eq!(fs::read_to_string(fs.backing().join("file")).expect("read"), "hemlo");
    fs.add(Fault::new(Op::Rename, Action::LostReply(libc::EIO)));
    assert_eq!(code(fs::rename(&path, fs.path().join("new"))), libc::EIO);
    assert!(fs.backing().join("new").exists() && !fs.backing().join("file").exists());
    fs.clear();
    fs::write(fs.path().join("other"), "x").expect("written");
    fs.add(Fault::new(Op::Open, Action::Vanish));
    assert_eq!(code(File::open(fs.path().join("other"))), libc::ENOENT);
    fs.add(Fault::new(Op::Rmdir, Action::Vanish));
    fs::create_dir(fs.path().join("dir")).expect("made");
    fs::write(fs.path().join("dir/file"), "x").expect("written");
    assert_eq!(code(fs::remove_dir(fs.path().join("dir"))), libc::ENOENT);
}

#[test]
fn a_closure_can_swap_a_directory() {
    require_fuse!();
    let zero = Duration::ZERO;
    let fs = Options { attr_timeout: zero, entry_timeout: zero, ..Options::default() };
    let fs = fs.mount().expect("mounted");
    make(fs.backing(), "dir/file=inside out/file=outside");
    let back = fs.backing().to_owned();
    let rule = fs.add(
        Fault::new(
            Op::Open,
            Action::call(move || {
                fs::rename(back.join("dir"), back.join("old")).expect("moved");
                symlink("out", back.join("dir")).expect("linked");
            }),
        )
        .name("dir/file")
        .nth(1),
    );
    let read = || fs::read_to_string(fs.path().join("dir/file")).expect("read");
    assert_eq!(["inside", "outside"].map(|_| read()), ["inside", "outside"]);
    assert_eq!(fs.hits(rule), 1);
    fs.add(Fault::new(Op::Mkdir, Action::call(|| panic!("in a closure"))));
    assert_eq!(code(fs::create_dir(fs.path().join("x"))), libc::EIO);
}

#[test]
fn sixteen_clients_wait_at_the_same_time() {
    require_fuse!();
    let latency = Duration::from_millis(10);
    let fs = FaultFs::new();
    (0..16).for_each(|n| fs::write(fs.path().join(n.to_string()), "x").expect("written"));
    fs.knobs(|knobs| knobs.latency = latency);
    let before = fs.total();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..16 {
            let path = fs.path().join(client.to_string());
            scope.spawn(move || (0..10).for_each(|_| assert!(fs::read(&path).is_ok())));
        }
    });
    let (took, alone) = (start.elapsed(), latency * (fs.total() - before) as u32);
    println!("{took:?} for what takes one client {alone:?}");
    assert!(took < alone / 3, "{took:?}, one after another {alone:?}");
    fs.knobs(|knobs| knobs.latency = Duration::ZERO);
    fs.add(Fault::new(Op::Mkdir, Action::Latency(SECOND / 10)));
    let start = Instant::now();
    fs::create_dir(fs.path().join("slow")).expect("made");
    assert!(start.elapsed() >= SECOND / 10);
}

#[test]
fn a_sweep_visits_every_request() {
    require_fuse!();
    let done = Arc::new(AtomicUsize::new(0));
    let faults = sweep(100, |n| {
        let fs = FaultFs::new();
        fs.add(Fault::new(Op::Any, Action::Errno(libc::EIO)).nth(n));
        if fs::write(fs.path().join("file"), "text").is_ok() {
            done.fetch_add(1, Ordering::Relaxed);
        }
        fs
    });
    println!("{faults} requests");
    assert!((3..20).contains(&faults));
    assert!(done.load(Ordering::Relaxed) >= 1);
}
