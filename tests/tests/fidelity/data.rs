//! Contents: blocks that are shared, holes that stay holes, files that several workers copy, and files whose size says
//! nothing.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use fileops::{copy, copy_as};
use fileops_tests::tree::noise;
use fileops_tests::{
    Mount, Options, Tree, assert_same_tree, require_command, require_filesystem, require_fuse, require_root, skip,
};
use rustix::fs::{FallocateFlags, fallocate};

use crate::{run, run_whole, whole};

const MIB: u64 = 1 << 20;

fn allocated(path: &Path) -> u64 {
    fs::symlink_metadata(path).expect("it is there").blocks() * 512
}

fn used(path: &Path) -> u64 {
    rustix::fs::syncfs(File::open(path).expect("opened")).expect("synced");
    let stat = rustix::fs::statvfs(path).expect("known");
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}

/// The stretches of a file as its file system has them, and whether each is shared.
fn stretches(path: &Path) -> Vec<bool> {
    let output = Command::new("filefrag").args(["-v", "-s"]).arg(path).output().expect("filefrag runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let is_stretch = |line: &&str| line.split_once(':').is_some_and(|(n, _)| n.trim().parse::<u32>().is_ok());
    text.lines().filter(is_stretch).map(|line| line.contains("shared")).collect()
}

/// Copies files within a file system that can share their blocks.
fn check_shared(mount: &Mount) {
    let root = mount.path();
    fs::create_dir(root.join("src")).expect("made");
    for (name, size) in [("large", 40 * MIB), ("middle", 3 * MIB + 5), ("small", 10_000)] {
        fs::write(root.join("src").join(name), noise(size as usize)).expect("written");
    }
    fs::write(root.join("src/empty"), "").expect("written");
    let sparse = File::create(root.join("src/sparse")).expect("made");
    sparse.set_len(1 << 32).expect("long");
    sparse.write_all_at(&noise(100_000), 1 << 31).expect("written");
    let before = used(root);
    let report = whole(copy_as(root.join("src"), root.join("copy")));
    assert_eq!((report.files, report.cloned), (5, 4));
    assert_eq!(report.bytes, 40 * MIB + 3 * MIB + 5 + 10_000 + (1 << 32));
    let grown = used(root).saturating_sub(before);
    assert!(grown < 2 * MIB, "{grown} bytes for blocks that are shared");
    for name in ["large", "middle", "small", "sparse"] {
        let shared = stretches(&root.join("copy").join(name));
        assert!(!shared.is_empty() && shared.iter().all(|shared| *shared), "{name}: {shared:?}");
    }
    // Reading 4 GiB of nothing takes its time: the two ends and the middle of the sparse file will do.
    let copied = File::open(root.join("copy/sparse")).expect("opened");
    for at in [0, (1 << 31) - 10_000, 1 << 31, (1 << 32) - 10_000] {
        let (mut a, mut b) = (vec![1; 10_000], vec![2; 10_000]);
        let source = File::open(root.join("src/sparse")).expect("opened");
        source.read_exact_at(&mut a, at).and_then(|()| copied.read_exact_at(&mut b, at)).expect("read");
        assert!(a == b, "at {at}");
    }
    ["src/sparse", "copy/sparse"].iter().for_each(|name| fs::remove_file(root.join(name)).expect("removed"));
    let same = fileops_tests::Ignore { root: true, ..Default::default() };
    fileops_tests::assert_same_tree_but(root.join("src"), root.join("copy"), &same);
    // What is shared is not the same: a write to one leaves the other.
    let copied = File::options().write(true).open(root.join("copy/middle")).expect("opened");
    copied.write_all_at(b"changed", 0).expect("written");
    assert!(fs::read(root.join("src/middle")).expect("read") == noise(3 * MIB as usize + 5));
}

#[test]
fn copies_within_btrfs_share_their_blocks() {
    require_root!();
    require_command!("mkfs.btrfs", "filefrag");
    require_filesystem!("btrfs");
    check_shared(&Mount::btrfs(256).expect("btrfs"));
}

#[test]
fn copies_within_xfs_share_their_blocks() {
    require_root!();
    require_command!("mkfs.xfs", "filefrag");
    require_filesystem!("xfs");
    check_shared(&Mount::xfs(300).expect("xfs"));
}

#[test]
fn copies_between_two_file_systems_that_share_blocks_are_whole_files() {
    require_root!();
    require_command!("mkfs.xfs");
    require_filesystem!("xfs");
    let (one, two) = (Mount::xfs(300).expect("xfs"), Mount::xfs(300).expect("xfs"));
    fs::create_dir(one.path().join("src")).expect("made");
    (0..3).for_each(|n| fs::write(one.path().join(format!("src/{n}")), noise(2_000_000 + n)).expect("written"));
    let report = whole(copy([one.path().join("src")], two.path()));
    assert_eq!((report.files, report.cloned), (3, 0));
    assert_same_tree(one.path().join("src"), two.path().join("src"));
}

#[test]
fn a_sparse_file_of_4_gib_takes_no_more_room_than_its_data() {
    require_root!();
    require_command!("mkfs.ext4");
    let (disk, memory) = (Mount::ext4(64).expect("ext4"), Mount::tmpfs("size=32m").expect("tmpfs"));
    let source = disk.path().join("sparse");
    let file = File::create(&source).expect("made");
    file.set_len(1 << 32).expect("long");
    let data = [(0, 4096), (1 << 30, 65_536), ((1 << 32) - 8192, 8192)];
    data.iter().for_each(|(at, bytes)| file.write_all_at(&noise(*bytes), *at).expect("written"));
    file.sync_all().expect("synced");
    for target in [disk.path().join("copy"), memory.path().join("copy")] {
        let report = whole(copy_as(&source, &target));
        assert_eq!(report.bytes, 1 << 32);
        File::open(&target).and_then(|file| file.sync_all()).expect("synced");
        let copied = File::open(&target).expect("opened");
        assert_eq!(copied.metadata().expect("known").len(), 1 << 32);
        assert!(allocated(&target) <= allocated(&source), "{} bytes", allocated(&target));
        for (at, bytes) in data {
            let mut found = vec![0; bytes];
            copied.read_exact_at(&mut found, at).expect("read");
            assert!(found == noise(bytes), "the data at {at}");
        }
        fs::remove_file(target).expect("removed");
    }
}

/// A file of several workers' size, with holes within their parts, at their edges and at the end.
fn check_large(from: &Path, to: &Path) {
    let source = from.join("large");
    let file = File::create(&source).expect("made");
    file.set_len(96 * MIB + 12_345).expect("long");
    for (start, end) in [(0, 20), (24, 32), (33, 47), (64, 80)] {
        file.write_all_at(&noise(((end - start) * MIB) as usize), start * MIB).expect("written");
    }
    rustix::fs::syncfs(&file).expect("synced");
    for workers in [1, 4] {
        let target = to.join("copy");
        let report = whole(copy_as(&source, &target).jobs(workers));
        assert_eq!((report.workers, report.bytes), (workers, 96 * MIB + 12_345));
        rustix::fs::syncfs(File::open(&target).expect("opened")).expect("synced");
        assert!(allocated(&target) <= allocated(&source), "{} of {}", allocated(&target), allocated(&source));
        assert_same_tree(&source, &target);
        fs::remove_file(target).expect("removed");
    }
    fs::remove_file(source).expect("removed");
}

#[test]
fn a_large_file_that_several_workers_copy_is_whole_and_keeps_its_holes() {
    require_root!();
    require_command!("mkfs.ext4");
    let (disk, memory) = (Mount::ext4(200).expect("ext4"), Mount::tmpfs("size=150m").expect("tmpfs"));
    check_large(disk.path(), disk.path());
    check_large(memory.path(), memory.path());
    check_large(disk.path(), memory.path());
}

#[test]
fn a_large_file_without_holes_is_whole() {
    let tree = Tree::new("");
    fs::write(tree.path("large"), noise(100 << 20)).expect("written");
    let report = whole(copy_as(tree.path("large"), tree.path("copy")).jobs(4));
    assert_eq!((report.workers, report.bytes), (4, 100 << 20));
    assert_same_tree(tree.path("large"), tree.path("copy"));
}

#[test]
fn files_that_the_kernel_makes_up_are_copied_with_their_content() {
    let huge_pages = "/sys/kernel/mm/transparent_hugepage/enabled";
    let files = ["/proc/version", "/proc/filesystems", "/proc/self/cmdline", "/proc/sys/kernel/ostype", huge_pages];
    let tree = Tree::new("dst/");
    for file in files.map(Path::new).into_iter().filter(|file| file.exists()) {
        let size = fs::metadata(file).expect("known").len();
        assert!(size == 0 || size == 4096, "{}: {size}", file.display());
        // They are root's, and the copy of another user is not.
        let report = run(copy_as(file, tree.path("one")));
        assert!(report.is_complete(), "{report:#?}");
        let (content, copied) = (fs::read(file).expect("read"), fs::read(tree.path("one")).expect("read"));
        assert!(!content.is_empty());
        assert_eq!(copied, content, "{}", file.display());
        assert_eq!(report.bytes, content.len() as u64);
        fs::remove_file(tree.path("one")).expect("removed");
    }
    let report = run(copy(files.into_iter().filter(|file| Path::new(file).exists()), tree.path("dst")));
    assert_eq!(fs::read(tree.path("dst/version")).expect("read"), fs::read("/proc/version").expect("read"));
    assert!(report.is_complete(), "{report:#?}");
    // A directory of them.
    let report = run(copy(["/proc/sys/fs/inotify"], tree.path("dst")));
    assert!(report.is_complete(), "{report:#?}");
    for name in ["max_user_instances", "max_user_watches"] {
        let source = Path::new("/proc/sys/fs/inotify").join(name);
        let copied = tree.path("dst/inotify").join(name);
        assert_eq!(fs::read(copied).expect("read"), fs::read(source).expect("read"));
    }
}

#[test]
fn files_of_a_file_system_that_nobody_heard_of_are_copied_with_their_content_although_their_size_is_0() {
    require_root!();
    let formats = match Mount::with(&["-t", "binfmt_misc", "none"]) {
        Ok(mount) => mount,
        Err(error) => skip!("binfmt_misc cannot be mounted: {error}"),
    };
    let status = formats.path().join("status");
    assert_eq!(fs::metadata(&status).expect("known").len(), 0);
    let tree = Tree::new("");
    let report = whole(copy([&status], tree.root()));
    let content = fs::read(&status).expect("read");
    assert!(!content.is_empty());
    assert_eq!(fs::read(tree.path("status")).expect("copied"), content);
    assert_eq!(report.bytes, content.len() as u64);
}

#[test]
fn files_of_a_fuse_file_system_are_copied_with_their_content_although_their_size_is_0() {
    require_fuse!();
    let made_up = Path::new("/proc/sys/fs/inotify");
    let backing = Some(made_up.to_owned());
    let server = Options { backing, direct_io: true, ..Options::default() }.mount().expect("mounted");
    let (tree, name) = (Tree::new("dst/"), "max_user_watches");
    assert_eq!(fs::metadata(server.path().join(name)).expect("known").len(), 0);
    let content = fs::read(made_up.join(name)).expect("read");
    // They are root's, and the copy of another user is not.
    let report = run(copy([server.path().join(name)], tree.root()));
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(report.bytes, content.len() as u64);
    assert_eq!(fs::read(tree.path(name)).expect("copied"), content);
}

#[test]
fn holes_are_kept_although_blocks_beyond_the_end_make_up_for_them() {
    require_root!();
    require_command!("mkfs.ext4");
    let disk = Mount::ext4(64).expect("ext4");
    let source = disk.path().join("source");
    let file = File::create(&source).expect("made");
    file.write_all_at(&noise(MIB as usize), 4 * MIB).expect("written");
    fallocate(&file, FallocateFlags::KEEP_SIZE, 5 * MIB, 6 * MIB).expect("allocated");
    file.sync_all().expect("synced");
    assert!(allocated(&source) > file.metadata().expect("known").len(), "the count of blocks hides the hole");
    let copied = disk.path().join("copied");
    run_whole(copy_as(&source, &copied));
    File::open(&copied).and_then(|file| file.sync_all()).expect("synced");
    assert!(allocated(&copied) <= MIB + 65_536, "{} bytes", allocated(&copied));
    assert_same_tree(&source, &copied);
}
