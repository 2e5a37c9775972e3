//! What directories hold: finding, making, renaming and removing entries.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use fuser::FileAttr;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, fstat, linkat, mkdirat, mknodat, openat, renameat_with, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Shared;
use super::data::open_flags;
use super::knobs::Knobs;
use super::nodes::{Node, proc};

/// What a request is about.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// A file.
    Node(u64),
    /// A name in a directory.
    Name(u64, &'a OsStr),
    /// Two names: the first one is the file which there is.
    Names((u64, &'a OsStr), (u64, &'a OsStr)),
    /// A new name for a file.
    Link(u64, (u64, &'a OsStr)),
}

/// What shall be made.
pub(super) enum Make<'a> {
    Dir,
    Node(u32),
    Symlink(&'a Path),
}

/// A name, in a directory.
pub(super) type Place<'a> = (&'a Node, &'a OsStr);

impl Shared {
    pub(super) fn paths(&self, at: At<'_>) -> Vec<PathBuf> {
        let join = |(dir, name): (u64, &OsStr)| self.nodes.path(dir).join(name);
        match at {
            At::Node(id) => vec![self.nodes.path(id)],
            At::Name(dir, name) => vec![join((dir, name))],
            At::Names(from, to) => vec![join(from), join(to)],
            At::Link(id, to) => vec![join(to), self.nodes.path(id)],
        }
    }

    /// Removes what a request is about behind the client's back.
    pub(super) fn vanish(&self, at: At<'_>) {
        let place = match at {
            At::Node(id) | At::Link(id, _) if Self::is_root(id) => None,
            At::Node(id) | At::Link(id, _) => self.nodes.known(id).map(|node| node.place()),
            At::Name(dir, name) | At::Names((dir, name), _) => Some((dir, name.to_owned())),
        };
        let Some((dir, name)) = place else { return };
        let Some(dir) = self.nodes.known(dir) else {
            return;
        };
        let Ok(stat) = statat(&dir.fd, &name, AtFlags::SYMLINK_NOFOLLOW) else {
            return;
        };
        let removed = unlinkat(&dir.fd, &name, AtFlags::empty()).is_ok()
            || std::fs::remove_dir_all(Path::new(&proc(&dir.fd)).join(&name)).is_ok();
        if let Some(node) = self.nodes.known(self.nodes.id(stat.st_dev, stat.st_ino)) {
            let last = FileType::from_raw_mode(stat.st_mode).is_dir() || stat.st_nlink == 1;
            node.gone.store(removed && last, Relaxed);
        }
    }

    /// The name as it is on disk.
    pub(super) fn real<'a>(&self, knobs: &Knobs, (dir, name): Place<'a>) -> Result<Cow<'a, OsStr>, Errno> {
        match knobs.ignore_case {
            true => self.nodes.real_name(dir, name).map(Cow::Owned),
            false => Ok(Cow::Borrowed(name)),
        }
    }

    pub(super) fn lookup(&self, knobs: &Knobs, at: Place<'_>) -> Result<FileAttr, Errno> {
        let (_, stat) = self.nodes.lookup(at.0, &self.real(knobs, at)?)?;
        Ok(self.attr(knobs, &stat))
    }

    pub(super) fn make(
        &self,
        knobs: &Knobs,
        (dir, name): Place<'_>,
        what: &Make<'_>,
        mode: u32,
        who: (u32, u32),
    ) -> Result<FileAttr, Errno> {
        knobs.check_name(name)?;
        let bits = Mode::from_raw_mode(mode);
        match what {
            Make::Dir => mkdirat(&dir.fd, name, bits)?,
            Make::Node(device) => {
                let kind = FileType::from_raw_mode(mode);
                knobs.deny(knobs.no_special && kind != FileType::RegularFile)?;
                mknodat(&dir.fd, name, kind, bits, u64::from(*device))?;
            }
            Make::Symlink(target) => {
                knobs.deny(knobs.no_symlinks)?;
                symlinkat(*target, &dir.fd, name)?;
            }
        }
        let (node, stat) = self.nodes.lookup(dir, name)?;
        Ok(self.attr(knobs, &self.own(knobs, &node, &stat, who, mode)?))
    }

    /// Makes a file and opens it; returns what it is and its handle.
    pub(super) fn create(
        &self,
        knobs: &Knobs,
        (dir, name): Place<'_>,
        flags: i32,
        mode: u32,
        who: (u32, u32),
    ) -> Result<(FileAttr, u64), Errno> {
        knobs.check_name(name)?;
        let exclusive = OFlags::from_bits_retain(flags as u32) & OFlags::EXCL;
        let existed = statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        let flags = open_flags(flags) | OFlags::CREATE | OFlags::NOFOLLOW | exclusive;
        let fd = openat(&dir.fd, name, flags, Mode::from_raw_mode(mode))?;
        let (node, mut stat) = self.nodes.lookup(dir, name)?;
        if !existed {
            stat = self.own(knobs, &node, &stat, who, mode)?;
        }
        Ok((self.attr(knobs, &stat), self.handles.add(fd, node)))
    }

    pub(super) fn link(&self, knobs: &Knobs, node: &Node, (dir, name): Place<'_>) -> Result<FileAttr, Errno> {
        knobs.deny(knobs.no_links)?;
        knobs.check_name(name)?;
        linkat(CWD, node.proc(), &dir.fd, name, AtFlags::SYMLINK_FOLLOW)?;
        let (_, stat) = self.nodes.lookup(dir, name)?;
        Ok(self.attr(knobs, &stat))
    }

    pub(super) fn remove(&self, knobs: &Knobs, at: Place<'_>, flags: AtFlags) -> Result<(), Errno> {
        let name = self.real(knobs, at)?;
        let freed = self.freed_by(knobs, at.0, &*name);
        unlinkat(&at.0.fd, &*name, flags)?;
        self.usage.give(freed);
        Ok(())
    }

    pub(super) fn rename(
        &self,
        knobs: &Knobs,
        from: Place<'_>,
        to: Place<'_>,
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        if knobs.no_rename_flags && !flags.is_empty() {
            return Err(Errno::INVAL);
        }
        knobs.check_name(to.1)?;
        let (old, mut new) = (self.real(knobs, from)?, self.real(knobs, to)?);
        let same = |dir: &Node| fstat(&dir.fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
        if old == new && same(from.0) == same(to.0) {
            new = Cow::Borrowed(to.1);
        }
        let swap = flags.contains(RenameFlags::EXCHANGE);
        let freed = if swap { 0 } else { self.freed_by(knobs, to.0, &*new) };
        renameat_with(&from.0.fd, &*old, &to.0.fd, &*new, flags)?;
        self.usage.give(freed);
        self.nodes.moved(to.0, &new);
        if swap {
            self.nodes.moved(from.0, &old);
        }
        Ok(())
    }
}
