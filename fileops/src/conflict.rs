//! What happens where a target exists already: standing rules, and the names of things kept beside each other.

use std::ffi::{CStr, CString};

/// The standing answer to "the target exists". Directories merge whatever the rule; a file never replaces a directory,
/// nor a directory a file. What one operation has made is replaced by nothing of the same operation: of two sources of one
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
    let name = name.to_bytes();
    let (stem, ending) = name.split_at(stem_length(name));
    let stem = without_number(stem);
    let suffix = format!(" ({number})");
    let room = NAME_MAX.saturating_sub(suffix.len() + ending.len());
    let mut cut = stem.len().min(room);
    while cut < stem.len() && cut > 0 && stem[cut] & 0b1100_0000 == 0b1000_0000 {
        cut -= 1;
    }
    let bytes = [&stem[..cut], suffix.as_bytes(), ending].concat();
    CString::new(bytes).expect("a part of a name without NUL has none")
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
    fn a_long_name_is_cut_between_characters() {
        let name = format!("{}.txt", "ä".repeat(125));
        let number = numbered(&CString::new(name).unwrap(), 10);
        assert!(number.as_bytes().len() <= NAME_MAX);
        assert!(number.to_str().unwrap().ends_with("ä (10).txt"));
    }
}
