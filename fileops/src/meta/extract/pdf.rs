//! PDF: title, author, number of pages.
//!
//! A reader of our own, since what is asked for is three values and the crates take the whole document apart, at its word
//! for every length. Objects are found where they stand in the file, not by its tables, which damaged files get wrong; those
//! in compressed streams are unpacked, up to a limit. Of a large file the beginning and the end are looked at, which hold them.
//!
//! Source: ISO 32000-1, 7.5 (file structure), 7.7.2 (catalogue), 14.3.3 (information dictionary).

use super::Extracted;
use super::bounded::Bounded;
use super::pdf_object::{Object, Parser, is_blank};
use std::collections::HashMap;
use std::io;

/// Of each end, where the file is larger than both.
const END: u64 = 8 << 20;

/// Objects that are taken note of.
const OBJECTS: usize = 1 << 20;

/// No dictionary that is looked at is longer, and nor is what a damaged one takes for itself.
const OBJECT_MAX: usize = 64 << 10;

/// Trailers, and streams of objects, that are looked at.
const STREAMS: usize = 2048;

/// What a compressed stream of objects, and all of them together, may unpack to.
const STREAM_MAX: usize = 4 << 20;
const STREAMS_MAX: usize = 32 << 20;

pub(super) fn read(file: &mut Bounded, size: u64, extracted: &mut Extracted) -> io::Result<()> {
    let mut bytes = file.part(0, END as usize)?;
    if size > END {
        // What is cut apart belongs to no object.
        bytes.extend_from_slice(b"\n");
        let from = size.saturating_sub(END).max(END);
        bytes.extend(file.part(from, END as usize)?);
    }
    let document = Document::of(&bytes);
    let root = document.resolve(document.trailer(b"Root"));
    let pages = root.as_ref().and_then(|root| document.resolve(root.get(b"Pages").cloned()));
    let count = pages.as_ref().and_then(|pages| document.resolve(pages.get(b"Count").cloned()));
    extracted.pages = count.and_then(|count| u32::try_from(count.integer()?).ok());
    extracted.is_damaged = pages.is_none();
    // The strings of an encrypted one are.
    if document.trailer(b"Encrypt").is_none() {
        let about = document.resolve(document.trailer(b"Info"));
        let text = |key| about.as_ref().and_then(|about| document.resolve(about.get(key).cloned())?.text());
        (extracted.title, extracted.author) = (text(b"Title"), text(b"Author"));
    }
    Ok(())
}

struct Document<'a> {
    bytes: &'a [u8],
    /// Where the last object of each number stands.
    places: HashMap<u32, usize>,
    /// Trailers, and the dictionaries of streams that stand for them, in the order of the file.
    trailers: Vec<Object<'a>>,
    /// Objects in streams.
    packed: Vec<Packed>,
}

/// A stream of objects, unpacked.
struct Packed {
    bytes: Vec<u8>,
    /// Number, and place in `bytes`.
    places: Vec<(u32, usize)>,
}

impl<'a> Document<'a> {
    fn of(bytes: &'a [u8]) -> Document<'a> {
        let mut document = Document { bytes, places: HashMap::new(), trailers: Vec::new(), packed: Vec::new() };
        let (mut left, mut looked_at) = (STREAMS_MAX, 0);
        for at in words(bytes) {
            if bytes[at..].starts_with(b"trailer") {
                if document.trailers.len() > STREAMS {
                    continue;
                }
                let trailer = short(bytes, at + b"trailer".len()).object();
                document.trailers.extend(trailer.filter(|trailer| matches!(trailer, Object::Dictionary(_))));
                continue;
            }
            let Some(number) = number_before(bytes, at) else { continue };
            if document.places.len() < OBJECTS {
                document.places.insert(number, at + b"obj".len());
            }
            let mut parser = short(bytes, at + b"obj".len());
            parser.skip_blanks();
            // Most objects are neither of the two kinds that are wanted here.
            if looked_at >= STREAMS || !is_stream(&bytes[parser.at..]) {
                continue;
            }
            looked_at += 1;
            let Some(object) = parser.object() else { continue };
            let is = |kind| object.get(b"Type").is_some_and(|own| own.is_name(kind));
            if is(b"ObjStm") {
                let rest = Parser::new(bytes, parser.at);
                if let Some(packed) = unpack(&object, rest, &mut left) {
                    document.packed.push(packed);
                }
            } else if is(b"XRef") {
                document.trailers.push(object);
            }
        }
        document
    }

    /// The last trailer that has it knows best.
    fn trailer(&self, key: &[u8]) -> Option<Object<'a>> {
        self.trailers.iter().rev().find_map(|trailer| trailer.get(key)).cloned()
    }

    /// The object itself, or the one that it refers to.
    fn resolve<'b>(&'b self, object: Option<Object<'b>>) -> Option<Object<'b>> {
        match object? {
            Object::Reference(number) => self.find(number),
            object => Some(object),
        }
    }

    fn find(&self, number: u32) -> Option<Object<'_>> {
        if let Some(&at) = self.places.get(&number) {
            return short(self.bytes, at).object();
        }
        let place = |packed: &Packed| packed.places.iter().find(|(other, _)| *other == number).map(|(_, at)| *at);
        let (packed, at) = self.packed.iter().rev().find_map(|packed| Some((packed, place(packed)?)))?;
        short(&packed.bytes, at).object()
    }
}

/// Where "obj" and "trailer" stand.
fn words(bytes: &[u8]) -> impl Iterator<Item = usize> {
    (0..bytes.len()).filter(|&at| match bytes[at] {
        b'o' => {
            bytes[at..].starts_with(b"obj") && at > 0 && (is_blank(bytes[at - 1]) || bytes[at - 1].is_ascii_digit())
        }
        b't' => bytes[at..].starts_with(b"trailer"),
        _ => false,
    })
}

/// "12 0 " before "obj".
fn number_before(bytes: &[u8], at: usize) -> Option<u32> {
    /// Longer than two numbers and what is between them.
    const NEAR: usize = 32;
    let near = &bytes[at.saturating_sub(NEAR)..at];
    let mut words = near.split(|&byte| is_blank(byte)).rev().filter(|word| !word.is_empty());
    let parse = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u32>().ok();
    words.next().and_then(parse)?;
    // Other text may stand right before it.
    let word = words.next()?;
    let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    parse(&word[word.len() - digits..])
}

/// Whether a dictionary that begins here may be that of a stream of objects, or of references.
fn is_stream(bytes: &[u8]) -> bool {
    const SOON: usize = 512;
    let soon = &bytes[..bytes.len().min(SOON)];
    soon.starts_with(b"<<")
        && (0..soon.len()).any(|at| soon[at..].starts_with(b"/XRef") || soon[at..].starts_with(b"/ObjS"))
}

/// A parser that goes no further than an object may.
fn short(bytes: &[u8], at: usize) -> Parser<'_> {
    Parser::new(&bytes[..bytes.len().min(at.saturating_add(OBJECT_MAX))], at)
}

/// Unpacks a stream of objects that begins after its dictionary.
fn unpack(object: &Object<'_>, mut parser: Parser<'_>, left: &mut usize) -> Option<Packed> {
    let integer = |key| usize::try_from(object.get(key)?.integer()?).ok();
    let (count, first) = (integer(b"N")?, integer(b"First")?);
    parser.skip_blanks();
    if !parser.takes(b"stream") {
        return None;
    }
    if !parser.takes(b"\r\n") {
        parser.takes(b"\n");
    }
    // Where it ends is told by the packed data itself; the length that is written may be a reference, or wrong.
    let data = &parser.bytes[parser.at..];
    let data = &data[..data.len().min(STREAM_MAX)];
    let bytes = match object.get(b"Filter") {
        None => data[..data.len().min(integer(b"Length")?).min(STREAM_MAX)].to_vec(),
        Some(Object::Array(filters)) if !matches!(filters.as_slice(), [filter] if filter.is_name(b"FlateDecode")) => {
            return None;
        }
        Some(Object::Name(name)) if *name != b"FlateDecode" => return None,
        Some(_) if object.get(b"DecodeParms").is_some() => return None,
        Some(_) => {
            let most = STREAM_MAX.min(*left);
            match miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(data, most) {
                Ok(bytes) => bytes,
                // What came before the damage, or the limit.
                Err(error) => error.output,
            }
        }
    };
    *left = left.saturating_sub(bytes.len());
    let mut head = Parser::new(&bytes, 0);
    let mut places = Vec::new();
    for _ in 0..count.min(OBJECTS) {
        let (Some(number), Some(at)) = (head.unsigned(), head.unsigned()) else { break };
        places.push((number, first.saturating_add(at as usize)));
    }
    Some(Packed { places, bytes })
}
