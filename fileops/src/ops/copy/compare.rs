//! Whether a source and what is at its target are the same, byte for byte.

use super::Copying;
use crate::comparison::{Comparer, GoesOn, Sides, Which};
use crate::engine::{End, Entry, Stop, Visit, Worker};
use crate::error::{Action, Error};
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// By rule or answer, on the worker itself.
pub(super) fn differ(
    worker: &Worker<Copying>,
    entry: &Entry<'_, Copying>,
    target: &OwnedFd,
    wanted: &CStr,
) -> Visit<bool> {
    let path = |which| match which {
        Which::First => entry.dir.path_of(End::Source, entry.name),
        Which::Second => entry.dir.path_of(End::Target, wanted),
    };
    let failed = |which, action, error| Stop::from(Error::new(action, path(which), error));
    let source =
        worker.descriptor(entry.dir, End::Source).map_err(|error| failed(Which::First, Action::Open, error))?;
    let sides = Sides { source: (&source, entry.name, entry.follow), target: (target, wanted) };
    let go_on = || worker.job().checkpoint().map_err(Stop::from);
    sides.are_equal(go_on, failed).map(|is_equal| !is_equal)
}

/// For whoever is asked. It holds no descriptor: thousands of questions may be open.
pub(super) fn comparer(worker: &Worker<Copying>, entry: &Entry<'_, Copying>, wanted: &CStr) -> Comparer {
    let engine = Arc::downgrade(worker.engine());
    let (dir, follow) = (Arc::clone(entry.dir), entry.follow);
    let (name, wanted) = (entry.name.to_owned(), wanted.to_owned());
    Comparer::new(worker.pool(), move |goes_on: GoesOn<'_>| {
        let engine = engine.upgrade().ok_or(io::ErrorKind::Interrupted)?;
        let (from, to) = (engine.descriptor(&dir, End::Source)?, engine.descriptor(&dir, End::Target)?);
        let sides = Sides { source: (&from, &name, follow), target: (&to, &wanted) };
        let go_on = || match goes_on() && !engine.job.control.is_cancelled() {
            true => Ok(()),
            false => Err(io::Error::from(io::ErrorKind::Interrupted)),
        };
        sides.are_equal(go_on, |_, _, error| error)
    })
}
