//! Going on where an interrupted copy stopped: its stage is taken over (`adopted`), and of files that were begun only what
//! differs from the source is written again (`mend`). Nothing is believed of a file that a power cut may have undone: it is
//! read.

use super::adopted::{Adopted, open_existing};
use super::draft::Draft;
use super::place::{Place, Spot, Staged};
use super::{Copy, Copying};
use crate::control::lock;
use crate::engine::{End, Entry, Node, Visit, Worker};
use crate::error::{Action, During};
use crate::journal::{self, Identity, Location, Origin, Recorded, has_lasting_inodes};
use crate::sys::process;
use crate::sys::stat::{Id, Stat, Time};
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

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
    pub(super) fn claim(&self, found: Id, source: Id) -> bool {
        *lock(&self.claimed).entry(found).or_insert(source) == source
    }

    pub(super) fn is_claimed(&self, found: Id) -> bool {
        lock(&self.claimed).contains_key(&found)
    }

    /// Whether a file was taken for another source.
    pub(super) fn is_anothers(&self, found: Id, source: Id) -> bool {
        lock(&self.claimed).get(&found).is_some_and(|&other| other != source)
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
        let place = self.ledger.touches(dir, target);
        let left = self.interrupted.take(|stage| {
            let is_there = stage.dir == *place.path && stage.file_system == *place.file_system;
            is_there && *stage.wanted == *wanted && stage.origin.as_ref().is_some_and(|other| is_same(other, origin))
        })?;
        let found = Stat::at(&**target, &left.stage.name).ok()?;
        if !is_the_stage(&left.stage, origin, &found)
            || (found.uid != self.user && dir.data.route().target.has_owners())
        {
            return None;
        }
        // Somebody else may have been quicker.
        let mut held = journal::hold(&left.journal).ok().flatten()?;
        let stage = held.journal.stages.iter().find(|stage| **stage == left.stage)?.clone();
        let staged = self.ledger.adopt(dir, target, &stage, found.id, origin);
        if let Err(error) = held.gave(&stage) {
            // Both say that it is theirs: recovery looks at the file, which has its name by then or is this one's.
            worker.job().note(crate::report::NoteKind::NotJournalled, Some(&error), PathBuf::new);
        }
        let before = stage.origin?;
        let is_same_session = !before.session.is_empty() && before.session == origin.session;
        Some((staged, found, Adopted { is_same_session, since: before.since }))
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
