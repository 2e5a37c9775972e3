//! Bytes that are written behind their writer's back, in order, by one worker at a time.

use super::file::File;
use crate::control::lock;
use crate::error::{Action, Error, Result};
use crate::pool::Pool;
use crate::sys::data;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// What one write passes on at most, and what is collected before a worker is asked.
const MOST: usize = 512 << 10;

/// Full buffers that may wait for the worker.
const QUEUED: usize = 2;

/// The writer's end.
pub(super) struct Behind {
    /// What is collected, and not yet given to the worker.
    filling: Vec<u8>,
    /// Whether something was written since the writer rested.
    is_active: bool,
    shared: Arc<Shared>,
}

/// What the writer and the worker share.
struct Shared {
    /// The open file: it stays open until everything is written.
    file: File,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Buffer>,
    /// Where the first byte of the queue goes.
    offset: u64,
    /// Why the worker stopped. What it could not write is in the queue still.
    error: Option<io::Error>,
    is_running: bool,
    waker: Option<Waker>,
    spare: Vec<Vec<u8>>,
}

struct Buffer {
    bytes: Vec<u8>,
    written: usize,
}

impl Behind {
    pub(super) fn new(file: &File) -> Behind {
        let shared = Shared { file: file.clone(), state: Mutex::default() };
        Behind { filling: Vec::new(), is_active: false, shared: Arc::new(shared) }
    }

    /// Takes bytes that go to `position`; the first error since is told before any is taken.
    pub(super) fn poll_write(&mut self, position: u64, bytes: &[u8], context: &mut Context<'_>) -> Poll<Result<usize>> {
        let mut state = lock(&self.shared.state);
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(self.blame(error)));
        }
        if !std::mem::replace(&mut self.is_active, true) {
            state.offset = position;
        }
        if self.filling.len() >= MOST {
            if state.queue.len() >= QUEUED {
                state.waker = Some(context.waker().clone());
                let is_idle = !std::mem::replace(&mut state.is_running, true);
                drop(state);
                if is_idle {
                    self.start();
                }
                return Poll::Pending;
            }
            let next = state.spare.pop().unwrap_or_default();
            let bytes = std::mem::replace(&mut self.filling, next);
            state.queue.push_back(Buffer { bytes, written: 0 });
            let is_idle = !std::mem::replace(&mut state.is_running, true);
            drop(state);
            if is_idle {
                self.start();
            }
        } else {
            drop(state);
        }
        if self.filling.capacity() < MOST && self.filling.len() + bytes.len() > self.filling.capacity() {
            // Twice as much each time: a short file needs no large buffer.
            let wanted = (self.filling.len() + bytes.len()).next_power_of_two().min(MOST);
            self.filling.reserve_exact(wanted.saturating_sub(self.filling.len()));
        }
        let length = bytes.len().min(MOST - self.filling.len());
        self.filling.extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    /// Ready when everything that was taken is with the file.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = lock(&self.shared.state);
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(self.blame(error)));
        }
        if !self.filling.is_empty() {
            let next = state.spare.pop().unwrap_or_default();
            let bytes = std::mem::replace(&mut self.filling, next);
            state.queue.push_back(Buffer { bytes, written: 0 });
        }
        if state.queue.is_empty() && !state.is_running {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(context.waker().clone());
        let is_idle = !std::mem::replace(&mut state.is_running, true);
        drop(state);
        if is_idle {
            self.start();
        }
        Poll::Pending
    }

    /// After a flush: the next write may go elsewhere.
    pub(super) fn rest(&mut self) {
        self.is_active = false;
    }

    fn blame(&self, error: io::Error) -> Error {
        Error::new(Action::Write, self.shared.file.path(), error)
    }

    /// Gives the queue to a worker, whoever waits for it or not: what was taken is written even if the writer goes.
    fn start(&self) {
        let run = Run { shared: Arc::clone(&self.shared), is_over: false };
        Pool::global().leave_at(self.shared.file.path(), move || run.write());
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        if !self.filling.is_empty() {
            let bytes = std::mem::take(&mut self.filling);
            state.queue.push_back(Buffer { bytes, written: 0 });
        }
        // Nobody is left to be told of an error; one that was not told yet does not stop the rest from being tried.
        state.error = None;
        let is_wanted = !state.queue.is_empty() && !std::mem::replace(&mut state.is_running, true);
        drop(state);
        if is_wanted {
            self.start();
        }
    }
}

/// A worker's turn. If it is given up, or panics, the writer is told.
struct Run {
    shared: Arc<Shared>,
    is_over: bool,
}

impl Run {
    /// Writes until nothing is left, or until it fails.
    fn write(mut self) {
        loop {
            let mut state = lock(&self.shared.state);
            let (Some(mut buffer), None) = (state.queue.pop_front(), &state.error) else {
                self.is_over = true;
                return self.rest(state);
            };
            let mut offset = state.offset;
            drop(state);
            let failed = write_all(self.shared.file.as_fd(), &mut buffer, &mut offset).err();
            let mut state = lock(&self.shared.state);
            state.offset = offset;
            match failed {
                None => {
                    buffer.bytes.clear();
                    state.spare.push(buffer.bytes);
                    // Room for one more; with some left to be written, the writer need not hurry.
                    if state.queue.is_empty() {
                        continue;
                    }
                    let waker = state.waker.take();
                    drop(state);
                    waker.into_iter().for_each(Waker::wake);
                }
                Some(error) => {
                    state.queue.push_front(buffer);
                    state.error = Some(error);
                    self.is_over = true;
                    return self.rest(state);
                }
            }
        }
    }

    fn rest(&self, mut state: std::sync::MutexGuard<'_, State>) {
        state.is_running = false;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = lock(&self.shared.state);
            state.error.get_or_insert_with(|| io::Error::other("the write was given up"));
            self.rest(state);
        }
    }
}

fn write_all(file: impl AsFd, buffer: &mut Buffer, offset: &mut u64) -> io::Result<()> {
    while buffer.written < buffer.bytes.len() {
        let rest = &buffer.bytes[buffer.written..];
        let length = match data::write_at(&file, rest, *offset) {
            // A FIFO, a terminal: there are no positions.
            Err(error) if error.raw_os_error() == Some(libc::ESPIPE) => data::write(&file, rest)?,
            answer => answer?,
        };
        buffer.written += length;
        *offset += length as u64;
    }
    Ok(())
}
