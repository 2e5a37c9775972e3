//! What a power cut may leave: all changes that a file system was asked for are recorded, with the requests that make them
//! durable, and states are made up in which what nobody waited for is there, or not, or in part.
//!
//! As POSIX has it: what is in a file is durable after a sync of the file, a name after a sync of the directory that it is
//! in, and all else may be lost or come in another order. A change of names is made as a whole, as every file system with a
//! journal does it, and what has several changes of one name keeps their order.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::temp::Temp;
use crate::{FaultFs, Op};

/// States that are looked at for each moment.
const STATES: usize = 6;

/// A file, for as long as it is recorded; the root is 0.
type File = u64;

#[derive(Clone)]
enum Kind {
    Dir,
    Regular,
    Symlink(PathBuf),
    Other,
}

/// A name in a directory, what had it before, and what has it since.
#[derive(Clone, Debug)]
struct Change {
    slot: (File, OsString),
    before: Option<File>,
    after: Option<File>,
}

enum Event {
    Names(Vec<Change>),
    /// A file, and all that is in it since.
    Data(File, Vec<u8>),
    Sync(File),
}

/// What was there, and what changed since.
pub struct Recording {
    root: PathBuf,
    /// By inode. Numbers are used again.
    files: HashMap<u64, File>,
    kinds: Vec<Kind>,
    names: BTreeMap<(File, OsString), File>,
    data: HashMap<File, Vec<u8>>,
    /// As it is now.
    current: BTreeMap<(File, OsString), File>,
    events: Vec<Event>,
}

impl Recording {
    /// Begins with what is in a directory, all of it durable.
    pub(crate) fn new(root: &Path) -> Recording {
        let (files, kinds, names, data, current, events) = Default::default();
        let mut recording = Recording { root: root.to_owned(), files, kinds, names, data, current, events };
        recording.add(root);
        recording.read(root, 0);
        recording.names = recording.current.clone();
        recording
    }

    fn read(&mut self, dir: &Path, file: File) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            let known = self.files.get(&meta.ino()).copied();
            let one = known.unwrap_or_else(|| self.add(&path));
            self.current.insert((file, entry.file_name()), one);
            if meta.is_dir() {
                self.read(&path, one);
            } else if meta.is_file() {
                self.data.insert(one, fs::read(&path).unwrap_or_default());
            }
        }
    }

    /// A file that is new.
    fn add(&mut self, path: &Path) -> File {
        let meta = fs::symlink_metadata(path);
        let kind = match &meta {
            Ok(meta) if meta.is_dir() => Kind::Dir,
            Ok(meta) if meta.is_file() => Kind::Regular,
            Ok(meta) if meta.is_symlink() => Kind::Symlink(fs::read_link(path).unwrap_or_default()),
            _ => Kind::Other,
        };
        let file = self.kinds.len() as File;
        self.kinds.push(kind);
        self.files.extend(meta.map(|meta| (meta.ino(), file)));
        file
    }

    /// A request was made; these are the paths that it was about, below the root.
    pub(crate) fn made(&mut self, op: Op, paths: &[PathBuf]) {
        match op {
            Op::Mkdir | Op::Create | Op::Symlink | Op::Mknod => {
                let path = self.root.join(&paths[0]);
                // One that was there already was only opened.
                let inode = fs::symlink_metadata(&path).map_or(0, |meta| meta.ino());
                let is_known = self.slot(&paths[0]).is_some_and(|slot| {
                    self.current.get(&slot).is_some_and(|file| self.files.get(&inode) == Some(file))
                });
                if !is_known {
                    self.add(&path);
                }
                self.names(&paths[..1]);
            }
            Op::Link | Op::Unlink | Op::Rmdir => self.names(&paths[..1]),
            Op::Rename => self.names(paths),
            _ => {}
        }
    }

    /// A request that changed what is in a file, or made it durable.
    pub(crate) fn made_to(&mut self, op: Op, inode: u64, contents: impl FnOnce() -> Vec<u8>) {
        let Some(&file) = self.files.get(&inode) else { return };
        match op {
            Op::Write | Op::Truncate | Op::Fallocate => self.events.push(Event::Data(file, contents())),
            Op::Fsync | Op::Fsyncdir => self.events.push(Event::Sync(file)),
            _ => {}
        }
    }

    fn slot(&self, path: &Path) -> Option<(File, OsString)> {
        let above = fs::symlink_metadata(self.root.join(path.parent()?)).ok()?;
        Some((*self.files.get(&above.ino())?, path.file_name()?.to_owned()))
    }

    fn names(&mut self, paths: &[PathBuf]) {
        let mut changes = Vec::new();
        for path in paths {
            let Some(slot) = self.slot(path) else { continue };
            let found = fs::symlink_metadata(self.root.join(path)).ok();
            let after = found.and_then(|meta| self.files.get(&meta.ino()).copied());
            let before = self.current.get(&slot).copied();
            match after {
                Some(file) => drop(self.current.insert(slot.clone(), file)),
                None => drop(self.current.remove(&slot)),
            }
            changes.push(Change { slot, before, after });
        }
        self.events.push(Event::Names(changes));
    }

    /// How many moments there are at which the power can fail.
    pub fn moments(&self) -> usize {
        self.events.len() + 1
    }

    /// Makes, in an empty directory, what may be there when the power failed after so many changes.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn crash(&self, moment: usize, chance: &mut Chance, into: &Path) {
        let events = &self.events[..moment];
        let must = must(events);
        let mut names = self.names.clone();
        for (event, must) in events.iter().zip(must) {
            let Event::Names(changes) = event else { continue };
            let can = changes.iter().all(|change| names.get(&change.slot).copied() == change.before);
            assert!(can || !must, "what is durable builds on what is");
            if can && (must || chance.of(2) == 0) {
                for Change { slot, after, .. } in changes {
                    match after {
                        Some(file) => drop(names.insert(slot.clone(), *file)),
                        None => drop(names.remove(slot)),
                    }
                }
            }
        }
        let mut made = HashMap::new();
        self.make(0, into, &names, &mut made, &mut |file| self.contents(file, events, chance));
    }

    /// What may be in a file: what was made durable, or what came later, or a part of that.
    fn contents(&self, file: File, events: &[Event], chance: &mut Chance) -> Vec<u8> {
        let mut all = vec![self.data.get(&file).cloned().unwrap_or_default()];
        for event in events {
            match event {
                Event::Data(of, data) if *of == file => all.push(data.clone()),
                Event::Sync(of) if *of == file => drop(all.drain(..all.len() - 1)),
                _ => {}
            }
        }
        let mut data = all[chance.of(all.len())].clone();
        if all.len() > 1 && chance.of(3) == 0 {
            // The length came to the disk, and not all of what is in it.
            let from = chance.of(data.len() + 1);
            data[from..].fill(0);
        }
        data
    }

    fn make(
        &self,
        dir: File,
        path: &Path,
        names: &BTreeMap<(File, OsString), File>,
        made: &mut HashMap<File, PathBuf>,
        contents: &mut impl FnMut(File) -> Vec<u8>,
    ) {
        for ((_, name), &file) in names.range((dir, OsString::new())..(dir + 1, OsString::new())) {
            let path = path.join(name);
            if let Some(first) = made.get(&file) {
                match self.kinds[file as usize] {
                    Kind::Dir => {}
                    _ => fs::hard_link(first, &path).expect("linked"),
                }
                continue;
            }
            match &self.kinds[file as usize] {
                Kind::Dir => {
                    fs::create_dir(&path).expect("made");
                    made.insert(file, path.clone());
                    self.make(file, &path, names, made, contents);
                    continue;
                }
                Kind::Regular => fs::write(&path, contents(file)).expect("written"),
                Kind::Symlink(text) => symlink(text, &path).expect("made"),
                Kind::Other => fs::write(&path, "").expect("written"),
            }
            made.insert(file, path);
        }
    }
}

/// Which changes of names are durable: a directory that they were made in was synced since, or something that is durable
/// builds on them.
fn must(events: &[Event]) -> Vec<bool> {
    let mut must = vec![false; events.len()];
    let mut synced: Vec<File> = Vec::new();
    let mut slots: Vec<&(File, OsString)> = Vec::new();
    for (n, event) in events.iter().enumerate().rev() {
        match event {
            Event::Sync(file) => synced.push(*file),
            Event::Names(changes) => {
                let is_durable = |change: &Change| synced.contains(&change.slot.0) || slots.contains(&&change.slot);
                must[n] = changes.iter().any(is_durable);
                if must[n] {
                    slots.extend(changes.iter().map(|change| &change.slot));
                }
            }
            Event::Data(..) => {}
        }
    }
    must
}

/// Chance that is always the same, unless `FILEOPS_TEST_SEED` is a number.
pub struct Chance(u64);

impl Default for Chance {
    fn default() -> Chance {
        let seed = std::env::var("FILEOPS_TEST_SEED").ok().and_then(|text| text.parse::<u64>().ok());
        Chance(seed.unwrap_or(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
}

impl Chance {
    /// A number below this.
    fn of(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }
}

/// Records what something does, and calls for states that may be left of it at each moment, with the directory that holds
/// what was in the file system.
///
/// # Panics
///
/// If a state cannot be made.
pub fn each(fs: &FaultFs, work: impl FnOnce(), check: impl Fn(&Path, &str)) {
    fs.record();
    work();
    let recording = fs.recorded();
    let (scratch, mut chance) = (Temp::new("crash").expect("a directory"), Chance::default());
    for moment in 0..recording.moments() {
        for state in 0..STATES {
            let dir = scratch.path().join("crash");
            fs::create_dir(&dir).expect("made");
            recording.crash(moment, &mut chance, &dir);
            check(&dir, &format!("after {moment} of {} changes, state {state}", recording.moments() - 1));
            fs::remove_dir_all(&dir).expect("removed");
        }
    }
    println!("seen: {} crashes", recording.moments() * STATES);
}
