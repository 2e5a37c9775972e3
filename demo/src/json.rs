//! The lines of `--json`: one object each, with one member that says what it is;
//! those of questions and answers have their members beside it.

use crate::net::{self, Room};
use crate::{messages, text};
use fileops::meta::{Common, Extracted};
use fileops::mounts::Mount;
use fileops::watch::Event;
use fileops::{
    EntryKind, Error, Interrupted, Leftover, Moved, Note, Outcome, Party, Past, Phase, Progress, Question,
    QuestionKind, Report, Shortage, Shown, Skipped, Tally, TrashItem, Verified,
};
use serde_json::{Map, Value, json};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) fn progress(progress: &Progress) -> String {
    let mut object = members(json!({
        "phase": phase(progress.phase),
        "place": progress.place,
        "entries_done": progress.entries_done,
        "entries_total": progress.entries_total,
        "bytes_done": progress.bytes_done,
        "bytes_total": progress.bytes_total,
        "bytes_on_device": progress.bytes_on_device,
        "growing": progress.is_total_growing,
        "rate": progress.rate.max(0.0) as u64,
        "time_left": progress.time_left.map(|time| time.as_secs_f64()),
        "elapsed": progress.elapsed.as_secs_f64(),
        "workers": progress.workers,
        "questions": progress.questions,
    }));
    add_path(&mut object, "current", progress.current.as_deref());
    line("progress", object)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waiting",
        Phase::Running => "running",
        Phase::Paused => "paused",
        Phase::Asking => "asking",
        Phase::Cancelling => "cancelling",
        Phase::Finishing => "finishing",
        Phase::Done => "done",
        _ => "other",
    }
}

pub(crate) fn failure(error: &Error) -> String {
    let mut object = members(json!({
        "action": error.action.verb(),
        "errno": error.errno(),
        "error": text::reason(&error.source),
    }));
    add_path(&mut object, "path", Some(&error.path));
    add_path(&mut object, "target", error.target.as_deref());
    line("failure", object)
}

pub(crate) fn skipped(skipped: &Skipped) -> String {
    let mut object = Map::new();
    add_path(&mut object, "path", Some(&skipped.path));
    add_path(&mut object, "target", Some(&skipped.target));
    line("skipped", object)
}

pub(crate) fn moved(moved: &Moved) -> String {
    let mut object = Map::new();
    add_path(&mut object, "path", Some(&moved.path));
    add_path(&mut object, "target", Some(&moved.target));
    line("moved", object)
}

pub(crate) fn item(item: &TrashItem) -> String {
    let mut object = members(json!({
        "deleted": item.deleted,
        "date": item.date,
        "size": item.size,
        "directory": item.is_dir,
        "damage": item.damage.map(|damage| messages::damage(damage).0),
    }));
    add_path(&mut object, "id", Some(&item.id));
    add_path(&mut object, "original", item.original.as_deref());
    add_path(&mut object, "trash", Some(&item.trash));
    line("item", object)
}

pub(crate) fn listing(items: usize, failures: usize, exit: u8) -> String {
    line("report", members(json!({ "exit": exit, "items": items, "failures": failures })))
}

pub(crate) fn note(note: &Note) -> String {
    let (kind, sentence) = messages::note_kind(note.kind);
    let mut object = members(json!({
        "kind": kind,
        "note": sentence,
        "count": note.count,
        "errno": note.errno,
    }));
    add_path(&mut object, "path", Some(&note.path));
    line("note", object)
}

/// What a file has of the attributes that programs agree on.
pub(crate) fn common(path: &Path, common: &Common) -> String {
    let unreadable: Vec<_> = common.unreadable.iter().map(|name| Shown(Path::new(name)).to_string()).collect();
    let mut object = members(json!({
        "tags": common.tags,
        "comment": common.comment,
        "rating": common.rating,
        "origin_url": common.origin_url,
        "referrer_url": common.referrer_url,
        "robots_index": common.robots_index,
        "robots_backup": common.robots_backup,
        "mime_type": common.mime_type,
        "charset": common.charset,
        "dublin_core": common.dublin_core,
        "unreadable": unreadable,
    }));
    add_path(&mut object, "path", Some(path));
    line("metadata", object)
}

/// One attribute; what is not text has its bytes beside it.
pub(crate) fn attribute(path: &Path, name: &OsStr, value: &[u8]) -> String {
    let mut object = Map::new();
    add_path(&mut object, "path", Some(path));
    add_path(&mut object, "name", Some(Path::new(name)));
    add_path(&mut object, "value", Some(Path::new(OsStr::from_bytes(value))));
    line("attribute", object)
}

pub(crate) fn changed(path: &Path, names: &[OsString]) -> String {
    let names: Vec<_> = names.iter().map(|name| Shown(Path::new(name)).to_string()).collect();
    let mut object = members(json!({ "attributes": names }));
    add_path(&mut object, "path", Some(path));
    line("changed", object)
}

pub(crate) fn extracted(path: &Path, extracted: &Extracted) -> String {
    let mut object = members(json!({
        "mime_type": extracted.mime_type,
        "width": extracted.dimensions.map(|dimensions| dimensions.0),
        "height": extracted.dimensions.map(|dimensions| dimensions.1),
        "orientation": extracted.orientation,
        "camera": extracted.camera,
        "taken": extracted.taken,
        "duration": extracted.duration.map(|duration| duration.as_secs_f64()),
        "title": extracted.title,
        "author": extracted.author,
        "album": extracted.album,
        "track": extracted.track,
        "year": extracted.year,
        "pages": extracted.pages,
        "charset": extracted.charset,
        "damaged": extracted.is_damaged,
    }));
    add_path(&mut object, "path", Some(path));
    line("extracted", object)
}

pub(crate) fn shortage(shortage: &Shortage) -> String {
    let mut object = members(json!({ "needed": shortage.needed, "free": shortage.free }));
    add_path(&mut object, "path", Some(&shortage.path));
    line("shortage", object)
}

/// What is asked, with the answers that it takes. Its members are the line's own: a program looks for "question".
pub(crate) fn question(id: u64, question: &Question, answers: &[&str]) -> String {
    let mut object = match question {
        Question::Conflict(conflict) => {
            let mut object = members(json!({ "kind": "conflict", "conflict": conflict_kind(question.kind()) }));
            add_party(&mut object, "source", &conflict.source);
            add_party(&mut object, "target", &conflict.target);
            add_path(&mut object, "path", Some(&conflict.source.path));
            add_path(&mut object, "target", Some(&conflict.target.path));
            object
        }
        Question::Failure(failure) => what_failed("failure", &failure.error),
        Question::MediumGone(error) => what_failed("medium-gone", error),
        Question::NoTrash(error) => what_failed("no-trash", error),
        Question::Changed(error) => what_failed("changed", error),
        _ => members(json!({ "kind": "other" })),
    };
    object.insert("question".to_owned(), id.into());
    object.insert("answers".to_owned(), answers.into());
    escape(&Value::Object(object).to_string())
}

fn what_failed(kind: &str, error: &Error) -> Map<String, Value> {
    let mut object = members(json!({
        "kind": kind,
        "action": error.action.verb(),
        "errno": error.errno(),
        "error": text::reason(&error.source),
    }));
    add_path(&mut object, "path", Some(&error.path));
    add_path(&mut object, "target", error.target.as_deref());
    object
}

fn conflict_kind(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Replace => "replace",
        QuestionKind::Merge => "merge",
        QuestionKind::Mismatch => "mismatch",
        _ => "other",
    }
}

fn add_party(object: &mut Map<String, Value>, end: &str, party: &Party) {
    let kind = match party.kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::Special => "special",
        _ => "other",
    };
    object.insert(format!("{end}_kind"), kind.into());
    object.insert(format!("{end}_size"), party.size.into());
    object.insert(format!("{end}_modified"), text::seconds(party.modified).into());
}

/// Whether the two sides of a conflict are the same.
pub(crate) fn compared(id: u64, equal: &io::Result<bool>) -> String {
    let object = match equal {
        Ok(equal) => json!({ "compared": id, "equal": equal }),
        Err(error) => json!({ "compared": id, "error": text::reason(error) }),
    };
    escape(&object.to_string())
}

/// An answer that was not taken.
pub(crate) fn refused(id: Option<u64>, why: &str) -> String {
    escape(&json!({ "error": why, "answer": id }).to_string())
}

/// All numbers of a report. The lists were printed before, and are only counted.
pub(crate) fn report(report: &Report, exit: u8) -> String {
    let stuck: Vec<Value> = report.stuck.iter().map(|path| Value::from(Shown(path).to_string())).collect();
    let object = members(json!({
        "id": report.id,
        "outcome": match report.outcome {
            Outcome::Done => "done",
            Outcome::Cancelled => "cancelled",
            _ => "stopped",
        },
        "exit": exit,
        "entries": report.entries,
        "removed": report.removed,
        "files": report.files,
        "directories": report.directories,
        "symlinks": report.symlinks,
        "specials": report.specials,
        "bytes": report.bytes,
        "allocated": report.allocated,
        "cloned": report.cloned,
        "verified": verified(&report.verified),
        "resumed": report.resumed,
        "elapsed": report.elapsed.as_secs_f64(),
        "workers": report.workers,
        "failures": report.failures.len(),
        "skipped": report.skipped.len(),
        "moved": report.moved.len(),
        "notes": report.notes.len(),
        "stuck": stuck,
    }));
    line("report", object)
}

fn verified(verified: &Verified) -> Value {
    let tally = |tally: &Tally| json!({ "files": tally.files, "bytes": tally.bytes });
    json!({
        "from_device": tally(&verified.from_device),
        "read_back": tally(&verified.read_back),
        "shared": tally(&verified.shared),
    })
}

pub(crate) fn leftover(leftover: &Leftover, state: &str) -> String {
    let mut object = members(json!({
        "state": state,
        "id": leftover.operation,
        "verb": leftover.verb,
        "started": leftover.started,
        "ours": leftover.is_ours,
    }));
    add_path(&mut object, "path", Some(&leftover.path));
    add_path(&mut object, "wanted", leftover.wanted.as_deref());
    line("leftover", object)
}

pub(crate) fn past(past: &Past, state: &str) -> String {
    let mut object = members(json!({
        "id": past.id,
        "verb": past.verb,
        "time": past.time,
        "steps": past.steps,
        "cancelled": past.was_cancelled,
        "interrupted": past.was_interrupted,
        "state": state,
    }));
    add_path(&mut object, "path", Some(&past.path));
    line("past", object)
}

pub(crate) fn interrupted(operation: &Interrupted) -> String {
    let mut object = members(json!({
        "id": operation.id,
        "verb": operation.verb,
        "started": operation.started,
        "steps": operation.steps,
        "leftovers": operation.leftovers.len(),
    }));
    add_path(&mut object, "path", Some(&operation.path));
    line("interrupted", object)
}

pub(crate) fn recovery((found, interrupted): (usize, usize), removed: usize, failures: usize, exit: u8) -> String {
    let object = json!({
        "exit": exit,
        "found": found,
        "interrupted": interrupted,
        "removed": removed,
        "failures": failures,
    });
    line("report", members(object))
}

/// A mount, with its room or why that is not known.
pub(crate) fn mount(mount: &Mount, is_hidden: bool, room: &Room) -> String {
    let (space, error) = match room {
        Some(Ok(space)) => (Some(space), None),
        Some(Err(error)) => (None, Some(messages::no_room(error))),
        None => (None, None),
    };
    let mut object = members(json!({
        "id": mount.id(),
        "parent": mount.parent(),
        "device": format!("{}:{}", mount.device().0, mount.device().1),
        "type": mount.kind(),
        "flags": net::flags(mount, is_hidden),
        "total": space.map(|space| space.total),
        "free": space.map(|space| space.free),
        "available": space.map(|space| space.available),
        "files": space.map(|space| space.files),
        "files_available": space.map(|space| space.files_available),
        "error": error,
    }));
    add_path(&mut object, "source", Some(Path::new(mount.source())));
    add_path(&mut object, "point", Some(mount.point()));
    add_path(&mut object, "root", Some(mount.root()));
    add_path(&mut object, "options", Some(Path::new(mount.options())));
    add_path(&mut object, "file_system_options", Some(Path::new(mount.file_system_options())));
    line("mount", object)
}

/// Said once, when everything is told from then on.
pub(crate) fn watching(path: &Path) -> String {
    let mut object = Map::new();
    add_path(&mut object, "path", Some(path));
    line("watching", object)
}

pub(crate) fn event(event: &Event) -> String {
    let (kind, is_dir, why) = match event {
        Event::Created { is_dir, .. } => ("created", Some(*is_dir), None),
        Event::Removed { is_dir, .. } => ("removed", Some(*is_dir), None),
        Event::Modified { .. } => ("modified", None, None),
        Event::Renamed { is_dir, .. } => ("renamed", Some(*is_dir), None),
        Event::Rescan { why, .. } => ("rescan", None, Some(*why)),
        Event::Polled { why, .. } => ("polled", None, Some(*why)),
        Event::Unwatched { why, .. } => ("unwatched", None, Some(*why)),
        _ => ("other", None, None),
    };
    let mut object = Map::new();
    if let Event::Renamed { from, .. } = event {
        add_path(&mut object, "from", Some(from));
    }
    add_path(&mut object, "path", Some(event.path()));
    if let Some(is_dir) = is_dir {
        object.insert("directory".to_owned(), is_dir.into());
    }
    if let Some(why) = why {
        object.insert("why".to_owned(), messages::why(why).0.into());
    }
    line(kind, object)
}

/// A path is text where it can be; else the text is for people, and its bytes are beside it.
fn add_path(object: &mut Map<String, Value>, name: &str, path: Option<&Path>) {
    let shown = match path {
        None => Value::Null,
        Some(path) => match path.to_str() {
            Some(text) => text.into(),
            None => {
                object.insert(format!("{name}_bytes"), path.as_os_str().as_bytes().into());
                Shown(path).to_string().into()
            }
        },
    };
    object.insert(name.to_owned(), shown);
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn line(kind: &str, object: Map<String, Value>) -> String {
    escape(&json!({ kind: object }).to_string())
}

/// The serializer escapes ASCII's controls; the others reach a terminal just as well, and stand in strings only.
fn escape(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{:04x}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_path_that_is_no_text_has_its_bytes_beside_it() {
        let mut object = Map::new();
        add_path(&mut object, "path", Some(Path::new(OsStr::from_bytes(b"a\xff"))));
        assert_eq!(Value::Object(object), json!({ "path": "a\\xff", "path_bytes": [97, 255] }));
    }

    #[test]
    fn controls_beyond_ascii_are_escaped_too() {
        let name = "a\u{1b}\u{9b}\u{202e}ä";
        let line = line("x", members(json!({ "name": name })));
        assert!(line.is_ascii() || !line.chars().any(char::is_control));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["x"]["name"], name);
    }
}
