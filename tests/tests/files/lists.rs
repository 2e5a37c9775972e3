//! Directories as streams.

use crate::{assert_same_error, odd};
use fileops::{block_on, fs};
use fileops_tests::{Action, Fault, FaultFs, Op, Tree, require_fuse};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Name, size and inode of all entries, as std has them.
fn expected(dir: &Path) -> BTreeMap<OsString, (u64, u64)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        (entry.file_name(), (metadata.len(), metadata.ino()))
    });
    entries.collect()
}

#[test]
fn a_list_has_the_entries_that_std_has() {
    let tree = Tree::new("dir/ link->nowhere pipe|");
    (0..3000).for_each(|number| std::fs::write(tree.path(format!("{number:0>100}")), "x").unwrap());
    std::fs::write(odd(tree.root()), "not UTF-8").unwrap();
    let entries = block_on(fs::read_dir(tree.root()).with_metadata().all()).unwrap();
    assert_eq!(entries.len(), 3004);
    let found: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            (entry.file_name().to_owned(), (metadata.len(), metadata.inode()))
        })
        .collect();
    assert_eq!(found, expected(tree.root()));
    for entry in &entries {
        assert_eq!(entry.kind(), entry.metadata().unwrap().kind());
        assert_eq!(entry.path(), tree.root().join(entry.file_name()));
    }
    let plain = block_on(fs::read_dir(tree.root()).all()).unwrap();
    let kind = |name: &str| plain.iter().find(|entry| entry.file_name() == name).unwrap().kind();
    assert_eq!((kind("dir"), kind("link"), kind("pipe")), (fs::Kind::Directory, fs::Kind::Symlink, fs::Kind::Fifo));
    assert!(plain.len() == 3004 && plain.iter().all(|entry| entry.metadata().is_none()));
}

#[test]
fn what_cannot_be_listed_fails_as_std_has_it() {
    let tree = Tree::new("file=x link->link");
    for name in ["missing", "file", "link", ""] {
        let path = if name.is_empty() { Path::new("").to_owned() } else { tree.path(name) };
        let mut list = fs::read_dir(&path);
        let ours = block_on(list.next()).expect("an error");
        assert_same_error(ours, std::fs::read_dir(&path));
        assert!(block_on(list.next()).is_none(), "an error ends it");
    }
}

#[test]
fn an_error_half_way_comes_after_what_was_listed() {
    require_fuse!();
    let fault = FaultFs::new();
    (0..5000).for_each(|number| std::fs::write(fault.backing().join(format!("{number:0>60}")), "").unwrap());
    fault.add(Fault::new(Op::Readdir, Action::Errno(libc::EIO)).from(5));
    let mut list = fs::read_dir(fault.path());
    let (mut entries, mut error) = (0, None);
    while let Some(entry) = block_on(list.next()) {
        match entry {
            Ok(_) => entries += 1,
            Err(found) => assert!(error.replace(found).is_none(), "one error"),
        }
    }
    let error = error.expect("it failed");
    assert_eq!((error.errno(), error.action, &*error.path), (Some(libc::EIO), fileops::Action::List, fault.path()));
    assert!((1..5000).contains(&entries), "{entries}");
}

#[test]
fn what_is_gone_is_left_out_and_what_cannot_be_looked_at_is_named() {
    require_fuse!();
    let fault = FaultFs::new();
    ["a", "bad", "gone", "z"].iter().for_each(|name| std::fs::write(fault.backing().join(name), "").unwrap());
    fault.add(Fault::new(Op::Lookup, Action::Errno(libc::ENOENT)).name("gone"));
    fault.add(Fault::new(Op::Lookup, Action::Errno(libc::EIO)).name("bad"));
    let mut list = fs::read_dir(fault.path()).with_metadata();
    let (mut names, mut errors) = (Vec::new(), Vec::new());
    while let Some(entry) = block_on(list.next()) {
        match entry {
            Ok(entry) => names.push(entry.file_name().to_owned()),
            Err(error) => errors.push((error.path.clone(), error.errno())),
        }
    }
    names.sort();
    assert_eq!(names, ["a", "z"]);
    assert_eq!(errors, [(fault.path().join("bad"), Some(libc::EIO))]);
}
