//! `fileops move`, as scripts and people meet it.

use super::{Place, json_lines, of_kind, stderr};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_directory_receives_the_sources_and_a_name_is_a_name() {
    let place = Place::new();
    place.file("a", "1");
    place.file("b/c", "2");
    fs::create_dir(place.path("into")).unwrap();
    place.expect(0, "move a b into");
    assert_eq!((place.read("into/a"), place.read("into/b/c")), ("1".into(), "2".into()));
    place.expect(0, "move into/a other");
    assert_eq!(place.read("other"), "1");
    assert!(!place.exists("a") && !place.exists("b") && !place.exists("into/a"));
}

#[test]
fn with_t_the_name_is_the_name_even_of_a_directory() {
    let place = Place::new();
    place.file("a/x", "1");
    place.file("b/y", "2");
    place.expect(0, "move -T a b");
    assert_eq!((place.read("b/x"), place.read("b/y")), ("1".into(), "2".into()));
    place.file("c", "3");
    place.file("d", "4");
    place.expect(2, "move -T c d b");
    assert!(place.exists("c") && place.exists("d"));
}

#[test]
fn several_sources_need_a_directory() {
    let place = Place::new();
    place.file("a", "1");
    place.file("b", "2");
    assert!(stderr(&place.expect(2, "move a b missing")).contains("missing"));
    assert!(stderr(&place.expect(2, "move a missing/")).contains("missing"));
    assert!(place.exists("a") && place.exists("b"));
}

#[test]
fn what_exists_is_named_and_everything_else_moves() {
    let place = Place::new();
    place.file("a", "new");
    place.file("b", "2");
    place.file("into/a", "old");
    let said = stderr(&place.expect(1, "move a b into"));
    assert_eq!(said, "fileops: move a to into/a: the target exists\n");
    assert_eq!((place.read("into/a"), place.read("into/b"), place.read("a")), ("old".into(), "2".into(), "new".into()));
    place.expect(1, "move --on-conflict=skip a into");
    place.expect(0, "move --on-conflict=rename a into");
    assert_eq!(place.read("into/a (2)"), "new");
    place.file("a", "newest");
    place.expect(0, "move --on-conflict=replace a into");
    assert_eq!(place.read("into/a"), "newest");
}

#[test]
fn what_has_no_name_of_its_own_or_goes_into_itself_is_refused() {
    let place = Place::new();
    place.file("a/b/c", "1");
    for args in ["move a/. a/b/.. x", "move a a/b", "move a/b/c a/b/c", "move . a"] {
        fs::create_dir_all(place.path("x")).unwrap();
        place.expect(1, args);
        assert_eq!(place.read("a/b/c"), "1", "{args}");
    }
}

#[test]
fn a_link_with_a_slash_moves_itself() {
    let place = Place::new();
    place.file("real/x", "1");
    symlink("real", place.path("link")).unwrap();
    place.expect(0, "move link/ other");
    assert_eq!(fs::read_link(place.path("other")).unwrap().to_str(), Some("real"));
    assert_eq!(place.read("real/x"), "1");
}

#[test]
fn a_script_gets_lines_of_json() {
    let place = Place::new();
    place.file("a", "new");
    place.file("b/x", "1");
    place.file("into/a", "old");
    let output = place.expect(1, "move --json a b into");
    let lines = json_lines(&output);
    let failure = of_kind(&lines, "failure")[0];
    assert_eq!((failure["path"].as_str(), failure["target"].as_str()), (Some("a"), Some("into/a")));
    let report = of_kind(&lines, "report")[0];
    assert_eq!((report["entries"].as_u64(), report["exit"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn a_summary_tells_how_much_was_moved() {
    let place = Place::new();
    place.file("a", "1");
    place.file("b", "2");
    fs::create_dir(place.path("into")).unwrap();
    let said = stderr(&place.expect(0, "move -v a b into"));
    assert!(said.starts_with("2 entries moved in ") && !said.contains("copied"), "{said}");
}

#[test]
fn a_move_can_be_undone_and_done_again() {
    let place = Place::new();
    place.file("a", "new");
    place.file("b/sub/x", "1");
    place.file("into/a", "old");
    place.file("into/b/sub/y", "2");
    place.expect(0, "move --on-conflict=replace a b into");
    assert!(!place.exists("a") && !place.exists("b"));
    place.expect(0, "undo");
    assert_eq!((place.read("a"), place.read("b/sub/x")), ("new".into(), "1".into()));
    assert_eq!((place.read("into/a"), place.read("into/b/sub/y")), ("old".into(), "2".into()));
    assert!(!place.exists("into/b/sub/x"));
    place.expect(0, "redo");
    assert_eq!((place.read("into/a"), place.read("into/b/sub/x")), ("new".into(), "1".into()));
    assert!(!place.exists("a") && !place.exists("b"));
}

#[test]
fn a_move_that_keeps_nothing_is_no_history() {
    let place = Place::new();
    place.file("a", "new");
    place.file("into/a", "old");
    place.expect(0, "move --no-undo --on-conflict=replace a into");
    assert_eq!(place.read("into/a"), "new");
    place.expect(1, "undo");
    assert_eq!(place.read("into/a"), "new");
}
