//! The language of [`tree`](crate::tree).

use crate::tree::noise;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File(Vec<u8>),
    Link(Vec<u8>),
    Same(Vec<u8>),
    Pipe,
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) mode: Option<u32>,
}

/// A character, and whether it was written without a backslash and so may have a meaning.
type Token = (u8, bool);

fn tokens(word: &str) -> Vec<Token> {
    let mut left = word.bytes();
    let mut tokens = Vec::new();
    while let Some(c) = left.next() {
        let escaped = if c == b'\\' { left.next() } else { None };
        tokens.push(match escaped {
            None => (c, true),
            Some(b's') => (b' ', false),
            Some(b'n') => (b'\n', false),
            Some(b't') => (b'\t', false),
            Some(b'x') => {
                let digits = [left.next(), left.next()].map(|c| char::from(c.unwrap_or(b'?')));
                let digits = String::from_iter(digits);
                (u8::from_str_radix(&digits, 16).expect("two digits after \\x"), false)
            }
            Some(other) => (other, false),
        });
    }
    tokens
}

fn plain(tokens: &[Token]) -> Vec<u8> {
    tokens.iter().map(|(c, _)| *c).collect()
}

fn number(tokens: &[Token], radix: u32) -> usize {
    let text = String::from_utf8(plain(tokens)).expect("digits");
    usize::from_str_radix(&text, radix).unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn parse_word(word: &str) -> (Vec<u8>, Item) {
    let tokens = tokens(word);
    let find = |at: usize, mark: &[u8]| {
        let marks = |(have, want): (&Token, &u8)| *have == (*want, true);
        tokens.get(at..at + mark.len()).is_some_and(|have| have.iter().zip(mark).all(marks))
    };
    let end = tokens.len();
    let ends_in = |mark: &[u8]| end > 0 && find(end - 1, mark);
    let first = (0..end).find_map(|at| {
        let marks: [&[u8]; 4] = [b"=>", b"->", b"=", b"#"];
        marks.into_iter().find(|mark| find(at, mark)).map(|mark| (at, mark))
    });
    let (name, kind) = match first {
        Some((at, b"=>")) => (at, Kind::Same(plain(&tokens[at + 2..]))),
        Some((at, b"->")) => (at, Kind::Link(plain(&tokens[at + 2..]))),
        Some((at, b"=")) => (at, Kind::File(plain(&tokens[at + 1..]))),
        Some((at, _)) => (at, Kind::File(noise(number(&tokens[at + 1..], 10)))),
        None if ends_in(b"/") => (end - 1, Kind::Dir),
        None if ends_in(b"|") => (end - 1, Kind::Pipe),
        None => panic!("{word:?} says not what it is: \"{word}/\" or \"{word}=\"?"),
    };
    let mark = (0..name).rfind(|at| find(*at, b"!"));
    let mode = mark.map(|at| number(&tokens[at + 1..name], 8) as u32);
    (plain(&tokens[..mark.unwrap_or(name)]), Item { kind, mode })
}

/// The entries in the order in which they are written.
pub(crate) fn parse(entries: &str) -> Vec<(Vec<u8>, Item)> {
    entries.split_ascii_whitespace().map(parse_word).collect()
}
