//! Exif: which way up, which camera, when.
//!
//! A reader of our own for five fields: of the crates for it those that copy nothing for a length they were told are under a
//! licence that is not among ours.
//!
//! Source: TIFF 6.0, section 2; Exif 2.32, 4.6.

use super::tidy;

/// Fields of one directory that are looked at.
const FIELDS: usize = 1024;

const MAKE: u16 = 0x010f;
const MODEL: u16 = 0x0110;
const ORIENTATION: u16 = 0x0112;
const CHANGED: u16 = 0x0132;
const EXIF: u16 = 0x8769;
const TAKEN: u16 = 0x9003;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Exif {
    pub(super) orientation: Option<u8>,
    pub(super) camera: Option<String>,
    pub(super) taken: Option<String>,
}

pub(super) fn parse(bytes: &[u8]) -> Option<Exif> {
    let is_big = match bytes {
        [b'I', b'I', 42, 0, ..] => false,
        [b'M', b'M', 0, 42, ..] => true,
        _ => return None,
    };
    let tiff = Tiff { bytes, is_big };
    let top = tiff.number(4, 4)? as usize;
    let camera = match (tiff.text(top, MAKE), tiff.text(top, MODEL)) {
        // Some write the maker into the model too.
        (Some(make), Some(model)) if !model.starts_with(&make) => Some(format!("{make} {model}")),
        (make, model) => model.or(make),
    };
    let inner = tiff.integer(top, EXIF).map(|at| at as usize);
    let taken = inner.and_then(|inner| tiff.text(inner, TAKEN)).or_else(|| tiff.text(top, CHANGED));
    let orientation = tiff.integer(top, ORIENTATION).and_then(|turn| u8::try_from(turn).ok());
    Some(Exif {
        orientation: orientation.filter(|turn| (1..=8).contains(turn)),
        camera,
        taken: taken.and_then(|time| date(&time)),
    })
}

struct Tiff<'a> {
    bytes: &'a [u8],
    is_big: bool,
}

/// Type, count, and where the value stands in the file.
struct Field {
    kind: u32,
    count: usize,
    at: usize,
}

impl Tiff<'_> {
    fn number(&self, at: usize, length: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let join = |value, &byte: &u8| value << 8 | u32::from(byte);
        Some(if self.is_big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    fn field(&self, directory: usize, tag: u16) -> Option<Field> {
        let count = (self.number(directory, 2)? as usize).min(FIELDS);
        let place = |index: usize| directory.checked_add(2 + 12 * index);
        let is_it = |&at: &usize| self.number(at, 2) == Some(tag.into());
        let at = (0..count).filter_map(place).find(is_it)?;
        Some(Field { kind: self.number(at + 2, 2)?, count: self.number(at + 4, 4)? as usize, at: at + 8 })
    }

    fn integer(&self, directory: usize, tag: u16) -> Option<u32> {
        let field = self.field(directory, tag)?;
        match field.kind {
            3 => self.number(field.at, 2),
            4 => self.number(field.at, 4),
            _ => None,
        }
    }

    fn text(&self, directory: usize, tag: u16) -> Option<String> {
        let field = self.field(directory, tag).filter(|field| field.kind == 2)?;
        // What is short stands in the field itself.
        let at = if field.count <= 4 { field.at } else { self.number(field.at, 4)? as usize };
        let text = self.bytes.get(at..at.checked_add(field.count)?)?;
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        tidy(&String::from_utf8_lossy(&text[..end.min(super::TEXT_MAX)]))
    }
}

/// "2026:08:01 12:30:00" as "2026-08-01 12:30:00"; blanks and zeros stand where the camera did not know.
fn date(text: &str) -> Option<String> {
    let (day, time) = text.split_once(' ')?;
    let parts = |text: &str, mark| -> Option<Vec<u32>> { text.split(mark).map(|part| part.parse().ok()).collect() };
    let (day, time) = (parts(day, ':')?, parts(time, ':')?);
    let ([year @ 1..=9999, month @ 1..=12, day @ 1..=31], [hour @ 0..=23, minute @ 0..=59, second @ 0..=60]) =
        (day.as_slice(), time.as_slice())
    else {
        return None;
    };
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_believed_only_where_they_are_dates() {
        assert_eq!(date("2026:08:01 12:30:00").as_deref(), Some("2026-08-01 12:30:00"));
        for wrong in ["0000:00:00 00:00:00", "    :  :     :  :  ", "2026:13:01 00:00:00", "x", "2026:08:01", ""] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fields_that_point_anywhere_are_passed_by() {
        let head = b"II\x2a\0\x08\0\0\0\x01\0";
        let model =
            |count: u32, at: u32| [&head[..], &[0x10, 1, 2, 0], &count.to_le_bytes(), &at.to_le_bytes()].concat();
        assert_eq!(parse(&[model(6, 22), b"Camera".to_vec()].concat()).unwrap().camera.as_deref(), Some("Camera"));
        for (count, at) in [(u32::MAX, 22), (6, u32::MAX), (7, 22)] {
            assert_eq!(parse(&[model(count, at), b"Camera".to_vec()].concat()), Some(Exif::default()));
        }
    }
}
