//! What a copy does to each entry: where it goes, what is kept of it, and when it gets its final name.

use super::attributes::{Made, Target};
use super::contents::{File, Shared};
use super::links::{Claim, First, Waiting};
use super::place::{self, Draft, Kind, Place, Replacement, Spot};
use super::route::Route;
use super::{Copying, Destination, Links, ReadOnlyDirs, TargetDir};
use crate::conflict::{self, OnConflict};
use crate::control::lock;
use crate::engine::{End, Enter, Entry, Node, Root, Side, Stop, Visit, Visitor, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::operation::NoteKind;
use crate::progress::{LARGE, add};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use crate::sys::{attributes, name};
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// New files that wait for their old ones' places, in one directory, before they are made durable together.
const REPLACE_AT: usize = 256;

/// Directories in a stage are made with this mode; the stage's own top, which nobody else may enter, protects them.
const STAGED_DIR: u32 = 0o755;

/// Before the first retry of an entry; each further one waits four times as long.
const RETRY_AFTER: Duration = Duration::from_millis(50);

impl Visitor for Copying {
    type Dir = Place;
    type Share = Shared;

    fn roots(&self) -> usize {
        self.sources.len()
    }

    fn follow(&self) -> Follow {
        if self.options.links == Links::Follow { Follow::Yes } else { Follow::No }
    }

    fn root(&self, _: &mut Worker<Self>, index: usize) -> Visit<Root<Self>> {
        let path = &self.sources[index];
        let (side, name) = super::source::open(path)?;
        let target = self.target_dir()?;
        let root_name = self.target_name()?;
        let is_contents = name.as_c_str() == c"." && matches!(self.destination, Destination::Into(_));
        let mut place = Place::new(Kind::Shared);
        place.root_name = root_name;
        let source = side.open_descriptor().expect("a root's side is open");
        let stat = Stat::of_dir(&*source).during(Action::Stat, || path)?;
        let devices = (stat.id.dev, target.stat.id.dev);
        let _ = place.route.set(self.routes.between(&*source, &*target.file, devices));
        let end = Side::root(target.path.clone(), Arc::clone(&target.file));
        let node = Node::top(side, Some(end), place);
        if !is_contents {
            return Ok(Root::Entry(node, name));
        }
        if target.above.contains(&stat.id) {
            return Err(into_itself(path, &target));
        }
        lock(&self.merged).push(target.stat.id);
        Ok(Root::Contents(node))
    }

    fn enter_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<Enter<Place>> {
        let target = worker.descriptor(entry.dir, End::Target).during(Action::Open, || entry.dir.path(End::Target))?;
        if entry.dir.parent().is_none() {
            self.refuse_into_itself(worker, entry)?;
        }
        if entry.dir.data.is_fresh() {
            let name = self.name_at_target(worker, entry)?;
            let path = || entry.dir.path_of(End::Target, &name);
            self.make_dir(&target, &name).during(Action::CreateDir, path)?;
            let place = Place::new(Kind::Fresh);
            if let Some(&born) = entry.dir.data.born.get() {
                let _ = place.born.set(born);
            }
            return Ok(Enter::Into(place, Some(Side::new(name, Follow::No))));
        }
        self.enter_shared(worker, entry, &target)
    }

    fn opened_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let stat = *dir.stat();
        if self.ledger.is_ours(stat.id) || (dir.parent().is_some() && lock(&self.merged).contains(&stat.id)) {
            return Err(Error::new(Action::Copy, dir.path(End::Source), Refusal::IntoItself).into());
        }
        let target = worker.descriptor(dir, End::Target).during(Action::Open, || dir.path(End::Target))?;
        let Some(above) = dir.parent() else { return Ok(()) };
        // A directory of ours is on the device of the one it was made in; another one is looked at.
        let known = above.data.route.get().filter(|_| dir.data.is_fresh() && above.device() == Some(stat.id.dev));
        let route = match known {
            Some(route) => Arc::clone(route),
            None => {
                let path = || dir.path(End::Target);
                let device = Stat::of(&*target).during(Action::Stat, path)?.id.dev;
                let source = worker.descriptor(dir, End::Source).during(Action::Open, || dir.path(End::Source))?;
                self.routes.between(&*source, &*target, (stat.id.dev, device))
            }
        };
        let _ = dir.data.route.set(route);
        Ok(())
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let mut pause = RETRY_AFTER;
        for _ in 0..self.options.retries {
            match self.copy_entry(worker, entry) {
                Err(Stop::Failed(error)) if error.refusal().is_none_or(|refusal| refusal == Refusal::Changed) => {
                    worker.job().sleep(pause)?;
                    pause *= 4;
                }
                answer => return answer,
            }
        }
        self.copy_entry(worker, entry)
    }

    fn help(&self, worker: &mut Worker<Self>, shared: &Arc<Shared>) {
        worker.show(&shared.file.dir, Some(&shared.file.name));
        prepare(worker);
        if self.copy_parts(worker, shared) {
            let finished = self.finish_shared(worker, shared);
            worker.settle(&shared.file.dir, finished);
            worker.end(&shared.file.dir);
        }
    }

    fn close_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        self.replace_waiting(worker, dir, 0);
        if dir.data.is_fresh() && dir.data.stage.is_none() && dir.has_stat() {
            // Its entries must still be reachable for us: what the mode forbids its owner comes when they are done.
            let mode = self.mode_of(worker, dir);
            let reachable = if self.may_give_away { mode } else { mode | 0o700 };
            self.keep_dir(worker, dir, reachable)?;
        }
        Ok(())
    }

    fn leave_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        self.settle_dir(worker, dir)
    }

    fn abandon_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        if dir.has_stat() || !dir.data.is_fresh() {
            return self.settle_dir(worker, dir);
        }
        // It could not even be opened: its place stays empty.
        let Some(above) = dir.parent() else { return Ok(()) };
        let target = worker.descriptor(above, End::Target).during(Action::Open, || above.path(End::Target))?;
        let side = dir.side(End::Target).expect("a copy has a target");
        name::rmdir(&*target, side.name()).during(Action::RemoveDir, || dir.path(End::Target))?;
        if let Some(staged) = &dir.data.stage {
            self.ledger.gone(staged);
        }
        above.data.was_touched.store(true, Relaxed);
        Ok(())
    }
}

/// Directories.
impl Copying {
    fn refuse_into_itself(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let stat = match entry.follow {
            Follow::No => Stat::at(&*source, entry.name),
            Follow::Yes => Stat::following(&*source, entry.name),
        };
        let target = self.target_dir()?;
        match target.above.contains(&stat.during(Action::Stat, path)?.id) {
            true => Err(into_itself(path(), &target)),
            false => Ok(()),
        }
    }

    fn make_dir(&self, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
        name::mkdir(parent, name, STAGED_DIR)?;
        if STAGED_DIR & !self.umask & 0o700 != 0o700 {
            attributes::set_mode_at(parent, name, STAGED_DIR)?;
        }
        Ok(())
    }

    /// Into a directory that others see: merge with what is there, or begin a stage.
    fn enter_shared(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
    ) -> Visit<Enter<Place>> {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let wanted = self.name_at_target(worker, entry)?;
        let found = Stat::at(&**target, &wanted);
        match found {
            Ok(old) if old.is_dir() => {
                let source = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
                let stat = Stat::at(&*source, entry.name).during(Action::Stat, path)?;
                let is_same = stat.id == old.id;
                match (is_same, self.options.on_conflict) {
                    (true, OnConflict::Rename) => {
                        let name = self.free_name(target, &wanted).during(Action::Stat, path)?;
                        self.stage_dir(worker, entry, target, name)
                    }
                    (true, OnConflict::Skip) => self.skip(worker, entry, &wanted).map(|()| Enter::Skip),
                    (true, _) => Err(self.refusal(entry, &wanted, Refusal::SameFile)),
                    (false, _) => {
                        if entry.dir.parent().is_none() {
                            lock(&self.merged).push(old.id);
                        }
                        Ok(Enter::Into(Place::new(Kind::Shared), Some(Side::new(wanted, Follow::No))))
                    }
                }
            }
            Ok(_) => match self.options.on_conflict {
                OnConflict::Skip => self.skip(worker, entry, &wanted).map(|()| Enter::Skip),
                OnConflict::Rename => {
                    let name = self.free_name(target, &wanted).during(Action::Stat, path)?;
                    self.stage_dir(worker, entry, target, name)
                }
                OnConflict::Fail => Err(self.refusal(entry, &wanted, Refusal::Exists)),
                _ => Err(self.refusal(entry, &wanted, Refusal::KindDiffers)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.stage_dir(worker, entry, target, wanted),
            Err(error) => Err(Error::new(Action::Stat, entry.dir.path_of(End::Target, &wanted), error).into()),
        }
    }

    /// A new directory under a name of ours, which nobody but us may enter until it is whole.
    fn stage_dir(
        &self,
        worker: &mut Worker<Self>,
        entry: &Entry<'_, Self>,
        target: &Arc<OwnedFd>,
        wanted: CString,
    ) -> Visit<Enter<Place>> {
        let staged = self.ledger.intend(target, &entry.dir.path(End::Target), &wanted);
        let path = || staged.shown();
        let made = name::mkdir(&**target, staged.name(), 0o700);
        if let Err(error) = made {
            // The name may have been made all the same (a lost reply); it is ours alone, and empty.
            let _ = name::rmdir(&**target, staged.name());
            self.ledger.gone(&staged);
            return Err(error).during(Action::CreateDir, path).map_err(Stop::from);
        }
        let opened = worker.open(|| open::dir(&**target, staged.name(), Follow::No));
        let opened = opened.and_then(|file| Stat::of(&file).map(|stat| (file, stat)));
        let (file, stat) = opened.during(Action::Open, path)?;
        self.ledger.made(&staged, stat.id);
        // What it inherited (a group, a list of access rights) would be inherited by everything in it.
        self.disinherit(&file);
        attributes::set_mode(&file, 0o700).or_else(ignore_refusal).during(Action::SetMode, path)?;
        let mut place = Place::new(Kind::Fresh);
        let side = Side::staged(staged.name().to_owned(), wanted);
        place.stage = Some(staged);
        Ok(Enter::Into(place, Some(side)))
    }

    /// The subtree is over: a stage gets its final name, and what had to wait for its entries is set.
    fn settle_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        if !dir.data.is_fresh() {
            return Ok(());
        }
        match &dir.data.stage {
            Some(staged) => {
                let mode = self.mode_of(worker, dir);
                self.keep_dir(worker, dir, mode)?;
                self.publish_dir(worker, dir, staged)?;
            }
            None => {
                let mode = self.mode_of(worker, dir);
                if (mode & 0o700 != 0o700 && !self.may_give_away) || dir.data.was_touched.load(Relaxed) {
                    self.keep_dir(worker, dir, mode)?;
                }
            }
        }
        add(&worker.counters.entries, 1);
        add(&worker.counters.directories, 1);
        Ok(())
    }

    fn publish_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, staged: &place::Staged) -> Visit {
        let mut wanted = staged.wanted.clone();
        for _ in 0..RENAMES {
            match name::rename_new(&*staged.dir, staged.name(), &wanted) {
                Ok(()) => {
                    self.ledger.gone(staged);
                    dir.side(End::Target).expect("a copy has a target").rename(&wanted);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Somebody took the name since we looked.
                    if self.options.on_conflict != OnConflict::Rename {
                        break;
                    }
                    wanted = self.free_name(&staged.dir, &wanted).during(Action::Stat, || staged.shown())?;
                }
                Err(error) => return Err(error).during(Action::Rename, || staged.shown()).map_err(Stop::from),
            }
        }
        let _ = worker;
        let error = Error::new(Action::Rename, dir.path(End::Source), Refusal::Exists);
        Err(error.with_target(staged.shown()).into())
    }

    /// The mode a directory gets.
    fn mode_of(&self, worker: &Worker<Self>, dir: &Node<Place>) -> u32 {
        let mode = dir.stat().permissions();
        let is_medium = dir.data.route().source.is_read_only_medium();
        if is_medium && mode & 0o200 == 0 && self.options.read_only_dirs == ReadOnlyDirs::MakeWritable {
            worker.job().note(NoteKind::MadeWritable, None, || dir.path(End::Target));
            return mode | 0o200;
        }
        mode
    }

    fn keep_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, mode: u32) -> Visit {
        let path = || dir.path(End::Target);
        let source = worker.descriptor(dir, End::Source).during(Action::Open, || dir.path(End::Source))?;
        let target = worker.descriptor(dir, End::Target).during(Action::Open, path)?;
        let is_top = dir.data.stage.is_some();
        // A top inherited what its parent gives; all others are made like the first file was.
        let known = dir.data.born.get().filter(|_| !is_top).map(|&owner| Made {
            owner,
            mode: STAGED_DIR & !self.umask | if STAGED_DIR & !self.umask & 0o700 != 0o700 { STAGED_DIR } else { 0 },
        });
        let was_set = dir.data.was_touched.load(Relaxed) || mode & 0o700 != 0o700;
        let made = match known {
            Some(made) if !was_set => made,
            _ => made_of(&target).during(Action::Stat, path)?,
        };
        let mut stat = *dir.stat();
        stat.mode = stat.mode & !0o7777 | mode;
        let route = Arc::clone(dir.data.route());
        self.keep_all(worker, &route, Target::File(&source), Target::File(&target), &stat, made, &path)
    }
}

/// How often a name that was free is found taken before that is a failure.
const RENAMES: usize = 1000;

/// Files, links and special files.
impl Copying {
    fn copy_entry(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        match entry.kind {
            FileType::RegularFile => self.copy_file(worker, entry),
            _ => self.copy_other(worker, entry),
        }
    }

    fn copy_file(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
        let source = worker.open(|| open::file(&*from, entry.name, entry.follow)).during(Action::Open, path)?;
        let stat = Stat::of(&source).during(Action::Stat, path)?;
        if !stat.is_file() {
            return Err(Error::new(Action::Open, path(), Refusal::Changed).into());
        }
        let route = Arc::clone(entry.dir.data.route());
        if route.target.largest_file().is_some_and(|largest| stat.size > largest) {
            return Err(Error::new(Action::Create, path(), Refusal::TooLarge).into());
        }
        let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
        if stat.links > 1 {
            match self.claim(entry, &stat) {
                Claim::First => {}
                Claim::Later => return Ok(()),
                Claim::Link(first) => {
                    if let Some(done) = self.link(worker, entry.dir, spot.name(), &spot, &first, &stat) {
                        return done;
                    }
                }
            }
        }
        let copied = self.copy_regular(worker, entry, source, stat, route, spot);
        if copied.is_err() && stat.links > 1 {
            self.first_failed(worker, &stat);
        }
        copied
    }

    fn copy_regular(
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
        let is_own = dir.data.born.get().is_some_and(|&born| born == (stat.uid, stat.gid));
        // What will belong to somebody else is nobody's to read before it does.
        let mode = stat.permissions() & if is_own { 0o777 } else { 0o700 };
        let (draft, target) = {
            let make = || Draft::file(&self.ledger, dir, Arc::clone(&target_dir), &spot, mode, stat.size);
            match make() {
                Err(error) if matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE)) => {
                    worker.open(|| make().map_err(|error| error.source)).during(Action::Create, || {
                        dir.path_of(End::Target, spot.name())
                    })?
                }
                made => made?,
            }
        };
        let made = self.made(dir, &target, mode).during(Action::Stat, || dir.path_of(End::Target, spot.name()))?;
        let file = File { dir: Arc::clone(dir), name: entry.name.to_owned(), source, target, stat, route };
        if self.is_shared(worker, &file) {
            if stat.has_holes() {
                let path = || dir.path_of(End::Target, spot.name());
                crate::sys::data::set_length(&file.target, stat.size).during(Action::Write, path)?;
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
        self.copy_contents(worker, &file)?;
        self.finish_file(worker, file, spot, draft, made)
    }

    fn finish_shared(&self, worker: &mut Worker<Self>, shared: &Arc<Shared>) -> Visit {
        let Some(draft) = lock(&shared.draft).take() else { return Ok(()) };
        let file = &shared.file;
        let finished = self.parts_copied(shared).and_then(|()| {
            let source = again(&file.source, &file.dir, &file.name)?;
            let target = again(&file.target, &file.dir, &file.name)?;
            let spot = match &shared.spot {
                Spot::Direct(name) => Spot::Direct(name.clone()),
                Spot::New(name) => Spot::New(name.clone()),
                Spot::Replace(name, old) => Spot::Replace(name.clone(), *old),
            };
            let (dir, name, route) = (Arc::clone(&file.dir), file.name.clone(), Arc::clone(&file.route));
            let file = File { dir, name, source, target, stat: file.stat, route };
            self.finish_file(worker, file, spot, draft, shared.made)
        });
        if finished.is_err() && file.stat.links > 1 {
            self.first_failed(worker, &file.stat);
        }
        finished
    }

    /// Attributes, then the name.
    fn finish_file(&self, worker: &mut Worker<Self>, file: File, spot: Spot, mut draft: Draft, made: Made) -> Visit {
        let dir = Arc::clone(&file.dir);
        let path = || dir.path_of(End::Target, spot.name());
        let (from, to) = (Target::File(&file.source), Target::File(&file.target));
        self.keep_all(worker, &file.route, from, to, &file.stat, made, &path)?;
        let File { target, stat, name, .. } = file;
        if draft.is_unnamed() {
            let name = self.publish(worker, &dir, &name, &spot, &mut draft, Some(&target))?;
            return self.done(worker, &dir, &name, &stat);
        }
        // What the file system kept back until now is said by the close.
        open::close(target).during(Action::Write, path)?;
        self.place(worker, &dir, &name, spot, draft, &stat)
    }

    /// Symbolic links and special files.
    fn copy_other(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        let path = || entry.dir.path_of(End::Source, entry.name);
        let dir = entry.dir;
        let from = worker.descriptor(dir, End::Source).during(Action::Open, path)?;
        let stat = Stat::at(&*from, entry.name).during(Action::Stat, path)?;
        if stat.kind() != entry.kind {
            return Err(Error::new(Action::Open, path(), Refusal::Changed).into());
        }
        let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
        if stat.links > 1 {
            match self.claim(entry, &stat) {
                Claim::First => {}
                Claim::Later => return Ok(()),
                Claim::Link(first) => {
                    if let Some(done) = self.link(worker, dir, spot.name(), &spot, &first, &stat) {
                        return done;
                    }
                }
            }
        }
        let copied = self.make_other(worker, entry, &from, &stat, spot);
        if copied.is_err() && stat.links > 1 {
            self.first_failed(worker, &stat);
        }
        copied
    }

    fn make_other(
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
        let made = |draft: &Draft| -> io::Result<Made> {
            let name = draft.name().expect("a link has a name");
            let now = Stat::at(&*target, &name)?;
            Ok(Made { owner: (now.uid, now.gid), mode: now.permissions() })
        };
        let mode = stat.permissions() & 0o700;
        let (draft, ()) = match stat.kind() {
            FileType::Symlink => {
                let text = name::readlink(from, entry.name).during(Action::Symlink, || {
                    dir.path_of(End::Source, entry.name)
                })?;
                let make = |dir: &OwnedFd, name: &CStr| name::symlink(&text, dir, name);
                Draft::named(&self.ledger, dir, Arc::clone(&target), &spot, make, Action::Symlink)?
            }
            kind => {
                let make = |dir: &OwnedFd, name: &CStr| name::mknod(dir, name, kind, mode, stat.rdev);
                Draft::named(&self.ledger, dir, Arc::clone(&target), &spot, make, Action::CreateSpecial)?
            }
        };
        let made = made(&draft).during(Action::Stat, path)?;
        let on_disk = draft.name().expect("a link has a name");
        let route = Arc::clone(dir.data.route());
        let (source, link) = (Target::Name(from, entry.name), Target::Name(&target, &on_disk));
        self.keep_all(worker, &route, source, link, stat, made, &path)?;
        self.place(worker, dir, entry.name, spot, draft, stat)
    }

    /// Gives a finished draft its place, now or together with others.
    fn place(
        &self,
        worker: &mut Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        spot: Spot,
        mut draft: Draft,
        stat: &Stat,
    ) -> Visit {
        let Spot::Replace(name, old) = spot else {
            let name = self.publish(worker, dir, source_name, &spot, &mut draft, None)?;
            return self.done(worker, dir, &name, stat);
        };
        let replacement = Replacement {
            draft,
            name: name.clone(),
            old,
            source: dir.path_of(End::Source, source_name),
            stat: *stat,
        };
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
    fn replace_waiting(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, most: usize) {
        let waiting = {
            let mut waiting = lock(&dir.data.replacements);
            if waiting.len() <= most { Vec::new() } else { std::mem::take(&mut *waiting) }
        };
        if waiting.is_empty() {
            return;
        }
        let Ok(target) = worker.descriptor(dir, End::Target) else { return };
        let at_once = dir.data.route().target.syncs_at_once();
        place::replace_all(waiting, &target, at_once, |replacement, replaced| {
            let stat = &replacement.stat;
            let done = match replaced {
                Ok(()) => self.done(worker, dir, &replacement.name, stat),
                Err(error) => {
                    if stat.links > 1 {
                        self.first_failed(worker, stat);
                    }
                    Err(error.with_target(dir.path_of(End::Target, &replacement.name)).into())
                }
            };
            worker.settle(dir, done);
        });
    }

    /// Gives a draft its final name, or the next free one, and tells which it was.
    fn publish(
        &self,
        worker: &Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        spot: &Spot,
        draft: &mut Draft,
        file: Option<&OwnedFd>,
    ) -> Visit<CString> {
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
                    return Err(error).during(Action::Rename, path).map_err(Stop::from);
                }
            }
        }
        let error = Error::new(Action::Create, dir.path_of(End::Source, source_name), Refusal::Exists);
        Err(error.with_target(dir.path_of(End::Target, spot.name())).into())
    }

    /// Counts an entry that has its place, and links what waited for it.
    fn done(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>, name: &CStr, stat: &Stat) -> Visit {
        let counters = &worker.counters;
        add(&counters.entries, 1);
        match stat.kind() {
            FileType::RegularFile => {
                add(&counters.files, 1);
                add(&counters.allocated, stat.allocated);
            }
            FileType::Symlink => add(&counters.symlinks, 1),
            _ => add(&counters.specials, 1),
        }
        if stat.links > 1 {
            let first = First { dir: Arc::clone(dir), name: name.to_owned() };
            for waiting in self.links.copied(stat, dir, name) {
                let linked = self.link_waiting(worker, &waiting, &first, stat);
                worker.settle(&waiting.dir, linked);
                worker.end(&waiting.dir);
            }
        }
        Ok(())
    }
}

/// Hard links.
impl Copying {
    fn claim(&self, entry: &Entry<'_, Self>, stat: &Stat) -> Claim {
        self.links.claim(stat, || Waiting {
            dir: Arc::clone(entry.dir),
            name: entry.name.to_owned(),
            kind: entry.kind,
            follow: entry.follow,
        })
    }

    fn link_waiting(&self, worker: &mut Worker<Self>, waiting: &Waiting, first: &First, stat: &Stat) -> Visit {
        let entry = Entry { dir: &waiting.dir, name: &waiting.name, kind: waiting.kind, follow: waiting.follow };
        let Some(spot) = self.spot(worker, &entry, stat)? else { return Ok(()) };
        match self.link(worker, &waiting.dir, &waiting.name, &spot, first, stat) {
            Some(done) => done,
            None => self.copy_apart(worker, &entry),
        }
    }

    /// Links to the first copy; `None` where the file system cannot, and the name has to be copied apart.
    fn link(
        &self,
        worker: &mut Worker<Self>,
        dir: &Arc<Node<Place>>,
        source_name: &CStr,
        spot: &Spot,
        first: &First,
        stat: &Stat,
    ) -> Option<Visit> {
        let linked = (|| {
            let from = worker.descriptor(&first.dir, End::Target)?;
            let to = worker.descriptor(dir, End::Target)?;
            let make = |to: &OwnedFd, name: &CStr| name::link(&*from, &first.name, to, name);
            Draft::named(&self.ledger, dir, to, spot, make, Action::Link).map_err(|error| error.source)
        })();
        match linked {
            Ok((draft, ())) => {
                // The link counts as done by itself: its file was done before.
                let single = Stat { links: 1, allocated: 0, ..*stat };
                let spot = match spot {
                    Spot::Direct(name) => Spot::Direct(name.clone()),
                    Spot::New(name) => Spot::New(name.clone()),
                    Spot::Replace(name, old) => Spot::Replace(name.clone(), *old),
                };
                Some(self.place(worker, dir, source_name, spot, draft, &single))
            }
            Err(error) => {
                let cannot = [libc::EXDEV, libc::EMLINK, libc::EPERM, libc::EOPNOTSUPP, libc::ENOSYS, libc::ENOENT];
                if error.raw_os_error().is_some_and(|errno| cannot.contains(&errno)) {
                    worker.job().note(NoteKind::LinkNotKept, Some(&error), || dir.path_of(End::Target, spot.name()));
                    return None;
                }
                let error = Error::new(Action::Link, dir.path_of(End::Target, spot.name()), error);
                Some(Err(error.into()))
            }
        }
    }

    /// Copies one name of a file with several as a file of its own.
    fn copy_apart(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        match entry.kind {
            FileType::RegularFile => {
                let path = || entry.dir.path_of(End::Source, entry.name);
                let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
                let source = worker.open(|| open::file(&*from, entry.name, entry.follow)).during(Action::Open, path)?;
                let mut stat = Stat::of(&source).during(Action::Stat, path)?;
                stat.links = 1;
                let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
                let route = Arc::clone(entry.dir.data.route());
                self.copy_regular(worker, entry, source, stat, route, spot)
            }
            _ => {
                let path = || entry.dir.path_of(End::Source, entry.name);
                let from = worker.descriptor(entry.dir, End::Source).during(Action::Open, path)?;
                let mut stat = Stat::at(&*from, entry.name).during(Action::Stat, path)?;
                stat.links = 1;
                let Some(spot) = self.spot(worker, entry, &stat)? else { return Ok(()) };
                self.make_other(worker, entry, &from, &stat, spot)
            }
        }
    }

    /// The first name could not be copied: the others are tried each for itself.
    fn first_failed(&self, worker: &mut Worker<Self>, stat: &Stat) {
        for waiting in self.links.failed(stat) {
            let entry = Entry { dir: &waiting.dir, name: &waiting.name, kind: waiting.kind, follow: waiting.follow };
            let copied = self.copy_entry(worker, &entry);
            worker.settle(&waiting.dir, copied);
            worker.end(&waiting.dir);
        }
    }
}

/// Names and conflicts.
impl Copying {
    /// The name of an entry at the target, by rule.
    fn name_at_target(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>) -> Visit<CString> {
        if let Some(name) = &entry.dir.data.root_name {
            return Ok(name.clone());
        }
        let route = entry.dir.data.route();
        if !route.target.has_fat_names() && self.options.names == super::Names::Keep {
            return Ok(entry.name.to_owned());
        }
        super::names::at_target(self, worker, entry, route.target)
    }

    /// Where an entry goes; `None` if it is left out by rule.
    fn spot(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>, stat: &Stat) -> Visit<Option<Spot>> {
        let wanted = self.name_at_target(worker, entry)?;
        if entry.dir.data.is_fresh() {
            return Ok(Some(Spot::Direct(wanted)));
        }
        let path = || entry.dir.path_of(End::Target, &wanted);
        let target = worker.descriptor(entry.dir, End::Target).during(Action::Open, path)?;
        let old = match Stat::at(&*target, &wanted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Spot::New(wanted))),
            old => old.during(Action::Stat, path)?,
        };
        let rule = self.options.on_conflict;
        let replaces = match rule {
            OnConflict::Skip => false,
            OnConflict::Rename => {
                let name = self.free_name(&target, &wanted).during(Action::Stat, path)?;
                return Ok(Some(Spot::New(name)));
            }
            _ if old.id == stat.id => return Err(self.refusal(entry, &wanted, Refusal::SameFile)),
            OnConflict::Fail => return Err(self.refusal(entry, &wanted, Refusal::Exists)),
            _ if old.is_dir() => return Err(self.refusal(entry, &wanted, Refusal::KindDiffers)),
            OnConflict::Replace => true,
            OnConflict::Newer => stat.modified > old.modified,
            OnConflict::Different => super::compare::differ(worker, entry, stat, &target, &wanted, &old)?,
        };
        if replaces {
            return Ok(Some(Spot::Replace(wanted, old)));
        }
        self.skip(worker, entry, &wanted).map(|()| None)
    }

    fn skip(&self, worker: &Worker<Self>, entry: &Entry<'_, Self>, wanted: &CStr) -> Visit {
        let source = entry.dir.path_of(End::Source, entry.name);
        worker.job().skip(source, entry.dir.path_of(End::Target, wanted));
        Ok(())
    }

    fn refusal(&self, entry: &Entry<'_, Self>, wanted: &CStr, refusal: Refusal) -> Stop {
        let error = Error::new(Action::Copy, entry.dir.path_of(End::Source, entry.name), refusal);
        error.with_target(entry.dir.path_of(End::Target, wanted)).into()
    }

    /// "name (2)", "name (3)": the first that is free now. The publication finds out whether it still is.
    fn free_name(&self, dir: &OwnedFd, name: &CStr) -> io::Result<CString> {
        for number in 2..u32::MAX {
            let candidate = conflict::numbered(name, number);
            match Stat::at(dir, &candidate) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(candidate),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Owner and mode of a file just made. The first in a directory is asked, the others are like it.
    fn made(&self, dir: &Node<Place>, file: &OwnedFd, mode: u32) -> io::Result<Made> {
        if dir.data.is_fresh() {
            if let Some(&owner) = dir.data.born.get() {
                return Ok(Made { owner, mode: mode & !self.umask });
            }
            let made = made_of(file)?;
            let _ = dir.data.born.set(made.owner);
            return Ok(made);
        }
        let inherits = *dir.data.inherits.get_or_init(|| {
            let access = attributes::Subject::File(file);
            attributes::xattr(access, c"system.posix_acl_access", &mut Vec::new()).is_ok()
        });
        if inherits {
            self.disinherit(file);
        }
        made_of(file)
    }
}

fn made_of(file: &OwnedFd) -> io::Result<Made> {
    let stat = Stat::of(file)?;
    Ok(Made { owner: (stat.uid, stat.gid), mode: stat.permissions() })
}

fn into_itself(path: impl Into<PathBuf>, target: &TargetDir) -> Stop {
    Error::new(Action::Copy, path, Refusal::IntoItself).with_target(&target.path).into()
}

/// A file system without modes leaves a stage as it is.
fn ignore_refusal(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(()),
        _ => Err(error),
    }
}

/// A second descriptor of an open file, for a file that several workers hold.
fn again(file: &OwnedFd, dir: &Arc<Node<Place>>, name: &CStr) -> Visit<OwnedFd> {
    file.try_clone().during(Action::Open, || dir.path_of(End::Source, name)).map_err(Stop::from)
}

/// The buffer is made by the first file that needs one.
fn prepare(worker: &mut Worker<Copying>) {
    if worker.buffer.is_empty() {
        worker.buffer = vec![0; crate::engine::BUFFER];
    }
}
