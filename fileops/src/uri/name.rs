//! Names that people read: patterns for display, and names of entries in the net directory.

use super::Scheme;
use std::ffi::OsString;

/// What a person calls an address. The program makes words of it, in its user's language; nothing finds its way back from
/// those. Fields come from servers and from whoever wrote the URL: escape them as any other name (see
/// [`Shown`](crate::Shown)).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// "FTP share on {host}".
    Share {
        /// How it is reached.
        scheme: Scheme,
        /// The server, with its port where that is not the scheme's. IDN stay A-labels, which cannot look like others.
        host: String,
    },
    /// "FTP share on {host} as {user}".
    ShareAs {
        /// How it is reached.
        scheme: Scheme,
        /// The server, as in [`Name::Share`].
        host: String,
        /// Who asks, decoded.
        user: OsString,
    },
    /// "{name} on {host}": something in a share.
    Entry {
        /// Its own name, without those of the directories above.
        name: OsString,
        /// The server, as in [`Name::Share`].
        host: String,
    },
}

/// The longest name of an entry, in bytes: a name of 255 has room for what programs add.
const MAX_ENTRY: usize = 200;

/// What an entry is called whose label has nothing to show.
const UNNAMED: &str = "Unnamed share";

/// A name for an entry in the net directory, made of a label that anybody on the network may have announced.
///
/// It has no slash (`∕`, U+2215, stands for it), no control or bidirectional character (U+FFFD), no dot at its beginning,
/// nothing that looks like a share's canonical name (`ftp:` becomes `ftp꞉`, U+A789), and at most 200 bytes; a label without
/// anything to show becomes "Unnamed share". A name that `is_taken` gets a number: "Music (2)". The name is fixed when it is
/// made; whoever makes it keeps it. `is_taken` has to say no at some time.
///
/// ```
/// use fileops::uri::entry_name;
///
/// assert_eq!(entry_name("Bob's music/films", |_| false), "Bob's music∕films");
/// assert_eq!(entry_name("Music", |name| name == "Music"), "Music (2)");
/// ```
pub fn entry_name(label: impl AsRef<[u8]>, mut is_taken: impl FnMut(&str) -> bool) -> String {
    let shown = String::from_utf8_lossy(label.as_ref());
    let shown: String = shown.chars().map(harmless).collect();
    let shown = without_scheme(shown.trim_start_matches(|first: char| first == '.' || first.is_whitespace()));
    let shown = match cut(&shown, MAX_ENTRY) {
        "" => UNNAMED,
        name => name,
    };
    let numbered = (2u64..).map(|number| {
        let number = format!(" ({number})");
        format!("{}{number}", cut(shown, MAX_ENTRY - number.len()))
    });
    let mut names = std::iter::once(shown.to_owned()).chain(numbered);
    names.find(|name| !is_taken(name)).expect("there are more numbers than names")
}

fn harmless(character: char) -> char {
    match character {
        '/' => '\u{2215}',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    }
}

/// With another colon where the text begins like a URL or a canonical name.
fn without_scheme(text: &str) -> String {
    match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => format!("{scheme}\u{a789}{rest}"),
        _ => text.to_owned(),
    }
}

/// Whether a URL could begin with it and a colon (RFC 3986, 3.1).
fn is_scheme(text: &str) -> bool {
    let is_in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_in_scheme)
}

/// As many whole characters as fit, without space at the end.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text[..end.unwrap_or(0)].trim_end()
}
