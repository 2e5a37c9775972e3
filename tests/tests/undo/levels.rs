//! Many levels of undo and redo, across processes.

use std::fs;
use std::path::Path;

use fileops::{OnConflict, PastState};
use fileops_tests::alone::{part, wait_for_child};
use fileops_tests::tree::make;
use fileops_tests::user::variable;
use fileops_tests::{Tree, alone, snapshot, test_name, user_part};

use crate::{assert_same, copied, finish, redone, replaced, undone};

/// What the `n`-th operation copies: other contents each time, some into what the one before made.
fn source(n: usize) -> Tree {
    let own = format!("top/{n}/file=new{n} top/{n}/deep/file=new{n}");
    let all = format!("top/same=all{n} top/dir/same#{} top/dir/{n}=x", 1000 + n);
    Tree::new(&match n % 3 {
        0 => own,
        1 => all,
        _ => format!("{own} {all} top/{}/file=changed{n} top/{}/deep/more=x", n - 1, n - 2),
    })
}

fn copy(n: usize, into: &Path) -> String {
    replaced(source(n).path("top"), into)
}

#[test]
fn twenty_operations_are_undone_and_redone_in_order() {
    alone!();
    let tree = Tree::new("top/same=first top/other=stays");
    let mut states = vec![snapshot(tree.root())];
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(copy(n, tree.root()));
        states.push(snapshot(tree.root()));
    }
    for round in 0..2 {
        for (n, id) in ids.iter().enumerate().rev() {
            undone(id);
            assert_same(tree.root(), &states[n], &format!("round {round}: {n} is undone"));
        }
        assert!(fileops::history().expect("read").iter().all(|past| past.state == PastState::Undone));
        for (n, id) in ids.iter_mut().enumerate() {
            *id = redone(id);
            assert_same(tree.root(), &states[n + 1], &format!("round {round}: {n} is redone"));
        }
    }
}

#[test]
fn a_later_operation_that_stands_keeps_an_earlier_one_from_being_undone() {
    alone!();
    let (first, second) = (Tree::new("top/dir/file=x"), Tree::new("top/dir/more=y"));
    let tree = Tree::new("");
    let one = copied(first.path("top"), tree.path("top"));
    let other = replaced(second.path("top"), tree.root());
    let both = snapshot(tree.root());
    assert!(!crate::undo(&one).failures.is_empty());
    assert_same(tree.root(), &both, "nothing was undone");
    undone(&other);
    let again = redone(&other);
    assert!(!crate::undo(&one).failures.is_empty(), "it stands again");
    undone(&again);
    undone(&one);
    tree.assert("");
}

#[test]
fn what_other_processes_did_is_undone_and_redone_by_another() {
    user_part!("copy", {
        let n = variable("N").to_str().and_then(|n| n.parse().ok()).expect("a number");
        copy(n, Path::new(&variable("INTO")));
    });
    user_part!("undo", {
        let past = fileops::history().expect("read");
        let last = past.iter().find(|past| past.state == PastState::Done).expect("one that stands");
        undone(&last.id);
    });
    user_part!("redo", {
        let past = fileops::undone().expect("read");
        redone(&past[0].id);
    });
    alone!();
    let tree = Tree::new("top/same=first top/other=stays");
    let mut states = vec![snapshot(tree.root())];
    let run = |what: &str, n: usize| {
        let n = n.to_string();
        let set = [("N", n.as_ref()), ("INTO", tree.root().as_os_str())];
        let status = wait_for_child(part(test_name!(), what, &set).spawn().expect("runs"), crate::PATIENCE);
        assert!(status.is_some_and(|status| status.success()), "{what} {n}: {status:?}");
    };
    for n in 0..5 {
        run("copy", n);
        states.push(snapshot(tree.root()));
    }
    for n in (0..5).rev() {
        run("undo", n);
        assert_same(tree.root(), &states[n], &format!("{n} is undone"));
    }
    for n in 0..5 {
        run("redo", n);
        assert_same(tree.root(), &states[n + 1], &format!("{n} is redone"));
    }
}

#[test]
fn a_redo_is_refused_where_somebody_took_the_place() {
    alone!();
    let tree = Tree::new("from/one=new from/two=new into/two=old");
    let sources = ["one", "two"].map(|name| tree.path("from").join(name));
    let report = finish(fileops::copy(sources, tree.path("into")).on_conflict(OnConflict::Replace).start());
    let id = report.id.expect("done");
    undone(&id);
    fs::write(tree.path("into/one"), "theirs").expect("written");
    fs::write(tree.path("into/two"), "theirs").expect("written");
    let report = finish(fileops::redo(&id).start());
    assert_eq!(report.failures.len(), 2, "{report:?}");
    tree.assert("from/one=new from/two=new into/one=theirs into/two=theirs");
    // Once it is free again, the redo goes on.
    fs::remove_file(tree.path("into/one")).expect("removed");
    let report = finish(fileops::redo(&id).start());
    assert_eq!(report.failures.len(), 1, "{report:?}");
    tree.assert("from/one=new from/two=new into/one=new into/two=theirs");
    make(tree.path("into").as_path(), "more=x");
}
