//! Whether a source and what is at its target are the same, byte for byte.

use super::Copying;
use crate::comparison::{Comparer, GoesOn, Which, is_equal};
use crate::engine::{End, Entry, Stop, Visit, Worker};
use crate::error::{Action, Error};
use crate::sys::name;
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use rustix::fs::FileType;
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A source and a target, each by its directory and name.
struct Sides<'a> {
    source: (&'a OwnedFd, &'a CStr, Follow),
    target: (&'a OwnedFd, &'a CStr),
}

impl Sides<'_> {
    fn are_equal<E>(
        &self,
        go_on: impl FnMut() -> Result<(), E>,
        failed: impl Fn(Which, Action, io::Error) -> E,
    ) -> Result<bool, E> {
        let ((from, name, follow), (to, wanted)) = (self.source, self.target);
        let of_source = |action| move |error| (Which::First, action, error);
        let of_target = |action| move |error| (Which::Second, action, error);
        let failed = |(which, action, error)| failed(which, action, error);
        let stat = if follow == Follow::Yes { Stat::following(from, name) } else { Stat::at(from, name) };
        let stat = stat.map_err(of_source(Action::Stat)).map_err(failed)?;
        let old = Stat::at(to, wanted).map_err(of_target(Action::Stat)).map_err(failed)?;
        if stat.kind() != old.kind() {
            return Ok(false);
        }
        match stat.kind() {
            FileType::RegularFile if stat.size != old.size => Ok(false),
            FileType::RegularFile => {
                let first = open::file(from, name, follow).map_err(of_source(Action::Open)).map_err(failed)?;
                let second = open::file(to, wanted, Follow::No).map_err(of_target(Action::Open)).map_err(failed)?;
                is_equal(&first, &second, go_on, |which, error| failed((which, Action::Read, error)))
            }
            FileType::Symlink => {
                let first = name::readlink(from, name).map_err(of_source(Action::Symlink)).map_err(failed)?;
                let second = name::readlink(to, wanted).map_err(of_target(Action::Symlink)).map_err(failed)?;
                Ok(first == second)
            }
            FileType::Directory => Err(failed((Which::First, Action::Read, io::ErrorKind::IsADirectory.into()))),
            _ => Ok(stat.rdev == old.rdev),
        }
    }
}

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
