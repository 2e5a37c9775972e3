//! What is in memory is answered by the first poll, on the thread that polls.

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use fileops::{block_on, fs};
use fileops_tests::{Mount, Tree, require_command, require_filesystem, require_root};

use crate::first_poll;

/// A file that was read once after it was written: a read does not set its access time any more.
fn settled(dir: &Path) -> PathBuf {
    let path = dir.join("file");
    std::fs::write(&path, "hello").unwrap();
    // The access time has to be later than the others, by the file system's clock.
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(block_on(fs::read(&path)).unwrap(), b"hello");
    path
}

#[test]
fn attributes_in_memory_come_with_the_first_poll() {
    let tree = Tree::new("file=hello dir/ link->file");
    block_on(fs::metadata(tree.path("file"))).unwrap();
    let Poll::Ready(Ok(metadata)) = first_poll(fs::metadata(tree.path("file"))) else { panic!("it went elsewhere") };
    assert_eq!((metadata.len(), metadata.kind()), (5, fs::Kind::File));
    let Poll::Ready(Ok(link)) = first_poll(fs::symlink_metadata(tree.path("link"))) else {
        panic!("it went elsewhere")
    };
    assert!(link.is_symlink());
}

#[test]
fn a_small_file_in_the_page_cache_is_opened_and_read_by_the_first_poll() {
    require_root!();
    require_command!("mkfs.ext4");
    require_filesystem!("ext4");
    let mount = Mount::ext4(16).unwrap();
    let path = settled(mount.path());
    let Poll::Ready(Ok(bytes)) = first_poll(fs::read(&path)) else { panic!("it went elsewhere") };
    assert_eq!(bytes, b"hello");
    let Poll::Ready(Ok(file)) = first_poll(fs::File::open(&path)) else { panic!("it went elsewhere") };
    assert_eq!(block_on(file.read_at(vec![0; 10], 1)).unwrap(), b"ello");
}
