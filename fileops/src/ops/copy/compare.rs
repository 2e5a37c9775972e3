//! Whether a source and what is at its target are the same, byte for byte.

use super::Copying;
use crate::engine::{End, Entry, Visit, Worker};
use crate::error::{Action, During};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{data, name};
use rustix::fs::FileType;
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

/// Read from each side at a time.
const CHUNK: usize = 128 << 10;

pub(super) fn differ(
    worker: &Worker<Copying>,
    entry: &Entry<'_, Copying>,
    stat: &Stat,
    target: &OwnedFd,
    wanted: &CStr,
    old: &Stat,
) -> Visit<bool> {
    if stat.kind() != old.kind() {
        return Ok(true);
    }
    let path = || entry.dir.path_of(End::Source, entry.name);
    let target_path = || entry.dir.path_of(End::Target, wanted);
    let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
    match stat.kind() {
        FileType::RegularFile if stat.size != old.size => Ok(true),
        FileType::RegularFile => {
            let first = open::file(&*source, entry.name, entry.follow).during(Action::Open, path)?;
            let second = open::file(target, wanted, Follow::No).during(Action::Open, target_path)?;
            let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
            loop {
                worker.job().checkpoint()?;
                let count = fill(&first, &mut a).during(Action::Read, path)?;
                let other = fill(&second, &mut b).during(Action::Read, target_path)?;
                if a[..count] != b[..other] {
                    return Ok(true);
                }
                if count == 0 {
                    return Ok(false);
                }
            }
        }
        FileType::Symlink => {
            let first = name::readlink(&*source, entry.name).during(Action::Symlink, path)?;
            let second = name::readlink(target, wanted).during(Action::Symlink, target_path)?;
            Ok(first != second)
        }
        _ => Ok(stat.rdev != old.rdev),
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data::read(file, &mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
