//! What happens where a name is taken: each rule, each kind of entry.

use std::fs;

use fileops::{Action, OnConflict, Refusal};
use fileops_tests::tree::noise;
use fileops_tests::{Fault, FaultFs, Op, Tree, assert_same_tree, require_fuse};

use crate::{RULES, complete, errnos, inode, refusals, run, set_modified};

/// A file, a link and a pipe, as the second half of an entry.
const KINDS: [(&str, &str); 3] = [("=new", "=old"), ("->new", "->old"), ("|", "|")];

fn copy(tree: &Tree, rule: OnConflict) -> fileops::Report {
    run(fileops::copy([tree.path("src/x")], tree.path("dst")).on_conflict(rule))
}

#[test]
fn each_rule_does_what_it_says_for_files_links_and_pipes() {
    for (source, _) in KINDS {
        for (_, old) in KINDS {
            for rule in RULES {
                let tree = Tree::new(&format!("src/x{source} dst/x{old}"));
                set_modified(&tree.path("src/x"), 2000);
                set_modified(&tree.path("dst/x"), 1000);
                let before = inode(tree.path("dst/x"));
                let report = copy(&tree, rule);
                let what = format!("x{source} over x{old}, {rule:?}: {report:?}");
                // Two pipes do not differ.
                let is_same = source == old && rule == OnConflict::Different;
                let (entries, dst) = match rule {
                    OnConflict::Fail => {
                        assert_eq!(refusals(&report), [Refusal::Exists], "{what}");
                        (0, format!("dst/x{old}"))
                    }
                    OnConflict::Skip => (0, format!("dst/x{old}")),
                    OnConflict::Rename => (1, format!("dst/x{old} dst/x\\s(2){source}")),
                    _ if is_same => (0, format!("dst/x{old}")),
                    _ => (1, format!("dst/x{source}")),
                };
                tree.assert(&format!("src/x{source} {dst}"));
                assert_eq!(report.entries, entries, "{what}");
                assert_eq!(report.failures.is_empty(), rule != OnConflict::Fail, "{what}");
                assert_eq!(report.skipped.len(), usize::from(rule == OnConflict::Skip || is_same), "{what}");
                if entries == 0 || rule == OnConflict::Rename {
                    assert_eq!(inode(tree.path("dst/x")), before, "{what}");
                } else {
                    assert_same_tree(tree.path("src/x"), tree.path("dst/x"));
                }
            }
        }
    }
}

#[test]
fn newer_compares_the_times_to_the_nanosecond() {
    for (source, target, replaces) in [(5, 5, false), (4, 5, false), (6, 5, true)] {
        let tree = Tree::new("src/x=new dst/x=old");
        let set = |name: &str, nanoseconds| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::new(1000, nanoseconds);
            let file = fs::File::options().write(true).open(tree.path(name)).unwrap();
            file.set_modified(time).unwrap();
        };
        set("src/x", source);
        set("dst/x", target);
        let report = copy(&tree, OnConflict::Newer);
        assert_eq!((report.entries, report.skipped.len()), if replaces { (1, 0) } else { (0, 1) });
        tree.assert(if replaces { "src/x=new dst/x=new" } else { "src/x=new dst/x=old" });
    }
}

#[test]
fn different_compares_every_byte_and_not_the_times() {
    let bytes = noise(300_000);
    let mut flipped = bytes.clone();
    flipped[299_999] ^= 1;
    for (old, replaces) in [(bytes.clone(), false), (flipped, true), (bytes[..299_999].to_vec(), true)] {
        let tree = Tree::new("src/ dst/");
        fs::write(tree.path("src/x"), &bytes).unwrap();
        fs::write(tree.path("dst/x"), old).unwrap();
        set_modified(&tree.path("src/x"), if replaces { 1000 } else { 3000 });
        set_modified(&tree.path("dst/x"), 2000);
        let before = inode(tree.path("dst/x"));
        let report = copy(&tree, OnConflict::Different);
        assert_eq!((report.entries, report.skipped.len()), if replaces { (1, 0) } else { (0, 1) });
        assert_eq!(inode(tree.path("dst/x")) != before, replaces);
        assert!(fs::read(tree.path("dst/x")).unwrap() == bytes);
    }
    let tree = Tree::new("src/x->same dst/x->same");
    assert_eq!(copy(&tree, OnConflict::Different).skipped.len(), 1);
}

#[test]
fn a_file_never_replaces_a_directory() {
    for (source, _) in KINDS {
        for rule in RULES {
            let tree = Tree::new(&format!("src/x{source} dst/x/in=old"));
            set_modified(&tree.path("dst/x"), 1);
            let report = copy(&tree, rule);
            match rule {
                OnConflict::Fail => assert_eq!(refusals(&report), [Refusal::Exists]),
                OnConflict::Skip => assert_eq!(report.skipped.len(), 1),
                OnConflict::Rename => assert!(report.is_complete(), "{report:?}"),
                _ => assert_eq!(refusals(&report), [Refusal::KindDiffers], "{rule:?}"),
            }
            let beside = if rule == OnConflict::Rename { format!(" dst/x\\s(2){source}") } else { String::new() };
            tree.assert(&format!("src/x{source} dst/x/in=old{beside}"));
        }
    }
}

#[test]
fn a_directory_never_replaces_a_file() {
    for (_, old) in KINDS {
        for rule in RULES {
            let tree = Tree::new(&format!("src/x/in=new dst/x{old}"));
            set_modified(&tree.path("dst/x"), 1);
            let report = copy(&tree, rule);
            match rule {
                OnConflict::Fail => assert_eq!(refusals(&report), [Refusal::Exists]),
                OnConflict::Skip => assert_eq!(report.skipped.len(), 1),
                OnConflict::Rename => assert!(report.is_complete(), "{report:?}"),
                _ => assert_eq!(refusals(&report), [Refusal::KindDiffers], "{rule:?}"),
            }
            let beside = if rule == OnConflict::Rename { " dst/x\\s(2)/in=new" } else { "" };
            tree.assert(&format!("src/x/in=new dst/x{old}{beside}"));
        }
    }
}

#[test]
fn a_link_to_a_directory_is_not_merged_into() {
    for rule in RULES {
        let tree = Tree::new("src/x/in=new dst/x->../elsewhere elsewhere/in=old");
        let report = copy(&tree, rule);
        assert_eq!(report.is_complete(), rule == OnConflict::Rename, "{rule:?}: {report:?}");
        let beside = if rule == OnConflict::Rename { " dst/x\\s(2)/in=new" } else { "" };
        tree.assert(&format!("src/x/in=new dst/x->../elsewhere elsewhere/in=old{beside}"));
    }
}

#[test]
fn directories_merge_by_every_rule_and_only_their_files_conflict() {
    for rule in RULES {
        let tree = Tree::new(
            "src/x/both=new src/x/only=new src/x/sub/both->new src/x/sub/deep/n=new \
             dst/x!700/ dst/x/both=old dst/x/mine=old dst/x/sub!711/ dst/x/sub/both->old",
        );
        ["src/x/both", "src/x/sub/both"].iter().for_each(|name| set_modified(&tree.path(name), 2000));
        ["dst/x/both", "dst/x/sub/both", "dst/x", "dst/x/sub"]
            .iter()
            .for_each(|name| set_modified(&tree.path(name), 1000));
        let report = copy(&tree, rule);
        let (both, link, beside) = match rule {
            OnConflict::Fail | OnConflict::Skip => ("=old", "->old", ""),
            OnConflict::Rename => ("=old", "->old", "dst/x/both\\s(2)=new dst/x/sub/both\\s(2)->new"),
            _ => ("=new", "->new", ""),
        };
        tree.assert(&format!(
            "src/x/both=new src/x/only=new src/x/sub/both->new src/x/sub/deep/n=new \
             dst/x!700/ dst/x/both{both} dst/x/mine=old dst/x/only=new dst/x/sub!711/ dst/x/sub/both{link} \
             dst/x/sub/deep/n=new {beside}"
        ));
        match rule {
            OnConflict::Fail => assert_eq!(refusals(&report), [Refusal::Exists; 2]),
            OnConflict::Skip => assert_eq!(report.skipped.len(), 2),
            _ => assert!(report.is_complete(), "{rule:?}: {report:?}"),
        }
    }
}

#[test]
fn the_report_names_each_entry_that_failed_or_was_skipped_with_both_paths() {
    let tree = Tree::new("src/x/a=1 src/x/b=2 src/x/c=3 dst/x/a=0 dst/x/b/");
    let report = copy(&tree, OnConflict::Fail);
    let mut failed: Vec<_> =
        report.failures.iter().map(|error| (error.action, error.path.clone(), error.target.clone())).collect();
    failed.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = ["a", "b"].map(|name| {
        let (source, target) = (tree.path(format!("src/x/{name}")), tree.path(format!("dst/x/{name}")));
        (Action::Copy, source, Some(target))
    });
    assert_eq!(failed, expected);
    assert!(report.failures.iter().all(|error| error.errno() == Some(libc::EEXIST)));
    let report = copy(&tree, OnConflict::Skip);
    let mut skipped: Vec<_> = report.skipped.iter().map(|one| (one.path.clone(), one.target.clone())).collect();
    skipped.sort();
    let expected = ["a", "b", "c"].map(|name| (tree.path(format!("src/x/{name}")), tree.path(format!("dst/x/{name}"))));
    assert_eq!(skipped, expected);
    tree.assert("src/x/a=1 src/x/b=2 src/x/c=3 dst/x/a=0 dst/x/b/ dst/x/c=3");
}

#[test]
fn a_failure_ends_its_entry_only() {
    require_fuse!();
    let tree = Tree::new("dst/");
    let fs = FaultFs::new();
    for dir in ["x", "x/one", "x/two"] {
        fs::create_dir(fs.backing().join(dir)).unwrap();
        for file in 0..10 {
            fs::write(fs.backing().join(dir).join(format!("good{file}")), "g").unwrap();
        }
        fs::write(fs.backing().join(dir).join("bad"), "b").unwrap();
    }
    fs::create_dir(fs.backing().join("x/closed")).unwrap();
    fs.add(Fault::new(Op::Open, fileops_tests::Action::Errno(libc::EACCES)).name("bad"));
    fs.add(Fault::new(Op::Opendir, fileops_tests::Action::Errno(libc::EIO)).name("closed"));
    let report = run(fileops::copy([fs.path().join("x")], tree.path("dst")));
    let mut errors = errnos(&report);
    errors.sort_unstable();
    assert_eq!(errors, [libc::EIO, libc::EACCES, libc::EACCES, libc::EACCES]);
    assert!(report.failures.iter().all(|error| error.action == Action::Open && error.path.starts_with(fs.path())));
    assert_eq!((report.files, report.directories), (30, 3));
    let missing: Vec<_> = ["x/bad", "x/one/bad", "x/two/bad", "x/closed"]
        .iter()
        .filter(|name| tree.path("dst").join(name).exists())
        .collect();
    assert!(missing.is_empty(), "the place of an entry that failed stays empty: {missing:?}");
}

#[test]
fn an_entry_that_fails_at_first_is_tried_again_when_that_was_asked_for() {
    require_fuse!();
    let (tree, fs) = (Tree::new("dst/"), FaultFs::new());
    fs::write(fs.backing().join("x"), "hello").unwrap();
    fs.add(Fault::new(Op::Open, fileops_tests::Action::Errno(libc::EIO)).first(2));
    assert_eq!(errnos(&run(fileops::copy([fs.path().join("x")], tree.path("dst")))), [libc::EIO]);
    complete(fileops::copy([fs.path().join("x")], tree.path("dst")).retry(1));
    tree.assert("dst/x=hello");
}
