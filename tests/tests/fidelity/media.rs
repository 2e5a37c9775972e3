//! Directories of a medium that can only be read are made writable, and only those.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use fileops::{NoteKind, OnCancel, Outcome, ReadOnlyDirs, copy_as};
use fileops_tests::temp::Temp;
use fileops_tests::{
    Action, Fault, FaultFs, Ignore, Mount, Op, Rich, Tree, assert_same_tree, assert_same_tree_but, require_command,
    require_filesystem, require_fuse, require_root,
};

use crate::{noted, rsync_differences, run, run_whole, whole};

/// A file system that can only be read, with these files in it.
fn medium(image: &Temp, of: &Path) -> Mount {
    let file = image.path().join("image");
    let mut command = Command::new("mksquashfs");
    let output = command.arg(of).arg(&file).args(["-quiet", "-no-progress"]).output().expect("mksquashfs runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Mount::with(&["-t", "squashfs", "-o", "loop,ro", file.to_str().expect("text")]).expect("squashfs")
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).expect("known").permissions().mode() & 0o7777
}

#[test]
fn directories_from_a_read_only_medium_become_writable_unless_they_are_to_be_kept() {
    require_root!();
    require_command!("mksquashfs");
    require_filesystem!("squashfs");
    let tree = Tree::new(
        "src!555/ src/file!444=x src/dir!555/ src/dir/deep!511/ src/dir/deep/file!400=y src/open!755/ src/none!0/",
    );
    let image = Temp::new("image").expect("a directory");
    let medium = medium(&image, &tree.path("src"));
    let copied = tree.path("copied");
    let report = run(copy_as(medium.path(), &copied));
    assert!(report.is_complete(), "{report:#?}");
    // Each directory counts once: the top, `dir`, `deep`, `none`.
    assert_eq!((noted(&report, NoteKind::MadeWritable), report.notes.len()), (4, 1), "{report:#?}");
    let modes = ["", "dir", "dir/deep", "open", "none"].map(|name| mode(copied.join(name)));
    assert_eq!(modes.map(|mode| format!("{mode:o}")), ["755", "755", "711", "755", "200"]);
    // Files keep theirs.
    assert_eq!([mode(copied.join("file")), mode(copied.join("dir/deep/file"))], [0o444, 0o400]);
    assert_same_tree_but(medium.path(), &copied, &Ignore { mode: true, ..Default::default() });
    let kept = tree.path("kept");
    run_whole(copy_as(medium.path(), &kept).read_only_dirs(ReadOnlyDirs::Keep));
    assert_same_tree(medium.path(), &kept);
    // The same tree on a disk is somebody's wish.
    run_whole(copy_as(tree.path("src"), tree.path("wished")));
    assert_same_tree(tree.path("src"), tree.path("wished"));
}

#[test]
fn a_rich_tree_is_the_same_from_a_read_only_medium() {
    require_root!();
    require_command!("mksquashfs", "rsync");
    require_filesystem!("squashfs");
    let temp = Temp::new("rich").expect("a directory");
    let rich = Rich::make(temp.path().join("rich"));
    let image = Temp::new("image").expect("a directory");
    let medium = medium(&image, rich.root());
    let copied = temp.path().join("copied");
    let report = whole(copy_as(medium.path(), &copied).read_only_dirs(ReadOnlyDirs::Keep));
    assert_eq!(report.entries as usize, rich.entries().len());
    assert_same_tree(medium.path(), &copied);
    assert_eq!(rsync_differences(medium.path(), &copied), "");
}

#[test]
fn a_disk_that_is_mounted_read_only_is_no_such_medium() {
    require_root!();
    let memory = Mount::tmpfs("size=1m").expect("tmpfs");
    fileops_tests::tree::make(memory.path(), "src/dir!555/ src/dir/file=x");
    memory.remount("ro").expect("read-only");
    let tree = Tree::new("");
    run_whole(copy_as(memory.path().join("src"), tree.path("copied")));
    assert_same_tree(memory.path().join("src"), tree.path("copied"));
}

#[test]
fn a_cancelled_tree_from_a_read_only_medium_is_made_writable_too_when_it_is_kept() {
    require_root!();
    require_fuse!();
    require_command!("mksquashfs");
    require_filesystem!("squashfs");
    let tree = Tree::new(&(0..200).map(|n| format!("src/{n}=x ")).collect::<String>());
    fs::set_permissions(tree.path("src"), fs::Permissions::from_mode(0o555)).expect("set");
    let image = Temp::new("image").expect("a directory");
    let (medium, target) = (medium(&image, &tree.path("src")), FaultFs::new());
    target.add(Fault::new(Op::Create, Action::Latency(std::time::Duration::from_millis(10))));
    for (rule, expected) in [(ReadOnlyDirs::MakeWritable, 0o755), (ReadOnlyDirs::Keep, 0o555)] {
        let kept = target.path().join(format!("{rule:?}"));
        let copy = copy_as(medium.path(), &kept).on_cancel(OnCancel::KeepFinished).read_only_dirs(rule);
        let operation = copy.start();
        while operation.progress().entries_done < 3 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        operation.cancel();
        let report = operation.wait();
        assert!(report.outcome == Outcome::Cancelled && report.failures.is_empty(), "{report:#?}");
        assert_eq!(mode(&kept), expected, "{rule:?}");
    }
}
