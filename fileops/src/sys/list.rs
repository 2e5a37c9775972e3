//! Listing directories, many entries a call.

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// Some entries of a directory: names and kinds in one block of memory, so that a part can be handed to another worker.
#[derive(Default)]
pub(crate) struct Batch {
    names: Vec<u8>,
    entries: Vec<(u32, FileType)>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Name and kind, as the directory told; `FileType::Unknown` where it does not.
    pub(crate) fn get(&self, index: usize) -> (&CStr, FileType) {
        let (start, kind) = self.entries[index];
        let name =
            CStr::from_bytes_until_nul(&self.names[start as usize..]).expect("each name was stored with its NUL");
        (name, kind)
    }

    /// Cuts off everything from `index` on.
    pub(crate) fn split_off(&mut self, index: usize) -> Batch {
        let mut rest = Batch::default();
        for at in index..self.len() {
            let (name, kind) = self.get(at);
            rest.push(name, kind);
        }
        self.entries.truncate(index);
        rest
    }

    fn clear(&mut self) {
        self.names.clear();
        self.entries.clear();
    }

    fn push(&mut self, name: &CStr, kind: FileType) {
        self.entries.push((self.names.len() as u32, kind));
        self.names.extend_from_slice(name.to_bytes_with_nul());
    }
}

/// What one getdents64 call is given to fill: some 1,000 entries.
pub(crate) const LIST_BYTES: usize = 32 << 10;

/// Reads the next entries of an open directory into `batch`, as many as one call gives, without `.` and `..`.
/// An empty batch is the end.
pub(crate) fn next(dir: impl AsFd, space: &mut [MaybeUninit<u8>], batch: &mut Batch) -> io::Result<()> {
    batch.clear();
    let mut raw = RawDir::new(dir, space);
    let mut interruptions = 0;
    loop {
        match raw.next() {
            None => return Ok(()),
            Some(Err(Errno::INTR)) if interruptions < super::INTERRUPTIONS => interruptions += 1,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(entry)) => {
                let name = entry.file_name();
                if name != c"." && name != c".." {
                    batch.push(name, entry.file_type());
                }
                if raw.is_buffer_empty() && batch.len() > 0 {
                    return Ok(());
                }
            }
        }
    }
}

/// The inode numbers that a directory's own list gives two names: what the kernel remembers of a name on a network or FUSE
/// file system may be older than that.
pub(crate) fn inodes(dir: impl AsFd, names: [&CStr; 2]) -> io::Result<[Option<u64>; 2]> {
    let file = super::open::dir(dir, c".", super::open::Follow::No)?;
    let mut space = vec![MaybeUninit::uninit(); LIST_BYTES];
    let mut raw = RawDir::new(&file, &mut space);
    let mut found = [None; 2];
    while let Some(entry) = raw.next() {
        let entry = entry?;
        for (inode, name) in found.iter_mut().zip(names) {
            if entry.file_name() == name {
                *inode = Some(entry.ino());
            }
        }
    }
    Ok(found)
}

/// Whether a name is a directory with nothing in it, as far as that can be seen.
pub(crate) fn is_empty(dir: impl AsFd, name: &CStr) -> bool {
    let mut batch = Batch::default();
    let listed = super::open::dir(dir, name, super::open::Follow::No).and_then(|file| {
        let mut space = vec![MaybeUninit::uninit(); LIST_BYTES];
        next(&file, &mut space, &mut batch)
    });
    listed.is_ok() && batch.len() == 0
}
