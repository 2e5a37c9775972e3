//! `fileops::watch` where the kernel is silent, and what a dropped watch leaves.

use std::fs;
use std::time::{Duration, Instant};

use fileops::watch::{Event, Why, watch};
use fileops_tests::{FaultFs, Options, Tree, require_fuse};

use crate::LONG;
use crate::watching::Reader;

#[test]
fn on_fuse_what_others_change_is_found_by_looking() {
    require_fuse!();
    let zero = Duration::ZERO;
    let options = Options { attr_timeout: zero, entry_timeout: zero, ..Options::default() };
    let fuse: FaultFs = options.mount().unwrap();
    fs::create_dir(fuse.backing().join("dir")).unwrap();
    let mut reader = Reader::begin(watch(fuse.path()).tree().interval(Duration::from_millis(50)));
    assert_eq!(reader.next(), Event::Polled { path: fuse.path().to_owned(), why: Why::Silent });
    // Behind the kernel's back, as a server's other clients do.
    fs::write(fuse.backing().join("dir/new"), "x").unwrap();
    assert_eq!(reader.next(), Event::Created { path: fuse.path().join("dir/new"), is_dir: false });
    fs::remove_dir_all(fuse.backing().join("dir")).unwrap();
    let removed = Event::Removed { path: fuse.path().join("dir"), is_dir: true };
    reader.told_until(|event| *event == removed);
}

#[test]
fn dropped_watches_leave_no_thread_and_no_descriptor() {
    fileops_tests::alone!();
    let count = |dir: &str| fs::read_dir(dir).unwrap().count();
    let tree = Tree::new("a/b/c/ d/");
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    let all: Vec<_> = (0..10).map(|_| Reader::begin(watch(tree.root()).tree())).collect();
    assert_eq!(count("/proc/self/task"), before.1 + 10);
    drop(all);
    let end = Instant::now() + LONG;
    while (count("/proc/self/fd"), count("/proc/self/task")) != before {
        assert!(Instant::now() < end, "something stays");
        std::thread::sleep(Duration::from_millis(2));
    }
}
