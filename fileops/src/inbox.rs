//! The questions of an operation that are open: the workers' end, which asks, and the caller's, which answers.

use crate::control::lock;
use crate::question::{Open, Question, QuestionKind, Resolution, Scope, Unfit};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The questions of an operation, to be answered from any thread, also while the [`Operation`](crate::Operation) itself is
/// awaited elsewhere. Clones are the same inbox.
///
/// When the last clone and the operation's handle are gone, nobody can answer any more: what is asked is then left out, and
/// the report names it.
#[derive(Clone)]
pub struct Inbox(Arc<Answerer>);

struct Answerer(Arc<Questions>);

impl Drop for Answerer {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Inbox {
    pub(crate) fn new(questions: &Arc<Questions>) -> Inbox {
        Inbox(Arc::new(Answerer(Arc::clone(questions))))
    }

    /// The questions that are open, oldest first. Where there are rules for everything there are none: see
    /// [`OnConflict::Ask`](crate::OnConflict::Ask) and [`OnError::Ask`](crate::OnError::Ask).
    pub fn questions(&self) -> Vec<Open> {
        self.0.0.open()
    }

    /// The next question that was not given here before; `None` when there will be no more.
    pub fn question(&self) -> NextQuestion {
        NextQuestion(Arc::clone(&self.0.0))
    }

    /// Answers a question, or all that are like it, in any order. What is answered is worked on at once, or when the new
    /// tree that it is in has its name.
    ///
    /// # Errors
    /// Why the answer does not fit; the question then stays open.
    pub fn answer(&self, id: u64, resolution: Resolution, scope: Scope) -> Result<(), Unfit> {
        self.0.0.answer(id, &resolution, scope)
    }
}

/// The future of the next question, see [`Inbox::question`]. Dropping it changes nothing.
#[must_use = "a future does nothing until it is polled"]
pub struct NextQuestion(Arc<Questions>);

impl Future for NextQuestion {
    type Output = Option<Open>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Open>> {
        self.0.poll_next(context)
    }
}

/// Told of all answers, by question, and takes those to its own; says whether it goes on listening. An operation that does
/// another one as a part of it has several.
type Listener = Arc<dyn Fn(&[(u64, Resolution)]) -> bool + Send + Sync>;

/// What an answer may want of the operation as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Stop,
    Resume,
}

type Obey = Arc<dyn Fn(Order) + Send + Sync>;

/// The questions of one operation: the workers' end.
#[derive(Default)]
pub(crate) struct Questions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    open: BTreeMap<u64, Question>,
    /// Up to which question somebody was told by [`Questions::poll_next`].
    told: u64,
    /// What stands for questions still to come.
    rules: HashMap<QuestionKind, Resolution>,
    rule_for_all: Option<Resolution>,
    is_closed: bool,
    is_abandoned: bool,
    listeners: Vec<Listener>,
    obey: Option<Obey>,
    wakers: Vec<Waker>,
}

impl State {
    fn open_new(&mut self, question: Question, park: impl FnOnce(u64)) {
        self.last += 1;
        park(self.last);
        self.open.insert(self.last, question);
    }

    fn rule(&self, question: &Question) -> Option<Resolution> {
        let mut rules = self.rules.get(&question.kind()).into_iter().chain(&self.rule_for_all);
        rules.find(|rule| question.allows(rule).is_ok()).cloned()
    }
}

impl Questions {
    /// Where answers are heard of. None comes before.
    pub(crate) fn listen(&self, listener: impl Fn(&[(u64, Resolution)]) -> bool + Send + Sync + 'static) {
        lock(&self.state).listeners.push(Arc::new(listener));
    }

    fn tell(&self, answers: &[(u64, Resolution)]) {
        let listeners = lock(&self.state).listeners.clone();
        let gone: Vec<_> = listeners.into_iter().filter(|listener| !listener(answers)).collect();
        let is_gone = |listener: &Listener| gone.iter().any(|gone| Arc::ptr_eq(gone, listener));
        lock(&self.state).listeners.retain(|listener| !is_gone(listener));
    }

    /// Asks, unless an answer stands that was not tried in vain just now. `park` keeps what the question is about, before
    /// anybody can answer.
    pub(crate) fn ask(&self, question: Question, tried: &[Resolution], park: impl FnOnce(u64)) -> Option<Resolution> {
        let mut state = lock(&self.state);
        if let Some(rule) = state.rule(&question).filter(|rule| !tried.contains(rule)) {
            return Some(rule);
        }
        state.open_new(question, park);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        None
    }

    /// How an answer ends the operation, or lets it go on.
    pub(crate) fn obey(&self, obey: impl Fn(Order) + Send + Sync + 'static) {
        lock(&self.state).obey = Some(Arc::new(obey));
    }

    /// Asks what nothing is parked for, unless the like of it is asked already.
    pub(crate) fn ask_once(&self, question: Question) {
        let mut state = lock(&self.state);
        if state.is_abandoned {
            let obey = state.obey.clone();
            drop(state);
            obey.into_iter().for_each(|obey| obey(Order::Stop));
            return;
        }
        if !state.open.values().any(|open| open.kind() == question.kind()) {
            state.open_new(question, |_| {});
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the operation; all that is open is then reported as not done.
    fn stop(&self, id: u64) -> Result<(), Unfit> {
        let obey = {
            let state = lock(&self.state);
            if !state.open.contains_key(&id) {
                return Err(Unfit::NotOpen);
            }
            state.obey.clone()
        };
        obey.into_iter().for_each(|obey| obey(Order::Stop));
        Ok(())
    }

    /// Nobody will answer any more: what is asked is left out.
    fn abandon(&self) {
        let mut state = lock(&self.state);
        state.is_abandoned = true;
        state.rules.clear();
        state.rule_for_all = Some(Resolution::Skip);
        // What cannot be left out is the end.
        let cannot_skip = |question: &Question| question.allows(&Resolution::Skip).is_err();
        let obey = state.obey.clone().filter(|_| state.open.values().any(cannot_skip));
        let open = std::mem::take(&mut state.open);
        drop(state);
        obey.into_iter().for_each(|obey| obey(Order::Stop));
        let answers: Vec<_> = open.into_keys().map(|id| (id, Resolution::Skip)).collect();
        if !answers.is_empty() {
            self.tell(&answers);
        }
    }

    /// Takes an answer for one question or for many.
    fn answer(&self, id: u64, resolution: &Resolution, scope: Scope) -> Result<(), Unfit> {
        if *resolution == Resolution::Stop {
            return self.stop(id);
        }
        let mut state = lock(&self.state);
        let question = state.open.get(&id).ok_or(Unfit::NotOpen)?;
        question.allows(resolution)?;
        let kind = question.kind();
        if scope != Scope::This && matches!(resolution, Resolution::Rename(_)) {
            return Err(Unfit::OneOnly);
        }
        let is_meant = |(_, question): &(&u64, &Question)| match scope {
            Scope::This => false,
            Scope::Kind => question.kind() == kind && question.allows(resolution).is_ok(),
            Scope::All => question.allows(resolution).is_ok(),
        };
        // Answers for single ones, of which there may be many, look at no others.
        let ids: Vec<u64> = match scope {
            Scope::This => vec![id],
            _ => state.open.iter().filter(is_meant).map(|(id, _)| *id).collect(),
        };
        // What fails again when it is tried again must not be tried without end.
        let can_stand = *resolution != Resolution::Retry;
        match scope {
            Scope::Kind if can_stand => {
                state.rules.insert(kind, resolution.clone());
            }
            Scope::All if can_stand => {
                state.rules.clear();
                state.rule_for_all = Some(resolution.clone());
            }
            _ => {}
        }
        ids.iter().for_each(|id| drop(state.open.remove(id)));
        let obey = state.obey.clone().filter(|_| kind == QuestionKind::MediumGone);
        drop(state);
        obey.into_iter().for_each(|obey| obey(Order::Resume));
        let answers: Vec<_> = ids.into_iter().map(|id| (id, resolution.clone())).collect();
        self.tell(&answers);
        Ok(())
    }

    fn open(&self) -> Vec<Open> {
        let state = lock(&self.state);
        state.open.iter().map(|(&id, question)| Open { id, question: question.clone() }).collect()
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.state).open.len()
    }

    /// The next question that nobody was told of; `None` when there will be no more.
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Open>> {
        let mut state = lock(&self.state);
        let after = state.told + 1;
        if let Some((&id, question)) = state.open.range(after..).next() {
            let question = question.clone();
            state.told = id;
            return Poll::Ready(Some(Open { id, question }));
        }
        if state.is_closed {
            return Poll::Ready(None);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// No question will come, and no answer is heard of any more.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        let (wakers, listeners) = (std::mem::take(&mut state.wakers), std::mem::take(&mut state.listeners));
        let obey = state.obey.take();
        let open = std::mem::take(&mut state.open);
        drop(state);
        drop((listeners, obey, open));
        wakers.into_iter().for_each(Waker::wake);
    }
}
