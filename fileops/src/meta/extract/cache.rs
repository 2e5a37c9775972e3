//! An answer kept in an attribute of the file, `user.fileops.extracted`.
//!
//! Its value is text, a line for each field: `fileops-extracted 1 SIZE SECONDS NANOSECONDS` first (of the file, and of its
//! modification time), then `NAME VALUE`. A value has no line ends, since no control character gets into one. What is not
//! understood, or belongs to another size or time, is no answer.

use super::super::attributes::Target;
use super::{Extracted, tidy};
use crate::sys::stat::Stat;
use std::ffi::OsStr;
use std::fmt::Write;
use std::time::Duration;

const NAME: &str = "user.fileops.extracted";

/// A longer one would not fit beside others where all attributes of a file have one block (ext4).
const MOST: usize = 2048;

pub(super) fn read(target: &Target<'_>, stat: &Stat) -> Option<Extracted> {
    let value = target.get(OsStr::new(NAME)).ok()??;
    parse(std::str::from_utf8(&value).ok()?, stat)
}

/// Where it cannot be written there is none.
pub(super) fn write(target: &Target<'_>, stat: &Stat, extracted: &Extracted) {
    let value = print(extracted, stat);
    if value.len() <= MOST {
        let _ = target.set(OsStr::new(NAME), value.as_bytes());
    }
}

fn first_line(stat: &Stat) -> String {
    let (seconds, nanoseconds) = (stat.modified.seconds, stat.modified.nanoseconds);
    format!("fileops-extracted 1 {} {seconds} {nanoseconds}", stat.size)
}

fn print(extracted: &Extracted, stat: &Stat) -> String {
    let mut text = first_line(stat);
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(text, "\n{name} {value}").expect("a string takes everything");
        }
    };
    say("mime-type", Some(extracted.mime_type.clone()));
    say("dimensions", extracted.dimensions.map(|(width, height)| format!("{width}x{height}")));
    say("orientation", extracted.orientation.map(|turn| turn.to_string()));
    say("camera", extracted.camera.clone());
    say("taken", extracted.taken.clone());
    say("duration", extracted.duration.map(|duration| duration.as_nanos().to_string()));
    say("title", extracted.title.clone());
    say("author", extracted.author.clone());
    say("album", extracted.album.clone());
    say("track", extracted.track.map(|track| track.to_string()));
    say("year", extracted.year.map(|year| year.to_string()));
    say("pages", extracted.pages.map(|pages| pages.to_string()));
    say("charset", extracted.charset.clone());
    say("damaged", extracted.is_damaged.then(|| "yes".into()));
    text
}

fn parse(text: &str, stat: &Stat) -> Option<Extracted> {
    let mut lines = text.lines();
    if lines.next()? != first_line(stat) {
        return None;
    }
    let mut extracted = Extracted::default();
    for line in lines {
        let (name, value) = line.split_once(' ')?;
        match name {
            "mime-type" => extracted.mime_type = tidy(value)?,
            "dimensions" => {
                let (width, height) = value.split_once('x')?;
                extracted.dimensions = Some((width.parse().ok()?, height.parse().ok()?));
            }
            "orientation" => extracted.orientation = Some(value.parse().ok()?),
            "camera" => extracted.camera = tidy(value),
            "taken" => extracted.taken = tidy(value),
            "duration" => extracted.duration = Some(Duration::from_nanos(value.parse().ok()?)),
            "title" => extracted.title = tidy(value),
            "author" => extracted.author = tidy(value),
            "album" => extracted.album = tidy(value),
            "track" => extracted.track = Some(value.parse().ok()?),
            "year" => extracted.year = Some(value.parse().ok()?),
            "pages" => extracted.pages = Some(value.parse().ok()?),
            "charset" => extracted.charset = tidy(value),
            "damaged" => extracted.is_damaged = true,
            // What a later version adds.
            _ => {}
        }
    }
    (!extracted.mime_type.is_empty()).then_some(extracted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written_and_of_no_other_time() {
        let file = std::fs::File::open("Cargo.toml").expect("tests run in their package");
        let stat = Stat::of(&file).expect("it is open");
        let full = Extracted {
            mime_type: "image/jpeg".into(),
            dimensions: Some((4000, 3000)),
            orientation: Some(6),
            camera: Some("A b".into()),
            taken: Some("2026-08-01 12:30:00".into()),
            duration: Some(Duration::from_millis(1234)),
            title: Some("ö".into()),
            author: Some("x".into()),
            album: Some("y z".into()),
            track: Some(3),
            year: Some(2026),
            pages: Some(9),
            charset: Some("UTF-8".into()),
            is_damaged: true,
        };
        let text = print(&full, &stat);
        assert_eq!(parse(&text, &stat), Some(full));
        let later = Stat { size: stat.size + 1, ..stat };
        assert_eq!(parse(&text, &later), None);
        let bare = Extracted { mime_type: "a/b".into(), ..Extracted::default() };
        assert_eq!(parse(&print(&bare, &stat), &stat), Some(bare));
    }
}
