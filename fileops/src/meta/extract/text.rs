//! How text is encoded, as far as its bytes say so for certain. What is an older encoding of one byte a character (ISO 8859,
//! Windows) is not guessed: nothing in it tells which.

use super::bounded::Bounded;
use std::io;

/// What is text to here is text.
const LOOK_AT: usize = 256 << 10;

/// Nothing of an empty file, or where it cannot be told.
pub(super) fn charset(file: &mut Bounded) -> io::Result<Option<String>> {
    let head = file.head(LOOK_AT)?;
    Ok(detected(&head).map(str::to_owned))
}

fn detected(head: &[u8]) -> Option<&'static str> {
    match head {
        [] => None,
        // UTF-32 first: its mark begins with that of UTF-16.
        [0xff, 0xfe, 0, 0, ..] => Some("UTF-32LE"),
        [0, 0, 0xfe, 0xff, ..] => Some("UTF-32BE"),
        [0xff, 0xfe, ..] => Some("UTF-16LE"),
        [0xfe, 0xff, ..] => Some("UTF-16BE"),
        head => is_utf8(head).then_some("UTF-8"),
    }
}

fn is_utf8(head: &[u8]) -> bool {
    match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character may be cut off by the limit.
        Err(error) => error.error_len().is_none() && head.len() == LOOK_AT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_by_its_bytes_or_not_at_all() {
        assert_eq!(detected(b""), None);
        assert_eq!(detected("größer".as_bytes()), Some("UTF-8"));
        assert_eq!(detected(b"\xff\xfea\0"), Some("UTF-16LE"));
        assert_eq!(detected(b"\xfe\xff\0a"), Some("UTF-16BE"));
        assert_eq!(detected(b"\xff\xfe\0\0a\0\0\0"), Some("UTF-32LE"));
        assert_eq!(detected(b"gr\xf6\xdfer"), None);
        let cut = [vec![b'a'; LOOK_AT - 1], vec![0xc3]].concat();
        assert_eq!((detected(&cut), detected(&cut[1..])), (Some("UTF-8"), None));
    }
}
