//! `fileops::watch` where what is watched is mounted, unmounted, or more than the kernel keeps.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fileops::watch::{Event, Method, Why, watch};
use fileops_tests::{
    Action, Fault, Mount, Op, Options, Tree, alone, require_fuse, require_root, skip, test_name, user_part,
};

use crate::LONG;
use crate::watching::Reader;

fn mounted(path: &Path) -> Event {
    Event::Rescan { path: path.to_owned(), why: Why::Mounts }
}

#[test]
fn what_is_mounted_over_the_watched_directory_is_watched_instead() {
    require_root!();
    let (base, other) = (Mount::tmpfs("size=1m").unwrap(), Mount::tmpfs("size=1m").unwrap());
    let dir = base.path().join("dir");
    fs::create_dir_all(dir.join("below")).unwrap();
    fs::create_dir(other.path().join("above")).unwrap();
    let mut reader = Reader::begin(watch(&dir).tree());
    let over = Mount::bind_at(other.path(), &dir).unwrap();
    assert_eq!(reader.next(), mounted(&dir));
    fs::create_dir(dir.join("above/new")).unwrap();
    assert_eq!(reader.told(), "+above/new/");
    drop(over);
    assert_eq!(reader.next(), mounted(&dir));
    fs::create_dir(other.path().join("above/unseen")).unwrap();
    fs::create_dir(dir.join("below/new")).unwrap();
    assert_eq!(reader.told(), "+below/new/");
    reader.agree();
}

#[test]
fn a_directory_mounted_over_itself_shows_nothing_that_was_mounted_in_it() {
    require_root!();
    let (base, other) = (Mount::tmpfs("size=1m").unwrap(), Mount::tmpfs("size=1m").unwrap());
    let dir = base.path().join("dir");
    fs::create_dir_all(dir.join("a/b")).unwrap();
    let _below = Mount::bind_at(other.path(), &dir.join("a")).unwrap();
    let mut reader = Reader::begin(watch(&dir).tree());
    let over = Mount::bind_at(&dir, &dir).unwrap();
    assert_eq!(reader.next(), mounted(&dir));
    fs::create_dir(dir.join("a/b/new")).unwrap();
    assert_eq!(reader.told(), "+a/b/new/");
    drop(over);
    assert_eq!(reader.next(), mounted(&dir));
    fs::create_dir(dir.join("a/new")).unwrap();
    assert_eq!(reader.told(), "+a/new/");
}

#[test]
fn a_watched_file_system_may_be_unmounted_and_its_mount_point_is_watched() {
    require_root!();
    let mount = Mount::tmpfs("size=1m").unwrap();
    let point = mount.path().to_owned();
    fs::create_dir(point.join("dir")).unwrap();
    let mut reader = Reader::begin(watch(&point).tree());
    // It is in use for moments only: while a directory is taken in.
    while rustix::mount::unmount(&point, rustix::mount::UnmountFlags::empty()) == Err(rustix::io::Errno::BUSY) {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(reader.next(), mounted(&point));
    fs::create_dir(point.join("new")).unwrap();
    assert_eq!(reader.next(), Event::Created { path: point.join("new"), is_dir: true });
    reader.agree();
    drop(reader);
    fs::remove_dir(point.join("new")).unwrap();
}

#[test]
fn a_tree_goes_on_into_what_is_mounted_in_it_unless_the_kernel_is_silent_there() {
    require_root!();
    let (base, other) = (Mount::tmpfs("size=1m").unwrap(), Mount::tmpfs("size=1m").unwrap());
    let dir = base.path().join("a/dir");
    fs::create_dir_all(dir.join("below")).unwrap();
    let mut reader = Reader::begin(watch(base.path()).tree());
    let over = Mount::bind_at(other.path(), &dir).unwrap();
    assert_eq!(reader.next(), mounted(&dir));
    fs::create_dir(dir.join("new")).unwrap();
    assert_eq!(reader.told(), "+a/dir/new/");
    drop(over);
    assert_eq!(reader.next(), mounted(&dir));
    fs::create_dir(dir.join("below/new")).unwrap();
    assert_eq!(reader.told(), "+a/dir/below/new/");
    reader.agree();
    require_fuse!();
    let fuse = Options::default().mount().unwrap();
    let _over = Mount::bind_at(fuse.path(), &dir).unwrap();
    assert_eq!(reader.next(), mounted(&dir));
    assert_eq!(reader.next(), Event::Unwatched { path: dir.clone(), why: Why::OtherFileSystem });
    fs::create_dir(dir.join("silent")).unwrap();
    assert_eq!(reader.told(), "");
}

#[test]
fn when_the_kernels_own_queue_runs_over_the_tree_is_to_be_listed_again() {
    require_fuse!();
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    if most > 50_000 {
        skip!("a queue of {most} events");
    }
    let fuse = Options { threads: 4, ..Options::default() }.mount().unwrap();
    let root = fuse.path().to_owned();
    let files = ["a", "b"].map(|name| fs::File::create(root.join(name)).unwrap());
    let mut reader = Reader::begin(watch(&root).tree().method(Method::Notices));
    // Nothing is read from the queue while the new directory does not open.
    fuse.add(Fault::new(Op::Opendir, Action::Hang));
    fs::create_dir(root.join("slow")).unwrap();
    assert!(fuse.wait_hanging(1, LONG), "the new directory is taken in");
    let modes = files.iter().map(|file| file.metadata().unwrap().permissions()).collect::<Vec<_>>();
    // Of the same thing said twice in a row the kernel keeps one.
    for _ in 0..=most / 2 {
        files.iter().zip(&modes).for_each(|(file, mode)| file.set_permissions(mode.clone()).unwrap());
    }
    fs::create_dir(root.join("lost")).unwrap();
    fuse.clear();
    fuse.release();
    reader.told_until(|event| *event == Event::Rescan { path: root.clone(), why: Why::Overflow });
    reader.agree();
    fs::create_dir(root.join("lost/new")).unwrap();
    reader.told_until(|event| event.path().ends_with("lost/new"));
}

/// Runs a part of a test where a limit of the user's is this (see namespaces(7)); `false` where that is not allowed.
#[track_caller]
fn run_limited(test: &str, part: &str, limit: &str) -> bool {
    let limited = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-ec", script]);
        command
    };
    if !limited(&format!("{limit} || exit 1")).output().is_ok_and(|output| output.status.success()) {
        return false;
    }
    let this = alone::part(test, part, &[]);
    let mut command = limited(&format!("{limit}; exec \"$0\" \"$@\""));
    command.arg(this.get_program()).args(this.get_args());
    command.envs(this.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{test} ({part}) failed:\n{said}");
    true
}

#[test]
fn where_the_users_limits_are_reached_it_is_looked_at_again_and_again() {
    let interval = Duration::from_millis(50);
    user_part!("watches", {
        let tree = Tree::new("a/");
        let mut reader = Reader::begin(watch(tree.root()).tree().interval(interval));
        (0..40).for_each(|number| fs::create_dir(tree.path(format!("a/{number}"))).unwrap());
        reader.told_until(|event| *event == Event::Polled { path: tree.root().to_owned(), why: Why::Limit });
        assert_eq!(reader.next(), Event::Rescan { path: tree.root().to_owned(), why: Why::Switched });
        reader.agree();
        fs::create_dir(tree.path("a/39/new")).unwrap();
        reader.told_until(|event| event.path().ends_with("a/39/new"));
        // So it is from the beginning where there is too much already.
        let mut second = Reader::begin(watch(tree.root()).tree().interval(interval));
        assert_eq!(second.next(), Event::Polled { path: tree.root().to_owned(), why: Why::Limit });
        assert_eq!(second.told(), "");
    });
    user_part!("instances", {
        let tree = Tree::new("a/");
        let mut reader = Reader::begin(watch(tree.root()).tree().interval(interval));
        assert_eq!(reader.next(), Event::Polled { path: tree.root().to_owned(), why: Why::Limit });
        fs::create_dir(tree.path("a/new")).unwrap();
        assert_eq!(reader.next(), Event::Created { path: tree.path("a/new"), is_dir: true });
    });
    let watches = run_limited(test_name!(), "watches", "echo 30 > /proc/sys/user/max_inotify_watches");
    let instances = run_limited(test_name!(), "instances", "echo 0 > /proc/sys/user/max_inotify_instances");
    if !watches || !instances {
        skip!("no limits of one's own");
    }
}
