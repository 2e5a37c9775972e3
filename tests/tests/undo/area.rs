//! The kept area: where it is, whose it is, and what it holds for how long.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

use fileops::{NoteKind, OnConflict, Report, Undoable};
use fileops_tests::tree::{assert_tree, make};
use fileops_tests::{
    Knobs, Mount, Options, Tree, alone, as_user, require_fuse, require_root, snapshot, test_name, user_part,
};

use crate::{assert_same, contents, finish, has_note, history, kept_in, redone, replaced, uncached_with, undo, undone};

/// The name of the area in a top directory.
fn area() -> String {
    format!(".fileops-kept-{}", rustix::process::geteuid().as_raw())
}

fn replace(source: &Path, into: &Path) -> Report {
    finish(fileops::copy([source], into).on_conflict(OnConflict::Replace).start())
}

#[test]
fn what_is_kept_is_its_users_alone_and_goes_with_the_undo() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "file=old dir/");
    let id = replaced(source.path("file"), memory.path());
    let meta = fs::symlink_metadata(memory.path().join(area())).expect("it is there");
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o700, rustix::process::geteuid().as_raw()));
    assert_eq!(
        kept_in(memory.path()).iter().map(|path| fs::read_to_string(path).expect("read")).collect::<Vec<_>>(),
        ["old"]
    );
    undone(&id);
    // What was copied is kept for the redo.
    assert_eq!(kept_in(memory.path()).len(), 1);
    let again = redone(&id);
    undone(&again);
    assert_eq!(fs::read_to_string(memory.path().join("file")).expect("read"), "old");
}

/// Something in the place of the area: a name for it, and how it is made.
type Trap = (&'static str, fn(&Path));

#[test]
fn an_area_that_is_a_link_or_somebody_elses_is_not_used() {
    alone!();
    require_root!();
    let traps: [Trap; 4] = [
        ("a link", |path| symlink("elsewhere", path).expect("made")),
        ("somebody else's", |path| {
            fs::create_dir(path).expect("made");
            lchown(path, Some(1234), Some(1234)).expect("given");
        }),
        ("a file", |path| fs::write(path, "theirs").expect("written")),
        ("another file system", |path| fs::create_dir(path).expect("made")),
    ];
    for (what, trap) in traps {
        let (source, memory) = (Tree::new("dir/file=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
        make(memory.path(), "dir/file=old elsewhere/ other/");
        let place = memory.path().join(area());
        trap(&place);
        let other = Mount::tmpfs("size=1m").expect("tmpfs");
        let over = (what == "another file system").then(|| Mount::bind_at(other.path(), &place).expect("mounted"));
        let before = snapshot(memory.path().join("dir"));
        let id = replaced(source.path("dir"), memory.path());
        let kept = kept_in(&memory.path().join("dir"));
        assert_eq!(kept.len(), 1, "{what}: the next directory below is used");
        for dir in [memory.path().join("elsewhere"), other.path().to_owned()] {
            assert_eq!(fs::read_dir(dir).expect("read").count(), 0, "{what}");
        }
        undone(&id);
        let ours = format!("dir/{}", area());
        let found = fileops_tests::differences(&before, &snapshot(memory.path().join("dir")), &Default::default());
        assert!(
            found.iter().all(|line| line.starts_with(&area()) || line.starts_with(".: mtime")),
            "{what}, {ours}: {found:?}"
        );
        drop(over);
    }
}

#[test]
fn an_area_with_open_doors_is_closed() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "file=old");
    let place = memory.path().join(area());
    fs::create_dir(&place).expect("made");
    fs::set_permissions(&place, Permissions::from_mode(0o777)).expect("set");
    replaced(source.path("file"), memory.path());
    assert_eq!(fs::metadata(&place).expect("there").mode() & 0o7777, 0o700);
}

#[test]
fn where_the_top_is_read_only_the_highest_directory_that_may_be_written_to_has_it() {
    user_part!("copy", {
        let into = std::path::PathBuf::from(fileops_tests::user::variable("INTO"));
        let top = into.parent().and_then(Path::parent).expect("above").to_owned();
        let from = fileops_tests::user::variable("FROM");
        let id = replaced(from, &into);
        assert!(!top.join(area()).exists() && !into.join(area()).exists());
        assert_eq!(kept_in(into.parent().expect("above")).len(), 1);
        undone(&id);
        assert_eq!(fs::read_to_string(into.join("file")).expect("read"), "old");
    });
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "mine/deep/file=old");
    fileops_tests::user::give(&memory.path().join("mine"), 1234, 1234);
    fileops_tests::user::give(source.root(), 1234, 1234);
    fs::set_permissions(memory.path(), Permissions::from_mode(0o755)).expect("set");
    let state = Tree::new("");
    fs::set_permissions(state.root(), Permissions::from_mode(0o777)).expect("set");
    let (from, into) = (source.path("file"), memory.path().join("mine/deep"));
    let set = [("FROM", from.as_os_str()), ("INTO", into.as_os_str()), ("XDG_STATE_HOME", state.root().as_os_str())];
    as_user(1234, 1234, test_name!(), "copy", &set);
}

#[test]
fn what_was_replaced_through_a_bind_mount_comes_back() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "dir/deep/file=old");
    let bound = Mount::bind(&memory.path().join("dir")).expect("mounted");
    let before = snapshot(memory.path().join("dir/deep"));
    let id = replaced(source.path("file"), bound.path().join("deep"));
    assert_eq!(kept_in(bound.path()).len(), 1);
    undone(&id);
    assert_same(&memory.path().join("dir/deep"), &before, "undone");
}

#[test]
fn what_was_replaced_in_a_subvolume_comes_back() {
    alone!();
    require_root!();
    fileops_tests::require_filesystem!("btrfs");
    fileops_tests::require_command!("mkfs.btrfs", "btrfs");
    let (source, disk) = (Tree::new("top/file=new top/sub/file=new"), Mount::btrfs(128).expect("btrfs"));
    make(disk.path(), "top/file=old");
    let sub = disk.path().join("top/sub");
    let made = Command::new("btrfs").args(["subvolume", "create"]).arg(&sub).output().expect("runs");
    assert!(made.status.success(), "{made:?}");
    make(&sub, "file=old");
    let before = snapshot(disk.path().join("top"));
    let id = replaced(source.path("top"), disk.path());
    assert_eq!((kept_in(disk.path()).len(), kept_in(&sub).len()), (1, 1));
    undone(&id);
    let found = fileops_tests::differences(&before, &snapshot(disk.path().join("top")), &Default::default());
    let is_area = |line: &String| line.starts_with(&format!("sub/{}", area())) || line.starts_with("sub: mtime");
    assert!(found.iter().all(is_area), "{found:?}");
}

#[test]
fn another_file_system_in_its_place_is_not_taken_for_it() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "dir/file=old");
    let id = replaced(source.path("file"), memory.path().join("dir"));
    let kept = kept_in(memory.path()).pop().expect("one");
    let other = Mount::tmpfs("size=1m").expect("tmpfs");
    // The same names there.
    let forged = other.path().join(kept.file_name().expect("a name"));
    fs::write(&forged, "forged").expect("written");
    let over = Mount::bind_at(other.path(), &memory.path().join(area())).expect("mounted");
    assert!(!undo(&id).failures.is_empty());
    assert_tree(&memory.path().join("dir"), "file=new");
    assert!(forged.exists());
    drop(over);
    undone(&id);
    assert_tree(&memory.path().join("dir"), "file=old");
}

#[test]
fn file_systems_that_cannot_exchange_or_link_bring_back_what_was_replaced() {
    alone!();
    require_fuse!();
    let new = "new/one=new1 new/dir/two=new2 new/fresh/three=new3";
    for (no_rename_flags, no_links) in [(false, true), (true, false), (true, true)] {
        let knobs = Knobs { no_rename_flags, no_links, ..Knobs::default() };
        let (source, target) = (Tree::new(new), uncached_with(Options { knobs, ..Options::default() }));
        make(target.backing(), "into/new/one=old1 into/new/dir/two=old2 into/new/other=stays");
        let (into, backing) = (target.path().join("into"), target.backing().join("into"));
        let before = snapshot(&backing);
        let id = replaced(source.path("new"), &into);
        let after = snapshot(&backing);
        undone(&id);
        assert_same(&backing, &before, "undone");
        let again = redone(&id);
        assert_same(&backing, &after, "redone");
        undone(&again);
        assert_same(&backing, &before, "undone again");
    }
}

#[test]
fn a_file_that_does_not_fit_leaves_the_old_one_and_keeps_nothing() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file#1900000"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "file#1000000 dir/");
    let before = snapshot(memory.path().join("file"));
    let report = replace(&source.path("file"), memory.path());
    assert_eq!(crate::errnos(&report), [libc::ENOSPC], "{report:?}");
    assert_same(&memory.path().join("file"), &before, "the old one");
    assert_eq!((report.id, fs::read_dir(memory.path()).expect("read").count()), (None, 2));
}

#[test]
fn what_is_kept_takes_no_more_than_its_share_and_never_what_was_just_replaced() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file#900000"), Mount::tmpfs("size=4m").expect("tmpfs"));
    make(memory.path(), "file=precious dir/");
    let (file, size) = (memory.path().join("file"), 900_000);
    let mut last = fs::read(&file).expect("read");
    for round in 0..12_u8 {
        let mut text = fileops_tests::tree::noise(size);
        text[0] = round;
        fs::write(source.path("file"), &text).expect("written");
        let report = replace(&source.path("file"), memory.path());
        assert!(report.is_complete() && report.notes.is_empty(), "{round}: {report:?}");
        assert!(contents(&memory.path().join(area())).contains_key(&last), "{round}: the last one is kept");
        last = text;
    }
    let bytes: u64 = kept_in(memory.path()).iter().map(|path| fs::metadata(path).expect("there").len()).sum();
    assert!(bytes <= 2 << 20, "{bytes} bytes are kept");
}

#[test]
fn a_redo_keeps_the_old_file_however_much_that_is() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file#20000000"), Mount::tmpfs("size=48m").expect("tmpfs"));
    make(memory.path(), "file#21000000 dir/");
    let old = fs::read(memory.path().join("file")).expect("read");
    let id = replaced(source.path("file"), memory.path());
    undone(&id);
    // So many that the history is looked through at the next.
    for n in 0.. {
        if history().len() % 16 == 14 {
            break;
        }
        crate::copied(source.path("file"), source.path(format!("{n}")));
        fs::remove_file(source.path(format!("{n}"))).expect("removed");
    }
    let again = redone(&id);
    undone(&again);
    assert!(fs::read(memory.path().join("file")).expect("read") == old, "the old file came back");
}

#[test]
fn so_many_operations_are_remembered_and_no_more() {
    alone!();
    let tree = Tree::new("from=new into=old");
    let mut ids = Vec::new();
    for n in 0..230 {
        fs::write(tree.path("from"), n.to_string()).expect("written");
        let copy = fileops::copy_as(tree.path("from"), tree.path("into")).on_conflict(OnConflict::Replace);
        ids.push(finish(copy.start()).id.expect("done"));
    }
    let past = fileops::history().expect("read");
    assert!((200..=216).contains(&past.len()), "{}", past.len());
    // The newest are there, and each of them brings back what was there before it. An undo is remembered too.
    for (n, id) in ids.iter().enumerate().rev().take(90) {
        undone(id);
        assert_eq!(fs::read_to_string(tree.path("into")).expect("read"), (n - 1).to_string());
    }
}

#[test]
fn what_is_older_than_a_month_goes_with_what_was_kept_for_it() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("file=new"), Mount::tmpfs("size=8m").expect("tmpfs"));
    make(memory.path(), "file=old");
    replaced(source.path("file"), memory.path());
    let path = history().pop().expect("it is there");
    // Its end was long ago, as far as its last record tells.
    let text = fs::read_to_string(&path).expect("read");
    let whole: String =
        text.lines().filter(|line| !line.starts_with("end\t")).map(|line| format!("{line}\n")).collect();
    fs::write(&path, whole).expect("written");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 24 * 3600);
    fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(long_ago)).expect("set");
    assert_eq!(kept_in(memory.path()).len(), 1);
    for n in 0.. {
        if history().len() % 16 == 0 && n > 0 || !path.exists() {
            break;
        }
        crate::copied(source.path("file"), source.path(format!("{n}")));
    }
    assert!(!path.exists() && kept_in(memory.path()).is_empty());
}

#[test]
fn without_undo_nothing_is_kept_and_nothing_is_remembered() {
    alone!();
    require_root!();
    let (source, memory) = (Tree::new("dir/file=new dir/fresh=new"), Mount::tmpfs("size=2m").expect("tmpfs"));
    make(memory.path(), "dir/file=old");
    let copy = fileops::copy([source.path("dir")], memory.path()).on_conflict(OnConflict::Replace);
    let report = finish(copy.undoable(Undoable::No).start());
    assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    assert_eq!(report.id, None);
    assert!(!has_note(&report, NoteKind::NotKept));
    assert_tree(memory.path(), "dir/file=new dir/fresh=new");
    assert_eq!((history().len(), fs::read_dir(crate::state("operations")).expect("read").count()), (0, 0));
}

#[test]
fn operations_at_once_keep_what_they_replace_though_others_tidy_up() {
    alone!();
    require_root!();
    let memory = Mount::tmpfs("size=16m").expect("tmpfs");
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let top = memory.path().to_owned();
            std::thread::spawn(move || {
                let own = format!("new{thread}");
                let source = Tree::new(&format!("file={own}"));
                let into = top.join(thread.to_string());
                make(&top, &format!("{thread}/file=old"));
                for _ in 0..25 {
                    let id = replaced(source.path("file"), &into);
                    undone(&id);
                    assert_eq!(fs::read_to_string(into.join("file")).expect("read"), "old");
                    for path in kept_in(&top) {
                        if fs::read(&path).is_ok_and(|text| text == own.as_bytes()) {
                            // What this one took away: so that the area is empty now and then.
                            let _ = fs::remove_file(path);
                        }
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it went well"));
}
