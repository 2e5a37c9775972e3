//! `fileops trash`. Nothing here empties more than what was trashed before anybody had this program.

use super::*;
use crate::questions::Asked;
use serde_json::json;

/// Looks into all trashes of this machine, of which some may be broken: that is named, and no failure of the test.
fn look(place: &Place, args: &str) -> Output {
    let output = place.run(args);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{args}: {}", stderr(&output));
    let root = place.path("");
    assert!(!stderr(&output).contains(root.to_str().unwrap()), "{args}: {}", stderr(&output));
    output
}

/// What JSON says of items in this directory's trash.
fn items(place: &Place) -> Vec<Value> {
    let lines = json_lines(&look(place, "trash list --json"));
    let root = place.path("").canonicalize().unwrap();
    let mine = |item: &&&Value| item["trash"].as_str().is_some_and(|trash| Path::new(trash).starts_with(&root));
    of_kind(&lines, "item").iter().filter(mine).map(|item| (*item).clone()).collect()
}

#[test]
fn what_is_put_into_the_trash_is_listed_and_comes_back_by_its_item() {
    let place = Place::new();
    place.file("a b", "one");
    place.file("dir/c", "two");
    let output = place.command(["trash", "put", "a b", "dir", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = json_lines(&output);
    let moved: Vec<_> = of_kind(&lines, "moved").iter().map(|moved| moved["target"].clone()).collect();
    assert_eq!(of_kind(&lines, "report")[0]["moved"], 2);
    assert!(!place.exists("a b") && !place.exists("dir"));
    let listed = items(&place);
    assert_eq!(listed.len(), 2);
    for item in &listed {
        assert!(moved.contains(&item["id"]), "{item}");
        assert_eq!(item["damage"], Value::Null);
        let id = item["id"].as_str().unwrap();
        let output = place.command(["trash", "restore", id]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    assert_eq!((place.read("a b"), place.read("dir/c")), ("one".into(), "two".into()));
    assert!(items(&place).is_empty());
}

#[test]
fn what_was_somewhere_comes_back_by_its_old_path_and_overwrites_nothing() {
    let place = Place::new();
    place.file("dir/a", "old");
    place.expect(0, "trash put dir/a");
    fs::remove_dir(place.path("dir")).unwrap();
    place.expect(0, "trash restore --original dir/a");
    place.expect(0, "trash put dir/a");
    place.file("dir/a", "new");
    assert!(stderr(&place.expect(1, "trash restore --original dir/a")).contains("exists"));
    for rule in ["newer", "different"] {
        place.file("dir/a", "old");
        assert_eq!(
            place.expect(1, &format!("trash restore --original dir/a --on-conflict={rule}")).status.code(),
            Some(1)
        );
    }
    place.file("dir/a", "new");
    place.expect(1, "trash restore --original dir/a --on-conflict=skip");
    place.expect(0, "trash restore --original dir/a --on-conflict=rename");
    assert_eq!((place.read("dir/a"), place.read("dir/a (2)")), ("new".into(), "old".into()));
    assert!(stderr(&place.expect(1, "trash restore --original nowhere")).contains("nowhere"));
}

#[test]
fn the_list_for_people_has_a_line_for_each_item_and_no_control_characters() {
    let place = Place::new();
    place.file("a\u{1b}[31m", "hello");
    place.command(["trash", "put", "a\u{1b}[31m"]).status().unwrap();
    let text = stdout(&look(&place, "trash list"));
    let line = text.lines().find(|line| line.contains("a\\u{1b}[31m")).unwrap();
    assert!(line.contains(" 5 B ") && line.ends_with(".trashinfo"), "{line}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_damaged_item_says_what_is_wrong_with_it() {
    let place = Place::new();
    place.file("data/Trash/files/orphan", "x");
    place.file("data/Trash/info/gone.trashinfo", "[Trash Info]\nPath=/a\nDeletionDate=2001-02-03T04:05:06\n");
    fs::create_dir_all(place.path("data/Trash/info")).unwrap();
    let damages: Vec<_> = items(&place).iter().map(|item| item["damage"].as_str().unwrap().to_owned()).collect();
    assert_eq!(damages, ["no-file", "no-info"]);
    assert_eq!(stdout(&look(&place, "trash list")).matches("damaged: ").count(), 2);
}

#[test]
fn items_are_deleted_one_by_one() {
    let place = Place::new();
    place.file("a", "x");
    place.file("b", "y");
    place.expect(0, "trash put a b");
    place.expect(0, "trash delete data/Trash/info/a.trashinfo");
    assert_eq!(place.names("data/Trash/files"), ["b"]);
    place.expect(1, "trash delete data/Trash/info/a.trashinfo");
    place.expect(1, "trash delete b");
    assert_eq!(place.names("data/Trash/info"), ["b.trashinfo"]);
}

#[test]
fn emptying_is_refused_when_nobody_can_be_asked() {
    let place = Place::new();
    place.file("a", "x");
    place.expect(0, "trash put a");
    for args in ["trash empty", "trash empty --json", "trash empty --older-than 0"] {
        assert!(stderr(&place.expect(2, args)).contains("--yes"));
    }
    assert_eq!(place.names("data/Trash/files"), ["a"]);
}

#[test]
fn only_what_is_older_is_emptied() {
    let place = Place::new();
    place.file("new", "x");
    place.expect(0, "trash put new");
    place.file("data/Trash/files/old/deep/file", "x");
    place.file("data/Trash/info/old.trashinfo", "[Trash Info]\nPath=/old\nDeletionDate=1972-02-03T04:05:06\n");
    let lines = json_lines(&look(&place, "trash empty --yes --older-than 14600 --json"));
    assert!(of_kind(&lines, "report")[0]["entries"].as_u64().unwrap() >= 3);
    assert_eq!(place.names("data/Trash/files"), ["new"]);
    assert_eq!(place.names("data/Trash/info"), ["new.trashinfo"]);
}

#[test]
fn what_no_trash_can_take_stays_and_is_named() {
    let place = Place::new();
    place.file("a", "x");
    let output = place.expect(1, "trash put /proc/version . a missing");
    let said = stderr(&output);
    assert!(said.contains("fileops: trash /proc/version: no trash can take it"), "{said}");
    assert!(said.contains("missing") && said.lines().count() == 3, "{said}");
    assert!(!place.exists("a"));
}

#[test]
fn what_is_replaced_by_an_item_comes_back_with_an_undo() {
    let place = Place::new();
    place.file("a", "old");
    place.expect(0, "trash put a");
    place.file("a", "new");
    place.expect(0, "trash restore --original a --on-conflict=replace");
    assert_eq!(place.read("a"), "old");
    place.expect(0, "undo");
    assert_eq!(place.read("a"), "new");
    place.expect(0, "trash restore --original a --on-conflict=replace --no-undo");
    assert_eq!(place.read("a"), "old");
    // That left no record.
    let history = stdout(&place.expect(0, "history"));
    assert_eq!(history.lines().map(|line| line.contains("  undone ")).collect::<Vec<_>>(), [true, false], "{history}");
}

#[test]
fn what_no_trash_can_take_and_taken_names_are_asked_about_by_lines_of_json() {
    let place = Place::new();
    place.file("a", "x");
    let mut asked = Asked::new(&place, "trash put --json --on-no-trash=ask /proc/version a");
    let [question] = asked.questions(["version"]);
    assert_eq!(question["kind"], "no-trash");
    assert_eq!(question["answers"], json!(["skip", "retry", "delete", "stop"]));
    while asked.next("progress")["progress"]["phase"] != "asking" {}
    assert!(!place.exists("a"));
    asked.answer(&question, json!({ "do": "skip" }));
    let (exit, lines) = asked.end();
    assert_eq!((exit, of_kind(&lines, "failure").len()), (Some(1), 1));
    // Deleting is tried, since that was said; the kernel says no.
    let lines = json_lines(&place.expect(1, "trash put --json --on-no-trash=delete /proc/version"));
    assert_eq!(of_kind(&lines, "failure")[0]["action"], "remove");
    place.file("a", "new");
    let mut asked = Asked::new(&place, "trash restore --json --on-conflict=ask --original a");
    let [question] = asked.questions(["a.trashinfo"]);
    assert_eq!((&question["conflict"], &question["action"]), (&json!("replace"), &Value::Null));
    assert!(question["target"].as_str().unwrap().ends_with("/a"));
    asked.answer(&question, json!({ "do": "keep-both" }));
    assert_eq!(asked.end().0, Some(0));
    assert_eq!((place.read("a"), place.read("a (2)")), ("new".into(), "x".into()));
}

#[test]
fn wrong_usage_of_the_trash_exits_with_2() {
    let place = Place::new();
    place.file("a", "x");
    for args in ["trash", "trash put", "trash restore", "trash delete", "trash empty --older-than x", "trash list a"] {
        place.expect(2, args);
    }
    for args in [
        "trash put --on-no-trash=ask a",
        "trash put --on-error=ask a",
        "trash put --on-conflict=skip a",
        "trash restore --on-conflict=ask x",
        "trash delete --no-undo x",
        "trash delete --on-error=ask x",
        "trash empty --yes --no-undo",
        "trash list --retry 1",
    ] {
        place.expect(2, args);
    }
    assert!(place.exists("a"));
}
