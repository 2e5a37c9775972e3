//! Going on where an interrupted copy stopped: its stage is taken over, whole files in it are kept, and of others only what
//! differs from the source is written again. Nothing is believed of a file that a power cut may have undone: it is read.

use super::contents::File;
use super::directories::ignore_refusal;
use super::place::{Draft, Place, Spot, Staged};
use super::{Copy, Copying, Destination, Durability, Links, Names, OnCancel, Options, ReadOnlyDirs, Verify};
use crate::conflict::OnConflict;
use crate::control::lock;
use crate::engine::{self, End, Entry, Node, Visit, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::journal::{self, Identity, Location, Origin, Recorded, has_lasting_inodes};
use crate::progress::{LARGE, add};
use crate::sys::list::{self, Batch};
use crate::sys::open::{self, Follow};
use crate::sys::stat::{Id, Stat, Time};
use crate::sys::{attributes, data, name, process};
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A file of less is copied again as fast as it is compared.
const RESUME_FROM: u64 = 16 << 20;

/// The source of what nothing else may be taken for.
pub(super) const NOBODYS: Id = Id { dev: u64::MAX, ino: u64::MAX };

/// What becomes of that which an interrupted copy left.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// A copy of the same source to the same name goes on with it. Files that were whole are not read again, if neither they
    /// nor the machine's run nor the mount changed since; all others are compared with the source, and what differs is
    /// written. The report's [`resumed`](crate::Report::resumed) counts what was there.
    #[default]
    WhereInterrupted,
    /// It stays where it is, for [`leftovers`](crate::leftovers), and the copy begins at the beginning.
    Never,
}

impl Copy {
    /// What becomes of that which an interrupted copy left; default [`Resume::WhereInterrupted`].
    pub fn resume(mut self, resume: Resume) -> Copy {
        self.options.resume = resume;
        self
    }
}

/// What interrupted operations left, as it was when this one began.
pub(super) struct Interrupted {
    stages: Mutex<Vec<Left>>,
    /// Which source each file was taken for that was found in an adopted stage, or made in one: none is taken twice.
    claimed: Mutex<HashMap<Id, Id>>,
}

struct Left {
    journal: PathBuf,
    stage: Recorded,
}

/// What is known of a stage that was taken over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adopted {
    /// Whether what was written is what is read: no power cut and no pulled medium came between.
    is_same_session: bool,
    /// What changed about sources before this was copied as it was then.
    since: Time,
}

impl Adopted {
    /// Whether a file of the stage is what its source would become: times are the last that a file gets.
    fn is_whole(self, found: &Stat, source: &Stat) -> bool {
        let is_same = found.is_file() && found.size == source.size && found.modified == source.modified;
        self.is_same_session && source.changed < self.since && is_same
    }
}

/// A file at the target that an interrupted copy has begun.
pub(super) enum Found {
    Nothing,
    /// There is nothing left to do.
    Whole,
    /// So many bytes may be there.
    Part(Draft, OwnedFd, u64),
}

impl Interrupted {
    pub(super) fn look(resume: Resume) -> Interrupted {
        let held = match resume {
            // Without journals there is nothing to go on with.
            Resume::WhereInterrupted => journal::interrupted().unwrap_or_default(),
            Resume::Never => Vec::new(),
        };
        let stages = held.into_iter().flat_map(|held| {
            let journal = held.journal.path;
            let stages = held.journal.stages.into_iter().filter(|stage| stage.origin.is_some());
            stages.map(move |stage| Left { journal: journal.clone(), stage })
        });
        Interrupted { stages: Mutex::new(stages.collect()), claimed: Mutex::default() }
    }

    /// The first stage of which this is true; nobody else here gets it.
    fn take(&self, mut is_wanted: impl FnMut(&Recorded) -> bool) -> Option<Left> {
        let mut stages = lock(&self.stages);
        let at = stages.iter().position(|left| is_wanted(&left.stage))?;
        Some(stages.swap_remove(at))
    }

    /// Whether a file at the target may be taken for this source: two names may be one there.
    fn claim(&self, found: Id, source: Id) -> bool {
        *lock(&self.claimed).entry(found).or_insert(source) == source
    }
}

impl Copying {
    /// Where a stage comes from.
    pub(super) fn origin(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &OwnedFd,
        spot: Option<&Spot>,
    ) -> Visit<Origin> {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let stat = entry.stat(&dir).during(Action::Stat, path)?;
        let source = Location {
            dir: worker.job().journal.dir(&*dir, &entry.dir.path(End::Source)),
            name: entry.name.to_owned(),
        };
        let session = Stat::mount_session(target).map(|mount| format!("{}/{mount}", process::boot()));
        Ok(Origin {
            source,
            identity: Identity::from(&stat),
            since: Time::now(),
            session: session.unwrap_or_default(),
            is_replacement: matches!(spot, Some(Spot::Replace(..))),
        })
    }

    /// Takes over the stage of an interrupted copy of the same source to the same name, if there is one.
    pub(super) fn adopt(
        &self,
        worker: &Worker<Self>,
        dir: &Arc<Node<Place>>,
        target: &Arc<OwnedFd>,
        wanted: &CStr,
        origin: &Origin,
    ) -> Option<(Arc<Staged>, Stat, Adopted)> {
        if lock(&self.interrupted.stages).is_empty() {
            return None;
        }
        let place = worker.job().journal.dir(&**target, &dir.path(End::Target));
        let left = self.interrupted.take(|stage| {
            let is_there = stage.dir == *place.path && stage.file_system == *place.file_system;
            is_there && *stage.wanted == *wanted && stage.origin.as_ref().is_some_and(|other| is_same(other, origin))
        })?;
        let found = Stat::at(&**target, &left.stage.name).ok()?;
        if !is_the_stage(&left.stage, origin, &found) || found.uid != self.user {
            return None;
        }
        // Somebody else may have been quicker.
        let mut held = journal::hold(&left.journal).ok().flatten()?;
        let stage = held.journal.stages.iter().find(|stage| **stage == left.stage)?.clone();
        let staged = self.ledger.adopt(target, &dir.path(End::Target), &stage, found.id, origin);
        if let Err(error) = held.gave(&stage) {
            // Both say that it is theirs: recovery looks at the file, which has its name by then or is this one's.
            worker.job().note(crate::report::NoteKind::NotJournalled, Some(&error), PathBuf::new);
        }
        let before = stage.origin?;
        let is_same_session = !before.session.is_empty() && before.session == origin.session;
        Some((staged, found, Adopted { is_same_session, since: before.since }))
    }

    /// Makes a directory of an adopted stage ours to fill, as if it was new: attributes come last.
    pub(super) fn open_up(&self, worker: &Worker<Self>, above: &OwnedFd, name: &CStr, id: Id) -> io::Result<OwnedFd> {
        attributes::set_mode_at(above, name, 0o700).or_else(ignore_refusal)?;
        let file = worker.open(|| open::dir(above, name, Follow::No))?;
        if Stat::of(&file)?.id != id {
            return Err(Refusal::TargetChanged.into());
        }
        self.disinherit(&super::attributes::Target::File(&file));
        Ok(file)
    }

    /// A directory in an adopted one: `true` if it is there, and filled as far as the copy came.
    pub(super) fn adopt_dir(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &OwnedFd,
        name: &CStr,
    ) -> Visit<bool> {
        let path = || entry.dir.path_of(End::Target, name);
        let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let id = entry.stat(&source).during(Action::Stat, path)?.id;
        let found = match Stat::at(target, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.during(Action::Stat, path)?),
        };
        let Some(found) = found.filter(Stat::is_dir) else {
            self.clear_way(entry, target, name, id)?;
            return Ok(false);
        };
        if !self.interrupted.claim(found.id, id) {
            return Err(self.refusal(entry, name, Refusal::Exists));
        }
        self.open_up(worker, target, name, found.id).during(Action::Open, path)?;
        Ok(true)
    }

    /// Something was made in an adopted directory.
    pub(super) fn made_in_adopted(&self, dir: &Arc<Node<Place>>, made: io::Result<Stat>, source: Id) {
        if dir.data.adopted.is_some() {
            if let Ok(stat) = made {
                self.interrupted.claim(stat.id, source);
            }
        }
    }

    /// Takes away what an interrupted copy left in the place of something that is made anew.
    pub(super) fn clear_way(&self, entry: &Entry<'_, Self>, target: &OwnedFd, name: &CStr, source: Id) -> Visit {
        let path = || entry.dir.path_of(End::Target, name);
        if entry.dir.data.adopted.is_none() {
            return Ok(());
        }
        let found = match Stat::at(target, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.during(Action::Stat, path)?,
        };
        let is_anothers = lock(&self.interrupted.claimed).get(&found.id).is_some_and(|&other| other != source);
        if is_anothers || found.is_dir() {
            return Err(self.refusal(entry, name, Refusal::Exists));
        }
        Ok(name::unlink(target, name).during(Action::Remove, path)?)
    }

    /// Records where a large file comes from that is under a name of ours until it is whole.
    pub(super) fn record_origin(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &OwnedFd,
        spot: &Spot,
        (draft, stat): (&Draft, &Stat),
    ) -> Visit {
        if let Some(staged) = draft.staged().filter(|_| stat.size >= RESUME_FROM) {
            let origin = self.origin(worker, entry, target, Some(spot))?;
            self.ledger.comes_from(staged, &origin);
        }
        Ok(())
    }

    /// What an interrupted copy has of a file.
    pub(super) fn find(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        spot: &Spot,
        stat: &Stat,
    ) -> Visit<Found> {
        match spot {
            Spot::Direct(name) => match entry.dir.data.adopted {
                Some(adopted) => self.find_in_stage(worker, entry, target, (name, stat), adopted),
                None => Ok(Found::Nothing),
            },
            Spot::New(name) | Spot::Replace(name, _) if stat.size >= RESUME_FROM => {
                self.find_stage(worker, entry, target, (name, spot))
            }
            _ => Ok(Found::Nothing),
        }
    }

    fn find_stage(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        (name, spot): (&CStr, &Spot),
    ) -> Visit<Found> {
        if lock(&self.interrupted.stages).is_empty() {
            return Ok(Found::Nothing);
        }
        let origin = self.origin(worker, entry, target, Some(spot))?;
        let Some((staged, found, _)) = self.adopt(worker, entry.dir, target, name, &origin) else {
            return Ok(Found::Nothing);
        };
        let opened = open_existing(worker, target, staged.name(), found.id);
        let opened = opened.during(Action::Open, || entry.dir.path_of(End::Target, name))?;
        Ok(Found::Part(Draft::adopted(&self.ledger, staged), opened, found.size))
    }

    fn find_in_stage(
        &self,
        worker: &Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        (name, stat): (&CStr, &Stat),
        adopted: Adopted,
    ) -> Visit<Found> {
        let path = || entry.dir.path_of(End::Target, name);
        let found = match Stat::at(&**target, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            found => found.during(Action::Stat, path)?,
        };
        // Other names of the file would change with it.
        if !found.is_file() || (found.links > 1 && stat.links < 2) {
            self.clear_way(entry, target, name, stat.id)?;
            return Ok(Found::Nothing);
        }
        if !self.interrupted.claim(found.id, stat.id) {
            return Err(self.refusal(entry, name, Refusal::Exists));
        }
        if adopted.is_whole(&found, stat) && !self.is_verifying() {
            if self.is_durable() && !entry.dir.data.route().target.syncs_at_once() {
                let file = open::file(&**target, name, Follow::No).during(Action::Open, path)?;
                data::sync(&file).during(Action::Sync, path)?;
            }
            return Ok(Found::Whole);
        }
        let opened = open_existing(worker, target, name, found.id).during(Action::Open, path)?;
        Ok(Found::Part(Draft::in_stage(target, name), opened, found.size))
    }

    /// A file that was whole.
    pub(super) fn was_whole(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        name: &CStr,
        stat: &Stat,
    ) -> Visit {
        self.count_found(worker, stat, stat.size);
        self.is_on_device(worker.job(), stat.size);
        self.done(worker, entry.dir, name, stat)
    }

    fn count_found(&self, worker: &Worker<Self>, stat: &Stat, bytes: u64) {
        add(&worker.counters.resumed, bytes);
        add(&worker.counters.bytes, bytes);
        if stat.size > LARGE {
            worker.counters.add_large(bytes, Duration::from_nanos(1));
        }
    }

    /// Makes a stretch of a file that was begun what it is at the source. What is the same already is not written.
    pub(super) fn mend(&self, worker: &mut Worker<Self>, file: &File, span: Range<u64>, is_hole: bool) -> Visit {
        let mut buffer = std::mem::take(&mut worker.buffer);
        let mended = self.mend_with(worker, file, span, is_hole, &mut buffer);
        worker.buffer = buffer;
        mended
    }

    fn mend_with(
        &self,
        worker: &Worker<Self>,
        file: &File,
        span: Range<u64>,
        is_hole: bool,
        buffer: &mut [u8],
    ) -> Visit {
        let half = buffer.len() / 2;
        let (ours, theirs) = buffer.split_at_mut(half);
        let (mut at, mut hasher) = (span.start, self.hasher());
        while at < span.end {
            worker.job().checkpoint()?;
            if is_hole {
                // Holes of the copy are read as what they are, and stay.
                let Some(data) = data::next_data(&file.target, at, span.end).during(Action::Read, || file.path())?
                else {
                    break;
                };
                at = data.start;
            }
            let length = half.min((span.end - at).try_into().unwrap_or(usize::MAX));
            let (ours, theirs) = (&mut ours[..length], &mut theirs[..length]);
            if is_hole {
                ours.fill(0)
            } else {
                file.read_source(ours, at)?
            }
            hasher.update(ours);
            let is_same = read_whole(&file.target, theirs, at).during(Action::Read, || file.path())? && ours == theirs;
            if !is_same {
                worker.job().spend(length as u64)?;
                self.write_whole(worker, file, ours, at)?;
            }
            if !is_hole {
                match is_same {
                    true => self.count_found(worker, &file.stat, length as u64),
                    false => self.count(worker, file, length as u64, Duration::ZERO),
                }
            }
            at += length as u64;
        }
        if !is_hole {
            hasher.end(file, span);
        }
        Ok(())
    }

    /// What an adopted directory has and its source has not: it is set aside as something that was left behind, since nobody
    /// knows whose it is.
    pub(super) fn set_aside(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let path = || dir.path(End::Target);
        let target = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
        for name in self.unclaimed(&target).during(Action::List, path)? {
            let mut top = dir;
            while let (None, Some(above)) = (&top.data.stage, top.parent()) {
                top = above;
            }
            let (Some(stage), Some(above)) = (&top.data.stage, top.parent()) else { continue };
            let aside = self.ledger.intend(&stage.dir, &above.path(End::Target), &name);
            let stat = Stat::at(&*target, &name).during(Action::Stat, || path().join(engine::os(&name)))?;
            self.ledger.made(&aside, stat.id);
            aside.is_left();
            name::rename(&*target, &name, &*stage.dir, aside.name())
                .during(Action::Rename, || path().join(engine::os(&name)))?;
        }
        Ok(())
    }

    fn unclaimed(&self, target: &OwnedFd) -> io::Result<Vec<CString>> {
        let device = Stat::of(target)?.id.dev;
        let listed = open::dir(target, c".", Follow::No)?;
        let mut space = vec![MaybeUninit::uninit(); list::LIST_BYTES];
        let (mut batch, mut found) = (Batch::default(), Vec::new());
        loop {
            list::next(&listed, &mut space, &mut batch)?;
            if batch.len() == 0 {
                return Ok(found);
            }
            for index in 0..batch.len() {
                let (name, _) = batch.get(index);
                let Ok(stat) = Stat::at(target, name) else { continue };
                let id = Id { dev: device, ino: stat.id.ino };
                if !lock(&self.interrupted.claimed).contains_key(&id) {
                    found.push(name.to_owned());
                }
            }
        }
    }
}

/// What was asked for, in words that can be asked for again; nothing where that would be longer than what is done.
pub(super) fn words(sources: &[PathBuf], destination: &Destination, options: &Options) -> Vec<Vec<u8>> {
    const MANY: usize = 1000;
    if sources.len() > MANY {
        return Vec::new();
    }
    let path = |path: &Path| {
        // What a last "." means is lost where the standard library makes a path absolute.
        let here = if path.is_absolute() { PathBuf::new() } else { std::env::current_dir().unwrap_or_default() };
        [here.as_os_str().as_bytes(), if here.as_os_str().is_empty() { b"" } else { b"/" }, path.as_os_str().as_bytes()]
            .concat()
    };
    let kind: &[u8] = if matches!(destination, Destination::Into(_)) { b"into" } else { b"as" };
    let mut words = vec![kind.to_vec(), path(destination.path()), options.words().into_bytes()];
    words.extend(sources.iter().map(|source| path(source)));
    words
}

/// The copy that was asked for in these words.
pub(crate) fn asked(words: &[Vec<u8>]) -> Option<Copy> {
    let [kind, destination, options, sources @ ..] = words else { return None };
    let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
    let destination = match kind.as_slice() {
        b"into" => Destination::Into(path(destination)),
        b"as" => Destination::Name(path(destination)),
        _ => return None,
    };
    let copy = Copy::new(sources.iter().map(path).collect(), destination);
    Some(std::str::from_utf8(options).ok()?.split_whitespace().fold(copy, Copy::with_word))
}

impl Options {
    /// What changes the result; what has its default is not said.
    fn words(&self) -> String {
        let mut words = Vec::new();
        let mut say = |is_so: bool, word: &'static str| words.extend(is_so.then_some(word));
        for (rule, word) in RULES {
            say(self.on_conflict == rule, word);
        }
        say(self.links == Links::Follow, "follow");
        say(self.names == Names::Portable, "portable-names");
        say(self.read_only_dirs == ReadOnlyDirs::Keep, "keep-read-only-dirs");
        say(self.on_cancel == OnCancel::KeepFinished, "keep-finished");
        say(self.verify == Verify::Contents, "verify");
        say(self.durability == Some(Durability::Device), "durable");
        words.join(" ")
    }
}

const RULES: [(OnConflict, &str); 5] = [
    (OnConflict::Skip, "skip"),
    (OnConflict::Replace, "replace"),
    (OnConflict::Rename, "rename"),
    (OnConflict::Newer, "newer"),
    (OnConflict::Different, "different"),
];

impl Copy {
    fn with_word(self, word: &str) -> Copy {
        match word {
            "follow" => self.links(Links::Follow),
            "portable-names" => self.names(Names::Portable),
            "keep-read-only-dirs" => self.read_only_dirs(ReadOnlyDirs::Keep),
            "keep-finished" => self.on_cancel(OnCancel::KeepFinished),
            "verify" => self.verify(Verify::Contents),
            "durable" => self.durability(Durability::Device),
            word => match RULES.into_iter().find(|&(_, rule)| rule == word) {
                Some((rule, _)) => self.on_conflict(rule),
                None => self,
            },
        }
    }
}

/// Whether two stages come from the same source. Of a directory each entry is looked at later.
fn is_same(left: &Origin, now: &Origin) -> bool {
    let (was, is) = (&left.identity, &now.identity);
    const DIRECTORY: u32 = 0o040_000;
    let is_dir = is.mode & 0o170_000 == DIRECTORY;
    let has_inode = was.inode == is.inode || !has_lasting_inodes(&now.source.dir.file_system);
    let has_contents = is_dir || (was.size == is.size && was.modified == is.modified);
    let is_kind = was.mode & 0o170_000 == is.mode & 0o170_000;
    left.source == now.source && left.is_replacement == now.is_replacement && is_kind && has_inode && has_contents
}

/// Whether what has a stage's name is the stage. Where inodes do not last a directory is believed by its name, which nobody
/// else has; a file is not: an old one may be there that it took the place of.
fn is_the_stage(stage: &Recorded, origin: &Origin, found: &Stat) -> bool {
    let is_kind = found.mode & 0o170_000 == origin.identity.mode & 0o170_000;
    let is_believed = found.is_dir() && !has_lasting_inodes(&stage.file_system);
    let is_single = found.is_dir() || (found.is_file() && found.links == 1);
    is_kind && is_single && (stage.inode == Some(found.id.ino) || is_believed)
}

/// Its mode may be that of a finished file, which its owner may not write to.
fn open_existing(worker: &Worker<Copying>, dir: &OwnedFd, name: &CStr, id: Id) -> io::Result<OwnedFd> {
    let opened = match worker.open(|| open::existing(dir, name)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            attributes::set_mode_at(dir, name, 0o600)?;
            worker.open(|| open::existing(dir, name))
        }
        opened => opened,
    }?;
    if Stat::of(&opened)?.id == id { Ok(opened) } else { Err(Refusal::TargetChanged.into()) }
}

/// `false` when the file ends before the buffer is full.
fn read_whole(file: &OwnedFd, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data::read_at(file, &mut buffer[filled..], at + filled as u64)? {
            0 => return Ok(false),
            count => filled += count,
        }
    }
    Ok(true)
}

impl File {
    fn path(&self) -> PathBuf {
        self.dir.path_of(End::Target, &self.name)
    }

    fn read_source(&self, buffer: &mut [u8], at: u64) -> Visit {
        let path = || self.dir.path_of(End::Source, &self.name);
        match read_whole(&self.source, buffer, at).during(Action::Read, path)? {
            true => Ok(()),
            false => Err(Error::new(Action::Read, path(), Refusal::Changed).into()),
        }
    }
}
