//! Metadata on the way over file systems that have no place for it: kept beside the files, and back on them at the end.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use fileops::{Metadata, NoteKind, OnConflict, Report, copy, copy_as, move_as, move_to};
use fileops_tests::temp::Temp;
use fileops_tests::tree::make;
use fileops_tests::{FaultFs, Knobs, Mount, alone, require_command, require_fuse, require_root};

use crate::tree;

pub(crate) const NAME: &str = ".fileops-metadata";

/// A file system with the rules of FAT.
pub(crate) fn fat() -> FaultFs {
    let fs = FaultFs::new();
    fs.knobs(|knobs| *knobs = Knobs::fat());
    fs
}

#[track_caller]
pub(crate) fn done(report: Report) -> Report {
    assert!(report.is_complete(), "{report:#?}");
    report
}

#[track_caller]
pub(crate) fn finish(report: Report) {
    let _ = done(report);
}

pub(crate) fn tag(path: impl AsRef<Path>, tags: &str) {
    xattr::set(path, "user.xdg.tags", tags.as_bytes()).expect("an attribute");
}

pub(crate) fn tags(path: impl AsRef<Path>) -> Option<String> {
    xattr::get(path, "user.xdg.tags").expect("asked").map(|tags| String::from_utf8(tags).expect("text"))
}

fn noted(report: &Report, kind: NoteKind) -> u64 {
    report.notes.iter().find(|note| note.kind == kind).map_or(0, |note| note.count)
}

pub(crate) fn lines(dir: impl AsRef<Path>) -> Vec<String> {
    let text = fs::read_to_string(dir.as_ref().join(NAME)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A tree with tags on files and directories.
macro_rules! tagged {
    () => {{
        let tree =
            tree!("src/one=1 src/two\\stwo=22 src/plain=x src/dir/three=333 src/dir/deep/four=4 src/empty/ home/");
        for (name, tags) in TAGS {
            tag(tree.path("src").join(name), tags);
        }
        xattr::set(tree.path("src/one"), "user.binary", b"\0\xff\n\t%").expect("an attribute");
        tree
    }};
}

const TAGS: [(&str, &str); 6] =
    [("", "top"), ("one", "a,b"), ("dir", "directory"), ("dir/three", "größe"), ("dir/deep/four", "x"), ("empty", "e")];

#[track_caller]
fn assert_tagged(top: &Path) {
    for (name, expected) in TAGS {
        assert_eq!(tags(top.join(name)).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(xattr::get(top.join("one"), "user.binary").unwrap().unwrap(), b"\0\xff\n\t%");
    assert_eq!(xattr::list(top.join("plain")).unwrap().count(), 0);
}

/// All names below a directory that are those of files beside others.
fn sidecars(top: &Path) -> usize {
    fileops_tests::snapshot(top).keys().filter(|name| name.ends_with(NAME.as_bytes())).count()
}

#[test]
fn without_being_asked_the_loss_is_a_note_and_nothing_is_written() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    let report = done(copy([tree.path("src")], fs.path()).start().wait());
    assert!(noted(&report, NoteKind::AttributesNotKept) >= 6, "{report:#?}");
    assert_eq!(sidecars(fs.path()), 0);
}

#[test]
fn a_tree_comes_back_from_fat_with_all_its_tags() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    let report = done(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(noted(&report, NoteKind::AttributesNotKept), 0, "{report:#?}");
    assert_eq!(sidecars(fs.path()), 4, "one for each directory that has something to keep");
    let time = |path: PathBuf| fs::metadata(path).unwrap().mtime();
    assert_eq!(time(tree.path("src/dir")) / 2, time(fs.path().join("src/dir")) / 2, "the times come last");
    // Once more to another one: the lines go along.
    let other = fat();
    finish(copy([fs.path().join("src")], other.path()).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(sidecars(other.path()), 4);
    finish(copy([other.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_tagged(&tree.path("home/src"));
    assert_eq!(sidecars(&tree.path("home")), 0, "all was given back");
}

#[test]
fn exfat_and_back_keeps_tags() {
    require_root!();
    require_fuse!();
    require_command!("mkfs.exfat", "mount.exfat-fuse");
    let temp = Temp::new("image").unwrap();
    let image = temp.path().join("image");
    File::create_new(&image).and_then(|file| file.set_len(32 << 20)).unwrap();
    let made = Command::new("mkfs.exfat").arg(&image).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let fs = Mount::with(&["-t", "exfat-fuse", "-o", "loop", image.to_str().unwrap()]).unwrap();
    let tree = tagged!();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    // A single file, merged into what is there.
    tag(tree.path("src/plain"), "later");
    let merge = copy([tree.path("src/plain")], fs.path().join("src")).on_conflict(OnConflict::Replace);
    finish(merge.metadata(Metadata::Sidecar).start().wait());
    finish(copy([fs.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/src/plain")).as_deref(), Some("later"));
    xattr::remove(tree.path("home/src/plain"), "user.xdg.tags").unwrap();
    assert_tagged(&tree.path("home/src"));
    assert_eq!(
        sidecars(&tree.path("home")),
        0,
        "{:?} {:?}",
        lines(tree.path("home/src")),
        lines(fs.path().join("src"))
    );
}

#[test]
fn a_tree_moved_to_fat_and_back_keeps_its_tags() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    finish(move_to([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    assert!(!tree.path("src").exists());
    finish(move_to([fs.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert!(!fs.path().join("src").exists(), "the files beside the others went with them");
    assert_tagged(&tree.path("home/src"));
    assert_eq!(sidecars(&tree.path("home")), 0);
}

#[test]
fn directories_that_are_merged_by_a_move_leave_nothing_behind() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    make(tree.root(), "home/src/dir/other=x");
    finish(move_to([fs.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert!(!fs.path().join("src").exists(), "{:?}", fileops_tests::snapshot(fs.path()).keys());
    assert_eq!(tags(tree.path("home/src/dir/three")).as_deref(), Some("größe"));
    assert_eq!(tags(tree.path("home/src/one")).as_deref(), Some("a,b"));
    assert_eq!(tags(tree.path("home/src")), None, "a directory that was there keeps its own");
    assert_eq!(sidecars(&tree.path("home")), 0);
}

#[test]
fn files_that_are_renamed_on_fat_take_their_lines_along() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    finish(
        move_as(fs.path().join("src/one"), fs.path().join("src/dir/uno")).metadata(Metadata::Sidecar).start().wait(),
    );
    finish(copy([fs.path().join("src/dir/uno")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/uno")).as_deref(), Some("a,b"));
    // A whole directory has its own with it.
    finish(
        move_as(fs.path().join("src/dir"), fs.path().join("verzeichnis")).metadata(Metadata::Sidecar).start().wait(),
    );
    finish(copy([fs.path().join("verzeichnis")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/verzeichnis")).as_deref(), Some("directory"));
    assert_eq!(tags(tree.path("home/verzeichnis/three")).as_deref(), Some("größe"));
}

#[test]
fn lines_about_a_file_that_was_changed_since_are_not_used_and_not_lost() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    fs::write(fs.path().join("src/one"), "something else").unwrap();
    finish(copy([fs.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/src/one")), None);
    assert_eq!(tags(tree.path("home/src/dir/three")).as_deref(), Some("größe"));
    assert_eq!(sidecars(&tree.path("home")), 1, "what was not used is there");
    assert!(lines(tree.path("home/src")).iter().any(|line| line.starts_with("file\tone\t")));
}

#[test]
fn foreign_and_damaged_files_of_that_name_are_files_like_others() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    let damaged = fs.path().join("src").join(NAME);
    let text = fs::read_to_string(&damaged).unwrap();
    fs::write(&damaged, text.replacen("file\tone", "file\tOne", 1)).unwrap();
    fs::write(fs.path().join("src/dir").join(NAME), "mine").unwrap();
    finish(copy([fs.path().join("src")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(tags(tree.path("home/src")).as_deref(), Some("top"), "lines that hold together are used");
    assert_eq!((tags(tree.path("home/src/one")), tags(tree.path("home/src/dir/three"))), (None, None));
    assert_eq!(lines(tree.path("home/src/dir")), ["mine"]);
    assert_eq!(fs::read(tree.path("home/src").join(NAME)).unwrap(), fs::read(&damaged).unwrap());
    // In the way it stays, and the loss is noted.
    tag(tree.path("src/dir/three"), "new");
    let merge = copy([tree.path("src/dir/three")], fs.path().join("src/dir")).on_conflict(OnConflict::Replace);
    let report = done(merge.metadata(Metadata::Sidecar).start().wait());
    let note = report.notes.iter().find(|note| note.kind == NoteKind::AttributesNotKept).expect("a note");
    assert!(note.path.ends_with(Path::new("dir").join(NAME)), "{note:?}");
    assert_eq!(lines(fs.path().join("src/dir")), ["mine"]);
    // Into what is damaged lines are merged, and the damaged one stays.
    tag(tree.path("src/plain"), "new");
    let merge = copy([tree.path("src/plain")], fs.path().join("src")).on_conflict(OnConflict::Replace);
    finish(merge.metadata(Metadata::Sidecar).start().wait());
    let merged = lines(fs.path().join("src"));
    assert!(merged.iter().any(|line| line.starts_with("file\tplain\t")));
    assert!(merged.iter().any(|line| line.starts_with("file\tOne\t")));
}

#[test]
fn one_that_is_named_as_a_source_is_a_file_like_others() {
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    finish(copy([fs.path().join("src").join(NAME)], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    assert!(!lines(tree.path("home")).is_empty());
}

#[test]
fn operations_at_the_same_time_lose_nothing() {
    require_fuse!();
    let tree = tree!("a/ home/");
    const MANY: usize = 24;
    for index in 0..MANY {
        make(tree.root(), &format!("a/{index}=x"));
        tag(tree.path(format!("a/{index}")), &format!("tag {index}"));
    }
    let fs = fat();
    let barrier = Barrier::new(MANY);
    thread::scope(|scope| {
        for index in 0..MANY {
            let (source, target, barrier) = (tree.path(format!("a/{index}")), fs.path(), &barrier);
            scope.spawn(move || {
                barrier.wait();
                finish(copy([source], target).metadata(Metadata::Sidecar).start().wait());
            });
        }
    });
    assert_eq!(lines(fs.path()).len(), MANY + 1);
    finish(copy([fs.path().join(".")], tree.path("home")).metadata(Metadata::Sidecar).start().wait());
    for index in 0..MANY {
        assert_eq!(tags(tree.path(format!("home/{index}"))), Some(format!("tag {index}")));
    }
}

#[test]
fn what_it_keeps_is_nobody_elses_to_read() {
    require_fuse!();
    let tree = tagged!();
    let fs = FaultFs::new();
    fs.knobs(|knobs| knobs.no_xattrs = true);
    finish(copy([tree.path("src/one")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    finish(copy([tree.path("src/dir")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    for dir in ["", "dir"] {
        let mode = fs::metadata(fs.path().join(dir).join(NAME)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{dir}");
    }
}

#[test]
fn an_undo_takes_the_lines_back_with_the_copies() {
    alone!();
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    let before = fileops_tests::snapshot(fs.backing());
    let first = done(copy([tree.path("src/one")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    let between = lines(fs.path());
    let second = done(copy([tree.path("src/dir/three")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    let third = done(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(lines(fs.path()).len(), 3);
    finish(fileops::undo(third.id.expect("an id")).start().wait());
    assert!(!fs.path().join("src").exists());
    finish(fileops::undo(second.id.expect("an id")).start().wait());
    assert_eq!(lines(fs.path()), between);
    finish(fileops::undo(first.id.expect("an id")).start().wait());
    let names = |tree: &std::collections::BTreeMap<Vec<u8>, fileops_tests::snapshot::Entry>| {
        tree.keys().filter(|name| !name.starts_with(b".fileops-kept")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&fileops_tests::snapshot(fs.backing())), names(&before));
}

#[test]
fn an_undone_move_brings_the_tags_home() {
    alone!();
    require_fuse!();
    let tree = tagged!();
    let fs = fat();
    let one = done(move_to([tree.path("src/one")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    assert_eq!(lines(fs.path()).len(), 2);
    let all = done(move_to([tree.path("src/dir")], fs.path()).metadata(Metadata::Sidecar).start().wait());
    finish(fileops::undo(all.id.expect("an id")).start().wait());
    finish(fileops::undo(one.id.expect("an id")).start().wait());
    assert_tagged(&tree.path("src"));
    assert!(!fs.path().join("one").exists() && !fs.path().join(NAME).exists());
}

#[test]
fn hard_links_on_the_way_have_the_lines_of_their_file() {
    require_fuse!();
    let tree = tree!("src/a=x src/b=>src/a src/dir/c=>src/a home/");
    tag(tree.path("src/a"), "t");
    for no_links in [false, true] {
        let fs = FaultFs::new();
        fs.knobs(|knobs| (knobs.no_xattrs, knobs.no_links) = (true, no_links));
        finish(copy([tree.path("src")], fs.path()).metadata(Metadata::Sidecar).start().wait());
        let back = tree.path(if no_links { "home/without" } else { "home/with" });
        finish(copy_as(fs.path().join("src"), &back).metadata(Metadata::Sidecar).start().wait());
        for name in ["a", "b", "dir/c"] {
            assert_eq!(tags(back.join(name)).as_deref(), Some("t"), "{name}, {no_links}");
        }
        assert_eq!(sidecars(&back), 0, "{no_links}");
    }
}
