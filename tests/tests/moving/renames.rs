//! On one mount: a rename for each entry, and nothing else.

use std::fs;
use std::os::unix::fs::MetadataExt;

use fileops::{Durability, OnConflict, Outcome, Refusal, Undoable};
use fileops_tests::tree::{inode, make};
use fileops_tests::{Action, Fault, FaultFs, Op, Rich, Tree, alone, require_fuse, snapshot};

use crate::{assert_arrived, assert_tree, complete, errnos, finish, refusals, run, uncached};

#[test]
fn a_tree_is_renamed_as_a_whole_and_counts_as_one_entry() {
    alone!();
    let tree = Tree::new("a/file=x a/sub/deep=y into/");
    let (before, number) = (snapshot(tree.path("a")), inode(tree.path("a/sub/deep")));
    let report = complete(run(fileops::move_to([tree.path("a")], tree.path("into")))).report;
    assert_arrived(&before, &tree.path("into/a"));
    assert_eq!(inode(tree.path("into/a/sub/deep")), number);
    assert!(!tree.path("a").exists());
    assert_eq!((report.entries, report.directories, report.bytes), (1, 1, 0));
}

#[test]
fn a_rename_reads_and_writes_no_contents() {
    alone!();
    require_fuse!();
    let fs = FaultFs::new();
    make(fs.backing(), "a/file#70000 a/sub/deep=y b#9000 into/");
    let report = run(fileops::move_to(["a", "b"].map(|name| fs.path().join(name)), fs.path().join("into")));
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((fs.count(Op::Read), fs.count(Op::Write), fs.count(Op::Rename)), (0, 0, 2));
    assert_tree(fs.backing(), "into/a/file#70000 into/a/sub/deep=y into/b#9000");
}

#[test]
fn the_names_of_a_durable_move_are_synced_at_both_ends() {
    alone!();
    require_fuse!();
    for (durability, synced) in [(Durability::Cached, 0), (Durability::Device, 2)] {
        let fs = FaultFs::new();
        make(fs.backing(), "from/a=x into/");
        let report = run(fileops::move_to([fs.path().join("from/a")], fs.path().join("into")).durability(durability));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(fs.count(Op::Fsyncdir), synced, "{durability:?}");
    }
}

#[test]
fn every_kind_of_entry_moves() {
    alone!();
    let tree = Tree::new("file=x dir/ link->file broken->nothing pipe| into/");
    let names = ["file", "dir", "link", "broken", "pipe"];
    let report = complete(run(fileops::move_to(names.map(|name| tree.path(name)), tree.path("into")))).report;
    tree.assert("into/file=x into/dir/ into/link->file into/broken->nothing into/pipe|");
    assert_eq!([report.files, report.directories, report.symlinks, report.specials], [1, 1, 2, 1]);
}

#[test]
fn a_name_of_its_own_may_be_given() {
    alone!();
    let tree = Tree::new("a=1 dir/x=2");
    complete(run(fileops::move_as(tree.path("a"), tree.path("b"))));
    complete(run(fileops::move_as(tree.path("dir"), tree.path("other"))));
    tree.assert("b=1 other/x=2");
}

#[test]
fn what_exists_is_not_touched_unless_that_was_asked_for() {
    alone!();
    let tree = Tree::new("a=new into/a=old");
    let report = run(fileops::move_to([tree.path("a")], tree.path("into")));
    assert_eq!((errnos(&report), report.outcome), (vec![libc::EEXIST], Outcome::Done));
    assert_eq!(report.failures[0].action, fileops::Action::Move);
    tree.assert("a=new into/a=old");
    let report = run(fileops::move_to([tree.path("a")], tree.path("into")).on_conflict(OnConflict::Skip));
    assert_eq!(report.skipped.len(), 1);
    tree.assert("a=new into/a=old");
}

#[test]
fn a_file_replaces_an_old_one_when_told_so() {
    alone!();
    let tree = Tree::new("a=new into/a=old");
    let number = inode(tree.path("a"));
    complete(run(fileops::move_to([tree.path("a")], tree.path("into")).on_conflict(OnConflict::Replace)));
    tree.assert("into/a=new");
    assert_eq!(inode(tree.path("into/a")), number);
}

#[test]
fn where_nothing_can_be_exchanged_a_file_is_replaced_all_the_same() {
    alone!();
    require_fuse!();
    let fs = uncached();
    fs.knobs(|knobs| knobs.no_rename_flags = true);
    make(fs.backing(), "a=new b=x dir/file=y into/a=old");
    let sources = ["a", "b", "dir"].map(|name| fs.path().join(name));
    complete(run(fileops::move_to(sources, fs.path().join("into")).on_conflict(OnConflict::Replace)));
    assert_tree(fs.backing(), "into/a=new into/b=x into/dir/file=y");
}

#[test]
fn both_stay_under_numbered_names() {
    alone!();
    let tree = Tree::new("a.txt=new dir/x=1 into/a.txt=old into/dir=file");
    let sources = ["a.txt", "dir"].map(|name| tree.path(name));
    complete(run(fileops::move_to(sources, tree.path("into")).on_conflict(OnConflict::Rename)));
    tree.assert("into/a.txt=old into/a\\s(2).txt=new into/dir=file into/dir\\s(2)/x=1");
}

#[test]
fn a_newer_file_replaces_and_an_older_one_stays() {
    alone!();
    let tree = Tree::new("new=new old=old into/new=x into/old=y");
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(1000);
    for path in ["old", "into/new"] {
        fs::File::open(tree.path(path)).and_then(|file| file.set_modified(time)).expect("set");
    }
    let sources = ["new", "old"].map(|name| tree.path(name));
    let report = run(fileops::move_to(sources, tree.path("into")).on_conflict(OnConflict::Newer));
    assert_eq!((report.skipped.len(), report.failures.len()), (1, 0));
    tree.assert("old=old into/new=new into/old=y");
}

#[test]
fn a_file_that_differs_replaces_and_an_equal_one_stays() {
    alone!();
    let tree = Tree::new("same=x other=new into/same=x into/other=old");
    let sources = ["same", "other"].map(|name| tree.path(name));
    let report = run(fileops::move_to(sources, tree.path("into")).on_conflict(OnConflict::Different));
    assert_eq!((report.skipped.len(), report.failures.len()), (1, 0));
    tree.assert("same=x into/same=x into/other=new");
}

#[test]
fn a_file_and_a_directory_do_not_replace_each_other() {
    alone!();
    let tree = Tree::new("a=file b/x=1 into/a/y=2 into/b=file");
    let sources = ["a", "b"].map(|name| tree.path(name));
    let report = run(fileops::move_to(sources, tree.path("into")).on_conflict(OnConflict::Replace));
    assert_eq!(refusals(&report), [Some(Refusal::KindDiffers); 2]);
    tree.assert("a=file b/x=1 into/a/y=2 into/b=file");
}

#[test]
fn of_two_sources_of_one_name_the_second_does_not_replace_the_first() {
    alone!();
    for rule in [OnConflict::Fail, OnConflict::Replace] {
        let tree = Tree::new("one/a=1 two/a=2 into/");
        let sources = ["one/a", "two/a"].map(|name| tree.path(name));
        let report = run(fileops::move_to(sources, tree.path("into")).on_conflict(rule));
        assert_eq!(errnos(&report), [libc::EEXIST], "{rule:?}");
        tree.assert("one/ two/a=2 into/a=1");
    }
}

#[test]
fn a_tree_with_everything_moves_as_it_is() {
    alone!();
    let tree = Tree::new("into/");
    let _rich = Rich::make(tree.path("rich"));
    let before = snapshot(tree.path("rich"));
    complete(run(fileops::move_to([tree.path("rich")], tree.path("into"))));
    assert_arrived(&before, &tree.path("into/rich"));
}

#[test]
fn names_of_any_bytes_and_any_length_move() {
    alone!();
    let long = "n".repeat(255);
    let tree = Tree::new(&format!("\\xff\\n=1 {long}=2 into/"));
    let sources: Vec<_> = fs::read_dir(tree.root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sources = sources.into_iter().filter(|path| !path.ends_with("into"));
    complete(run(fileops::move_to(sources, tree.path("into"))));
    tree.assert(&format!("into/\\xff\\n=1 into/{long}=2"));
}

#[test]
fn a_running_program_moves() {
    alone!();
    let tree = Tree::new("into/");
    fs::copy("/bin/sleep", tree.path("program")).expect("copied");
    let mut child = std::process::Command::new(tree.path("program")).arg("60").spawn().expect("it runs");
    complete(run(fileops::move_to([tree.path("program")], tree.path("into"))));
    assert!(tree.path("into/program").exists() && child.try_wait().expect("a child").is_none());
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn many_sources_move_in_one_operation() {
    alone!();
    let tree = Tree::new(&(0..500).map(|n| format!("from/{n}=x ")).collect::<String>());
    make(tree.root(), "into/");
    let sources: Vec<_> = (0..500).map(|n| tree.path(format!("from/{n}"))).collect();
    let report = complete(run(fileops::move_to(sources, tree.path("into")))).report;
    assert_eq!((report.entries, report.files), (500, 500));
    assert_eq!(fs::read_dir(tree.path("from")).unwrap().count(), 0);
    assert_eq!(fs::metadata(tree.path("into/77")).unwrap().size(), 1);
}

#[test]
fn what_is_missing_is_named_and_the_rest_moves() {
    alone!();
    let tree = Tree::new("a=1 b=2 into/");
    let sources = ["a", "missing", "b"].map(|name| tree.path(name));
    let report = finish(fileops::move_to(sources, tree.path("into")).start());
    assert_eq!(errnos(&report), [libc::ENOENT]);
    assert_eq!(report.failures[0].path, tree.path("missing"));
    tree.assert("into/a=1 into/b=2");
}

#[test]
fn a_rename_whose_answer_is_lost_is_done_all_the_same() {
    alone!();
    require_fuse!();
    for errno in [libc::EIO, libc::EINTR] {
        let fs = uncached();
        make(fs.backing(), "a=new dir/file=x into/a=old");
        let fault = fs.add(Fault::new(Op::Rename, Action::LostReply(errno)));
        let sources = ["a", "dir"].map(|name| fs.path().join(name));
        let relocation = fileops::move_to(sources, fs.path().join("into")).on_conflict(OnConflict::Replace);
        complete(run(relocation.undoable(Undoable::No)));
        assert!(fs.hits(fault) >= 2);
        assert_tree(fs.backing(), "into/a=new into/dir/file=x");
    }
}

#[test]
fn a_file_that_took_the_old_ones_name_meanwhile_is_not_replaced() {
    alone!();
    require_fuse!();
    let fs = uncached();
    make(fs.backing(), "a=new into/a=old");
    let into = fs.backing().join("into");
    let swap = move || {
        let _ = fs::rename(into.join("a"), into.join("before"));
        fs::write(into.join("a"), "precious, longer").expect("written");
    };
    fs.add(Fault::new(Op::Rename, Action::call(swap)).nth(1));
    let relocation = fileops::move_to([fs.path().join("a")], fs.path().join("into")).on_conflict(OnConflict::Replace);
    let report = run(relocation.undoable(Undoable::No));
    assert_eq!(refusals(&report), [Some(Refusal::TargetChanged)], "{report:?}");
    assert_tree(fs.backing(), "a=new into/a=precious,\\slonger into/before=old");
}
