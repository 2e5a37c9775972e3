//! `fileops recover`.

use crate::args::RecoverArgs;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::{json, messages, text};
use fileops::{Error, Leftover, Shown};

pub(crate) fn run(args: &RecoverArgs) -> Exit {
    let mut recovery = Recovery { args, out: Out::default(), found: 0, removed: 0, failures: 0 };
    let leftovers = recovery.find();
    for leftover in &leftovers {
        recovery.settle(leftover);
    }
    recovery.end()
}

struct Recovery<'a> {
    args: &'a RecoverArgs,
    out: Out,
    found: usize,
    removed: usize,
    failures: usize,
}

impl Recovery<'_> {
    /// What the journals know of, then what else is below the paths.
    fn find(&mut self) -> Vec<Leftover> {
        let mut found = fileops::leftovers().unwrap_or_else(|error| {
            self.fail(&error);
            Vec::new()
        });
        for path in &self.args.paths {
            let more = fileops::search(path).unwrap_or_else(|(more, errors)| {
                errors.iter().for_each(|error| self.fail(error));
                more
            });
            // One path can be below another.
            let is_new = |leftover: &Leftover| found.iter().all(|known: &Leftover| known.path != leftover.path);
            let more: Vec<Leftover> = more.into_iter().filter(is_new).collect();
            found.extend(more);
        }
        self.found = found.len();
        found
    }

    /// Removes a leftover if that is asked for and right, and says what became of it.
    fn settle(&mut self, leftover: &Leftover) {
        let state = match leftover.is_ours && self.args.remove {
            false => state(leftover),
            true => match leftover.remove() {
                Ok(()) => {
                    self.removed += 1;
                    "removed"
                }
                Err(errors) => {
                    errors.iter().for_each(|error| self.fail(error));
                    "not removed"
                }
            },
        };
        let line = if self.args.json { json::leftover(leftover, state) } else { line(leftover, state) };
        self.out.line(&line);
    }

    fn fail(&mut self, error: &Error) {
        self.failures += 1;
        complain(&messages::failure(error));
        if self.args.json {
            self.out.line(&json::failure(error));
        }
    }

    fn end(mut self) -> Exit {
        let exit = if self.failures == 0 { Exit::Done } else { Exit::Incomplete };
        if self.args.json {
            self.out.line(&json::recovery(self.found, self.removed, self.failures, exit as u8));
        }
        outcome::settle(exit, &self.out)
    }
}

/// What a leftover is while it stays.
fn state(leftover: &Leftover) -> &'static str {
    match (leftover.is_ours, &leftover.wanted) {
        (false, _) => "not ours",
        (true, Some(_)) => "unfinished",
        // Known by its name only, such as on a disk that another machine wrote.
        (true, None) => "unrecorded",
    }
}

/// "unfinished  /a/.fileops-x-1.part  copy of /a/b  started 2026-08-01 12:00:00 UTC".
fn line(leftover: &Leftover, state: &str) -> String {
    let mut line = format!("{state:<11}  {}", Shown(&leftover.path));
    if let Some(wanted) = &leftover.wanted {
        line += &format!("  {} to {}", leftover.verb.as_deref().unwrap_or("operation"), Shown(wanted));
    }
    if let Some(started) = leftover.started {
        line += &format!("  started {}", text::moment(started));
    }
    text::printable(&line)
}
