//! `fileops meta`.

use crate::args_meta::{ExtractArgs, GetArgs, ListArgs, MetaCommand, RemoveArgs, SetArgs};
use crate::out::{Out, complain};
use crate::outcome::{self, Exit};
use crate::{json, messages, text};
use fileops::meta::{self, Cache, Changes, Common, Extracted, Key};
use fileops::{Error, Shown, block_on};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

pub(crate) fn run(command: MetaCommand) -> Exit {
    match command {
        MetaCommand::Get(args) => get(&args),
        MetaCommand::Set(args) => set(&args),
        MetaCommand::Remove(args) => remove(&args),
        MetaCommand::List(args) => list(&args),
        MetaCommand::Extract(args) => extract(&args),
    }
}

/// What is printed of a file: names, and values in words.
type Lines = Vec<(String, String)>;

fn get(args: &GetArgs) -> Exit {
    if args.names.is_empty() {
        return each(std::slice::from_ref(&args.file), args.json, |path| {
            let common = block_on(meta::read(path))?;
            Ok(if args.json { vec![json::common(path, &common)] } else { words(lines_of(&common)) })
        });
    }
    let (mut out, mut failed) = (Out::default(), 0);
    for name in &args.names {
        match block_on(meta::get(&args.file, attribute(name))) {
            Ok(Some(value)) if args.json => {
                out.line(&json::attribute(&args.file, &attribute(name), &value));
            }
            Ok(Some(value)) => out.line(&shown(&value)),
            Ok(None) => {
                failed += 1;
                complain(&messages::no_attribute(&args.file, name));
            }
            Err(error) => {
                failed += 1;
                fail(&error, args.json, &mut out);
            }
        }
    }
    let exit = if failed == 0 { Exit::Done } else { Exit::Incomplete };
    outcome::settle(exit, &out)
}

fn set(args: &SetArgs) -> Exit {
    let changes = match changes(args) {
        Ok(changes) => changes,
        Err(complaint) => {
            complain(&complaint);
            return Exit::Usage;
        }
    };
    each(&args.files, args.json, |path| make(path, &changes, args.json))
}

fn remove(args: &RemoveArgs) -> Exit {
    let changes = args.names.iter().fold(Changes::new(), |changes, name| changes.remove_attribute(attribute(name)));
    each(std::slice::from_ref(&args.file), args.json, |path| make(path, &changes, args.json))
}

fn list(args: &ListArgs) -> Exit {
    let is_one = args.files.len() == 1;
    each(&args.files, args.json, |path| {
        let all = block_on(meta::list(path))?;
        let line = |(name, value): &(OsString, Vec<u8>)| match args.json {
            true => json::attribute(path, name, value),
            false if is_one => format!("{}: {}", Shown(Path::new(name)), shown(value)),
            false => format!("{}: {}: {}", Shown(path), Shown(Path::new(name)), shown(value)),
        };
        Ok(all.iter().map(line).collect())
    })
}

fn extract(args: &ExtractArgs) -> Exit {
    let cache = if args.cache { Cache::Write } else { Cache::Read };
    let is_one = args.files.len() == 1;
    each(&args.files, args.json, |path| {
        let extracted = block_on(meta::extract(path, cache))?;
        if args.json {
            return Ok(vec![json::extracted(path, &extracted)]);
        }
        let title = (!is_one).then(|| format!("{}:", Shown(path)));
        Ok(title.into_iter().chain(words(found(&extracted))).collect())
    })
}

/// Does the same with each file, and prints the lines that it gives.
fn each(paths: &[PathBuf], is_json: bool, act: impl Fn(&Path) -> Result<Vec<String>, Error>) -> Exit {
    let (mut out, mut exit) = (Out::default(), Exit::Done);
    for path in paths {
        match act(path) {
            Ok(lines) => lines.iter().for_each(|line| out.line(line)),
            Err(error) => {
                exit = Exit::Incomplete;
                fail(&error, is_json, &mut out);
            }
        }
    }
    outcome::settle(exit, &out)
}

fn fail(error: &Error, is_json: bool, out: &mut Out) {
    complain(&messages::failure(error));
    if is_json {
        out.line(&json::failure(error));
    }
}

/// Makes the changes; of some that were made before a failure it is said which.
fn make(path: &Path, changes: &Changes, is_json: bool) -> Result<Vec<String>, Error> {
    let changed = block_on(meta::change(path, changes.clone()))?;
    if let (Some(_), false) = (&changed.failed, changed.done.is_empty()) {
        complain(&messages::changed_before(path, &changed.done));
    }
    let done = changed.into_result()?;
    Ok(if is_json { vec![json::changed(path, &done)] } else { Vec::new() })
}

fn changes(args: &SetArgs) -> Result<Changes, String> {
    let mut changes = Changes::new();
    if !args.tag.is_empty() {
        changes = changes.tags(&args.tag);
    }
    changes = args.add_tag.iter().fold(changes, Changes::add_tag);
    changes = args.remove_tag.iter().fold(changes, Changes::remove_tag);
    let texts = [
        (Key::Comment, &args.comment),
        (Key::OriginUrl, &args.origin_url),
        (Key::ReferrerUrl, &args.referrer_url),
        (Key::MimeType, &args.mime_type),
        (Key::Charset, &args.charset),
    ];
    for (key, text) in texts {
        changes = if let Some(text) = text { changes.text(key, text) } else { changes };
    }
    changes = if let Some(rating) = args.rating { changes.rating(rating) } else { changes };
    changes = if let Some(may) = args.robots_index { changes.robots_index(may) } else { changes };
    changes = if let Some(may) = args.robots_backup { changes.robots_backup(may) } else { changes };
    for element in &args.dublin_core {
        let (element, text) = element
            .split_once('=')
            .filter(|(element, _)| !element.is_empty())
            .ok_or_else(|| messages::no_equals_sign("--dublin-core", OsStr::new(element)))?;
        changes = changes.text(Key::DublinCore(element.into()), text);
    }
    for given in &args.attribute {
        let bytes = given.as_bytes();
        let sign = bytes.iter().position(|&byte| byte == b'=');
        let sign = sign.ok_or_else(|| messages::no_equals_sign("--attribute", given))?;
        changes = changes.attribute(OsString::from_vec(bytes[..sign].to_vec()), &bytes[sign + 1..]);
    }
    Ok(changes)
}

/// The attribute that people call so, or that is called so.
fn attribute(name: &OsStr) -> OsString {
    name.to_str().and_then(Key::parse).map_or_else(|| name.to_owned(), |key| key.attribute())
}

fn shown(value: &[u8]) -> String {
    Shown(Path::new(OsStr::from_bytes(value))).to_string()
}

fn words(lines: Lines) -> Vec<String> {
    lines.into_iter().map(|(name, value)| format!("{name}: {}", shown(value.as_bytes()))).collect()
}

fn lines_of(common: &Common) -> Lines {
    let mut lines = Lines::new();
    let mut say = |key: Key, value: Option<String>| lines.extend(value.map(|value| (key.name(), value)));
    say(Key::Tags, Some(common.tags.join(", ")).filter(|tags| !tags.is_empty()));
    say(Key::Comment, common.comment.clone());
    say(Key::Rating, common.rating.map(|rating| rating.to_string()));
    say(Key::OriginUrl, common.origin_url.clone());
    say(Key::ReferrerUrl, common.referrer_url.clone());
    say(Key::RobotsIndex, common.robots_index.map(|may| may.to_string()));
    say(Key::RobotsBackup, common.robots_backup.map(|may| may.to_string()));
    say(Key::MimeType, common.mime_type.clone());
    say(Key::Charset, common.charset.clone());
    for (element, text) in &common.dublin_core {
        say(Key::DublinCore(element.clone()), Some(text.clone()));
    }
    lines
}

fn found(extracted: &Extracted) -> Lines {
    let mut lines = Lines::new();
    let mut say = |name: &str, value: Option<String>| lines.extend(value.map(|value| (name.to_owned(), value)));
    say("mime-type", Some(extracted.mime_type.clone()));
    say("dimensions", extracted.dimensions.map(|(width, height)| format!("{width} x {height}")));
    say("orientation", extracted.orientation.map(|turn| turn.to_string()));
    say("camera", extracted.camera.clone());
    say("taken", extracted.taken.clone());
    say("duration", extracted.duration.map(text::duration));
    say("title", extracted.title.clone());
    say("author", extracted.author.clone());
    say("album", extracted.album.clone());
    say("track", extracted.track.map(|track| track.to_string()));
    say("year", extracted.year.map(|year| year.to_string()));
    say("pages", extracted.pages.map(|pages| pages.to_string()));
    say("charset", extracted.charset.clone());
    say("damaged", extracted.is_damaged.then(|| "yes".to_owned()));
    lines
}
