//! Songs and videos: tags and length.

use super::bounded::Bounded;
use super::{Extracted, container, guarded, tidy};
use lofty::config::{ParseOptions, ParsingMode};
use lofty::file::{AudioFile, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey};
use std::time::Duration;

/// Nothing is longer that is no nonsense.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn read(file: &mut Bounded, kind: &str, size: u64, extracted: &mut Extracted) {
    let film = guarded(|| container::read(file, size)).unwrap_or_default();
    extracted.dimensions = film.dimensions;
    let read = match kind {
        "video/x-matroska" | "video/webm" | "audio/x-matroska" | "audio/webm" => None,
        _ => guarded(|| song(file)),
    };
    let length = read.as_ref().map(|song| song.duration).filter(|duration| !duration.is_zero());
    extracted.duration = film.duration.or(length).filter(|&duration| duration < LONGEST);
    extracted.title = film.title;
    extracted.is_damaged = read.is_none() && extracted.duration.is_none();
    let Some(song) = read else { return };
    extracted.title = song.title.or(extracted.title.take());
    (extracted.author, extracted.album) = (song.artist, song.album);
    (extracted.track, extracted.year) = (song.track, song.year);
}

struct Song {
    duration: Duration,
    title: Option<String>,
    artist: Option<String>,
    album: Option<String>,
    track: Option<u32>,
    year: Option<u32>,
}

/// Pictures in it are left out: they are most of what there would be to read.
fn song(file: &mut Bounded) -> Option<Song> {
    let reader = file.rewound().ok()?;
    let options = ParseOptions::new().parsing_mode(ParsingMode::Relaxed).read_cover_art(false);
    let tagged = Probe::new(reader).options(options).guess_file_type().ok()?.read().ok()?;
    let tag = tagged.primary_tag().or_else(|| tagged.first_tag());
    let text = |text: Option<std::borrow::Cow<'_, str>>| text.and_then(|text| tidy(&text));
    Some(Song {
        duration: tagged.properties().duration(),
        title: text(tag.and_then(Accessor::title)),
        artist: text(tag.and_then(Accessor::artist)),
        album: text(tag.and_then(Accessor::album)),
        track: tag.and_then(Accessor::track),
        year: tag.and_then(|tag| year(tag.get_string(ItemKey::RecordingDate).or(tag.get_string(ItemKey::Year))?)),
    })
}

/// The year that a date begins with.
fn year(date: &str) -> Option<u32> {
    date.get(..4)?.parse().ok()
}
