//! Objects of a PDF file, as far as titles and page counts need them.
//!
//! Source: ISO 32000-1, 7.2 and 7.3; text strings 7.9.2.

use super::tidy;

/// Nested deeper than any real file: the parser calls itself.
const DEPTH: usize = 32;

/// Entries of one dictionary or array.
const ENTRIES: usize = 4096;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object<'a> {
    Name(&'a [u8]),
    Integer(i64),
    Reference(u32),
    Text(Vec<u8>),
    Array(Vec<Object<'a>>),
    Dictionary(Vec<(&'a [u8], Object<'a>)>),
    /// What is not needed.
    Other,
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Object<'a>> {
        let Object::Dictionary(entries) = self else { return None };
        entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    pub(super) fn integer(&self) -> Option<i64> {
        if let Object::Integer(number) = self { Some(*number) } else { None }
    }

    pub(super) fn is_name(&self, name: &[u8]) -> bool {
        matches!(self, Object::Name(own) if *own == name)
    }

    /// A text string, in either of its encodings, or UTF-8 (PDF 2.0).
    pub(super) fn text(&self) -> Option<String> {
        let Object::Text(bytes) = self else { return None };
        tidy(&match bytes.as_slice() {
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
            // PDFDocEncoding is Latin-1 but for some signs.
            bytes => bytes.iter().map(|&byte| signs(byte)).collect(),
        })
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

fn signs(byte: u8) -> char {
    const FROM_80: [char; 31] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ', 'Ł',
        'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž',
    ];
    match byte {
        0x80..=0x9e => FROM_80[usize::from(byte - 0x80)],
        0xa0 => '€',
        byte => byte.into(),
    }
}

pub(super) struct Parser<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Parser<'a> {
        Parser { bytes, at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'%' => {
                    while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                        self.at += 1;
                    }
                }
                byte if is_blank(byte) => self.at += 1,
                _ => return,
            }
        }
    }

    pub(super) fn takes(&mut self, word: &[u8]) -> bool {
        let is_there = self.bytes[self.at.min(self.bytes.len())..].starts_with(word);
        self.at += if is_there { word.len() } else { 0 };
        is_there
    }

    pub(super) fn object(&mut self) -> Option<Object<'a>> {
        self.nested(DEPTH)
    }

    fn nested(&mut self, left: usize) -> Option<Object<'a>> {
        let left = left.checked_sub(1)?;
        self.skip_blanks();
        match self.peek()? {
            b'<' if self.takes(b"<<") => self.dictionary(left),
            b'<' => self.hexadecimal(),
            b'(' => self.literal(),
            b'[' => self.array(left),
            b'/' => {
                self.at += 1;
                Some(Object::Name(self.word()))
            }
            b'0'..=b'9' | b'+' | b'-' | b'.' => Some(self.number()),
            _ => {
                let is_word = !self.word().is_empty();
                is_word.then_some(Object::Other)
            }
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let from = self.at;
        while self.peek().is_some_and(|byte| !is_blank(byte) && !b"()<>[]{}/%".contains(&byte)) {
            self.at += 1;
        }
        &self.bytes[from..self.at]
    }

    pub(super) fn unsigned(&mut self) -> Option<u32> {
        self.skip_blanks();
        std::str::from_utf8(self.word()).ok()?.parse().ok()
    }

    /// A number, or a reference: "12 0 R".
    fn number(&mut self) -> Object<'a> {
        let word = std::str::from_utf8(self.word()).unwrap_or_default();
        let Ok(number) = word.parse::<i64>() else { return Object::Other };
        let after = self.at;
        if let (Ok(id), Some(_)) = (u32::try_from(number), self.unsigned()) {
            self.skip_blanks();
            if self.word() == b"R" {
                return Object::Reference(id);
            }
        }
        self.at = after;
        Object::Integer(number)
    }

    fn dictionary(&mut self, left: usize) -> Option<Object<'a>> {
        let mut entries = Vec::new();
        while entries.len() < ENTRIES {
            self.skip_blanks();
            if self.takes(b">>") {
                return Some(Object::Dictionary(entries));
            }
            if !self.takes(b"/") {
                return None;
            }
            let name = self.word();
            entries.push((name, self.nested(left)?));
        }
        None
    }

    fn array(&mut self, left: usize) -> Option<Object<'a>> {
        self.at += 1;
        let mut entries = Vec::new();
        while entries.len() < ENTRIES {
            self.skip_blanks();
            if self.takes(b"]") {
                return Some(Object::Array(entries));
            }
            entries.push(self.nested(left)?);
        }
        None
    }

    fn hexadecimal(&mut self) -> Option<Object<'a>> {
        self.at += 1;
        let (mut text, mut half) = (Vec::new(), None);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (byte, char::from(byte).to_digit(16)) {
                (b'>', _) => {
                    text.extend(half.map(|half: u32| (half << 4) as u8));
                    return Some(Object::Text(text));
                }
                (_, Some(digit)) => match half.take() {
                    Some(half) => text.push((half << 4 | digit) as u8),
                    None => half = Some(digit),
                },
                (byte, None) if is_blank(byte) => {}
                _ => return None,
            }
        }
        None
    }

    fn literal(&mut self) -> Option<Object<'a>> {
        self.at += 1;
        let (mut text, mut open) = (Vec::new(), 1);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Some(Object::Text(text));
                    }
                }
                b'\\' => {
                    text.extend(self.escaped()?);
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        None
    }

    /// After a backslash; nothing for the end of a line.
    fn escaped(&mut self) -> Option<Option<u8>> {
        let byte = self.peek()?;
        self.at += 1;
        Some(Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\r' => {
                self.takes(b"\n");
                return Some(None);
            }
            b'\n' => return Some(None),
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    self.at += 1;
                    value = value << 3 | u32::from(digit - b'0');
                }
                value as u8
            }
            other => other,
        }))
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Option<Object<'_>> {
        Parser::new(text, 0).object()
    }

    #[test]
    fn objects_are_read() {
        let text = b"<</Title(a\\(b\\)(c)\\101)/Pages 12 0 R/N 7/X[1 2 R]/H<48 6>/T true>>";
        let object = parse(text).unwrap();
        assert_eq!(object.get(b"Title").and_then(Object::text).as_deref(), Some("a(b)(c)A"));
        assert_eq!(object.get(b"Pages"), Some(&Object::Reference(12)));
        assert_eq!(object.get(b"N").and_then(Object::integer), Some(7));
        assert_eq!(object.get(b"H").and_then(Object::text).as_deref(), Some("H`"));
        assert_eq!(parse(b"(\xfe\xff\0G\0r\0\xf6)").unwrap().text().as_deref(), Some("Grö"));
        assert_eq!(parse(b"(\x93\xa0)").unwrap().text().as_deref(), Some("ﬁ€"));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        assert_eq!(parse("[".repeat(100_000).as_bytes()), None);
        assert_eq!(parse("<</a".repeat(100_000).as_bytes()), None);
    }
}
