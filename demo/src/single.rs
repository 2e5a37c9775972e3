//! `fileops rename`, `create`, `mkdir`, `link` and `duplicate`.

use crate::args::{FailureArgs, LinkArgs, PathsArgs, RecordArgs, RenameArgs, ViewArgs};
use crate::bar::Goal;
use crate::out::Out;
use crate::outcome::{self, Exit};
use crate::questions;
use crate::watch::Watch;
use fileops::{Report, Single};
use std::path::PathBuf;

pub(crate) fn rename(args: RenameArgs) -> Exit {
    let RenameArgs { path, name, failures, records, view } = args;
    follow("rename", fileops::rename(path, name), &failures, &records, &view)
}

pub(crate) fn create(args: PathsArgs) -> Exit {
    all("create", args, fileops::create_file)
}

pub(crate) fn mkdir(args: PathsArgs) -> Exit {
    all("mkdir", args, fileops::create_dir)
}

pub(crate) fn link(args: LinkArgs) -> Exit {
    let LinkArgs { target, path, symbolic, failures, records, view } = args;
    let link = if symbolic { fileops::symlink(target, path) } else { fileops::hard_link(target, path) };
    follow("link", link, &failures, &records, &view)
}

/// Each beside itself, so each is an operation of its own.
pub(crate) fn duplicate(args: PathsArgs) -> Exit {
    let on_error = match questions::error_rule(&args.failures.errors, args.view.json) {
        Ok(rule) => rule,
        Err(complaint) => return outcome::refuse(&complaint, "duplicate"),
    };
    let mut out = Out::default();
    let mut sum: Option<Report> = None;
    for path in args.paths {
        let duplicate = fileops::duplicate(path).on_error(on_error).retry(args.failures.retry);
        let duplicate = duplicate.undoable(args.records.undoable());
        let duplicate = match args.view.jobs {
            Some(jobs) => duplicate.jobs(jobs.get()),
            None => duplicate,
        };
        let report = Watch::new(&args.view, Goal::Total, None).follow(|| duplicate.start(), &mut out);
        let is_over = report.outcome != fileops::Outcome::Done;
        sum = Some(match sum {
            None => report,
            Some(sum) => added(sum, report),
        });
        if is_over {
            break;
        }
    }
    let exit = sum.map_or(Exit::Usage, |report| outcome::tell(&report, args.view.json, &mut out));
    outcome::settle(exit, &out)
}

fn added(mut sum: Report, next: Report) -> Report {
    sum.outcome = next.outcome;
    sum.id = next.id;
    sum.entries += next.entries;
    sum.removed += next.removed;
    sum.files += next.files;
    sum.directories += next.directories;
    sum.symlinks += next.symlinks;
    sum.specials += next.specials;
    sum.bytes += next.bytes;
    sum.allocated += next.allocated;
    sum.cloned += next.cloned;
    sum.elapsed += next.elapsed;
    sum.workers = sum.workers.max(next.workers);
    sum.failures.extend(next.failures);
    sum.skipped.extend(next.skipped);
    sum.notes.extend(next.notes);
    sum.stuck.extend(next.stuck);
    sum
}

fn all(command: &str, args: PathsArgs, make: impl Fn(PathBuf) -> Single) -> Exit {
    let PathsArgs { paths, failures, records, view } = args;
    match paths.into_iter().map(make).reduce(Single::and) {
        Some(all) => follow(command, all, &failures, &records, &view),
        None => Exit::Usage,
    }
}

fn follow(command: &str, change: Single, failures: &FailureArgs, records: &RecordArgs, view: &ViewArgs) -> Exit {
    let change = match questions::error_rule(&failures.errors, view.json) {
        Ok(rule) => change.on_error(rule).retry(failures.retry).undoable(records.undoable()),
        Err(complaint) => return outcome::refuse(&complaint, command),
    };
    let mut out = Out::default();
    let report = Watch::new(view, Goal::None, None).follow(|| change.start(), &mut out);
    let exit = outcome::tell(&report, view.json, &mut out);
    outcome::settle(exit, &out)
}
