//! `fileops trash`.

use crate::args::{
    TrashCommand, TrashDeleteArgs, TrashEmptyArgs, TrashListArgs, TrashPutArgs, TrashRestoreArgs, ViewArgs,
};
use crate::bar::Goal;
use crate::copy::metadata;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{json, messages, questions, text};
use fileops::{Operation, Report, Shown, TrashItem, TrashListing, Trashed};
use std::io::{self, BufRead, IsTerminal, Write};

pub(crate) fn run(command: TrashCommand) -> Exit {
    match command {
        TrashCommand::Put(args) => put(args),
        TrashCommand::List(args) => list(&args),
        TrashCommand::Restore(args) => restore(args),
        TrashCommand::Delete(args) => delete(args),
        TrashCommand::Empty(args) => empty(&args),
    }
}

fn put(args: TrashPutArgs) -> Exit {
    let TrashPutArgs { paths, on_no_trash, sidecar, verbose, failures, records, view } = args;
    let rules = questions::error_rule(&failures.errors, view.json)
        .and_then(|on_error| Ok((on_error, questions::no_trash_rule(on_no_trash, view.json)?)));
    let (on_error, on_no_trash) = match rules {
        Ok(rules) => rules,
        Err(complaint) => return outcome::refuse(&complaint, "trash put"),
    };
    let trash = fileops::trash(paths).on_error(on_error).on_no_trash(on_no_trash).retry(failures.retry);
    let trash = trash.metadata(metadata(sidecar));
    let trash = trash.undoable(records.undoable());
    let trash = match view.jobs {
        Some(jobs) => trash.jobs(jobs.get()),
        None => trash,
    };
    follow(&view, Goal::Total, verbose, messages::trashed, || trash.start())
}

fn restore(args: TrashRestoreArgs) -> Exit {
    let TrashRestoreArgs { items, original, on_conflict, sidecar, verbose, failures, records, view } = args;
    let rules = questions::error_rule(&failures.errors, view.json)
        .and_then(|on_error| Ok((on_error, questions::conflict_rule(on_conflict, view.json)?)));
    let (on_error, on_conflict) = match rules {
        Ok(rules) => rules,
        Err(complaint) => return outcome::refuse(&complaint, "trash restore"),
    };
    let items = items.into_iter().map(Trashed::Id).chain(original.into_iter().map(Trashed::Original));
    let restore = fileops::restore(items).on_conflict(on_conflict).on_error(on_error).retry(failures.retry);
    let restore = restore.undoable(records.undoable()).metadata(metadata(sidecar));
    follow(&view, Goal::Total, verbose, messages::restored, || restore.start())
}

fn delete(args: TrashDeleteArgs) -> Exit {
    let TrashDeleteArgs { items, verbose, failures, view } = args;
    let delete = fileops::trash_delete(items.into_iter().map(Trashed::Id)).retry(failures.retry);
    let delete = match questions::error_rule(&failures.errors, view.json) {
        Ok(rule) => delete.on_error(rule),
        Err(complaint) => return outcome::refuse(&complaint, "trash delete"),
    };
    let delete = match view.jobs {
        Some(jobs) => delete.jobs(jobs.get()),
        None => delete,
    };
    follow(&view, Goal::None, verbose, messages::deleted, || delete.start())
}

fn empty(args: &TrashEmptyArgs) -> Exit {
    let on_error = match questions::error_rule(&args.failures.errors, args.view.json) {
        Ok(rule) => rule,
        Err(complaint) => return outcome::refuse(&complaint, "trash empty"),
    };
    if !args.yes {
        if args.view.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            complain(messages::empty_needs_yes());
            return Exit::Usage;
        }
        if !is_wanted() {
            return Exit::Cancelled;
        }
    }
    let empty = fileops::empty_trash().on_error(on_error).retry(args.failures.retry);
    let empty = match args.older_than {
        Some(days) => empty.older_than(days),
        None => empty,
    };
    let empty = match args.view.jobs {
        Some(jobs) => empty.jobs(jobs.get()),
        None => empty,
    };
    follow(&args.view, Goal::None, args.verbose, messages::deleted, || empty.start())
}

/// Asks at the terminal. Everything but a yes is a no.
fn is_wanted() -> bool {
    let listing = fileops::block_on(async { fileops::trash_list().await });
    let mut stderr = io::stderr();
    let asked =
        stderr.write_all(messages::empty_question(listing.items.len()).as_bytes()).and_then(|()| stderr.flush());
    let mut answer = String::new();
    asked.is_ok()
        && io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Runs an operation to its end, and tells how it ended.
fn follow(
    view: &ViewArgs,
    goal: Goal,
    is_verbose: bool,
    summary: fn(&Report) -> String,
    start: impl FnOnce() -> Operation,
) -> Exit {
    let mut out = Out::default();
    let report = Watch::new(view, goal, None).follow(start, &mut out);
    let exit = outcome::tell(&report, view.json, &mut out);
    if exit == Exit::Done && (is_verbose || (io::stderr().is_terminal() && !view.json)) {
        complain(&summary(&report));
    }
    outcome::settle(exit, &out)
}

fn list(args: &TrashListArgs) -> Exit {
    let TrashListing { items, failures, .. } = fileops::block_on(async { fileops::trash_list().await });
    let mut out = Out::default();
    for item in &items {
        out.line(&if args.json { json::item(item) } else { line(item) });
    }
    failures.iter().for_each(|error| complain(&messages::failure(error)));
    let exit = if failures.is_empty() { Exit::Done } else { Exit::Incomplete };
    if args.json {
        failures.iter().for_each(|error| out.line(&json::failure(error)));
        out.line(&json::listing(items.len(), failures.len(), exit as u8));
    }
    outcome::settle(exit, &out)
}

/// "2026-08-01 12:30:00    1.2 MiB  /home/me/a  /home/me/.local/share/Trash/info/a.trashinfo".
fn line(item: &TrashItem) -> String {
    let date = item.date.as_deref().map_or("-".to_owned(), |date| date.replace('T', " "));
    let size = item.size.map_or("-".to_owned(), text::size);
    let original = item.original.as_ref().map_or("-".to_owned(), |path| Shown(path).to_string());
    let mut line = format!("{date:<19}  {size:>10}  {original}  {}", Shown(&item.id));
    if let Some(damage) = item.damage {
        line += &format!("  ({})", messages::damage(damage).1);
    }
    line
}
