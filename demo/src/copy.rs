//! `fileops copy`.

use crate::args::{CopyArgs, ShortageRule, TransferArgs};
use crate::bar::Goal;
use crate::destination::Destination;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{messages, questions};
use fileops::{Copy, Durability, Links, Metadata, Names, OnCancel, OnShortage, ReadOnlyDirs, Resume, Verify};

pub(crate) fn run(args: CopyArgs) -> Exit {
    let copy = match begun(&args).and_then(|copy| with_options(copy, &args.transfer)) {
        Ok(copy) => copy,
        Err(complaint) => {
            return outcome::refuse(&complaint, "copy");
        }
    };
    let copy = copy
        .on_cancel(if args.keep_finished { OnCancel::KeepFinished } else { OnCancel::RemoveNewTrees })
        .links(if args.follow { Links::Follow } else { Links::Keep })
        .verify(if args.transfer.verify { Verify::Contents } else { Verify::Nothing })
        .resume(if args.transfer.no_resume { Resume::Never } else { Resume::WhereInterrupted });
    let copy = if args.transfer.durable { copy.durability(Durability::Device) } else { copy };
    let (mut out, transfer) = (Out::default(), &args.transfer);
    let watch = Watch::new(&transfer.view, Goal::Total, Some(args.destination.clone()));
    let report = watch.follow(|| copy.start(), &mut out);
    let exit = outcome::tell(&report, transfer.view.json, &mut out);
    if exit == Exit::Done && transfer.wants_summary() {
        complain(&messages::summary(&report));
    }
    outcome::settle(exit, &out)
}

fn begun(args: &CopyArgs) -> Result<Copy, String> {
    let (sources, dst) = (&args.sources, &args.destination);
    Ok(match Destination::of(sources, dst, args.no_target_directory)? {
        Destination::Into => fileops::copy(sources, dst),
        Destination::Name => fileops::copy_as(&sources[0], dst),
    })
}

pub(crate) fn metadata(is_beside: bool) -> Metadata {
    if is_beside { Metadata::Sidecar } else { Metadata::Note }
}

fn with_options(copy: Copy, args: &TransferArgs) -> Result<Copy, String> {
    let copy = copy
        .on_conflict(questions::conflict_rule(args.on_conflict, args.view.json)?)
        .on_error(questions::error_rule(&args.failures.errors, args.view.json)?)
        .on_shortage(if args.on_shortage == ShortageRule::Pause { OnShortage::Pause } else { OnShortage::Warn })
        .names(if args.portable_names { Names::Portable } else { Names::Keep })
        .read_only_dirs(if args.keep_read_only_dirs { ReadOnlyDirs::Keep } else { ReadOnlyDirs::MakeWritable })
        .bandwidth(Some(args.bwlimit).filter(|&rate| rate > 0))
        .undoable(args.records.undoable())
        .metadata(metadata(args.sidecar))
        .retry(args.failures.retry);
    Ok(match args.view.jobs {
        Some(jobs) => copy.jobs(jobs.get()),
        None => copy,
    })
}
