//! File systems which go although something hangs, panics or is killed.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse, require_root, test_name};

use crate::{SECOND, code, mounted_at};

#[test]
fn hangs_end_when_released_and_when_dropped() {
    require_fuse!();
    let fs = FaultFs::new();
    fs::write(fs.path().join("file"), "x").expect("written");
    fs.add(Fault::new(Op::Open, Action::Hang));
    let path = fs.path().join("file");
    let open = |path: std::path::PathBuf| std::thread::spawn(move || code(File::open(path)));
    let first = open(path.clone());
    assert!(fs.wait_hanging(1, 5 * SECOND));
    assert!(!first.is_finished());
    fs.release();
    assert_eq!(first.join().expect("ended"), 0);
    let second = open(path);
    assert!(fs.wait_hanging(1, 5 * SECOND));
    let point = fs.path().to_owned();
    drop(fs);
    assert_ne!(second.join().expect("ended"), 0);
    assert!(!mounted_at(&point) && !point.exists());
}

#[test]
fn unmounted_when_a_test_panics_with_files_open() {
    require_fuse!();
    let fs = FaultFs::new();
    let (point, backing) = (fs.path().to_owned(), fs.backing().to_owned());
    let file = File::create(point.join("open")).expect("made");
    let failed = std::thread::spawn(move || {
        fs.add(Fault::new(Op::Any, Action::Errno(libc::EIO)));
        assert!(!fs.is_mounted(), "this panic is part of the test");
    });
    assert!(failed.join().is_err());
    assert!(!mounted_at(&point) && !point.exists() && !backing.exists());
    drop(file);
}

#[test]
fn a_killed_process_leaves_nothing_that_the_next_one_does_not_unmount() {
    if let Some(backing) = std::env::var_os("FILEOPS_TEST_HANG") {
        let fs = FaultFs::over(backing);
        println!("at {}", fs.path().display());
        fs.add(Fault::new(Op::Mkdir, Action::Hang));
        let _ = fs::create_dir(fs.path().join("never"));
    }
    require_fuse!();
    require_root!();
    let backing = Tree::new("");
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", test_name!(), "--nocapture", "--test-threads=1"]).env("FILEOPS_TEST_HANG", backing.root());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("runs");
    let mut output = child.stdout.take().expect("piped");
    let mut text = String::new();
    let point = loop {
        let mut more = [0; 256];
        let n = output.read(&mut more).expect("read");
        assert_ne!(n, 0, "it ended: {text}");
        text.push_str(&String::from_utf8_lossy(&more[..n]));
        if let Some(line) = text.lines().find_map(|line| line.split_once("at /")) {
            break Path::new("/").join(line.1);
        }
    };
    std::thread::sleep(Duration::from_millis(200));
    child.kill().expect("killed");
    std::thread::sleep(Duration::from_millis(200));
    fileops_tests::mount::sweep_stale();
    let end = Instant::now() + 5 * SECOND;
    while child.try_wait().expect("waited").is_none() {
        assert!(Instant::now() < end, "the process does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!mounted_at(&point), "{} is still mounted", point.display());
}
