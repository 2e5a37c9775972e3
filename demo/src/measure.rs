//! `fileops measure`.

use crate::args::MeasureArgs;
use crate::bar::Goal;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::questions;
use crate::text::{count, size};
use crate::watch::Watch;
use fileops::{Outcome, Report};

pub(crate) fn run(args: MeasureArgs) -> Exit {
    let measure = fileops::measure(args.paths);
    let on_error = match questions::error_rule(&args.errors, args.view.json) {
        Ok(rule) => rule,
        Err(complaint) => {
            complain(&format!("fileops: {complaint}\nTry 'fileops measure --help'."));
            return Exit::Usage;
        }
    };
    let measure = measure.on_error(on_error);
    let measure = match args.view.jobs {
        Some(jobs) => measure.jobs(jobs.get()),
        None => measure,
    };
    let mut out = Out::default();
    let report = Watch::new(&args.view, Goal::None, None).follow(|| measure.start(), &mut out);
    let exit = outcome::tell(&report, args.view.json, &mut out);
    // Half a count is worse than none.
    if !args.view.json && report.outcome == Outcome::Done {
        out.bytes(table(&report).as_bytes());
    }
    outcome::settle(exit, &out)
}

fn table(report: &Report) -> String {
    let rows = [
        ("entries", count(report.entries)),
        ("files", count(report.files)),
        ("directories", count(report.directories)),
        ("symlinks", count(report.symlinks)),
        ("others", count(report.specials)),
        ("bytes", exact_size(report.bytes)),
        ("allocated", exact_size(report.allocated)),
    ];
    rows.iter().map(|(name, figure)| format!("{name:<12} {figure}\n")).collect()
}

/// "1,288,490,189 (1.2 GiB)".
fn exact_size(bytes: u64) -> String {
    match bytes {
        0..1024 => count(bytes),
        _ => format!("{} ({})", count(bytes), size(bytes)),
    }
}
