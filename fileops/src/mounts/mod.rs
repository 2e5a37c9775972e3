//! What is mounted where, how much room there is, and when that changes; without touching what is mounted.
//!
//! ```
//! use fileops::mounts;
//!
//! let table = mounts::table()?;
//! let root = table.serving("/etc/passwd").expect("something is mounted at /");
//! println!("{} at {}, read-only: {}", root.kind(), fileops::Shown(root.point()), root.is_read_only());
//! let space = fileops::block_on(mounts::space(root.point()))?;
//! assert!(space.available <= space.total);
//! # Ok::<(), fileops::Error>(())
//! ```
//!
//! [`table`] reads /proc/self/mountinfo, which no file system has to be asked for: it answers at once whatever hangs. What a
//! mount is (network, FUSE, read-only) is told by that, and what its disk is (rotational, removable) by /sys.
//! [`space`] is the one call that has to ask the file system. It is made by a worker in the lane of its mount and has a limit in
//! time, so that a server that is gone gives an error (ETIMEDOUT) while all others answer. [`serving`] finds the mount of a path
//! after its links were followed, which has to look at them; [`Table::serving`] goes by the path as it is written.
//! [`changes`] is a [`Stream`](futures_core::Stream) of what was mounted, unmounted or mounted otherwise.
//!
//! Everything is about the mount namespace of this process.

mod changes;
mod space;

pub use changes::{Change, Changes, NextChange, changes};
pub use space::{Room, Space, space};

use crate::error::{Action, During, Error, Result};
use crate::fs::{self, Call};
use crate::sys::mount::{self, Medium};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// One mount. Source of the fields: proc_pid_mountinfo(5).
#[derive(Clone, PartialEq, Eq)]
pub struct Mount(mount::Mount);

impl Mount {
    /// The kernel's number; another mount may have it later.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// The number of the mount that this one is mounted in.
    pub fn parent(&self) -> u64 {
        self.0.parent
    }

    /// Major and minor number of the device, as `st_dev` has them; of btrfs a number that no device has.
    pub fn device(&self) -> (u32, u32) {
        self.0.device
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.0.point
    }

    /// What of the file system is seen there: `/` is all of it; a bind mount and a subvolume have another.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// The type of the file system: "ext4", "fuse.sshfs".
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// What is mounted: a device, a server's share, or what the file system calls itself.
    pub fn source(&self) -> &OsStr {
        &self.0.source
    }

    /// Options of this mount, apart by commas: "rw,noatime".
    pub fn options(&self) -> &OsStr {
        &self.0.options
    }

    /// Options of the file system, wherever it is mounted.
    pub fn file_system_options(&self) -> &OsStr {
        &self.0.fs_options
    }

    /// Whether one of its options, of either sort, has this name.
    pub fn has_option(&self, name: &str) -> bool {
        has_option(&self.0.options, name) || has_option(&self.0.fs_options, name)
    }

    /// Whether nothing can be written here, by this mount or by its file system.
    pub fn is_read_only(&self) -> bool {
        self.has_option("ro")
    }

    /// Whether a server is asked, or a program of a user's (FUSE), which mostly asks one.
    pub fn is_network(&self) -> bool {
        self.0.is_network()
    }

    /// Whether a program answers for it: FUSE, also on a disk (fuseblk).
    pub fn is_fuse(&self) -> bool {
        self.0.is_fuse()
    }

    /// Whether something is mounted here only when somebody touches it.
    pub fn is_automount(&self) -> bool {
        self.0.kind == "autofs"
    }

    /// Whether its disk can be pulled out: a stick, a card, a disk on USB. Reads /sys.
    pub fn is_removable(&self) -> bool {
        Medium::of(&self.0).is_removable
    }

    /// Whether a head must travel on its disk. Reads /sys.
    pub fn is_rotational(&self) -> bool {
        Medium::of(&self.0).is_rotational
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn has_option(options: &OsStr, name: &str) -> bool {
    options.as_bytes().split(|&byte| byte == b',').any(|option| option == name.as_bytes())
}

/// All mounts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(Vec<Mount>);

/// Reads the mount table. Waits for no file system; 1,000 mounts take some milliseconds.
///
/// # Errors
/// What opening and reading /proc/self/mountinfo says: ENOENT without /proc.
pub fn table() -> Result<Table> {
    mount::table().map(|mounts| Table(mounts.into_iter().map(Mount).collect())).during(Action::Read, || MOUNTINFO)
}

impl Table {
    /// All mounts, hidden ones too, in the kernel's order.
    pub fn mounts(&self) -> &[Mount] {
        &self.0
    }

    /// The mount with a number.
    pub fn numbered(&self, id: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.id() == id)
    }

    /// The mount that serves a path as it is written (made absolute, if it is relative): links in it are not followed, and
    /// nothing is touched. [`serving`] follows them.
    pub fn serving(&self, path: impl AsRef<Path>) -> Option<&Mount> {
        let path = std::path::absolute(path).ok()?;
        // As the kernel goes: at each place into what is mounted there, and from there on.
        let Some(mut at) = self.top() else { return self.longest(&path) };
        let mut inside = HashMap::<u64, Vec<&Mount>>::new();
        for mount in self.0.iter().filter(|mount| path.starts_with(mount.point())) {
            inside.entry(mount.parent()).or_default().push(mount);
        }
        // A table is no tree if it was read while it changed.
        for _ in 0..self.0.len() {
            let next = inside.get(&at.id()).into_iter().flatten().filter(|next| next.id() != at.id());
            match next.min_by_key(|next| next.point().as_os_str().len()) {
                Some(next) => at = next,
                None => break,
            }
        }
        Some(at)
    }

    /// Whether another mount covers it, so that no path leads to it.
    pub fn is_hidden(&self, mount: &Mount) -> bool {
        self.serving(mount.point()).is_none_or(|serving| serving.id() != mount.id())
    }

    /// What is mounted at `/` before anything else is.
    fn top(&self) -> Option<&Mount> {
        let is_top = |mount: &&Mount| mount.point() == Path::new("/") && self.numbered(mount.parent()).is_none();
        self.0.iter().find(is_top)
    }

    /// In a changed root that is no mount point the way in is not in the table.
    fn longest(&self, path: &Path) -> Option<&Mount> {
        let serving = self.0.iter().filter(|mount| path.starts_with(mount.point()));
        serving.max_by_key(|mount| mount.point().as_os_str().len())
    }
}

/// The mount that serves what a path leads to, links followed. A worker looks at the path, and waits as long as its file
/// system does; dropping the call does not end that.
///
/// # Errors
/// As realpath(3): ENOENT where there is nothing. ENODEV where the table does not tell.
pub fn serving(path: impl AsRef<Path>) -> Call<Mount> {
    fs::blocking(Action::Stat, path.as_ref(), |path| {
        let real = std::fs::canonicalize(path).during(Action::Stat, || path)?;
        let nobody = || Error::new(Action::Stat, path, io::Error::from_raw_os_error(libc::ENODEV));
        table()?.serving(real).cloned().ok_or_else(nobody)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[&str]) -> Table {
        Table(lines.iter().map(|line| Mount(mount::parse(line.as_bytes()).unwrap())).collect())
    }

    #[test]
    fn a_path_is_served_by_what_the_kernel_comes_to() {
        let table = table(&[
            "1 0 8:1 / / rw - ext4 a rw",
            "2 1 8:2 / /mnt rw - ext4 b rw",
            "3 2 8:3 / /mnt/sub rw - ext4 c rw",
            "4 2 8:4 / /mnt rw - ext4 d rw",
            "5 1 8:5 / /mntx rw - ext4 e rw",
        ]);
        let serving = |path: &str| table.serving(path).unwrap().source().to_str().unwrap().to_owned();
        assert_eq!(serving("/"), "a");
        assert_eq!(serving("/mnty/x"), "a");
        // What was mounted over /mnt covers what is below it.
        assert_eq!(serving("/mnt/sub/file"), "d");
        assert_eq!(serving("/mntx"), "e");
        let hidden: Vec<_> = table.mounts().iter().map(|mount| table.is_hidden(mount)).collect();
        assert_eq!(hidden, [false, true, true, false, false]);
    }

    #[test]
    fn without_a_mount_at_the_root_the_longest_prefix_serves() {
        let table = table(&["2 1 8:2 / /mnt rw - ext4 b rw", "3 2 8:3 / /mnt/sub rw - ext4 c rw"]);
        assert_eq!(table.serving("/mnt/sub/x").unwrap().source(), "c");
        assert_eq!(table.serving("/elsewhere"), None);
    }

    #[test]
    fn a_mount_tells_what_it_is_by_its_line() {
        let table = table(&[
            "1 0 8:1 / / ro,noatime - ext4 a rw",
            "2 1 0:50 / /a rw - fuse.sshfs me@nas:/ rw,user_id=0",
            "3 1 0:51 / /b rw - nfs4 nas:/ ro",
            "4 1 0:52 / /c rw - autofs systemd-1 rw,proto=5",
            "5 1 0:53 / /d rw,errors=ro - fuseblk /dev/none rw",
        ]);
        let told = |mount: &Mount| [mount.is_read_only(), mount.is_network(), mount.is_fuse(), mount.is_automount()];
        let told: Vec<_> = table.mounts().iter().map(told).collect();
        let expected = [
            [true, false, false, false],
            [false, true, true, false],
            [true, true, false, false],
            [false, false, false, true],
            [false, false, true, false],
        ];
        assert_eq!(told, expected);
        assert!(table.mounts()[0].has_option("noatime") && !table.mounts()[4].has_option("errors"));
    }
}
