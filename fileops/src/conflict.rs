//! What happens where a target exists already: standing rules, what there is to be asked, and the names of things kept
//! beside each other.

use crate::comparison::{Comparer, Comparison};
use crate::error::Action;
use crate::sys::stat::Stat;
use rustix::fs::FileType;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// The standing answer to "the target exists". Directories merge whatever the rule (but see
/// [`Merges`]); a file never replaces a directory, nor a directory a file. What one operation has made is replaced by nothing of the same operation: of two sources of one
/// name the second fails.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The entry fails with EEXIST; everything else goes on.
    #[default]
    Fail,
    /// The target stays, and the report names the entry as skipped.
    Skip,
    /// The new file takes the old one's place, once it is whole.
    Replace,
    /// Both stay: the new one is called "name (2)".
    Rename,
    /// Replace if the source was modified later, else skip.
    Newer,
    /// Replace if the contents differ, else skip. Contents are compared byte by byte.
    Different,
    /// The entry is parked and its question open, see [`Operation::questions`](crate::Operation::questions); everything
    /// else goes on.
    Ask,
}

/// Whether a directory that exists is merged with at once, where [`OnConflict::Ask`] is the rule.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merges {
    /// Without a question: what is in them is asked about.
    #[default]
    Silent,
    /// Each is a question of its own; what is in it waits with it.
    Ask,
}

/// What is at one end of a conflict, as it was when the question was asked.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Where.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of contents; of a directory nothing that tells anything.
    pub size: u64,
    /// When its contents were changed last.
    pub modified: SystemTime,
}

/// The kinds of entries that a person tells apart.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device.
    Special,
}

/// A target that exists: what is to be copied, and what is in its place.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Conflict {
    /// What is to be put there.
    pub source: Party,
    /// What is there.
    pub target: Party,
    /// What was seen at the target: an answer is about that.
    pub(crate) seen: Stat,
    /// Whether one can still go into the other.
    pub(crate) can_merge: bool,
    /// What the operation does: what the report says of it when nobody answers.
    pub(crate) action: Action,
    comparer: Comparer,
}

impl Conflict {
    pub(crate) fn new(
        action: Action,
        source: (PathBuf, &Stat),
        target: (PathBuf, &Stat),
        comparer: Comparer,
    ) -> Conflict {
        let seen = *target.1;
        Conflict { source: Party::new(source), target: Party::new(target), seen, can_merge: true, action, comparer }
    }

    /// What is to be put there stays whole.
    pub(crate) fn cannot_merge(self) -> Conflict {
        Conflict { can_merge: false, ..self }
    }

    /// Whether the source was modified later than what is at the target.
    pub fn is_newer(&self) -> bool {
        self.source.modified > self.target.modified
    }

    /// Compares both sides' contents byte by byte, or what links point to, on a thread of the pool. Nothing is read before
    /// this is called; sizes that differ are an answer by themselves.
    pub fn compare(&self) -> Comparison {
        self.comparer.start(&self.source.path)
    }
}

impl Party {
    fn new((path, stat): (PathBuf, &Stat)) -> Party {
        let kind = match stat.kind() {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Symlink,
            _ => EntryKind::Special,
        };
        Party { path, kind, size: stat.size, modified: stat.modified.moment() }
    }
}

/// Whether what an operation did is recorded, and what it replaced is kept, so that it can be undone.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undoable {
    /// Old files go to the kept area of their mount, limited in size and age.
    #[default]
    Yes,
    /// Old files are dropped at once.
    No,
}

/// Endings that belong together: what is before them is the stem.
const DOUBLE_ENDINGS: [&str; 8] = ["tar.gz", "tar.bz2", "tar.xz", "tar.zst", "tar.lz", "tar.lzma", "tar.Z", "tar.br"];

/// The longest name that Linux file systems take, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// "report.tar.gz" as number 2 is "report (2).tar.gz"; "report (2).txt" as number 3 is "report (3).txt".
/// A stem that grows too long is shortened at the boundary of a character.
pub(crate) fn numbered(name: &CStr, number: u32) -> CString {
    numbered_within(name, number, NAME_MAX)
}

/// As [`numbered`], in at most `most` bytes; number 1 is the name itself.
pub(crate) fn numbered_within(name: &CStr, number: u32, most: usize) -> CString {
    let name = name.to_bytes();
    let (stem, ending) = name.split_at(stem_length(name));
    let (stem, suffix) = match number {
        1 => (stem, String::new()),
        _ => (without_number(stem), format!(" ({number})")),
    };
    within(stem, suffix.as_bytes(), ending, most)
}

/// "report.txt" duplicated is "report (copy).txt", then "report (copy 2).txt"; so is "report (copy).txt".
pub(crate) fn duplicated(name: &CStr, number: u32) -> CString {
    let name = name.to_bytes();
    let (stem, ending) = name.split_at(stem_length(name));
    let suffix = if number == 1 { " (copy)".to_owned() } else { format!(" (copy {number})") };
    within(without_copy(stem), suffix.as_bytes(), ending, NAME_MAX)
}

fn without_copy(stem: &[u8]) -> &[u8] {
    if let Some(bare) = stem.strip_suffix(b" (copy)").filter(|bare| !bare.is_empty()) {
        return bare;
    }
    let Some(inner) = stem.strip_suffix(b")") else { return stem };
    let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = inner[..inner.len() - digits].strip_suffix(b" (copy ");
    rest.filter(|bare| digits > 0 && !bare.is_empty()).unwrap_or(stem)
}

/// The stem is shortened at the boundary of a character.
fn within(stem: &[u8], suffix: &[u8], ending: &[u8], most: usize) -> CString {
    let ending = &ending[..ending.len().min(most / 2)];
    let room = most.saturating_sub(suffix.len() + ending.len());
    let mut cut = stem.len().min(room);
    while cut < stem.len() && cut > 0 && stem[cut] & 0b1100_0000 == 0b1000_0000 {
        cut -= 1;
    }
    let bytes = [&stem[..cut], suffix, ending].concat();
    CString::new(bytes).expect("a part of a name without NUL has none")
}

/// How many bytes of a name come before its ending, which is what a person changes who renames it: "a" of "a.gz" and of
/// "a.tar.gz", all of ".profile", "README" and "Dr. Smith".
///
/// ```
/// let name = "report (2).tar.gz";
/// assert_eq!(&name[..fileops::stem(name)], "report (2)");
/// ```
pub fn stem(name: impl AsRef<OsStr>) -> usize {
    stem_length(name.as_ref().as_bytes())
}

/// Where the ending begins: ".gz" of "a.gz", ".tar.gz" of "a.tar.gz", nothing of ".profile" or "README".
fn stem_length(name: &[u8]) -> usize {
    for ending in DOUBLE_ENDINGS {
        let Some(length) = name.len().checked_sub(ending.len() + 1) else { continue };
        if length > 0 && name[length] == b'.' && name[length + 1..].eq_ignore_ascii_case(ending.as_bytes()) {
            return length;
        }
    }
    match name.iter().rposition(|&byte| byte == b'.') {
        // An ending is short and has no space: "Dr. Smith" has none.
        Some(dot) if dot > 0 && dot + 1 < name.len() && name.len() - dot <= 11 && !name[dot..].contains(&b' ') => dot,
        _ => name.len(),
    }
}

fn without_number(stem: &[u8]) -> &[u8] {
    let Some(inner) = stem.strip_suffix(b")") else { return stem };
    let Some(open) = inner.iter().rposition(|&byte| byte == b'(') else { return stem };
    let is_number = open + 1 < inner.len() && inner[open + 1..].iter().all(u8::is_ascii_digit);
    match inner[..open].strip_suffix(b" ") {
        Some(bare) if is_number && !bare.is_empty() => bare,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(name: &str) -> String {
        numbered(&CString::new(name).unwrap(), 2).into_string().unwrap()
    }

    #[test]
    fn the_number_goes_before_the_ending() {
        assert_eq!(second("a.txt"), "a (2).txt");
        assert_eq!(second("name.tar.gz"), "name (2).tar.gz");
        assert_eq!(second("README"), "README (2)");
        assert_eq!(second(".profile"), ".profile (2)");
        assert_eq!(second("Dr. Smith"), "Dr. Smith (2)");
        assert_eq!(second("a (7).txt"), "a (2).txt");
        assert_eq!(second("song (C).txt"), "song (C) (2).txt");
        assert_eq!(second("(1)"), "(1) (2)");
        assert_eq!(second("end."), "end. (2)");
    }

    #[test]
    fn a_duplicate_is_called_a_copy() {
        let name = |name: &str, number| duplicated(&CString::new(name).unwrap(), number).into_string().unwrap();
        assert_eq!(name("a.txt", 1), "a (copy).txt");
        assert_eq!(name("a.txt", 2), "a (copy 2).txt");
        assert_eq!(name("a (copy).tar.gz", 2), "a (copy 2).tar.gz");
        assert_eq!(name("a (copy 12)", 3), "a (copy 3)");
        assert_eq!(name("dir", 1), "dir (copy)");
        assert_eq!(name(" (copy)", 1), " (copy) (copy)");
        assert_eq!(name("a (copy )", 1), "a (copy ) (copy)");
        assert!(duplicated(&CString::new("n".repeat(255)).unwrap(), 1).as_bytes().len() <= NAME_MAX);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = format!("{}.txt", "ä".repeat(125));
        let number = numbered(&CString::new(name).unwrap(), 10);
        assert!(number.as_bytes().len() <= NAME_MAX);
        assert!(number.to_str().unwrap().ends_with("ä (10).txt"));
    }
}
