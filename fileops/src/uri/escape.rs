//! `%XX` and back (RFC 3986, 2.1).

use super::Reason;

/// The bytes that the text stands for.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| (digit as char).to_digit(16));
                let (high, low) = (digit().ok_or(Reason::Escape)?, digit().ok_or(Reason::Escape)?);
                (high << 4 | low) as u8
            }
            _ => byte,
        });
    }
    Ok(bytes)
}

/// Adds the text that stands for these bytes: what `is_bare` allows as it is, all else as `%XX`.
pub(super) fn encode(bytes: &[u8], is_bare: fn(u8) -> bool, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if is_bare(byte) {
            text.push(byte as char);
        } else {
            text.extend(['%', DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]);
        }
    }
}

/// The unreserved characters (RFC 3986, 2.3): all that a user name keeps.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What a segment keeps (`pchar`, RFC 3986, 3.3), and the slash between two of them.
pub(super) fn is_bare_in_path(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'/' | b':' | b'@') || b"!$&'()*+,;=".contains(&byte)
}
