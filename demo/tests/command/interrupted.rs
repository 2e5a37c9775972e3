//! What signals, kills and limits do to a running copy, and what is seen of it meanwhile.

use crate::{Place, json_lines, of_kind, stderr, stdout};
use std::fs;
use std::io::Read;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// More than can be copied before somebody looks: half a gigabyte of data, in files of 16 MiB.
fn large_tree(place: &Place) {
    let contents = "fileops!".repeat(2 << 20);
    (0..32).for_each(|number| place.file(format!("large/{number}"), &contents));
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

/// Starts to copy, and stops the process (SIGSTOP) in the middle: a stage is there and the final name is not.
fn stopped_midway(place: &Place, options: &[&str]) -> Child {
    stopped_midway_by(place, || {
        let mut command = place.command(["copy", "large", "into"]);
        command.args(options);
        command
    })
}

fn stopped_midway_by(place: &Place, command: impl Fn() -> Command) -> Child {
    loop {
        fs::create_dir(place.path("into")).unwrap();
        let mut child = command().stderr(Stdio::piped()).spawn().unwrap();
        while place.names("into").is_empty() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        signal(&child, "STOP");
        if !place.exists("into/large") {
            return child;
        }
        // It was faster than this test.
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_dir_all(place.path("into")).unwrap();
    }
}

#[test]
fn a_signal_cancels_within_a_second_and_leaves_nothing() {
    let place = Place::new();
    large_tree(&place);
    for name in ["TERM", "INT", "HUP"] {
        let child = stopped_midway(&place, &[]);
        signal(&child, name);
        let since = Instant::now();
        signal(&child, "CONT");
        let output = child.wait_with_output().unwrap();
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert!(stderr(&output).contains("cancelled"), "{}", stderr(&output));
        assert!(place.names("into").is_empty(), "{:?}", place.names("into"));
        assert_eq!(stdout(&place.expect(0, "recover into")), "");
        fs::remove_dir(place.path("into")).unwrap();
    }
}

/// A directory on another file system, removed at the end.
struct Elsewhere(std::path::PathBuf);

impl Elsewhere {
    fn new() -> Option<Elsewhere> {
        let path = std::path::PathBuf::from(format!("/dev/shm/fileops-command-{}", std::process::id()));
        fs::create_dir(&path).ok().map(|()| Elsewhere(path))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_signal_ends_a_move_to_another_file_system_within_a_second_and_loses_nothing() {
    use std::os::unix::fs::MetadataExt;
    let (place, Some(elsewhere)) = (Place::new(), Elsewhere::new()) else {
        return println!("skipped: there is no /dev/shm");
    };
    large_tree(&place);
    if fs::metadata(&elsewhere.0).unwrap().dev() == fs::metadata(place.path("large")).unwrap().dev() {
        return println!("skipped: /dev/shm is no other file system");
    }
    let into = elsewhere.0.join("into");
    fs::create_dir(&into).unwrap();
    let command = |place: &Place| {
        let mut command = place.command(["move", "large"]);
        command.arg(&into).stderr(Stdio::piped());
        command
    };
    let mut child = command(&place).spawn().unwrap();
    while fs::read_dir(&into).unwrap().next().is_none() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    signal(&child, "STOP");
    signal(&child, "TERM");
    let since = Instant::now();
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let length = "fileops!".len() as u64 * (2 << 20);
    for number in 0..32 {
        let there = into.join(format!("large/{number}"));
        let found =
            [place.path(format!("large/{number}")), there].map(|path| fs::metadata(path).map(|meta| meta.len()));
        assert!(found.iter().any(|size| size.as_ref().is_ok_and(|size| *size == length)), "{number}: {found:?}");
    }
    let left: Vec<_> = fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "large"), "{left:?}");
    // What was not moved is moved by the next.
    assert!(command(&place).arg("--on-conflict=replace").status().unwrap().success());
    assert_eq!(fs::read_dir(into.join("large")).unwrap().count(), 32);
    assert!(!place.exists("large"));
}

#[test]
fn a_signal_that_the_caller_ignores_does_not_cancel() {
    let place = Place::new();
    large_tree(&place);
    for name in ["INT", "HUP", "TERM"] {
        // As nohup(1) starts a program, and a shell without job control what it runs in the background.
        let script = format!("trap '' {name}");
        let child = stopped_midway_by(&place, || place.after(&script, &["copy", "large", "into"]));
        signal(&child, name);
        signal(&child, "CONT");
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{name}");
        assert_eq!(place.names("into/large").len(), 32);
        fs::remove_dir_all(place.path("into")).unwrap();
    }
}

#[test]
fn the_report_of_a_cancelled_copy_counts_what_was_removed_again() {
    let place = Place::new();
    large_tree(&place);
    let child = stopped_midway_by(&place, || {
        let mut command = place.command(["copy", "--json", "large", "into"]);
        command.stdout(Stdio::piped());
        command
    });
    signal(&child, "TERM");
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    let lines = json_lines(&output);
    let report = of_kind(&lines, "report")[0];
    assert_eq!((&report["outcome"], &report["exit"]), (&"cancelled".into(), &130.into()));
    assert!(report["removed"].is_number() && report["removed"] == report["entries"], "{report}");
    place.file("tree/a", "12345");
    let whole = json_lines(&place.expect(0, "copy --json tree new"));
    assert_eq!(of_kind(&whole, "report")[0]["removed"], 0);
}

/// A copy whose failures fill a pipe that nobody reads, so that the thread which writes them waits for ever.
fn silenced(place: &Place) -> (Child, ChildStderr) {
    (0..3000).for_each(|number| place.file(format!("tree/{number}"), ""));
    place.expect(0, "copy tree new");
    let mut child = place.command(["copy", "-T", "tree", "new"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut complaints = child.stderr.take().unwrap();
    complaints.read_exact(&mut [0; 1]).unwrap();
    (child, complaints)
}

#[test]
fn a_signal_ends_a_process_whose_complaints_nobody_reads() {
    let place = Place::new();
    let (mut child, _complaints) = silenced(&place);
    signal(&child, "TERM");
    let since = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}

#[test]
fn a_second_interrupt_ends_the_process_at_once() {
    let place = Place::new();
    let (mut child, _complaints) = silenced(&place);
    let since = Instant::now();
    let status = loop {
        signal(&child, "INT");
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(130));
    assert!(since.elapsed() < Duration::from_millis(700), "{:?}", since.elapsed());
}

#[test]
fn a_file_size_limit_fails_an_entry_and_ends_nothing() {
    let place = Place::new();
    place.file("tree/large", &"x".repeat(1 << 20));
    place.file("tree/small", "x");
    let limited = |limit: u32, rest: &str| {
        let script = format!("ulimit -f {limit}; exec {} {rest}", env!("CARGO_BIN_EXE_fileops"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(place.0.path()).env("XDG_STATE_HOME", place.path("state"));
        shell.output().unwrap()
    };
    let output = limited(64, "copy tree new");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).ends_with(": File too large\n"), "{}", stderr(&output));
    assert!(place.exists("new/small") && !place.exists("new/large"));
    assert_eq!(limited(0, "measure --json tree > full").status.code(), Some(1));
}

#[test]
fn recover_removes_what_a_killed_copy_left() {
    let place = Place::new();
    large_tree(&place);
    let mut child = stopped_midway(&place, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    place.file("into/mine", "mine");
    let listed = stdout(&place.expect(0, "recover"));
    assert!(listed.starts_with("unfinished") && listed.contains("into/large  started 2"), "{listed}");
    assert_eq!(place.names("into").len(), 2);
    let lines = json_lines(&place.expect(0, "recover --remove --json"));
    assert_eq!(of_kind(&lines, "leftover")[0]["state"], "removed");
    assert_eq!(place.names("into"), ["mine"]);
    assert_eq!(stdout(&place.expect(0, "recover")), "");
}

#[test]
fn what_was_changed_after_a_kill_stays_however_often_it_is_rolled_back() {
    let place = Place::new();
    place.file("tree/a", "1");
    place.file("file", "1");
    place.file("large/0", &"fileops!".repeat(2 << 20));
    fs::create_dir(place.path("into")).unwrap();
    let words = ["copy", "--jobs=1", "--bwlimit=2M", "tree", "file", "large", "into"];
    let mut child = place.command(words).spawn().unwrap();
    while place.names("into").len() < 3 || !place.exists("into/tree") || !place.exists("into/file") {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The times of files are those of a clock that ticks.
    std::thread::sleep(Duration::from_millis(50));
    place.file("into/tree/a", "mine");
    place.expect(1, "recover --roll-back");
    assert_eq!(place.names("into"), ["tree"]);
    place.expect(1, "undo");
    assert_eq!(fs::read_to_string(place.path("into/tree/a")).unwrap(), "mine");
}

#[test]
fn the_bar_is_absent_without_a_terminal_and_there_when_asked_for() {
    let place = Place::new();
    large_tree(&place);
    // Stopped for longer than a bar takes to appear.
    let bar = |rule: &str| {
        let child = stopped_midway(&place, &[rule]);
        std::thread::sleep(Duration::from_millis(600));
        signal(&child, "CONT");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        fs::remove_dir_all(place.path("into")).unwrap();
        stderr(&output)
    };
    assert_eq!(bar("--progress=auto"), "");
    assert_eq!(bar("--progress=never"), "");
    assert!(bar("--progress=bar").contains("MiB of"));
}

/// A copy that has two files done and is killed in the middle of a third, which is large.
fn killed_copy(place: &Place) {
    place.file("file", "1");
    place.file("tree/a", "2");
    place.file("large/0", &"fileops!".repeat(1 << 20));
    fs::create_dir(place.path("into")).unwrap();
    let words = ["copy", "--jobs=1", "--bwlimit=1M", "file", "tree", "large", "into"];
    let mut child = place.command(words).spawn().unwrap();
    while place.names("into").len() < 3 || !place.exists("into/tree") || !place.exists("into/file") {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn recover_lists_a_killed_operation_until_it_is_resumed_rolled_back_or_forgotten() {
    for way in ["--resume", "--roll-back", "--forget"] {
        let place = Place::new();
        killed_copy(&place);
        // Its stage is removed; what it had done is there.
        place.expect(0, "recover --remove");
        for _ in 0..2 {
            let listed = stdout(&place.expect(0, "recover"));
            assert!(listed.starts_with("interrupted  ") && listed.contains("  copy, 2 steps done  "), "{listed}");
            let lines = json_lines(&place.expect(0, "recover --json"));
            let operation = of_kind(&lines, "interrupted")[0];
            assert_eq!((&operation["verb"], &operation["steps"]), (&"copy".into(), &2.into()));
            assert_eq!(of_kind(&lines, "report")[0]["interrupted"], 1);
        }
        place.expect(0, &format!("recover {way}"));
        assert_eq!(stdout(&place.expect(0, "recover")), "", "{way}");
        match way {
            "--resume" => assert!(place.names("into").len() == 3 && place.exists("into/large/0")),
            "--roll-back" => assert!(place.names("into").is_empty()),
            _ => {
                assert!(place.names("into").len() == 2 && !place.exists("into/large"));
                place.expect(0, "undo");
                assert!(place.names("into").is_empty());
            }
        }
    }
}
