//! Lines of standard input, read for the first question and left alone without one.

use std::io::{BufRead, stdin};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, Thread};

/// The longest line that can be an answer: no name of a file is longer than a few KiB, whatever is escaped in it.
pub(crate) const LONGEST: usize = 64 << 10;

/// So many lines are read ahead of the questions.
const WAITING: usize = 16;

#[derive(Default)]
pub(crate) struct Input {
    lines: Option<Receiver<Vec<u8>>>,
    has_ended: bool,
}

impl Input {
    /// Somebody is asked: starts reading, on a thread of its own, since a cancelled operation must not wait for a line.
    pub(crate) fn open(&mut self) {
        self.lines.get_or_insert_with(|| {
            let (lines, received) = sync_channel(WAITING);
            let asker = thread::current();
            // Without a thread `lines` is dropped, which says that there is no input.
            let _ = thread::Builder::new().name("answers".to_owned()).spawn(move || {
                read(&lines, &asker);
                drop(lines);
                asker.unpark();
            });
            received
        });
    }

    /// A line that has come.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.as_ref()?.try_recv();
        self.has_ended |= matches!(line, Err(TryRecvError::Disconnected));
        line.ok()
    }

    /// Whether no line will come any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }
}

/// Hands on lines until the input ends. Of a line that is too long nothing is kept but so much that it can be told.
fn read(lines: &SyncSender<Vec<u8>>, asker: &Thread) {
    let mut input = stdin().lock();
    let mut line = Vec::new();
    loop {
        let Ok(found) = input.fill_buf() else { return };
        let (end, is_whole) = match found.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end, true),
            None => (found.len(), false),
        };
        let is_over = found.is_empty();
        let room = (LONGEST + 1).saturating_sub(line.len());
        line.extend_from_slice(&found[..end.min(room)]);
        input.consume(end + usize::from(is_whole));
        if is_over && line.is_empty() {
            return;
        }
        if is_over || is_whole {
            if lines.send(std::mem::take(&mut line)).is_err() {
                return;
            }
            asker.unpark();
        }
    }
}
