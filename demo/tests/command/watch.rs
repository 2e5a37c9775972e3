//! `fileops watch`: a line for each change, as it comes, until a signal.

use crate::{Place, json_lines, of_kind, stderr};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A running `fileops watch`, and the lines that it has printed.
struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Watched {
    /// Begins, and waits until everything is told; gives what was printed first.
    fn json(place: &Place, args: &[&str]) -> (Watched, Value) {
        let mut watched = Watched::start(place.command([&["watch", "--json"], args].concat()));
        let first = watched.next_json();
        (watched, first)
    }

    /// Begins, and makes files named `mark-N` in a directory until one is told.
    fn text(place: &Place, args: &[&str], dir: &str) -> Watched {
        let watched = Watched::start(place.command([&["watch"], args].concat()));
        for number in 0..6000 {
            place.file(format!("{dir}/mark-{number}"), "");
            if watched.lines.recv_timeout(Duration::from_millis(10)).is_ok_and(|line| line.contains("mark-")) {
                return watched;
            }
        }
        panic!("it does not begin");
    }

    fn start(mut command: Command) -> Watched {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Ends with the program.
        thread::spawn(move || {
            for line in stdout.split(b'\n') {
                let line = String::from_utf8(line.unwrap()).expect("every name is made text");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Watched { child, lines }
    }

    #[track_caller]
    fn next(&mut self) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG).expect("a line");
            if !line.contains("/mark-") {
                return line;
            }
        }
    }

    #[track_caller]
    fn next_json(&mut self) -> Value {
        serde_json::from_str(&self.next()).unwrap()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end, and gives the exit code with the lines that were left.
    #[track_caller]
    fn end(&mut self) -> (Option<i32>, Vec<String>) {
        let code = exit_code(&mut self.child);
        (code, self.lines.iter().collect())
    }
}

#[track_caller]
fn exit_code(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + LONG;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_a_line_and_a_directory_ends_in_a_slash() {
    let place = Place::new();
    place.file("dir/old", "x");
    place.file("dir/sub/below", "x");
    let mut watched = Watched::text(&place, &["dir"], "dir");
    let at = |name: &str| place.path("dir").join(name).display().to_string();
    fs::create_dir(place.path("dir/new")).unwrap();
    assert_eq!(watched.next(), format!("created   {}/", at("new")));
    place.file("dir/sub/below", "nobody asked for this");
    place.file("dir/old", "y");
    assert_eq!(watched.next(), format!("modified  {}", at("old")));
    fs::rename(place.path("dir/old"), place.path("dir/other")).unwrap();
    assert_eq!(watched.next(), format!("renamed   {} -> {}", at("old"), at("other")));
    fs::rename(place.path("dir/new"), place.path("dir/newer")).unwrap();
    assert_eq!(watched.next(), format!("renamed   {}/ -> {}/", at("new"), at("newer")));
    fs::remove_file(place.path("dir/other")).unwrap();
    assert_eq!(watched.next(), format!("removed   {}", at("other")));
}

#[test]
fn with_recursive_what_is_below_is_told_too() {
    let place = Place::new();
    place.file("dir/sub/below", "x");
    let (mut watched, _) = Watched::json(&place, &["-r", "dir"]);
    fs::rename(place.path("dir/sub/below"), place.path("dir/up")).unwrap();
    let (from, to) = (place.path("dir/sub/below"), place.path("dir/up"));
    assert_eq!(watched.next_json(), json!({ "renamed": { "from": from, "path": to, "directory": false } }));
}

#[test]
fn names_cannot_control_the_terminal() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    let mut watched = Watched::text(&place, &["dir"], "dir");
    fs::create_dir(place.path("dir/red\u{1b}[31m\n\u{202e}end")).unwrap();
    let dir = place.path("dir").display().to_string();
    assert_eq!(watched.next(), format!(r"created   {dir}/red\u{{1b}}[31m\n\u{{202e}}end/"));
    fs::create_dir(place.path("dir").join(OsStr::from_bytes(b"a\xff\\"))).unwrap();
    assert_eq!(watched.next(), format!(r"created   {dir}/a\xff\\/"));
}

#[test]
fn json_has_the_bytes_of_names_that_are_no_text() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    let (mut watched, first) = Watched::json(&place, &["dir"]);
    assert_eq!(first, json!({ "watching": { "path": place.path("dir") } }));
    let path = place.path("dir").join(OsStr::from_bytes(b"a\xff"));
    fs::create_dir(&path).unwrap();
    let created = watched.next_json()["created"].clone();
    assert_eq!((&created["path_bytes"], &created["directory"]), (&json!(path.as_os_str().as_bytes()), &json!(true)));
    assert!(created["path"].as_str().unwrap().ends_with(r"dir/a\xff"), "{created}");
    let name = "b\u{1b}\n\u{9b}\u{202e}";
    fs::create_dir(place.path("dir").join(name)).unwrap();
    let line = watched.next();
    assert!(!line.chars().any(|character| character.is_control() || character == '\u{202e}'), "{line:?}");
    let created: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(created["created"]["path"], json!(place.path("dir").join(name)));
}

#[test]
fn polling_says_so_and_finds_changes_by_looking() {
    let place = Place::new();
    place.file("dir/old", "x");
    let (mut watched, first) = Watched::json(&place, &["-r", "--poll", "--interval", "0.05", "dir"]);
    assert_eq!(first["watching"]["path"], json!(place.path("dir")));
    assert_eq!(watched.next_json(), json!({ "polled": { "path": place.path("dir"), "why": "asked" } }));
    fs::create_dir(place.path("dir/new")).unwrap();
    assert_eq!(watched.next_json(), json!({ "created": { "path": place.path("dir/new"), "directory": true } }));
    // Nobody told of both names at once.
    fs::rename(place.path("dir/old"), place.path("dir/new/name")).unwrap();
    let mut told = [watched.next_json(), watched.next_json()];
    told.sort_by_key(|event| event.get("removed").is_some());
    let (removed, created) = (place.path("dir/old"), place.path("dir/new/name"));
    assert_eq!(told[0], json!({ "created": { "path": created, "directory": false } }));
    assert_eq!(told[1], json!({ "removed": { "path": removed, "directory": false } }));
}

#[test]
fn several_paths_are_watched_at_once() {
    let place = Place::new();
    place.file("file", "x");
    fs::create_dir(place.path("dir")).unwrap();
    let (mut watched, _) = Watched::json(&place, &["file", "dir"]);
    assert_eq!(watched.next_json()["watching"]["path"], json!(place.path("dir")));
    fs::create_dir(place.path("dir/new")).unwrap();
    assert_eq!(watched.next_json()["created"]["path"], json!(place.path("dir/new")));
    place.file("file", "y");
    assert_eq!(watched.next_json(), json!({ "modified": { "path": place.path("file") } }));
}

#[test]
fn a_signal_ends_the_watch_with_130() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    for name in ["INT", "TERM", "HUP"] {
        let (mut watched, _) = Watched::json(&place, &["dir"]);
        watched.signal(name);
        assert_eq!(watched.end(), (Some(130), Vec::new()), "{name}");
    }
}

#[test]
fn a_path_that_is_not_there_is_an_error_that_names_it() {
    let place = Place::new();
    place.file("file", "x");
    let output = place.expect(1, "watch missing");
    let missing = place.path("missing");
    let said = format!("fileops: watch {}: No such file or directory\n", missing.display());
    assert_eq!((stderr(&output), output.stdout.len()), (said, 0));
    assert!(stderr(&place.expect(1, "watch file/x")).contains("file/x: Not a directory"));
    let output = place.expect(1, "watch --json --poll missing");
    let lines = json_lines(&output);
    let failures = of_kind(&lines, "failure");
    assert_eq!((lines.len(), failures.len(), &failures[0]["path"]), (1, 1, &json!(missing)));
    assert_eq!((&failures[0]["action"], &failures[0]["errno"]), (&json!("watch"), &json!(2)));
    place.expect(2, "watch");
    place.expect(2, "watch --interval soon file");
    place.expect(2, "watch --interval=-1 file");
}

#[test]
fn the_others_are_watched_although_one_path_is_not_there() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    let (mut watched, first) = Watched::json(&place, &["missing", "dir"]);
    assert_eq!(first["failure"]["path"], json!(place.path("missing")));
    assert_eq!(watched.next_json()["watching"]["path"], json!(place.path("dir")));
    fs::create_dir(place.path("dir/new")).unwrap();
    assert_eq!(watched.next_json()["created"]["path"], json!(place.path("dir/new")));
}

#[test]
fn a_watch_that_nobody_reads_any_more_ends() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).unwrap();
    let mut child = place.command(["watch", "--json", "dir"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.contains("watching"), "{first}");
    drop(stdout);
    fs::create_dir(place.path("dir/new")).unwrap();
    assert_eq!(exit_code(&mut child), Some(0));
}
