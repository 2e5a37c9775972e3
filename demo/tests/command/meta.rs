//! `fileops meta`.

use crate::{Place, stderr};
use serde_json::Value;
use std::process::Output;

const ENOENT: i32 = 2;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_is_set_is_printed_again_and_can_be_removed() {
    let place = Place::new();
    place.file("a", "hello\n");
    place.expect(0, "meta set a --tag holiday --tag sea --comment good --rating 8 --dublin-core title=T");
    let got = place.expect(0, "meta get a");
    assert_eq!(stdout(&got), "tags: holiday, sea\ncomment: good\nrating: 8\ndublincore.title: T\n");
    assert_eq!(stdout(&place.expect(0, "meta get a tags user.baloo.rating")), "holiday,sea\n8\n");
    place.expect(0, "meta set a --add-tag x --remove-tag sea");
    assert_eq!(stdout(&place.expect(0, "meta get a tags")), "holiday,x\n");
    place.expect(0, "meta remove a comment user.baloo.rating not-there.x");
    assert_eq!(stdout(&place.expect(0, "meta list a")), "user.dublincore.title: T\nuser.xdg.tags: holiday,x\n");
    let missing = place.expect(1, "meta get a comment");
    assert_eq!(stderr(&missing), "fileops: a has no comment\n");
}

#[test]
fn nothing_raw_reaches_a_terminal() {
    let place = Place::new();
    place.file("a", "x");
    let args = ["meta", "set", "a", "--comment", "\u{1b}[31m\u{202e}", "--attribute", "user.\u{7}=\u{1b}"];
    assert!(place.command(args).status().unwrap().success());
    for args in ["meta get a", "meta get a comment", "meta list a", "meta get a --json", "meta list a --json"] {
        let printed = stdout(&place.expect(0, args));
        let raw = printed.chars().find(|&c| c != '\n' && (c.is_control() || c == '\u{202e}'));
        assert_eq!(raw, None, "{args}: {printed:?}");
        assert!(printed.contains("31m"), "{printed}");
    }
}

#[test]
fn json_has_an_object_a_line() {
    let place = Place::new();
    place.file("a", "hello\n");
    place.file("b.txt", "hello\n");
    let objects = |output: &Output| -> Vec<Value> {
        stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let set = objects(&place.expect(0, "meta set a b.txt --tag t --json"));
    assert_eq!(set[0]["changed"]["attributes"][0], "user.xdg.tags");
    assert_eq!((set.len(), &set[1]["changed"]["path"]), (2, &Value::from("b.txt")));
    assert_eq!(objects(&place.expect(0, "meta get a --json"))[0]["metadata"]["tags"][0], "t");
    assert_eq!(objects(&place.expect(0, "meta list a --json"))[0]["attribute"]["value"], "t");
    let found = &objects(&place.expect(0, "meta extract b.txt --json"))[0]["extracted"];
    assert_eq!((&found["mime_type"], &found["charset"]), (&Value::from("text/plain"), &Value::from("UTF-8")));
    let failed = objects(&place.expect(1, "meta extract missing b.txt --json"));
    assert_eq!((&failed[0]["failure"]["errno"], failed.len()), (&Value::from(ENOENT), 2));
}

#[test]
fn exit_codes_tell_failures_from_wrong_usage() {
    let place = Place::new();
    place.file("a", "x");
    let failed = place.expect(1, "meta set missing a --tag t");
    assert!(stderr(&failed).contains("missing"), "{}", stderr(&failed));
    assert_eq!(stdout(&place.expect(0, "meta get a tags")), "t\n", "the others are done all the same");
    for wrong in
        ["meta", "meta set a", "meta set --tag t", "meta set a --rating 11", "meta set a --attribute x", "meta get"]
    {
        place.expect(2, wrong);
    }
    let failed = place.expect(1, "meta set a --comment c --attribute wrong=x");
    assert!(stderr(&failed).contains("user.xdg.comment"), "{}", stderr(&failed));
}

#[test]
fn an_answer_is_kept_when_asked() {
    let place = Place::new();
    place.file("a.txt", "hello\n");
    assert_eq!(stdout(&place.expect(0, "meta extract a.txt")), "mime-type: text/plain\ncharset: UTF-8\n");
    assert_eq!(stdout(&place.expect(0, "meta list a.txt")), "");
    place.expect(0, "meta extract --cache a.txt");
    assert!(stdout(&place.expect(0, "meta list a.txt")).starts_with("user.fileops.extracted: fileops-extracted 1 6 "));
}
