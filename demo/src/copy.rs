//! `fileops copy`.

use crate::args::{CopyArgs, ShortageRule, TransferArgs};
use crate::bar::Goal;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{messages, questions, text};
use fileops::{Copy, Durability, Links, Names, OnCancel, OnShortage, ReadOnlyDirs, Resume, Shown, Undoable, Verify};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) fn run(args: CopyArgs) -> Exit {
    let copy = match to_destination(&args).and_then(|copy| with_options(copy, &args.transfer)) {
        Ok(copy) => copy,
        Err(complaint) => {
            complain(&format!("fileops: {complaint}\nTry 'fileops copy --help'."));
            return Exit::Usage;
        }
    };
    let mut out = Out::default();
    let watch = Watch::new(&args.transfer.view, Goal::Total, Some(args.destination.clone()));
    let report = watch.follow(|| copy.start(), &mut out);
    let exit = outcome::tell(&report, args.transfer.view.json, &mut out);
    if exit == Exit::Done && wants_summary(&args.transfer) {
        complain(&messages::summary(&report));
    }
    outcome::settle(exit, &out)
}

/// Into DST, or to the name DST: see the rules of cp(1).
fn to_destination(args: &CopyArgs) -> Result<Copy, String> {
    let (sources, dst) = (&args.sources, &args.destination);
    if args.no_target_directory {
        return match sources.as_slice() {
            [source] => Ok(fileops::copy_as(source, dst)),
            _ => Err(format!("-T takes one source, and {} were given for {}", sources.len(), Shown(dst))),
        };
    }
    match (directory(dst), sources.as_slice()) {
        (Ok(()), _) => Ok(fileops::copy(sources, dst)),
        (Err(None), [source]) if is_missing_dir(dst, source) => Err(no_directory(dst, None)),
        (Err(_), [source]) => Ok(fileops::copy_as(source, dst)),
        (Err(error), _) => Err(no_directory(dst, error.as_ref())),
    }
}

/// Whether DST is a directory, or a link to one. The error is `None` when it is there and something else, or not there.
fn directory(dst: &Path) -> Result<(), Option<io::Error>> {
    match fs::metadata(dst) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(None),
        Err(error) => Err(Some(error)),
    }
}

/// A slash at the end of DST asks for a directory, which only a directory can become.
fn is_missing_dir(dst: &Path, source: &Path) -> bool {
    dst.as_os_str().as_bytes().ends_with(b"/") && fs::metadata(source).is_ok_and(|metadata| !metadata.is_dir())
}

fn no_directory(dst: &Path, error: Option<&io::Error>) -> String {
    let reason = error.map(|error| format!(": {}", text::reason(error))).unwrap_or_default();
    format!("the target {} is no directory{reason}", Shown(dst))
}

fn with_options(copy: Copy, args: &TransferArgs) -> Result<Copy, String> {
    let copy = copy
        .on_conflict(questions::conflict_rule(args.on_conflict, args.view.json)?)
        .on_error(questions::error_rule(&args.view)?)
        .on_shortage(if args.on_shortage == ShortageRule::Pause { OnShortage::Pause } else { OnShortage::Warn })
        .on_cancel(if args.keep_finished { OnCancel::KeepFinished } else { OnCancel::RemoveNewTrees })
        .links(if args.follow { Links::Follow } else { Links::Keep })
        .names(if args.portable_names { Names::Portable } else { Names::Keep })
        .read_only_dirs(if args.keep_read_only_dirs { ReadOnlyDirs::Keep } else { ReadOnlyDirs::MakeWritable })
        .verify(if args.verify { Verify::Contents } else { Verify::Nothing })
        .resume(if args.no_resume { Resume::Never } else { Resume::WhereInterrupted })
        .bandwidth(Some(args.bwlimit).filter(|&rate| rate > 0))
        .undoable(if args.no_undo { Undoable::No } else { Undoable::Yes })
        .retry(args.retry);
    let copy = if args.durable { copy.durability(Durability::Device) } else { copy };
    Ok(match args.view.jobs {
        Some(jobs) => copy.jobs(jobs.get()),
        None => copy,
    })
}

fn wants_summary(args: &TransferArgs) -> bool {
    args.verbose || (io::stderr().is_terminal() && !args.view.json)
}
