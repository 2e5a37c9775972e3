//! A tree with one of everything, from each file system to another and within each.

use std::collections::HashSet;
use std::path::Path;

use fileops::copy_as;
use fileops_tests::rich::Facts;
use fileops_tests::{Mount, Rich, assert_same_tree, require_command, require_filesystem, require_root};

use crate::{rsync_differences, whole};

/// The bytes that files take, each counted once however many names it has.
fn allocated(facts: &[Facts]) -> u64 {
    let mut seen = HashSet::new();
    facts.iter().filter(|facts| seen.insert(facts.inode)).map(|facts| facts.allocated).sum()
}

/// Copies one of everything, and looks at it in the order in which looking changes least.
#[track_caller]
fn check_copy(from: &Path, to: &Path) {
    let rich = Rich::make(from.join("tree"));
    let copy = to.join("copy");
    sync(from);
    let before = rich.facts(rich.root());
    let report = whole(copy_as(rich.root(), &copy));
    assert_eq!(report.entries as usize, rich.entries().len());
    sync(to);
    let (after, copied) = (rich.facts(rich.root()), rich.facts(&copy));
    for ((before, after), copied) in before.iter().zip(&after).zip(&copied) {
        let name = before.name.display();
        // Reading a link's text changes its time of access whatever one does.
        if !rich.root().join(&before.name).is_symlink() {
            assert_eq!(before.accessed, after.accessed, "when the source was read last: {name}");
        }
        assert_eq!(before.accessed, copied.accessed, "when the copy was read last: {name}");
        assert_eq!(before.modified, copied.modified, "when the copy was written last: {name}");
        if before.allocated < before.size {
            assert!(copied.allocated <= before.allocated, "a hole was filled: {before:?}, {copied:?}");
        }
    }
    let (was, is) = (allocated(&before), allocated(&copied));
    assert!(is.abs_diff(was) <= was / 100, "{was} bytes became {is}");
    assert_same_tree(rich.root(), &copy);
    assert_eq!(rsync_differences(rich.root(), &copy), "");
}

/// With the blocks that a large one has: those of a small one hold fewer attributes.
fn ext4() -> std::io::Result<Mount> {
    Mount::image("ext4", 64, &["-q", "-F", "-b", "4096", "-E", "root_owner=0:0"])
}

/// What was written has its place on the disk, which is when the file system knows how much it takes.
fn sync(path: &Path) {
    let file = std::fs::File::open(path).expect("it can be opened");
    rustix::fs::syncfs(file).expect("synced");
}

macro_rules! trees {
    ($($name:ident: $from:expr => $to:expr, needs $($kind:literal)*;)+) => {$(
        #[test]
        fn $name() {
            require_root!();
            require_command!("rsync");
            $(require_command!(concat!("mkfs.", $kind)); require_filesystem!($kind);)*
            let (from, to) = ($from.expect("a file system"), $to.expect("a file system"));
            check_copy(from.path(), to.path());
        }
    )+};
}

trees! {
    a_tree_is_the_same_from_ext4_to_another_ext4: ext4() => ext4(), needs "ext4";
    a_tree_is_the_same_from_ext4_to_xfs: ext4() => Mount::xfs(300), needs "ext4" "xfs";
    a_tree_is_the_same_from_xfs_to_btrfs: Mount::xfs(300) => Mount::btrfs(128), needs "xfs" "btrfs";
    a_tree_is_the_same_from_btrfs_to_tmpfs: Mount::btrfs(128) => Mount::tmpfs("size=64m"), needs "btrfs";
    a_tree_is_the_same_from_tmpfs_to_ext4: Mount::tmpfs("size=64m") => ext4(), needs "ext4";
    a_tree_is_the_same_from_xfs_to_another_xfs: Mount::xfs(300) => Mount::xfs(300), needs "xfs";
    a_tree_is_the_same_from_btrfs_to_another_btrfs: Mount::btrfs(128) => Mount::btrfs(128), needs "btrfs";
}

macro_rules! trees_within {
    ($($name:ident: $mount:expr, needs $($kind:literal)*;)+) => {$(
        #[test]
        fn $name() {
            require_root!();
            require_command!("rsync");
            $(require_command!(concat!("mkfs.", $kind)); require_filesystem!($kind);)*
            let mount = $mount.expect("a file system");
            check_copy(mount.path(), mount.path());
        }
    )+};
}

trees_within! {
    a_tree_is_the_same_within_ext4: ext4(), needs "ext4";
    a_tree_is_the_same_within_xfs: Mount::xfs(300), needs "xfs";
    a_tree_is_the_same_within_btrfs: Mount::btrfs(256), needs "btrfs";
    a_tree_is_the_same_within_tmpfs: Mount::tmpfs("size=64m"), needs;
}
