//! What is reported of a file, and changes of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, INodeNo, TimeOrNow};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid, chmodat,
    chownat, fstat, ftruncate, utimensat,
};
use rustix::io::Errno;

use super::Shared;
use super::knobs::{Knobs, Modes};
use super::nodes::{Handle, Node, ROOT};
use super::op::Op;

/// The changes which one request asks for.
pub(super) struct Change {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) atime: Option<TimeOrNow>,
    pub(super) mtime: Option<TimeOrNow>,
}

impl Change {
    pub(super) fn op(&self) -> Op {
        match self {
            Change { uid: Some(_), .. } | Change { gid: Some(_), .. } => Op::Chown,
            Change { mode: Some(_), .. } => Op::Chmod,
            Change { size: Some(_), .. } => Op::Truncate,
            _ => Op::Utimens,
        }
    }
}

impl Shared {
    pub(super) fn attr(&self, knobs: &Knobs, stat: &Stat) -> FileAttr {
        let time = |seconds: i64, nanos: u64| match i64::from(knobs.time_step) {
            0 => since_epoch(seconds, nanos as u32),
            step => since_epoch(seconds.div_euclid(step) * step, 0),
        };
        let mtime = time(stat.st_mtime, stat.st_mtime_nsec);
        let kept = knobs.modes == Modes::Keep;
        let kind = FileType::from_raw_mode(stat.st_mode);
        FileAttr {
            ino: INodeNo(self.nodes.id(stat.st_dev, stat.st_ino)),
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            atime: time(stat.st_atime, stat.st_atime_nsec),
            mtime,
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            crtime: mtime,
            kind: file_type(kind),
            perm: if kept { stat.st_mode as u16 & 0o7777 } else { 0o755 },
            nlink: stat.st_nlink as u32,
            uid: if kept { stat.st_uid } else { self.owner.0 },
            gid: if kept { stat.st_gid } else { self.owner.1 },
            rdev: stat.st_rdev as u32,
            blksize: 4096,
            flags: 0,
        }
    }

    pub(super) fn change(
        &self,
        knobs: &Knobs,
        node: &Node,
        handle: Option<&Handle>,
        change: &Change,
    ) -> Result<FileAttr, Errno> {
        let now = self.attr(knobs, &fstat(&node.fd)?);
        let other = change.mode.is_some_and(|mode| mode & 0o7777 != u32::from(now.perm))
            || change.uid.is_some_and(|uid| uid != now.uid)
            || change.gid.is_some_and(|gid| gid != now.gid);
        match knobs.modes {
            Modes::Deny => knobs.deny(other)?,
            Modes::Ignore => (),
            Modes::Keep => {
                if change.uid.is_some() || change.gid.is_some() {
                    let uid = change.uid.map(Uid::from_raw);
                    let gid = change.gid.map(Gid::from_raw);
                    chownat(&node.fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
                }
                if let Some(mode) = change.mode {
                    chmodat(CWD, node.proc(), Mode::from_raw_mode(mode), AtFlags::empty())?;
                }
            }
        }
        if let Some(size) = change.size {
            self.truncate(knobs, node, handle, size, now.size)?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let times = Timestamps { last_access: timespec(change.atime), last_modification: timespec(change.mtime) };
            utimensat(&node.fd, "", &times, AtFlags::EMPTY_PATH)?;
        }
        Ok(self.attr(knobs, &fstat(&node.fd)?))
    }

    fn truncate(&self, knobs: &Knobs, node: &Node, handle: Option<&Handle>, size: u64, now: u64) -> Result<(), Errno> {
        if knobs.max_file.is_some_and(|max| size > max) {
            return Err(Errno::FBIG);
        }
        let grow = size.saturating_sub(now);
        if let Some(quota) = knobs.quota {
            let granted = self.usage.take(grow, quota);
            if granted < grow {
                self.usage.give(granted);
                return Err(Errno::NOSPC);
            }
        }
        match handle {
            Some(handle) => ftruncate(&handle.fd, size)?,
            None => ftruncate(node.reopen(OFlags::WRONLY)?, size)?,
        }
        self.usage.give(now.saturating_sub(size));
        Ok(())
    }

    /// Gives a new entry the owner and mode that its maker wants, as this process may be another
    /// user with another umask.
    pub(super) fn own(
        &self,
        knobs: &Knobs,
        node: &Node,
        stat: &Stat,
        who: (u32, u32),
        mode: u32,
    ) -> Result<Stat, Errno> {
        if knobs.modes != Modes::Keep {
            return Ok(*stat);
        }
        let dir = self.nodes.get(node.place().0)?;
        let inherits = fstat(&dir.fd)?.st_mode & Mode::SGID.as_raw_mode() != 0;
        let gid = if inherits { stat.st_gid } else { who.1 };
        if (stat.st_uid, stat.st_gid) != (who.0, gid) {
            let (uid, gid) = (Uid::from_raw(who.0), Gid::from_raw(gid));
            chownat(&node.fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        let keep = if inherits && kind == FileType::Directory { 0o2000 } else { 0 };
        let mode = mode & 0o7777 | keep;
        if kind != FileType::Symlink && stat.st_mode & 0o7777 != mode {
            chmodat(CWD, node.proc(), Mode::from_raw_mode(mode), AtFlags::empty())?;
        }
        fstat(&node.fd)
    }

    /// Is this the root, which has no name to vanish by?
    pub(super) fn is_root(id: u64) -> bool {
        id == ROOT
    }
}

pub(super) fn file_type(kind: FileType) -> fuser::FileType {
    match kind {
        FileType::Directory => fuser::FileType::Directory,
        FileType::Symlink => fuser::FileType::Symlink,
        FileType::Fifo => fuser::FileType::NamedPipe,
        FileType::Socket => fuser::FileType::Socket,
        FileType::CharacterDevice => fuser::FileType::CharDevice,
        FileType::BlockDevice => fuser::FileType::BlockDevice,
        _ => fuser::FileType::RegularFile,
    }
}

fn since_epoch(seconds: i64, nanos: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    second + Duration::from_nanos(nanos.into())
}

fn timespec(time: Option<TimeOrNow>) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        None => (0, UTIME_OMIT),
        Some(TimeOrNow::Now) => (0, UTIME_NOW),
        Some(TimeOrNow::SpecificTime(time)) => match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (after.as_secs() as i64, after.subsec_nanos().into()),
            Err(before) => match (before.duration().as_secs(), before.duration().subsec_nanos()) {
                (seconds, 0) => (-(seconds as i64), 0),
                (seconds, nanos) => (-(seconds as i64) - 1, i64::from(1_000_000_000 - nanos)),
            },
        },
    };
    Timespec { tv_sec, tv_nsec }
}
