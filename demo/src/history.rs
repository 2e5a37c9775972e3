//! `fileops history`.

use crate::args::HistoryArgs;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::{json, messages, text};
use fileops::{Past, PastState, Shown};

pub(crate) fn run(args: &HistoryArgs) -> Exit {
    let mut out = Out::default();
    let exit = match fileops::history() {
        Ok(history) => {
            for past in &history {
                out.line(&if args.json { json::past(past, state(past.state)) } else { line(past) });
            }
            Exit::Done
        }
        Err(error) => {
            complain(&messages::failure(&error));
            Exit::Incomplete
        }
    };
    outcome::settle(exit, &out)
}

pub(crate) fn state(state: PastState) -> &'static str {
    match state {
        PastState::Done => "done",
        PastState::PartlyUndone => "partly undone",
        PastState::Undone => "undone",
        _ => "other",
    }
}

/// "abcdefgh  2026-08-01 12:00:00 UTC  copy   done    /a/b and 3 more".
fn line(past: &Past) -> String {
    let more = match past.steps {
        1 => String::new(),
        steps => format!(" and {} more", text::count(steps as u64 - 1)),
    };
    let state = state(past.state);
    let end = match (past.was_cancelled, past.was_interrupted) {
        (true, _) => "  (cancelled)",
        (_, true) => "  (interrupted)",
        _ => "",
    };
    let (id, verb, time, path) = (&past.id, &past.verb, text::moment(past.time), Shown(&past.path));
    text::printable(&format!("{id}  {time}  {verb:<9}  {state:<13}  {path}{more}{end}"))
}
