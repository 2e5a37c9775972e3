//! `fileops copy`.

use crate::args::{CopyArgs, ShortageRule, TransferArgs};
use crate::bar::Goal;
use crate::destination::Destination;
use crate::messages;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use fileops::{Copy, Links, Names, OnCancel, OnShortage, ReadOnlyDirs, Undoable};

pub(crate) fn run(args: CopyArgs) -> Exit {
    let CopyArgs { sources, destination, transfer, .. } = &args;
    let copy = match Destination::of(sources, destination, args.no_target_directory) {
        Ok(Destination::Into) => fileops::copy(sources, destination),
        Ok(Destination::Name) => fileops::copy_as(&sources[0], destination),
        Err(complaint) => {
            complain(&format!("fileops: {complaint}\nTry 'fileops copy --help'."));
            return Exit::Usage;
        }
    };
    let copy = with_options(copy, transfer)
        .on_cancel(if args.keep_finished { OnCancel::KeepFinished } else { OnCancel::RemoveNewTrees })
        .links(if args.follow { Links::Follow } else { Links::Keep });
    let mut out = Out::default();
    let watch = Watch::new(&transfer.view, Goal::Total, Some(destination.clone()));
    let report = watch.follow(|| copy.start(), &mut out);
    let exit = outcome::tell(&report, transfer.view.json, &mut out);
    if exit == Exit::Done && transfer.wants_summary() {
        complain(&messages::summary(&report));
    }
    outcome::settle(exit, &out)
}

fn with_options(copy: Copy, args: &TransferArgs) -> Copy {
    let copy = copy
        .on_conflict(args.on_conflict.into())
        .on_shortage(if args.on_shortage == ShortageRule::Pause { OnShortage::Pause } else { OnShortage::Warn })
        .names(if args.portable_names { Names::Portable } else { Names::Keep })
        .read_only_dirs(if args.keep_read_only_dirs { ReadOnlyDirs::Keep } else { ReadOnlyDirs::MakeWritable })
        .undoable(if args.no_undo { Undoable::No } else { Undoable::Yes })
        .retry(args.retry);
    match args.view.jobs {
        Some(jobs) => copy.jobs(jobs.get()),
        None => copy,
    }
}
