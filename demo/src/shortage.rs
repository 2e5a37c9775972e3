//! The question that a full target raises, when the operation was told to pause for it.

use crate::out::{Out, complain};
use crate::signals::Held;
use crate::{json, messages};
use fileops::{Operation, Shortage};
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, Thread};

/// How the question is put, and an answer understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// A person at a terminal.
    Prompt,
    /// A program that reads lines of JSON.
    Json,
    /// Nobody is known to listen: the end of the input is an answer too.
    Input,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Retry,
    Cancel,
    /// Something else was typed.
    Unclear,
}

pub(crate) struct Question {
    manner: Manner,
    is_open: bool,
    /// From the thread that reads the answers; it is started for the first question, and the input left alone without one.
    answers: Option<Receiver<Answer>>,
}

impl Question {
    pub(crate) fn new(is_json: bool) -> Question {
        let manner = match is_json {
            true => Manner::Json,
            false if stdin().is_terminal() && stderr().is_terminal() => Manner::Prompt,
            false => Manner::Input,
        };
        Question { manner, is_open: false, answers: None }
    }

    /// Whether an answer is waited for, on a screen that is not to be drawn over.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Asks if there is something new to ask, and obeys an answer that has come.
    pub(crate) fn look(&mut self, held: &Held, out: &mut Out, before: impl FnOnce()) {
        if !self.is_open {
            let Some(shortage) = held.with(Operation::shortage).flatten() else { return };
            self.is_open = true;
            before();
            self.ask(&shortage, out);
        }
        match self.answer() {
            None => {}
            Some(Answer::Unclear) => self.prompt(),
            Some(Answer::Retry) => {
                self.is_open = false;
                held.with(Operation::resume);
            }
            // The question stays open: after a cancel there is nothing more to ask.
            Some(Answer::Cancel) => {
                held.with(Operation::cancel);
            }
        }
    }

    fn ask(&mut self, shortage: &Shortage, out: &mut Out) {
        match self.manner {
            Manner::Json => out.line(&json::shortage(shortage)),
            Manner::Prompt | Manner::Input => complain(&messages::shortage(shortage)),
        }
        self.prompt();
        let manner = self.manner;
        self.answers.get_or_insert_with(|| read_answers(manner));
    }

    fn prompt(&self) {
        if self.manner == Manner::Prompt {
            // There is nobody to tell when this fails.
            let _ = stderr().write_all(b"[r]etry or [c]ancel? ");
        }
    }

    fn answer(&self) -> Option<Answer> {
        match self.answers.as_ref()?.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            // The input has ended, or could not be read.
            Err(TryRecvError::Disconnected) => Some(Answer::Cancel),
        }
    }
}

/// Reads on a thread of its own, since a cancelled operation must not wait for a line.
fn read_answers(manner: Manner) -> Receiver<Answer> {
    let (answers, received) = channel();
    let asker = thread::current();
    // Without a thread `answers` is dropped, which says that there is no answer.
    let _ = thread::Builder::new().name("answers".to_owned()).spawn(move || {
        read_lines(manner, &answers, &asker);
        drop(answers);
        asker.unpark();
    });
    received
}

fn read_lines(manner: Manner, answers: &Sender<Answer>, asker: &Thread) {
    for line in stdin().lock().split(b'\n') {
        let Ok(line) = line else { return };
        if answers.send(understand(manner, &line)).is_err() {
            return;
        }
        asker.unpark();
    }
}

fn understand(manner: Manner, line: &[u8]) -> Answer {
    let line = String::from_utf8_lossy(line);
    let word = match manner {
        Manner::Json => {
            let object = serde_json::from_str::<serde_json::Value>(&line).unwrap_or_default();
            object["do"].as_str().unwrap_or_default().to_owned()
        }
        Manner::Prompt | Manner::Input => line.trim().to_lowercase(),
    };
    match word.as_str() {
        "retry" => Answer::Retry,
        "cancel" => Answer::Cancel,
        "r" if manner != Manner::Json => Answer::Retry,
        "c" if manner != Manner::Json => Answer::Cancel,
        _ => Answer::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood_in_the_manner_of_the_question() {
        assert_eq!(understand(Manner::Prompt, b"R \n"), Answer::Retry);
        assert_eq!(understand(Manner::Input, b"cancel"), Answer::Cancel);
        assert_eq!(understand(Manner::Prompt, b""), Answer::Unclear);
        assert_eq!(understand(Manner::Json, br#"{"do":"retry"}"#), Answer::Retry);
        assert_eq!(understand(Manner::Json, b"retry"), Answer::Unclear);
        assert_eq!(understand(Manner::Json, b"\xff"), Answer::Unclear);
    }
}
