//! The files which the kernel knows, each held by a descriptor, and those which it has open.
//!
//! A descriptor (rather than a path) keeps to the file when directories are renamed or swapped in
//! the backing directory, and knows no longest path.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::rules::lock;

/// The number of the root, in the protocol.
pub(super) const ROOT: u64 = 1;

/// A file which the kernel knows.
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) fd: OwnedFd,
    /// The last directory and name that it was found by.
    place: Mutex<(u64, OsString)>,
    lookups: AtomicU64,
    pub(super) open: AtomicUsize,
    pub(super) gone: AtomicBool,
}

impl Node {
    /// A path for calls which take no descriptor of this kind.
    pub(super) fn proc(&self) -> String {
        proc(&self.fd)
    }

    pub(super) fn place(&self) -> (u64, OsString) {
        lock(&self.place).clone()
    }

    pub(super) fn reopen(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat(rustix::fs::CWD, self.proc(), flags | OFlags::CLOEXEC, Mode::empty())
    }
}

pub(super) fn proc(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// All files which the kernel knows.
pub(super) struct Nodes {
    map: RwLock<HashMap<u64, Arc<Node>>>,
    /// Device numbers; a file's number has the place of its device here in its top byte.
    devices: Mutex<Vec<u64>>,
    root: u64,
}

impl Nodes {
    pub(super) fn new(root: OwnedFd) -> Result<Self, Errno> {
        let stat = fstat(&root)?;
        let nodes = Self { map: RwLock::default(), devices: Mutex::new(vec![stat.st_dev]), root: stat.st_ino };
        nodes.adopt(ROOT, OsStr::new(""), root, &stat);
        Ok(nodes)
    }

    /// The number by which the kernel shall know a file: the backing file's own, where it can be.
    pub(super) fn id(&self, device: u64, inode: u64) -> u64 {
        let mut devices = lock(&self.devices);
        let at = devices.iter().position(|known| *known == device);
        let at = at.unwrap_or_else(|| {
            devices.push(device);
            devices.len() - 1
        });
        match (at, inode) {
            (0, _) if inode == self.root => ROOT,
            (0, ROOT) => u64::MAX,
            _ => inode ^ (at as u64) << 56,
        }
    }

    pub(super) fn home(&self) -> u64 {
        lock(&self.devices)[0]
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<Node>, Errno> {
        let node = self.known(id).ok_or(Errno::STALE)?;
        let gone = node.gone.load(Relaxed) && node.open.load(Relaxed) == 0;
        if gone { Err(Errno::NOENT) } else { Ok(node) }
    }

    pub(super) fn known(&self, id: u64) -> Option<Arc<Node>> {
        self.map.read().ok()?.get(&id).cloned()
    }

    /// Finds a name in a directory, for the kernel to know.
    pub(super) fn lookup(&self, dir: &Node, name: &OsStr) -> Result<(Arc<Node>, Stat), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&dir.fd, name, flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        Ok((self.adopt(dir.id, name, fd, &stat), stat))
    }

    fn adopt(&self, dir: u64, name: &OsStr, fd: OwnedFd, stat: &Stat) -> Arc<Node> {
        let id = self.id(stat.st_dev, stat.st_ino);
        let mut map = self.map.write().expect("no panic holds this lock");
        let node = map.entry(id).or_insert_with(|| {
            let place = Mutex::default();
            let (lookups, open) = (AtomicU64::new(0), AtomicUsize::new(0));
            Arc::new(Node { id, fd, place, lookups, open, gone: AtomicBool::new(false) })
        });
        node.lookups.fetch_add(1, Relaxed);
        *lock(&node.place) = (dir, name.to_owned());
        node.clone()
    }

    pub(super) fn forget(&self, id: u64, lookups: u64) {
        let mut map = self.map.write().expect("no panic holds this lock");
        let done = |node: &Arc<Node>| node.lookups.fetch_sub(lookups, Relaxed) <= lookups;
        if id != ROOT && map.get(&id).is_some_and(done) {
            map.remove(&id);
        }
    }

    /// Notes where a file now is, if the kernel knows it.
    pub(super) fn moved(&self, dir: &Node, name: &OsStr) {
        if let Ok(stat) = statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            if let Some(node) = self.known(self.id(stat.st_dev, stat.st_ino)) {
                *lock(&node.place) = (dir.id, name.to_owned());
            }
        }
    }

    /// The path of a file below the root.
    pub(super) fn path(&self, mut id: u64) -> PathBuf {
        let mut names = Vec::new();
        while id != ROOT && names.len() < 10_000 {
            let Some(node) = self.known(id) else { break };
            let (dir, name) = node.place();
            names.push(name);
            id = dir;
        }
        names.into_iter().rev().collect()
    }

    /// The name as it is on disk, where case does not count.
    pub(super) fn real_name(&self, dir: &Node, name: &OsStr) -> Result<OsString, Errno> {
        let lower = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        let wanted = lower(name.as_encoded_bytes());
        let same = list(&openat(&dir.fd, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?
            .into_iter()
            .map(|entry| entry.name)
            .find(|entry| lower(entry.as_encoded_bytes()) == wanted);
        Ok(same.unwrap_or_else(|| name.to_owned()))
    }
}

/// An entry of a directory.
pub(super) struct Entry {
    pub(super) inode: u64,
    pub(super) kind: FileType,
    pub(super) name: OsString,
}

/// All entries of an open directory.
pub(super) fn list(dir: &OwnedFd) -> Result<Vec<Entry>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = std::os::unix::ffi::OsStrExt::from_bytes(entry.file_name().to_bytes());
        let name = OsStr::to_owned(name);
        entries.push(Entry { inode: entry.ino(), kind: entry.file_type(), name });
    }
    Ok(entries)
}

/// A file or directory which a client has open.
pub(super) struct Handle {
    pub(super) fd: OwnedFd,
    pub(super) node: Arc<Node>,
    pub(super) entries: Mutex<Vec<Entry>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.node.open.fetch_sub(1, Relaxed);
    }
}

/// All that is open.
#[derive(Default)]
pub(super) struct Handles {
    map: RwLock<HashMap<u64, Arc<Handle>>>,
    next: AtomicU64,
}

impl Handles {
    pub(super) fn add(&self, fd: OwnedFd, node: Arc<Node>) -> u64 {
        node.open.fetch_add(1, Relaxed);
        let id = self.next.fetch_add(1, Relaxed) + 1;
        let handle = Arc::new(Handle { fd, node, entries: Mutex::default() });
        self.map.write().expect("no panic holds this lock").insert(id, handle);
        id
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<Handle>, Errno> {
        let map = self.map.read().expect("no panic holds this lock");
        map.get(&id).cloned().ok_or(Errno::BADF)
    }

    pub(super) fn remove(&self, id: u64) {
        self.map.write().expect("no panic holds this lock").remove(&id);
    }
}
