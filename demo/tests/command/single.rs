//! `fileops rename`, `create`, `mkdir`, `link` and `duplicate`, as scripts meet them.

use super::{Place, json_lines, of_kind, stderr};
use crate::questions::Asked;
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn a_rename_takes_a_path_and_a_name() {
    let place = Place::new();
    place.file("dir/a", "1");
    place.file("dir/b", "2");
    place.expect(0, "rename dir/a c");
    let said = stderr(&place.expect(1, "rename dir/c b"));
    assert_eq!(said, "fileops: rename dir/c to dir/b: File exists\n");
    assert_eq!((place.read("dir/c"), place.read("dir/b")), ("1".into(), "2".into()));
    place.expect(1, "rename dir/c x/y");
    place.expect(2, "rename dir/c");
    place.expect(2, "rename a b c");
}

#[test]
fn files_and_directories_are_made_and_taken_names_are_named() {
    let place = Place::new();
    place.file("b", "kept");
    let said = stderr(&place.expect(1, "create a b c"));
    assert_eq!(said, "fileops: create b: File exists\n");
    assert_eq!((place.read("a"), place.read("b"), place.read("c")), (String::new(), "kept".into(), String::new()));
    place.expect(0, "mkdir d d/e");
    assert!(fs::metadata(place.path("d/e")).unwrap().is_dir());
    place.expect(1, "mkdir x/y");
    place.expect(2, "create");
}

#[test]
fn links_are_hard_unless_symbolic_was_asked_for() {
    let place = Place::new();
    place.file("a", "1");
    place.expect(0, "link a b");
    place.expect(0, "link --symbolic no/where c");
    assert_eq!(fs::metadata(place.path("a")).unwrap().nlink(), 2);
    assert_eq!(fs::read_link(place.path("c")).unwrap().to_str(), Some("no/where"));
    place.expect(1, "link a c");
    place.expect(1, "link missing d");
}

#[test]
fn a_duplicate_stands_beside_its_original() {
    let place = Place::new();
    place.file("dir/a.txt", "1");
    place.file("b/c", "2");
    place.expect(0, "duplicate dir/a.txt b");
    place.expect(0, "duplicate dir/a.txt");
    assert_eq!((place.read("dir/a (copy).txt"), place.read("dir/a (copy 2).txt")), ("1".into(), "1".into()));
    assert_eq!(place.read("b (copy)/c"), "2");
}

#[test]
fn a_script_gets_one_report() {
    let place = Place::new();
    place.file("b", "kept");
    for (args, entries, failures) in [("create --json a b", 1, 1), ("duplicate --json a b missing", 2, 1)] {
        let lines = json_lines(&place.expect(1, args));
        assert_eq!(of_kind(&lines, "failure").len(), failures, "{args}");
        let reports = of_kind(&lines, "report");
        assert_eq!((reports.len(), reports[0]["entries"].as_u64()), (1, Some(entries)), "{args}");
    }
}

#[test]
fn the_last_one_can_be_undone() {
    let place = Place::new();
    place.expect(0, "create a b");
    place.expect(0, "undo");
    assert!(!place.exists("a") && !place.exists("b"));
    place.file("c", "1");
    place.expect(0, "rename c d");
    place.expect(0, "undo");
    assert!(place.exists("c") && !place.exists("d"));
}

#[test]
fn what_fails_is_tried_again_asked_about_or_the_end_and_records_can_be_left_out() {
    let place = Place::new();
    place.file("taken", "x");
    place.expect(1, "create --retry 1 taken");
    let output = place.expect(1, "mkdir --on-error=stop taken other");
    assert!(stderr(&output).contains("stopped"), "{}", stderr(&output));
    assert!(!place.exists("other"));
    let mut asked = Asked::new(&place, "create --json --on-error=ask ./taken other");
    let [question] = asked.questions(["taken"]);
    assert_eq!(question["kind"], "failure");
    place.expect(0, "rename --no-undo taken moved");
    asked.answer(&question, json!({ "do": "retry" }));
    assert_eq!(asked.end().0, Some(0));
    assert!(place.exists("taken") && place.exists("other"));
    place.expect(0, "link --no-undo moved link");
    place.expect(0, "duplicate --no-undo moved");
    place.expect(0, "undo");
    // Only what was created could be undone.
    assert!(!place.exists("taken") && place.exists("moved") && place.exists("link") && place.exists("moved (copy)"));
    place.expect(1, "undo");
}
