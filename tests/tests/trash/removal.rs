//! Deleting what is in the trash for good. No test here empties a trash that is not of its own: it is another user's then,
//! or only what is older than anything there could be.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use fileops::{Outcome, Trashed};
use fileops_tests::tree::make;
use fileops_tests::user::{give, variable};
use fileops_tests::{
    Action, Fault, Op, Tree, as_user, require_command, require_fuse, require_root, test_name, user_part,
};
use std::time::Duration;

use crate::{alone, complete, errnos, home_trash, items_in, names, put, set};

/// Nobody has trashed anything in the seventies; tests say that they did.
const DECADES: u32 = 40 * 365;

/// Something trashed long ago.
fn old(name: &str) {
    let text = format!("[Trash Info]\nPath=/somewhere/{name}\nDeletionDate=1972-02-03T04:05:06\n");
    fs::write(home_trash().join(format!("info/{name}.trashinfo")), text).expect("made");
}

#[test]
fn single_items_are_deleted_with_their_info_files_and_all_others_stay() {
    alone!();
    let tree = Tree::new("dir/deep/file=x file=y keep=z");
    complete(put(&[&tree.path("dir"), &tree.path("file"), &tree.path("keep")]));
    make(&home_trash(), "files/orphan/file=x");
    fs::write(home_trash().join("info/gone.trashinfo"), "").expect("made");
    let ids = ["info/dir.trashinfo", "info/file.trashinfo", "files/orphan", "info/gone.trashinfo"];
    let ids = ids.map(|id| Trashed::Id(home_trash().join(id)));
    let report = complete(fileops::block_on(async { fileops::trash_delete(ids).await })).report;
    assert_eq!(names(&home_trash()), (set(&["keep"]), set(&["keep.trashinfo"])));
    assert_eq!((report.directories, report.files), (3, 3));
    assert!(
        !home_trash().join("directorysizes").exists()
            || fs::read(home_trash().join("directorysizes")).expect("read").is_empty()
    );
}

#[test]
fn an_item_that_is_another_one_now_is_not_deleted() {
    alone!();
    let tree = Tree::new("a=first");
    complete(put(&[&tree.path("a")]));
    let items = items_in(&home_trash());
    complete(fileops::block_on(async { fileops::restore(&items).await }));
    fs::write(tree.path("other"), "second").expect("made");
    fs::rename(tree.path("a"), tree.path("first")).expect("moved");
    fs::rename(tree.path("other"), tree.path("a")).expect("moved");
    complete(put(&[&tree.path("a")]));
    let report = fileops::block_on(async { fileops::trash_delete(&items).await });
    assert_eq!(errnos(&report), [Some(libc::ESTALE)]);
    assert_eq!(fs::read_to_string(home_trash().join("files/a")).expect("there"), "second");
}

#[test]
fn what_a_trashed_link_points_to_stays() {
    alone!();
    let tree = Tree::new("outside/file=x link->outside dir/link->../outside");
    complete(put(&[&tree.path("link"), &tree.path("dir")]));
    symlink(tree.path("outside"), home_trash().join("files/orphan")).expect("made");
    complete(fileops::block_on(async { fileops::trash_delete(items_in(&home_trash())).await }));
    tree.assert("outside/file=x");
    assert_eq!(names(&home_trash()), Default::default());
}

#[test]
fn only_what_is_older_goes_and_what_has_no_date_stays() {
    alone!();
    make(&home_trash(), "files/old=x files/tree/file=y files/new=z files/orphan=o files/dateless=d info!700/");
    old("old");
    old("tree");
    old("gone");
    fs::write(home_trash().join("info/dateless.trashinfo"), "[Trash Info]\nPath=/a\n").expect("made");
    let tree = Tree::new("new=z");
    complete(put(&[&tree.path("new")]));
    complete(fileops::block_on(async { fileops::empty_trash().older_than(DECADES).await }));
    assert_eq!(names(&home_trash()).0, set(&["new", "new (2)", "orphan", "dateless"]));
    assert_eq!(names(&home_trash()).1, set(&["new (2).trashinfo", "dateless.trashinfo"]));
}

#[test]
fn an_empty_trash_has_nothing_left_in_any_folder() {
    user_part!("empty", {
        let (dir, data) = (variable("DIR"), variable("XDG_DATA_HOME"));
        let (dir, trash) = (Path::new(&dir), Path::new(&data).join("Trash"));
        let own = crate::own_trash(dir);
        complete(put(&[&dir.join("a"), &dir.join("tree"), &Path::new(&data).join("home")]));
        make(&trash, "files/orphan/file=x info/gone.trashinfo=x");
        assert_eq!((names(&own).0.len(), names(&trash).0.len()), (2, 2));
        let report = complete(fileops::block_on(async { fileops::empty_trash().await })).report;
        assert_eq!((names(&own), names(&trash)), Default::default());
        assert_eq!(report.files, 5);
        assert!(items_in(&own).is_empty());
    });
    alone!();
    require_root!();
    let mount = fileops_tests::Mount::tmpfs("size=2m").expect("mounted");
    make(mount.path(), "a=x tree/read!555/ tree/read/file=x tree/none=y");
    let home = Tree::new("home=x");
    // Of a user that has no other trash.
    for path in [mount.path(), home.root()] {
        give(path, 54_321, 54_321);
    }
    let set = [("DIR", mount.path()), ("XDG_DATA_HOME", home.root()), ("XDG_STATE_HOME", home.root())];
    let set = set.map(|(name, path)| (name, path.as_os_str()));
    as_user(54_321, 54_321, test_name!(), "empty", &set);
}

#[test]
fn what_cannot_be_deleted_stays_an_item_and_all_else_goes() {
    alone!();
    require_root!();
    require_command!("mkfs.ext4", "chattr");
    let mount = fileops_tests::Mount::ext4(32).expect("mounted");
    make(mount.path(), "a/fixed=x a/other=y b=z");
    complete(put(&[&mount.path().join("a"), &mount.path().join("b")]));
    let trash = crate::own_trash(mount.path());
    let fixed = trash.join("files/a/fixed");
    let chattr = |flag: &str| assert!(Command::new("chattr").arg(flag).arg(&fixed).status().expect("runs").success());
    chattr("+i");
    let report = fileops::block_on(async { fileops::trash_delete(items_in(&trash)).await });
    chattr("-i");
    assert_eq!(errnos(&report), [Some(libc::EPERM)]);
    assert_eq!(report.failures[0].path, fixed);
    assert_eq!(names(&trash), (set(&["a"]), set(&["a.trashinfo"])));
    assert!(!trash.join("files/a/other").exists());
    complete(fileops::block_on(async { fileops::restore(items_in(&trash)).await }));
    assert!(mount.path().join("a/fixed").exists());
}

#[test]
fn a_cancel_ends_it_and_what_was_not_reached_is_whole() {
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    make(fs.backing(), "1=x 2=x 3=x 4=x");
    let paths = ["1", "2", "3", "4"].map(|name| fs.path().join(name));
    complete(put(&paths.each_ref().map(|path| path.as_path())));
    let trash = crate::own_trash(fs.path());
    let items = items_in(&trash);
    fs.add(Fault::new(Op::Unlink, Action::Hang).nth(3));
    let operation = fileops::trash_delete(items).jobs(1).start();
    assert!(fs.wait_hanging(1, Duration::from_secs(20)));
    operation.cancel();
    fs.release();
    assert_eq!(operation.wait().outcome, Outcome::Cancelled);
    let (files, infos) = names(&trash);
    assert!((2..=3).contains(&files.len()), "{files:?}");
    assert!(files.iter().all(|name| infos.contains(&format!("{name}.trashinfo"))));
}
