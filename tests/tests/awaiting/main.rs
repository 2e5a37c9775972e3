//! `fileops::fs`: what its calls do, what is answered where, and that the thread which polls never waits.

mod calls;
mod dirs;
mod drops;
mod files;
mod lanes;
mod memory;
mod waits;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// What the first poll gives.
fn first_poll<F: Future>(call: F) -> Poll<F::Output> {
    let mut call = pin!(call);
    Pin::as_mut(&mut call).poll(&mut Context::from_waker(Waker::noop()))
}
