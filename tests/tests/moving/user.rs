//! What another user than root may do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fileops_tests::tree::make;
use fileops_tests::user::{give, variable};
use fileops_tests::{Tree, alone, as_user, require_root, test_name, user_part};

use crate::{assert_tree, elsewhere, errnos};

/// Moves FROM into INTO.
macro_rules! moving_part {
    () => {
        user_part!("move", {
            let report = fileops::move_to([variable("FROM")], variable("INTO")).start().wait();
            println!("errors: {:?}", errnos(&report));
        });
    };
}

#[test]
fn a_read_only_directory_is_moved_to_another_one_and_stays_read_only() {
    moving_part!();
    alone!();
    require_root!();
    let tree = Tree::new("from/closed/file=x into/");
    fs::set_permissions(tree.path("from/closed"), fs::Permissions::from_mode(0o555)).expect("set");
    give(tree.root(), 1000, 1000);
    let (from, into) = (tree.path("from/closed"), tree.path("into"));
    let said = as_user(1000, 1000, test_name!(), "move", &[("FROM", from.as_ref()), ("INTO", into.as_ref())]);
    assert!(said.contains("errors: []"), "{said}");
    tree.assert("from/ into/closed!555/ into/closed/file=x");
}

#[test]
fn a_read_only_directory_is_moved_across_devices_and_its_source_goes() {
    moving_part!();
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("from/closed/file!400=x from/closed/hidden!0=y from/closed/sub!555/"), elsewhere());
    make(target.path(), "into/");
    fs::set_permissions(tree.path("from/closed"), fs::Permissions::from_mode(0o555)).expect("set");
    fs::remove_file(tree.path("from/closed/hidden")).expect("root may");
    give(tree.root(), 1000, 1000);
    give(&target.path().join("into"), 1000, 1000);
    let (from, into) = (tree.path("from/closed"), target.path().join("into"));
    let said = as_user(1000, 1000, test_name!(), "move", &[("FROM", from.as_ref()), ("INTO", into.as_ref())]);
    assert!(said.contains("errors: []"), "{said}");
    tree.assert("from/");
    assert_tree(target.path(), "into/closed!555/ into/closed/file!400=x into/closed/sub!555/");
}

#[test]
fn a_directory_of_somebody_else_that_may_not_be_read_stays_where_it_is() {
    moving_part!();
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("from/top/secret!700/ from/top/secret/file=x from/top/open=y"), elsewhere());
    make(target.path(), "into/");
    give(&tree.path("from"), 1000, 1000);
    give(&tree.path("from/top/secret"), 0, 0);
    give(&target.path().join("into"), 1000, 1000);
    let (from, into) = (tree.path("from/top"), target.path().join("into"));
    let said = as_user(1000, 1000, test_name!(), "move", &[("FROM", from.as_ref()), ("INTO", into.as_ref())]);
    assert!(said.contains(&format!("errors: [{}]", libc::EACCES)), "{said}");
    tree.assert("from/top/secret/file=x");
    assert_tree(target.path(), "into/top/open=y");
}

#[test]
fn a_file_in_a_directory_that_may_not_be_written_keeps_its_place_and_is_named() {
    moving_part!();
    alone!();
    require_root!();
    let (tree, target) = (Tree::new("from/file=x near/"), elsewhere());
    make(target.path(), "into/");
    give(&tree.path("from"), 1000, 1000);
    give(&tree.path("near"), 1000, 1000);
    give(&target.path().join("into"), 1000, 1000);
    fs::set_permissions(tree.path("from"), fs::Permissions::from_mode(0o555)).expect("set");
    let from = tree.path("from/file");
    for into in [tree.path("near"), target.path().join("into")] {
        let said = as_user(1000, 1000, test_name!(), "move", &[("FROM", from.as_ref()), ("INTO", into.as_ref())]);
        assert!(said.contains(&format!("errors: [{}]", libc::EACCES)), "{said}");
        assert_eq!(fs::read_to_string(&from).expect("it stays"), "x");
    }
}
