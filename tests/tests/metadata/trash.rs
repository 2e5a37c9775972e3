//! The trash of a file system without attributes, and back.

use std::fs;
use std::path::Path;

use fileops::{Metadata, OnConflict, TrashItem, copy, restore, trash};
use fileops_tests::tree::make;
use fileops_tests::{alone, require_fuse, require_root};

use crate::beside::{NAME, fat, finish, lines, tag, tags};
use crate::tree;

fn items(top: &Path) -> Vec<TrashItem> {
    let listing = fileops::block_on(async { fileops::trash_list().await });
    listing.items.into_iter().filter(|item| item.trash.starts_with(top)).collect()
}

#[test]
fn what_is_trashed_and_restored_on_fat_keeps_its_tags() {
    alone!();
    require_root!();
    require_fuse!();
    let tree = tree!("src/one=1 src/dir/two=22 home/");
    tag(tree.path("src/one"), "a");
    tag(tree.path("src/dir/two"), "b");
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    let before = lines(fs.path().join("src"));
    let (one, dir) = (fs.path().join("src/one"), fs.path().join("src/dir"));
    finish(trash([&one, &dir]).metadata(Metadata::Sidecar).start().wait());
    let folder = fs.path().join(format!(".Trash-{}", rustix::process::geteuid().as_raw()));
    assert!(lines(&folder).iter().any(|line| line.starts_with("file\tone\t")), "{:?}", lines(&folder));
    assert!(!folder.join("files").join(NAME).exists(), "it is no item of the trash");
    // Under another name, where its own is taken.
    make(fs.backing(), "src/one=other");
    finish(restore(items(fs.path())).on_conflict(OnConflict::Rename).metadata(Metadata::Sidecar).start().wait());
    assert_ne!(lines(fs.path().join("src")), before);
    finish(copy([fs.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/src/one (2)")).as_deref(), Some("a"));
    assert_eq!(tags(tree.path("home/src/one")), None, "another file has the name");
    assert_eq!(tags(tree.path("home/src/dir/two")).as_deref(), Some("b"));
}

#[test]
fn a_directory_that_is_made_again_has_the_lines_of_what_is_restored_into_it_and_an_undo_removes_both() {
    alone!();
    require_root!();
    require_fuse!();
    let tree = tree!("src/one=1 home/");
    tag(tree.path("src/one"), "a");
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    finish(trash([fs.path().join("src/one")]).metadata(Metadata::Sidecar).start().wait());
    fs::remove_dir_all(fs.path().join("src")).unwrap();
    let restored = restore(items(fs.path())).metadata(Metadata::Sidecar).start().wait();
    assert!(restored.is_complete(), "{restored:#?}");
    finish(copy([fs.path().join("src/one")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/one")).as_deref(), Some("a"));
    finish(fileops::undo(restored.id.expect("an id")).start().wait());
    assert!(!fs.path().join("src").exists());
    assert_eq!(items(fs.path()).len(), 1);
}

#[test]
fn attributes_of_the_files_themselves_go_into_the_trash_and_back_with_them() {
    alone!();
    let tree = tree!("one=1");
    tag(tree.path("one"), "a");
    let report = trash([tree.path("one")]).start().wait();
    assert!(report.is_complete(), "{report:#?}");
    finish(fileops::restore([fileops::Trashed::Original(tree.path("one"))]).start().wait());
    assert_eq!(tags(tree.path("one")).as_deref(), Some("a"));
}
