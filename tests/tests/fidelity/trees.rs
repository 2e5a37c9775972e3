//! A tree with one of everything, from each file system to another and within each.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use fileops::{NoteKind, copy, copy_as};
use fileops_tests::rich::{ACCESS_ACL, Facts, shared_acl};
use fileops_tests::tree::{inode, make};
use fileops_tests::{
    Action, Fault, FaultFs, Ignore, Mount, Op, Options, Rich, Tree, assert_same_tree, differences, require_command,
    require_filesystem, require_fuse, require_root, snapshot,
};

use crate::{noted, rsync_differences, run, run_whole, whole};

/// The bytes that files take, each counted once however many names it has.
fn allocated(facts: &[Facts]) -> u64 {
    let mut seen = HashSet::new();
    facts.iter().filter(|facts| seen.insert(facts.inode)).map(|facts| facts.allocated).sum()
}

/// Copies one of everything, and looks at it in the order in which looking changes least.
#[track_caller]
fn check_copy(from: &Path, to: &Path) {
    let rich = Rich::make(from.join("tree"));
    let copy = to.join("copy");
    sync(from);
    let before = rich.facts(rich.root());
    let report = whole(copy_as(rich.root(), &copy));
    assert_eq!(report.entries as usize, rich.entries().len());
    sync(to);
    let (after, copied) = (rich.facts(rich.root()), rich.facts(&copy));
    for ((before, after), copied) in before.iter().zip(&after).zip(&copied) {
        let name = before.name.display();
        // Reading a link's text changes its time of access whatever one does.
        if !rich.root().join(&before.name).is_symlink() {
            assert_eq!(before.accessed, after.accessed, "when the source was read last: {name}");
        }
        assert_eq!(before.accessed, copied.accessed, "when the copy was read last: {name}");
        assert_eq!(before.modified, copied.modified, "when the copy was written last: {name}");
        if before.allocated < before.size {
            assert!(copied.allocated <= before.allocated, "a hole was filled: {before:?}, {copied:?}");
        }
    }
    let (was, is) = (allocated(&before), allocated(&copied));
    assert!(is.abs_diff(was) <= was / 100, "{was} bytes became {is}");
    assert_same_tree(rich.root(), &copy);
    assert_eq!(rsync_differences(rich.root(), &copy), "");
}

/// With the blocks that a large one has: those of a small one hold fewer attributes.
fn ext4() -> std::io::Result<Mount> {
    Mount::image("ext4", 64, &["-q", "-F", "-b", "4096", "-E", "root_owner=0:0"])
}

/// What was written has its place on the disk, which is when the file system knows how much it takes.
fn sync(path: &Path) {
    let file = std::fs::File::open(path).expect("it can be opened");
    rustix::fs::syncfs(file).expect("synced");
}

macro_rules! trees {
    ($($name:ident: $from:expr => $to:expr, needs $($kind:literal)*;)+) => {$(
        #[test]
        fn $name() {
            require_root!();
            require_command!("rsync");
            $(require_command!(concat!("mkfs.", $kind)); require_filesystem!($kind);)*
            let (from, to) = ($from.expect("a file system"), $to.expect("a file system"));
            check_copy(from.path(), to.path());
        }
    )+};
}

trees! {
    a_tree_is_the_same_from_ext4_to_another_ext4: ext4() => ext4(), needs "ext4";
    a_tree_is_the_same_from_ext4_to_xfs: ext4() => Mount::xfs(300), needs "ext4" "xfs";
    a_tree_is_the_same_from_xfs_to_btrfs: Mount::xfs(300) => Mount::btrfs(128), needs "xfs" "btrfs";
    a_tree_is_the_same_from_btrfs_to_tmpfs: Mount::btrfs(128) => Mount::tmpfs("size=64m"), needs "btrfs";
    a_tree_is_the_same_from_tmpfs_to_ext4: Mount::tmpfs("size=64m") => ext4(), needs "ext4";
    a_tree_is_the_same_from_xfs_to_another_xfs: Mount::xfs(300) => Mount::xfs(300), needs "xfs";
    a_tree_is_the_same_from_btrfs_to_another_btrfs: Mount::btrfs(128) => Mount::btrfs(128), needs "btrfs";
}

macro_rules! trees_within {
    ($($name:ident: $mount:expr, needs $($kind:literal)*;)+) => {$(
        #[test]
        fn $name() {
            require_root!();
            require_command!("rsync");
            $(require_command!(concat!("mkfs.", $kind)); require_filesystem!($kind);)*
            let mount = $mount.expect("a file system");
            check_copy(mount.path(), mount.path());
        }
    )+};
}

trees_within! {
    a_tree_is_the_same_within_ext4: ext4(), needs "ext4";
    a_tree_is_the_same_within_xfs: Mount::xfs(300), needs "xfs";
    a_tree_is_the_same_within_btrfs: Mount::btrfs(256), needs "btrfs";
    a_tree_is_the_same_within_tmpfs: Mount::tmpfs("size=64m"), needs;
}

#[test]
fn a_tree_is_the_same_from_and_to_an_overlay() {
    require_root!();
    require_command!("rsync");
    require_filesystem!("overlay");
    // What is read comes from below, what is written goes above.
    let tree = Tree::new("below/");
    let rich = Rich::make(tree.path("below/tree"));
    let overlay = Mount::overlay(&tree.path("below")).expect("an overlay");
    let (source, copied) = (overlay.path().join("tree"), overlay.path().join("copied"));
    run_whole(copy_as(&source, &copied));
    assert_same_tree(rich.root(), &copied);
    run_whole(copy_as(&copied, tree.path("back")));
    assert_same_tree(rich.root(), tree.path("back"));
    assert_eq!(rsync_differences(rich.root(), &tree.path("back")), "");
}

#[test]
fn a_tree_is_the_same_from_and_to_a_fuse_file_system() {
    require_root!();
    require_command!("rsync");
    require_fuse!();
    let fs = FaultFs::new();
    fs.knobs(|knobs| knobs.sparse = true);
    let tree = Tree::new("");
    let rich = Rich::make(tree.path("tree"));
    let same = |a: &Path, b: &Path| {
        // Times before 1970 come out of `fuser` with the fraction of the second on the wrong side.
        let lines = differences(&snapshot(a), &snapshot(b), &Ignore::default());
        let others = lines.iter().filter(|line| !line.contains(": mtime -")).collect::<Vec<_>>();
        assert!(others.is_empty(), "{others:#?}");
    };
    run_whole(copy_as(rich.root(), fs.path().join("copied")));
    same(rich.root(), &fs.backing().join("copied"));
    run_whole(copy_as(fs.path().join("copied"), tree.path("back")));
    same(rich.root(), &tree.path("back"));
    // Two of them are one kind, and no one file system.
    let other = FaultFs::new();
    run_whole(copy_as(fs.path().join("copied"), other.path().join("copied")));
    same(rich.root(), &other.backing().join("copied"));
}

#[test]
fn a_list_of_access_rights_from_xfs_comes_without_the_attribute_that_repeats_it() {
    require_root!();
    require_command!("mkfs.xfs");
    require_filesystem!("xfs");
    let xfs = Mount::xfs(300).expect("xfs");
    let tree = Tree::new("");
    std::fs::write(xfs.path().join("file"), "x").expect("written");
    xattr::set(xfs.path().join("file"), ACCESS_ACL, &shared_acl()).expect("a list");
    let names = |path: &Path| xattr::list(path).expect("a list").collect::<Vec<_>>();
    assert!(names(&xfs.path().join("file")).contains(&"trusted.SGI_ACL_FILE".into()));
    run_whole(copy_as(xfs.path().join("file"), tree.path("copied")));
    assert_eq!(names(&tree.path("copied")), [ACCESS_ACL]);
    assert_eq!(xattr::get(tree.path("copied"), ACCESS_ACL).expect("read"), Some(shared_acl()));
}

#[test]
fn what_is_mounted_below_a_source_is_copied_too() {
    require_fuse!();
    let tree = Tree::new("below/inside=x below/dir/second=>below/inside src/file=y src/mounted/hidden=z dst/");
    let options =
        Options { backing: Some(tree.path("below")), mountpoint: Some(tree.path("src/mounted")), ..Options::default() };
    let fs = options.mount().expect("mounted");
    run_whole(copy([tree.path("src")], tree.path("dst")));
    drop(fs);
    fileops_tests::tree::assert_tree(
        &tree.path("dst"),
        "src/file=y src/mounted/inside=x src/mounted/dir/second=>src/mounted/inside",
    );
}

#[test]
fn subvolumes_with_equal_numbers_are_copied_each_with_its_own_files() {
    require_root!();
    require_command!("mkfs.btrfs", "btrfs");
    require_filesystem!("btrfs");
    let mount = Mount::btrfs(128).expect("btrfs");
    let root = mount.path();
    for name in ["one", "two"] {
        let made = Command::new("btrfs").args(["subvolume", "create"]).arg(root.join(name)).output();
        assert!(made.expect("btrfs runs").status.success());
        // A name that is not copied leaves the group of links open to the end.
        make(&root.join(name), &format!("{name}/a={name} {name}/b=>{name}/a {name}/dir/c=>{name}/a out=>{name}/a"));
    }
    let sources = ["one/one", "two/two"].map(|name| root.join(name));
    assert_eq!(inode(sources[0].join("a")), inode(sources[1].join("a")));
    make(root, "dst/");
    let report = whole(copy(&sources, root.join("dst")).jobs(1));
    assert_eq!((report.cloned, report.files), (2, 6));
    for source in sources {
        assert_same_tree(&source, root.join("dst").join(source.file_name().expect("a name")));
    }
    // A subvolume is a directory like any other.
    run_whole(copy_as(root.join("one"), root.join("copy")));
    assert_same_tree(root.join("one"), root.join("copy"));
}

#[test]
fn what_may_not_tell_its_attributes_is_copied_and_that_is_noted() {
    require_fuse!();
    for name in ["pipe", "link", "file"] {
        let (fs, tree) = (FaultFs::new(), Tree::new(""));
        make(fs.backing(), "top/pipe!640| top/link->file top/file=hello");
        let rule = fs.add(Fault::new(Op::Listxattr, Action::Errno(libc::EPERM)).name(name));
        let report = run(copy([fs.path().join("top")], tree.root()));
        assert!(report.is_complete() && fs.hits(rule) > 0, "{name}: {report:#?}");
        assert_eq!((noted(&report, NoteKind::AttributesNotKept), report.notes.len()), (1, 1), "{name}: {report:#?}");
        tree.assert("top/pipe!640| top/link->file top/file=hello");
    }
}
