//! The text of a record: a line, fields apart by tabs, bytes that could be misread as `%XX`, the CRC-32 of it all last.

use std::io::Write;

pub(crate) fn line(fields: &[&[u8]]) -> Vec<u8> {
    let mut line = Vec::new();
    for field in fields {
        for &byte in *field {
            match byte {
                b'%' | 0..=0x20 | 0x7f.. => write!(line, "%{byte:02X}").expect("a vector takes everything"),
                _ => line.push(byte),
            }
        }
        line.push(b'\t');
    }
    writeln!(line, "{:08x}", crc32fast::hash(&line)).expect("a vector takes everything");
    line
}

/// The fields of a line, if it holds together.
pub(crate) fn fields(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (text, sum) = line.split_at_checked(line.len().checked_sub(8)?)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if crc32fast::hash(text) != sum {
        return None;
    }
    text.strip_suffix(b"\t")?.split(|&byte| byte == b'\t').map(unescaped).collect()
}

fn unescaped(field: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let digits = rest.as_slice().get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest.nth(1);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// All records that hold together, up to the first that does not: a torn tail costs what was being written.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = Vec<Vec<u8>>> {
    bytes.split(|&byte| byte == b'\n').map_while(fields)
}

pub(crate) fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// How many bytes of a journal are records that hold together.
pub(super) fn whole(bytes: &[u8]) -> usize {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let is_whole = |line: &&[u8]| line.strip_suffix(b"\n").is_some_and(|line| fields(line).is_some());
    lines.take_while(is_whole).map(<[u8]>::len).sum()
}
