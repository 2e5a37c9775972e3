//! Videos: length, size and title from the heads of MP4 and Matroska files, which no crate reads alone that has none of the
//! rest (a decoder, or all of the file in memory).
//!
//! Sources: ISO/IEC 14496-12 (boxes `moov`, `mvhd`, `tkhd`); RFC 8794 (EBML) and RFC 9559 (Matroska).

use super::bounded::Bounded;
use super::tidy;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Film {
    pub(super) duration: Option<Duration>,
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) title: Option<String>,
}

/// What is in a box that is looked into is read at once, and no more of it.
const BOX_MAX: u64 = 4 << 20;

/// Boxes and elements that are passed before it is given up.
const STEPS: usize = 4096;

pub(super) fn read(file: &mut Bounded, size: u64) -> Option<Film> {
    let head = file.head(12).ok()?;
    match head.as_slice() {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4(file, size),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(file, size),
        _ => None,
    }
}

fn mp4(file: &mut Bounded, size: u64) -> Option<Film> {
    let mut at = 0;
    for _ in 0..STEPS {
        let head = file.part(at, 16).ok()?;
        let (kind, header, length) = mp4_box(&head, size.checked_sub(at)?)?;
        if kind == *b"moov" {
            let length = (length - header as u64).min(BOX_MAX);
            let moov = file.part(at + header as u64, length as usize).ok()?;
            let mut film = Film::default();
            hear_moov(&moov, &mut film);
            return Some(film);
        }
        at = at.checked_add(length).filter(|&at| at < size)?;
    }
    None
}

/// Kind, length of the header, length of it all; `room` is what a box to the end has.
fn mp4_box(head: &[u8], room: u64) -> Option<([u8; 4], usize, u64)> {
    let kind = head.get(4..8)?.try_into().ok()?;
    let (header, length) = match u32::from_be_bytes(head.get(..4)?.try_into().ok()?) {
        0 => (8, room),
        1 => (16, u64::from_be_bytes(head.get(8..16)?.try_into().ok()?)),
        length => (8, length.into()),
    };
    (length >= header as u64).then_some((kind, header, length))
}

fn hear_moov(moov: &[u8], film: &mut Film) {
    for (kind, body) in boxes(moov) {
        match &kind {
            b"mvhd" => film.duration = mvhd(body),
            b"trak" => {
                for (_, body) in boxes(body).filter(|(kind, _)| kind == b"tkhd") {
                    let dimensions = tkhd(body).filter(|&(width, height)| width > 0 && height > 0);
                    film.dimensions = film.dimensions.or(dimensions);
                }
            }
            _ => {}
        }
    }
}

fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, header, length) = mp4_box(bytes, bytes.len() as u64)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
        let body = bytes.get(header..length)?;
        bytes = &bytes[length..];
        Some((kind, body))
    })
    .take(STEPS)
}

fn mvhd(body: &[u8]) -> Option<Duration> {
    let (scale, length) = match body.first()? {
        0 => (be(body, 12, 4)?, be(body, 16, 4).filter(|&length| length != u32::MAX.into())?),
        1 => (be(body, 20, 4)?, be(body, 24, 8).filter(|&length| length != u64::MAX)?),
        _ => return None,
    };
    Duration::try_from_secs_f64(length as f64 / (scale > 0).then_some(scale)? as f64).ok()
}

/// Width and height are the last, as 16.16 fixed point.
fn tkhd(body: &[u8]) -> Option<(u32, u32)> {
    let end = if *body.first()? == 0 { 84 } else { 96 };
    let pixels = |at| be(body, at, 4).map(|fixed| (fixed >> 16) as u32);
    Some((pixels(end - 8)?, pixels(end - 4)?))
}

fn be(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    (length <= 8).then(|| bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

const SEGMENT: u64 = 0x1853_8067;
const INFO: u64 = 0x1549_A966;
const TRACKS: u64 = 0x1654_AE6B;
const CLUSTER: u64 = 0x1F43_B675;

fn matroska(file: &mut Bounded, size: u64) -> Option<Film> {
    let mut film = Film::default();
    let (mut at, mut found) = (0, 0);
    for _ in 0..STEPS {
        let head = file.part(at, 12).ok()?;
        let Some((id, header, length)) = element(&head) else { break };
        match id {
            // Its elements come one after the other, as if it was not there.
            SEGMENT => {
                at += header as u64;
                continue;
            }
            INFO | TRACKS => {
                let body = file.part(at + header as u64, length.unwrap_or(BOX_MAX).min(BOX_MAX) as usize).ok()?;
                if id == INFO {
                    hear_info(&body, &mut film)
                } else {
                    hear_tracks(&body, &mut film)
                }
                found += 1;
            }
            // What is wanted comes before the frames.
            CLUSTER => break,
            _ => {}
        }
        let next = length.and_then(|length| at.checked_add(header as u64)?.checked_add(length));
        match next.filter(|&next| next < size && found < 2) {
            Some(next) => at = next,
            None => break,
        }
    }
    (found > 0).then_some(film)
}

/// Id, length of the header, length of what is in it; that is `None` where it is not known.
fn element(bytes: &[u8]) -> Option<(u64, usize, Option<u64>)> {
    let (id, first) = number(bytes, true)?;
    let (length, second) = number(&bytes[first..], false)?;
    let is_unknown = length == (1 << (7 * second)) - 1;
    Some((id, first + second, (!is_unknown).then_some(length)))
}

/// A number that says by its leading zeros how long it is; an id keeps the bit after them.
fn number(bytes: &[u8], keeps_mark: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let value = be(bytes, 0, length)?;
    Some((if keeps_mark { value } else { value & ((1 << (7 * length)) - 1) }, length))
}

fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (id, header, length) = element(bytes)?;
        let rest = bytes.get(header..)?;
        let length = length.and_then(|length| length.try_into().ok()).unwrap_or(usize::MAX).min(rest.len());
        let (body, after) = rest.split_at(length);
        bytes = after;
        Some((id, body))
    })
    .take(STEPS)
}

fn hear_info(info: &[u8], film: &mut Film) {
    let (mut scale, mut length) = (1_000_000, None);
    for (id, body) in elements(info) {
        match id {
            0x2A_D7B1 => scale = be(body, 0, body.len()).unwrap_or(scale),
            0x4489 => length = float(body),
            0x7BA9 => film.title = std::str::from_utf8(body).ok().and_then(tidy),
            _ => {}
        }
    }
    film.duration = length.and_then(|length| Duration::try_from_secs_f64(length * scale as f64 / 1e9).ok());
}

fn hear_tracks(tracks: &[u8], film: &mut Film) {
    let videos = elements(tracks).filter(|(id, _)| *id == 0xAE).flat_map(|(_, track)| elements(track));
    for (_, video) in videos.filter(|(id, _)| *id == 0xE0) {
        let find = |wanted| {
            let (_, body) = elements(video).find(|(id, _)| *id == wanted)?;
            u32::try_from(be(body, 0, body.len())?).ok()
        };
        film.dimensions = film.dimensions.or_else(|| Some((find(0xB0)?, find(0xBA)?)));
    }
}

fn float(body: &[u8]) -> Option<f64> {
    match body.len() {
        4 => Some(f32::from_be_bytes(body.try_into().ok()?).into()),
        8 => Some(f64::from_be_bytes(body.try_into().ok()?)),
        _ => None,
    }
}
