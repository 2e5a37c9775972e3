//! `fileops undo` and `fileops redo`.

use crate::args::UndoArgs;
use crate::bar::Goal;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{messages, questions};
use fileops::{OnChanged, OnConflict, OnError, Past, PastState, Report, Result, Undo};
use std::io::{self, IsTerminal};

pub(crate) fn undo(args: &UndoArgs) -> Exit {
    let standing = || Ok(fileops::history()?.into_iter().filter(|past| past.state != PastState::Undone).collect());
    each(args, "undo", standing, fileops::undo)
}

pub(crate) fn redo(args: &UndoArgs) -> Exit {
    each(args, "redo", fileops::undone, fileops::redo)
}

/// One operation after the other, until one could not be undone as a whole.
fn each(args: &UndoArgs, command: &str, list: impl Fn() -> Result<Vec<Past>>, make: impl Fn(String) -> Undo) -> Exit {
    let rules = match Rules::of(args) {
        Ok(rules) => rules,
        Err(complaint) => return outcome::refuse(&complaint, command),
    };
    let mut out = Out::default();
    let mut exit = Exit::Done;
    for number in 0..args.count.get() {
        let past = match list().map(|list| meant(args, list)) {
            Ok(Some(past)) => past,
            Ok(None) if number > 0 => break,
            Ok(None) => {
                complain(&messages::nothing_to_undo(args.id.as_deref()));
                exit = Exit::Incomplete;
                break;
            }
            Err(error) => {
                complain(&messages::failure(&error));
                exit = Exit::Incomplete;
                break;
            }
        };
        let report = Watch::new(&args.view, Goal::Total, None)
            .follow(|| rules.given_to(make(past.id.clone())).start(), &mut out);
        exit = outcome::tell(&report, args.view.json, &mut out);
        if exit != Exit::Done {
            break;
        }
        summarise(args, &past, &report);
    }
    outcome::settle(exit, &out)
}

/// What stands for what the undos meet.
struct Rules {
    on_changed: OnChanged,
    on_conflict: OnConflict,
    on_error: OnError,
    retry: u32,
}

impl Rules {
    fn of(args: &UndoArgs) -> std::result::Result<Rules, String> {
        let is_json = args.view.json;
        Ok(Rules {
            on_changed: questions::changed_rule(args.on_changed, is_json)?,
            on_conflict: questions::conflict_rule(args.on_conflict, is_json)?,
            on_error: questions::error_rule(&args.failures.errors, is_json)?,
            retry: args.failures.retry,
        })
    }

    fn given_to(&self, undo: Undo) -> Undo {
        undo.on_changed(self.on_changed).on_conflict(self.on_conflict).on_error(self.on_error).retry(self.retry)
    }
}

fn meant(args: &UndoArgs, mut list: Vec<Past>) -> Option<Past> {
    match &args.id {
        Some(id) => list.into_iter().find(|past| past.id == *id),
        None if list.is_empty() => None,
        None => Some(list.remove(0)),
    }
}

fn summarise(args: &UndoArgs, past: &Past, report: &Report) {
    if args.verbose || (io::stderr().is_terminal() && !args.view.json) {
        complain(&messages::undone(past, report));
    }
}
