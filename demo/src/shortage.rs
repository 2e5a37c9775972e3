//! The question that a full target raises, when the operation was told to pause for it.

use crate::input::Input;
use crate::out::{Out, complain};
use crate::signals::Held;
use crate::{json, messages};
use fileops::{Operation, Shortage};
use std::io::{IsTerminal, Write, stderr, stdin};

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

pub(crate) struct Pause {
    manner: Manner,
    is_open: bool,
}

impl Pause {
    pub(crate) fn new(is_json: bool) -> Pause {
        let manner = match is_json {
            true => Manner::Json,
            false if stdin().is_terminal() && stderr().is_terminal() => Manner::Prompt,
            false => Manner::Input,
        };
        Pause { manner, is_open: false }
    }

    /// Whether an answer is waited for, on a screen that is not to be drawn over.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Asks if there is something new to ask.
    pub(crate) fn look(&mut self, held: &Held, input: &mut Input, out: &mut Out, before: impl FnOnce()) {
        if !self.is_open {
            let Some(shortage) = held.with(Operation::shortage).flatten() else { return };
            self.is_open = true;
            before();
            self.ask(&shortage, out);
            input.open();
        }
        if input.has_ended() {
            self.obey(Answer::Cancel, held);
        }
    }

    pub(crate) fn hear(&mut self, line: &[u8], held: &Held) {
        self.obey(understand(self.manner, line), held);
    }

    fn obey(&mut self, answer: Answer, held: &Held) {
        match answer {
            Answer::Unclear => self.prompt(),
            Answer::Retry => {
                self.is_open = false;
                held.with(Operation::resume);
            }
            // The question stays open: after a cancel there is nothing more to ask.
            Answer::Cancel => {
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
    }

    fn prompt(&self) {
        if self.manner == Manner::Prompt {
            // There is nobody to tell when this fails.
            let _ = stderr().write_all(b"[r]etry or [c]ancel? ");
        }
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
