//! What a copy does to each entry: the engine's calls, each handed to the part that knows.

use super::contents::Shared;
use super::files::prepare;
use super::names;
use super::place::{Kind, Place};
use super::resume::NOBODYS;
use super::{Copying, Destination, Links};
use crate::conflict::OnConflict;
use crate::control::lock;
use crate::engine::{End, Enter, Entry, Node, Root, Side, Stop, Visit, Visitor, Worker};
use crate::error::{Action, During, Error, Refusal};
use crate::operation::Shortage;
use crate::ops::retry::Retries;
use crate::ops::source;
use crate::question::Unfit;
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use crate::sys::{mount, name};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How often a name that was taken since it was looked at is looked at again.
const LOOKS: u32 = 3;

impl Copying {
    /// Tries again what failed, as often as was asked for; and, where there was no room, once somebody has made some.
    pub(super) fn persist<T>(
        &self,
        worker: &mut Worker<Self>,
        dir: &Arc<Node<Place>>,
        mut attempt: impl FnMut(&mut Worker<Self>) -> Visit<T>,
    ) -> Visit<T> {
        let mut retries = Retries::new(self.options.retries);
        // Where somebody took a free name in the meantime, that is a question too.
        let mut looks = if self.options.on_conflict == OnConflict::Ask { LOOKS } else { 0 };
        loop {
            let error = match attempt(worker) {
                Err(Stop::Failed(error)) => error,
                answer => return answer,
            };
            let is_full = matches!(error.source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
            if is_full && worker.job().is_short(|| self.shortage(worker, dir))? {
                continue;
            }
            if looks > 0 && error.refusal() == Some(Refusal::Exists) {
                looks -= 1;
                continue;
            }
            retries.another(worker.job(), error)?;
        }
    }

    fn open_root(&self, index: usize) -> Visit<Root<Self>> {
        let path = &self.sources[index];
        if self.moving.is_some() && source::has_no_name(path) && !path.as_os_str().is_empty() {
            return Err(Error::new(Action::Move, path, Refusal::NoName).into());
        }
        let (mut side, mut name) = source::open(path)?;
        let target = self.target_dir()?;
        let root_name = self.target_name()?;
        if let (Some(_), Destination::Name(target), None) = (&self.moving, &self.destination, &root_name) {
            return Err(Error::new(Action::Move, path, Refusal::NoName).with_target(target).into());
        }
        let is_into = matches!(self.destination, Destination::Into(_));
        if !is_into && root_name.is_none() && name.as_c_str() != c"." {
            // A directory itself is the name of the copy: what is in the source goes into it.
            side = source::inside(path, &side, &name, self.follow())?;
            name = c".".to_owned();
        }
        let is_contents = name.as_c_str() == c"." && (is_into || root_name.is_none());
        let mut place = Place::new(Kind::Shared);
        place.root_name = root_name;
        let source = side.open_descriptor().expect("a root's side is open");
        let stat = Stat::of_dir(&*source).during(Action::Stat, || path)?;
        let _ = place.old.top.set(stat);
        let devices = (stat.id.dev, target.stat.id.dev);
        let route = self.routes.between(&*source, &*target.file, devices);
        self.writes_to(&route, &target.file);
        let _ = place.route.set(route);
        let end = Side::root(target.path.clone(), Arc::clone(&target.file));
        let node = Node::top(side, Some(end), place);
        if !is_contents {
            return Ok(Root::Entry(node, name));
        }
        if target.above.contains(&stat.id) {
            return Err(self.goes_into_itself(path, &target));
        }
        lock(&self.merged).push(target.stat.id);
        Ok(Root::Contents(node))
    }

    fn shortage(&self, worker: &Worker<Self>, dir: &Arc<Node<Place>>) -> Shortage {
        let free = worker.descriptor(dir, End::Target).and_then(|file| mount::free_bytes(&*file));
        Shortage { path: dir.path(End::Target), needed: 0, free: free.unwrap_or(0) }
    }
}

impl Copying {
    fn enter(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<Enter<Place>> {
        let target = worker.descriptor(entry.dir, End::Target).during(Action::Open, || entry.dir.path(End::Target))?;
        if entry.dir.parent().is_none() {
            self.refuse_into_itself(worker, entry)?;
        }
        if entry.dir.data.is_fresh() {
            let name = self.name_at_target(worker, entry)?;
            let path = || entry.dir.path_of(End::Target, &name);
            let explained = |error| names::explained(error, &name, entry.dir.data.route().target);
            let adopted = entry.dir.data.adopted;
            let is_there = match adopted {
                Some(_) => self.persist(worker, entry.dir, |worker| self.adopt_dir(worker, entry, &target, &name))?,
                None => false,
            };
            if !is_there {
                self.persist(worker, entry.dir, |_| {
                    Ok(self.make_dir(&target, &name).map_err(explained).during(Action::CreateDir, path)?)
                })?;
                self.made_in_adopted(entry.dir, Stat::at(&*target, &name), NOBODYS);
            }
            self.unfinished.fetch_add(1, Relaxed);
            let mut place = Place::inside(&entry.dir.data);
            place.adopted = adopted.filter(|_| is_there);
            place.was_touched.store(is_there, Relaxed);
            return Ok(Enter::Into(place, Some(Side::new(name, Follow::No))));
        }
        self.persist(worker, entry.dir, |worker| self.enter_shared(worker, entry, &target))
    }
}

impl Visitor for Copying {
    type Dir = Place;
    type Share = Shared;

    fn roots(&self) -> usize {
        self.sources.len()
    }

    fn root_path(&self, index: usize) -> PathBuf {
        self.sources[index].clone()
    }

    fn follow(&self) -> Follow {
        if self.options.links == Links::Follow { Follow::Yes } else { Follow::No }
    }

    fn root(&self, worker: &mut Worker<Self>, index: usize) -> Visit<Root<Self>> {
        self.root_begins(index);
        let root = self.open_root(index);
        if root.is_err() {
            self.root_failed(worker, index);
        }
        root
    }

    fn enter_dir(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit<Enter<Place>> {
        self.open_around(worker, entry);
        let mut entered = self.enter(worker, entry)?;
        if let Enter::Into(place, _) = &mut entered {
            place.has_rights = worker.has_rights(entry.dir, entry.name);
        }
        Ok(entered)
    }

    fn unlock_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> bool {
        dir.data.has_rights && self.loosen_source(worker, dir).is_some()
    }

    fn rights(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>, error: &Error) -> Result<(), Unfit> {
        self.rights_for(worker, entry, error)
    }

    fn opened_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let stat = *dir.stat();
        if self.ledger.is_ours(stat.id) || (dir.parent().is_some() && lock(&self.merged).contains(&stat.id)) {
            self.refuse_tree(dir);
            return Err(Error::new(self.action(), dir.path(End::Source), Refusal::IntoItself).into());
        }
        self.stay_on_mount(dir)?;
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
        self.writes_to(&route, &target);
        let _ = dir.data.route.set(route);
        if let Some(staged) = &dir.data.stage {
            staged.is_copy_of(Stat { mode: stat.mode | self.mode_of(dir), ..stat });
        }
        Ok(())
    }

    fn visit(&self, worker: &mut Worker<Self>, entry: &Entry<'_, Self>) -> Visit {
        self.open_around(worker, entry);
        self.persist(worker, entry.dir, |worker| self.copy_entry(worker, entry))
    }

    fn help(&self, worker: &mut Worker<Self>, shared: &Arc<Shared>) {
        worker.show(&shared.file.dir, Some(&shared.file.name));
        prepare(worker);
        if self.copy_parts(worker, shared) {
            let finished = self.finish_shared(worker, shared);
            worker.settle_entry(&shared.file.dir, &shared.file.name, shared.file.kind, finished);
            worker.end(&shared.file.dir);
        }
    }

    fn close_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        self.replace_waiting(worker, dir, 0);
        if dir.data.adopted.is_some() {
            self.set_aside(worker, dir)?;
        }
        if dir.data.is_ours() && (dir.data.stage.is_none() || dir.data.is_public()) {
            let mode = self.mode_of(dir);
            // Its entries must still be reachable for us: a mode that keeps its owner out comes when they are done.
            if mode & 0o700 == 0o700 {
                self.persist(worker, dir, |worker| self.keep_dir(worker, dir, mode))?;
            }
        }
        Ok(())
    }

    fn rest_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        self.ledger.works_late.store(true, Relaxed);
        match dir.data.route.get() {
            Some(_) => self.settle_dir(worker, dir, true),
            None => Ok(()),
        }
    }

    fn leave_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        let settled = self.settle_dir(worker, dir, false);
        if settled.is_ok() {
            self.tighten(dir, |end| worker.descriptor(dir, end));
        }
        settled
    }

    fn abandon_dir(&self, worker: &mut Worker<Self>, dir: &Arc<Node<Place>>) -> Visit {
        if dir.data.route.get().is_some() || !dir.data.is_ours() {
            return self.leave_dir(worker, dir);
        }
        // It could not even be entered: its place stays empty. It is an entry of the directory above that failed, if nobody
        // tries it again.
        self.tighten(dir, |end| worker.descriptor(dir, end));
        let Some(above) = dir.parent() else { return Ok(()) };
        let target = worker.descriptor(above, End::Target).during(Action::Open, || above.path(End::Target))?;
        let side = dir.side(End::Target).expect("a copy has a target");
        name::rmdir(&*target, side.name()).during(Action::RemoveDir, || dir.path(End::Target))?;
        self.unfinished.fetch_sub(1, Relaxed);
        if let Some(staged) = &dir.data.stage {
            self.ledger.gone(staged);
        }
        above.data.was_touched.store(true, Relaxed);
        Ok(())
    }
}
