//! The command line as scripts and people meet it: exit codes, streams, names, signals.

mod durable;
mod interrupted;
mod meta;
mod mounts;
mod moving;
mod questions;
mod single;
mod trash;
mod undo;
mod url;
mod watch;

use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A directory of the test's own, in which the program runs, with a state directory that no other test sees.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: impl AsRef<Path>, contents: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn exists(&self, name: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    fn names(&self, name: impl AsRef<Path>) -> Vec<OsString> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fileops"));
        self.prepare(&mut command);
        command.args(args);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.0.path()).env("XDG_STATE_HOME", self.path("state"));
        command.env("XDG_DATA_HOME", self.path("data")).stdin(Stdio::null());
    }

    /// The program under a shell command that comes first.
    fn after(&self, script: &str, args: &[&str]) -> Command {
        let mut shell = Command::new("sh");
        self.prepare(&mut shell);
        shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_fileops")]).args(args);
        shell
    }

    fn run(&self, args: &str) -> Output {
        self.command(args.split_whitespace()).output().unwrap()
    }

    #[track_caller]
    fn expect(&self, exit: i32, args: &str) -> Output {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(exit), "{args}: {}", stderr(&output));
        output
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The values of all lines of one kind.
fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter_map(|line| line.get(kind)).collect()
}

#[test]
fn wrong_usage_exits_with_2() {
    let place = Place::new();
    place.file("a", "a");
    place.file("b", "b");
    place.expect(2, "");
    place.expect(2, "copy a");
    place.expect(2, "copy --on-conflict=ask a c");
    place.expect(2, "copy --jobs 0 a c");
    place.expect(2, "measure");
    place.expect(2, "shove a c");
    place.expect(2, "copy -T a b c");
    assert!(!place.exists("c"));
}

#[test]
fn several_sources_need_a_directory_and_the_error_names_it() {
    let place = Place::new();
    place.file("a", "a");
    place.file("b", "b");
    place.file("file", "kept");
    assert!(stderr(&place.expect(2, "copy a b missing")).contains("missing"));
    assert!(stderr(&place.expect(2, "copy a b file")).contains("file"));
    assert!(!place.exists("missing"));
    assert_eq!(place.read("file"), "kept");
}

#[test]
fn a_directory_receives_its_sources_inside() {
    let place = Place::new();
    place.file("a", "a");
    place.file("tree/b", "b");
    fs::create_dir(place.path("into")).unwrap();
    symlink("into", place.path("link")).unwrap();
    place.expect(0, "copy a into");
    place.expect(0, "copy tree link");
    assert_eq!(place.read("into/a"), "a");
    assert_eq!(place.read("into/tree/b"), "b");
}

#[test]
fn a_missing_destination_is_the_name_of_the_copy() {
    let place = Place::new();
    place.file("tree/b", "b");
    place.expect(0, "copy tree new");
    assert_eq!(place.read("new/b"), "b");
    place.expect(0, "copy tree/ slash/");
    assert_eq!(place.read("slash/b"), "b");
    place.expect(2, "copy tree/b file/");
    assert!(!place.exists("file"));
}

#[test]
fn no_target_directory_merges_with_a_directory_of_that_name() {
    let place = Place::new();
    place.file("tree/b", "b");
    place.file("into/c", "c");
    place.expect(0, "copy -T tree into");
    assert_eq!(place.read("into/b"), "b");
    assert_eq!(place.read("into/c"), "c");
    assert!(!place.exists("into/tree"));
}

#[test]
fn no_target_directory_merges_with_the_directory_it_runs_in() {
    let place = Place::new();
    place.file("tree/b", "b");
    place.file("into/c", "c");
    let mut command = place.command(["copy", "-T", "../tree", "."]);
    let output = command.current_dir(place.path("into")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!((place.read("into/b"), place.read("into/c")), ("b".to_owned(), "c".to_owned()));
    assert_eq!(place.names("into").len(), 2);
}

#[test]
fn a_failure_is_one_line_and_exits_with_1() {
    let place = Place::new();
    place.file("a", "a");
    fs::create_dir(place.path("into")).unwrap();
    let output = place.expect(1, "copy missing a into");
    let lines: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("fileops: "), "{lines:?}");
    assert!(lines[0].contains("missing") && lines[0].ends_with(": No such file or directory"), "{lines:?}");
    assert_eq!(place.read("into/a"), "a");
}

#[test]
fn a_refusal_is_told_in_its_own_words() {
    let place = Place::new();
    place.file("a", "a");
    let output = place.expect(1, "copy -T a a --on-conflict=replace");
    assert!(stderr(&output).trim_end().ends_with("source and target are the same file"), "{}", stderr(&output));
    assert_eq!(place.read("a"), "a");
}

#[test]
fn success_is_silent_without_a_terminal() {
    let place = Place::new();
    place.file("tree/b", "b");
    let output = place.expect(0, "copy tree new");
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("", ""));
}

#[test]
fn verbose_tells_what_was_kept() {
    let place = Place::new();
    place.file("tree/b", "12345");
    let output = place.expect(0, "copy -v tree new");
    assert!(stderr(&output).starts_with("1 file (5 B) in "), "{}", stderr(&output));
    assert!(stderr(&output).contains("kept: contents, holes, hard links, modes"), "{}", stderr(&output));
}

#[test]
fn the_conflict_rules_do_what_they_say() {
    let rules = [
        ("fail", 1, "old", None),
        ("skip", 1, "old", None),
        ("replace", 0, "new!", None),
        ("rename", 0, "old", Some("a (2).txt")),
        ("newer", 0, "new!", None),
        ("different", 0, "new!", None),
    ];
    for (rule, exit, contents, second) in rules {
        let place = Place::new();
        place.file("into/a.txt", "old");
        let early = fs::File::options().write(true).open(place.path("into/a.txt")).unwrap();
        early.set_modified(std::time::UNIX_EPOCH).unwrap();
        place.file("a.txt", "new!");
        place.expect(exit, &format!("copy --on-conflict={rule} a.txt into"));
        assert_eq!(place.read("into/a.txt"), contents, "{rule}");
        assert_eq!(place.names("into").len(), 1 + usize::from(second.is_some()), "{rule}");
        if let Some(second) = second {
            assert_eq!(place.read(format!("into/{second}")), "new!");
        }
    }
}

#[test]
fn the_target_stays_where_the_source_is_not_newer_or_not_different() {
    let place = Place::new();
    place.file("a", "same");
    let early = fs::File::options().write(true).open(place.path("a")).unwrap();
    early.set_modified(std::time::UNIX_EPOCH).unwrap();
    place.file("into/a", "same");
    let inode = fs::metadata(place.path("into/a")).unwrap().ino();
    place.expect(1, "copy --on-conflict=newer a into");
    place.expect(1, "copy --on-conflict=different a into");
    assert_eq!(fs::metadata(place.path("into/a")).unwrap().ino(), inode);
}

#[test]
fn a_skipped_entry_is_named() {
    let place = Place::new();
    place.file("a", "new");
    place.file("into/a", "old");
    let output = place.expect(1, "copy --on-conflict=skip a into");
    assert_eq!(stderr(&output), "fileops: skipped a: into/a exists\n");
}

#[test]
fn names_are_never_printed_raw() {
    let place = Place::new();
    let name = OsString::from_vec(b"a\x1b[31m\xff\n\xc2\x9b".to_vec());
    fs::write(place.path(&name), "new").unwrap();
    fs::create_dir(place.path("into")).unwrap();
    fs::write(place.path("into").join(&name), "old").unwrap();
    let args = [OsStr::new("copy"), OsStr::new("--json"), &name, OsStr::new("into")];
    let output = place.command(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(r"a\u{1b}[31m\xff\n\u{9b}"), "{}", stderr(&output));
    for text in [stderr(&output), stdout(&output)] {
        assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    }
    let lines = json_lines(&output);
    let failure = of_kind(&lines, "failure")[0];
    let bytes: Vec<u8> = failure["path_bytes"].as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8).collect();
    assert_eq!(bytes, name.as_bytes());
}

#[test]
fn controls_in_a_name_that_is_text_survive_json_without_being_printed() {
    let place = Place::new();
    let name = "a\u{9b}31m\u{1b}\u{202e}";
    let output = place.command(["copy", "--json", name, "into"]).output().unwrap();
    assert!(!stdout(&output).chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
    assert_eq!(of_kind(&json_lines(&output), "failure")[0]["path"], name);
}

#[test]
fn an_argument_that_is_repeated_is_not_printed_raw() {
    let place = Place::new();
    let output = place.command(["copy", "--\x07\x1b[2J", "a", "b"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).chars().any(|character| character.is_control() && character != '\n'));
}

#[test]
fn an_argument_that_would_turn_the_text_around_is_not_printed_raw() {
    let place = Place::new();
    for argument in ["--a\u{202e}b", "--jobs=a\u{202e}b", "--a\u{2066}b", "--a\u{200f}b"] {
        let output = place.command(["copy", argument, "a", "b"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200f}']), "{text:?}");
        assert!(text.contains("\\u{20"), "it is named all the same: {text:?}");
    }
}

#[test]
fn json_lines_begin_with_progress_and_end_with_the_report() {
    let place = Place::new();
    place.file("tree/a", "12345");
    place.file("tree/b", "123");
    let output = place.expect(0, "copy --json tree new");
    let lines = json_lines(&output);
    let first = &lines[0]["progress"];
    for name in ["entries_done", "entries_total", "bytes_done", "bytes_total", "rate", "elapsed", "workers"] {
        assert!(first[name].is_number(), "{name}: {first}");
    }
    assert!(first["phase"].is_string() && first["growing"].is_boolean());
    let report = &lines.last().unwrap()["report"];
    assert_eq!((&report["exit"], &report["outcome"]), (&0.into(), &"done".into()));
    assert_eq!((&report["entries"], &report["files"], &report["bytes"]), (&3.into(), &2.into(), &8.into()));
}

#[test]
fn json_names_what_failed_and_what_was_skipped() {
    let place = Place::new();
    place.file("a", "new");
    place.file("into/a", "old");
    let lines = json_lines(&place.expect(1, "copy --json a into"));
    let failure = of_kind(&lines, "failure")[0];
    assert_eq!((&failure["path"], &failure["target"]), (&"a".into(), &"into/a".into()));
    assert_eq!((&failure["errno"], &failure["action"]), (&17.into(), &"copy".into()));
    let lines = json_lines(&place.expect(1, "copy --json --on-conflict=skip a into"));
    assert_eq!(of_kind(&lines, "skipped")[0]["path"], "a");
    assert_eq!(of_kind(&lines, "report")[0]["exit"], 1);
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let place = Place::new();
    place.file("tree/a", "12345");
    // The input of a process that has ended is a pipe without a reader.
    let closed = || {
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let writer = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        writer
    };
    for args in ["copy --json tree new", "measure tree", "man", "completions bash", "recover --json", "recover"] {
        let output = place.command(args.split(' ')).stdout(closed()).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{args}");
    }
    let output = place.command(["measure", "missing"]).stderr(closed()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(place.read("new/a"), "12345");
}

#[test]
fn measure_counts_like_du() {
    let place = Place::new();
    place.file("tree/a", &"x".repeat(1500));
    fs::hard_link(place.path("tree/a"), place.path("tree/again")).unwrap();
    symlink("a", place.path("tree/link")).unwrap();
    let text = stdout(&place.expect(0, "measure tree"));
    let figures: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(figures[0], ["entries", "4"]);
    assert_eq!(figures[1], ["files", "2"]);
    assert_eq!(figures[2], ["directories", "1"]);
    assert_eq!(figures[3], ["symlinks", "1"]);
    assert_eq!(figures[5], ["bytes", "1,500", "(1.5", "KiB)"]);
    let lines = json_lines(&place.expect(0, "measure --json tree"));
    assert_eq!(lines.last().unwrap()["report"]["bytes"], 1500);
    place.expect(1, "measure missing");
}

#[test]
fn delete_takes_what_it_is_told_and_names_what_it_cannot() {
    let place = Place::new();
    place.file("a/b/file", "x");
    place.file("kept", "x");
    symlink("kept", place.path("link")).unwrap();
    let output = place.expect(1, "delete a link missing a/..");
    let text = stderr(&output);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let wanted = [
        "fileops: remove a/..: a path that ends in . or .. or is / cannot be taken away",
        "fileops: stat missing: No such file or directory",
    ];
    assert_eq!(lines, wanted);
    assert!(!place.exists("a") && !place.exists("link"));
    assert_eq!(place.read("kept"), "x");
    let output = place.expect(0, "delete --verbose kept");
    assert!(stderr(&output).starts_with("1 entry deleted in "), "{}", stderr(&output));
}

#[test]
fn recover_has_nothing_to_say_where_nothing_was_interrupted() {
    let place = Place::new();
    place.file("tree/a", "a");
    assert_eq!(stdout(&place.expect(0, "recover tree")), "");
    let lines = json_lines(&place.expect(0, "recover --json"));
    assert_eq!(lines[0]["report"]["found"], 0);
    place.expect(1, "recover missing");
}

#[test]
fn completions_and_man_pages_are_printed() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&place.expect(0, &format!("completions {shell}"))).contains("on-conflict"), "{shell}");
    }
    assert!(stdout(&place.expect(0, "man")).contains(".TH fileops 1"));
    place.expect(0, "man pages/man1");
    assert!(place.read("pages/man1/fileops-copy.1").contains("on\\-conflict"));
    place.expect(0, "--help");
    place.expect(0, "--version");
}
