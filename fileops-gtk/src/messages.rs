//! The sentences that a person reads, whole, each in a function with what goes into it. `po/` has their translations.

use crate::estimate::TimeLeft;
use crate::i18n::{fill, gettext, ngettext, pgettext};
use crate::operation::{Choice, OperationKind, Sameness};
use fileops::{Action, EntryKind, Party, QuestionKind, Refusal, Resolution, Shown};
use gtk::glib;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What an operation is about, as sentences name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: OperationKind,
    pub(crate) count: u64,
    /// The only thing, or the first.
    pub(crate) name: &'a str,
    /// The directory that things go to.
    pub(crate) target: Option<&'a str>,
}

impl Subject<'_> {
    fn fill(&self, one: String, many: String) -> String {
        let sentence = if self.count == 1 { one } else { many };
        let target = self.target.unwrap_or_default();
        fill(&sentence, &[("name", self.name), ("n", &number(self.count)), ("target", target)])
    }
}

/// What goes on.
pub(crate) fn title(subject: &Subject<'_>) -> String {
    let n = subject.count;
    let (one, many) = match (subject.kind, subject.target) {
        (OperationKind::Copy, Some(_)) => (
            gettext("Copying “{name}” to “{target}”"),
            ngettext("Copying {n} item to “{target}”", "Copying {n} items to “{target}”", n),
        ),
        (OperationKind::Move, Some(_)) => (
            gettext("Moving “{name}” to “{target}”"),
            ngettext("Moving {n} item to “{target}”", "Moving {n} items to “{target}”", n),
        ),
        (OperationKind::Copy, None) => {
            (gettext("Copying “{name}”"), ngettext("Copying {n} item", "Copying {n} items", n))
        }
        (OperationKind::Move, None) => (gettext("Moving “{name}”"), ngettext("Moving {n} item", "Moving {n} items", n)),
        (OperationKind::Trash, _) => (
            gettext("Moving “{name}” to the trash"),
            ngettext("Moving {n} item to the trash", "Moving {n} items to the trash", n),
        ),
        (OperationKind::Restore, _) => {
            (gettext("Restoring “{name}”"), ngettext("Restoring {n} item", "Restoring {n} items", n))
        }
        (OperationKind::Delete, _) => {
            (gettext("Deleting “{name}”"), ngettext("Deleting {n} item", "Deleting {n} items", n))
        }
        (OperationKind::Undo, _) => (gettext("Undoing: {name}"), gettext("Undoing: {name}")),
        (OperationKind::Redo, _) => (gettext("Redoing: {name}"), gettext("Redoing: {name}")),
        _ => (gettext("Working on “{name}”"), ngettext("Working on {n} item", "Working on {n} items", n)),
    };
    subject.fill(one, many)
}

/// What was done.
pub(crate) fn title_done(subject: &Subject<'_>) -> String {
    let n = subject.count;
    let (one, many) = match (subject.kind, subject.target) {
        (OperationKind::Copy, Some(_)) => (
            gettext("Copied “{name}” to “{target}”"),
            ngettext("Copied {n} item to “{target}”", "Copied {n} items to “{target}”", n),
        ),
        (OperationKind::Move, Some(_)) => (
            gettext("Moved “{name}” to “{target}”"),
            ngettext("Moved {n} item to “{target}”", "Moved {n} items to “{target}”", n),
        ),
        (OperationKind::Copy, None) => (gettext("Copied “{name}”"), ngettext("Copied {n} item", "Copied {n} items", n)),
        (OperationKind::Move, None) => (gettext("Moved “{name}”"), ngettext("Moved {n} item", "Moved {n} items", n)),
        (OperationKind::Trash, _) => (
            gettext("Moved “{name}” to the trash"),
            ngettext("Moved {n} item to the trash", "Moved {n} items to the trash", n),
        ),
        (OperationKind::Restore, _) => {
            (gettext("Restored “{name}”"), ngettext("Restored {n} item", "Restored {n} items", n))
        }
        (OperationKind::Delete, _) => {
            (gettext("Deleted “{name}”"), ngettext("Deleted {n} item", "Deleted {n} items", n))
        }
        (OperationKind::Undo, _) => (gettext("Undone: {name}"), gettext("Undone: {name}")),
        (OperationKind::Redo, _) => (gettext("Redone: {name}"), gettext("Redone: {name}")),
        _ => (gettext("Worked on “{name}”"), ngettext("Worked on {n} item", "Worked on {n} items", n)),
    };
    subject.fill(one, many)
}

// ---- how far it is

pub(crate) fn waiting(before: u64) -> String {
    let sentence = ngettext("Waiting for {n} other operation", "Waiting for {n} other operations", before);
    fill(&sentence, &[("n", &number(before))])
}

pub(crate) fn waiting_for_nobody() -> String {
    gettext("Waiting for its turn")
}

pub(crate) fn preparing() -> String {
    gettext("Preparing…")
}

pub(crate) fn paused(progress: &str) -> String {
    fill(&gettext("Paused — {progress}"), &[("progress", progress)])
}

pub(crate) fn asking(questions: u64) -> String {
    let sentence = ngettext("{n} question waits for your answer", "{n} questions wait for your answers", questions);
    fill(&sentence, &[("n", &number(questions))])
}

pub(crate) fn cancelling() -> String {
    gettext("Cancelling…")
}

/// How much of its contents.
pub(crate) fn bytes(done: u64, total: u64) -> String {
    fill(&gettext("{done} of {total}"), &[("done", &size(done)), ("total", &size(total))])
}

/// While it is not known how much there is.
pub(crate) fn bytes_so_far(done: u64) -> String {
    fill(&gettext("{done} so far"), &[("done", &size(done))])
}

pub(crate) fn entries(done: u64, total: u64) -> String {
    let sentence = ngettext("{done} of {total} item", "{done} of {total} items", total);
    fill(&sentence, &[("done", &number(done)), ("total", &number(total))])
}

pub(crate) fn entries_so_far(done: u64) -> String {
    fill(&ngettext("{n} item so far", "{n} items so far", done), &[("n", &number(done))])
}

/// The device does not have all that was copied: a pulled cable would lose the rest.
pub(crate) fn copied_and_safe(copied: u64, total: u64, safe: u64) -> String {
    let sentence = gettext("{copied} of {total} copied, {safe} safely stored");
    fill(&sentence, &[("copied", &size(copied)), ("total", &size(total)), ("safe", &size(safe))])
}

pub(crate) fn rate(bytes_per_second: f64) -> String {
    fill(&gettext("{size}/s"), &[("size", &size(bytes_per_second as u64))])
}

pub(crate) fn time_left(left: TimeLeft, device: &str) -> String {
    let (sentence, n) = match left {
        TimeLeft::Unknown => return String::new(),
        TimeLeft::Stalled if device.is_empty() => return gettext("Stalled"),
        TimeLeft::Stalled => return fill(&gettext("Stalled, waiting for “{device}”"), &[("device", device)]),
        TimeLeft::MoreThanADay => return gettext("More than a day left"),
        TimeLeft::Seconds(n) => (ngettext("About {n} second left", "About {n} seconds left", n), n),
        TimeLeft::Minutes(n) => (ngettext("About {n} minute left", "About {n} minutes left", n), n),
        TimeLeft::Hours(n, 0) => (ngettext("About {n} hour left", "About {n} hours left", n), n),
        TimeLeft::Hours(n, minutes) => {
            let sentence =
                ngettext("About {n} hour {minutes} minutes left", "About {n} hours {minutes} minutes left", n);
            return fill(&sentence, &[("n", &number(n)), ("minutes", &number(minutes))]);
        }
    };
    fill(&sentence, &[("n", &number(n))])
}

/// What a progress bar says to those who do not see it.
pub(crate) fn spoken_progress(fraction: f64, time_left: &str) -> String {
    let percent = number((fraction * 100.0) as u64);
    match time_left {
        "" => fill(&gettext("{percent} percent"), &[("percent", &percent)]),
        left => fill(&gettext("{percent} percent. {left}"), &[("percent", &percent), ("left", left)]),
    }
}

// ---- how it ended

pub(crate) fn finished(files: u64, bytes: u64) -> String {
    match (files, bytes) {
        (0, _) => gettext("Done"),
        (_, 0) => fill(&ngettext("{n} file", "{n} files", files), &[("n", &number(files))]),
        _ => fill(
            &ngettext("{n} file, {size}", "{n} files, {size}", files),
            &[("n", &number(files)), ("size", &size(bytes))],
        ),
    }
}

pub(crate) fn cancelled(entries: u64) -> String {
    match entries {
        0 => gettext("Cancelled before anything was done"),
        _ => fill(
            &ngettext("Cancelled after {n} item", "Cancelled after {n} items", entries),
            &[("n", &number(entries))],
        ),
    }
}

pub(crate) fn incomplete(failed: u64, skipped: u64) -> String {
    let failures = || fill(&ngettext("{n} item failed", "{n} items failed", failed), &[("n", &number(failed))]);
    let skips =
        || fill(&ngettext("{n} item was skipped", "{n} items were skipped", skipped), &[("n", &number(skipped))]);
    match (failed, skipped) {
        (_, 0) => failures(),
        (0, _) => skips(),
        _ => fill(&gettext("{failures}; {skips}"), &[("failures", &failures()), ("skips", &skips())]),
    }
}

// ---- on buttons, and said of them

pub(crate) fn pause() -> String {
    gettext("Pause")
}

pub(crate) fn resume() -> String {
    gettext("Resume")
}

pub(crate) fn cancel() -> String {
    gettext("Cancel")
}

pub(crate) fn cancel_button() -> String {
    gettext("_Cancel")
}

pub(crate) fn delete_button() -> String {
    gettext("_Delete")
}

pub(crate) fn undo_button() -> String {
    gettext("_Undo")
}

pub(crate) fn close() -> String {
    gettext("Close")
}

pub(crate) fn undo() -> String {
    gettext("Undo")
}

pub(crate) fn dismiss() -> String {
    gettext("Remove from the list")
}

pub(crate) fn show_details() -> String {
    gettext("Show details")
}

pub(crate) fn hide_details() -> String {
    gettext("Hide details")
}

/// A button's name where several rows have it: "Pause: Copying “a” to “b”".
pub(crate) fn about(action: &str, title: &str) -> String {
    fill(&gettext("{action}: {title}"), &[("action", action), ("title", title)])
}

pub(crate) fn speed(bytes_per_second: f64) -> String {
    fill(&gettext("Speed: {rate}"), &[("rate", &rate(bytes_per_second))])
}

pub(crate) fn operations() -> String {
    gettext("File operations")
}

pub(crate) fn schedule() -> String {
    gettext("When operations start")
}

pub(crate) fn operations_button(running: u64, questions: u64) -> String {
    match (running, questions) {
        (0, _) => gettext("File operations: all done"),
        (_, 0) => {
            let sentence = ngettext("File operations: {n} is running", "File operations: {n} are running", running);
            fill(&sentence, &[("n", &number(running))])
        }
        _ => asking(questions),
    }
}

/// Why the machine should stay awake.
pub(crate) fn inhibit_reason() -> String {
    gettext("Files are being processed")
}

// ---- numbers, sizes, times, names

/// "12,345" as the language writes it.
pub(crate) fn number(number: u64) -> String {
    // Translators: what stands between groups of three digits; in some languages a no-break space, or nothing ("-").
    let separator = pgettext("thousands separator", ",");
    let separator = if separator == "-" { "" } else { &separator };
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + 8);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push_str(separator);
        }
        grouped.push(digit);
    }
    grouped
}

/// "2.1 MB", as GLib writes it in the user's language.
pub(crate) fn size(bytes: u64) -> String {
    glib::format_size(bytes).into()
}

/// A moment in the user's time zone.
pub(crate) fn moment(time: SystemTime) -> String {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    };
    // Translators: date and time in the form of g_date_time_format(), such as "%d.%m.%Y %H:%M".
    let format = pgettext("date and time", "%Y-%m-%d %H:%M");
    let shown = glib::DateTime::from_unix_local(seconds).and_then(|moment| moment.format(&format));
    shown.map_or_else(|_| String::new(), Into::into)
}

/// A name or path without what could not be shown or would turn the text around.
pub(crate) fn shown(path: impl AsRef<OsStr>) -> String {
    Shown(Path::new(path.as_ref())).to_string()
}

/// The last name of a path; of `/` and of what ends in `..` all of it.
pub(crate) fn name(path: &Path) -> String {
    shown(path.file_name().unwrap_or(path.as_os_str()))
}

pub(crate) fn kind(kind: EntryKind) -> String {
    match kind {
        EntryKind::File => gettext("File"),
        EntryKind::Directory => gettext("Folder"),
        EntryKind::Symlink => gettext("Link"),
        _ => gettext("Special file"),
    }
}

// ---- conflicts

/// What is in the way, and where.
pub(crate) fn exists(name: &str, directory: &str) -> String {
    fill(&gettext("“{name}” is already in “{directory}”"), &[("name", name), ("directory", directory)])
}

/// What the choice is between.
pub(crate) fn conflict_hint(kind: QuestionKind) -> String {
    match kind {
        QuestionKind::Merge => gettext("Merging puts what is in the folder into the one that is there."),
        QuestionKind::Mismatch => gettext("One is a folder and the other is not: one cannot replace the other."),
        _ => gettext("What is replaced can be brought back by an undo."),
    }
}

/// "File, 2.1 MB, 2026-08-01 12:30".
pub(crate) fn party(party: &Party) -> String {
    let (kind, time) = (kind(party.kind), moment(party.modified));
    match party.kind {
        EntryKind::File => {
            let sentence = gettext("{kind}, {size}, {time}");
            fill(&sentence, &[("kind", &kind), ("size", &size(party.size)), ("time", &time)])
        }
        _ => fill(&gettext("{kind}, {time}"), &[("kind", &kind), ("time", &time)]),
    }
}

/// What a side has more of than the other.
pub(crate) fn advantage(this: &Party, other: &Party) -> String {
    let is_larger = this.kind == EntryKind::File && other.kind == EntryKind::File && this.size > other.size;
    match (this.modified > other.modified, is_larger) {
        (true, true) => gettext("newer, larger"),
        (true, false) => gettext("newer"),
        (false, true) => gettext("larger"),
        (false, false) => String::new(),
    }
}

pub(crate) fn sameness(sameness: Sameness) -> String {
    match sameness {
        Sameness::Unknown => String::new(),
        Sameness::Comparing => gettext("Comparing the contents…"),
        Sameness::Same => gettext("The contents are the same"),
        Sameness::Different => gettext("The contents are different"),
        Sameness::Failed => gettext("The contents could not be compared"),
    }
}

pub(crate) fn conflicts(number_of_them: u64) -> String {
    let sentence = ngettext("{n} item exists already", "{n} items exist already", number_of_them);
    fill(&sentence, &[("n", &number(number_of_them))])
}

pub(crate) fn conflict_list() -> String {
    gettext("Items that exist already")
}

pub(crate) fn choice(choice: Choice) -> String {
    match choice {
        Choice::Later => gettext("Decide later"),
        Choice::Skip => gettext("Skip"),
        Choice::KeepBoth => gettext("Keep both"),
        Choice::Replace => gettext("Replace"),
        Choice::Merge => gettext("Merge"),
    }
}

pub(crate) fn choice_for(name: &str) -> String {
    fill(&gettext("What to do with “{name}”"), &[("name", name)])
}

pub(crate) fn new_side(facts: &str) -> String {
    fill(&gettext("New: {facts}"), &[("facts", facts)])
}

pub(crate) fn old_side(facts: &str) -> String {
    fill(&gettext("There: {facts}"), &[("facts", facts)])
}

/// Facts about a side, with what it has more of.
pub(crate) fn facts(facts: &str, advantage: &str) -> String {
    match advantage {
        "" => facts.to_owned(),
        _ => fill(&gettext("{facts} ({advantage})"), &[("facts", facts), ("advantage", advantage)]),
    }
}

pub(crate) fn answers_button(chosen: u64) -> String {
    match chosen {
        0 => gettext("_Apply"),
        _ => fill(&ngettext("_Apply {n} choice", "_Apply {n} choices", chosen), &[("n", &number(chosen))]),
    }
}

// ---- failures that are asked about

pub(crate) fn problems(number_of_them: u64) -> String {
    let sentence = ngettext("{n} item needs attention", "{n} items need attention", number_of_them);
    fill(&sentence, &[("n", &number(number_of_them))])
}

pub(crate) fn problem_list() -> String {
    gettext("Items that need attention")
}

pub(crate) fn everything_else_goes_on() -> String {
    gettext("Everything else goes on meanwhile.")
}

pub(crate) fn medium_gone() -> String {
    gettext("The device is gone, and everything waits")
}

/// The label of an answer, with its mnemonic; `None` for what is answered elsewhere.
pub(crate) fn answer(resolution: &Resolution) -> Option<String> {
    Some(match resolution {
        Resolution::Retry => gettext("_Retry"),
        Resolution::RetryWithRights => gettext("_Open it for the time and retry"),
        Resolution::Skip => gettext("_Skip"),
        Resolution::Delete => gettext("_Delete for good"),
        Resolution::Anyway => gettext("_Undo all the same"),
        Resolution::Stop => gettext("_Cancel the operation"),
        Resolution::Merge => gettext("_Merge"),
        Resolution::Replace => gettext("_Replace"),
        Resolution::KeepBoth => gettext("_Keep both"),
        _ => return None,
    })
}

pub(crate) fn copy_path() -> String {
    gettext("Copy the path")
}

/// The full path and the kernel's answer, to be copied.
pub(crate) fn details(path: &str, errno: &str) -> String {
    fill(&gettext("{path}\n{errno}"), &[("path", path), ("errno", errno)])
}

// ---- a full target

pub(crate) fn full(device: &str, needed: u64, free: u64) -> String {
    let values = [("device", device), ("needed", &size(needed)), ("free", &size(free))];
    match needed {
        0 => fill(&gettext("“{device}” is full: {free} are free."), &values),
        _ => fill(&gettext("“{device}” is too full: {needed} are still to come, {free} are free."), &values),
    }
}

// ---- deleting for good

pub(crate) fn confirm_delete(subject: &Subject<'_>) -> String {
    let n = subject.count;
    let many = ngettext("Delete {n} item for good?", "Delete {n} items for good?", n);
    subject.fill(gettext("Delete “{name}” for good?"), many)
}

/// While it is being counted.
pub(crate) fn cannot_be_undone() -> String {
    gettext("This cannot be undone.")
}

pub(crate) fn cannot_be_undone_of(files: u64, bytes: u64) -> String {
    let sentence =
        ngettext("{n} file, {size}. This cannot be undone.", "{n} files, {size}. This cannot be undone.", files);
    fill(&sentence, &[("n", &number(files)), ("size", &size(bytes))])
}

// ---- what failed

/// What could not be done to what.
pub(crate) fn failure(action: Action, name: &str) -> String {
    let sentence = match action {
        Action::Open | Action::Read | Action::Stat => gettext("“{name}” could not be read"),
        Action::List => gettext("The folder “{name}” could not be read"),
        Action::Write => gettext("“{name}” could not be written"),
        Action::Copy | Action::Create | Action::CreateDir | Action::CreateSpecial | Action::Symlink | Action::Link => {
            gettext("“{name}” could not be created")
        }
        Action::Move | Action::Rename => gettext("“{name}” could not be moved"),
        Action::Trash => gettext("“{name}” could not be moved to the trash"),
        Action::Restore => gettext("“{name}” could not be restored"),
        Action::Remove | Action::RemoveDir => gettext("“{name}” could not be deleted"),
        Action::Undo | Action::Redo => gettext("The change to “{name}” could not be taken back"),
        Action::Verify => gettext("The copy of “{name}” is not like the original"),
        _ => gettext("“{name}” could not be processed"),
    };
    fill(&sentence, &[("name", name)])
}

/// Why, in the words of people.
pub(crate) fn reason(error: &fileops::Error) -> String {
    if let Some(refusal) = error.refusal() {
        return self::refusal(refusal);
    }
    match error.source.kind() {
        io::ErrorKind::PermissionDenied => gettext("You do not have the rights to do this."),
        io::ErrorKind::NotFound => gettext("It is not there any more."),
        io::ErrorKind::StorageFull => gettext("The device is full."),
        io::ErrorKind::QuotaExceeded => gettext("Your share of the device is used up."),
        io::ErrorKind::ReadOnlyFilesystem => gettext("The device can only be read."),
        io::ErrorKind::AlreadyExists => gettext("There is something of this name already."),
        io::ErrorKind::InvalidFilename => gettext("The name is too long, or is not allowed there."),
        io::ErrorKind::ResourceBusy => gettext("It is in use."),
        io::ErrorKind::NotConnected | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            gettext("The device or server cannot be reached.")
        }
        _ => error.source.to_string(),
    }
}

fn refusal(refusal: Refusal) -> String {
    match refusal {
        Refusal::SameFile => gettext("It would be copied onto itself."),
        Refusal::IntoItself => gettext("A folder cannot go into itself."),
        Refusal::Exists => gettext("There is something of this name already."),
        Refusal::KindDiffers => gettext("A folder and a file cannot replace each other."),
        Refusal::Changed => gettext("It was changed while it was read."),
        Refusal::TargetChanged => gettext("Somebody else changed what is in its place."),
        Refusal::NameNotAllowed => gettext("The device does not allow this name."),
        Refusal::TooLarge => gettext("It is larger than the device can hold as one file."),
        Refusal::KindNotSupported => gettext("The device has no such kind of file."),
        Refusal::MountPoint => gettext("Another device is mounted there."),
        Refusal::NoTrash => gettext("There is no trash for it."),
        Refusal::IsTrash => gettext("It belongs to the trash."),
        Refusal::Damaged => gettext("The trash does not know where it was."),
        Refusal::ChangedSince => gettext("It was changed since."),
        Refusal::NotKept => gettext("What was replaced is not kept any more."),
        Refusal::InPart => gettext("Some of it could not be done."),
        Refusal::Mismatch => gettext("What was read back is not what was written."),
        other => other.to_string(),
    }
}

/// The kernel's answer, for those who know it: "EACCES (13): Permission denied".
pub(crate) fn errno(error: &fileops::Error) -> String {
    match error.errno() {
        Some(errno) => {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            fill(&gettext("Error {errno}: {text}"), &[("errno", &errno.to_string()), ("text", &text)])
        }
        None => error.source.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const COPY: Subject<'_> = Subject { kind: OperationKind::Copy, count: 1, name: "photos", target: Some("disk") };

    #[test]
    fn a_title_names_one_thing_and_counts_many() {
        assert_eq!(title(&COPY), "Copying “photos” to “disk”");
        assert_eq!(title(&Subject { count: 12_345, ..COPY }), "Copying 12,345 items to “disk”");
        assert_eq!(
            title_done(&Subject { kind: OperationKind::Trash, target: None, ..COPY }),
            "Moved “photos” to the trash"
        );
    }

    #[test]
    fn the_time_left_is_a_sentence() {
        assert_eq!(time_left(TimeLeft::Minutes(1), ""), "About 1 minute left");
        assert_eq!(time_left(TimeLeft::Hours(2, 20), ""), "About 2 hours 20 minutes left");
        assert_eq!(time_left(TimeLeft::Stalled, "stick"), "Stalled, waiting for “stick”");
        assert_eq!(spoken_progress(0.426, "About 5 seconds left"), "42 percent. About 5 seconds left");
    }

    #[test]
    fn names_cannot_turn_the_text_around() {
        assert_eq!(name(Path::new("/a/b\u{202e}c\n")), r"b\u{202e}c\n");
        assert_eq!(name(Path::new("/")), "/");
    }

    #[test]
    fn an_ending_tells_failures_and_skips() {
        assert_eq!(incomplete(1, 0), "1 item failed");
        assert_eq!(incomplete(2, 1), "2 items failed; 1 item was skipped");
        assert_eq!(cancelled(0), "Cancelled before anything was done");
    }

    #[test]
    fn a_moment_before_the_epoch_is_shown_too() {
        assert!(moment(UNIX_EPOCH - Duration::from_secs(86_400 * 365 * 10)).starts_with("19"));
    }
}
