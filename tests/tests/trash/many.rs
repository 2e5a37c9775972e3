//! Several programs at one trash at one time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Child;

use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{Tree, require_fuse, test_name, user_part};

use crate::{alone, complete, home_trash, names, own_trash, part, path_in};

const PROCESSES: usize = 8;
const NAMES: usize = 25;

macro_rules! putting_part {
    () => {
        user_part!("put", {
            let dir = variable("DIR");
            let entries = fs::read_dir(&dir).expect("read");
            let paths: Vec<_> = entries.map(|entry| entry.expect("read").path()).collect();
            complete(fileops::block_on(async { fileops::trash(paths).await }));
        });
    };
}

/// Eight processes put files and directories of the same names into the trash, each from a directory of its own.
fn put_all(test: &str, top: &Path) {
    for process in 0..PROCESSES {
        let entries = |n| match n % 3 {
            0 => format!("{process}/dir{n}/inside={process}-{n} "),
            _ => format!("{process}/file{n}={process}-{n} "),
        };
        make(top, &(0..NAMES).map(entries).collect::<String>());
    }
    let start = |process: usize| {
        let dir = top.join(process.to_string());
        part(test, "put", &[("DIR", dir.as_os_str())]).spawn().expect("runs")
    };
    let children: Vec<Child> = (0..PROCESSES).map(start).collect();
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
}

/// Each thing is there once, with an info file that tells where it was.
fn check(trash: &Path) {
    let (files, infos) = names(trash);
    assert_eq!(files.len(), PROCESSES * NAMES);
    assert_eq!(infos, files.iter().map(|name| format!("{name}.trashinfo")).collect());
    let mut seen = BTreeSet::new();
    for name in files {
        let file = trash.join("files").join(&name);
        let text = fs::read_to_string(if file.is_dir() { file.join("inside") } else { file }).expect("read");
        let original = path_in(&trash.join("info").join(format!("{name}.trashinfo")));
        let (process, n) = text.split_once('-').expect("as it was written");
        let of = original.parent().and_then(Path::file_name).expect("a directory");
        assert_eq!(of, process, "{name}");
        assert!(original.to_string_lossy().ends_with(n), "{name}");
        assert!(seen.insert(text));
    }
}

#[test]
fn eight_processes_that_trash_the_same_names_lose_nothing() {
    putting_part!();
    alone!();
    let tree = Tree::new("");
    put_all(test_name!(), tree.root());
    check(&home_trash());
}

#[test]
fn they_lose_nothing_where_renames_have_no_flags_either() {
    putting_part!();
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    fs.knobs(|knobs| knobs.no_rename_flags = true);
    put_all(test_name!(), fs.path());
    check(&own_trash(fs.path()));
}

#[test]
fn they_lose_nothing_where_there_are_no_links_either() {
    putting_part!();
    alone!();
    require_fuse!();
    let fs = crate::uncached();
    fs.knobs(|knobs| (knobs.no_rename_flags, knobs.no_links) = (true, true));
    put_all(test_name!(), fs.path());
    check(&own_trash(fs.path()));
}
