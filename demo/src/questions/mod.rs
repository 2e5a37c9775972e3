//! The questions of an operation: put to a person on the terminal (`prompt`), or to a program by lines of JSON
//! (`protocol`).

mod prompt;
mod protocol;

use crate::args::{ChangedRule, ConflictRule, ErrorArgs, ErrorRule, NoTrashRule};
use crate::input::Input;
use crate::messages;
use crate::out::Out;
use crate::signals::Held;
use fileops::{OnChanged, OnConflict, OnError, OnNoTrash, Operation, Question, Resolution, Scope, Unfit};
use prompt::Prompt;
pub(crate) use protocol::Malformed;
use protocol::Protocol;
use std::io::{IsTerminal, stderr, stdin};

/// Who answers.
pub(crate) enum Questions {
    /// A program.
    Program(Protocol),
    /// A person.
    Person(Prompt),
}

/// The rule for targets that exist: a person is asked, a script must say that it wants to be.
///
/// # Errors
/// What is wrong with asking here.
pub(crate) fn conflict_rule(rule: Option<ConflictRule>, is_json: bool) -> Result<OnConflict, String> {
    asked_rule("--on-conflict=ask", rule.map(Into::into), OnConflict::Ask, is_json)
}

/// The rule for what no trash can take.
///
/// # Errors
/// What is wrong with asking here.
pub(crate) fn no_trash_rule(rule: Option<NoTrashRule>, is_json: bool) -> Result<OnNoTrash, String> {
    asked_rule("--on-no-trash=ask", rule.map(Into::into), OnNoTrash::Ask, is_json)
}

/// The rule for what was changed since an operation that is undone.
///
/// # Errors
/// What is wrong with asking here.
pub(crate) fn changed_rule(rule: Option<ChangedRule>, is_json: bool) -> Result<OnChanged, String> {
    asked_rule("--on-changed=ask", rule.map(Into::into), OnChanged::Ask, is_json)
}

/// Without a rule a person is asked; a script gets the default, which fails.
fn asked_rule<T: Default + PartialEq>(option: &str, rule: Option<T>, ask: T, is_json: bool) -> Result<T, String> {
    match rule {
        Some(rule) if rule == ask && !can_ask(is_json) => Err(messages::nobody_to_ask(option)),
        Some(rule) => Ok(rule),
        None if !is_json && is_terminal() => Ok(ask),
        None => Ok(T::default()),
    }
}

/// The rule for entries that fail.
///
/// # Errors
/// What is wrong with asking here.
pub(crate) fn error_rule(errors: &ErrorArgs, is_json: bool) -> Result<OnError, String> {
    match errors.on_error {
        ErrorRule::Ask if !can_ask(is_json) => Err(messages::nobody_to_ask("--on-error=ask")),
        rule => Ok(rule.into()),
    }
}

fn can_ask(is_json: bool) -> bool {
    is_json || is_terminal()
}

fn is_terminal() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

impl Questions {
    pub(crate) fn new(is_json: bool) -> Questions {
        if is_json { Questions::Program(Protocol::default()) } else { Questions::Person(Prompt::default()) }
    }

    /// Whether a prompt is on the screen, which is not to be drawn over.
    pub(crate) fn is_on_screen(&self) -> bool {
        matches!(self, Questions::Person(prompt) if prompt.is_open())
    }

    /// Asks what there is to ask. `before` makes room on the screen.
    pub(crate) fn look(&mut self, held: &Held, input: &mut Input, out: &mut Out, before: impl FnOnce()) {
        match self {
            Questions::Program(protocol) => protocol.look(held, input, out),
            Questions::Person(prompt) => prompt.look(held, input, before),
        }
        if input.has_ended() {
            skip_all(held);
        }
    }

    pub(crate) fn hear(&mut self, line: &[u8], held: &Held, out: &mut Out) {
        match self {
            Questions::Program(protocol) => protocol.hear(line, held, out),
            Questions::Person(prompt) => prompt.hear(line, held),
        }
    }

    /// The operation is over, whatever was asked.
    pub(crate) fn close(&mut self) {
        if let Questions::Person(prompt) = self {
            prompt.close();
        }
    }
}

/// Nobody will answer any more, which loses nothing.
fn skip_all(held: &Held) {
    held.with(|operation: &Operation| {
        for open in operation.questions() {
            // What cannot be left out is the end. A question that came meanwhile is seen at the next look.
            if operation.answer(open.id, Resolution::Skip, Scope::This) == Err(Unfit::NoAnswer) {
                let _ = operation.answer(open.id, Resolution::Stop, Scope::This);
            }
        }
    });
}

/// The answers that a question takes, as scripts call them.
fn answers(question: &Question) -> Vec<&'static str> {
    let all = [
        ("skip", Resolution::Skip),
        ("replace", Resolution::Replace),
        ("merge", Resolution::Merge),
        ("rename", Resolution::Rename("name".into())),
        ("keep-both", Resolution::KeepBoth),
        ("newer", Resolution::Newer),
        ("different", Resolution::Different),
        ("retry", Resolution::Retry),
        ("retry-with-rights", Resolution::RetryWithRights),
        ("delete", Resolution::Delete),
        ("anyway", Resolution::Anyway),
        ("stop", Resolution::Stop),
    ];
    all.into_iter().filter(|(_, resolution)| question.allows(resolution).is_ok()).map(|(word, _)| word).collect()
}
