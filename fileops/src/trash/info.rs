//! Info files: where something was, and when it was put into the trash. Bytes in, bytes out; nothing in them is trusted.

use crate::sys::clock::{self, Local};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const HEADER: &[u8] = b"[Trash Info]";

/// What an info file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// As it is written: absolute, or relative to where the trash folder is.
    pub(crate) path: PathBuf,
    /// Seconds since 1970; `None` where there is no date that makes sense.
    pub(crate) deleted: Option<i64>,
}

/// The contents of the info file for something that is put into the trash now.
pub(crate) fn write(path: &Path, now: i64) -> Vec<u8> {
    let mut text = [HEADER, b"\nPath="].concat();
    text.extend(encoded(path.as_os_str().as_bytes(), b"/"));
    let date = date(now).unwrap_or_default();
    writeln!(text, "\nDeletionDate={date}").expect("a vector takes everything");
    text
}

/// "2004-08-31T22:32:08", as the clock of this place has it.
pub(super) fn date(seconds: i64) -> Option<String> {
    let Local { year, month, day, hour, minute, second } = clock::local(seconds)?;
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// Reads an info file; `None` if it is none, or has no path. Of two paths or dates the first counts, and everything else is
/// ignored, as the specification wants it.
pub(crate) fn read(text: &[u8]) -> Option<Info> {
    let mut lines = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if lines.next()?.trim_ascii_end() != HEADER {
        return None;
    }
    let (mut path, mut date) = (None, None);
    for line in lines {
        if let Some(value) = line.strip_prefix(b"Path=") {
            path.get_or_insert(value);
        } else if let Some(value) = line.strip_prefix(b"DeletionDate=") {
            date.get_or_insert(value);
        }
    }
    let path = decoded(path?);
    let is_name = !path.is_empty() && !path.contains(&0);
    let deleted = date.and_then(moment);
    is_name.then(|| Info { path: PathBuf::from(OsString::from_vec(path)), deleted })
}

/// The seconds since 1970 of "2004-08-31T22:32:08". What may follow, such as fractions or a zone, is left out; the first
/// versions of the specification had no dashes.
fn moment(text: &[u8]) -> Option<i64> {
    let (date, time) = text.trim_ascii().split_at_checked(text.trim_ascii().iter().position(|&byte| byte == b'T')?)?;
    let mut time = time[1..].splitn(3, |&byte| byte == b':');
    let (year, month, day) = match date.len() {
        8 => (&date[..4], &date[4..6], &date[6..]),
        10 if date[4] == b'-' && date[7] == b'-' => (&date[..4], &date[5..7], &date[8..]),
        _ => return None,
    };
    let (hour, minute, rest) = (time.next()?, time.next()?, time.next()?);
    let second = rest.get(..2)?;
    let [year, month, day, hour, minute, second] = [year, month, day, hour, minute, second].map(number);
    let local = Local { year: year?, month: month?, day: day?, hour: hour?, minute: minute?, second: second? };
    clock::seconds(&local)
}

fn number(digits: &[u8]) -> Option<i32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Escapes everything but letters, digits, `-_.~` and what is allowed. Source: RFC 2396, section 2.
pub(crate) fn encoded(bytes: &[u8], allowed: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'-' | b'_' | b'.' | b'~' => text.push(byte),
            _ if byte.is_ascii_alphanumeric() || allowed.contains(&byte) => text.push(byte),
            _ => write!(text, "%{byte:02X}").expect("a vector takes everything"),
        }
    }
    text
}

/// The bytes again. What is no escape stands for itself.
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                let value = digit(high).zip(digit(low)).map_or(0, |(high, low)| high * 16 + low);
                bytes.push(u8::try_from(value).unwrap_or(first));
                after
            }
            _ => {
                bytes.push(first);
                tail
            }
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn path(bytes: &[u8]) -> &Path {
        Path::new(OsStr::from_bytes(bytes))
    }

    #[test]
    fn every_byte_of_a_path_comes_back() {
        let all: Vec<u8> = (1..=255).collect();
        let text = write(path(&all), 1_785_587_399);
        assert!(text.is_ascii());
        assert_eq!(text.iter().filter(|&&byte| byte == b'\n').count(), 3);
        assert_eq!(read(&text), Some(Info { path: path(&all).to_owned(), deleted: Some(1_785_587_399) }));
    }

    #[test]
    fn the_first_path_and_date_count_and_other_lines_do_not() {
        let text =
            b"[Trash Info]\n\nName=x\nPath=a%20b\nPath=c\n[More]\nDeletionDate=20040831T22:32:08\nDeletionDate=x";
        let info = read(text).unwrap();
        assert_eq!(info.path, path(b"a b"));
        assert_eq!(info.deleted, moment(b"2004-08-31T22:32:08.250Z"));
        assert!(info.deleted.is_some());
    }

    #[test]
    fn what_is_no_info_file_is_not_taken_for_one() {
        for text in [
            "",
            "\n",
            "Path=/a\n",
            "[Trash Info]",
            "[Trash Info]\nPath=\n",
            "[Trash Info]\nPath=a%00b\n",
            "[Trash Info]\nDeletionDate=2004-08-31T22:32:08\n",
            " [Trash Info]\nPath=/a\n",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_date_that_makes_no_sense_is_none() {
        for date in [
            "",
            "yesterday",
            "2004-13-31T22:32:08",
            "2004-08-31",
            "2004-08-31T",
            "T::",
            "2004-08-31T22:32:é",
            "+004-08-31T22:32:08",
        ] {
            let text = format!("[Trash Info]\nPath=/a\nDeletionDate={date}\n");
            assert_eq!(read(text.as_bytes()).unwrap().deleted, None, "{date}");
        }
    }

    #[test]
    fn an_escape_that_is_none_stands_for_itself() {
        assert_eq!(decoded(b"100%+%4%zz%41"), b"100%+%4%zzA");
    }
}
