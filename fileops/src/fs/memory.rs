//! Answers that are in memory: what the first poll asks before anybody else is.

use super::dir::Dir;
use super::file::File;
use super::metadata::Metadata;
use super::subject::Subject;
use crate::sys::cached::{self, Cached};
use crate::sys::open::Follow;
use std::io;

pub(super) fn metadata(subject: &Subject, follow: Follow) -> Cached<Metadata> {
    match subject.at() {
        Ok(at) => cached::metadata(at, follow).map(Metadata),
        Err(error) => Cached::Known(Err(error)),
    }
}

/// Whether something is there.
pub(super) fn exists(subject: &Subject) -> Cached<bool> {
    match metadata(subject, Follow::Yes) {
        Cached::Known(answer) => Cached::Known(is_there(answer.map(drop))),
        Cached::Unknown => Cached::Unknown,
        Cached::New(mount) => Cached::New(mount),
    }
}

/// What the answer to a question for attributes says about the entry's being there.
pub(super) fn is_there(answer: io::Result<()>) -> io::Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Both files' attributes; both or neither come from memory.
pub(super) fn is_same_file(subject: &Subject) -> Cached<bool> {
    let one = match metadata(subject, Follow::Yes) {
        Cached::Known(Ok(one)) => one,
        other => return other.map(|_| false),
    };
    match subject.other() {
        Ok(at) => cached::metadata(at, Follow::Yes).map(|other| other.stat.id == one.0.stat.id),
        Err(error) => Cached::Known(Err(error)),
    }
}

pub(super) fn contents(subject: &Subject) -> Cached<Vec<u8>> {
    match subject.at() {
        Ok(at) => cached::contents(at),
        Err(error) => Cached::Known(Err(error)),
    }
}

pub(super) fn text(subject: &Subject) -> Cached<String> {
    match contents(subject) {
        Cached::Known(answer) => Cached::Known(answer.and_then(super::whole::text)),
        Cached::Unknown => Cached::Unknown,
        Cached::New(mount) => Cached::New(mount),
    }
}

/// A regular file, for reading.
pub(super) fn file(subject: &Subject) -> Cached<File> {
    match subject.at() {
        Ok(at) => cached::file(at).map(|(file, reads)| File::in_memory(file, reads, subject)),
        Err(error) => Cached::Known(Err(error)),
    }
}

pub(super) fn dir(subject: &Subject) -> Cached<Dir> {
    match subject.at() {
        Ok(at) => cached::dir(at).map(|dir| Dir::new(dir, subject)),
        Err(error) => Cached::Known(Err(error)),
    }
}
