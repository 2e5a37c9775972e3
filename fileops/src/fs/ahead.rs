//! A call that is under way before anybody waits for it.

use super::call::{Call, Outcome};
use super::subject::{Subject, Wants};
use crate::error::{Action, Result};
use crate::pool::{Pool, Priority};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A call in the lane of a path, which a worker makes.
pub(super) fn call_at<T: Send + 'static>(
    action: Action,
    path: &Path,
    run: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Call<T> {
    Call::new(Subject::new(action, path, Wants::Opened), move |_| run())
}

/// Who makes the calls of a stream or a batch, and when.
#[derive(Clone, Default)]
pub(super) struct Asking {
    pub(super) pool: Option<Pool>,
    pub(super) priority: Priority,
}

impl Asking {
    /// Begins a call in the lane of a path.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        action: Action,
        path: &Path,
        run: impl FnOnce() -> Outcome<T> + Send + 'static,
    ) -> Ahead<T> {
        let call = call_at(action, path, run).priority(self.priority);
        Ahead::begin(match &self.pool {
            Some(pool) => call.on(pool),
            None => call,
        })
    }
}

/// A call that was begun. Dropped, it is taken back, or its answer is.
pub(super) enum Ahead<T> {
    Asked(Call<T>),
    /// It was answered while it was begun.
    Here(Option<Result<T>>),
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins a call. Nobody is woken when it ends, until somebody polls.
    pub(super) fn begin(mut call: Call<T>) -> Ahead<T> {
        match Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Ahead::Here(Some(answer)),
            Poll::Pending => Ahead::Asked(call),
        }
    }

    /// The answer, once.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        match self {
            Ahead::Asked(call) => Pin::new(call).poll(context),
            Ahead::Here(answer) => Poll::Ready(answer.take().expect("an answer is taken once")),
        }
    }
}
