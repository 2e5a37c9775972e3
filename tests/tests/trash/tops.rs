//! Which trash serves a path: at the top of every mount, and never one that is not to be trusted.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use fileops::Refusal;
use fileops_tests::tree::{assert_tree, make};
use fileops_tests::user::{give, variable};
use fileops_tests::{Mount, Tree, as_user, require_command, require_fuse, require_root, test_name, user_part};

use crate::{alone, complete, errnos, home_trash, items_in, names, own_trash, path_in, put, refusals, set, user};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o7777
}

#[test]
fn another_mount_has_its_own_trash_with_relative_paths() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "dir/sub/a\\sfile=x");
    complete(put(&[&mount.path().join("dir/sub/a file")]));
    let trash = own_trash(mount.path());
    assert_eq!(path_in(&trash.join("info/a file.trashinfo")), Path::new("dir/sub/a file"));
    assert_eq!([&trash, &trash.join("files"), &trash.join("info")].map(|dir| mode(dir)), [0o700; 3]);
    assert!(!home_trash().exists(), "a trash that cannot serve was made");
    let items = items_in(&trash);
    assert_eq!(items[0].original, Some(mount.path().join("dir/sub/a file")));
    complete(fileops::block_on(async { fileops::restore(&items).await }));
    assert_eq!(fs::read_to_string(mount.path().join("dir/sub/a file")).expect("it is back"), "x");
    assert_eq!(names(&trash), Default::default());
}

#[test]
fn a_sticky_directory_of_the_administrators_is_used_first() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), ".Trash!1777/ a=x");
    complete(put(&[&mount.path().join("a")]));
    let trash = mount.path().join(format!(".Trash/{}", user()));
    assert_eq!(mode(&trash), 0o700);
    assert_eq!(path_in(&trash.join("info/a.trashinfo")), Path::new("a"));
    assert!(!own_trash(mount.path()).exists());
    let items = items_in(&trash);
    assert_eq!(items[0].original, Some(mount.path().join("a")));
}

#[test]
fn a_directory_of_the_administrators_that_is_not_sticky_or_a_link_is_not_used() {
    alone!();
    require_root!();
    for prepare in [0, 1, 2, 3] {
        let mount = Mount::tmpfs("size=1m").expect("mounted");
        make(mount.path(), "a=x else!1777/ else/0/files/old=x else/0/info/old.trashinfo=[Trash\\sInfo]\\nPath=old\\n");
        let shared = mount.path().join(".Trash");
        match prepare {
            0 => make(&shared, "0/files/ 0/info/"),
            1 => symlink("else", &shared).expect("made"),
            2 => fs::write(&shared, "no directory").expect("made"),
            _ => {
                make(mount.path(), ".Trash!1777/");
                symlink("../else/0", shared.join("0")).expect("made");
            }
        }
        complete(put(&[&mount.path().join("a")]));
        assert_eq!(names(&own_trash(mount.path())).0, set(&["a"]), "{prepare}");
        assert_tree(&mount.path().join("else"), "0/files/old=x 0/info/old.trashinfo=[Trash\\sInfo]\\nPath=old\\n");
        // What is in it is not listed either.
        let listed: Vec<_> = crate::list().items.into_iter().filter(|item| item.id.starts_with(mount.path())).collect();
        assert_eq!(listed.len(), 1, "{prepare}: {listed:?}");
    }
}

#[test]
fn a_trash_that_is_a_link_or_somebody_elses_is_refused() {
    alone!();
    require_root!();
    let outside = Tree::new("files/ info/");
    for is_link in [true, false] {
        let mount = Mount::tmpfs("size=1m").expect("mounted");
        make(mount.path(), "a=x");
        match is_link {
            true => symlink(outside.root(), own_trash(mount.path())).expect("made"),
            false => {
                make(&own_trash(mount.path()), "files/ info/");
                give(&own_trash(mount.path()), 1000, 1000);
            }
        }
        assert_eq!(refusals(&put(&[&mount.path().join("a")])), [Some(Refusal::NoTrash)]);
        assert_eq!(fs::read_to_string(mount.path().join("a")).expect("it is there"), "x");
        outside.assert("files/ info/");
    }
}

#[test]
fn where_no_trash_can_be_nothing_is_deleted_instead() {
    user_part!("put", {
        let dir = variable("DIR");
        let report = put(&[&Path::new(&dir).join("a")]);
        assert_eq!(refusals(&report), [Some(Refusal::NoTrash)], "{report:?}");
    });
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "a=x mine!777/ mine/a=y");
    mount.remount("ro").expect("read-only");
    assert_eq!(refusals(&put(&[&mount.path().join("a")])), [Some(Refusal::NoTrash)]);
    mount.remount("rw").expect("writable");
    fs::set_permissions(mount.path(), Permissions::from_mode(0o755)).expect("closed");
    let (dir, data) = (mount.path().join("mine"), home_trash());
    as_user(1000, 1000, test_name!(), "put", &[("DIR", dir.as_os_str()), ("XDG_DATA_HOME", data.as_os_str())]);
    assert_tree(mount.path(), "a=x mine/a=y");
    let report = put(&[Path::new("/proc/self/status")]);
    assert_eq!(refusals(&report), [Some(Refusal::NoTrash)], "{report:?}");
}

#[test]
fn another_users_trash_and_its_contents_are_refused() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), ".Trash-1000/files/a=x .Trash!1777/ .Trash/1000/files/b=y sub/.Trash-1000/c=z");
    for path in [".Trash-1000", ".Trash-1000/files/a", ".Trash", ".Trash/1000", ".Trash/1000/files/b"] {
        assert_eq!(refusals(&put(&[&mount.path().join(path)])), [Some(Refusal::IsTrash)], "{path}");
    }
    // Only at the top it is a trash.
    complete(put(&[&mount.path().join("sub/.Trash-1000")]));
    assert!(mount.path().join(".Trash-1000/files/a").exists());
}

#[test]
fn a_bind_mount_has_its_own_trash_though_the_device_is_that_of_home() {
    alone!();
    require_root!();
    let tree = Tree::new("real/dir/file=x");
    let bound = Mount::bind(&tree.path("real")).expect("bound");
    complete(put(&[&bound.path().join("dir/file")]));
    let trash = own_trash(bound.path());
    assert_eq!(path_in(&trash.join("info/file.trashinfo")), Path::new("dir/file"));
    assert_eq!(names(&home_trash()), Default::default());
    let items = items_in(&trash);
    complete(fileops::block_on(async { fileops::restore(&items).await }));
    assert_eq!(fs::read_to_string(tree.path("real/dir/file")).expect("it is back"), "x");
}

#[test]
fn a_btrfs_subvolume_has_its_own_trash() {
    alone!();
    require_root!();
    require_command!("mkfs.btrfs", "btrfs");
    let mount = Mount::btrfs(128).expect("mounted");
    let made = Command::new("btrfs").args(["subvolume", "create"]).arg(mount.path().join("sub")).output();
    assert!(made.expect("runs").status.success());
    make(mount.path(), "plain/a=1 sub/dir/b=2");
    complete(put(&[&mount.path().join("plain/a"), &mount.path().join("sub/dir/b")]));
    assert_eq!(path_in(&own_trash(mount.path()).join("info/a.trashinfo")), Path::new("plain/a"));
    let inside = own_trash(&mount.path().join("sub"));
    assert_eq!(path_in(&inside.join("info/b.trashinfo")), Path::new("dir/b"));
    let sub = mount.path().join("sub/dir/b");
    complete(fileops::block_on(async { fileops::restore([fileops::Trashed::Original(sub.clone())]).await }));
    assert_eq!(fs::read_to_string(sub).expect("it is back"), "2");
    // The subvolume itself goes to the trash around it.
    complete(put(&[&mount.path().join("sub")]));
    assert!(own_trash(mount.path()).join("files/sub/dir").is_dir());
}

#[test]
fn a_fuse_file_system_has_its_own_trash() {
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    make(fs.backing(), "dir/a=x b=y");
    complete(put(&[&fs.path().join("dir"), &fs.path().join("b")]));
    let trash = own_trash(fs.path());
    assert_eq!(names(&trash).0, set(&["b", "dir"]));
    complete(fileops::block_on(async { fileops::restore(items_in(&trash)).await }));
    assert_eq!(fs::read_to_string(fs.backing().join("dir/a")).expect("it is back"), "x");
}

#[test]
fn a_file_system_without_links_and_flags_of_rename_has_a_trash_too() {
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    fs.knobs(|knobs| (knobs.no_rename_flags, knobs.no_links) = (true, true));
    make(fs.backing(), "dir/a=x b=y c/b=z");
    let paths = ["dir", "b", "c/b"].map(|path| fs.path().join(path));
    complete(put(&paths.each_ref().map(|path| path.as_path())));
    let trash = own_trash(fs.path());
    assert_eq!(names(&trash), (set(&["b", "b (2)", "dir"]), set(&["b.trashinfo", "b (2).trashinfo", "dir.trashinfo"])));
    complete(fileops::block_on(async { fileops::restore(items_in(&trash)).await }));
    assert_tree(&fs.backing().join("c"), "b=z");
}

#[test]
fn an_overlay_has_its_own_trash() {
    alone!();
    require_root!();
    let tree = Tree::new("dir/low=x");
    let mount = Mount::overlay(tree.root()).expect("mounted");
    make(mount.path(), "dir/up=y");
    complete(put(&[&mount.path().join("dir/low"), &mount.path().join("dir/up")]));
    assert_eq!(names(&own_trash(mount.path())).0, set(&["low", "up"]));
    assert_eq!(errnos(&put(&[&mount.path().join("missing")])), [Some(libc::ENOENT)]);
    tree.assert("dir/low=x");
}
