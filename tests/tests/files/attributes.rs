//! Extended attributes, beside what the crate xattr answers.

use crate::{assert_same_error, odd};
use fileops::fs::xattr::{self as ours, Symlink};
use fileops::{block_on, fs};
use fileops_tests::{Mount, Tree, require_root};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

#[test]
fn what_is_set_here_is_seen_there_and_the_other_way() {
    require_root!();
    let mount = Mount::tmpfs("size=4m").unwrap();
    let path = odd(mount.path());
    std::fs::write(&path, "").unwrap();
    let name = OsString::from_vec(b"user.caf\xe9".to_vec());
    let long = vec![7; 20_000];
    block_on(async {
        assert_eq!(ours::get(&path, &name, Symlink::Follow).await.unwrap(), None);
        ours::set(&path, &name, long.clone(), Symlink::Follow).await.unwrap();
        ours::set(&path, "user.empty", "", Symlink::Itself).await.unwrap();
        xattr::set(&path, "user.theirs", b"1").unwrap();
        assert_eq!(ours::get(&path, "user.theirs", Symlink::Itself).await.unwrap().as_deref(), Some(&b"1"[..]));
        let mut names = ours::list(&path, Symlink::Follow).await.unwrap();
        let mut theirs: Vec<_> = xattr::list(&path).unwrap().collect();
        names.sort();
        theirs.sort();
        assert_eq!((names.len(), names), (3, theirs));
    });
    assert_eq!(xattr::get(&path, &name).unwrap(), Some(long));
    let file = block_on(fs::File::open(&path)).unwrap();
    block_on(async {
        assert_eq!(file.xattr("user.empty").await.unwrap(), Some(Vec::new()));
        file.set_xattr("user.empty", "full").await.unwrap();
        file.remove_xattr("user.theirs").await.unwrap();
        ours::remove(&path, &name, Symlink::Follow).await.unwrap();
        assert_eq!(file.xattrs().await.unwrap(), ["user.empty"]);
    });
    assert_eq!(xattr::get(&path, "user.empty").unwrap().as_deref(), Some(&b"full"[..]));
}

#[test]
fn attributes_of_a_link_are_its_own_when_asked() {
    require_root!();
    let mount = Mount::tmpfs("size=4m").unwrap();
    let (file, link) = (mount.path().join("file"), mount.path().join("link"));
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    block_on(async {
        ours::set(&link, "trusted.a", "link", Symlink::Itself).await.unwrap();
        ours::set(&link, "trusted.a", "file", Symlink::Follow).await.unwrap();
    });
    assert_eq!(xattr::get(&link, "trusted.a").unwrap().as_deref(), Some(&b"link"[..]));
    assert_eq!(xattr::get(&file, "trusted.a").unwrap().as_deref(), Some(&b"file"[..]));
    assert_same_error(block_on(ours::set(&link, "user.a", "x", Symlink::Itself)), xattr::set(&link, "user.a", b"x"));
}

#[test]
fn what_cannot_be_fails_as_elsewhere() {
    require_root!();
    let mount = Mount::tmpfs("size=4m").unwrap();
    let path = mount.path().join("file");
    std::fs::write(&path, "").unwrap();
    let follow = Symlink::Follow;
    block_on(async {
        assert_same_error(ours::remove(&path, "user.none", follow).await, xattr::remove(&path, "user.none"));
        assert_same_error(ours::set(&path, "nonsense.a", "", follow).await, xattr::set(&path, "nonsense.a", b""));
        assert_same_error(ours::set(&path, "user.", "", follow).await, xattr::set(&path, "user.", b""));
        let huge = vec![0; 70_000];
        assert_same_error(ours::set(&path, "user.a", huge.clone(), follow).await, xattr::set(&path, "user.a", &huge));
        let missing = mount.path().join("missing");
        assert_same_error(ours::get(&missing, "user.a", follow).await, xattr::get(&missing, "user.a"));
        assert_same_error(ours::list(&missing, follow).await, xattr::list(&missing).map(|names| names.count()));
        // A NUL ends no name early.
        let error = ours::set(&path, "user.a\0b", "", follow).await.unwrap_err();
        assert_eq!(error.source.kind(), std::io::ErrorKind::InvalidInput);
    });
    assert_eq!(xattr::list(&path).unwrap().count(), 0);
}

#[test]
fn a_path_without_a_file_names_itself_in_the_error() {
    let tree = Tree::new("");
    let error = block_on(ours::get(tree.path("missing"), "user.a", Symlink::Follow)).unwrap_err();
    assert_eq!((error.action, &error.path), (fileops::Action::ReadXattr, &tree.path("missing")));
}
