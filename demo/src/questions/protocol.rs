//! Questions as lines of JSON on standard output, answers as lines of JSON on standard input.

use crate::input::{Input, LONGEST};
use crate::out::Out;
use crate::signals::Held;
use crate::{json, messages};
use fileops::{Comparison, Operation, Question, Resolution, Scope};
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(crate) struct Protocol {
    /// Comparisons that were asked for, by question.
    comparisons: Vec<(u64, Comparison)>,
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Answer(Resolution, Scope),
    Compare,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    TooLong,
    NotAnObject,
    NoId,
    UnknownDo,
    UnknownFor,
    NoName,
}

impl Protocol {
    pub(super) fn look(&mut self, held: &Held, input: &mut Input, out: &mut Out) {
        while let Some(open) = held.with(next).flatten() {
            input.open();
            out.line(&json::question(open.id, &open.question, &super::answers(&open.question)));
        }
        let (done, under_way) = std::mem::take(&mut self.comparisons).into_iter().partition(|(_, one)| one.is_done());
        self.comparisons = under_way;
        let done: Vec<(u64, Comparison)> = done;
        for (id, comparison) in done {
            out.line(&json::compared(id, &comparison.wait()));
        }
    }

    pub(super) fn hear(&mut self, line: &[u8], held: &Held, out: &mut Out) {
        let (id, wish) = understand(line);
        match (id, wish) {
            (Some(id), Ok(Wish::Answer(resolution, scope))) => {
                let refused = held.with(|operation| operation.answer(id, resolution, scope).err()).flatten();
                refused.into_iter().for_each(|unfit| out.line(&json::refused(Some(id), messages::unfit(unfit))));
            }
            (Some(id), Ok(Wish::Compare)) => match held.with(|operation| compare(operation, id)).flatten() {
                Some(comparison) => self.comparisons.push((id, comparison)),
                None => out.line(&json::refused(Some(id), messages::unfit(fileops::Unfit::NoAnswer))),
            },
            (id, Err(malformed)) => out.line(&json::refused(id, messages::malformed(malformed))),
            (None, Ok(_)) => out.line(&json::refused(None, messages::malformed(Malformed::NoId))),
        }
    }
}

/// The next question that was not printed yet.
fn next(operation: &Operation) -> Option<fileops::Open> {
    match pin!(operation.question()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(open) => open,
        Poll::Pending => None,
    }
}

fn compare(operation: &Operation, id: u64) -> Option<Comparison> {
    let open = operation.questions().into_iter().find(|open| open.id == id)?;
    match open.question {
        Question::Conflict(conflict) => Some(conflict.compare()),
        _ => None,
    }
}

/// The question that a line is about, as far as that can be told, and what it asks for.
fn understand(line: &[u8]) -> (Option<u64>, Result<Wish, Malformed>) {
    if line.len() > LONGEST {
        return (None, Err(Malformed::TooLong));
    }
    let Ok(object @ Value::Object(_)) = serde_json::from_slice::<Value>(line) else {
        return (None, Err(Malformed::NotAnObject));
    };
    match object["answer"].as_u64() {
        Some(id) => (Some(id), wish(&object)),
        None => (None, Err(Malformed::NoId)),
    }
}

fn wish(object: &Value) -> Result<Wish, Malformed> {
    let scope = match &object["for"] {
        Value::Null => Scope::This,
        scope => match scope.as_str() {
            Some("this") => Scope::This,
            Some("kind") => Scope::Kind,
            Some("all") => Scope::All,
            _ => return Err(Malformed::UnknownFor),
        },
    };
    let resolution = match object["do"].as_str().unwrap_or_default() {
        "skip" => Resolution::Skip,
        "replace" => Resolution::Replace,
        "merge" => Resolution::Merge,
        "rename" => Resolution::Rename(name(object).ok_or(Malformed::NoName)?),
        "keep-both" => Resolution::KeepBoth,
        "newer" => Resolution::Newer,
        "different" => Resolution::Different,
        "retry" => Resolution::Retry,
        "retry-with-rights" => Resolution::RetryWithRights,
        "delete" => Resolution::Delete,
        "anyway" => Resolution::Anyway,
        "stop" => Resolution::Stop,
        "compare" => return Ok(Wish::Compare),
        _ => return Err(Malformed::UnknownDo),
    };
    Ok(Wish::Answer(resolution, scope))
}

/// A name is text, or bytes where it cannot be.
fn name(object: &Value) -> Option<OsString> {
    if let Some(text) = object["name"].as_str() {
        return Some(text.into());
    }
    let bytes = object["name_bytes"].as_array()?.iter();
    let bytes: Option<Vec<u8>> = bytes.map(|byte| byte.as_u64().and_then(|byte| byte.try_into().ok())).collect();
    bytes.map(OsString::from_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood_and_others_say_what_is_wrong() {
        let answer = |resolution, scope| Ok(Wish::Answer(resolution, scope));
        let understood = |line: &str| understand(line.as_bytes());
        assert_eq!(understood(r#"{"answer":1,"do":"skip"}"#), (Some(1), answer(Resolution::Skip, Scope::This)));
        assert_eq!(
            understood(r#"{"answer":7,"do":"rename","name":"ä","for":"this"}"#),
            (Some(7), answer(Resolution::Rename("ä".into()), Scope::This))
        );
        let bytes = OsString::from_vec(vec![97, 255]);
        assert_eq!(
            understood(r#"{"answer":7,"do":"rename","name_bytes":[97,255]}"#),
            (Some(7), answer(Resolution::Rename(bytes), Scope::This))
        );
        assert_eq!(
            understood(r#"{"answer":2,"do":"retry","for":"all"}"#),
            (Some(2), answer(Resolution::Retry, Scope::All))
        );
        assert_eq!(understood("skip"), (None, Err(Malformed::NotAnObject)));
        assert_eq!(understood("[1]"), (None, Err(Malformed::NotAnObject)));
        assert_eq!(understood(r#"{"do":"skip"}"#), (None, Err(Malformed::NoId)));
        assert_eq!(understood(r#"{"answer":-1,"do":"skip"}"#), (None, Err(Malformed::NoId)));
        assert_eq!(understood(r#"{"answer":1,"do":"burn"}"#), (Some(1), Err(Malformed::UnknownDo)));
        assert_eq!(understood(r#"{"answer":1,"do":"skip","for":1}"#), (Some(1), Err(Malformed::UnknownFor)));
        assert_eq!(understood(r#"{"answer":1,"do":"rename"}"#), (Some(1), Err(Malformed::NoName)));
    }
}
