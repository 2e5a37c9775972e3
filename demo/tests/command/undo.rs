//! `undo`, `redo` and `history` as scripts and people meet them.

use crate::questions::Asked;
use crate::{Place, json_lines, of_kind, stderr, stdout};
use serde_json::json;
use std::fs;

fn replaced(place: &Place, text: &str) {
    place.file("from/file", text);
    place.expect(0, "copy --on-conflict=replace from/file into");
}

#[test]
fn the_last_operations_are_undone_and_redone_one_after_the_other() {
    let place = Place::new();
    place.file("into/file", "0");
    (1..=3).for_each(|n| replaced(&place, &n.to_string()));
    place.expect(0, "undo");
    assert_eq!(place.read("into/file"), "2");
    place.expect(0, "undo 2");
    assert_eq!(place.read("into/file"), "0");
    let output = place.expect(1, "undo");
    assert_eq!((stdout(&output).as_str(), stderr(&output).lines().count()), ("", 1), "{}", stderr(&output));
    place.expect(0, "redo");
    assert_eq!(place.read("into/file"), "1");
    place.expect(0, "redo 5");
    assert_eq!(place.read("into/file"), "3");
    place.expect(1, "redo");
    place.expect(0, "undo 3");
    assert_eq!(place.read("into/file"), "0");
}

#[test]
fn the_history_says_what_stands_and_what_was_undone() {
    let place = Place::new();
    place.file("into/file", "0");
    assert_eq!(stdout(&place.expect(0, "history")), "");
    (1..=2).for_each(|n| replaced(&place, &n.to_string()));
    place.expect(0, "undo");
    let output = place.expect(0, "history");
    let lines = stdout(&output);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("  copy ") && lines[0].contains("  undone "), "{lines:?}");
    assert!(lines[1].contains("  done ") && lines[1].contains("into/file"), "{lines:?}");
    let id = lines[1].split(' ').next().unwrap();
    place.expect(0, &format!("undo --id {id}"));
    assert_eq!(place.read("into/file"), "0");
    place.expect(1, "undo --id unknown1");
    place.expect(2, "undo 2 --id abcdefgh");
}

#[test]
fn what_was_changed_since_is_named_and_stays() {
    let place = Place::new();
    place.file("from/tree/a", "a");
    place.file("from/b", "b");
    place.file("into/other", "x");
    place.expect(0, "copy from/tree from/b into");
    fs::write(place.path("into/tree/a"), "mine").unwrap();
    let output = place.expect(1, "undo");
    assert!(
        stderr(&output).contains("into/tree/a") && stderr(&output).contains("it was changed since"),
        "{}",
        stderr(&output)
    );
    assert_eq!((place.read("into/tree/a").as_str(), place.exists("into/b")), ("mine", false));
    assert!(stdout(&place.expect(0, "history")).contains("partly undone"));
    let output = place.expect(1, "undo --json");
    let lines = json_lines(&output);
    assert!(!of_kind(&lines, "failure").is_empty() && of_kind(&lines, "report")[0]["exit"] == 1, "{lines:?}");
}

#[test]
fn without_undo_there_is_nothing_to_undo() {
    let place = Place::new();
    place.file("from", "new");
    place.file("into", "old");
    place.expect(0, "copy -T --no-undo --on-conflict=replace from into");
    place.expect(1, "undo");
    assert_eq!((place.read("into").as_str(), stdout(&place.expect(0, "history")).as_str()), ("new", ""));
}

#[test]
fn what_was_changed_since_is_asked_about_by_lines_of_json_and_kept_when_it_is_undone() {
    let place = Place::new();
    place.file("into/file", "old");
    replaced(&place, "new");
    place.file("into/file", "mine");
    let mut asked = Asked::new(&place, "undo --json --on-changed=ask");
    let [question] = asked.questions(["file"]);
    assert_eq!(
        (&question["kind"], &question["answers"]),
        (&json!("changed"), &json!(["skip", "retry", "anyway", "stop"]))
    );
    asked.answer(&question, json!({ "do": "anyway" }));
    assert_eq!(asked.end().0, Some(0));
    assert_eq!(place.read("into/file"), "old");
    place.expect(0, "redo");
    assert_eq!(place.read("into/file"), "mine");
    place.file("into/file", "mine again");
    place.expect(1, "undo --on-changed=fail");
    place.expect(0, "undo --on-changed=anyway");
    assert_eq!(place.read("into/file"), "old");
}

#[test]
fn a_taken_name_is_settled_by_rule_when_something_comes_home() {
    for (rule, after) in [("replace", vec![("a", "moved")]), ("rename", vec![("a", "taken"), ("a (2)", "moved")])] {
        let place = Place::new();
        place.file("a", "moved");
        place.file("into/other", "x");
        place.expect(0, "move a into");
        place.file("a", "taken");
        assert!(stderr(&place.expect(1, "undo")).contains("exists"));
        place.expect(1, "undo --on-conflict=skip");
        assert_eq!(place.read("a"), "taken");
        place.expect(0, &format!("undo --on-conflict={rule}"));
        assert!(after.iter().all(|(name, contents)| place.read(name) == *contents), "{rule}");
        place.expect(0, "redo");
        assert_eq!((place.read("a"), place.read("into/a")), ("taken".into(), "moved".into()), "{rule}");
        place.expect(2, "undo --no-undo");
        place.expect(2, "redo --on-no-trash=fail");
    }
}
