//! What another user than root can copy, and what becomes of the rest.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use fileops::{Action, NoteKind, OnConflict, copy, copy_as};
use fileops_tests::tree::{make, noise};
use fileops_tests::user::give;
use fileops_tests::{Rich, Tree, as_user, assert_same_tree, require_command, require_root, test_name, user, user_part};

use crate::{failed, noted, rsync_differences, run, run_whole, whole};

/// A user and a group without a name.
const USER: u32 = 1234;

/// A directory of the user's, with entries that are the user's too.
fn users(entries: &str) -> Tree {
    let tree = Tree::new(entries);
    give(tree.root(), USER, USER);
    tree
}

/// Runs a part of a test as the user, in the tree.
#[track_caller]
fn part(tree: &Tree, test: &str, part: &str) {
    let root = tree.root().as_os_str();
    let state = tree.path("state");
    fs::create_dir_all(&state).and_then(|()| chown(&state, Some(USER), Some(USER))).expect("a directory");
    as_user(USER, USER, test, part, &[("ROOT", root), ("XDG_STATE_HOME", state.as_os_str())]);
}

fn root() -> PathBuf {
    user::variable("ROOT").into()
}

#[test]
fn a_users_own_tree_is_the_same_with_everything_in_it() {
    user_part!("copy", {
        let rich = Rich::make(root().join("tree"));
        let copied = root().join("copy");
        let before = rich.facts(rich.root());
        let report = whole(copy_as(rich.root(), &copied));
        assert_eq!(report.entries as usize, rich.entries().len());
        let after = rich.facts(&copied);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(
                (before.accessed, before.modified),
                (after.accessed, after.modified),
                "{}",
                before.name.display()
            );
        }
        assert_same_tree(rich.root(), &copied);
        assert_eq!(rsync_differences(rich.root(), &copied), "");
    });
    require_root!();
    require_command!("rsync");
    part(&users(""), test_name!(), "copy");
}

#[test]
fn what_may_not_be_read_fails_and_everything_else_is_copied() {
    user_part!("copy", {
        let report = run(copy([root().join("src")], root().join("dst")));
        // A directory that nothing may be removed from either keeps nothing of what failed in it.
        let denied = ["closed", "hidden", "inside", "secret"].map(|name| (name.to_owned(), libc::EACCES));
        assert_eq!(failed(&report), denied, "{report:#?}");
        assert!(report.failures.iter().all(|error| error.action == Action::Open));
        assert_eq!((report.files, report.directories), (3, 3), "{report:#?}");
    });
    require_root!();
    let tree = users(
        "src/open=x src/secret!600=y src/closed!700/ src/closed/file=z src/dir/hidden!0=a src/dir/file=b dst/
         src/read-only!555/ src/read-only/inside!700/ src/read-only/file=c",
    );
    let foreign = ["src/secret", "src/closed", "src/closed/file", "src/dir/hidden", "src/read-only/inside"];
    foreign.iter().for_each(|name| chown(tree.path(name), Some(0), Some(0)).expect("taken"));
    part(&tree, test_name!(), "copy");
    fileops_tests::tree::assert_tree(
        &tree.path("dst"),
        "src/open=x src/dir/file=b src/read-only!555/ src/read-only/file=c",
    );
}

#[test]
fn files_of_others_get_the_copier_as_owner_and_lose_setuid_as_with_cp() {
    user_part!("copy", {
        let names = ["plain", "setuid", "setgid", "both", "groups", "read-only", "dir", "sticky"];
        let report = run(copy(names.map(|name| root().join("src").join(name)), root().join("dst")));
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(noted(&report, NoteKind::OwnerNotKept), 10, "{report:#?}");
        assert_eq!(noted(&report, NoteKind::SetIdNotKept), 4, "{report:#?}");
        assert!(fs::create_dir(root().join("cp")).is_ok());
        let mut command = Command::new("cp");
        command.arg("-a").args(names.map(|name| root().join("src").join(name))).arg(root().join("cp"));
        assert!(command.status().expect("cp runs").success());
        for name in names.into_iter().filter(|name| *name != "sticky") {
            let [ours, theirs] = ["dst", "cp"].map(|dir| fs::metadata(root().join(dir).join(name)).expect("copied"));
            assert_eq!((ours.uid(), ours.gid()), (USER, USER), "{name}");
            assert_eq!(format!("{:o}", ours.mode()), format!("{:o}", theirs.mode()), "{name}");
            assert_eq!((ours.mtime(), ours.mtime_nsec()), (theirs.mtime(), theirs.mtime_nsec()), "{name}");
        }
    });
    require_root!();
    let tree = Tree::new(
        "src/plain!644=1 src/setuid!4755=2 src/setgid!2755=3 src/both!6711=4 src/groups!2755=5 src/read-only!444=6
         src/dir!755/ src/dir/file!644=8 src/dir/closed!555/ src/sticky!1755/ dst/",
    );
    fs::set_permissions(tree.root(), Permissions::from_mode(0o777)).expect("open to all");
    give(&tree.path("src"), 2000, 2000);
    chown(tree.path("src/both"), Some(2000), Some(2000)).expect("given");
    fs::set_permissions(tree.path("src/both"), Permissions::from_mode(0o6755)).expect("a mode");
    // One that is in the user's own group.
    chown(tree.path("src/groups"), Some(2000), Some(USER)).expect("given");
    fs::set_permissions(tree.path("src/groups"), Permissions::from_mode(0o2755)).expect("a mode");
    give(&tree.path("dst"), USER, USER);
    part(&tree, test_name!(), "copy");
}

#[test]
fn a_group_is_kept_by_a_member_where_new_files_get_another() {
    user_part!("copy", {
        let report = run(copy([root().join("own"), root().join("foreign")], root().join("dst")));
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(noted(&report, NoteKind::OwnerNotKept), 1, "{report:#?}");
    });
    require_root!();
    let tree = users("own!2750=x foreign!640=y dst/");
    chown(tree.path("foreign"), Some(USER), Some(2000)).expect("given");
    chown(tree.path("dst"), Some(0), Some(3000)).expect("given");
    fs::set_permissions(tree.path("dst"), Permissions::from_mode(0o2777)).expect("a mode");
    part(&tree, test_name!(), "copy");
    let own = fs::metadata(tree.path("dst/own")).expect("copied");
    assert_eq!((own.uid(), own.gid(), own.mode() & 0o7777), (USER, USER, 0o2750));
    let foreign = fs::metadata(tree.path("dst/foreign")).expect("copied");
    assert_eq!((foreign.uid(), foreign.gid()), (USER, 3000));
}

#[test]
fn read_only_files_and_directories_are_copied_with_their_attributes() {
    user_part!("copy", {
        for source in ["src", "src/file", "src/dir"] {
            let copied = root().join("copy");
            run_whole(copy_as(root().join(source), &copied));
            assert_same_tree(root().join(source), &copied);
            let status = Command::new("chmod").arg("-R").arg("u+w").arg(&copied).status();
            assert!(status.expect("chmod runs").success());
            Command::new("rm").arg("-rf").arg(&copied).status().expect("rm runs");
        }
    });
    require_root!();
    let tree =
        users("src!555/ src/file!444=x src/large!400#300000 src/dir!500/ src/dir/deep!555/ src/dir/deep/file!0400=y");
    for name in ["src", "src/file", "src/large", "src/dir", "src/dir/deep", "src/dir/deep/file"] {
        xattr::set(tree.path(name), "user.kept", b"value").expect("an attribute");
    }
    part(&tree, test_name!(), "copy");
}

#[test]
fn devices_fail_where_only_root_may_make_them() {
    user_part!("copy", {
        let report = run(copy([root().join("src")], root().join("dst")));
        assert_eq!(failed(&report), [("null".to_owned(), libc::EPERM)], "{report:#?}");
        assert_eq!((report.specials, report.files), (1, 1));
    });
    require_root!();
    let tree = users("src/file=x src/pipe| dst/");
    let (device, mode) = (rustix::fs::makedev(1, 3), rustix::fs::Mode::from_raw_mode(0o666));
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, tree.path("src/null"), kind, mode, device).expect("a device");
    part(&tree, test_name!(), "copy");
    fileops_tests::tree::assert_tree(&tree.path("dst"), "src/file=x src/pipe|");
}

#[test]
fn a_capability_of_a_file_is_noted_where_only_root_may_give_it() {
    user_part!("copy", {
        let report = run(copy([root().join("file")], root().join("dst")));
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(noted(&report, NoteKind::AttributesNotKept), 1);
        assert_eq!(fs::read(root().join("dst/file")).expect("copied"), noise(5));
    });
    require_root!();
    let tree = users("file!755#5 dst/");
    xattr::set(tree.path("file"), "security.capability", &fileops_tests::rich::CAPABILITY).expect("a capability");
    part(&tree, test_name!(), "copy");
}

#[test]
fn a_destination_that_may_not_be_written_fails_and_stays_as_it_is() {
    user_part!("copy", {
        let report = run(copy([root().join("file"), root().join("dir")], root().join("dst")));
        let denied = ["dir", "file"].map(|name| (name.to_owned(), libc::EACCES));
        assert_eq!(failed(&report), denied, "{report:#?}");
    });
    require_root!();
    let tree = users("file=x dir/y=z");
    make(tree.root(), "dst!755/ dst/there=1");
    part(&tree, test_name!(), "copy");
    fileops_tests::tree::assert_tree(&tree.path("dst"), "there=1");
}

#[test]
fn a_file_is_replaced_by_one_whose_mode_its_owner_cannot_read() {
    user_part!("copy", {
        let copy = copy([root().join("src/file")], root().join("dst")).on_conflict(OnConflict::Replace);
        let report = run(copy);
        assert!(report.is_complete(), "{report:#?}");
        let copied = fs::metadata(root().join("dst/file")).expect("there");
        assert_eq!((copied.mode() & 0o7777, copied.len()), (0o044, 9000));
    });
    require_root!();
    let tree = users("src/ dst/file!644=old");
    // Somebody else's, which everybody but the owner may read.
    make(tree.root(), "src/file!44#9000");
    part(&tree, test_name!(), "copy");
    assert_eq!(fs::read(tree.path("dst/file")).expect("read"), noise(9000));
    assert_eq!(fs::read_dir(tree.path("dst")).expect("read").count(), 1);
}
