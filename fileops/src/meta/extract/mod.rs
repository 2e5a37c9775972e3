//! What a file is, and what its contents say of themselves: kind, size of a picture, length of a song, title of a document.
//!
//! Files come from anywhere, so nothing in them is believed. No more than [`READ_MAX`] bytes of a file are read, for no
//! longer than [`TIME_MAX`]; what a length in the file says is never allocated before as much was read. Parsers that are
//! not ours run where a panic ends with them.

mod bounded;
mod cache;
mod container;
mod exif;
mod image;
mod media;
mod mime;
mod pdf;
mod pdf_object;
mod text;

use crate::error::{Action, Error, Refusal, Result};
use crate::sys::open;
use crate::sys::stat::Stat;
use bounded::Bounded;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Enough for the headers and tags of any real file; the length of one stream of Ogg pages is at its end.
const READ_MAX: u64 = 64 << 20;

/// A slow server needs a while for a few reads; nobody waits for longer.
const TIME_MAX: Duration = Duration::from_secs(10);

/// No text that is extracted is longer, in bytes.
const TEXT_MAX: usize = 1024;

/// What becomes of the answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// An answer that the file holds already, and that belongs to its size and modification time, is taken. Nothing is
    /// written.
    #[default]
    Read,
    /// The same, and a new answer is written to the attribute `user.fileops.extracted` of the file, if its file system has
    /// such attributes and this user may write to it; else it is only given. This sets the file's change time, as every
    /// attribute does, and not its modification time.
    Write,
    /// The contents are read in any case, and nothing is written.
    Ignore,
}

/// What a file is, and what its contents say of themselves. What they do not say, or only damaged, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Extracted {
    /// The kind of file, by the shared MIME database of the system: by name where only one kind has such a name, else by
    /// contents too. "inode/directory" and the like for what is no regular file, "application/octet-stream" where nothing
    /// is known.
    pub mime_type: String,
    /// Width and height of a picture or a video, in pixels, before it is turned.
    pub dimensions: Option<(u32, u32)>,
    /// How a picture has to be turned to be upright: 1 to 8, as in Exif.
    pub orientation: Option<u8>,
    /// The camera's maker and model.
    pub camera: Option<String>,
    /// When a picture was taken: "2026-08-01 12:30:00", by the clock of the camera.
    pub taken: Option<String>,
    /// How long a song or a video is.
    pub duration: Option<Duration>,
    /// Of a song or a document.
    pub title: Option<String>,
    /// The artist of a song, the author of a document.
    pub author: Option<String>,
    /// Of a song.
    pub album: Option<String>,
    /// The number of a song on its album.
    pub track: Option<u32>,
    /// The year of a song.
    pub year: Option<u32>,
    /// Of a document.
    pub pages: Option<u32>,
    /// How text is encoded, by its name at IANA, as far as its bytes tell for certain: UTF-8 (ASCII is that too), UTF-16,
    /// UTF-32. Older encodings are not guessed.
    pub charset: Option<String>,
    /// Whether the contents are not what their kind should be: cut off, or not made so.
    pub is_damaged: bool,
}

/// Reads what there is to be known of a file. Symbolic links are followed; nothing but regular files is opened.
pub(super) fn extract(path: &Path, cache: Cache) -> Result<Extracted> {
    let failed = |error: std::io::Error| Error::new(Action::Extract, path, error);
    let target = super::attributes::Target::open(path, Action::Extract)?;
    let stat = target.stat()?;
    if !stat.is_file() {
        return Ok(Extracted { mime_type: mime::of_kind(stat.kind()).into(), ..Extracted::default() });
    }
    if cache != Cache::Ignore {
        if let Some(known) = cache::read(&target, &stat) {
            return Ok(known);
        }
    }
    let file = open::file_at(path).map_err(failed)?;
    let opened = Stat::of(&file).map_err(failed)?;
    if !opened.is_file() {
        return Err(failed(Refusal::Changed.into()));
    }
    let extracted = read(File::from(file), path, &opened)?;
    // What changed while it was read is read again the next time.
    let is_same = target.stat().is_ok_and(|now| now.is_unchanged(&opened));
    if cache == Cache::Write && is_same {
        cache::write(&target, &opened, &extracted);
    }
    Ok(extracted)
}

fn read(file: File, path: &Path, stat: &Stat) -> Result<Extracted> {
    let mut file = Bounded::new(file, READ_MAX, TIME_MAX);
    let mut extracted = Extracted::default();
    let answer = understand(&mut file, path, stat, &mut extracted);
    match (file.why(), answer) {
        (Some(error), _) | (None, Err(error)) => Err(Error::new(Action::Extract, path, error)),
        (None, Ok(())) => Ok(extracted),
    }
}

fn understand(file: &mut Bounded, path: &Path, stat: &Stat, extracted: &mut Extracted) -> std::io::Result<()> {
    let head = file.head(mime::HEAD)?;
    let kind = mime::of_file(path.file_name(), &head, stat.size);
    extracted.mime_type = kind.to_string();
    let (class, _) = kind.split_once('/').unwrap_or((&*kind, ""));
    match (class, &*kind) {
        ("image", _) => image::read(file, stat.size, extracted),
        ("audio" | "video", _) | (_, "application/ogg") => media::read(file, &kind, stat.size, extracted),
        (_, "application/pdf") => pdf::read(file, stat.size, extracted)?,
        _ if mime::is_text(&kind) => extracted.charset = text::charset(file)?,
        _ => {}
    }
    Ok(())
}

/// Runs a parser that is not ours, which may panic on what nobody has thought of; then there is no answer.
fn guarded<T>(parse: impl FnOnce() -> Option<T>) -> Option<T> {
    // Whatever it was at is dropped with it.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)).ok().flatten()
}

/// Text as it may be shown: without control characters, not empty, and no longer than [`TEXT_MAX`].
fn tidy(text: &str) -> Option<String> {
    let mut tidy: String = text.trim_matches(|c: char| c.is_whitespace() || c == '\0').into();
    tidy = tidy.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = tidy.len().min(TEXT_MAX);
    while !tidy.is_char_boundary(end) {
        end -= 1;
    }
    tidy.truncate(end);
    (!tidy.is_empty()).then_some(tidy)
}
