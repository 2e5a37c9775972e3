//! What is put into the home trash, and what is not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use fileops::Refusal;
use fileops_tests::snapshot::snapshot;
use fileops_tests::tree::make;
use fileops_tests::user::{give, variable};
use fileops_tests::{Mount, Tree, as_user, require_root, test_name, user_part};

use crate::{alone, complete, errnos, home_trash, line_of, list, names, path_in, put, refusals, set};

#[test]
fn what_is_trashed_is_in_files_and_its_old_path_in_info() {
    alone!();
    let tree = Tree::new("a\\sb/file=x a\\sb/link->file keep=y");
    let report = complete(put(&[&tree.path("a b")])).report;
    tree.assert("keep=y");
    let info = home_trash().join("info/a b.trashinfo");
    assert_eq!(fs::read_to_string(home_trash().join("files/a b/file")).expect("read"), "x");
    assert!(fs::read_to_string(&info).expect("read").starts_with("[Trash Info]\nPath=/"));
    assert_eq!(path_in(&info), tree.root().canonicalize().expect("there").join("a b"));
    let date = line_of(&info, "DeletionDate=");
    assert!(date.len() == 19 && date.as_bytes()[10] == b'T', "{date}");
    assert_eq!((report.entries, report.directories), (1, 1));
    assert_eq!((&report.moved[0].path, &report.moved[0].target), (&tree.path("a b"), &info));
}

#[test]
fn the_date_is_that_of_the_clock_of_this_place() {
    alone!();
    if std::env::var_os("TZ").is_none() {
        // The other way round, a wrong zone would be seen in half of the year only.
        let mut again = std::process::Command::new(std::env::current_exe().expect("a program"));
        again.args(["--exact", test_name!()]).env("TZ", "Etc/GMT-14");
        assert!(again.status().expect("runs").success());
        return;
    }
    let tree = Tree::new("a=x");
    let now = || std::process::Command::new("date").arg("+%Y-%m-%dT%H:%M:%S").env("TZ", "Etc/GMT-14").output();
    let now = || String::from_utf8(now().expect("runs").stdout).expect("ASCII").trim().to_owned();
    let before = now();
    complete(put(&[&tree.path("a")]));
    let date = line_of(&home_trash().join("info/a.trashinfo"), "DeletionDate=");
    assert!(before <= date && date <= now(), "{before} {date}");
    assert_eq!(
        list().items.iter().find(|item| item.id.ends_with("a.trashinfo")).and_then(|item| item.date.clone()),
        Some(date)
    );
}

#[test]
fn every_byte_of_a_name_is_kept() {
    alone!();
    let tree = Tree::new("");
    let mut odd: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
    let late = odd.split_off(128);
    for name in [&odd, &late] {
        let path = tree.path(OsStr::from_bytes(name));
        fs::write(&path, "x").expect("made");
        let report = complete(put(&[&path])).report;
        let info = &report.moved[0].target;
        assert_eq!(
            path_in(info),
            path.canonicalize().unwrap_or(tree.root().canonicalize().expect("there").join(OsStr::from_bytes(name)))
        );
        assert_eq!(info.file_stem(), Some(OsStr::from_bytes(name)));
    }
}

#[test]
fn what_is_trashed_stays_as_it_was() {
    alone!();
    let tree = Tree::new("top/one!640=hello top/dir!750/ top/dir/two#9000 top/link->one top/same=>top/one");
    let _ = xattr::set(tree.path("top/one"), "user.test", b"value");
    let _ = xattr::set(tree.path("top"), "user.test", b"value");
    let before = snapshot(tree.path("top"));
    complete(put(&[&tree.path("top")]));
    assert_eq!(snapshot(home_trash().join("files/top")), before);
}

#[test]
fn a_symbolic_link_is_trashed_itself() {
    alone!();
    let tree = Tree::new("target/file=x link->target broken->nothing");
    complete(put(&[&tree.path("link/"), &tree.path("broken")]));
    tree.assert("target/file=x");
    assert_eq!(fs::read_link(home_trash().join("files/link")).expect("a link"), Path::new("target"));
    assert!(home_trash().join("files/broken").is_symlink());
}

#[test]
fn a_link_on_the_way_is_recorded_as_what_it_leads_to() {
    alone!();
    let tree = Tree::new("real/file=x way->real");
    complete(put(&[&tree.path("way/file")]));
    let real = tree.root().canonicalize().expect("there").join("real/file");
    assert_eq!(path_in(&home_trash().join("info/file.trashinfo")), real);
}

#[test]
fn things_of_one_name_get_names_of_their_own() {
    alone!();
    let tree = Tree::new("a/x.txt=1 b/x.txt=2 c/x.txt=3");
    let paths = ["a/x.txt", "b/x.txt", "c/x.txt"].map(|path| tree.path(path));
    complete(put(&paths.each_ref().map(|path| path.as_path())));
    let (files, infos) = names(&home_trash());
    assert_eq!(files, set(&["x.txt", "x (2).txt", "x (3).txt"]));
    assert_eq!(infos, set(&["x.txt.trashinfo", "x (2).txt.trashinfo", "x (3).txt.trashinfo"]));
    for name in files {
        let content = fs::read_to_string(home_trash().join("files").join(&name)).expect("read");
        let original = path_in(&home_trash().join("info").join(format!("{name}.trashinfo")));
        let of = original.parent().and_then(Path::file_name).expect("a directory");
        assert_eq!(
            content,
            ["a", "b", "c"]
                .map(|dir| (of == dir) as u8)
                .iter()
                .position(|&is| is == 1)
                .map(|at| (at + 1).to_string())
                .expect("one")
        );
    }
}

#[test]
fn a_thing_without_an_info_file_is_never_overwritten() {
    alone!();
    make(&home_trash(), "files/a=orphan files/dir/file=orphan info!700/");
    let tree = Tree::new("a=mine dir/file=mine");
    complete(put(&[&tree.path("a"), &tree.path("dir")]));
    let read = |path: &str| fs::read_to_string(home_trash().join("files").join(path)).expect("read");
    assert_eq!([read("a"), read("a (2)")], ["orphan", "mine"]);
    assert_eq!([read("dir/file"), read("dir (2)/file")], ["orphan", "mine"]);
    assert_eq!(names(&home_trash()).1, set(&["a (2).trashinfo", "dir (2).trashinfo"]));
}

#[test]
fn an_info_file_without_a_thing_is_never_overwritten() {
    alone!();
    make(&home_trash(), "files!700/ info/a.trashinfo=somebody's");
    let tree = Tree::new("a=mine");
    complete(put(&[&tree.path("a")]));
    assert_eq!(fs::read_to_string(home_trash().join("info/a.trashinfo")).expect("read"), "somebody's");
    assert_eq!(names(&home_trash()).0, set(&["a (2)"]));
}

#[test]
fn a_name_that_leaves_no_room_is_trashed_under_a_shorter_one() {
    alone!();
    let tree = Tree::new("");
    for name in ["n".repeat(255), format!("{}.txt", "ä".repeat(125))] {
        let path = tree.path(&name);
        fs::write(&path, "x").expect("made");
        let moved = complete(put(&[&path])).report.moved.clone();
        let short = moved[0].target.file_name().expect("a name");
        assert!(short.len() <= 255 && short.to_str().is_some_and(|name| name.ends_with(".trashinfo")));
        assert_eq!(path_in(&moved[0].target).file_name(), Some(OsStr::new(&name)));
        complete(fileops::block_on(async { fileops::restore([fileops::Trashed::Id(moved[0].target.clone())]).await }));
        assert_eq!(fs::read_to_string(&path).expect("it is back"), "x");
    }
}

#[test]
fn new_trash_directories_are_for_their_owner_alone() {
    alone!();
    let tree = Tree::new("a=x");
    complete(put(&[&tree.path("a")]));
    for dir in ["", "files", "info"] {
        let mode = fs::metadata(home_trash().join(dir)).expect("made").permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{dir}");
    }
    assert_eq!(fs::metadata(home_trash().join("info/a.trashinfo")).expect("made").mode() & 0o7777, 0o600);
}

#[test]
fn paths_that_name_no_entry_are_refused() {
    alone!();
    let tree = Tree::new("a/b/file=x");
    for path in [tree.path("a/."), tree.path("a/b/.."), ".".into(), "..".into(), "/".into(), tree.path("a/./")] {
        assert_eq!(refusals(&put(&[&path])), [Some(Refusal::NoName)], "{}", path.display());
    }
    assert_eq!(errnos(&put(&[Path::new(""), &tree.path("missing")])), [Some(libc::ENOENT); 2]);
    tree.assert("a/b/file=x");
    assert_eq!(names(&home_trash()), Default::default());
}

#[test]
fn the_trash_and_what_is_in_and_around_it_is_refused() {
    alone!();
    let tree = Tree::new("a=x dir/inside=y");
    complete(put(&[&tree.path("a"), &tree.path("dir")]));
    let before = snapshot(home_trash());
    let trash = home_trash();
    let data = trash.parent().expect("it is in one");
    let all = ["", "files", "files/a", "files/dir/inside", "info/a.trashinfo"].map(|path| trash.join(path));
    for path in all.iter().map(|path| path.as_path()).chain([data, data.parent().expect("a home")]) {
        assert_eq!(refusals(&put(&[path])), [Some(Refusal::IsTrash)], "{}", path.display());
    }
    assert_eq!(snapshot(home_trash()), before);
}

#[test]
fn a_mount_point_and_what_has_one_inside_is_refused() {
    alone!();
    require_root!();
    let tree = Tree::new("point/ around/deep/point/ around/file=x kept/file=y file=z");
    let one = Mount::bind_at(&tree.path("kept"), &tree.path("point")).expect("bound");
    let other = Mount::bind_at(&tree.path("kept"), &tree.path("around/deep/point")).expect("bound");
    let file = Mount::bind_at(&tree.path("kept/file"), &tree.path("file")).expect("bound");
    for path in ["point", "around", "around/deep", "file"] {
        assert_eq!(refusals(&put(&[&tree.path(path)])), [Some(Refusal::MountPoint)], "{path}");
    }
    // An empty mount point goes with its mount.
    drop((one, other, file));
    tree.assert("around/deep/ around/file=x kept/file=y file=z");
    assert_eq!(names(&home_trash()), Default::default());
}

#[test]
fn a_read_only_directory_is_trashed_and_keeps_its_mode() {
    user_part!("put", {
        let (dir, data) = (variable("DIR"), variable("XDG_DATA_HOME"));
        complete(put(&[&Path::new(&dir).join("closed")]));
        let trash = Path::new(&data).join("Trash");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
        assert_eq!(mode(&trash.join("files/closed")), 0o555);
        let id = fileops::Trashed::Id(trash.join("info/closed.trashinfo"));
        complete(fileops::block_on(async { fileops::restore([id]).await }));
        assert_eq!(mode(&Path::new(&dir).join("closed")), 0o555);
    });
    alone!();
    require_root!();
    let tree = Tree::new("dir/closed!555/ dir/closed/file=x data/");
    give(tree.root(), 1000, 1000);
    let set = [("DIR", tree.path("dir")), ("XDG_DATA_HOME", tree.path("data")), ("XDG_STATE_HOME", tree.path("state"))];
    let set = set.each_ref().map(|(name, path)| (*name, path.as_os_str()));
    as_user(1000, 1000, test_name!(), "put", &set);
    tree.path("dir/closed/file").metadata().expect("it is back");
}

#[test]
fn a_directory_that_may_not_be_written_keeps_its_entry() {
    user_part!("put", {
        let dir = variable("DIR");
        let report = put(&[&Path::new(&dir).join("roots")]);
        assert_eq!(errnos(&report), [Some(libc::EACCES)], "{report:?}");
        assert_eq!(names(&home_trash()), Default::default());
    });
    alone!();
    require_root!();
    let tree = Tree::new("dir/roots=x data/");
    give(&tree.path("data"), 1000, 1000);
    let set =
        [("DIR", tree.path("dir")), ("XDG_DATA_HOME", tree.path("data")), ("XDG_STATE_HOME", tree.path("data/state"))];
    let set = set.each_ref().map(|(name, path)| (*name, path.as_os_str()));
    as_user(1000, 1000, test_name!(), "put", &set);
    tree.path("dir/roots").metadata().expect("it is there");
}

#[test]
fn a_home_trash_that_is_a_link_or_somebody_elses_is_not_used() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "data/ else/ a=x b=y");
    // The data home is on the same mount: the home trash would serve.
    for (name, prepare) in [("a", true), ("b", false)] {
        let trash = mount.path().join("data/Trash");
        match prepare {
            true => symlink(mount.path().join("else"), &trash).expect("made"),
            false => {
                fs::remove_file(&trash).expect("removed");
                make(&trash, "files/ info/");
                give(&trash, 1000, 1000);
            }
        }
        let path = mount.path().join(name);
        let set = [("PUT", path.as_os_str()), ("XDG_DATA_HOME", &mount.path().join("data").into_os_string())];
        let mut part = crate::part("put::put_part", "put", &set);
        assert!(part.status().expect("runs").success(), "{name}");
        assert!(crate::own_trash(mount.path()).join("files").join(name).exists());
    }
    assert_eq!(fs::read_dir(mount.path().join("else")).expect("read").count(), 0);
    assert_eq!(names(&mount.path().join("data/Trash")), Default::default());
}

/// Puts what it is told, in a process of its own: for other tests.
#[test]
fn put_part() {
    user_part!("put", {
        complete(put(&[Path::new(&variable("PUT"))]));
    });
}

#[test]
fn the_sizes_of_directories_are_kept() {
    alone!();
    make(&home_trash(), "files/gone/ info!700/ directorysizes=4096\\s7\\sgone\\nrubbish\\n");
    let tree = Tree::new("big\\sone/a#100000 big\\sone/b#5000 file=x");
    complete(put(&[&tree.path("big one"), &tree.path("file")]));
    let du = std::process::Command::new("du").args(["-s", "-B1"]).arg(home_trash().join("files/big one")).output();
    let du = String::from_utf8(du.expect("runs").stdout).expect("text");
    let size = du.split('\t').next().expect("a number").to_owned();
    let mtime = fs::metadata(home_trash().join("info/big one.trashinfo")).expect("there").mtime();
    let text = || fs::read_to_string(home_trash().join("directorysizes")).unwrap_or_default();
    assert_eq!(text(), format!("{size} {mtime} big%20one\n"));
    let items = crate::items_in(&home_trash());
    let item = items.iter().find(|item| item.is_dir && item.damage.is_none()).expect("listed");
    assert_eq!(item.size.map(|size| size.to_string()), Some(size));
    complete(fileops::block_on(async { fileops::restore([item]).await }));
    assert_eq!(text(), "");
}

#[test]
fn a_full_disk_is_no_obstacle_while_there_is_room_for_the_info_file() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "big#900000 dir/file=x");
    complete(put(&[&mount.path().join("dir")]));
    // Only what the sizes take is left.
    let filled = fs::write(mount.path().join("fill"), vec![1; 1 << 20]).expect_err("it is full");
    assert_eq!(filled.raw_os_error(), Some(libc::ENOSPC));
    complete(put(&[&mount.path().join("big")]));
    let trash = crate::own_trash(mount.path());
    assert_eq!(path_in(&trash.join("info/big.trashinfo")), Path::new("big"));
    assert_eq!(fs::metadata(trash.join("files/big")).expect("there").len(), 900_000);
}

#[test]
fn a_disk_with_no_room_for_an_info_file_keeps_everything_where_it_is() {
    alone!();
    require_root!();
    let mount = Mount::tmpfs("size=1m").expect("mounted");
    make(mount.path(), "a=x");
    let _ = fs::write(mount.path().join("fill"), vec![1; 1 << 20]);
    let report = put(&[&mount.path().join("a")]);
    assert_eq!(errnos(&report), [Some(libc::ENOSPC)], "{report:?}");
    assert_eq!(names(&crate::own_trash(mount.path())), Default::default());
    assert_eq!(fs::read_to_string(mount.path().join("a")).expect("read"), "x");
}
