//! Metadata that one end's file system has no place for: collected while files are copied, written to one hidden file beside
//! them (`meta::sidecar`), and taken from there when they come back to where there is a place.
//!
//! A directory's lines are collected while its entries are done, and written when all of them are over, or before sources may
//! go. What is written into a directory that others see takes the old file's place as every replacement does: staged, on the
//! device, exchanged, recorded for an undo. Others who write it at the same time wait for a lock of the directory.

use super::Copying;
use super::attributes::Target;
use super::draft::Draft;
use super::place::{Ledger, Place, Staged};
use super::replace::{self, Replacement};
use crate::control::lock;
use crate::engine::{End, Engine, Entry, Node, Stop, Visit, Worker};
use crate::error::{Action, During, Error, Refusal, Result};
use crate::meta::sidecar::{Attributes, Kept, MOST_BYTES, NAME, SELF, Sidecar};
use crate::operation::Job;
use crate::ops::sidecar::{self, Found};
use crate::progress::add;
use crate::report::NoteKind;
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{attributes, name};
use rustix::fs::FileType;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// What becomes of attributes (tags, comments, ratings) that the target's file system has no place for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metadata {
    /// They are lost, and the report has a note. What is kept beside files (`.fileops-metadata`) is a file like others.
    #[default]
    Note,
    /// They are kept beside the files, in one hidden file a directory, `.fileops-metadata`; and what is kept so at the source
    /// goes back to the files themselves where the target has a place for it. A line whose file was changed by others since,
    /// as its size and time tell, is not used.
    ///
    /// The file is text, of mode 0600; `docs/sidecar.md` describes it. One that is damaged or somebody else's is copied as a file like others, and where it is in the way
    /// the report has a note.
    Sidecar,
}

/// What is known of a directory's metadata beside its files.
#[derive(Default)]
pub(super) struct Beside {
    /// At the source; none where the files have it themselves.
    source: OnceLock<Option<Arc<Sidecar>>>,
    /// The lines of it that were used.
    used: Mutex<HashSet<CString>>,
    /// The source's file was met among the entries, and waits for all others.
    is_met: AtomicBool,
    /// Nothing in the source's file is needed any more.
    pub(super) is_used_up: AtomicBool,
    /// What the target's file has to say.
    lines: Mutex<BTreeMap<CString, Kept>>,
    /// Some of it was not written yet.
    is_unwritten: AtomicBool,
    /// Why it cannot be written, which is told once.
    failure: Mutex<Option<Error>>,
}

impl Beside {
    pub(super) fn is_unwritten(&self) -> bool {
        self.is_unwritten.load(Relaxed)
    }

    fn is_used(&self, name: &CStr) {
        lock(&self.used).insert(name.to_owned());
    }

    pub(super) fn waits_for(&self, name: &CStr) -> bool {
        self.is_unwritten() && lock(&self.lines).contains_key(name)
    }
}

/// An entry, by the directory whose file may speak of it, and its names at both ends.
#[derive(Clone, Copy)]
pub(super) struct Spoken<'a> {
    pub(super) dir: &'a Arc<Node<Place>>,
    pub(super) source: &'a CStr,
    pub(super) target: &'a CStr,
}

impl<'a> Spoken<'a> {
    /// The directory itself.
    pub(super) fn itself(dir: &'a Arc<Node<Place>>) -> Spoken<'a> {
        Spoken { dir, source: SELF, target: SELF }
    }
}

/// How a directory's descriptor is had.
type Descriptor<'a> = &'a dyn Fn(&Arc<Node<Place>>) -> io::Result<Arc<OwnedFd>>;

impl Copying {
    pub(super) fn keeps_beside(&self) -> bool {
        self.options.metadata == Metadata::Sidecar
    }

    /// What is kept beside the files of a directory of the source.
    fn beside_source(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Option<Arc<Sidecar>> {
        let read = || {
            let file = worker.descriptor(dir, End::Source).ok()?;
            // Where files have attributes nothing beside them is believed.
            if dir.data.route.get()?.has_attributes() && sidecar::holds_attributes(&file) {
                return None;
            }
            match sidecar::read(&file) {
                Ok(Found::Ours(sidecar, _)) => Some(Arc::new(sidecar)),
                _ => None,
            }
        };
        dir.data.beside.source.get_or_init(read).clone()
    }

    /// What is kept beside an entry of the source, if it is about what is there now.
    pub(super) fn attributes_beside(&self, worker: &Worker<Self>, of: Spoken<'_>, stat: &Stat) -> Attributes {
        if !self.keeps_beside() {
            return Attributes::new();
        }
        let Some(sidecar) = self.beside_source(worker, of.dir) else { return Attributes::new() };
        match sidecar.entries.get(of.source).filter(|kept| kept.is_about(stat)) {
            Some(kept) => {
                of.dir.data.beside.is_used(of.source);
                kept.attributes.clone()
            }
            None => Attributes::new(),
        }
    }

    /// The target has no place for these attributes of an entry that is done but for its name.
    pub(super) fn keep_beside(&self, of: Spoken<'_>, target: &Target<'_>, attributes: Attributes) -> io::Result<()> {
        if let (Target::File(file), false) = (target, attributes.is_empty()) {
            let kept = Kept::of(&Stat::of(file)?, attributes);
            self.add_line(of.dir, of.target, kept);
        }
        Ok(())
    }

    fn add_line(&self, dir: &Arc<Node<Place>>, name: &CStr, kept: Kept) {
        let beside = &dir.data.beside;
        lock(&beside.lines).insert(name.to_owned(), kept);
        if !beside.is_unwritten.swap(true, Relaxed) && !dir.data.is_ours() {
            lock(&self.with_lines).push(Arc::clone(dir));
        }
    }

    /// An entry was renamed, on a file system that has no place for attributes: its line goes along.
    pub(super) fn moved_beside(&self, worker: &Worker<Self>, of: Spoken<'_>, stat: &Stat) {
        let attributes = if stat.is_dir() { Attributes::new() } else { self.attributes_beside(worker, of, stat) };
        if !attributes.is_empty() {
            self.add_line(of.dir, of.target, Kept::of(stat, attributes));
        }
    }

    /// A second name of a file whose first is done has what that has.
    pub(super) fn linked_beside(
        &self,
        worker: &Worker<Self>,
        of: Spoken<'_>,
        first: (&Node<Place>, &CStr),
        stat: &Stat,
    ) {
        if self.keeps_beside() {
            self.attributes_beside(worker, of, stat);
            let kept = lock(&first.0.data.beside.lines).get(first.1).cloned();
            kept.into_iter().for_each(|kept| self.add_line(of.dir, of.target, kept));
        }
    }

    /// Whether an entry is what is kept beside the others: it is done when they are.
    pub(super) fn is_beside(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> bool {
        let is_it = self.keeps_beside() && entry.name == NAME && entry.kind == FileType::RegularFile;
        // One that the caller names is a file like others.
        if !is_it || entry.dir.device().is_none() {
            return false;
        }
        let is_whole = self.beside_source(worker, entry.dir).is_some_and(|sidecar| sidecar.is_whole());
        if is_whole {
            entry.dir.data.beside.is_met.store(true, Relaxed);
            add(&worker.counters.passed, 1);
            let stat = worker.descriptor(entry.dir, End::Source).and_then(|dir| Stat::at(&*dir, entry.name));
            stat.iter().for_each(|stat| add(&worker.counters.passed_bytes, stat.size));
        }
        is_whole
    }

    /// All entries of a directory are over, or only rest: what is kept beside them at the source is used up, or goes along.
    pub(super) fn settle_beside(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, rests: bool) -> Visit {
        if !self.keeps_beside() || dir.data.route.get().is_none() {
            return Ok(());
        }
        if !rests && dir.data.beside.is_met.swap(false, Relaxed) {
            self.pass_on(worker, dir)?;
        }
        if !dir.data.is_ours() && dir.data.beside.is_unwritten() {
            self.write_beside(worker.job(), dir, &|dir| worker.descriptor(dir, End::Target))?;
        }
        Ok(())
    }

    fn pass_on(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let Some(sidecar) = self.beside_source(worker, dir) else { return Ok(()) };
        let unused: Vec<_> = {
            let used = lock(&dir.data.beside.used);
            // Its own a new directory gets at last, and one that was there has its own.
            let is_used = |name: &CStr| used.contains(name) || name == SELF;
            sidecar.entries.iter().filter(|(name, _)| !is_used(name)).collect()
        };
        let path = || dir.path_of(End::Source, NAME);
        let target = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        if !unused.is_empty() && sidecar::holds_attributes(&target) {
            // Nobody knows what the rest is about: it goes along as it is.
            let entry = Entry { dir, name: NAME, kind: FileType::RegularFile, follow: Follow::No };
            let is_moved = self.renames_into(dir) && self.move_entry(worker, &entry)?;
            let copied = if is_moved { Ok(()) } else { self.copy_file(worker, &entry) };
            self.touch(dir);
            return match copied {
                Err(Stop::Asked(_)) => Err(Error::new(self.action(), path(), Refusal::Exists).into()),
                copied => copied,
            };
        }
        for (name, kept) in unused {
            if !lock(&dir.data.beside.lines).contains_key(name) {
                self.add_line(dir, name, kept.clone());
            }
        }
        dir.data.beside.is_used_up.store(true, Relaxed);
        if let Some(moving) = self.moving.as_ref().filter(|_| dir.data.is_ours()) {
            let source = worker.descriptor(dir, End::Source).during(Action::Open, path)?;
            let stat = Stat::at(&*source, NAME).during(Action::Stat, path)?;
            moving.departures.copied(dir, NAME, &stat);
        }
        Ok(())
    }

    /// What is kept beside the files of a merged directory goes with it, when all else has gone.
    pub(super) fn remove_used_up(&self, job: &Job, dir: &Node<Place>, file: &OwnedFd) -> io::Result<()> {
        if !dir.data.beside.is_used_up.load(Relaxed) {
            return Ok(());
        }
        match Stat::at(file, NAME) {
            Ok(stat) => self.remove(job, dir, (file, NAME), &stat),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes what was collected of a directory to the file beside its entries. `false` if there was nothing to write.
    pub(super) fn write_beside(&self, job: &Job, dir: &Arc<Node<Place>>, descriptor: Descriptor<'_>) -> Result<bool> {
        let beside = &dir.data.beside;
        if lock(&beside.failure).is_some() || !beside.is_unwritten.swap(false, Relaxed) {
            return Ok(false);
        }
        match self.merge_beside(job, dir, descriptor) {
            Ok(()) => Ok(true),
            Err(error) => {
                beside.is_unwritten.store(true, Relaxed);
                *lock(&beside.failure) = Some(error.again());
                Err(error)
            }
        }
    }

    fn merge_beside(&self, job: &Job, dir: &Arc<Node<Place>>, descriptor: Descriptor<'_>) -> Result<()> {
        let path = || dir.path_of(End::Target, NAME);
        let target = descriptor(dir).during(Action::Open, path)?;
        let put = |text: &[u8], old| self.put_beside(dir, &target, text, old);
        if !merge(job, &target, &path, !dir.data.is_fresh(), &lock(&dir.data.beside.lines).clone(), put)? {
            job.note(NoteKind::AttributesNotKept, None, path);
        }
        Ok(())
    }

    fn put_beside(&self, dir: &Arc<Node<Place>>, target: &Arc<OwnedFd>, text: &[u8], old: Option<Stat>) -> Result<()> {
        let path = || dir.path_of(End::Target, NAME);
        if dir.data.is_fresh() {
            // Nobody sees it yet.
            if old.is_some() {
                name::unlink(&**target, NAME).during(Action::Remove, path)?;
            }
            let file = open::create(&**target, NAME, MODE).during(Action::Create, path)?;
            sidecar::fill(&file, text).during(Action::Write, path)?;
            open::close(file).during(Action::Write, path)?;
        } else {
            // In a tree of ours that has its name it is no step of its own.
            let staged = match dir.data.is_ours() {
                true => self.ledger.intend(dir, target, NAME),
                false => self.ledger.intend_in(target, &dir.path(End::Target), NAME),
            };
            place(&self.ledger, staged, text, old, !dir.data.is_ours())?;
        }
        if self.moving.is_some() || self.is_durable() {
            super::settling::sync_dir(&**target).during(Action::Sync, path)?;
        }
        Ok(())
    }

    /// A directory of ours is done but for its times, which what is written now changes.
    pub(super) fn finish_beside(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>, stat: &Stat) -> Visit {
        if !self.write_beside(worker.job(), dir, &|dir| worker.descriptor(dir, End::Target))? {
            return Ok(());
        }
        let path = || dir.path(End::Target);
        let target = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
        // Where there are none it was noted.
        let _ = attributes::set_times(&*target, stat.accessed, stat.modified);
        Ok(())
    }

    /// Before sources go what is kept of them beside is on the device. Gives the directories where that failed, and why.
    pub(super) fn write_before<'a>(
        &self,
        worker: &Worker<Self>,
        dirs: impl Iterator<Item = &'a Arc<Node<Place>>>,
    ) -> Vec<(Arc<Node<Place>>, Error)> {
        let mut failed = Vec::new();
        for dir in dirs.filter(|dir| self.keeps_beside() && !dir.data.is_ours() && dir.data.beside.is_unwritten()) {
            let is_known = failed.iter().any(|(known, _)| Arc::ptr_eq(known, dir));
            if !is_known {
                // What arrives fails with it, and is told of there.
                let _ = self.write_beside(worker.job(), dir, &|dir| worker.descriptor(dir, End::Target));
                let failure = lock(&dir.data.beside.failure).as_ref().map(Error::again);
                failed.extend(failure.map(|error| (Arc::clone(dir), error)));
            }
        }
        failed
    }

    /// After a walk that did not come to its end: files that have their names keep what belongs to them.
    pub(super) fn write_rest(&self, engine: &Engine<Copying>, job: &Job) {
        for dir in std::mem::take(&mut *lock(&self.with_lines)) {
            let written = self.write_beside(job, &dir, &|dir| engine.descriptor(dir, End::Target));
            written.err().into_iter().for_each(|error| job.fail(error));
        }
    }
}

/// Nobody else is to learn of files that he may not read.
const MODE: u32 = 0o600;

/// Merges lines into what is beside the files of a directory; `put` writes the new text in the place of an old file. `false`
/// where something is in the way that is not ours, and stays.
fn merge(
    job: &Job,
    dir: &OwnedFd,
    path: &dyn Fn() -> PathBuf,
    is_seen: bool,
    lines: &BTreeMap<CString, Kept>,
    put: impl Fn(&[u8], Option<Stat>) -> Result<()>,
) -> Result<bool> {
    let _held = if is_seen { sidecar::hold(dir, job).during(Action::Open, path)? } else { None };
    let mut attempts = sidecar::ATTEMPTS;
    loop {
        let (mut sidecar, old) = match sidecar::read(dir).during(Action::Read, path)? {
            Found::Nothing => (Sidecar::default(), None),
            Found::Ours(sidecar, stat) => (sidecar, Some(stat)),
            Found::Foreign => return Ok(false),
        };
        let before = sidecar.entries.clone();
        sidecar.entries.extend(lines.clone());
        if sidecar.entries == before {
            return Ok(true);
        }
        let text = sidecar.print();
        if text.len() > MOST_BYTES {
            return Err(Error::new(Action::Write, path(), Refusal::TooLarge));
        }
        match put(&text, old) {
            // Somebody who knows no lock was faster.
            Err(error) if attempts > 0 && sidecar::was_changed(&error) => attempts -= 1,
            put => return put.map(|()| true),
        }
    }
}

/// Fills a stage, and gives it the place of an old file, or a free name.
fn place(ledger: &Arc<Ledger>, staged: Arc<Staged>, text: &[u8], old: Option<Stat>, is_step: bool) -> Result<()> {
    let path = || staged.shown();
    let mode = old.map_or(MODE, |old| old.permissions() & 0o666 | MODE);
    let mut draft = Draft::adopted(ledger, Arc::clone(&staged));
    let file = open::create(&*staged.dir, staged.name(), mode).during(Action::Create, path)?;
    let stat = Stat::of(&file).during(Action::Stat, path)?;
    ledger.made(&staged, stat.id);
    sidecar::fill(&file, text).during(Action::Write, path)?;
    open::close(file).during(Action::Write, path)?;
    match old {
        Some(old) => {
            let (source, name) = (path(), staged.wanted.clone());
            let source_name = name.clone();
            let mut new = Replacement { draft, name, old, source, source_name, stat, is_durable: true };
            replace::replace(&mut new, true).during(Action::Rename, path)?;
        }
        None => {
            draft.publish(&staged.wanted, None).during(Action::Rename, path)?;
            if is_step {
                ledger.is_created(&staged);
            }
        }
    }
    Ok(())
}

/// Adds lines to what is beside the files of a directory of no walk. Where something else is in the way there is a note.
pub(in crate::ops) fn add_lines(
    job: &Arc<Job>,
    dir: &OwnedFd,
    shown: &Path,
    lines: &BTreeMap<CString, Kept>,
) -> Result<()> {
    let path = || shown.join(crate::engine::os(NAME));
    let dir = Arc::new(open::dir(dir, c".", Follow::No).during(Action::Open, path)?);
    let ledger = Arc::new(Ledger::new(job));
    let put = |text: &[u8], old| place(&ledger, ledger.intend_in(&dir, shown, NAME), text, old, true);
    if !merge(job, &dir, &path, true, lines, put)? {
        job.note(NoteKind::AttributesNotKept, None, path);
    }
    Ok(())
}
