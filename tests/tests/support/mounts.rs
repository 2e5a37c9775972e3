//! The file systems which tests mount.

use std::fs;

use fileops_tests::tree::make;
use fileops_tests::{Mount, Tree, assert_same_tree, require_command, require_filesystem, require_root};

use crate::mounted_at;

/// It holds files while it is mounted, and is gone when it is dropped.
fn check(mount: Mount) {
    let path = mount.path().to_owned();
    make(&path, "a/file=hello a/link->file");
    assert!(mounted_at(&path));
    let open = fs::File::open(path.join("a/file")).expect("opened");
    drop(mount);
    assert!(!mounted_at(&path) && !path.exists());
    drop(open);
}

#[test]
fn images() {
    require_root!();
    require_command!("mkfs.ext4", "mkfs.xfs", "mkfs.btrfs");
    check(Mount::ext4(16).expect("ext4"));
    require_filesystem!("xfs");
    check(Mount::xfs(300).expect("xfs"));
    require_filesystem!("btrfs");
    check(Mount::btrfs(128).expect("btrfs"));
}

#[test]
fn a_tmpfs_is_as_small_as_wanted() {
    require_root!();
    let small = Mount::tmpfs("size=64k").expect("tmpfs");
    let full = fs::write(small.path().join("file"), [0; 100_000]).expect_err("too much");
    assert_eq!(full.raw_os_error(), Some(libc::ENOSPC));
    small.remount("ro").expect("read-only");
    let closed = fs::remove_file(small.path().join("file")).expect_err("read-only");
    assert_eq!(closed.raw_os_error(), Some(libc::EROFS));
    check(Mount::tmpfs("size=1m").expect("tmpfs"));
}

#[test]
fn overlays_and_binds_show_what_is_below() {
    require_root!();
    let tree = Tree::new("a/file=hello b/");
    let bind = Mount::bind(tree.root()).expect("bind");
    assert_same_tree(tree.root(), bind.path());
    require_filesystem!("overlay");
    let overlay = Mount::overlay(tree.root()).expect("overlay");
    make(overlay.path(), "b/new=x");
    tree.assert("a/file=hello b/");
    assert!(overlay.path().join("a/file").exists());
    check(overlay);
}

#[test]
fn an_error_has_what_the_command_said() {
    require_root!();
    let error = Mount::with(&["-t", "tmpfs", "-o", "size=many", "tmpfs"]).expect_err("there is none");
    assert!(error.to_string().contains("mount: "), "{error}");
}
