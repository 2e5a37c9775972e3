//! How much an operation has before it: a bounded look at its sources, so that a small one need not wait for a long one.
//!
//! Nobody waits for the look. It is made in the lanes of the sources' mounts and gives up early; where it hangs or gives
//! up, the operation counts as long, and goes in order.

use super::{Effort, Id, Uses, scheduler};
use crate::pool::Pool;
use crate::sys::list::{self, Batch};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Nothing heavier is small: a slow stick writes it in some seconds.
const SMALL: u64 = 32 << 20;

/// How many times heavier another one must be to go beside a small one: then the small one delays it little.
const TIMES: u64 = 10;

/// What an entry costs a slow device beside its bytes: 25 ms at 10 MB/s.
const ENTRY: u64 = 256 << 10;

/// More need not be known of anything.
const ENOUGH: u64 = TIMES * SMALL;

/// A look that takes longer than this has found something long, or what never answers.
pub(super) const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Each level holds a descriptor.
const DEEPEST: usize = 32;

/// Bytes, and what entries cost beside them. The default is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    at_least: u64,
    is_whole: bool,
}

impl Weight {
    pub(super) const fn whole(weight: u64) -> Weight {
        Weight { at_least: weight, is_whole: true }
    }

    pub(super) const fn at_least(weight: u64) -> Weight {
        Weight { at_least: weight, is_whole: false }
    }

    pub(super) fn is_unknown(self) -> bool {
        self == Weight::default()
    }

    /// What is known without a look.
    pub(super) fn known(uses: &Uses) -> Option<Weight> {
        match uses.effort {
            Effort::Nothing | Effort::Names => Some(Weight::whole(0)),
            _ if uses.sources.len() as u64 >= ENOUGH / ENTRY => Some(Weight::at_least(ENOUGH)),
            _ => None,
        }
    }

    /// Whether it is over in moments beside one that takes long.
    pub(super) fn is_small_beside(self, other: Weight) -> bool {
        self.is_whole && self.at_least <= SMALL && other.at_least >= TIMES * self.at_least
    }
}

/// Looks at the sources, apart by mount, and tells the scheduler when that is over.
pub(super) fn look(id: Id, uses: &Arc<Uses>, groups: Vec<Vec<PathBuf>>, pool: &Pool) {
    let look = Arc::new(Look {
        id,
        has_contents: uses.effort == Effort::Contents,
        sum: AtomicU64::new(0),
        gave_up: AtomicBool::new(false),
        groups_left: AtomicUsize::new(groups.len()),
    });
    for paths in groups {
        let look = Arc::clone(&look);
        let first = paths.first().cloned().unwrap_or_default();
        pool.leave_at(&first, move || look.look_at(&paths));
    }
}

struct Look {
    id: Id,
    has_contents: bool,
    sum: AtomicU64,
    gave_up: AtomicBool,
    groups_left: AtomicUsize,
}

/// What cannot be read costs its entry: the operation will find that out as quickly.
impl Look {
    fn look_at(&self, paths: &[PathBuf]) {
        let end = Instant::now() + LONG_ENOUGH;
        for path in paths {
            let _ = self.root(path, end);
        }
        let is_last = self.groups_left.fetch_sub(1, Ordering::AcqRel) == 1;
        let gave_up = self.gave_up.load(Ordering::Acquire);
        if is_last || gave_up {
            let (at_least, is_whole) = (self.sum.load(Ordering::Acquire), !gave_up);
            scheduler().weigh(&self.id, Weight { at_least, is_whole });
        }
    }

    fn root(&self, path: &Path, end: Instant) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.inside(open::root(path)?.as_fd(), DEEPEST, end);
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = open::root(parent).inspect_err(|_| self.add(ENTRY))?;
        self.entry(dir.as_fd(), &CString::new(name.as_bytes())?, FileType::Unknown, DEEPEST, end)
    }

    fn entry(&self, dir: BorrowedFd<'_>, name: &CStr, kind: FileType, depth: usize, end: Instant) -> io::Result<()> {
        self.add(ENTRY);
        let is_told = kind == FileType::Directory || (kind != FileType::Unknown && !self.has_contents);
        let kind = if is_told { kind } else { self.weigh_file(dir, name)? };
        if kind == FileType::Directory {
            self.inside(open::dir(dir, name, Follow::No)?.as_fd(), depth, end)?;
        }
        Ok(())
    }

    fn weigh_file(&self, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<FileType> {
        let stat = Stat::at(dir, name)?;
        if self.has_contents && stat.is_file() {
            self.add(stat.size);
        }
        Ok(stat.kind())
    }

    fn inside(&self, dir: BorrowedFd<'_>, depth: usize, end: Instant) -> io::Result<()> {
        let mut space = vec![MaybeUninit::uninit(); list::LIST_BYTES];
        let mut batch = Batch::default();
        loop {
            list::next(dir, &mut space, &mut batch)?;
            if batch.len() == 0 {
                return Ok(());
            }
            for at in 0..batch.len() {
                if depth == 0 || self.is_enough(end) {
                    self.gave_up.store(true, Ordering::Release);
                    return Ok(());
                }
                let (name, kind) = batch.get(at);
                let _ = self.entry(dir, name, kind, depth - 1, end);
            }
        }
    }

    fn add(&self, weight: u64) {
        let more = |sum: u64| Some(sum.saturating_add(weight));
        let _ = self.sum.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    }

    fn is_enough(&self, end: Instant) -> bool {
        self.sum.load(Ordering::Acquire) >= ENOUGH || Instant::now() >= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_is_small_and_a_fraction_of_the_other() {
        let (small, long) = (Weight::whole(SMALL / TIMES), Weight::at_least(SMALL));
        assert!(small.is_small_beside(long));
        assert!(!long.is_small_beside(small));
        assert!(!Weight::whole(SMALL / TIMES + 1).is_small_beside(long));
        assert!(!Weight::whole(SMALL + 1).is_small_beside(Weight::at_least(u64::MAX)));
        assert!(!Weight::default().is_small_beside(long));
    }
}
