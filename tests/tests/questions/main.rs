//! Questions never stop the work: conflicts and failures wait for their answers while all else is done.

mod answers;
mod comparing;
mod kills;
mod parked;
mod random;
mod trash;
mod trees;
mod undo;

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use fileops_tests::temp::Temp;

use fileops::{Open, Operation, Phase, Question, Report, Resolution, Scope};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the rest of the test in a process of its own, with a home and state directory of its own.
macro_rules! alone {
    () => {
        if std::env::var_os(crate::ALONE).is_none() {
            return crate::run_alone(fileops_tests::test_name!());
        }
    };
}

pub(crate) use alone;

/// Says to a process of this program that it has a state directory of its own.
const ALONE: &str = "FILEOPS_TEST_ALONE";

#[track_caller]
fn run_alone(test: &str) {
    let home = Temp::new("home").expect("a temporary directory");
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", test, "--nocapture", "--include-ignored"]).env(ALONE, "1");
    command.env("HOME", home.path()).env("XDG_STATE_HOME", home.path().join("state"));
    let output = command.env("XDG_DATA_HOME", home.path().join("data")).output().expect("this program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test} failed:\n{said}");
}

/// Waits until there is nothing left to do but to wait for answers, and gives the questions.
#[track_caller]
fn asked(operation: &Operation, count: usize) -> Vec<Open> {
    wait_until(|| operation.progress().phase == Phase::Asking && operation.questions().len() == count);
    operation.questions()
}

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it did not happen");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The question about the source with this last name.
#[track_caller]
fn about<'a>(questions: &'a [Open], name: &str) -> &'a Open {
    let named = |open: &&Open| open.question.path().file_name() == Some(name.as_ref());
    questions.iter().find(named).unwrap_or_else(|| panic!("no question about {name}: {questions:?}"))
}

#[track_caller]
fn answer(operation: &Operation, questions: &[Open], name: &str, resolution: Resolution) {
    let id = about(questions, name).id;
    operation.answer(id, resolution, Scope::This).unwrap_or_else(|unfit| panic!("{name}: {unfit}"));
}

/// Waits for the end of an operation, which must come.
#[track_caller]
fn end(operation: Operation) -> Report {
    wait_until(|| operation.is_done());
    operation.wait()
}

fn names(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut names: Vec<_> = paths.into_iter().map(|path| name(path.as_ref())).collect();
    names.sort();
    names
}

fn failed(report: &Report) -> Vec<String> {
    names(report.failures.iter().map(|error| &error.path))
}

fn skipped(report: &Report) -> Vec<String> {
    names(report.skipped.iter().map(|skipped| &skipped.path))
}

fn is_conflict(open: &Open) -> bool {
    matches!(open.question, Question::Conflict(_))
}
