//! `fileops recover`.

use crate::args::RecoverArgs;
use crate::bar::Goal;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{json, messages, text};
use fileops::{Error, Interrupted, Leftover, Operation, Shown};

pub(crate) fn run(args: &RecoverArgs) -> Exit {
    let mut recovery =
        Recovery { args, out: Out::default(), found: 0, interrupted: 0, removed: 0, failures: 0, is_cancelled: false };
    let (interrupted, unknown) = recovery.find();
    for leftover in interrupted.iter().flat_map(|interrupted| &interrupted.leftovers).chain(&unknown) {
        recovery.settle(leftover);
    }
    for operation in &interrupted {
        recovery.tell(operation);
    }
    recovery.each_operation(&interrupted);
    recovery.end()
}

struct Recovery<'a> {
    args: &'a RecoverArgs,
    out: Out,
    found: usize,
    interrupted: usize,
    removed: usize,
    failures: usize,
    is_cancelled: bool,
}

impl Recovery<'_> {
    /// The operations that the journals know of, and what else is below the paths.
    fn find(&mut self) -> (Vec<Interrupted>, Vec<Leftover>) {
        let mut interrupted = fileops::interrupted().unwrap_or_else(|error| {
            self.fail(&error);
            Vec::new()
        });
        let mut unknown: Vec<Leftover> = Vec::new();
        for path in &self.args.paths {
            let more = fileops::search(path).unwrap_or_else(|(more, errors)| {
                errors.iter().for_each(|error| self.fail(error));
                more
            });
            // One path can be below another.
            let known = || interrupted.iter().flat_map(|interrupted| &interrupted.leftovers).chain(&unknown);
            let is_new = |leftover: &Leftover| known().all(|known| known.path != leftover.path);
            let more: Vec<Leftover> = more.into_iter().filter(is_new).collect();
            unknown.extend(more);
        }
        if !self.args.id.is_empty() {
            interrupted.retain(|operation| self.args.id.contains(&operation.id));
            unknown.clear();
        }
        self.found = unknown.len() + interrupted.iter().map(|operation| operation.leftovers.len()).sum::<usize>();
        self.interrupted = interrupted.len();
        (interrupted, unknown)
    }

    /// Resumes, rolls back or forgets each operation.
    fn each_operation(&mut self, interrupted: &[Interrupted]) {
        for operation in interrupted {
            match () {
                () if self.is_cancelled => return,
                () if self.args.resume => self.resume(operation),
                () if self.args.roll_back => self.follow(|| operation.roll_back().start()),
                () if self.args.forget => {
                    if let Err(error) = fileops::forget(&operation.id) {
                        self.fail(&error);
                    }
                }
                () => {}
            }
        }
    }

    fn resume(&mut self, operation: &Interrupted) {
        match operation.again() {
            Some(again) => self.follow(|| again.start()),
            None => {
                self.failures += 1;
                complain(&messages::cannot_resume(&operation.id, &operation.verb));
            }
        }
    }

    /// Says what was interrupted, where that is not told by what it left.
    fn tell(&mut self, operation: &Interrupted) {
        if self.args.view.json {
            self.out.line(&json::interrupted(operation));
        } else if operation.leftovers.is_empty() {
            self.out.line(&interrupted(operation));
        }
    }

    fn follow(&mut self, start: impl FnOnce() -> Operation) {
        let report = Watch::new(&self.args.view, Goal::Total, None).follow(start, &mut self.out);
        match outcome::tell(&report, self.args.view.json, &mut self.out) {
            Exit::Done => {}
            Exit::Cancelled => self.is_cancelled = true,
            _ => self.failures += 1,
        }
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
        let line = if self.args.view.json { json::leftover(leftover, state) } else { line(leftover, state) };
        self.out.line(&line);
    }

    fn fail(&mut self, error: &Error) {
        self.failures += 1;
        complain(&messages::failure(error));
        if self.args.view.json {
            self.out.line(&json::failure(error));
        }
    }

    fn end(mut self) -> Exit {
        let exit = match self.failures {
            _ if self.is_cancelled => Exit::Cancelled,
            0 => Exit::Done,
            _ => Exit::Incomplete,
        };
        if self.args.view.json {
            self.out.line(&json::recovery((self.found, self.interrupted), self.removed, self.failures, exit as u8));
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

/// "unfinished  abcdefgh  /a/.fileops-x-1.part  copy to /a/b  started 2026-08-01 12:00:00 UTC".
fn line(leftover: &Leftover, state: &str) -> String {
    let id = leftover.operation.as_deref().unwrap_or("-");
    let mut line = format!("{state:<11}  {id:<8}  {}", Shown(&leftover.path));
    if let Some(wanted) = &leftover.wanted {
        line += &format!("  {} to {}", leftover.verb.as_deref().unwrap_or("operation"), Shown(wanted));
    }
    if let Some(started) = leftover.started {
        line += &format!("  started {}", text::moment(started));
    }
    text::printable(&line)
}

/// "interrupted  abcdefgh  /a/b  copy, 3 steps done  started 2026-08-01 12:00:00 UTC".
fn interrupted(operation: &Interrupted) -> String {
    let Interrupted { id, verb, started, path, steps, .. } = operation;
    let steps = text::counted(*steps as u64, "step", "steps");
    let (path, started) = (Shown(path), text::moment(*started));
    text::printable(&format!("{:<11}  {id:<8}  {path}  {verb}, {steps} done  started {started}", "interrupted"))
}
