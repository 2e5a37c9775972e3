//! The sentences on standard error, whole.

use crate::questions::Malformed;
use crate::text::{self, count, counted, duration, reason, size};
use fileops::uri::{self, Scheme};
use fileops::watch::Why;
use fileops::{
    Conflict, Damage, EntryKind, Error, Note, NoteKind, Outcome, Party, Past, Question, QuestionKind, Report,
    Resolution, Shortage, Shown, Skipped, Unfit, Verified,
};
use std::ffi::{OsStr, OsString};
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

pub(crate) fn no_attribute(path: &Path, name: &OsStr) -> String {
    format!("fileops: {} has no {}", Shown(path), Shown(Path::new(name)))
}

/// Before a failure.
pub(crate) fn changed_before(path: &Path, names: &[OsString]) -> String {
    let names: Vec<_> = names.iter().map(|name| Shown(Path::new(name)).to_string()).collect();
    format!("fileops: of {} these are changed: {}", Shown(path), names.join(", "))
}

pub(crate) fn no_equals_sign(option: &str, given: &OsStr) -> String {
    format!("fileops: {option} takes NAME=VALUE, not {}\nTry 'fileops meta set --help'.", Shown(Path::new(given)))
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
    let ended = if report.outcome == Outcome::Stopped { "stopped" } else { "cancelled" };
    format!("fileops: {ended} after {entries} ({})", size(report.bytes))
}

pub(crate) fn nobody_to_ask(option: &str) -> String {
    format!("{option} needs a terminal, or --json and answers on standard input")
}

/// Said before questions come, when there is nothing else left to do.
pub(crate) fn questions(number: usize) -> String {
    format!("fileops: everything else is done; {} left", counted(number as u64, "question is", "questions are"))
}

/// What is asked, with what can be seen of both sides.
pub(crate) fn question(question: &Question) -> String {
    match question {
        Question::Conflict(conflict) => {
            let (is_newer, is_older) = (conflict.is_newer(), conflict.source.modified < conflict.target.modified);
            let age = |is_newer, is_older| match (is_newer, is_older) {
                (true, _) => ", newer",
                (_, true) => ", older",
                _ => ", same time",
            };
            format!(
                "\n{} exists.\n  there: {}{}\n  new:   {}{}, from {}",
                Shown(&conflict.target.path),
                party(&conflict.target),
                age(is_older, is_newer),
                party(&conflict.source),
                age(is_newer, is_older),
                Shown(&conflict.source.path)
            )
        }
        Question::Failure(failure) => format!("\n{}: {}", failure.error, reason(&failure.error.source)),
        Question::MediumGone(error) => {
            format!("\nThe medium is gone, and everything waits: {error}: {}", reason(&error.source))
        }
        Question::NoTrash(error) => {
            format!("\n{}: {}. Deleted for good it cannot come back.", error, reason(&error.source))
        }
        Question::Changed(error) => {
            format!(
                "\n{} was changed since. Undone all the same, it is kept, and a redo brings it back.",
                Shown(&error.path)
            )
        }
        other => format!("\n{}", Shown(other.path())),
    }
}

/// "file, 1.2 GiB, 2026-08-01 12:30:00 UTC".
fn party(party: &Party) -> String {
    let kind = match party.kind {
        EntryKind::File => format!("file, {}", size(party.size)),
        EntryKind::Directory => "directory".to_owned(),
        EntryKind::Symlink => "symbolic link".to_owned(),
        _ => "special file".to_owned(),
    };
    format!("{kind}, {}", text::moment(text::seconds(party.modified).max(0.0) as u64))
}

/// What may be typed.
pub(crate) fn choices(question: &Question) -> String {
    let all: &[(&str, Resolution)] = &[
        ("[s]kip", Resolution::Skip),
        ("[r]etry", Resolution::Retry),
        ("[r]eplace", Resolution::Replace),
        ("[o]pen it for the time and retry", Resolution::RetryWithRights),
        ("[m]erge", Resolution::Merge),
        ("[k]eep both", Resolution::KeepBoth),
        ("[n]ew name", Resolution::Rename("name".into())),
        ("replace if ne[w]er", Resolution::Newer),
        ("replace if [d]ifferent", Resolution::Different),
        ("delete for good", Resolution::Delete),
        ("[u]ndo all the same", Resolution::Anyway),
        ("[q]uit", Resolution::Stop),
    ];
    let fitting = all.iter().filter(|(_, resolution)| question.allows(resolution).is_ok());
    let mut words: Vec<&str> = fitting.map(|(word, _)| *word).collect();
    if matches!(question, Question::Conflict(conflict) if can_compare(conflict)) {
        words.push("[c]ompare contents");
    }
    let words = words.join(", ");
    match question.kind() {
        QuestionKind::MediumGone => format!("{words} > "),
        _ => format!("{words}\n(add \"all\" for all of this kind; Enter skips) > "),
    }
}

fn can_compare(conflict: &Conflict) -> bool {
    conflict.source.kind == conflict.target.kind && conflict.source.kind != EntryKind::Directory
}

pub(crate) const NEW_NAME: &str = "new name > ";

pub(crate) const COMPARING: &str = "comparing...";

/// Whether the contents are equal.
pub(crate) fn compared(equal: &io::Result<bool>) -> String {
    match equal {
        Ok(true) => "The contents are equal.".to_owned(),
        Ok(false) => "The contents are different.".to_owned(),
        Err(error) => format!("They could not be compared: {}", reason(error)),
    }
}

/// An answer was not taken.
pub(crate) fn not_taken(unfit: Unfit) -> String {
    format!("That is not possible: {}.", self::unfit(unfit))
}

/// Why an answer was not taken.
pub(crate) fn unfit(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::NotOpen => "no such question is open",
        Unfit::NoAnswer => "this question has no such answer",
        Unfit::OneOnly => "a name is for one entry only",
        Unfit::NameNotAllowed => "no entry can have this name",
        Unfit::NotOwner => "it belongs to another user",
        Unfit::NotAboutRights => "it did not fail for want of rights",
        _ => "the answer does not fit",
    }
}

/// What is wrong with a line that should be an answer.
pub(crate) fn malformed(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::TooLong => "a line of an answer has at most 64 KiB",
        Malformed::NotAnObject => "an answer is a JSON object on a line",
        Malformed::NoId => "\"answer\" must be the number of a question",
        Malformed::UnknownDo => "\"do\" is not one of the question's \"answers\"",
        Malformed::UnknownFor => "\"for\" must be this, kind or all",
        Malformed::NoName => "\"rename\" needs a \"name\"",
    }
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
    let resumed = match report.resumed {
        0 => String::new(),
        resumed => format!(", {} of it copied before", size(resumed)),
    };
    format!(
        "{files} ({}){cloned}{resumed} in {}{rate}; kept: {}{}",
        size(report.bytes),
        duration(report.elapsed),
        kept(&report.notes).join(", "),
        verified(&report.verified)
    )
}

/// "12 entries moved in 4 ms", "12 entries moved in 2.10 s; 1.2 GiB copied". A tree that was renamed is one entry.
pub(crate) fn moved(report: &Report) -> String {
    let copied = if report.bytes == 0 { String::new() } else { format!("; {} copied", size(report.bytes)) };
    format!("{} moved in {}{copied}", counted(report.entries, "entry", "entries"), duration(report.elapsed))
}

/// "; verified: 12 files (1.2 GiB) from the device, 3 files (17 B) read back".
fn verified(verified: &Verified) -> String {
    let ways =
        [(verified.from_device, "from the device"), (verified.read_back, "read back"), (verified.shared, "shared")];
    let told = ways.into_iter().filter(|(tally, _)| tally.files > 0);
    let told =
        told.map(|(tally, how)| format!("{} ({}) {how}", counted(tally.files, "file", "files"), size(tally.bytes)));
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { told } else { format!("; verified: {told}") }
}

/// "105,000 entries deleted in 0.19 s".
pub(crate) fn deleted(report: &Report) -> String {
    format!("{} deleted in {}", counted(report.entries, "entry", "entries"), duration(report.elapsed))
}

/// "3 entries put into the trash".
pub(crate) fn trashed(report: &Report) -> String {
    format!("{} put into the trash", counted(report.entries, "entry", "entries"))
}

/// "3 items restored".
pub(crate) fn restored(report: &Report) -> String {
    format!("{} restored", counted(report.entries, "item", "items"))
}

/// What scripts call a damage, and what people are told.
pub(crate) fn damage(damage: Damage) -> (&'static str, &'static str) {
    match damage {
        Damage::NoInfo => ("no-info", "damaged: nobody recorded where it was"),
        Damage::NoFile => ("no-file", "damaged: it is gone, only its record is left"),
        Damage::BadInfo => ("bad-info", "damaged: its record does not tell where it was"),
        Damage::BadDate => ("bad-date", "damaged: its record has no date"),
        _ => ("other", "damaged"),
    }
}

pub(crate) fn empty_question(items: usize) -> String {
    format!("Delete {} in the trash for good? [y/N] ", counted(items as u64, "item", "items"))
}

pub(crate) fn empty_needs_yes() -> &'static str {
    "fileops: emptying the trash cannot be undone: say --yes, or be asked on a terminal"
}

pub(crate) fn cannot_resume(id: &str, verb: &str) -> String {
    let id = Shown(Path::new(id));
    match verb {
        "trash" | "restore" => format!("fileops: {id} ({verb}) cannot be gone on with: --roll-back or --forget it"),
        _ => format!("fileops: no record tells what operation {id} was asked for"),
    }
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

/// "fileops: ftp://h/..: names may not be . or ..".
pub(crate) fn invalid(invalid: &uri::Invalid) -> String {
    format!("fileops: {}: {}", Shown(Path::new(&invalid.given)), invalid.reason)
}

pub(crate) fn no_url(path: &Path, error: &io::Error) -> String {
    format!("fileops: translate {}: {}", Shown(path), reason(error))
}

pub(crate) fn no_home() -> String {
    "fileops: HOME is not set, or is no absolute path, so there is no ~/net".to_owned()
}

/// "FTP share on test.local", "path on test.local".
pub(crate) fn name(name: &uri::Name) -> String {
    let shown = |name: &OsStr| Shown(Path::new(name)).to_string();
    match name {
        uri::Name::Share { scheme, host } => format!("{} on {host}", share(*scheme)),
        uri::Name::ShareAs { scheme, host, user } => format!("{} on {host} as {}", share(*scheme), shown(user)),
        uri::Name::Entry { name, host } => format!("{} on {host}", shown(name)),
        _ => "share".to_owned(),
    }
}

fn share(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Ftp => "FTP share",
        Scheme::Ftps => "FTPS share",
        Scheme::Sftp => "SFTP share",
        Scheme::Dav => "WebDAV share",
        Scheme::Davs => "secure WebDAV share",
        Scheme::Smb => "SMB share",
        Scheme::Nfs => "NFS share",
        _ => "share",
    }
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

/// Why nobody knows how much room there is.
pub(crate) fn no_room(error: &Error) -> String {
    match error.errno() {
        Some(TIMED_OUT) => "no answer".to_owned(),
        _ => reason(&error.source),
    }
}

/// ETIMEDOUT.
const TIMED_OUT: i32 = 110;

/// What scripts call the reason of an event, and what people are told.
pub(crate) fn why(why: Why) -> (&'static str, String) {
    let (name, words) = match why {
        Why::NotRead => ("not-read", "more happened than was read"),
        Why::Overflow => ("overflow", "more happened than the kernel keeps"),
        Why::TooFast => ("too-fast", "directories changed faster than they could be followed"),
        Why::Mounts => ("mounts", "something was mounted or unmounted"),
        Why::Replaced => ("replaced", "something else has this name now"),
        Why::Switched => ("switched", "it is watched in another way from now on"),
        Why::Asked => ("asked", "as asked for"),
        Why::Silent => ("silent", "the kernel does not tell of changes on this file system"),
        Why::OtherFileSystem => ("other-file-system", "another file system; watch it by its own path"),
        Why::Limit => ("limit", "the limit of watches is reached, see fs.inotify in sysctl"),
        Why::TooMany => ("too-many", "there is too much in it to be compared"),
        Why::Errno(errno) => return ("error", reason(&io::Error::from_raw_os_error(errno))),
        _ => ("other", "for another reason"),
    };
    (name, words.to_owned())
}
