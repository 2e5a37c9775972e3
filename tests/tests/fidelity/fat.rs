//! What FAT and its relatives cannot hold: a note where the entry is there all the same, else a failure which says why.

use std::fs::File;
use std::os::unix::fs::{FileExt, chown};
use std::path::Path;
use std::process::Command;

use fileops::{Action, Names, NoteKind, OnConflict, Refusal, Report, copy, copy_as};
use fileops_tests::temp::Temp;
use fileops_tests::tree::assert_tree;
use fileops_tests::{FaultFs, Knobs, Modes, Mount, Op, Tree, require_command, require_fuse, require_root};

use crate::{noted, run, whole};

/// A file system with the rules of FAT.
fn fat() -> FaultFs {
    let fs = FaultFs::new();
    fs.knobs(|knobs| *knobs = Knobs::fat());
    fs
}

/// The names of what failed, sorted, and why.
fn refused(report: &Report) -> Vec<(String, Option<Refusal>)> {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let refused = report.failures.iter().map(|error| (name(&error.path), error.refusal()));
    let mut refused = refused.collect::<Vec<_>>();
    refused.sort_by(|a, b| a.0.cmp(&b.0));
    refused
}

fn expected(refused: &[(&str, Refusal)]) -> Vec<(String, Option<Refusal>)> {
    refused.iter().map(|(name, refusal)| ((*name).to_owned(), Some(*refusal))).collect()
}

#[test]
fn names_that_fat_does_not_allow_fail_and_all_others_are_copied() {
    require_fuse!();
    let tree = Tree::new(r"src/a:b=x src/what?=x src/d*e/file=x src/dot.=x src/plain=x src/dir/a|b=x src/dir/c=x");
    let bad = [("a:b", "src"), ("a|b", "src/dir"), ("d*e", "src"), ("dot.", "src"), ("what?", "src")];
    let bad = expected(&bad.map(|(name, _)| (name, Refusal::NameNotAllowed)));
    for contents in [false, true] {
        let fs = fat();
        // A new tree, and straight into a directory that everybody sees.
        let source = tree.path(if contents { "src/." } else { "src" });
        let report = run(copy([source], fs.path()));
        assert_eq!(refused(&report), bad, "{report:#?}");
        let top = if contents { fs.path().to_owned() } else { fs.path().join("src") };
        assert_tree(&top, "plain=x dir/c=x");
    }
}

#[test]
fn names_are_changed_for_fat_only_when_asked_and_then_noted() {
    require_fuse!();
    let tree = Tree::new(r"src/a:b=1 src/d?e/f*=2 src/end.=3 src/space\s=4 src/bad\xff=5 src/plain.txt=6");
    let fs = fat();
    let report = run(copy([tree.path("src")], fs.path()).names(Names::Portable));
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(noted(&report, NoteKind::NameChanged), 6);
    assert_tree(fs.path(), "src/a_b=1 src/d_e/f_=2 src/end=3 src/space=4 src/bad_=5 src/plain.txt=6");
}

#[test]
fn two_names_that_become_one_leave_the_first_and_fail_the_second() {
    require_fuse!();
    let tree = Tree::new("src/a:b=1 src/a?b=1 src/Case=2 src/cASE=2 src/DIR/x=3 src/dir/x=3");
    let cases = [(false, OnConflict::Fail), (true, OnConflict::Fail), (true, OnConflict::Replace)];
    for (contents, rule) in cases {
        let fs = fat();
        let source = tree.path(if contents { "src/." } else { "src" });
        let report = run(copy([source], fs.path()).names(Names::Portable).on_conflict(rule));
        let taken = report.failures.iter().filter(|error| error.errno() == Some(libc::EEXIST)).count();
        // Directories merge where they are allowed to meet, and then their files do not.
        assert_eq!((taken, report.failures.len()), (3, 3), "{report:#?}");
        let top = if contents { fs.path().to_owned() } else { fs.path().join("src") };
        let mut all =
            fileops_tests::snapshot(top).into_keys().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
        all.sort();
        assert_eq!(all, [&b""[..], b"a_b", b"case", b"dir", b"dir/x"]);
    }
}

#[test]
fn what_fat_has_no_kind_for_fails_and_says_so() {
    require_fuse!();
    let tree = Tree::new("src/link->plain src/pipe| src/plain=x");
    let fs = fat();
    let report = run(copy([tree.path("src")], fs.path()));
    let kinds = [("link", Refusal::KindNotSupported), ("pipe", Refusal::KindNotSupported)];
    assert_eq!(refused(&report), expected(&kinds), "{report:#?}");
    assert_tree(fs.path(), "src/plain=x");
}

#[test]
fn what_fat_does_not_keep_of_a_file_is_noted_and_the_file_is_there() {
    require_root!();
    require_fuse!();
    let tree =
        Tree::new("src/one!644=x src/two=>src/one src/three!755=y src/four!600=z src/dir!700/ src/foreign!755=f");
    xattr::set(tree.path("src/three"), "user.x", b"y").expect("an attribute");
    chown(tree.path("src/foreign"), Some(1234), Some(4321)).expect("an owner");
    let fs = fat();
    let report = run(copy([tree.path("src")], fs.path()));
    assert!(report.is_complete(), "{report:#?}");
    // `three`, `foreign` and `src` have the mode that everything has there, whichever file was the first.
    assert_eq!(noted(&report, NoteKind::ModeNotKept), 4, "{report:#?}");
    assert_eq!(noted(&report, NoteKind::AttributesNotKept), 1);
    assert_eq!(noted(&report, NoteKind::LinkNotKept), 1);
    assert_eq!(noted(&report, NoteKind::OwnerNotKept), 1);
    assert_tree(fs.path(), "src/one=x src/two=x src/three=y src/four=z src/dir/ src/foreign=f");
}

#[test]
fn a_mode_that_is_taken_and_dropped_without_an_error_is_noted() {
    require_fuse!();
    let tree = Tree::new("src/one!644=x src/dir!700/");
    for source in ["src", "src/."] {
        let fs = FaultFs::new();
        fs.knobs(|knobs| knobs.modes = Modes::Ignore);
        let report = run(copy([tree.path(source)], fs.path()));
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(noted(&report, NoteKind::ModeNotKept), 2, "{report:#?}");
    }
}

#[test]
fn a_file_that_is_too_large_for_fat_fails_and_leaves_nothing() {
    require_fuse!();
    let tree = Tree::new("src/largest= src/larger= src/plain=x");
    let large = |name: &str, size: u64| {
        let file = File::create(tree.path(name)).expect("a file");
        file.set_len(size).expect("a hole");
        file.write_all_at(b"end", size - 3).expect("written");
    };
    large("src/largest", u64::from(u32::MAX));
    large("src/larger", u64::from(u32::MAX) + 1);
    let fs = fat();
    fs.knobs(|knobs| knobs.sparse = true);
    let report = run(copy([tree.path("src/larger"), tree.path("src/largest"), tree.path("src/plain")], fs.path()));
    let [error] = &report.failures[..] else { panic!("{report:#?}") };
    assert_eq!((error.errno(), error.action), (Some(libc::EFBIG), Action::Write));
    assert!(error.path.ends_with("larger"));
    let mut names = std::fs::read_dir(fs.backing()).expect("a list").map(|entry| entry.expect("an entry").file_name());
    let mut names = names.by_ref().collect::<Vec<_>>();
    names.sort();
    assert_eq!(names, ["largest", "plain"]);
    let copied = File::open(fs.path().join("largest")).expect("it is there");
    let mut end = [0; 3];
    copied.read_exact_at(&mut end, u64::from(u32::MAX) - 3).expect("read");
    assert_eq!((copied.metadata().expect("known").len(), &end), (u64::from(u32::MAX), b"end"));
}

#[test]
fn a_copy_from_fat_has_everything_that_fat_has() {
    require_fuse!();
    let fs = fat();
    fileops_tests::tree::make(fs.backing(), r"photos/one.jpg#5000 photos/two/three#10 empty/ name\swith\sspace=x");
    let tree = Tree::new("");
    let report = whole(copy([fs.path().join(".")], tree.root()));
    assert_eq!(report.entries, 6);
    fileops_tests::assert_same_tree_but(
        fs.path(),
        tree.root(),
        &fileops_tests::Ignore { root: true, ..Default::default() },
    );
}

#[test]
fn an_old_file_on_fat_is_replaced_by_a_new_one() {
    require_fuse!();
    let tree = Tree::new("file=new");
    let fs = fat();
    fileops_tests::tree::make(fs.backing(), "File=old");
    let copy = copy([tree.path("file")], fs.path()).on_conflict(OnConflict::Replace);
    let report = run(copy.undoable(fileops::Undoable::No));
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(std::fs::read(fs.path().join("file")).expect("it is there"), b"new");
    assert_eq!(std::fs::read_dir(fs.backing()).expect("a list").count(), 1);
    assert!(fs.count(Op::Fsync) > 0, "the new file is on the device before the old one goes");
}

#[test]
fn exfat_gets_what_it_can_hold_and_the_report_names_the_rest() {
    require_root!();
    require_fuse!();
    require_command!("mkfs.exfat", "mount.exfat-fuse");
    let temp = Temp::new("image").expect("a directory");
    let image = temp.path().join("image");
    File::create_new(&image).and_then(|file| file.set_len(32 << 20)).expect("an image");
    let made = Command::new("mkfs.exfat").arg(&image).output().expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let image = image.to_str().expect("text");
    let fs = Mount::with(&["-t", "exfat-fuse", "-o", "loop", image]).expect("exfat");
    let tree = Tree::new(
        r"src/plain!644=hello src/second=>src/plain src/link->plain src/a:b=1 src/d?e/x=2 src/dir/f=3 src/exec!755=4",
    );
    xattr::set(tree.path("src/plain"), "user.x", b"y").expect("an attribute");
    let source = tree.path("src");
    let report = run(copy_as(&source, fs.path().join("kept")));
    let bad = [("a:b", Refusal::NameNotAllowed), ("d?e", Refusal::NameNotAllowed), ("link", Refusal::KindNotSupported)];
    assert_eq!(refused(&report), expected(&bad), "{report:#?}");
    assert_tree(&fs.path().join("kept"), "plain=hello second=hello dir/f=3 exec=4");
    assert!(noted(&report, NoteKind::AttributesNotKept) > 0 && noted(&report, NoteKind::LinkNotKept) == 1);
    // It takes each mode without an error, and gives all files the same.
    assert!(noted(&report, NoteKind::ModeNotKept) >= 4, "{report:#?}");
    let report = run(copy_as(&source, fs.path().join("changed")).names(Names::Portable));
    assert_eq!(refused(&report), expected(&[("link", Refusal::KindNotSupported)]), "{report:#?}");
    assert_eq!(noted(&report, NoteKind::NameChanged), 2);
    assert_tree(&fs.path().join("changed"), "plain=hello second=hello dir/f=3 exec=4 a_b=1 d_e/x=2");
}
