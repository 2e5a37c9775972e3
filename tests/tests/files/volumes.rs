//! File systems and blocks.

use crate::assert_same_error;
use fileops::{block_on, fs};
use fileops_tests::{FaultFs, Mount, Tree, require_fuse, require_root};
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt};

#[test]
fn a_volume_has_the_room_and_the_kind_that_its_mount_says() {
    require_root!();
    let mount = Mount::tmpfs("size=1m,nr_inodes=100").unwrap();
    let volume = block_on(fs::volume(mount.path())).unwrap();
    assert_eq!((volume.kind(), volume.total(), volume.available()), (Some("tmpfs"), 1 << 20, 1 << 20));
    assert_eq!((volume.entries(), volume.longest_name(), volume.is_read_only()), (100, 255, false));
    std::fs::write(mount.path().join("file"), vec![1; 500_000]).unwrap();
    let file = block_on(fs::File::open(mount.path().join("file"))).unwrap();
    let volume = block_on(file.volume()).unwrap();
    assert!((500_000..600_000).contains(&(volume.total() - volume.free())), "{volume:?}");
    assert_eq!(volume.free_entries(), 98);
    mount.remount("ro").unwrap();
    assert!(block_on(file.volume()).unwrap().is_read_only());
}

#[test]
fn a_volume_of_a_link_is_that_of_its_target_and_a_missing_one_fails() {
    require_fuse!();
    let fault = FaultFs::new();
    let tree = Tree::new("");
    std::os::unix::fs::symlink(fault.path(), tree.path("link")).unwrap();
    let volume = block_on(fs::volume(tree.path("link"))).unwrap();
    assert!(volume.kind().is_some_and(|kind| kind.starts_with("fuse")), "{volume:?}");
    assert_same_error(block_on(fs::volume(tree.path("missing"))), std::fs::metadata(tree.path("missing")));
}

#[test]
fn blocks_are_given_and_given_back() {
    require_root!();
    let mount = Mount::tmpfs("size=16m").unwrap();
    let path = mount.path().join("file");
    let std = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    let file = fs::File::from(std.try_clone().unwrap());
    let metadata = || std::fs::metadata(&path).unwrap();
    block_on(file.reserve(0..1 << 20)).unwrap();
    assert_eq!((metadata().len(), metadata().blocks() * 512), (0, 1 << 20));
    block_on(file.allocate(0..4 << 20)).unwrap();
    assert_eq!((metadata().len(), metadata().blocks() * 512), (4 << 20, 4 << 20));
    std.write_all_at(&vec![1; 4 << 20], 0).unwrap();
    block_on(file.punch_hole(1 << 20..3 << 20)).unwrap();
    assert_eq!((metadata().len(), metadata().blocks() * 512), (4 << 20, 2 << 20));
    block_on(async {
        assert_eq!(file.next_data(0).await.unwrap(), Some(0..1 << 20));
        assert_eq!(file.next_data(1 << 20).await.unwrap(), Some(3 << 20..4 << 20));
        assert_eq!(file.next_data(4 << 20).await.unwrap(), None);
        let error = file.allocate(0..1 << 30).await.unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENOSPC));
        assert_eq!(file.punch_hole(7..7).await.unwrap_err().errno(), Some(libc::EINVAL));
    });
    assert_eq!(metadata().len(), 4 << 20);
}
