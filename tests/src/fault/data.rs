//! What is in files: reading, writing, opening, and the quota.

use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fchmod, fstat, statat};
use rustix::io::{Errno, pread, pwrite};

use super::Shared;
use super::knobs::Knobs;
use super::nodes::{Handle, Node, list};
use super::rules::{Plan, pause};

impl Shared {
    /// Reads as much as there is and there is room for.
    pub(super) fn read(&self, plan: &Plan, handle: &Handle, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let size = plan.limit.unwrap_or(usize::MAX).min(buffer.len());
        let mut done = 0;
        while done < size {
            match pread(&handle.fd, &mut buffer[done..size], offset + done as u64) {
                Ok(n) if n < size - done => {
                    done += n;
                    break;
                }
                Ok(n) => done += n,
                Err(Errno::INTR) => (),
                Err(e) => return Err(e),
            }
        }
        if plan.flip {
            flip(&mut buffer[..done]);
        }
        Ok(done)
    }

    pub(super) fn write(
        &self,
        knobs: &Knobs,
        plan: &Plan,
        handle: &Handle,
        offset: u64,
        data: &[u8],
    ) -> Result<u32, Errno> {
        let limit = plan.limit.unwrap_or(usize::MAX).min(data.len());
        if limit == 0 {
            return Ok(0);
        }
        let room = self.room(knobs, handle, offset, limit as u64)?;
        let mut data = &data[..room as usize];
        let flipped;
        if plan.flip {
            flipped = {
                let mut copy = data.to_vec();
                flip(&mut copy);
                copy
            };
            data = &flipped;
        }
        if let Some(rate) = knobs.bandwidth {
            pause(self.throttle.delay(data.len(), rate));
        }
        let mut done = 0;
        while done < data.len() {
            match pwrite(&handle.fd, &data[done..], offset + done as u64) {
                Ok(n) => done += n,
                Err(Errno::INTR) => (),
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(done as u32)
    }

    /// How much of a write fits below the largest file and in the quota, which then has it.
    fn room(&self, knobs: &Knobs, handle: &Handle, offset: u64, len: u64) -> Result<u64, Errno> {
        let mut len = len;
        if let Some(max) = knobs.max_file {
            len = len.min(max.checked_sub(offset).filter(|left| *left > 0).ok_or(Errno::FBIG)?);
        }
        if let Some(quota) = knobs.quota {
            let size = fstat(&handle.fd)?.st_size as u64;
            let granted = self.usage.take((offset + len).saturating_sub(size), quota);
            let end = (size + granted).min(offset + len);
            len = end.checked_sub(offset).filter(|left| *left > 0).ok_or_else(|| {
                self.usage.give(granted);
                Errno::NOSPC
            })?;
        }
        Ok(len)
    }

    /// What a file holds of the quota that will be free when the name is gone.
    pub(super) fn freed_by(&self, knobs: &Knobs, dir: &Node, name: impl AsRef<Path>) -> u64 {
        let last = |stat: &Stat| stat.st_nlink == 1 && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let stat =
            knobs.quota.and_then(|_| statat(&dir.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW).ok().filter(last));
        stat.map_or(0, |stat| stat.st_size as u64)
    }

    pub(super) fn open(&self, knobs: &Knobs, node: Arc<Node>, flags: i32) -> Result<u64, Errno> {
        let flags = open_flags(flags) - OFlags::NOFOLLOW;
        let cut = knobs.quota.is_some() && flags.contains(OFlags::TRUNC);
        let before = if cut { fstat(&node.fd)?.st_size as u64 } else { 0 };
        let fd = node.reopen(flags)?;
        self.usage.give(before);
        Ok(self.handles.add(fd, node))
    }

    /// Reads the whole directory when it is read from the start. One that was removed cannot be read, as in the kernel's own
    /// file systems; what lists it here would call it empty.
    pub(super) fn fill(&self, handle: &Handle, offset: u64) -> Result<(), Errno> {
        if offset == 0 {
            if fstat(&handle.fd)?.st_nlink == 0 {
                return Err(Errno::NOENT);
            }
            let entries = list(&handle.fd)?;
            *super::rules::lock(&handle.entries) = entries;
        }
        Ok(())
    }
}

/// The flags with which a backing file is opened: no alignment rules, nothing made.
pub(super) fn open_flags(flags: i32) -> OFlags {
    let not = OFlags::CREATE | OFlags::EXCL | OFlags::DIRECT | OFlags::NOCTTY;
    OFlags::from_bits_retain(flags as u32).difference(not) | OFlags::CLOEXEC
}

/// Takes the set-user-id and set-group-id bits off, as a write by another user does.
pub(super) fn kill_suid(fd: &OwnedFd) -> Result<(), Errno> {
    let mode = fstat(fd)?.st_mode;
    if mode & 0o6000 != 0 {
        fchmod(fd, Mode::from_raw_mode(mode & 0o1777))?;
    }
    Ok(())
}

fn flip(data: &mut [u8]) {
    let middle = data.len() / 2;
    if let Some(byte) = data.get_mut(middle) {
        *byte ^= 1;
    }
}

/// The bytes in all regular files of a tree, each file once.
pub(super) fn bytes_in(root: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut seen = std::collections::HashSet::new();
    let mut left = vec![root.to_owned()];
    let mut sum = 0;
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                left.push(entry.path());
            } else if meta.is_file() && seen.insert((meta.dev(), meta.ino())) {
                sum += meta.len();
            }
        }
    }
    sum
}
