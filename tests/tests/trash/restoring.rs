//! Taking things out of the trash: to where they were, over nothing, and through no link.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fileops::{OnConflict, Refusal, Report, Trashed};
use fileops_tests::snapshot::snapshot;
use fileops_tests::tree::make;
use fileops_tests::{Tree, require_root};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{alone, complete, errnos, home_trash, items_in, names, put, refusals, set};

fn restore_original(path: PathBuf) -> Report {
    fileops::block_on(async { fileops::restore([Trashed::Original(path)]).await })
}

fn restore_with(rule: OnConflict, id: PathBuf) -> Report {
    fileops::block_on(async { fileops::restore([Trashed::Id(id)]).on_conflict(rule).await })
}

#[test]
fn an_item_comes_back_as_it_was() {
    alone!();
    let tree = Tree::new("top/one!640=hello top/dir!750/ top/dir/two#9000 top/link->one top/same=>top/one");
    let _ = xattr::set(tree.path("top/one"), "user.test", b"value");
    let before = snapshot(tree.path("top"));
    complete(put(&[&tree.path("top")]));
    let report = complete(restore_original(tree.path("top"))).report;
    assert_eq!(snapshot(tree.path("top")), before);
    assert_eq!(names(&home_trash()), Default::default());
    let moved = (&report.moved[0].path, &report.moved[0].target);
    assert_eq!(moved, (&home_trash().join("info/top.trashinfo"), &tree.path("top")));
}

#[test]
fn of_several_of_one_path_the_last_comes_back_first() {
    alone!();
    let tree = Tree::new("");
    // In one second, mostly.
    for content in ["first", "second", "third"] {
        fs::write(tree.path("a"), content).expect("made");
        complete(put(&[&tree.path("a")]));
    }
    let all = [(); 3].map(|()| Trashed::Original(tree.path("a")));
    complete(fileops::block_on(async { fileops::restore(all).on_conflict(OnConflict::Rename).await }));
    tree.assert("a=third a\\s(2)=second a\\s(3)=first");
}

#[test]
fn parents_that_are_gone_are_made_again() {
    alone!();
    let tree = Tree::new("a/b/c/file=x keep=y");
    complete(put(&[&tree.path("a/b/c/file")]));
    fs::remove_dir_all(tree.path("a")).expect("removed");
    complete(restore_original(tree.path("a/b/c/file")));
    tree.assert("a/b/c/file=x keep=y");
}

#[test]
fn what_has_the_name_now_is_not_overwritten_unless_that_is_asked_for() {
    alone!();
    for (kind, there) in [("file", "a=new"), ("dir", "a/inside=new"), ("link", "a->nowhere"), ("empty dir", "a/")] {
        let tree = Tree::new("a=old");
        complete(put(&[&tree.path("a")]));
        make(tree.root(), there);
        let id = home_trash().join("info/a.trashinfo");
        let report = restore_with(OnConflict::Fail, id.clone());
        assert_eq!(refusals(&report), [Some(Refusal::Exists)], "{kind}");
        assert_eq!((&report.failures[0].path, &report.failures[0].target), (&id, &Some(tree.path("a"))));
        let skipped = restore_with(OnConflict::Skip, id.clone());
        assert_eq!((skipped.skipped.len(), skipped.failures.len()), (1, 0), "{kind}");
        tree.assert(there);
        assert_eq!(names(&home_trash()).0, set(&["a"]));
        let renamed = complete(restore_with(OnConflict::Rename, id)).report;
        assert_eq!(renamed.moved[0].target, tree.path("a (2)"));
        assert_eq!(fs::read_to_string(tree.path("a (2)")).expect("read"), "old");
    }
}

#[test]
fn a_failed_restore_leaves_no_parents_behind() {
    alone!();
    let tree = Tree::new("a/b/file=x");
    complete(put(&[&tree.path("a/b/file")]));
    let items = items_in(&home_trash());
    // Somebody else takes it out at the last moment.
    fs::remove_dir_all(tree.path("a")).expect("removed");
    fs::rename(home_trash().join("files/file"), home_trash().join("files/other")).expect("moved");
    fs::write(home_trash().join("files/file"), "another").expect("made");
    let report = fileops::block_on(async { fileops::restore(&items).await });
    assert_eq!(refusals(&report), [Some(Refusal::TargetChanged)]);
    tree.assert("");
    fs::remove_file(home_trash().join("files/file")).expect("removed");
    let report = fileops::block_on(async { fileops::restore([Trashed::Id(items[0].id.clone())]).await });
    assert_eq!(errnos(&report), [Some(libc::ENOENT)]);
    tree.assert("");
}

#[test]
fn an_item_is_named_by_its_id_or_by_the_path_of_an_orphan() {
    alone!();
    let tree = Tree::new("a=x");
    complete(put(&[&tree.path("a")]));
    for id in ["info/b.trashinfo", "info/a", "elsewhere/a.trashinfo", "a.trashinfo", "info"] {
        let report = restore_with(OnConflict::Fail, home_trash().join(id));
        assert_eq!(report.failures.len(), 1, "{id}");
    }
    make(&home_trash(), "files/orphan=x");
    let report = restore_with(OnConflict::Fail, home_trash().join("files/orphan"));
    assert_eq!(refusals(&report), [Some(Refusal::Damaged)]);
    complete(restore_with(OnConflict::Fail, home_trash().join("info/a.trashinfo")));
    tree.assert("a=x");
}

#[test]
fn what_only_looks_like_a_trash_is_not_taken_for_one() {
    alone!();
    let tree = Tree::new(
        "evil/files/a=x evil/info/a.trashinfo=[Trash\\sInfo]\\nPath=/tmp/x\\nDeletionDate=2001-02-03T04:05:06\\n",
    );
    let id = tree.path("evil/info/a.trashinfo");
    assert_eq!(errnos(&restore_with(OnConflict::Fail, id.clone())), [Some(libc::EINVAL)]);
    let report = fileops::block_on(async { fileops::trash_delete([Trashed::Id(id)]).await });
    assert_eq!(errnos(&report), [Some(libc::EINVAL)]);
    assert!(tree.path("evil/files/a").exists());
    // Nor is one that has the name of a trash, and is not at the top of anything.
    let named = crate::own_trash(tree.root());
    fs::rename(tree.path("evil"), &named).expect("renamed");
    let text = "[Trash Info]\nPath=x\nDeletionDate=2001-02-03T04:05:06\n";
    fs::write(named.join("info/a.trashinfo"), text).expect("written");
    assert_eq!(errnos(&restore_with(OnConflict::Fail, named.join("info/a.trashinfo"))), [Some(libc::EINVAL)]);
    assert_eq!(errnos(&restore_original(tree.path("x"))), [Some(libc::ENOENT)]);
    assert!(named.join("files/a").exists() && !tree.path("x").exists());
}

#[test]
fn an_old_path_may_be_spelled_by_a_link() {
    alone!();
    let tree = Tree::new("real/a=x way->real");
    complete(put(&[&tree.path("way/a")]));
    complete(restore_original(tree.path("way/a")));
    tree.assert("real/a=x way->real");
}

#[test]
fn a_path_that_was_never_trashed_is_named() {
    alone!();
    let report = restore_original("/no/such/path".into());
    assert_eq!(errnos(&report), [Some(libc::ENOENT)]);
    assert_eq!(report.failures[0].path, Path::new("/no/such/path"));
}

#[test]
fn a_link_on_the_way_back_leads_nowhere() {
    alone!();
    let (tree, outside) = (Tree::new("dir/sub/a=x"), Tree::new("sub/"));
    complete(put(&[&tree.path("dir/sub/a")]));
    fs::remove_dir_all(tree.path("dir")).expect("removed");
    symlink(outside.root(), tree.path("dir")).expect("made");
    let report = restore_original(tree.path("dir/sub/a"));
    assert_eq!(errnos(&report), [Some(libc::ELOOP)], "{report:?}");
    outside.assert("sub/");
    assert_eq!(names(&home_trash()).0, set(&["a"]));
}

#[test]
fn directories_that_are_swapped_all_the_time_lead_nowhere_else() {
    alone!();
    let outside = Tree::new("sub/file=kept");
    let end = Instant::now() + Duration::from_secs(2);
    let (mut put_away, mut brought_back) = (0, 0);
    while Instant::now() < end {
        let tree = Tree::new("top/dir/sub/a=x top/dir/b=y");
        symlink(outside.root(), tree.path("top/link")).expect("made");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, tree.path("top/dir"), CWD, tree.path("top/link"), RenameFlags::EXCHANGE);
                }
            });
            // Whatever it can take of what is swapped there.
            for _ in 0..20 {
                put_away += put(&[&tree.path("top/dir")]).entries;
                let mine: Vec<_> = items_in(&home_trash());
                let report = fileops::block_on(async { fileops::restore(&mine).on_conflict(OnConflict::Rename).await });
                brought_back += report.entries;
            }
            is_over.store(true, Ordering::Relaxed);
        });
        outside.assert("sub/file=kept");
        let _ = fs::remove_dir_all(home_trash());
    }
    println!("seen: {put_away} put, {brought_back} back");
    assert!(put_away > 0 && brought_back > 0);
}

#[test]
fn a_way_back_that_is_swapped_for_a_link_leads_nowhere_else() {
    alone!();
    let outside = Tree::new("sub/deep/");
    let end = Instant::now() + Duration::from_secs(2);
    let mut restored = 0;
    while Instant::now() < end {
        let tree = Tree::new("dir/sub/deep/a=x");
        complete(put(&[&tree.path("dir/sub/deep/a")]));
        symlink(outside.root(), tree.path("link")).expect("made");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, tree.path("dir"), CWD, tree.path("link"), RenameFlags::EXCHANGE);
                }
            });
            for _ in 0..50 {
                let report = restore_with(OnConflict::Fail, home_trash().join("info/a.trashinfo"));
                restored += report.entries;
                if report.failures.is_empty() {
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        outside.assert("sub/deep/");
        let _ = fs::remove_dir_all(home_trash());
    }
    println!("seen: {restored} restored");
    assert!(restored > 0);
}

#[test]
fn an_item_whose_place_is_on_another_mount_now_stays_in_the_trash() {
    alone!();
    require_root!();
    let tree = Tree::new("dir/sub/a=x");
    complete(put(&[&tree.path("dir/sub/a")]));
    let other = Tree::new("");
    let mount = fileops_tests::Mount::bind_at(other.root(), &tree.path("dir")).expect("bound");
    assert_eq!(errnos(&restore_original(tree.path("dir/sub/a"))), [Some(libc::EXDEV)]);
    // What was made on the way is gone again.
    other.assert("");
    make(other.root(), "keeps_the_mount_point=x");
    drop(mount);
    complete(restore_original(tree.path("dir/sub/a")));
    tree.assert("dir/sub/a=x");
}
