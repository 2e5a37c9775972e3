//! One act after the other, on the operation's own thread. What is a question waits, and with it what depends on it;
//! everything else goes on.

use super::retry;
use crate::control::{For, lock};
use crate::engine::{Stop, Visit};
use crate::error::Error;
use crate::operation::Job;
use crate::progress::{Counters, add};
use crate::question::{Failure, Question, Resolution, Unfit};
use crate::sys::stat::Stat;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// What was answered about something, and what was seen when it was asked; nothing was of an answer that stands for all.
pub(super) type Answer<'a> = Option<(&'a Resolution, Option<&'a Stat>)>;

/// What is to be done.
pub(super) trait Turns {
    /// How many acts there are.
    fn count(&self) -> usize;

    /// Does one. `Stop::Cancelled` ends them all.
    fn act(&mut self, index: usize, answer: Answer<'_>) -> Visit;

    /// What one is about: it waits while one before it does that is about the same, about what is above or what is below.
    fn paths(&self, index: usize) -> Vec<PathBuf>;
}

/// Does them all; gives whether none failed or was given up.
pub(super) fn run(turns: &mut impl Turns, job: &Arc<Job>, can_ask: bool, retries: u32) -> bool {
    let answers = Arc::<Mutex<VecDeque<(u64, Resolution)>>>::default();
    let (heard, control) = (Arc::downgrade(&answers), Arc::clone(&job.control));
    job.questions.listen(move |answers| {
        let Some(heard) = heard.upgrade() else { return false };
        lock(&heard).extend(answers.iter().cloned());
        control.wake_all();
        true
    });
    let (parked, behind, waiting) = Default::default();
    let counters = job.meter.counters();
    let mut line = Line { job, counters, can_ask, retries, parked, behind, waiting, is_whole: true, is_over: false };
    (0..turns.count()).for_each(|index| line.take(turns, index));
    while !line.parked.is_empty() && !line.is_over {
        match line.next_answer(&answers) {
            Some((id, resolution)) => line.hear(turns, id, resolution),
            None => break,
        }
    }
    line.end()
}

struct Line<'a> {
    job: &'a Arc<Job>,
    counters: Arc<Counters>,
    can_ask: bool,
    retries: u32,
    /// What waits for an answer, by question.
    parked: BTreeMap<u64, Parked>,
    /// What waits for one of those, in order.
    behind: Vec<usize>,
    /// What these are about, in an order in which what is below a path follows it.
    waiting: BTreeSet<PathBuf>,
    is_whole: bool,
    is_over: bool,
}

struct Parked {
    index: usize,
    question: Question,
}

impl Line<'_> {
    fn next_answer(&self, answers: &Mutex<VecDeque<(u64, Resolution)>>) -> Option<(u64, Resolution)> {
        let waits = Arc::new(AtomicBool::new(true));
        let shown = Arc::clone(&waits);
        self.job.show_waiting(move || shown.load(Relaxed));
        let answer = self.job.control.wait(For::Change, None, || lock(answers).pop_front());
        waits.store(false, Relaxed);
        answer.ok().flatten()
    }

    fn hear(&mut self, turns: &mut impl Turns, id: u64, resolution: Resolution) {
        // Others hear of the same answers.
        let Some(Parked { index, question }) = self.parked.remove(&id) else { return };
        self.waiting = self.parked.values().flat_map(|parked| turns.paths(parked.index)).collect();
        if question.is_ended_by(&resolution) {
            self.fail(question.unanswered());
        } else {
            self.attempt(turns, index, Some((resolution, question.seen())));
        }
        std::mem::take(&mut self.behind).into_iter().for_each(|index| self.take(turns, index));
    }

    /// Does one, unless it has to wait.
    fn take(&mut self, turns: &mut impl Turns, index: usize) {
        if !self.waiting.is_empty() && turns.paths(index).iter().any(|path| self.is_waiting(path)) {
            self.behind.push(index);
            self.waiting.extend(turns.paths(index));
        } else {
            self.attempt(turns, index, None);
        }
    }

    fn is_waiting(&self, path: &Path) -> bool {
        let below = self.waiting.range::<Path, _>((Bound::Included(path), Bound::Unbounded)).next();
        below.is_some_and(|other| other.starts_with(path)) || path.ancestors().any(|above| self.waiting.contains(above))
    }

    fn attempt(&mut self, turns: &mut impl Turns, index: usize, mut answer: Option<(Resolution, Option<Stat>)>) {
        loop {
            if self.is_over || self.job.checkpoint().is_err() {
                (self.is_over, self.is_whole) = (true, false);
                return;
            }
            let given = answer.as_ref().map(|(resolution, seen)| (resolution, seen.as_ref()));
            let question = match retry::persist(self.retries, self.job, || turns.act(index, given)) {
                Ok(()) => return,
                Err(Stop::Cancelled) => {
                    (self.is_over, self.is_whole) = (true, false);
                    return;
                }
                Err(Stop::Asked(question)) if self.can_ask => *question,
                Err(Stop::Asked(question)) => return self.fail(question.unanswered()),
                Err(Stop::Failed(error)) if self.can_ask && self.job.asks_about(&error) => {
                    Question::Failure(Failure { error: Arc::new(error), rights: Err(Unfit::NotAboutRights) })
                }
                Err(Stop::Failed(error)) => return self.fail(error),
            };
            let tried: Vec<_> = answer.iter().map(|(resolution, _)| resolution.clone()).collect();
            let parked = Parked { index, question: question.clone() };
            let rule = self.job.questions.ask(question.clone(), &tried, |id| drop(self.parked.insert(id, parked)));
            match rule {
                None => {
                    self.waiting.extend(turns.paths(index));
                    return;
                }
                Some(rule) if question.is_ended_by(&rule) => return self.fail(question.unanswered()),
                Some(rule) => answer = Some((rule, None)),
            }
        }
    }

    fn fail(&mut self, error: Error) {
        self.is_whole = false;
        add(&self.counters.passed, 1);
        self.job.fail_by_rule(error);
    }

    /// What nobody answered was not done.
    fn end(mut self) -> bool {
        for parked in std::mem::take(&mut self.parked).into_values() {
            self.fail(parked.question.unanswered());
        }
        self.is_whole && self.behind.is_empty()
    }
}
