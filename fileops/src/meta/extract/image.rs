//! Pictures: their size from any of the usual formats, and what cameras write beside them (Exif).

use super::bounded::Bounded;
use super::exif::{self, Exif};
use super::{Extracted, guarded};

/// Exif is near the beginning of a file, and 64 KiB at most in a JPEG; in other formats it comes after chunks that are
/// passed by.
const BLOB_MAX: usize = 1 << 20;

/// Chunks that are passed before it is given up.
const STEPS: usize = 1024;

pub(super) fn read(file: &mut Bounded, size: u64, extracted: &mut Extracted) {
    let found = guarded(|| imagesize::reader_size(file.rewound().ok()?).ok());
    extracted.dimensions = found.and_then(|found| Some((found.width.try_into().ok()?, found.height.try_into().ok()?)));
    extracted.is_damaged = extracted.dimensions.is_none() && is_measured(&extracted.mime_type);
    if let Some(Exif { orientation, camera, taken }) = blob(file, size).and_then(|blob| exif::parse(&blob)) {
        (extracted.orientation, extracted.camera, extracted.taken) = (orientation, camera, taken);
    }
}

/// Whether the size of such pictures is always found.
fn is_measured(mime_type: &str) -> bool {
    ["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff"].contains(&mime_type)
}

/// The stretch that is a TIFF file of its own: all of a TIFF, a segment or a chunk of others.
fn blob(file: &mut Bounded, size: u64) -> Option<Vec<u8>> {
    let head = file.head(12).ok()?;
    match head.as_slice() {
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => file.head(BLOB_MAX).ok(),
        [0xff, 0xd8, ..] => jpeg(file),
        [0x89, b'P', b'N', b'G', ..] => chunks(file, 8, size, |head| {
            let length = u32::from_be_bytes(head[..4].try_into().ok()?);
            // The checksum comes after it.
            Some((&head[4..8] == b"eXIf", length, u64::from(length) + 4))
        }),
        [b'R', b'I', b'F', b'F', .., b'W', b'E', b'B', b'P'] => chunks(file, 12, size, |head| {
            let length = u32::from_le_bytes(head[4..8].try_into().ok()?);
            Some((&head[..4] == b"EXIF", length, u64::from(length) + u64::from(length % 2)))
        }),
        _ => None,
    }
}

/// Source: JPEG File Interchange Format; Exif 2.32, 4.7.2 (APP1).
fn jpeg(file: &mut Bounded) -> Option<Vec<u8>> {
    let mut at = 2;
    for _ in 0..STEPS {
        let head = file.part(at, 10).ok()?;
        let &[0xff, marker, high, low, ref rest @ ..] = head.as_slice() else { return None };
        let length = u64::from(u16::from_be_bytes([high, low]));
        match marker {
            0xe1 if rest == b"Exif\0\0" => return file.part(at + 10, length.checked_sub(8)? as usize).ok(),
            // The picture itself.
            0xda => return None,
            _ => at += 2 + length.max(2),
        }
    }
    None
}

/// A chunk with a head of 8 bytes, which tells whether it is the one, its length, and how far it is to the next.
fn chunks(
    file: &mut Bounded,
    mut at: u64,
    size: u64,
    tell: impl Fn(&[u8]) -> Option<(bool, u32, u64)>,
) -> Option<Vec<u8>> {
    for _ in 0..STEPS {
        let head = file.part(at, 8).ok().filter(|head| head.len() == 8)?;
        let (is_it, length, next) = tell(&head)?;
        if is_it {
            let blob = file.part(at + 8, (length as usize).min(BLOB_MAX)).ok()?;
            // Some write the name that it has in a JPEG.
            return Some(blob.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec).unwrap_or(blob));
        }
        at = at.checked_add(8 + next).filter(|&at| at < size)?;
    }
    None
}
