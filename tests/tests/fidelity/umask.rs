//! Whatever new files get by themselves (the umask, a directory's default list, its group), a copy gets what its source has.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use fileops::{OnConflict, copy, copy_as};
use fileops_tests::rich::{ACCESS_ACL, DEFAULT_ACL, shared_acl};
use fileops_tests::tree::make;
use fileops_tests::user::give;
use fileops_tests::{
    Ignore, Mount, Rich, Tree, as_user, assert_same_tree, assert_same_tree_but, require_command, require_root,
    test_name, user, user_part,
};
use rustix::fs::Mode;

use crate::run_whole;

const SOURCE: &str = "src!755/ src/a!644=1 src/b!600=2 src/c!777=3 src/d!0=4 src/e!4711=5 src/f!2755=6
    src/in!700/ src/in/g!666=7 src/in/deep!2777/ src/in/deep/h!400=8 src/in/closed!500/ src/in/closed/i!664=9 src/pipe|
    src/in/link->g";

#[test]
fn copies_have_the_modes_of_their_sources_whatever_the_umask() {
    for mask in ["77", "0", "777", "22"] {
        user_part!(mask, {
            let mask = u32::from_str_radix(&user::part().expect("a part"), 8).expect("a number");
            rustix::process::umask(Mode::from_raw_mode(mask));
            let root = PathBuf::from(user::variable("ROOT"));
            run_whole(copy_as(root.join("src"), root.join("tree")));
            assert_same_tree(root.join("src"), root.join("tree"));
            // Straight into a directory that was there before.
            run_whole(copy([root.join("src/.")], root.join("there")));
            assert_same_tree_but(root.join("src"), root.join("there"), &Ignore { root: true, ..Default::default() });
            // In the place of others.
            run_whole(
                copy([root.join("src/a"), root.join("src/b")], root.join("old")).on_conflict(OnConflict::Replace),
            );
            for name in ["a", "b"] {
                assert_same_tree(root.join("src").join(name), root.join("old").join(name));
            }
            if mask == 0o77 {
                let rich = Rich::make(root.join("rich"));
                run_whole(copy_as(rich.root(), root.join("poor")));
                assert_same_tree(rich.root(), root.join("poor"));
            }
        });
    }
    require_root!();
    for (uid, mask) in [(0, "77"), (0, "0"), (0, "777"), (1234, "77"), (1234, "777"), (1234, "22")] {
        // What root may read of its own is nothing that a user may: `src/d` has no mode at all.
        let source = if uid == 0 { SOURCE.to_owned() } else { SOURCE.replace("src/d!0", "src/d!400") };
        let tree = Tree::new(&format!("{source} there!755/ state/fileops/operations/ old/a!640=old old/b!640=old"));
        give(tree.root(), uid, uid);
        let state = tree.path("state");
        let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
        as_user(uid, uid, test_name!(), mask, &set);
    }
}

/// A directory whose new entries get a group and lists of access rights.
fn leaky(path: &Path) {
    fs::create_dir(path).expect("made");
    xattr::set(path, DEFAULT_ACL, &shared_acl()).expect("a list");
    chown(path, Some(0), Some(4321)).expect("a group");
    fs::set_permissions(path, Permissions::from_mode(0o2770)).expect("a mode");
    fs::write(path.join("probe"), "x").expect("written");
    assert!(xattr::get(path.join("probe"), ACCESS_ACL).expect("known").is_some(), "it leaks not");
    fs::remove_file(path.join("probe")).expect("removed");
}

/// Copies into a directory that gives its entries what they must not have.
fn check_leaks(at: &Path) {
    make(at, SOURCE);
    make(at, "src/empty/");
    let mask = fileops_tests::rich::acl(&[
        (fileops_tests::rich::Who::Owner, 7),
        (fileops_tests::rich::Who::User(5), 4),
        (fileops_tests::rich::Who::OwningGroup, 5),
        (fileops_tests::rich::Who::Mask, 5),
        (fileops_tests::rich::Who::Other, 5),
    ]);
    xattr::set(at.join("src/c"), ACCESS_ACL, &mask).expect("a list of its own");
    xattr::set(at.join("src/in/deep"), DEFAULT_ACL, &mask).expect("a list of its own");
    leaky(&at.join("leaky"));
    let ours = xattr::get(at.join("leaky"), DEFAULT_ACL).expect("known");
    run_whole(copy([at.join("src")], at.join("leaky")));
    assert_same_tree(at.join("src"), at.join("leaky/src"));
    fs::rename(at.join("leaky/src"), at.join("out")).expect("renamed");
    // One by one: files, a directory, a pipe, a link.
    run_whole(copy([at.join("src/.")], at.join("leaky")));
    assert_same_tree_but(at.join("src"), at.join("leaky"), &Ignore { root: true, ..Default::default() });
    run_whole(copy([at.join("src/a"), at.join("src/pipe")], at.join("leaky")).on_conflict(OnConflict::Replace));
    assert_same_tree_but(at.join("src"), at.join("leaky"), &Ignore { root: true, ..Default::default() });
    // What was there keeps what it had.
    assert_eq!(xattr::get(at.join("leaky"), DEFAULT_ACL).expect("known"), ours);
}

#[test]
fn default_lists_and_groups_of_the_destination_do_not_leak_into_copies() {
    require_root!();
    require_command!("mkfs.ext4");
    let disk = Mount::ext4(32).expect("ext4");
    check_leaks(disk.path());
    let memory = Mount::tmpfs("size=16m").expect("tmpfs");
    check_leaks(memory.path());
}

#[test]
fn groups_of_a_file_system_that_gives_those_of_directories_do_not_leak_into_copies() {
    require_root!();
    require_command!("mkfs.ext4");
    let disk = Mount::ext4(32).expect("ext4");
    disk.remount("grpid").expect("other groups");
    make(disk.path(), SOURCE);
    make(disk.path(), "dst/");
    chown(disk.path().join("dst"), Some(0), Some(4321)).expect("a group");
    run_whole(copy([disk.path().join("src")], disk.path().join("dst")));
    assert_same_tree(disk.path().join("src"), disk.path().join("dst/src"));
    run_whole(copy([disk.path().join("src/.")], disk.path().join("dst")));
    fs::remove_dir_all(disk.path().join("dst/src")).expect("removed");
    assert_same_tree_but(
        disk.path().join("src"),
        disk.path().join("dst"),
        &Ignore { root: true, ..Default::default() },
    );
}
