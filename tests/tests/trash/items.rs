//! What is listed: everything, also what is damaged, and never through a link or for ever.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use fileops::Damage;
use fileops_tests::tree::make;
use fileops_tests::{Action, Fault, Op, Tree, require_fuse, require_root};
use proptest::prelude::*;

use crate::{alone, complete, home_trash, items_in, list, put};

#[test]
fn the_item_that_was_trashed_last_is_listed_first() {
    alone!();
    make(&home_trash(), "files/old=1 files/new=22 files/older=333 info!700/");
    for (name, year) in [("old", "2001"), ("new", "2031"), ("older", "1999")] {
        let text = format!("[Trash Info]\nPath=/somewhere/{name}\nDeletionDate={year}-02-03T04:05:06\n");
        fs::write(home_trash().join(format!("info/{name}.trashinfo")), text).expect("made");
    }
    let items = items_in(&home_trash());
    let seen: Vec<_> = items.iter().map(|item| (item.date.clone().expect("known"), item.size)).collect();
    let date = |year| format!("{year}-02-03T04:05:06");
    assert_eq!(seen, [(date("2031"), Some(2)), (date("2001"), Some(1)), (date("1999"), Some(3))]);
    assert_eq!(items[0].original.as_deref(), Some("/somewhere/new".as_ref()));
    assert_eq!(items[0].id, home_trash().join("info/new.trashinfo"));
}

#[test]
fn nothing_is_made_by_a_look() {
    alone!();
    assert!(items_in(&home_trash()).is_empty());
    assert!(!home_trash().exists());
}

#[test]
fn damaged_items_are_listed_as_damaged() {
    alone!();
    make(&home_trash(), "files/orphan=x files/good=x info!700/");
    let info = |name: &str, text: &[u8], has_file: bool| {
        fs::write(home_trash().join(format!("info/{name}.trashinfo")), text).expect("made");
        if has_file {
            fs::write(home_trash().join("files").join(name), "x").expect("made");
        }
    };
    info("good", b"[Trash Info]\nPath=/a/good\nDeletionDate=2001-02-03T04:05:06\n", true);
    info("gone", b"[Trash Info]\nPath=/a/gone\nDeletionDate=2001-02-03T04:05:06\n", false);
    info("empty", b"", true);
    info("blank", b"\n\n[Trash Info]\nPath=/a/b\n", true);
    info("binary", &[0, 159, 146, 150, b'\n', 0], true);
    info("pathless", b"[Trash Info]\nDeletionDate=2001-02-03T04:05:06\n", true);
    info("upwards", b"[Trash Info]\nPath=../../etc/x\nDeletionDate=2001-02-03T04:05:06\n", true);
    info("nul", b"[Trash Info]\nPath=/a%00b\nDeletionDate=2001-02-03T04:05:06\n", true);
    info("dateless", b"[Trash Info]\nPath=/a/dateless\nno equals sign\n", true);
    info("baddate", b"[Trash Info]\nPath=/a/baddate\nDeletionDate=tomorrow\n", true);
    info("long", &[b'x'; 2 << 20], true);
    let items = items_in(&home_trash());
    let damage = |name: &str| {
        let at = items.iter().find(|item| item.id.file_stem().is_some_and(|stem| stem == name));
        at.unwrap_or_else(|| panic!("{name} is not listed: {items:?}")).damage
    };
    assert_eq!(damage("good"), None);
    assert_eq!(damage("orphan"), Some(Damage::NoInfo));
    assert_eq!(damage("gone"), Some(Damage::NoFile));
    for name in ["empty", "blank", "binary", "pathless", "upwards", "nul", "long"] {
        assert_eq!(damage(name), Some(Damage::BadInfo), "{name}");
    }
    for name in ["dateless", "baddate"] {
        assert_eq!(damage(name), Some(Damage::BadDate), "{name}");
    }
    assert_eq!(items.len(), 12);
}

#[test]
fn what_is_no_file_in_info_is_listed_as_damaged_and_not_waited_for() {
    alone!();
    let outside = Tree::new("secret=[Trash\\sInfo]\\nPath=/a/b\\nDeletionDate=2001-02-03T04:05:06\\n");
    make(&home_trash(), "files/pipe=x files/link=x files/dir=x info/pipe.trashinfo| info/dir.trashinfo/");
    symlink(outside.path("secret"), home_trash().join("info/link.trashinfo")).expect("made");
    let began = Instant::now();
    let items = items_in(&home_trash());
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(items.iter().map(|item| item.damage).collect::<Vec<_>>(), [Some(Damage::BadInfo); 3]);
}

#[test]
fn only_paths_in_a_top_directory_count_there() {
    alone!();
    require_root!();
    let mount = fileops_tests::Mount::tmpfs("size=1m").expect("mounted");
    let trash = crate::own_trash(mount.path());
    make(&trash, "files/in=x files/out=x files/up=x info/");
    let info = |name: &str, path: &str| {
        let text = format!("[Trash Info]\nPath={path}\nDeletionDate=2001-02-03T04:05:06\n");
        fs::write(trash.join(format!("info/{name}.trashinfo")), text).expect("made");
    };
    // The trash crate writes such.
    info("in", &format!("{}/dir/in", mount.path().display()));
    info("out", "/etc/passwd");
    info("up", "dir/../../up");
    for item in items_in(&trash) {
        let is_in = item.id.ends_with("in.trashinfo");
        assert_eq!(item.damage.is_none(), is_in, "{item:?}");
        assert_eq!(item.original.is_some(), is_in);
    }
}

#[test]
fn an_item_is_listed_once_where_its_trash_is_seen_twice() {
    alone!();
    require_root!();
    let mount = fileops_tests::Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "a=x");
    complete(put(&[&mount.path().join("a")]));
    let again = fileops_tests::Mount::bind(mount.path()).expect("bound");
    let is_of = |item: &&fileops::TrashItem| [mount.path(), again.path()].iter().any(|top| item.id.starts_with(top));
    assert_eq!(list().items.iter().filter(is_of).count(), 1);
}

#[test]
fn a_mount_that_does_not_answer_is_named_and_all_others_are_listed() {
    alone!();
    require_fuse!();
    let tree = Tree::new("a=x");
    complete(put(&[&tree.path("a")]));
    let hangs = crate::uncached();
    hangs.add(Fault::new(Op::Any, Action::Hang));
    let began = Instant::now();
    let listing = fileops::block_on(async { fileops::trash_list().patience(Duration::from_millis(500)).await });
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(listing.items.iter().any(|item| item.trash == home_trash()));
    let late: Vec<_> = listing.failures.iter().filter(|error| error.errno() == Some(libc::ETIMEDOUT)).collect();
    assert_eq!(late.iter().map(|error| error.path.as_path()).collect::<Vec<_>>(), [hangs.path()]);
    hangs.clear();
    hangs.release();
}

#[test]
fn no_info_file_makes_the_list_panic() {
    alone!();
    make(&home_trash(), "files/a=x info!700/");
    let line = prop_oneof![
        Just(b"[Trash Info]".to_vec()),
        Just(b"Path=".to_vec()),
        Just(b"DeletionDate=".to_vec()),
        Just(b"2004-08-31T22:32:08".to_vec()),
        Just(b"99999999999999T99:99:99".to_vec()),
        Just(b"%".to_vec()),
        Just(b"/../".to_vec()),
        Just(b"\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    let text = prop::collection::vec(line, 0..12).prop_map(|parts| parts.concat());
    proptest!(ProptestConfig::with_cases(200), |(text in text)| {
        fs::write(home_trash().join("info/a.trashinfo"), &text).expect("made");
        let items = items_in(&home_trash());
        prop_assert_eq!(items.len(), 1);
        if let Some(path) = &items[0].original {
            prop_assert!(path.is_absolute());
        }
    });
}

#[test]
fn ten_thousand_items_are_listed() {
    alone!();
    make(&home_trash(), "files!700/ info!700/");
    let files = home_trash().join("files");
    for n in 0..10_000 {
        File::create(files.join(format!("f{n}"))).expect("made");
    }
    assert_eq!(items_in(&home_trash()).len(), 10_000);
}
