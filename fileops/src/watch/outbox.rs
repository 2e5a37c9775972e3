//! Between the thread that watches and whoever reads: a queue with an end.

use super::event::{Event, Why};
use crate::control::lock;
use crate::error::Result;
use crate::sys::wake::Wake;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

pub(super) struct Outbox {
    state: Mutex<State>,
    /// Wakes the thread when nobody reads any more.
    pub(super) closed: Wake,
    capacity: usize,
    root: PathBuf,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    reader: Option<Waker>,
    is_closed: bool,
    /// The thread is gone.
    is_over: bool,
    begun: Option<Result<()>>,
}

impl Outbox {
    pub(super) fn new(root: PathBuf, capacity: usize) -> io::Result<Outbox> {
        Ok(Outbox { state: Mutex::default(), closed: Wake::new()?, capacity: capacity.max(2), root })
    }

    /// Everything that happens from now on is told, or it cannot be watched at all. Only the first answer counts.
    pub(super) fn begin(&self, answer: Result<()>) {
        let mut state = lock(&self.state);
        if !state.is_over && state.begun.is_none() {
            state.begun = Some(answer);
            wake(state);
        }
    }

    /// Whether somebody was told that it has begun.
    pub(super) fn has_begun(&self) -> bool {
        lock(&self.state).begun.is_some()
    }

    /// Hands events on. Those that nobody took are worth nothing once one is lost: then all are, and one says so.
    pub(super) fn put(&self, events: impl IntoIterator<Item = Event>) {
        let mut state = lock(&self.state);
        for event in events {
            if state.queue.len() == self.capacity {
                state.queue.clear();
                state.queue.push_back(Event::Rescan { path: self.root.clone(), why: Why::NotRead });
            }
            // What is said twice in a row is said once.
            let is_again = matches!(event, Event::Rescan { .. }) && state.queue.back() == Some(&event);
            if !is_again {
                state.queue.push_back(event);
            }
        }
        if !state.queue.is_empty() {
            wake(state);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    /// Nobody reads any more.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.queue = VecDeque::new();
        drop(state);
        self.closed.ring();
    }

    /// The thread ends, for whatever reason.
    pub(super) fn end(&self) {
        let mut state = lock(&self.state);
        state.is_over = true;
        wake(state);
    }

    pub(super) fn poll_begun(&self, context: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let mut state = lock(&self.state);
        if let Some(answer) = &mut state.begun {
            // Something stays for `has_begun`.
            return Poll::Ready(Some(std::mem::replace(answer, Ok(()))));
        }
        if state.is_over { Poll::Ready(None) } else { wait(&mut state, context) }
    }

    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = lock(&self.state);
        match state.queue.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.is_over => Poll::Ready(None),
            None => wait(&mut state, context),
        }
    }
}

fn wait<T>(state: &mut State, context: &mut Context<'_>) -> Poll<T> {
    match &mut state.reader {
        Some(waker) => waker.clone_from(context.waker()),
        none => *none = Some(context.waker().clone()),
    }
    Poll::Pending
}

/// Without the lock: a waker may run anything.
fn wake(mut state: std::sync::MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}
