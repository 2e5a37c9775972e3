//! The sentences on standard error, whole.

use crate::text::{count, counted, duration, reason, size};
use fileops::{Error, Note, NoteKind, Past, Report, Shortage, Shown, Skipped};
use std::io;
use std::path::Path;

pub(crate) fn failure(error: &Error) -> String {
    if error.path.as_os_str().is_empty() && error.target.is_none() {
        return format!("fileops: {}: {}", error.action.verb(), reason(&error.source));
    }
    format!("fileops: {error}: {}", reason(&error.source))
}

pub(crate) fn skipped(skipped: &Skipped) -> String {
    format!("fileops: skipped {}: {} exists", Shown(&skipped.path), Shown(&skipped.target))
}

pub(crate) fn stuck(path: &Path) -> String {
    format!("fileops: still waiting for the file system at {}", Shown(path))
}

/// "fileops: note: the owner was not kept: 12 entries, first a/b (Operation not permitted)".
pub(crate) fn note(note: &Note) -> String {
    let mut line = format!("fileops: note: {}", note_kind(note.kind).1);
    let has_path = !note.path.as_os_str().is_empty();
    line += &match (has_path, note.count) {
        (false, _) => String::new(),
        (true, 1) => format!(": {}", Shown(&note.path)),
        (true, many) => format!(": {} entries, first {}", count(many), Shown(&note.path)),
    };
    if let Some(errno) = note.errno {
        line += &format!(" ({})", reason(&io::Error::from_raw_os_error(errno)));
    }
    line
}

/// What scripts call a kind of note, and what people are told.
pub(crate) fn note_kind(kind: NoteKind) -> (&'static str, &'static str) {
    match kind {
        NoteKind::OwnerNotKept => ("owner-not-kept", "the owner or group was not kept"),
        NoteKind::SetIdNotKept => ("set-id-not-kept", "setuid or setgid was dropped, since the owner was not kept"),
        NoteKind::ModeNotKept => ("mode-not-kept", "the target's file system does not hold the mode"),
        NoteKind::TimesNotKept => ("times-not-kept", "the target's file system does not hold the times"),
        NoteKind::AttributesNotKept => ("attributes-not-kept", "an extended attribute was not kept"),
        NoteKind::LinkNotKept => ("link-not-kept", "a hard link became a file of its own"),
        NoteKind::NameChanged => ("name-changed", "the name was changed to one that the target allows"),
        NoteKind::MadeWritable => ("made-writable", "a directory from a read-only medium was made writable"),
        NoteKind::MayNotFit => ("may-not-fit", "there seems to be too little room"),
        NoteKind::NotJournalled => {
            ("not-journalled", "fileops recover has no record of this operation, whose state directory is not writable")
        }
        NoteKind::NotKept => ("not-kept", "the old file could not be kept, so that an undo cannot bring it back"),
        NoteKind::LeftBehind => ("left-behind", "something unfinished is left, which fileops recover finds"),
        _ => ("other", "something was not kept"),
    }
}

pub(crate) fn shortage(shortage: &Shortage) -> String {
    let free = size(shortage.free);
    let path = Shown(&shortage.path);
    match shortage.needed {
        0 => format!("fileops: {path} is full: {free} free"),
        needed => format!("fileops: {path} is too full: {} still to come, {free} free", size(needed)),
    }
}

pub(crate) fn cancelled(report: &Report) -> String {
    let entries = counted(report.entries, "entry", "entries");
    format!("fileops: cancelled after {entries} ({})", size(report.bytes))
}

/// Said when the process has to end before the operation does.
pub(crate) fn ended_before_clean(target: &Path) -> String {
    format!(
        "fileops: cancelled; what could not be removed in time stays near {} until fileops recover --remove",
        Shown(target)
    )
}

/// "98,000 files (1.2 GiB) in 0.61 s, 1.9 GiB/s; kept: contents, holes, ...".
pub(crate) fn summary(report: &Report) -> String {
    let files = counted(report.files, "file", "files");
    let seconds = report.elapsed.as_secs_f64();
    // A rate of a moment says nothing.
    let rate = match seconds < 0.1 {
        true => String::new(),
        false => format!(", {}/s", size((report.bytes as f64 / seconds) as u64)),
    };
    let cloned = match report.cloned {
        0 => String::new(),
        cloned => format!(", {} sharing blocks with the source", count(cloned)),
    };
    format!(
        "{files} ({}){cloned} in {}{rate}; kept: {}",
        size(report.bytes),
        duration(report.elapsed),
        kept(&report.notes).join(", ")
    )
}

/// "12 entries moved in 4 ms", "12 entries moved in 2.10 s; 1.2 GiB copied". A tree that was renamed is one entry.
pub(crate) fn moved(report: &Report) -> String {
    let copied = if report.bytes == 0 { String::new() } else { format!("; {} copied", size(report.bytes)) };
    format!("{} moved in {}{copied}", counted(report.entries, "entry", "entries"), duration(report.elapsed))
}

/// "105,000 entries deleted in 0.19 s".
pub(crate) fn deleted(report: &Report) -> String {
    format!("{} deleted in {}", counted(report.entries, "entry", "entries"), duration(report.elapsed))
}

pub(crate) fn nothing_to_undo(id: Option<&str>) -> String {
    match id {
        Some(id) => format!("fileops: no operation {} is known", Shown(Path::new(id))),
        None => "fileops: there is nothing to undo or redo".to_owned(),
    }
}

/// "copy of /a/b: 3 steps in 0.01 s".
pub(crate) fn undone(past: &Past, report: &Report) -> String {
    let steps = counted(report.entries, "step", "steps");
    format!("{} of {}: {steps} in {}", past.verb, Shown(&past.path), duration(report.elapsed))
}

/// What a copy keeps, less what a note limits.
fn kept(notes: &[Note]) -> Vec<&'static str> {
    let all: [(&str, &[NoteKind]); 7] = [
        ("contents", &[]),
        ("holes", &[]),
        ("hard links", &[NoteKind::LinkNotKept]),
        ("modes", &[NoteKind::ModeNotKept, NoteKind::SetIdNotKept, NoteKind::MadeWritable]),
        ("owners", &[NoteKind::OwnerNotKept]),
        ("times", &[NoteKind::TimesNotKept]),
        ("attributes", &[NoteKind::AttributesNotKept]),
    ];
    let is_whole = |limits: &[NoteKind]| !notes.iter().any(|note| limits.contains(&note.kind));
    all.into_iter().filter(|(_, limits)| is_whole(limits)).map(|(name, _)| name).collect()
}
