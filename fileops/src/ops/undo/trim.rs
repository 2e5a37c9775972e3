//! Keeps the kept areas small: what is too old or too much goes, the oldest operation first and as a whole.

use crate::journal::{self, Dir, Held, Identity, Location, Step, Written};
use crate::operation::Job;
use crate::ops::{remove, steps};
use crate::pool::Pool;
use crate::sys::mount;
use crate::sys::stat::Stat;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After so long nobody undoes any more.
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many operations are remembered.
const OPERATIONS: usize = 200;

/// What is kept may take up to half of the room that there would be without it.
const SHARE: u64 = 2;

/// Reading the whole history is worth it when so much was kept at once, and every so many operations.
const MUCH: u64 = 16 << 20;
const MUCH_OF: u64 = 8;
const NOW_AND_THEN: usize = 16;

/// To be called at the end of an operation. What the operation itself has kept stays, unless it is an undo: what that takes
/// away is a copy of something.
pub(crate) fn trim(job: &Job, pool: &Pool) {
    let count = if job.journal.has_changes() { journal::past_count() } else { 0 };
    if count <= OPERATIONS && count % NOW_AND_THEN != NOW_AND_THEN - 1 && !is_much(job) {
        return;
    }
    let Ok(history) = journal::history() else { return };
    let left = drop_old(&history, pool);
    journal::forget_passages(AGE);
    for (area, file) in job.kept.areas() {
        if let Ok(free) = mount::free_bytes(&file) {
            drop_much(&left, &area, free, job, pool);
        }
    }
}

/// Whether so much was kept that it tells on the room there is.
fn is_much(job: &Job) -> bool {
    let kept = job.kept.bytes();
    let tells = |file: &OwnedFd| mount::free_bytes(file).is_ok_and(|free| kept > free / MUCH_OF);
    kept >= MUCH || (kept > 0 && job.kept.areas().iter().any(|(_, file)| tells(file)))
}

/// Gives what stays.
fn drop_old<'a>(history: &'a [Written], pool: &Pool) -> Vec<&'a Written> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let too_many = history.len().saturating_sub(OPERATIONS);
    let is_old = |past: &Written| past.ended.map_or(past.written, |(_, end)| end) + AGE < now;
    let (old, left): (Vec<_>, Vec<_>) =
        history.iter().enumerate().partition(|(number, past)| *number < too_many || is_old(past));
    old.into_iter().for_each(|(_, past)| drop_kept(past, pool));
    left.into_iter().map(|(_, past)| past).collect()
}

/// Drops from one area what is over its share, the oldest first.
fn drop_much(history: &[&Written], area: &Dir, free: u64, job: &Job, pool: &Pool) {
    let size = |past: &Written| kept(past).filter(|(at, _)| at.dir == *area).map(|(_, it)| it.allocated).sum::<u64>();
    let mut total: u64 = history.iter().map(|past| size(past)).sum();
    let most = free.saturating_add(total) / SHARE;
    for past in history {
        // A redo keeps what its operation kept: old files, of which there is no other copy.
        let is_own = past.id == job.journal.id() && past.verb != "undo";
        let size = size(past);
        if total > most && size > 0 && !is_own {
            total -= size;
            drop_kept(past, pool);
        }
    }
}

/// What a journal says is kept, and was not taken back.
fn kept(past: &Written) -> impl Iterator<Item = (&Location, &Identity)> {
    past.steps.iter().filter(|begun| !begun.is_inverted).filter_map(|begun| match &begun.step {
        Step::Removed { kept, identity, .. } => Some((kept, identity)),
        Step::Replaced { kept, old, .. } => Some((kept, old)),
        _ => None,
    })
}

/// Removes what is kept for an operation, and forgets the operation. One that is being undone at the moment stays.
fn drop_kept(past: &Written, pool: &Pool) {
    let Ok(Some(held)) = journal::hold(&past.path) else { return };
    // What cannot be removed now is tried the next time.
    if kept(&held.journal).all(|(at, identity)| remove_kept(at, identity, pool).is_ok()) {
        let _ = Held::forget(&held);
    }
}

fn remove_kept(at: &Location, identity: &Identity, pool: &Pool) -> io::Result<()> {
    let dir = match steps::open_dir(&at.dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        dir => Arc::new(dir?),
    };
    match Stat::at(&*dir, &at.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(stat) if identity.is_same(&stat, &at.dir.file_system) => {
            let removed = remove::entry(&dir, at.dir.path.to_path_buf(), &at.name, stat.id, pool, &Arc::default());
            removed.map_err(|_| io::ErrorKind::Other.into())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}
