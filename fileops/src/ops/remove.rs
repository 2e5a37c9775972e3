//! Removes what is ours, told by identity: a stage that is not wanted any more.

use super::delete;
use crate::engine;
use crate::error::{Action, During, Error, Refusal};
use crate::pool::Pool;
use crate::sys::stat::{Id, Stat};
use crate::sys::{name, open};
use rustix::fs::FileType;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Removes one entry of any kind, if it is the file that `id` says. Counts what is gone, so that others can see it go on.
pub(crate) fn entry(
    dir: &Arc<OwnedFd>,
    path: PathBuf,
    name: &CStr,
    id: Id,
    pool: &Pool,
    removed: &Arc<AtomicU64>,
) -> Result<(), Vec<Error>> {
    let full = path.join(engine::os(name));
    let stat = Stat::at(&**dir, name).during(Action::Stat, || full.clone()).map_err(|error| vec![error])?;
    if stat.id != id {
        return Err(vec![Error::new(Action::Remove, full, Refusal::TargetChanged)]);
    }
    match stat.kind() {
        FileType::Directory => delete::tree(dir, path, name.to_owned(), id, pool, removed),
        _ => {
            name::unlink(&**dir, name).during(Action::Remove, || full).map_err(|error| vec![error])?;
            removed.fetch_add(1, Relaxed);
            Ok(())
        }
    }
}

/// Opens a directory for `entry`.
pub(crate) fn dir(path: &Path) -> Result<Arc<OwnedFd>, Error> {
    open::root(path).map(Arc::new).during(Action::Open, || path)
}
