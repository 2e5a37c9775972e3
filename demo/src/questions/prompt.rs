//! Questions to a person at a terminal: together, when everything else is done. Enter loses nothing.

use crate::input::Input;
use crate::messages;
use crate::out::complain;
use crate::signals::Held;
use fileops::{Comparison, Open, Operation, Phase, Question, QuestionKind, Resolution, Scope, Unfit};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{Write, stderr};
use std::os::unix::ffi::OsStrExt;

#[derive(Default)]
pub(crate) struct Prompt {
    /// The first is on the screen.
    queue: VecDeque<Open>,
    is_shown: bool,
    wants_name: bool,
    comparison: Option<Comparison>,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Answer(Resolution, Scope),
    /// The name comes next.
    Name,
    Compare,
    Unclear,
}

impl Prompt {
    pub(super) fn is_open(&self) -> bool {
        self.is_shown
    }

    pub(super) fn look(&mut self, held: &Held, input: &mut Input, before: impl FnOnce()) {
        if self.comparison.as_ref().is_some_and(Comparison::is_done) {
            let equal = self.comparison.take().map(Comparison::wait);
            equal.into_iter().for_each(|equal| complain(&messages::compared(&equal)));
            self.prompt();
        }
        if self.is_shown || input.has_ended() {
            return;
        }
        if self.queue.is_empty() {
            // Only the answers are waited for: until then a screen full of progress is better company.
            match held.with(|operation| operation.progress().phase) {
                Some(Phase::Asking) => self.gather(held),
                Some(Phase::Paused) => {
                    self.gather(held);
                    self.queue.retain(|open| open.question.kind() == QuestionKind::MediumGone);
                }
                _ => {}
            }
            let Some(first) = self.queue.front() else { return };
            before();
            if first.question.kind() != QuestionKind::MediumGone {
                complain(&messages::questions(self.queue.len()));
            }
            input.open();
        }
        self.show();
    }

    pub(super) fn hear(&mut self, line: &[u8], held: &Held) {
        let Some(open) = self.queue.front().filter(|_| self.is_shown && self.comparison.is_none()) else { return };
        let typed = match std::mem::take(&mut self.wants_name) {
            true => Typed::Answer(Resolution::Rename(OsStr::from_bytes(line).to_owned()), Scope::This),
            false => understand(&String::from_utf8_lossy(line), open.question.kind()),
        };
        match typed {
            Typed::Answer(resolution, scope) => self.answer(resolution, scope, held),
            Typed::Name => {
                self.wants_name = true;
                say(messages::NEW_NAME);
            }
            Typed::Compare => match &open.question {
                Question::Conflict(conflict) => {
                    complain(messages::COMPARING);
                    self.comparison = Some(conflict.compare());
                }
                _ => self.prompt(),
            },
            Typed::Unclear => self.prompt(),
        }
    }

    fn answer(&mut self, resolution: Resolution, scope: Scope, held: &Held) {
        let Some(open) = self.queue.front() else { return };
        match held.with(|operation| operation.answer(open.id, resolution, scope)) {
            Some(Err(unfit)) if unfit != Unfit::NotOpen => {
                complain(&messages::not_taken(unfit));
                self.prompt();
            }
            _ => {
                self.is_shown = false;
                self.queue.pop_front();
                if scope != Scope::This {
                    self.gather(held);
                }
                self.show();
            }
        }
    }

    /// What is open now, in the order in which it came.
    fn gather(&mut self, held: &Held) {
        self.queue = held.with(Operation::questions).unwrap_or_default().into();
    }

    fn show(&mut self) {
        if let Some(open) = self.queue.front() {
            complain(&messages::question(&open.question));
            self.is_shown = true;
            self.prompt();
        }
    }

    fn prompt(&self) {
        if let Some(open) = self.queue.front() {
            say(&messages::choices(&open.question));
        }
    }

    /// Whatever is said next begins a line of its own.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            say("\n");
        }
    }
}

fn say(words: &str) {
    // There is nobody to tell when this fails.
    let _ = stderr().write_all(words.as_bytes());
}

/// A letter or a word, and perhaps "all".
fn understand(line: &str, kind: QuestionKind) -> Typed {
    let line = line.trim().to_lowercase();
    let (word, scope) = match line.split_once(char::is_whitespace) {
        Some((word, rest)) if rest.trim() == "all" => (word, Scope::Kind),
        Some(_) => return Typed::Unclear,
        None => (line.as_str(), Scope::This),
    };
    let is_conflict = matches!(kind, QuestionKind::Replace | QuestionKind::Merge | QuestionKind::Mismatch);
    let is_failure = !is_conflict;
    let resolution = match word {
        "" if kind == QuestionKind::MediumGone => return Typed::Unclear,
        "" | "s" | "skip" => Resolution::Skip,
        "r" | "retry" if is_failure => Resolution::Retry,
        "o" | "open" if is_failure => Resolution::RetryWithRights,
        "r" | "replace" => Resolution::Replace,
        "m" | "merge" => Resolution::Merge,
        "k" | "keep" => Resolution::KeepBoth,
        "w" | "newer" => Resolution::Newer,
        // What cannot be undone takes the whole word.
        "delete" if kind == QuestionKind::NoTrash => Resolution::Delete,
        "u" | "undo" if kind == QuestionKind::Changed => Resolution::Anyway,
        "d" | "different" => Resolution::Different,
        "q" | "quit" => Resolution::Stop,
        "n" | "name" if !is_failure && scope == Scope::This => return Typed::Name,
        "c" | "compare" if !is_failure => return Typed::Compare,
        _ => return Typed::Unclear,
    };
    Typed::Answer(resolution, scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_skips_and_words_are_understood_for_one_or_for_all() {
        let replace = |line| understand(line, QuestionKind::Replace);
        assert_eq!(replace(""), Typed::Answer(Resolution::Skip, Scope::This));
        assert_eq!(replace(" R "), Typed::Answer(Resolution::Replace, Scope::This));
        assert_eq!(replace("newer all"), Typed::Answer(Resolution::Newer, Scope::Kind));
        assert_eq!(replace("n"), Typed::Name);
        assert_eq!(replace("n all"), Typed::Unclear);
        assert_eq!(replace("c"), Typed::Compare);
        assert_eq!(replace("rm -rf"), Typed::Unclear);
        assert_eq!(understand("r", QuestionKind::Failure), Typed::Answer(Resolution::Retry, Scope::This));
        assert_eq!(understand("o", QuestionKind::Failure), Typed::Answer(Resolution::RetryWithRights, Scope::This));
        assert_eq!(understand("delete", QuestionKind::NoTrash), Typed::Answer(Resolution::Delete, Scope::This));
        assert_ne!(understand("d", QuestionKind::NoTrash), Typed::Answer(Resolution::Delete, Scope::This));
        assert_eq!(understand("u all", QuestionKind::Changed), Typed::Answer(Resolution::Anyway, Scope::Kind));
    }
}
