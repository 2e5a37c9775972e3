//! Across mounts: copied with everything that belongs to it, durable, and only then gone from its old place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fileops::{NoteKind, OnConflict, Refusal};
use fileops_tests::tree::{inode, make};
use fileops_tests::{Action, Fault, FaultFs, Knobs, Mount, Op, Options, Rich, Tree, alone, require_filesystem};
use fileops_tests::{require_fuse, require_root, snapshot};

use crate::{assert_arrived, assert_tree, complete, elsewhere, errnos, refusals, run, stages, uncached};

#[test]
fn a_tree_with_everything_arrives_as_the_same_tree() {
    alone!();
    require_root!();
    require_filesystem!("xfs");
    let (tree, target) = (Tree::new(""), Mount::xfs(300).expect("an xfs"));
    let rich = Rich::make(tree.path("rich"));
    let (before, facts) = (snapshot(tree.path("rich")), rich.facts(tree.path("rich")));
    let report = complete(run(fileops::move_to([tree.path("rich")], target.path()))).report;
    assert!(report.notes.is_empty(), "{report:?}");
    assert_arrived(&before, &target.path().join("rich"));
    tree.assert("");
    let after = rich.facts(target.path().join("rich"));
    for (before, after) in facts.iter().zip(&after) {
        assert_eq!((&before.name, before.modified, before.size), (&after.name, after.modified, after.size));
        assert!(after.allocated <= before.allocated + 8192, "holes of {:?}", before.name);
    }
}

#[test]
fn single_files_of_every_kind_arrive() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("file=x large#70000 link->file broken->nothing pipe| dir/"), elsewhere());
    let sources = ["file", "large", "link", "broken", "pipe", "dir/"].map(|name| tree.path(name));
    let report = complete(run(fileops::move_to(sources, target.path()))).report;
    tree.assert("");
    assert_tree(target.path(), "file=x large#70000 link->file broken->nothing pipe| dir/");
    assert_eq!((report.entries, report.files, report.bytes), (6, 2, 70001));
    assert!(stages(target.path()).is_empty() && fileops_tests::alone::journals().is_empty());
}

#[test]
fn a_file_that_several_workers_copy_arrives() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("large#41943040"), Mount::tmpfs("size=100m").expect("a tmpfs"));
    let before = snapshot(tree.path("large"));
    complete(run(fileops::move_to([tree.path("large")], target.path()).jobs(4)));
    assert_arrived(&before, &target.path().join("large"));
    tree.assert("");
}

#[test]
fn a_bind_mount_of_the_same_device_is_across_too() {
    alone!();
    require_root!();
    let tree = Tree::new("top/file=x top/sub/deep=y single=z place/");
    let (before, bound) = (snapshot(tree.path("top")), Mount::bind(&tree.path("place")).expect("bound"));
    let sources = ["top", "single"].map(|name| tree.path(name));
    complete(run(fileops::move_to(sources, bound.path())));
    assert_arrived(&before, &tree.path("place/top"));
    tree.assert("place/top/file=x place/top/sub/deep=y place/single=z");
}

#[test]
fn the_lower_directories_of_an_overlay_move_inside_it() {
    alone!();
    require_root!();
    require_filesystem!("overlay");
    let lower = Tree::new("top/file=x top/sub/deep=y single=z into/");
    let overlay = Mount::overlay(lower.root()).expect("an overlay");
    let sources = ["top", "single"].map(|name| overlay.path().join(name));
    complete(run(fileops::move_to(sources, overlay.path().join("into"))));
    assert_tree(overlay.path(), "into/top/file=x into/top/sub/deep=y into/single=z");
}

#[test]
fn a_file_that_changes_while_it_is_copied_keeps_its_source() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    make(source.backing(), "top/steady=x top/file#300000");
    let path = source.backing().join("top/file");
    source.add(
        Fault::new(Op::Read, Action::call(move || fs::write(&path, "changed").expect("written"))).name("file").nth(2),
    );
    let report = run(fileops::move_to([source.path().join("top")], target.root()).jobs(1));
    assert!(!report.is_complete() && report.failures.len() == 1, "{report:?}");
    assert_tree(source.backing(), "top/file=changed");
    target.assert("top/steady=x");
}

#[test]
fn a_file_that_changes_after_it_was_copied_keeps_its_source() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    make(source.backing(), "top/one=before top/two=x");
    // When the first source is about to be removed.
    let path = source.backing().join("top/one");
    source.add(
        Fault::new(Op::Unlink, Action::call(move || fs::write(&path, "written since").expect("written"))).name("two"),
    );
    let rewrite = source.backing().join("top/two");
    source.add(
        Fault::new(Op::Unlink, Action::call(move || fs::write(&rewrite, "written since").expect("written")))
            .name("one"),
    );
    let report = run(fileops::move_to([source.path().join("top")], target.root()).jobs(1));
    assert_eq!(refusals(&report), [Some(Refusal::Changed)], "{report:?}");
    target.assert("top/one=before top/two=x");
    // The one that came second was changed before it was looked at, and stays.
    let left: Vec<_> =
        ["one", "two"].into_iter().filter(|name| source.backing().join("top").join(name).exists()).collect();
    assert_eq!(left.len(), 1, "{report:?}");
    assert_eq!(fs::read_to_string(source.backing().join("top").join(left[0])).expect("read"), "written since");
}

#[test]
fn a_file_that_came_after_its_directory_was_copied_stays_and_that_is_a_failure() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    make(source.backing(), "top/sub/one=x top/two=y");
    let late = source.backing().join("top/sub/late");
    source.add(Fault::new(Op::Unlink, Action::call(move || fs::write(&late, "late").expect("written"))).name("two"));
    let late = source.backing().join("top/sub/late");
    source.add(
        Fault::new(Op::Opendir, Action::call(move || fs::write(&late, "late").expect("written"))).name("sub").nth(2),
    );
    let report = run(fileops::move_to([source.path().join("top")], target.root()).jobs(1));
    assert_eq!(errnos(&report), [libc::ENOTEMPTY], "{report:?}");
    assert_eq!(report.failures[0].path, source.path().join("top/sub"));
    assert_tree(source.backing(), "top/sub/late=late");
    target.assert("top/sub/one=x top/two=y");
}

#[test]
fn what_cannot_be_read_stays_with_its_parents_and_the_rest_moves() {
    alone!();
    require_fuse!();
    let (source, target) = (uncached(), Tree::new(""));
    make(source.backing(), "top/sub/bad#9000 top/sub/good=x top/other/x=1 top/y=2");
    source.add(Fault::new(Op::Read, Action::Errno(libc::EIO)).name("bad"));
    let report = run(fileops::move_to([source.path().join("top")], target.root()));
    assert_eq!(errnos(&report), [libc::EIO]);
    assert_tree(source.backing(), "top/sub/bad#9000");
    target.assert("top/sub/good=x top/other/x=1 top/y=2");
}

#[test]
fn a_full_disk_leaves_what_did_not_fit_at_its_source() {
    alone!();
    require_root!();
    let (tree, target) =
        (Tree::new("top/a#300000 top/b#300000 top/c#900000 top/d=x"), Mount::tmpfs("size=1m").expect("a tmpfs"));
    let report = run(fileops::move_to([tree.path("top")], target.path()));
    assert!(report.failures.iter().all(|error| error.errno() == Some(libc::ENOSPC)) && !report.failures.is_empty());
    for (name, size) in [("a", 300_000), ("b", 300_000), ("c", 900_000), ("d", 1)] {
        let at = |root: &Path| fs::metadata(root.join("top").join(name)).is_ok_and(|meta| meta.size() == size);
        assert!(at(tree.root()) ^ at(target.path()), "{name} is at one place: {report:?}");
    }
    assert!(stages(target.path()).is_empty());
}

#[test]
fn an_overwrite_with_too_little_space_leaves_old_and_new() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("file#3000000"), Mount::tmpfs("size=2m").expect("a tmpfs"));
    make(target.path(), "file#1500000");
    let number = inode(target.path().join("file"));
    let report = run(fileops::move_to([tree.path("file")], target.path()).on_conflict(OnConflict::Replace));
    assert_eq!(errnos(&report), [libc::ENOSPC]);
    tree.assert("file#3000000");
    assert_tree(target.path(), "file#1500000");
    assert_eq!(inode(target.path().join("file")), number);
}

#[test]
fn a_directory_that_cannot_be_made_at_the_target_keeps_its_source() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/sub/file=x top/other=y"), uncached());
    target.add(Fault::new(Op::Mkdir, Action::Errno(libc::EIO)).name("sub"));
    let report = run(fileops::move_to([source.path("top")], target.path()));
    assert_eq!(errnos(&report), [libc::EIO]);
    source.assert("top/sub/file=x");
    assert_tree(target.backing(), "top/other=y");
}

#[test]
fn nothing_goes_before_its_copy_is_synced() {
    alone!();
    require_fuse!();
    for scene in ["top=x", "top/file=x top/sub/deep=y"] {
        let (source, target) = (Tree::new(scene), uncached());
        let fault = target.add(Fault::new(Op::Fsync, Action::Errno(libc::EIO)));
        let report = run(fileops::move_to([source.path("top")], target.path()));
        assert!(target.hits(fault) > 0 && !report.is_complete(), "{report:?}");
        source.assert(scene);
        target.clear();
        let fault = target.add(Fault::new(Op::Fsyncdir, Action::Errno(libc::EIO)));
        let report = run(fileops::move_to([source.path("top")], target.path()).on_conflict(OnConflict::Replace));
        assert!(target.hits(fault) > 0 && !report.is_complete(), "{report:?}");
        source.assert(scene);
    }
}

#[test]
fn a_file_system_without_links_gets_a_file_for_each_name_and_all_sources_go() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/a=x top/b=>top/a top/c/d=>top/a"), uncached());
    target.knobs(|knobs| *knobs = Knobs::fat());
    let report = complete(run(fileops::move_to([source.path("top")], target.path()))).report;
    assert!(report.notes.iter().any(|note| note.kind == NoteKind::LinkNotKept));
    source.assert("");
    assert_tree(target.backing(), "top/a=x top/b=x top/c/d=x");
}

#[test]
fn a_name_that_the_target_does_not_take_keeps_its_source() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/a:b=x top/good=y"), uncached());
    target.knobs(|knobs| *knobs = Knobs::fat());
    let report = run(fileops::move_to([source.path("top")], target.path()));
    assert_eq!(refusals(&report), [Some(Refusal::NameNotAllowed)]);
    source.assert("top/a:b=x");
    assert_tree(target.backing(), "top/good=y");
}

#[test]
fn a_target_that_the_kernel_caches_works_the_same() {
    alone!();
    require_fuse!();
    let (source, target) = (Tree::new("top/one=x top/sub/two#9000 single=y"), FaultFs::new());
    make(target.backing(), "single=old");
    let sources = ["top", "single"].map(|name| source.path(name));
    complete(run(fileops::move_to(sources, target.path()).on_conflict(OnConflict::Replace)));
    source.assert("");
    assert_tree(target.backing(), "top/one=x top/sub/two#9000 single=y");
    let _ = Options::default();
}

#[test]
fn a_symbolic_link_with_a_slash_at_its_end_is_moved_itself() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("outside/file=x link->outside near/"), elsewhere());
    complete(run(fileops::move_to([tree.path("link/")], tree.path("near"))));
    tree.assert("outside/file=x near/link->outside");
    complete(run(fileops::move_to([tree.path("near/link/")], target.path())));
    tree.assert("outside/file=x near/");
    assert_tree(target.path(), "link->outside");
}

#[test]
fn a_deep_tree_moves_across() {
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("top/"), elsewhere());
    let mut dir =
        rustix::fs::openat(rustix::fs::CWD, tree.path("top"), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())
            .expect("open");
    for _ in 0..2000 {
        rustix::fs::mkdirat(&dir, "d", rustix::fs::Mode::from_raw_mode(0o755)).expect("made");
        dir = rustix::fs::openat(&dir, "d", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).expect("open");
    }
    let report = complete(run(fileops::move_to([tree.path("top")], target.path()))).report;
    assert_eq!(report.directories, 2001);
    tree.assert("");
}

#[test]
fn with_64_descriptors_a_tree_moves_across_and_comes_home() {
    fileops_tests::user_part!("move", {
        use fileops_tests::user::variable;
        let few = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, few).expect("fewer");
        let report = complete(run(fileops::move_to([variable("FROM")], variable("INTO")))).report;
        complete(crate::finish(fileops::undo(report.id.expect("moved")).start()));
        complete(run(fileops::move_to([variable("FROM")], variable("INTO"))));
    });
    alone!();
    require_root!();
    let entries: String =
        (0..300).map(|n| format!("top/{}/{}/{}/{n}=x{n} ", n % 7, n % 5, n % 3)).chain([deep(70)]).collect();
    let (tree, target) = (Tree::new(&entries), elsewhere());
    let before = snapshot(tree.path("top"));
    let set = [("FROM", tree.path("top")), ("INTO", target.path().to_owned())];
    let set: Vec<_> = set.iter().map(|(name, path)| (*name, path.as_os_str())).collect();
    let child = fileops_tests::alone::part(fileops_tests::test_name!(), "move", &set).spawn().expect("runs");
    let status = fileops_tests::alone::wait_for_child(child, crate::PATIENCE);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    tree.assert("");
    assert_arrived(&before, &target.path().join("top"));
}

/// A file so deep.
fn deep(levels: usize) -> String {
    format!("top/{}file=deep", "d/".repeat(levels))
}
