//! `fileops delete`.

use crate::args::DeleteArgs;
use crate::bar::Goal;
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::watch::Watch;
use crate::{messages, questions};
use fileops::Mounts;
use std::io::{self, IsTerminal};

pub(crate) fn run(args: DeleteArgs) -> Exit {
    let delete = fileops::delete(args.paths).mounts(if args.cross_mounts { Mounts::Cross } else { Mounts::Stay });
    let on_error = match questions::error_rule(&args.failures.errors, args.view.json) {
        Ok(rule) => rule,
        Err(complaint) => {
            return outcome::refuse(&complaint, "delete");
        }
    };
    let delete = delete.on_error(on_error).retry(args.failures.retry);
    let delete = match args.view.jobs {
        Some(jobs) => delete.jobs(jobs.get()),
        None => delete,
    };
    let mut out = Out::default();
    let report = Watch::new(&args.view, Goal::None, None).follow(|| delete.start(), &mut out);
    let exit = outcome::tell(&report, args.view.json, &mut out);
    if exit == Exit::Done && (args.verbose || (io::stderr().is_terminal() && !args.view.json)) {
        complain(&messages::deleted(&report));
    }
    outcome::settle(exit, &out)
}
