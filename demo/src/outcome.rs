//! How an operation ended: what is printed, and the exit code.

use crate::out::{Out, complain};
use crate::{json, messages};
use fileops::{Outcome, Report};

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All done.
    Done = 0,
    /// Some entries failed or were skipped, and each was named.
    Incomplete = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// Cancelled, by a signal or an answer.
    Cancelled = 130,
}

/// Names everything that was not done, then gives the report's numbers if they are wanted.
pub(crate) fn tell(report: &Report, is_json: bool, out: &mut Out) -> Exit {
    let exit = match (report.outcome, report.is_complete()) {
        (Outcome::Cancelled, _) => Exit::Cancelled,
        (_, true) => Exit::Done,
        (_, false) => Exit::Incomplete,
    };
    complain_of(report);
    if is_json {
        print_lines(report, exit, out);
    }
    exit
}

/// Says what is wrong with the arguments of a command.
pub(crate) fn refuse(complaint: &str, command: &str) -> Exit {
    complain(&format!("fileops: {complaint}\nTry 'fileops {command} --help'."));
    Exit::Usage
}

/// The exit code, if the answer could be written.
pub(crate) fn settle(exit: Exit, out: &Out) -> Exit {
    match (exit, out.is_whole()) {
        (Exit::Done, false) => Exit::Incomplete,
        _ => exit,
    }
}

fn complain_of(report: &Report) {
    report.failures.iter().for_each(|error| complain(&messages::failure(error)));
    report.skipped.iter().for_each(|skipped| complain(&messages::skipped(skipped)));
    report.notes.iter().for_each(|note| complain(&messages::note(note)));
    report.stuck.iter().for_each(|path| complain(&messages::stuck(path)));
    if report.outcome != Outcome::Done {
        complain(&messages::cancelled(report));
    }
}

fn print_lines(report: &Report, exit: Exit, out: &mut Out) {
    report.failures.iter().for_each(|error| out.line(&json::failure(error)));
    report.skipped.iter().for_each(|skipped| out.line(&json::skipped(skipped)));
    report.moved.iter().for_each(|moved| out.line(&json::moved(moved)));
    report.notes.iter().for_each(|note| out.line(&json::note(note)));
    out.line(&json::report(report, exit as u8));
}
