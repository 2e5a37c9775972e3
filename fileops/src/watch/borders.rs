//! Where a watch ends: mounts on which the kernel is silent, told by the mount table, and never by touching them.

use crate::sys::mount::{self, Mount};
use std::path::{Path, PathBuf};

/// What is mounted at and below a watched directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Borders {
    /// The mount that serves the directory itself.
    serving: Option<Mount>,
    /// Those below it.
    below: Vec<Mount>,
}

impl Borders {
    /// Of a directory given by its real path.
    pub(super) fn of(real: &Path) -> Borders {
        let table = mount::table().unwrap_or_default();
        let serving = mount::serving(&table, real).cloned();
        let below = table.into_iter().filter(|mount| mount.point != real && mount.point.starts_with(real)).collect();
        Borders { serving, below }
    }

    /// Whether changes that others make to the directory are not told by the kernel.
    pub(super) fn is_silent(&self) -> bool {
        self.serving.as_ref().is_some_and(is_silent)
    }

    /// Whether a real path below is on the same side: watched as the directory itself is.
    pub(super) fn may_enter(&self, real: &Path) -> bool {
        let mut at_this = self.below.iter().filter(|mount| mount.point == real);
        at_this.next_back().is_none_or(|mount| mount.kind != "autofs" && !is_silent(mount))
    }

    /// Whether there is anything to ask [`may_enter`](Self::may_enter).
    pub(super) fn has_any(&self) -> bool {
        !self.below.is_empty()
    }

    /// Whether the directory itself is on another mount than it was.
    pub(super) fn is_elsewhere(&self, before: &Borders) -> bool {
        self.serving.as_ref().map(Mount::id) != before.serving.as_ref().map(Mount::id)
    }

    /// Where, below the directory, something was mounted or unmounted since.
    pub(super) fn changed(&self, before: &Borders) -> Vec<PathBuf> {
        let is_new = |mount: &&Mount| !before.below.contains(mount);
        let is_gone = |mount: &&Mount| !self.below.contains(mount);
        let changed = self.below.iter().filter(is_new).chain(before.below.iter().filter(is_gone));
        let mut points: Vec<_> = changed.map(|mount| mount.point.clone()).collect();
        points.sort();
        points.dedup();
        points
    }
}

/// A server's files change without this kernel, and so do those that a program makes up (FUSE) or another machine shares.
fn is_silent(mount: &Mount) -> bool {
    mount.is_network() || mount.kind == "virtiofs" || mount.kind == "vboxsf"
}
