//! `fileops move`.

use crate::args::{MoveArgs, ShortageRule, TransferArgs};
use crate::bar::Goal;
use crate::copy::metadata;
use crate::destination::Destination;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{messages, questions};
use fileops::{Durability, Mounts, Move, Names, OnShortage, ReadOnlyDirs, Resume, Verify};

pub(crate) fn run(args: MoveArgs) -> Exit {
    let relocation = match begun(&args).and_then(|relocation| with_options(relocation, &args.transfer)) {
        Ok(relocation) => relocation,
        Err(complaint) => {
            return outcome::refuse(&complaint, "move");
        }
    };
    let relocation = relocation.mounts(if args.cross_mounts { Mounts::Cross } else { Mounts::Stay });
    let (mut out, transfer) = (Out::default(), &args.transfer);
    let watch = Watch::new(&transfer.view, Goal::Total, Some(args.destination.clone()));
    let report = watch.follow(|| relocation.start(), &mut out);
    let exit = outcome::tell(&report, transfer.view.json, &mut out);
    if exit == Exit::Done && transfer.wants_summary() {
        complain(&messages::moved(&report));
    }
    outcome::settle(exit, &out)
}

fn begun(args: &MoveArgs) -> Result<Move, String> {
    let (sources, dst) = (&args.sources, &args.destination);
    Ok(match Destination::of(sources, dst, args.no_target_directory)? {
        Destination::Into => fileops::move_to(sources, dst),
        Destination::Name => fileops::move_as(&sources[0], dst),
    })
}

fn with_options(relocation: Move, args: &TransferArgs) -> Result<Move, String> {
    let relocation = relocation
        .on_conflict(questions::conflict_rule(args.on_conflict, args.view.json)?)
        .on_error(questions::error_rule(&args.failures.errors, args.view.json)?)
        .on_shortage(if args.on_shortage == ShortageRule::Pause { OnShortage::Pause } else { OnShortage::Warn })
        .names(if args.portable_names { Names::Portable } else { Names::Keep })
        .read_only_dirs(if args.keep_read_only_dirs { ReadOnlyDirs::Keep } else { ReadOnlyDirs::MakeWritable })
        .durability(if args.durable { Durability::Device } else { Durability::Cached })
        .verify(if args.verify { Verify::Contents } else { Verify::Nothing })
        .resume(if args.no_resume { Resume::Never } else { Resume::WhereInterrupted })
        .bandwidth(Some(args.bwlimit).filter(|&rate| rate > 0))
        .undoable(args.records.undoable())
        .metadata(metadata(args.sidecar))
        .retry(args.failures.retry);
    Ok(match args.view.jobs {
        Some(jobs) => relocation.jobs(jobs.get()),
        None => relocation,
    })
}
