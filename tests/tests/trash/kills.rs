//! A kill at the first request, at the second, and so on: each thing is at its place, or in the trash with an info file that
//! tells where it was; and what else is left has the name of a stage, which recovery finds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fileops::Trashed;
use fileops_tests::kills;
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{FaultFs, require_fuse, test_name, user_part};

use crate::faults::{ENTRIES, NAMES, where_they_are};
use crate::{alone, complete, own_trash, part, put};

macro_rules! parts {
    () => {
        user_part!("put", {
            let dir = variable("DIR");
            let paths = NAMES.map(|name| Path::new(&dir).join(name));
            complete(fileops::block_on(async { fileops::trash(paths).jobs(1).await }));
        });
        user_part!("restore", {
            let dir = variable("DIR");
            let trash = own_trash(Path::new(&dir).parent().expect("in one"));
            let ids = NAMES.map(|name| Trashed::Id(trash.join(format!("info/{name}.trashinfo"))));
            complete(fileops::block_on(async { fileops::restore(ids).await }));
        });
    };
}

/// Runs a part in a child that is killed at the `n`-th request; `false` if it had fewer.
fn killed_at(fs: &FaultFs, n: u64, test: &str, name: &str, dir: &Path) -> bool {
    kills::killed_at(n, fs, part(test, name, &[("DIR", dir.as_os_str())]), Duration::from_secs(30))
}

/// Kills at every request, and looks what is left each time.
fn kill_everywhere(test: &str, name: &str, is_trashed_before: bool) {
    let fs = crate::uncached();
    let (mut kills, mut stages) = (0, 0);
    for n in 1.. {
        assert!(n < 500, "still a request");
        let dir = fs.backing().join(n.to_string());
        fs::create_dir(&dir).expect("made");
        make(&dir, ENTRIES);
        let shown = fs.path().join(n.to_string());
        if is_trashed_before {
            complete(put(&NAMES.map(|name| shown.join(name)).each_ref().map(|path| path.as_path())));
        }
        let was_killed = killed_at(&fs, n, test, name, &shown);
        let trash = own_trash(fs.backing());
        where_they_are(&dir, &trash, &format!("killed at {n}"));
        stages += check_rest(&trash, n);
        fs::remove_dir_all(&dir).expect("removed");
        let _ = fs::remove_dir_all(&trash);
        if !was_killed {
            println!("seen: {kills} kills, {stages} stages");
            assert!(kills >= 20, "{kills} kills");
            return;
        }
        kills += 1;
    }
}

/// Everything in the trash is a thing, its info file, the sizes, or a stage that recovery knows; gives how many are stages.
fn check_rest(trash: &Path, n: u64) -> usize {
    let found = fileops::leftovers().expect("the journals can be read");
    let mut stages = 0;
    for dir in ["", "info"] {
        for entry in fs::read_dir(trash.join(dir)).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().expect("text");
            let is_known = name.ends_with(".trashinfo") || ["files", "info", "directorysizes"].contains(&name.as_str());
            if !is_known {
                let is_found = found.iter().any(|leftover| leftover.path.file_name() == Some(name.as_ref()));
                assert!(is_found, "{name} is left, killed at {n}; {found:?}");
                stages += 1;
            }
        }
    }
    found.iter().for_each(|leftover| leftover.remove().expect("it is ours"));
    stages
}

#[test]
fn a_kill_leaves_each_thing_at_its_place_or_in_the_trash_with_an_info_file() {
    parts!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), "put", false);
}

#[test]
fn a_kill_in_a_restore_leaves_each_thing_in_the_trash_or_at_its_place() {
    parts!();
    alone!();
    require_fuse!();
    kill_everywhere(test_name!(), "restore", true);
}
