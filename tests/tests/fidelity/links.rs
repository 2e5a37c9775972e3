//! Symbolic links: kept, or followed when asked; a target that is one is replaced and never written through. Hard links
//! stay one file.

use std::fs;
use std::os::unix::fs::MetadataExt;

use fileops::{Links, NoteKind, OnConflict, Refusal, copy, copy_as};
use fileops_tests::tree::inode;
use fileops_tests::{FaultFs, Knobs, Mount, Tree, as_user, require_fuse, require_root, test_name, user, user_part};

use crate::{failed, noted, run, run_whole, whole};

#[test]
fn links_are_followed_when_asked() {
    let tree = Tree::new("src/file!640=hello src/dir/x=1 out/y=2 dst/");
    fileops_tests::tree::make(
        tree.root(),
        "src/to-file->file src/to-dir->dir src/outside->../out src/dir/back->../file src/chain->to-file",
    );
    run_whole(copy([tree.path("src")], tree.path("dst")).links(Links::Follow));
    fs::rename(tree.path("dst/src"), tree.path("copy")).expect("renamed");
    fs::remove_dir_all(tree.path("src")).expect("removed");
    tree.assert(
        "out/y=2 dst/ copy/file!640=hello copy/dir/x=1 copy/dir/back!640=hello copy/to-file!640=hello
         copy/to-dir/x=1 copy/to-dir/back=hello copy/outside/y=2 copy/chain!640=hello",
    );
}

#[test]
fn a_source_that_is_a_link_is_followed_when_asked() {
    let tree = Tree::new("file=hello dir/x=1 link->file up->dir dst/");
    run_whole(copy([tree.path("link"), tree.path("up")], tree.path("dst")).links(Links::Follow));
    run_whole(copy_as(tree.path("up"), tree.path("named")).links(Links::Follow));
    tree.assert("file=hello dir/x=1 link->file up->dir dst/link=hello dst/up/x=1 named/x=1");
}

#[test]
fn a_followed_link_to_nothing_stays_a_link_and_loops_fail() {
    let tree = Tree::new("src/gone->nowhere src/not/a=x src/through->not/a/b src/self->self src/a->b src/b->a dst/");
    fileops_tests::tree::make(tree.root(), "src/deep/up->.. src/deep/here->. src/deep/file=x");
    let report = run(copy([tree.path("src")], tree.path("dst")).links(Links::Follow));
    let (circle, loops) = (libc::EINVAL, libc::ELOOP);
    let expected = [("a", loops), ("b", loops), ("here", circle), ("self", loops), ("up", circle)];
    assert_eq!(failed(&report), expected.map(|(name, errno)| (name.to_owned(), errno)), "{report:#?}");
    let within = report.failures.iter().filter(|error| error.refusal() == Some(Refusal::IntoItself));
    assert_eq!(within.count(), 2);
    fs::rename(tree.path("dst/src"), tree.path("copy")).expect("renamed");
    fs::remove_dir_all(tree.path("src")).expect("removed");
    tree.assert("dst/ copy/gone->nowhere copy/not/a=x copy/through->not/a/b copy/deep/file=x");
}

#[test]
fn a_link_that_cannot_be_followed_fails_and_is_not_copied_as_a_link() {
    user_part!("copy", {
        let root = std::path::PathBuf::from(user::variable("ROOT"));
        let report = run(copy([root.join("src")], root.join("dst")).links(Links::Follow));
        assert_eq!(failed(&report), [("link".to_owned(), libc::EACCES)], "{report:#?}");
        assert!(fs::symlink_metadata(root.join("dst/src/link")).is_err());
        assert!(root.join("dst/src/file").exists());
    });
    require_root!();
    let tree = Tree::new("closed!700/ closed/file=secret src/link->../closed/file src/file=x dst!777/");
    let state = tree.path("dst");
    let set = [("ROOT", tree.root().as_os_str()), ("XDG_STATE_HOME", state.as_os_str())];
    as_user(1234, 1234, test_name!(), "copy", &set);
}

#[test]
fn a_slash_at_the_end_of_a_source_changes_nothing() {
    let tree = Tree::new("dir/x=1 link->dir dst/ followed/");
    let slash = |name: &str| format!("{}/", tree.path(name).display());
    run_whole(copy([slash("dir"), slash("link")], slash("dst")));
    run_whole(copy_as(slash("link"), slash("other")));
    run_whole(copy([slash("link")], slash("followed")).links(Links::Follow));
    tree.assert("dir/x=1 link->dir dst/dir/x=1 dst/link->dir other->dir followed/link/x=1");
}

#[test]
fn a_destination_that_is_a_link_to_a_directory_receives_inside() {
    let tree = Tree::new("file=x dir/ link->dir");
    run_whole(copy([tree.path("file")], tree.path("link")));
    tree.assert("file=x dir/file=x link->dir");
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_never_written_through() {
    let tree = Tree::new("src/a=new src/b=new src/c=new victim=old dst/a->../victim dst/b->nowhere dst/c->../out out/");
    let sources = || ["src/a", "src/b", "src/c"].map(|name| tree.path(name));
    let report = run(copy(sources(), tree.path("dst")));
    assert_eq!(report.failures.iter().filter(|error| error.refusal() == Some(Refusal::Exists)).count(), 3);
    tree.assert("src/a=new src/b=new src/c=new victim=old dst/a->../victim dst/b->nowhere dst/c->../out out/");
    run_whole(copy(sources(), tree.path("dst")).on_conflict(OnConflict::Replace));
    tree.assert("src/a=new src/b=new src/c=new victim=old dst/a=new dst/b=new dst/c=new out/");
}

#[test]
fn an_exact_name_that_is_a_link_is_replaced_too() {
    let tree = Tree::new("file=new victim=old link->victim out/ dir-link->out");
    run_whole(copy_as(tree.path("file"), tree.path("link")).on_conflict(OnConflict::Replace));
    run_whole(copy_as(tree.path("file"), tree.path("dir-link")).on_conflict(OnConflict::Replace));
    tree.assert("file=new victim=old link=new out/ dir-link=new");
}

#[test]
fn a_directory_does_not_merge_through_a_link() {
    let tree = Tree::new("dir/x=1 out/ dst/dir->../out");
    for (rule, refusal) in [(OnConflict::Fail, Refusal::Exists), (OnConflict::Replace, Refusal::KindDiffers)] {
        let report = run(copy([tree.path("dir")], tree.path("dst")).on_conflict(rule));
        assert_eq!(report.failures.iter().map(fileops::Error::refusal).collect::<Vec<_>>(), [Some(refusal)]);
        tree.assert("dir/x=1 out/ dst/dir->../out");
    }
    run_whole(copy([tree.path("dir")], tree.path("dst")).on_conflict(OnConflict::Rename));
    let both = "dir/x=1 out/ dst/dir->../out dst/dir\\s(2)/x=1";
    tree.assert(both);
}

#[test]
fn hard_links_stay_linked_across_sources_and_directories() {
    let tree = Tree::new(
        "a/one=x a/deep/two=>a/one b/three=>a/one four=>a/one outside=>a/one b/link->three b/link-too=>b/link
         a/big#40000000 b/big=>a/big dst/",
    );
    let report = whole(copy(["a", "b", "four"].map(|name| tree.path(name)), tree.path("dst")));
    assert_eq!(report.entries, 11);
    // Each content is moved once.
    assert_eq!(report.bytes, 40_000_001);
    let names = ["a/one", "a/deep/two", "b/three", "four"].map(|name| tree.path("dst").join(name));
    assert!(names.iter().all(|name| inode(name) == inode(&names[0])));
    assert_eq!(fs::metadata(&names[0]).expect("there").nlink(), 4);
    assert_ne!(inode(&names[0]), inode(tree.path("outside")));
    assert_eq!(inode(tree.path("dst/b/link")), inode(tree.path("dst/b/link-too")));
    assert_eq!(inode(tree.path("dst/a/big")), inode(tree.path("dst/b/big")));
    assert!(fs::read(tree.path("a/big")).expect("read") == fs::read(tree.path("dst/a/big")).expect("read"));
}

#[test]
fn hard_links_of_two_file_systems_with_equal_numbers_stay_apart() {
    require_root!();
    let (one, two) = (Mount::tmpfs("size=1m").expect("tmpfs"), Mount::tmpfs("size=1m").expect("tmpfs"));
    for (mount, text) in [(&one, "1"), (&two, "2")] {
        // A name that is not copied leaves the group open to the end.
        let entries = format!("in/{text}-first={text} in/{text}-second=>in/{text}-first out=>in/{text}-first");
        fileops_tests::tree::make(mount.path(), &entries);
    }
    assert_eq!(inode(one.path().join("out")), inode(two.path().join("out")));
    let tree = Tree::new("");
    run_whole(copy([one.path().join("in/."), two.path().join("in/.")], tree.root()).jobs(1));
    tree.assert("1-first=1 1-second=>1-first 2-first=2 2-second=>2-first");
}

#[test]
fn hard_links_where_there_are_none_become_files_and_are_noted() {
    require_fuse!();
    let fs = FaultFs::new();
    fs.knobs(|knobs| *knobs = Knobs { no_links: true, ..Knobs::default() });
    let tree = Tree::new("src/a=x src/b=>src/a src/c=>src/a src/pipe| src/pipe-too=>src/pipe");
    for source in ["src", "src/."] {
        let report = run(copy([tree.path(source)], fs.path()));
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(noted(&report, NoteKind::LinkNotKept), 3);
    }
    fileops_tests::tree::assert_tree(
        fs.path(),
        "src/a=x src/b=x src/c=x src/pipe| src/pipe-too| a=x b=x c=x pipe| pipe-too|",
    );
}

#[test]
fn all_names_of_a_file_and_all_followed_links_to_them_stay_one_file() {
    let tree = Tree::new("src/a/one=hello src/b/two=>src/a/one src/c/to-one->../a/one src/c/to-two->../b/two dst/");
    fileops_tests::tree::make(tree.root(), "src/d/again->../a/one src/other=x");
    for workers in [1, 4] {
        let copied = tree.path(format!("dst/{workers}"));
        run_whole(copy_as(tree.path("src"), &copied).links(Links::Follow).jobs(workers));
        let names = ["a/one", "b/two", "c/to-one", "c/to-two", "d/again"];
        let inodes = names.map(|name| inode(copied.join(name)));
        assert_eq!(inodes, [inodes[0]; 5], "{workers} workers");
        assert_eq!(fs::symlink_metadata(copied.join("d/again")).expect("there").nlink(), 5);
    }
}
