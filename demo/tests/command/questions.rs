//! Questions: as lines of JSON, and on a terminal.

use crate::{Place, json_lines, of_kind, stderr};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that is asked by lines of JSON.
pub(crate) struct Asked {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(crate) lines: Vec<Value>,
}

impl Asked {
    pub(crate) fn new(place: &Place, args: &str) -> Asked {
        let mut command = place.command(args.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Asked { child, input, output, lines: Vec::new() }
    }

    /// The next line with this member.
    pub(crate) fn next(&mut self, member: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "no {member}: {:?}", self.lines);
            let line: Value = serde_json::from_str(&line).unwrap();
            self.lines.push(line.clone());
            if line.get(member).is_some() {
                return line;
            }
        }
    }

    /// So many questions, by the last part of their path.
    pub(crate) fn questions<const N: usize>(&mut self, names: [&str; N]) -> [Value; N] {
        let all: Vec<Value> = names.iter().map(|_| self.next("question")).collect();
        names.map(|name| {
            let is_about = |line: &&Value| line["path"].as_str().unwrap().ends_with(&format!("/{name}"));
            all.iter().find(is_about).unwrap_or_else(|| panic!("no {name}: {all:?}")).clone()
        })
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn answer(&mut self, question: &Value, answer: Value) {
        let mut answer = answer;
        answer["answer"] = question["question"].clone();
        self.say(&answer.to_string());
    }

    /// The exit code, and the lines that are left.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<Value>) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.lines.extend(rest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        (self.child.wait().unwrap().code(), self.lines)
    }
}

fn conflicts(place: &Place, names: &[&str]) {
    for name in names {
        place.file(format!("from/{name}"), "new one");
        place.file(format!("to/{name}"), "old");
    }
}

#[test]
fn a_program_is_asked_and_answers_by_lines_of_json() {
    let place = Place::new();
    conflicts(&place, &["a", "b", "c", "d", "e", "f"]);
    place.file("from/other", "other");
    let mut asked = Asked::new(&place, "copy --json --on-conflict=ask -T from to");
    let [a, b, c, d, e, f] = asked.questions(["a", "b", "c", "d", "e", "f"]);
    assert_eq!((&a["kind"], &a["conflict"]), (&json!("conflict"), &json!("replace")));
    assert_eq!((&a["path"], &a["target"]), (&json!("from/a"), &json!("./to/a")));
    assert_eq!((&a["source_size"], &a["target_size"], &a["source_kind"]), (&json!(7), &json!(3), &json!("file")));
    assert!(a["source_modified"].as_f64().unwrap() > 1e9, "{a}");
    let answers = json!(["skip", "replace", "rename", "keep-both", "newer", "different", "stop"]);
    assert_eq!(a["answers"], answers);
    while asked.next("progress")["progress"]["phase"] != "asking" {}
    assert_eq!(place.read("to/other"), "other");
    assert_eq!(asked.lines.last().unwrap()["progress"]["questions"], 6);
    asked.answer(&a, json!({ "do": "compare" }));
    assert_eq!(asked.next("compared"), json!({ "compared": a["question"], "equal": false }));
    asked.answer(&a, json!({ "do": "replace" }));
    asked.answer(&b, json!({ "do": "rename", "name": "named", "for": "this" }));
    asked.answer(&c, json!({ "do": "keep-both" }));
    asked.answer(&d, json!({ "do": "different" }));
    asked.answer(&e, json!({ "do": "skip", "for": "kind" }));
    asked.answer(&f, json!({ "do": "replace" }));
    assert_eq!(asked.next("error")["answer"], f["question"], "it was answered with the one before");
    let (exit, lines) = asked.end();
    assert_eq!((exit, of_kind(&lines, "skipped").len()), (Some(1), 2));
    let read = |names: &[&str]| names.iter().map(|name| place.read(format!("to/{name}"))).collect::<Vec<_>>();
    assert_eq!(read(&["a", "b", "c", "d", "e", "f"]), ["new one", "old", "old", "new one", "old", "old"]);
    assert_eq!(read(&["named", "c (2)"]), ["new one", "new one"]);
}

#[test]
fn the_end_of_the_input_skips_what_is_asked() {
    let place = Place::new();
    conflicts(&place, &["a", "b"]);
    let output = place.expect(1, "copy --json --on-conflict=ask --on-error=ask from/a from/b from/missing to");
    let lines = json_lines(&output);
    assert_eq!((of_kind(&lines, "skipped").len(), of_kind(&lines, "failure").len()), (2, 1));
    assert_eq!(place.read("to/a"), "old");
    assert!(stderr(&output).contains("from/missing"), "{}", stderr(&output));
}

#[test]
fn a_malformed_answer_gets_an_error_and_the_question_stays_open() {
    let place = Place::new();
    conflicts(&place, &["a"]);
    let mut asked = Asked::new(&place, "copy --json --on-conflict=ask -T from to");
    let [a] = asked.questions(["a"]);
    let id = &a["question"];
    let lines = [
        ("replace".to_owned(), Value::Null),
        (r#"{"do":"replace"}"#.to_owned(), Value::Null),
        (r#"{"answer":99,"do":"replace"}"#.to_owned(), json!(99)),
        (format!(r#"{{"answer":{id},"do":"merge"}}"#), id.clone()),
        (format!(r#"{{"answer":{id},"do":"rename"}}"#), id.clone()),
        (format!(r#"{{"answer":{id},"do":"rename","name":"a/b"}}"#), id.clone()),
        (format!(r#"{{"answer":{id},"do":"replace","for":"ever"}}"#), id.clone()),
    ];
    for (line, about) in lines {
        asked.say(&line);
        let error = asked.next("error");
        assert!(error["answer"] == about && error["error"].is_string(), "{line}: {error}");
    }
    assert_eq!(place.read("to/a"), "old");
    asked.answer(&a, json!({ "do": "replace" }));
    assert_eq!(asked.end().0, Some(0));
    assert_eq!(place.read("to/a"), "new one");
}

#[test]
fn a_line_without_an_end_takes_no_memory_and_gets_an_error() {
    let place = Place::new();
    conflicts(&place, &["a"]);
    let mut asked = Asked::new(&place, "copy --json --on-conflict=ask -T from to");
    let [a] = asked.questions(["a"]);
    let most = |asked: &Asked| {
        let status = fs::read_to_string(format!("/proc/{}/status", asked.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = most(&asked);
    let block = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        asked.input.as_mut().unwrap().write_all(&block).unwrap();
    }
    let grown = most(&asked) - before;
    assert!(grown < 8 << 10, "{grown} KiB more");
    asked.say("");
    let error = asked.next("error");
    assert!(error["answer"].is_null() && error["error"].as_str().unwrap().contains("64 KiB"), "{error}");
    asked.answer(&a, json!({ "do": "replace" }));
    assert_eq!(asked.end().0, Some(0));
    assert_eq!(place.read("to/a"), "new one");
}

#[test]
fn a_failure_is_asked_about_and_tried_again() {
    let place = Place::new();
    ["from", "to"].iter().for_each(|name| fs::create_dir(place.path(name)).unwrap());
    let mut asked = Asked::new(&place, "copy --json --on-error=ask from/late to");
    let [late] = asked.questions(["late"]);
    assert_eq!((&late["kind"], &late["errno"]), (&json!("failure"), &json!(2)));
    assert_eq!(late["answers"], json!(["skip", "retry", "stop"]));
    place.file("from/late", "late");
    asked.answer(&late, json!({ "do": "retry" }));
    assert_eq!(asked.end().0, Some(0));
    assert_eq!(place.read("to/late"), "late");
}

#[test]
fn the_answer_stop_and_the_rule_stop_end_with_1() {
    let place = Place::new();
    conflicts(&place, &["a"]);
    let mut asked = Asked::new(&place, "copy --json --on-conflict=ask -T from to");
    let [a] = asked.questions(["a"]);
    asked.answer(&a, json!({ "do": "stop" }));
    let (exit, lines) = asked.end();
    assert_eq!((exit, &of_kind(&lines, "report")[0]["outcome"]), (Some(1), &json!("stopped")));
    let output = place.expect(1, "copy --on-error=stop from/a to");
    assert!(stderr(&output).contains("stopped after 0 entries"), "{}", stderr(&output));
}

#[test]
fn who_cannot_be_asked_must_not_ask() {
    let place = Place::new();
    conflicts(&place, &["a"]);
    for args in [
        "copy --on-conflict=ask from/a to",
        "copy --on-error=ask from/a to",
        "delete --on-error=ask from",
        "rename --on-error=ask from/a b",
        "create --on-error=ask b",
        "mkdir --on-error=ask b",
        "link --on-error=ask from/a b",
        "duplicate --on-error=ask from/a",
        "undo --on-error=ask",
        "undo --on-changed=ask",
        "redo --on-conflict=ask",
    ] {
        let output = place.expect(2, args);
        assert!(stderr(&output).contains("needs a terminal"), "{}", stderr(&output));
    }
    assert!(place.exists("from/a"));
}

/// A person at a terminal, as script(1) makes one.
struct Person {
    child: Child,
    screen: ChildStdout,
    shown: String,
}

impl Person {
    fn new(place: &Place, args: &str) -> Person {
        let mut script = Command::new("script");
        place.prepare(&mut script);
        let line = format!("{} {args}", env!("CARGO_BIN_EXE_fileops"));
        script.args(["-q", "-e", "-c", &line, "/dev/null"]);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).env("TERM", "xterm");
        let mut child = script.spawn().expect("script(1) of util-linux");
        let screen = child.stdout.take().unwrap();
        Person { child, screen, shown: String::new() }
    }

    /// Waits until this stands on the screen, after what was seen before.
    #[track_caller]
    fn sees(&mut self, words: &str) {
        let mut buffer = [0; 4096];
        while !self.shown.contains(words) {
            let count = self.screen.read(&mut buffer).unwrap();
            assert!(count > 0, "{words:?} is not in {:?}", self.shown);
            self.shown += &String::from_utf8_lossy(&buffer[..count]);
        }
        let at = self.shown.find(words).unwrap();
        self.shown.drain(..at + words.len());
    }

    fn types(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn end(mut self) -> (Option<i32>, String) {
        self.screen.read_to_string(&mut self.shown).unwrap();
        (self.child.wait().unwrap().code(), self.shown)
    }
}

#[test]
fn a_person_is_asked_together_at_the_end_and_enter_loses_nothing() {
    let place = Place::new();
    conflicts(&place, &["a", "b", "c"]);
    place.file("from/other", "other");
    let mut person = Person::new(&place, "copy --jobs 1 -T from to");
    person.sees("everything else is done; 3 questions are left");
    assert_eq!(place.read("to/other"), "other");
    person.sees("exists.");
    person.sees("there: file, 3 B");
    person.sees("new:   file, 7 B");
    person.sees("> ");
    person.types("c\n");
    person.sees("The contents are different.");
    person.sees("> ");
    person.types("what?\n");
    person.sees("> ");
    person.types("m\n");
    person.sees("That is not possible");
    person.sees("> ");
    person.types("n\n");
    person.sees("new name > ");
    person.types("named\n");
    person.sees("> ");
    person.types("\n");
    person.sees("> ");
    person.types("r\n");
    let (exit, shown) = person.end();
    assert_eq!(exit, Some(1), "{shown}");
    let all: Vec<_> = ["a", "b", "c"].iter().map(|name| place.read(format!("to/{name}"))).collect();
    assert_eq!(all.iter().filter(|contents| *contents == "old").count(), 2);
    assert_eq!(place.read("to/named"), "new one");
    assert!(shown.contains("skipped"), "{shown}");
}

#[test]
fn one_answer_of_a_person_is_enough_for_all() {
    let place = Place::new();
    conflicts(&place, &["a", "b", "c"]);
    let mut person = Person::new(&place, "copy -T from to");
    person.sees("> ");
    person.types("r all\n");
    let (exit, shown) = person.end();
    assert_eq!((exit, shown.matches("exists.").count()), (Some(0), 0), "{shown}");
    assert!(["a", "b", "c"].iter().all(|name| place.read(format!("to/{name}")) == "new one"));
}

#[test]
fn an_interrupt_at_the_prompt_ends_within_a_second() {
    let place = Place::new();
    conflicts(&place, &["a"]);
    let mut person = Person::new(&place, "copy -T from to");
    person.sees("> ");
    let since = Instant::now();
    person.types("\x03");
    let (exit, shown) = person.end();
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(exit, Some(130), "{shown}");
    assert!(shown.contains("cancelled"), "{shown}");
    assert_eq!(place.read("to/a"), "old");
}

#[test]
fn the_end_of_a_persons_input_skips() {
    let place = Place::new();
    conflicts(&place, &["a", "b"]);
    let mut person = Person::new(&place, "copy -T from to");
    person.sees("> ");
    person.types("\x04");
    let (exit, shown) = person.end();
    assert_eq!((exit, shown.matches("fileops: skipped").count()), (Some(1), 2), "{shown}");
}

#[test]
fn without_a_terminal_a_conflict_fails_as_before() {
    let place = Place::new();
    conflicts(&place, &["a"]);
    assert!(stderr(&place.expect(1, "copy from/a to")).contains("exists"));
    let lines = json_lines(&place.expect(1, "copy --json from/a to"));
    assert_eq!(of_kind(&lines, "failure").len(), 1);
    assert_eq!(place.read("to/a"), "old");
}
