//! Progress that tells what is on the device, and nothing left to write at the end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use fileops::{Durability, Phase};
use fileops_tests::{FaultFs, Mount, Op, Tree, alone, require_command, require_fuse, require_root};

use crate::{MIB, fill, finish};

/// Sectors that were written to the device below a path, as the kernel counts them.
fn written(path: &Path) -> u64 {
    let device = fs::metadata(path).expect("mounted").dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).expect("a block device");
    let sectors = stat.split_ascii_whitespace().nth(6).expect("the seventh number of a device's account");
    sectors.parse::<u64>().expect("a number") * 512
}

fn source() -> Tree {
    let many: String = (0..300).map(|n| format!("top/{}/{n}#{} ", n % 7, n * 90)).collect();
    let tree = Tree::new(&many);
    fill(&tree.path("top/large"), 40);
    tree
}

fn leaves_nothing_to_write(mount: &Mount) {
    let source = source();
    let copy = fileops::copy([source.path("top")], mount.path()).durability(Durability::Device);
    assert!(finish(copy.start()).is_complete());
    let at_the_end = written(mount.path());
    rustix::fs::syncfs(fs::File::open(mount.path()).expect("opened")).expect("synced");
    let later = written(mount.path()) - at_the_end;
    println!("seen: {later} bytes written after the end, {at_the_end} before");
    assert!(at_the_end >= 40 * MIB);
    assert!(later < 256 << 10, "{later} bytes were still to be written");
}

#[test]
fn nothing_is_left_to_write_after_a_durable_copy_to_ext4() {
    alone!();
    require_root!();
    require_command!("mkfs.ext4");
    leaves_nothing_to_write(&Mount::ext4(200).expect("mounted"));
}

#[test]
fn nothing_is_left_to_write_after_a_durable_copy_to_xfs() {
    alone!();
    require_root!();
    require_command!("mkfs.xfs");
    leaves_nothing_to_write(&Mount::xfs(400).expect("mounted"));
}

#[test]
fn progress_tells_what_is_on_the_device_and_ends_with_all() {
    alone!();
    let (source, into) = (source(), Tree::new(""));
    // Slow enough to be looked at.
    let copy = fileops::copy([source.path("top")], into.root()).durability(Durability::Device);
    let operation = copy.bandwidth(Some(30 * MIB)).start();
    let (mut last, mut steps) = (0, 0);
    while !operation.is_done() {
        let progress = operation.progress();
        let on_device = progress.bytes_on_device.expect("it was asked for");
        assert!(on_device <= progress.bytes_done, "{progress:?}");
        assert!(on_device >= last, "{on_device} after {last}");
        steps += u32::from(on_device > last);
        last = on_device;
        std::thread::sleep(Duration::from_millis(5));
    }
    let progress = operation.progress();
    assert_eq!(progress.phase, Phase::Done);
    assert_eq!(progress.bytes_on_device, Some(progress.bytes_total));
    assert!(finish(operation).is_complete());
    assert!(steps >= 2, "it came all at once");
}

#[test]
fn progress_says_nothing_of_the_device_where_nobody_asked() {
    alone!();
    let tree = Tree::new("from/a=x into/");
    let operation = fileops::copy([tree.path("from/a")], tree.path("into")).durability(Durability::Cached).start();
    assert_eq!(operation.progress().bytes_on_device, None);
    assert!(finish(operation).is_complete());
}

#[test]
fn a_copy_to_fuse_is_durable_by_default_and_one_to_a_fixed_disk_is_not() {
    alone!();
    require_fuse!();
    let tree = Tree::new("top/a=x top/dir/b#70000 into/");
    let target = FaultFs::new();
    assert!(finish(fileops::copy([tree.path("top")], target.path()).start()).is_complete());
    assert!(target.count(Op::Fsync) >= 2, "each file");
    assert!(target.count(Op::Fsyncdir) >= 3, "each new directory, and the one with the new name");
    target.clear_log();
    let copy = fileops::copy_as(tree.path("top"), target.path().join("other")).durability(Durability::Cached);
    assert!(finish(copy.start()).is_complete());
    assert_eq!(target.count(Op::Fsync) + target.count(Op::Fsyncdir), 0);
    let operation = fileops::copy([tree.path("top")], tree.path("into")).start();
    assert_eq!(operation.progress().bytes_on_device, None);
    assert!(finish(operation).is_complete());
}

#[test]
fn the_last_name_is_made_durable_after_all_else() {
    alone!();
    require_fuse!();
    let tree = Tree::new("top/a=x top/dir/b#70000");
    let target = FaultFs::new();
    assert!(finish(fileops::copy([tree.path("top")], target.path()).start()).is_complete());
    let log = target.log();
    let last = |op: Op| log.iter().rposition(|(other, _)| *other == op).expect("it was asked for");
    assert!(last(Op::Fsync) < last(Op::Rename), "the files come before the name");
    assert!(last(Op::Rename) < last(Op::Fsyncdir), "the name is made durable too");
}
