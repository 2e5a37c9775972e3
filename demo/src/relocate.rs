//! `fileops move`.

use crate::args::{MoveArgs, ShortageRule, TransferArgs};
use crate::bar::Goal;
use crate::destination::Destination;
use crate::messages;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use fileops::{Mounts, Move, Names, OnShortage, ReadOnlyDirs, Undoable};

pub(crate) fn run(args: MoveArgs) -> Exit {
    let MoveArgs { sources, destination, transfer, .. } = &args;
    let relocation = match Destination::of(sources, destination, args.no_target_directory) {
        Ok(Destination::Into) => fileops::move_to(sources, destination),
        Ok(Destination::Name) => fileops::move_as(&sources[0], destination),
        Err(complaint) => {
            complain(&format!("fileops: {complaint}\nTry 'fileops move --help'."));
            return Exit::Usage;
        }
    };
    let relocation =
        with_options(relocation, transfer).mounts(if args.cross_mounts { Mounts::Cross } else { Mounts::Stay });
    let mut out = Out::default();
    let watch = Watch::new(&transfer.view, Goal::Total, Some(destination.clone()));
    let report = watch.follow(|| relocation.start(), &mut out);
    let exit = outcome::tell(&report, transfer.view.json, &mut out);
    if exit == Exit::Done && transfer.wants_summary() {
        complain(&messages::moved(&report));
    }
    outcome::settle(exit, &out)
}

fn with_options(relocation: Move, args: &TransferArgs) -> Move {
    let relocation = relocation
        .on_conflict(args.on_conflict.into())
        .on_shortage(if args.on_shortage == ShortageRule::Pause { OnShortage::Pause } else { OnShortage::Warn })
        .names(if args.portable_names { Names::Portable } else { Names::Keep })
        .read_only_dirs(if args.keep_read_only_dirs { ReadOnlyDirs::Keep } else { ReadOnlyDirs::MakeWritable })
        .undoable(if args.no_undo { Undoable::No } else { Undoable::Yes })
        .retry(args.retry);
    match args.view.jobs {
        Some(jobs) => relocation.jobs(jobs.get()),
        None => relocation,
    }
}
