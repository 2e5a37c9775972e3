//! `fileops undo` and `fileops redo`.

use crate::args::UndoArgs;
use crate::bar::Goal;
use crate::messages;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use fileops::{Past, PastState, Report, Result, Undo};
use std::io::{self, IsTerminal};

pub(crate) fn undo(args: &UndoArgs) -> Exit {
    let standing = || Ok(fileops::history()?.into_iter().filter(|past| past.state != PastState::Undone).collect());
    each(args, standing, fileops::undo)
}

pub(crate) fn redo(args: &UndoArgs) -> Exit {
    each(args, fileops::undone, fileops::redo)
}

/// One operation after the other, until one could not be undone as a whole.
fn each(args: &UndoArgs, list: impl Fn() -> Result<Vec<Past>>, make: impl Fn(String) -> Undo) -> Exit {
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
        let report = Watch::new(&args.view, Goal::Total, None).follow(|| make(past.id.clone()).start(), &mut out);
        exit = outcome::tell(&report, args.view.json, &mut out);
        if exit != Exit::Done {
            break;
        }
        summarise(args, &past, &report);
    }
    outcome::settle(exit, &out)
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
