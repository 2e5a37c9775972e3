//! Metadata beside the files, where the file system has no place for it: one hidden file a directory,
//! [`.fileops-metadata`](NAME).
//!
//! It is written and read by operations that were asked to ([`Metadata::Sidecar`](crate::Metadata)). Its format is text, a
//! record a line:
//!
//! ```text
//! fileops-metadata TAB 1 TAB crc32
//! file TAB name TAB size TAB seconds TAB nanoseconds TAB attribute TAB value [TAB attribute TAB value]... TAB crc32
//! ```
//!
//! The first line names the format and its version. Each `file` line is about one entry of the directory, or about the directory
//! itself, whose name is `.`: size and modification time that the entry had when the line was written (of a directory 0,
//! since it changes with what is in it), and its `user.*` attributes, sorted by their names. Lines are sorted by the names of
//! the entries. In every field `%`, the bytes 0 to 32 and those from 127 on stand as `%XX`. The last field of a line is the
//! CRC-32 of everything before it, in eight hexadecimal digits.
//!
//! A line is believed about a regular file of that size whose time is the same but for [`TIME_STEP`], and about any directory;
//! else it is stale: what has the name now is not what it was about. A line that does not hold together, or that a later
//! version wrote, is nobody's, and stays as it is where the file is written anew. A file without the first line is somebody
//! else's, and is left alone.

use crate::journal::line;
use crate::sys::stat::{Stat, Time};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};

/// What the file is called.
pub(crate) const NAME: &CStr = c".fileops-metadata";

/// A directory's own line.
pub(crate) const SELF: &CStr = c".";

/// FAT keeps times to two seconds.
pub(crate) const TIME_STEP: i64 = 2;

/// A longer one is not read: it is somebody else's.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// Attributes, sorted by their names, and their values.
pub(crate) type Attributes = Vec<(CString, Vec<u8>)>;

/// What is kept of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    size: u64,
    modified: Time,
    pub(crate) attributes: Attributes,
}

impl Kept {
    /// Of an entry as it is now.
    pub(crate) fn of(stat: &Stat, mut attributes: Attributes) -> Kept {
        attributes.sort();
        match stat.is_dir() {
            true => Kept { size: 0, modified: Time::default(), attributes },
            false => Kept { size: stat.size, modified: stat.modified, attributes },
        }
    }

    /// Whether it is about what has the name now.
    pub(crate) fn is_about(&self, stat: &Stat) -> bool {
        let nanoseconds = |time: Time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
        let apart = (nanoseconds(self.modified) - nanoseconds(stat.modified)).abs();
        let is_same = self.size == stat.size && apart <= i128::from(TIME_STEP) * 1_000_000_000;
        stat.is_dir() || stat.is_file() && is_same
    }
}

/// What such a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sidecar {
    pub(crate) entries: BTreeMap<CString, Kept>,
    /// Lines that are not understood.
    others: Vec<Vec<u8>>,
}

impl Sidecar {
    /// `None` if it is not such a file.
    pub(crate) fn parse(text: &[u8]) -> Option<Sidecar> {
        let mut lines = text.split(|&byte| byte == b'\n');
        let first = line::fields(lines.next()?)?;
        if first.first().map(Vec::as_slice) != Some(b"fileops-metadata") || first.get(1)?.as_slice() != b"1" {
            return None;
        }
        let mut sidecar = Sidecar::default();
        for text in lines.filter(|line| !line.is_empty()) {
            match line::fields(text).and_then(|fields| entry(&fields)) {
                Some((name, kept)) => _ = sidecar.entries.insert(name, kept),
                None => sidecar.others.push(text.to_vec()),
            }
        }
        Some(sidecar)
    }

    /// Whether all of it is understood.
    pub(crate) fn is_whole(&self) -> bool {
        self.others.is_empty()
    }

    pub(crate) fn print(&self) -> Vec<u8> {
        let mut text = line::line(&[b"fileops-metadata", b"1"]);
        for (name, kept) in &self.entries {
            let numbers =
                [kept.size.to_string(), kept.modified.seconds.to_string(), kept.modified.nanoseconds.to_string()];
            let mut fields = vec![&b"file"[..], name.to_bytes()];
            fields.extend(numbers.iter().map(|number| number.as_bytes()));
            fields.extend(kept.attributes.iter().flat_map(|(name, value)| [name.to_bytes(), value]));
            text.extend(line::line(&fields));
        }
        for line in &self.others {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text
    }
}

fn entry(fields: &[Vec<u8>]) -> Option<(CString, Kept)> {
    let [kind, name, size, seconds, nanoseconds, attributes @ ..] = fields else { return None };
    let modified = Time { seconds: line::number(seconds)?, nanoseconds: line::number(nanoseconds)? };
    let is_name = !name.is_empty() && !name.contains(&b'/') && name != b"..";
    if kind != b"file" || !is_name || attributes.len() % 2 != 0 || !(0..1_000_000_000).contains(&modified.nanoseconds) {
        return None;
    }
    let pair = |pair: &[Vec<u8>]| {
        // Nothing else may come out of a file that anybody can have written.
        let is_users = pair[0].starts_with(b"user.") && pair[0].len() > b"user.".len();
        Some((CString::new(pair[0].clone()).ok().filter(|_| is_users)?, pair[1].clone()))
    };
    let attributes = attributes.chunks_exact(2).map(pair).collect::<Option<Attributes>>()?;
    Some((CString::new(name.clone()).ok()?, Kept { size: line::number(size)?, modified, attributes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sidecar {
        let attributes = vec![(c"user.a".to_owned(), b"\0\n\t% \xff".to_vec()), (c"user.xdg.tags".to_owned(), vec![])];
        let modified = Time { seconds: -5, nanoseconds: 7 };
        let kept = Kept { size: 3, modified, attributes };
        let names = [c".".to_owned(), c"a\tb\n%".to_owned(), CString::new(b"\xff ".to_vec()).unwrap()];
        Sidecar { entries: names.into_iter().map(|name| (name, kept.clone())).collect(), others: Vec::new() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let sidecar = sample();
        let text = sidecar.print();
        assert!(text.iter().all(|&byte| byte == b'\n' || byte == b'\t' || (0x21..0x7f).contains(&byte)));
        assert_eq!(Sidecar::parse(&text), Some(sidecar));
        assert!(Sidecar::parse(&Sidecar::default().print()).is_some_and(|empty| empty == Sidecar::default()));
    }

    #[test]
    fn damage_costs_its_line_only_and_the_line_stays() {
        let text = sample().print();
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            let first = text.iter().position(|&byte| byte == b'\n').unwrap();
            match Sidecar::parse(&damaged) {
                None => assert!(at <= first, "{at}"),
                Some(read) => {
                    assert!(!read.is_whole() && !read.entries.is_empty(), "{at}");
                    let again = Sidecar::parse(&read.print()).unwrap();
                    assert_eq!(again.others, read.others);
                }
            }
        }
        for end in 0..text.len() {
            let _ = Sidecar::parse(&text[..end]);
        }
    }

    #[test]
    fn only_attributes_of_users_come_out_of_it() {
        for (name, attribute) in
            [("a", "security.capability"), ("a", "user."), ("a/b", "user.x"), ("..", "user.x"), ("", "user.x")]
        {
            let mut text = line::line(&[b"fileops-metadata", b"1"]);
            text.extend(line::line(&[b"file", name.as_bytes(), b"1", b"1", b"1", attribute.as_bytes(), b"x"]));
            let read = Sidecar::parse(&text).unwrap();
            assert!(read.entries.is_empty() && !read.is_whole(), "{name} {attribute}");
        }
    }
}
