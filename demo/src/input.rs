//! Lines of standard input, read for the first question and left alone without one.

use std::io::{BufRead, stdin};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, Thread};

#[derive(Default)]
pub(crate) struct Input {
    lines: Option<Receiver<Vec<u8>>>,
    has_ended: bool,
}

impl Input {
    /// Somebody is asked: starts reading, on a thread of its own, since a cancelled operation must not wait for a line.
    pub(crate) fn open(&mut self) {
        self.lines.get_or_insert_with(|| {
            let (lines, received) = channel();
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

fn read(lines: &Sender<Vec<u8>>, asker: &Thread) {
    for line in stdin().lock().split(b'\n') {
        let Ok(line) = line else { return };
        if lines.send(line).is_err() {
            return;
        }
        asker.unpark();
    }
}
