//! `fileops::mounts`: what is mounted, told without touching it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fileops::mounts::{self, Change, Changes, Mount as Told};
use fileops::{Pool, block_on};
use fileops_tests::{Action, Fault, Mount, Op, Options, Tree, require_fuse, require_root};

use crate::{LONG, wait};

fn at(point: &Path) -> Option<Told> {
    mounts::table().unwrap().mounts().iter().find(|mount| mount.point() == point).cloned()
}

/// The next change of what is mounted at or below a path; others mount things too.
#[track_caller]
fn next_at(changes: &mut Changes, point: &Path) -> Change {
    loop {
        let change = wait("a change", changes.next()).expect("the stream goes on");
        if change.mount().point().starts_with(point) {
            return change;
        }
    }
}

#[test]
fn a_mount_tells_what_where_and_how() {
    require_root!();
    let tmpfs = Mount::tmpfs("size=1m,noatime").unwrap();
    let told = at(tmpfs.path()).expect("it is in the table");
    assert_eq!((told.kind(), told.source().to_str(), told.root()), ("tmpfs", Some("tmpfs"), Path::new("/")));
    assert!(told.has_option("noatime") && told.has_option("size=1024k") && !told.is_read_only());
    assert!(!told.is_network() && !told.is_fuse() && !told.is_removable() && !told.is_rotational());
    let table = mounts::table().unwrap();
    assert_eq!(table.numbered(told.parent()).map(|parent| tmpfs.path().starts_with(parent.point())), Some(true));
    assert_eq!(table.serving(tmpfs.path().join("any/thing")), Some(&told));
    let space = wait("room", mounts::space(tmpfs.path())).unwrap();
    assert_eq!((space.total, space.available), (1 << 20, 1 << 20));
    tmpfs.remount("ro").unwrap();
    assert!(at(tmpfs.path()).unwrap().is_read_only());
}

#[test]
fn a_bind_mount_tells_its_directory_and_names_are_bytes() {
    require_root!();
    let base = Mount::tmpfs("size=1m").unwrap();
    let names = ["with space", "with\nnewline", "with\ttab\\040"];
    fs::create_dir(base.path().join("dir")).unwrap();
    let binds: Vec<_> = names
        .iter()
        .map(|name| {
            let point = base.path().join(name);
            fs::create_dir(&point).unwrap();
            Mount::bind_at(&base.path().join("dir"), &point).unwrap()
        })
        .collect();
    for bind in &binds {
        let told = at(bind.path()).expect("it is in the table");
        assert_eq!(told.root(), Path::new("/dir"));
        assert_eq!(told.device(), at(base.path()).unwrap().device());
        assert_eq!(wait("room", mounts::space(bind.path())).unwrap().total, 1 << 20);
    }
}

#[test]
fn links_are_followed_only_where_that_is_asked() {
    require_root!();
    let (tree, tmpfs) = (Tree::new(""), Mount::tmpfs("size=1m").unwrap());
    std::os::unix::fs::symlink(tmpfs.path(), tree.path("link")).unwrap();
    let table = mounts::table().unwrap();
    assert_ne!(table.serving(tree.path("link")).unwrap().point(), tmpfs.path());
    let told = wait("an answer", mounts::serving(tree.path("link"))).unwrap();
    assert_eq!(told.point(), tmpfs.path());
    let error = wait("an answer", mounts::serving(tree.path("missing"))).unwrap_err();
    assert_eq!((error.errno(), error.path), (Some(libc::ENOENT), tree.path("missing")));
}

#[test]
fn what_is_mounted_over_it_hides_a_mount() {
    require_root!();
    let base = Mount::tmpfs("size=1m").unwrap();
    fs::create_dir_all(base.path().join("a/b")).unwrap();
    let b = Mount::tmpfs("size=1m").unwrap();
    let below = Mount::bind_at(b.path(), &base.path().join("a/b")).unwrap();
    let over = Mount::bind_at(b.path(), &base.path().join("a")).unwrap();
    let table = mounts::table().unwrap();
    let hidden: Vec<_> = table.mounts().iter().filter(|mount| table.is_hidden(mount)).map(Told::point).collect();
    assert!(hidden.contains(&below.path()) && !hidden.contains(&over.path()), "{hidden:?}");
    assert_eq!(table.serving(base.path().join("a/b/c")).unwrap().point(), over.path());
}

#[test]
fn changes_are_told_as_they_come() {
    require_root!();
    let mut changes = mounts::changes().unwrap();
    let tmpfs = Mount::tmpfs("size=1m").unwrap();
    let point = tmpfs.path().to_owned();
    let Change::Added(added) = next_at(&mut changes, &point) else { panic!("it was not told as new") };
    tmpfs.remount("ro").unwrap();
    let Change::Changed { before, after } = next_at(&mut changes, &point) else { panic!("it is another one") };
    assert_eq!((before, after.is_read_only()), (added, true));
    // What is unmounted lazily is gone from the table while it is still in use.
    let held = fs::File::open(&point).unwrap();
    rustix::mount::unmount(&point, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(next_at(&mut changes, &point), Change::Removed(after));
    drop(held);
}

#[test]
fn a_thousand_mounts_are_told_once_each_and_in_order() {
    require_root!();
    let base = Mount::tmpfs("size=4m").unwrap();
    fs::create_dir(base.path().join("dir")).unwrap();
    let mut changes = mounts::changes().unwrap();
    let mut all = Vec::new();
    for number in 0..1000 {
        let point = base.path().join(format!("m{number}"));
        fs::create_dir(&point).unwrap();
        rustix::mount::mount_bind(base.path().join("dir"), &point).unwrap();
        all.push(point);
    }
    let mut told = Vec::new();
    while told.len() < all.len() {
        let Change::Added(mount) = next_at(&mut changes, base.path()) else { panic!("nothing else happened") };
        told.push(mount.point().to_owned());
    }
    assert_eq!(told, all);
    let begun = Instant::now();
    let table = mounts::table().unwrap();
    println!("seen: {} mounts are read in {:?}", table.mounts().len(), begun.elapsed());
    assert!(all.iter().all(|point| table.serving(point.join("x")).is_some_and(|mount| mount.point() == point)));
    // All of them go with what they are in, and those in others first.
    for point in &all {
        rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
    let mut gone = 0;
    while gone < all.len() {
        let Change::Removed(_) = next_at(&mut changes, base.path()) else { panic!("nothing else happened") };
        gone += 1;
    }
}

#[test]
fn a_dead_mount_has_no_answer_and_holds_up_no_other() {
    require_fuse!();
    let dead = Options { threads: 40, ..Options::default() }.mount().unwrap();
    let told = at(dead.path()).unwrap();
    assert!(told.is_fuse() && told.is_network() && told.source() == "faultfs");
    dead.add(Fault::new(Op::Statfs, Action::Hang));
    let pool = Pool::new();
    let limit = Duration::from_millis(300);
    let asked: Vec<_> = (0..50)
        .map(|_| {
            std::thread::spawn({
                let call = mounts::space(dead.path()).limit(limit).on(&pool);
                move || block_on(call)
            })
        })
        .collect();
    assert!(dead.wait_hanging(1, LONG), "somebody asks");
    let tree = Tree::new("");
    assert!(wait("another mount's answer", mounts::space(tree.root()).on(&pool)).unwrap().total > 0);
    for call in asked {
        let error = call.join().unwrap().unwrap_err();
        assert_eq!((error.errno(), error.path.as_path()), (Some(libc::ETIMEDOUT), dead.path()));
    }
    dead.clear();
    dead.release();
    assert!(wait("its own answer", mounts::space(dead.path()).on(&pool)).unwrap().total > 0);
}

#[test]
fn dropped_changes_leave_no_thread_and_no_descriptor() {
    fileops_tests::alone!();
    let count = |dir: &str| fs::read_dir(dir).unwrap().count();
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    let all: Vec<_> = (0..10).map(|_| mounts::changes().unwrap()).collect();
    assert_eq!(count("/proc/self/task"), before.1 + 10);
    drop(all);
    let end = Instant::now() + LONG;
    while (count("/proc/self/fd"), count("/proc/self/task")) != before {
        assert!(Instant::now() < end, "something stays");
        std::thread::sleep(Duration::from_millis(2));
    }
}
