//! Entries that wait for an answer: each is kept apart while everything else goes on, and done again with the answer.
//!
//! Such an entry holds its directory's subtree open, and with it the walk, but no worker. A directory in which only such
//! entries are left *rests*: a stage gets its name then, and only then are they worked on, as in any directory that others
//! see.

use super::node::{End, Left, Node};
use super::queue::Task;
use super::{Engine, Entry, Stop, Visit, Visitor, Worker};
use crate::control::{Cancelled, lock};
use crate::error::Error;
use crate::question::{Failure, Question, Resolution, Unfit};
use crate::sys::open::Follow;
use crate::sys::stat::Stat;
use rustix::fs::FileType;
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What waits for an answer.
pub(super) struct Parked<D> {
    place: Spot<D>,
    question: Question,
    given: Option<Given<D>>,
}

enum Spot<D> {
    Entry(Arc<Node<D>>, CString, FileType),
    /// A directory whose subtree is over, and whose own end failed.
    End(Arc<Node<D>>),
    /// A source the caller named, and what was answered about it before.
    Root(usize, Option<Resolution>),
}

impl<D> Parked<D> {
    /// What need not be tried once more by rule.
    fn tried(&self) -> Vec<Resolution> {
        match &self.place {
            Spot::Root(_, answered) => answered.iter().cloned().collect(),
            _ => self.given.as_ref().map(Given::tried).unwrap_or_default(),
        }
    }
}

/// What waited, and its answer.
pub(super) struct Redo<D> {
    parked: Parked<D>,
    resolution: Resolution,
}

/// What was answered about an entry that is worked on.
pub(super) struct Given<D> {
    dir: Arc<Node<D>>,
    name: CString,
    /// About its place at the target, and what was there when that was asked.
    resolution: Option<Resolution>,
    seen: Option<Stat>,
    has_rights: bool,
}

impl<D> Clone for Given<D> {
    fn clone(&self) -> Given<D> {
        let (dir, name, resolution) = (Arc::clone(&self.dir), self.name.clone(), self.resolution.clone());
        Given { dir, name, resolution, seen: self.seen, has_rights: self.has_rights }
    }
}

impl<D> Given<D> {
    fn is_for(&self, dir: &Arc<Node<D>>, name: &CStr) -> bool {
        Arc::ptr_eq(&self.dir, dir) && self.name.as_c_str() == name
    }

    /// What need not be tried once more by rule.
    fn tried(&self) -> Vec<Resolution> {
        let rights = self.has_rights.then_some(Resolution::RetryWithRights);
        self.resolution.iter().cloned().chain(rights).collect()
    }
}

impl<D: Send + Sync + 'static> Redo<D> {
    fn is_hidden(&self) -> bool {
        matches!(&self.parked.place, Spot::Entry(dir, ..) if dir.is_hidden())
    }
}

impl<V: Visitor> Engine<V> {
    /// Answers become tasks from now on.
    pub(super) fn hear_answers(self: &Arc<Self>) {
        let engine = Arc::downgrade(self);
        self.job.questions.listen(move |answers| {
            let Some(engine) = engine.upgrade() else { return false };
            let redos: Vec<_> = {
                let mut parked = lock(&engine.parked);
                let redo = |(id, resolution): &(u64, Resolution)| {
                    parked.remove(id).map(|parked| Redo { parked, resolution: resolution.clone() })
                };
                answers.iter().filter_map(redo).collect()
            };
            engine.push_counted(redos.into_iter().map(|redo| Task::Redo(Box::new(redo))));
            engine.job.control.wake_all();
            true
        });
    }

    /// Whether there is nothing left to do but to wait for answers.
    pub(super) fn only_waits(&self) -> bool {
        let parked = lock(&self.parked).len();
        parked > 0 && parked == self.outstanding.load(Ordering::Acquire)
    }

    /// Gives it back if it can be worked on now; else it is kept until its stage has a name.
    pub(super) fn unless_hidden(&self, redo: Box<Redo<V::Dir>>) -> Option<Box<Redo<V::Dir>>> {
        let mut deferred = lock(&self.deferred);
        if !redo.is_hidden() {
            return Some(redo);
        }
        deferred.push(*redo);
        None
    }

    /// A stage has its name.
    fn release(self: &Arc<Self>, stage: &Node<V::Dir>) {
        stage.open_stage();
        let (hidden, free) = {
            let mut deferred = lock(&self.deferred);
            std::mem::take(&mut *deferred).into_iter().partition(Redo::is_hidden)
        };
        let free: Vec<Redo<V::Dir>> = free;
        lock(&self.deferred).extend::<Vec<_>>(hidden);
        if !free.is_empty() {
            self.push_counted(free.into_iter().map(|redo| Task::Redo(Box::new(redo))));
        }
    }

    /// After the walk: what nobody answered, or nobody did any more, was not done.
    pub(super) fn drop_questions(&self) {
        let parked: Vec<_> = lock(&self.parked).drain().collect();
        let deferred = std::mem::take(&mut *lock(&self.deferred));
        let answered = deferred.into_iter().chain(self.take_redos()).map(|redo| redo.parked);
        for parked in parked.into_iter().map(|(_, parked)| parked).chain(answered) {
            self.job.fail(parked.question.unanswered());
        }
    }
}

impl<V: Visitor> Worker<V> {
    /// What was answered about an entry's place at the target, and what was there then; nothing is there of an answer that
    /// stands for all.
    pub(crate) fn answer(&self, entry: &Entry<'_, V>) -> Option<(&Resolution, Option<&Stat>)> {
        let given = self.given.as_ref().filter(|given| given.is_for(entry.dir, entry.name))?;
        Some((given.resolution.as_ref()?, given.seen.as_ref()))
    }

    /// What was answered when a directory was left before.
    pub(crate) fn answer_to_end(&self, dir: &Node<V::Dir>) -> Option<&Resolution> {
        let (above, side) = (dir.parent()?, dir.side(End::Source)?);
        self.given.as_ref().filter(|given| given.is_for(above, side.name()))?.resolution.as_ref()
    }

    /// Whether the entry is to be opened for us where its owner can do that.
    pub(crate) fn has_rights(&self, dir: &Arc<Node<V::Dir>>, name: &CStr) -> bool {
        self.given.as_ref().is_some_and(|given| given.has_rights && given.is_for(dir, name))
    }

    /// Whether questions can be asked: without threads the one who could answer may be the one who works.
    pub(crate) fn can_ask(&self) -> bool {
        self.engine.pool.has_threads()
    }

    fn asks_about(&self, error: &Error) -> bool {
        self.engine.job.asks_about(error) && self.can_ask()
    }

    /// Counts a failure of an entry against its directory, or parks the entry with a question. `kind` is what the list said
    /// of it.
    pub(crate) fn settle_entry(&mut self, dir: &Arc<Node<V::Dir>>, name: &CStr, kind: FileType, visit: Visit) {
        if visit.is_ok() {
            return;
        }
        // Another entry may be worked on, of which this one is a part.
        let given = self.given.clone();
        self.settle_or_park(dir, name, kind, visit);
        self.given = given;
    }

    fn settle_or_park(&mut self, dir: &Arc<Node<V::Dir>>, name: &CStr, kind: FileType, mut visit: Visit) {
        loop {
            let question = match visit {
                Err(Stop::Asked(question)) => *question,
                Err(Stop::Failed(error)) if self.asks_about(&error) && is_gone(&error) => {
                    visit = match self.engine.job.wait_for_medium(&error) {
                        Ok(()) => self.attempt(dir, name, kind),
                        Err(Cancelled) => {
                            self.settle(dir, Err::<(), _>(error.into()));
                            return;
                        }
                    };
                    continue;
                }
                Err(Stop::Failed(error)) if self.asks_about(&error) => {
                    let entry = Entry { dir, name, kind, follow: Follow::No };
                    let rights = Arc::clone(&self.engine).visitor.rights(self, &entry, &error);
                    Question::Failure(Failure { error: Arc::new(error), rights })
                }
                settled => {
                    self.settle(dir, settled);
                    return;
                }
            };
            let place = Spot::Entry(Arc::clone(dir), name.to_owned(), kind);
            let given = self.given.clone().filter(|given| given.is_for(dir, name));
            dir.wait();
            let Some((rule, parked)) = self.park(Parked { place, question, given }) else { return };
            dir.end_waiting();
            visit = self.try_again(&parked, &rule, None);
        }
    }

    /// Asks; gives what was to be parked back if an answer stands.
    fn park(&self, parked: Parked<V::Dir>) -> Option<(Resolution, Parked<V::Dir>)> {
        let engine = &self.engine;
        engine.outstanding.fetch_add(1, Ordering::Relaxed);
        let question = parked.question.clone();
        let tried = parked.tried();
        let mut parked = Some(parked);
        let rule = engine.job.questions.ask(question, &tried, |id| {
            lock(&engine.parked).extend(parked.take().map(|parked| (id, parked)));
        })?;
        engine.outstanding.fetch_sub(1, Ordering::AcqRel);
        parked.map(|parked| (rule, parked))
    }

    /// Does an entry again, by an answer. What is answered about its place is kept in mind when it fails later.
    fn try_again(&mut self, parked: &Parked<V::Dir>, resolution: &Resolution, seen: Option<Stat>) -> Visit {
        let Spot::Entry(dir, name, kind) = &parked.place else { return Ok(()) };
        let is_failure = matches!(parked.question, Question::Failure(_));
        if parked.question.is_ended_by(resolution) {
            self.settle(dir, Err::<(), _>(parked.question.unanswered().into()));
            return Ok(());
        }
        let nothing =
            Given { dir: Arc::clone(dir), name: name.clone(), resolution: None, seen: None, has_rights: false };
        let mut given = parked.given.clone().unwrap_or(nothing);
        if is_failure {
            given.has_rights = *resolution == Resolution::RetryWithRights;
        } else {
            given.resolution = Some(resolution.clone());
            given.seen = seen;
        }
        self.given = Some(given);
        self.attempt(dir, name, *kind)
    }

    /// Does what waited, with its answer; gives the directory to go on with.
    pub(super) fn redo(&mut self, redo: Redo<V::Dir>) -> Option<Arc<Node<V::Dir>>> {
        let Redo { parked, resolution } = redo;
        let is_left_out = resolution == Resolution::Skip;
        match &parked.place {
            Spot::Entry(dir, name, kind) => {
                let was_over = dir.resume();
                let seen = parked.question.seen();
                self.show(dir, None);
                let visit = self.try_again(&parked, &resolution, seen);
                self.settle_entry(dir, name, *kind, visit);
                self.given = None;
                if !was_over {
                    dir.end_waiting();
                }
                self.end(dir);
                self.hand_out()
            }
            Spot::End(dir) if is_left_out => {
                self.settle(dir, Err::<(), _>(parked.question.unanswered().into()));
                self.left(dir).into_iter().for_each(|step| self.go_up(step));
                None
            }
            Spot::End(dir) => {
                if let (Some(above), Some(side)) = (dir.parent(), dir.side(End::Source)) {
                    let (dir, name) = (Arc::clone(above), side.name().to_owned());
                    let resolution = Some(resolution);
                    self.given = Some(Given { dir, name, resolution, seen: None, has_rights: false });
                }
                let left = self.leave(dir);
                self.given = None;
                left.into_iter().for_each(|step| self.go_up(step));
                None
            }
            Spot::Root(..) if parked.question.is_ended_by(&resolution) => {
                self.engine.job.fail(parked.question.unanswered());
                None
            }
            Spot::Root(index, _) => {
                self.answered = Some((resolution, parked.question.seen()));
                self.root(*index)
            }
        }
    }

    /// What was answered about the source that is begun, and what was seen of it when that was asked.
    pub(crate) fn answer_to_root(&self) -> Option<(&Resolution, Option<&Stat>)> {
        self.answered.as_ref().map(|(resolution, seen)| (resolution, seen.as_ref()))
    }

    /// A source could not be begun, or is a question. Gives an answer that stands, for another try.
    pub(super) fn root_stopped(&mut self, index: usize, stop: Stop) -> Option<Resolution> {
        let question = match stop {
            Stop::Cancelled => return None,
            Stop::Asked(question) => *question,
            Stop::Failed(error) if self.asks_about(&error) => {
                Question::Failure(Failure { error: Arc::new(error), rights: Err(Unfit::NotAboutRights) })
            }
            Stop::Failed(error) => {
                self.fail(error);
                return None;
            }
        };
        if !self.can_ask() {
            self.fail(question.unanswered());
            return None;
        }
        let answered = self.answered.as_ref().map(|(resolution, _)| resolution.clone());
        let (rule, parked) = self.park(Parked { place: Spot::Root(index, answered), question, given: None })?;
        if parked.question.is_ended_by(&rule) {
            self.fail(parked.question.unanswered());
            return None;
        }
        Some(rule)
    }

    /// The end of a directory's subtree failed, or is a question. Gives it back if nobody is to be asked about it.
    fn end_failed(&mut self, dir: &Arc<Node<V::Dir>>, stop: Stop) -> Visit {
        if dir.parent().is_none() {
            return Err(stop);
        }
        let question = match stop {
            Stop::Asked(question) => *question,
            Stop::Failed(error) if self.asks_about(&error) => {
                Question::Failure(Failure { error: Arc::new(error), rights: Err(Unfit::NotAboutRights) })
            }
            stop => return Err(stop),
        };
        match self.park(Parked { place: Spot::End(Arc::clone(dir)), question, given: None }) {
            Some((_, parked)) => Err(parked.question.unanswered().into()),
            None => Ok(()),
        }
    }

    /// A part of a directory's subtree is over, and perhaps with it the directories above.
    pub(super) fn go_up(&mut self, first: Step<V::Dir>) {
        let (mut next, mut held) = (Some(first), Vec::new());
        while let Some(step) = next.take().or_else(|| held.pop().map(Step::Waited)) {
            next = match step {
                Step::Waited(node) => node.end_waiting().then(|| self.leave(&node)).flatten(),
                Step::Ended(node) => match node.end_subtree() {
                    Left::Busy => None,
                    Left::Nothing => self.leave(&node),
                    Left::Waits(seen) => {
                        self.rest(&node);
                        match node.hold(seen) {
                            false => Some(Step::Ended(node)),
                            true => {
                                let above = node.parent().filter(|_| node.rest()).cloned();
                                held.push(node);
                                above.map(|above| {
                                    above.wait();
                                    Step::Ended(above)
                                })
                            }
                        }
                    }
                },
            };
        }
    }

    /// Only what waits is left in a directory.
    fn rest(&mut self, node: &Arc<Node<V::Dir>>) {
        let engine = Arc::clone(&self.engine);
        if engine.job.control.is_cancelled() {
            return;
        }
        // What it could not do is done, or fails, when the directory is left.
        let _ = engine.visitor.rest_dir(self, node);
        engine.release(node);
    }

    /// Nothing is left in a directory's subtree.
    fn leave(&mut self, node: &Arc<Node<V::Dir>>) -> Option<Step<V::Dir>> {
        let engine = Arc::clone(&self.engine);
        if engine.job.control.is_cancelled() {
            return None;
        }
        let left = match node.has_failed() {
            true => engine.visitor.abandon_dir(self, node),
            false => engine.visitor.leave_dir(self, node),
        };
        let left = match left {
            Err(stop @ (Stop::Failed(_) | Stop::Asked(_))) => match self.end_failed(node, stop) {
                Err(stop) => Err(stop),
                // Above it, it is one more that waits.
                Ok(()) if node.rest() => {
                    let above = node.parent()?;
                    above.wait();
                    return Some(Step::Ended(Arc::clone(above)));
                }
                Ok(()) => return None,
            },
            left => left,
        };
        self.settle(node, left);
        self.left(node)
    }

    /// A directory's subtree is over for good.
    fn left(&mut self, node: &Arc<Node<V::Dir>>) -> Option<Step<V::Dir>> {
        node.close();
        let above = node.parent()?;
        if node.has_failed() {
            above.set_failed();
        }
        let above = Arc::clone(above);
        Some(if node.is_resting() { Step::Waited(above) } else { Step::Ended(above) })
    }
}

/// Whether an error says that the medium is not there, or nobody serves the mount any more: every further call says so too.
fn is_gone(error: &Error) -> bool {
    matches!(error.source.raw_os_error(), Some(libc::ENODEV | libc::ENXIO | libc::ENOTCONN | libc::ESHUTDOWN))
}

/// What is over in a directory's subtree.
pub(super) enum Step<D> {
    /// Itself, or a directory in it.
    Ended(Arc<Node<D>>),
    /// Something that waited.
    Waited(Arc<Node<D>>),
}
