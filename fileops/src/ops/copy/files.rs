//! Files, symbolic links and special files: made, filled, given their attributes, and then their names.

use super::Copying;
use super::arrivals::{self, Arrival};
use super::attributes::{Made, Target};
use super::beside::Spoken;
use super::contents::{File, Shared};
use super::directories::RENAMES;
use super::draft::Draft;
use super::links::{Claim, First};
use super::names;
use super::place::{Place, Spot};
use super::replace::{self, Replacement};
use super::resume::Found;
use super::route::Route;
use super::settling::Settled;
use super::spot::made_of;
use super::verify::Stretch;
use crate::conflict::OnConflict;
use crate::control::lock;
use crate::engine::{End, Entry, Node, Stop, Visit, Visitor, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::progress::{LARGE, add};
use crate::sys::open::Access;
use crate::sys::stat::Stat;
use crate::sys::{data, name, open};
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// From this size on a file takes so long by itself that looking at what else there is costs little beside it.
const LONG_FROM: u64 = 1 << 30;

/// From this size on a file is asked whether it has holes although its blocks are enough for all of it.
const HOLES_FROM: u64 = crate::engine::BUFFER as u64;

/// New files that wait for their old ones' places, in one directory, before they are made durable together.
const REPLACE_AT: usize = 256;

impl Copying {
    pub(super) fn copy_entry(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        if self.is_beside(worker, entry) || self.renames_into(entry.dir) && self.move_entry(worker, entry)? {
            return Ok(());
        }
        match entry.kind {
            FileType::RegularFile => self.copy_file(worker, entry),
            _ => self.copy_other(worker, entry),
        }
    }

    pub(super) fn copy_file(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let source = self.open_source(worker, entry, &from).during(Action::Open, path)?;
        let mut stat = Stat::of(&source).during(Action::Stat, path)?;
        if !stat.is_file() {
            return Err(Error::new(Action::Open, path(), Refusal::Changed).into());
        }
        let route = Arc::clone(entry.dir.data.route());
        if route.target.largest_file().is_some_and(|largest| stat.size > largest) {
            return Err(Error::new(Action::Create, path(), Refusal::TooLarge).into());
        }
        let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
        self.count_names(&mut stat);
        if stat.links > 1 {
            match self.claim(entry, &stat) {
                Claim::First => {}
                Claim::Later => return Ok(()),
                Claim::Link(first) => {
                    if let Some(done) = self.link(worker, entry, &spot, &first, &stat) {
                        return done;
                    }
                    stat.links = 1;
                }
            }
        }
        let copied = self.copy_regular(worker, entry, source, stat, route, spot);
        if copied.is_err() && stat.links > 1 {
            self.first_failed(worker, &stat);
        }
        copied
    }

    pub(super) fn copy_regular(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        source: OwnedFd,
        stat: Stat,
        route: Arc<Route>,
        spot: Spot,
    ) -> Visit {
        let dir = entry.dir;
        let target_dir = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        let found = self.find(worker, entry, &target_dir, &spot, &stat)?;
        if let Found::Whole = found {
            return self.was_whole(worker, entry, spot.name(), &stat);
        }
        let is_own = dir.data.born.get().is_some_and(|&born| born == (stat.uid, stat.gid));
        // What will belong to somebody else is nobody's to read before it does.
        let mode = stat.permissions() & if is_own { 0o777 } else { 0o700 };
        let (draft, target, begun) = if let Found::Part(draft, target, begun) = found {
            (draft, target, Some(begun))
        } else {
            let access = if self.is_verifying() { Access::ReadWrite } else { Access::Write };
            let make = || {
                let target = Arc::clone(&target_dir);
                match self.moving {
                    None => Draft::file(&self.ledger, dir, target, &spot, (mode, access), stat.size),
                    // It has to wait for others, without a descriptor.
                    Some(_) => {
                        let create = |dir: &OwnedFd, name: &CStr| open::create_for(dir, name, mode, access);
                        Draft::named(&self.ledger, dir, target, &spot, create, Action::Create)
                    }
                }
            };
            let (draft, target) = match make() {
                Err(error) if matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE)) => worker
                    .open(|| make().map_err(|error| error.source))
                    .during(Action::Create, || dir.path_of(End::Target, spot.name()))?,
                made => made?,
            };
            self.record_origin(worker, entry, &target_dir, &spot, (&draft, &stat))?;
            self.made_in_adopted(dir, Stat::of(&target), stat.id);
            (draft, target, None)
        };
        let made = match begun {
            Some(_) => made_of(&target),
            None => self.made(dir, &target, mode),
        };
        let made = made.during(Action::Stat, || dir.path_of(End::Target, spot.name()))?;
        let mut file = File::new((dir, entry.name, entry.listed_kind()), (source, target), stat, route);
        file.begun = begun.unwrap_or(0);
        file.cut(stat.size)?;
        if self.clone(worker, &mut file)? {
            return self.finish_file(worker, file, spot, draft, made);
        }
        // A server would be asked for every file.
        let is_local = !file.route.source.may_fail_at_close();
        if is_local && !stat.has_holes() && stat.size >= HOLES_FROM {
            // Blocks beyond the end, or of attributes, can make up for holes in the count.
            let path = || dir.path_of(End::Source, entry.name);
            if data::next_hole(&file.source, 0).during(Action::Read, path)? < stat.size {
                file.stat.allocated = stat.size - 1;
            }
        }
        let stat = file.stat;
        if stat.size >= LONG_FROM {
            worker.job().begin_large();
        }
        if self.is_shared(worker, &file) {
            if stat.has_holes() {
                let path = || dir.path_of(End::Target, spot.name());
                data::set_length(&file.target, stat.size).during(Action::Write, path)?;
            }
            let shared = Arc::new(Shared::new(file, spot, draft, made));
            dir.begin();
            worker.share(&shared, shared.helpers().min(worker.helpers()));
            self.help(worker, &shared);
            return Ok(());
        }
        if stat.size > LARGE {
            worker.show(dir, Some(entry.name));
        }
        prepare(worker);
        self.copy_contents(worker, &mut file)?;
        self.finish_file(worker, file, spot, draft, made)
    }

    pub(super) fn finish_shared(&self, worker: &mut Worker<Self>, shared: &Arc<Shared>) -> Visit {
        let Some(draft) = lock(&shared.draft).take() else { return Ok(()) };
        let file = &shared.file;
        let finished = self
            .parts_copied(shared)
            .and_then(|()| self.finish_file(worker, file.last()?, shared.spot.clone(), draft, shared.made));
        if finished.is_err() && file.stat.links > 1 {
            self.first_failed(worker, &file.stat);
        }
        finished
    }

    /// Attributes, then the name.
    pub(super) fn finish_file(
        &self,
        worker: &mut Worker<Self>,
        file: File,
        spot: Spot,
        mut draft: Draft,
        made: Made,
    ) -> Visit {
        let dir = Arc::clone(&file.dir);
        let path = || dir.path_of(End::Target, spot.name());
        let (from, to) = (Target::File(&file.source), Target::File(&file.target));
        let beside = Spoken { dir: &file.dir, source: &file.name, target: spot.name() };
        self.keep_all(worker, &file.route, (from, to), (&file.stat, Some(beside)), made, &path)?;
        if self.moving.is_some() {
            return self.finish_moved(worker, file, spot, draft);
        }
        let settled = self.settle_file(worker, &file, &spot)?;
        let File { target, stat, name: source, read, .. } = file;
        if draft.is_unnamed() {
            let name = self.publish(worker, &dir, &source, &spot, &mut draft, Some(&target))?;
            self.created(worker, &dir, &name, &stat);
            self.done(worker, &dir, &name, &stat)?;
            return self.settle_rest(worker, settled, (&dir, &name), &source, (&stat, read));
        }
        // One that its owner may not read could not be opened once more to be made durable.
        let is_unreadable = stat.mode & 0o400 == 0 && !self.may_give_away;
        let is_settled = settled == Settled::OnDevice;
        let is_durable = is_settled || matches!(spot, Spot::Replace(..)) && is_unreadable;
        if is_durable && !is_settled {
            data::sync(&target).during(Action::Sync, path)?;
        }
        // What the file system kept back until now is said by the close.
        open::close(target).during(Action::Write, path)?;
        if let Spot::Replace(..) = spot {
            return self.place(worker, &dir, &source, spot, (draft, is_durable), &stat);
        }
        let name = self.publish(worker, &dir, &source, &spot, &mut draft, None)?;
        self.created(worker, &dir, &name, &stat);
        self.done(worker, &dir, &name, &stat)?;
        self.settle_rest(worker, settled, (&dir, &name), &source, (&stat, read))
    }

    /// What was copied to be moved is made durable with others, but where each has to be by itself or is compared.
    fn finish_moved(&self, worker: &mut Worker<Self>, file: File, spot: Spot, draft: Draft) -> Visit {
        if self.is_verifying() {
            self.verify_moved(worker, &file)?;
        }
        let File { dir, target, stat, name, .. } = file;
        let path = || dir.path_of(End::Target, spot.name());
        let is_unreadable = stat.mode & 0o400 == 0 && !self.may_give_away;
        let is_durable = is_unreadable || self.is_verifying() || !dir.data.route().target.syncs_at_once();
        if is_durable && !self.is_verifying() {
            data::sync(&target).during(Action::Sync, path)?;
        }
        open::close(target).during(Action::Write, path)?;
        self.place(worker, &dir, &name, spot, (draft, is_durable), &stat)
    }

    fn settle_rest(
        &self,
        worker: &Worker<Self>,
        settled: Settled,
        target: (&Arc<Node<Place>>, &CStr),
        source: &CStr,
        (stat, read): (&Stat, Mutex<Vec<Stretch>>),
    ) -> Visit {
        if settled == Settled::Later {
            let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.settle_later(worker, target, source, stat, read);
        }
        Ok(())
    }

    /// Symbolic links and special files.
    pub(super) fn copy_other(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = entry.dir;
        let from = worker.descriptor(dir, End::Source).during(Action::Open, path)?;
        let mut stat = entry.stat(&from).during(Action::Stat, path)?;
        if stat.kind() != entry.kind {
            return Err(Error::new(Action::Open, path(), Refusal::Changed).into());
        }
        let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
        self.count_names(&mut stat);
        if stat.links > 1 {
            match self.claim(entry, &stat) {
                Claim::First => {}
                Claim::Later => return Ok(()),
                Claim::Link(first) => {
                    if let Some(done) = self.link(worker, entry, &spot, &first, &stat) {
                        return done;
                    }
                    stat.links = 1;
                }
            }
        }
        let copied = self.make_other(worker, entry, &from, &stat, spot);
        if copied.is_err() && stat.links > 1 {
            self.first_failed(worker, &stat);
        }
        copied
    }

    pub(super) fn make_other(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        from: &OwnedFd,
        stat: &Stat,
        spot: Spot,
    ) -> Visit {
        let dir = entry.dir;
        let target = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        let path = || dir.path_of(End::Target, spot.name());
        self.clear_way(entry, &target, spot.name(), stat.id)?;
        let made = |draft: &Draft| -> io::Result<Made> {
            let name = draft.name().expect("a link has a name");
            let now = Stat::at(&*target, &name)?;
            if !dir.data.is_fresh() {
                self.placed(now.id);
            }
            self.made_in_adopted(dir, Ok(now), stat.id);
            Ok(Made { owner: (now.uid, now.gid), mode: now.permissions() })
        };
        let mode = stat.permissions() & 0o700;
        let (draft, ()) = match stat.kind() {
            FileType::Symlink => {
                let text = name::readlink(from, entry.name)
                    .during(Action::Symlink, || dir.path_of(End::Source, entry.name))?;
                let make = |dir: &OwnedFd, name: &CStr| name::symlink(&text, dir, name);
                Draft::named(&self.ledger, dir, Arc::clone(&target), &spot, make, Action::Symlink)
            }
            kind => {
                let make = |dir: &OwnedFd, name: &CStr| name::mknod(dir, name, kind, mode, stat.rdev);
                Draft::named(&self.ledger, dir, Arc::clone(&target), &spot, make, Action::CreateSpecial)
            }
        }
        .map_err(|error| self.explained(error, stat.kind(), dir.data.route()))?;
        let on_disk = draft.name().expect("a link has a name");
        let route = Arc::clone(dir.data.route());
        let (source, link) = (Target::Name(from, entry.name), Target::Name(&target, &on_disk));
        if !dir.data.is_fresh() && stat.kind() != FileType::Symlink {
            self.disinherit(&link);
        }
        let made = made(&draft).during(Action::Stat, path)?;
        self.keep_all(worker, &route, (source, link), (stat, None), made, &path)?;
        self.place(worker, dir, entry.name, spot, (draft, false), stat)
    }

    /// Whether an error says that the file system has no such kind of entry. EPERM is what FAT says; elsewhere it is a
    /// missing privilege, or a directory that must not change.
    fn explained(&self, mut error: Error, kind: FileType, route: &Route) -> Error {
        let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
        let may_lack = route.target.is_fuse() || route.target.has_fat_names();
        let lacks = match error.source.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => true,
            Some(libc::EPERM) => may_lack && (!is_device || self.may_give_away),
            _ => false,
        };
        if lacks {
            error.source = Refusal::KindNotSupported.into();
        }
        error
    }

    /// Gives a finished draft its place, now or together with others.
    pub(super) fn place(
        &self,
        worker: &mut Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        spot: Spot,
        (mut draft, is_durable): (Draft, bool),
        stat: &Stat,
    ) -> Visit {
        if let Some(moving) = &self.moving {
            if !dir.data.is_fresh() {
                let file = arrivals::File { draft, spot, stat: *stat, read: *stat, is_durable };
                self.arrive(worker, moving, Arrival::file(dir, source_name, file));
                return Ok(());
            }
            moving.departures.copied(dir, source_name, stat);
        }
        let Spot::Replace(name, old) = spot else {
            let name = self.publish(worker, dir, source_name, &spot, &mut draft, None)?;
            self.passed(worker, dir, stat, &name);
            self.created(worker, dir, &name, stat);
            return self.done(worker, dir, &name, stat);
        };
        let source = dir.path_of(End::Source, source_name);
        let source_name = source_name.to_owned();
        let mut replacement =
            Replacement { draft, name: name.clone(), old, source, source_name, stat: *stat, is_durable };
        if self.options.retries > 0 {
            // What fails must fail here, to be tried again.
            let path = || dir.path_of(End::Target, &name);
            replace::replace(&mut replacement, false).during(Action::Rename, path)?;
            self.has_replaced(worker.job(), stat);
            return self.done(worker, dir, &name, stat);
        }
        let waiting = {
            let mut waiting = lock(&dir.data.replacements);
            waiting.push(replacement);
            waiting.len()
        };
        // Others wait for the name of a file with several.
        let most = if stat.links > 1 { 0 } else { REPLACE_AT };
        if waiting > most {
            self.replace_waiting(worker, dir, most);
        }
        Ok(())
    }

    /// Replaces what waits, if it is more than `most`.
    pub(super) fn replace_waiting(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, most: usize) {
        let waiting = {
            let mut waiting = lock(&dir.data.replacements);
            if waiting.len() <= most { Vec::new() } else { std::mem::take(&mut *waiting) }
        };
        if waiting.is_empty() {
            return;
        }
        let target = match worker.descriptor(dir, End::Target) {
            Ok(target) => target,
            Err(error) => {
                for Replacement { source, source_name, .. } in waiting {
                    let error = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
                    let failed = Err(Error::new(Action::Open, source, error).into());
                    worker.settle_entry(dir, &source_name, FileType::Unknown, failed);
                }
                return;
            }
        };
        let at_once = dir.data.route().target.syncs_at_once();
        let job = Arc::clone(worker.job());
        replace::replace_all(waiting, &target, at_once, &job, |replacement, replaced| {
            let stat = &replacement.stat;
            let done = match replaced {
                Ok(()) => {
                    self.has_replaced(&job, stat);
                    self.done(worker, dir, &replacement.name, stat)
                }
                Err(error) => {
                    if stat.links > 1 {
                        self.first_failed(worker, stat);
                    }
                    Err(error.with_target(dir.path_of(End::Target, &replacement.name)).into())
                }
            };
            worker.settle_entry(dir, &replacement.source_name, FileType::Unknown, done);
        });
    }

    /// Gives a draft its final name, or the next free one, and tells which it was.
    pub(super) fn publish(
        &self,
        worker: &Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        spot: &Spot,
        draft: &mut Draft,
        file: Option<&OwnedFd>,
    ) -> Visit<CString> {
        if worker.job().control.is_cancelled() {
            // The report may have been given already.
            return Err(Stop::Cancelled);
        }
        let mut name = spot.name().to_owned();
        for _ in 0..RENAMES {
            match draft.publish(&name, file) {
                Ok(()) => return Ok(name),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if self.options.on_conflict != OnConflict::Rename {
                        break;
                    }
                    let target = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
                    name = self.free_name(&target, &name).during(Action::Stat, || dir.path_of(End::Target, &name))?;
                }
                Err(error) => {
                    let path = || dir.path_of(End::Target, spot.name());
                    let error = names::explained(error, &name, dir.data.route().target);
                    return Err(error).during(Action::Rename, path).map_err(Stop::from);
                }
            }
        }
        let error = Error::new(Action::Create, dir.path_of(End::Source, source_name), Refusal::Exists);
        Err(error.with_target(dir.path_of(End::Target, spot.name())).into())
    }

    /// Records an entry that has its name in a directory that was there before.
    fn created(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>, name: &CStr, stat: &Stat) {
        if dir.data.is_ours() {
            return;
        }
        if let Ok(target) = worker.descriptor(dir, End::Target) {
            self.ledger.created(self.ledger.touches(dir, &target), &target, name, stat.links);
        }
    }

    /// Counts an entry that has its place, and links what waited for it.
    pub(super) fn done(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, name: &CStr, stat: &Stat) -> Visit {
        self.has_new_name(dir);
        let counters = &worker.counters;
        add(&counters.entries, 1);
        match stat.kind() {
            FileType::RegularFile => {
                add(&counters.files, 1);
                add(&counters.file_bytes, stat.size);
                add(&counters.allocated, stat.allocated);
            }
            FileType::Symlink => add(&counters.symlinks, 1),
            _ => add(&counters.specials, 1),
        }
        if stat.links > 1 {
            let first = First::Here(Arc::clone(dir), name.to_owned());
            for waiting in self.links.copied(stat, dir, name) {
                let linked =
                    self.persist(worker, &waiting.dir, |worker| self.link_waiting(worker, &waiting, &first, stat));
                worker.settle_entry(&waiting.dir, &waiting.name, FileType::Unknown, linked);
                worker.end(&waiting.dir);
            }
        }
        Ok(())
    }
}

/// The buffer is made by the first file that needs one.
pub(super) fn prepare(worker: &mut Worker<Copying>) {
    if worker.buffer.is_empty() {
        worker.buffer = vec![0; crate::engine::BUFFER];
    }
}
