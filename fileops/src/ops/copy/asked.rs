//! What was asked for, in words that are recorded, so that it can be asked for again after an interruption.

use super::{Destination, Durability, Links, Metadata, Names, OnCancel, Options, ReadOnlyDirs, Verify};
use crate::conflict::OnConflict;
use crate::ops::delete::Mounts;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What was asked for, in words that can be asked for again; nothing where that would be longer than what is done.
pub(super) fn words(sources: &[PathBuf], destination: &Destination, options: &Options) -> Vec<Vec<u8>> {
    const MANY: usize = 1000;
    if sources.len() > MANY {
        return Vec::new();
    }
    let path = |path: &Path| {
        // What a last "." means is lost where the standard library makes a path absolute.
        let here = if path.is_absolute() { PathBuf::new() } else { std::env::current_dir().unwrap_or_default() };
        [here.as_os_str().as_bytes(), if here.as_os_str().is_empty() { b"" } else { b"/" }, path.as_os_str().as_bytes()]
            .concat()
    };
    let kind: &[u8] = if matches!(destination, Destination::Into(_)) { b"into" } else { b"as" };
    let mut words = vec![kind.to_vec(), path(destination.path()), options.words().into_bytes()];
    words.extend(sources.iter().map(|source| path(source)));
    words
}

/// What was asked for in these words.
pub(crate) fn parse(words: &[Vec<u8>]) -> Option<(Vec<PathBuf>, Destination, Options)> {
    let [kind, destination, options, sources @ ..] = words else { return None };
    let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
    let destination = match kind.as_slice() {
        b"into" => Destination::Into(path(destination)),
        b"as" => Destination::Name(path(destination)),
        _ => return None,
    };
    let mut parsed = Options::default();
    std::str::from_utf8(options).ok()?.split_whitespace().for_each(|word| parsed.hear(word));
    Some((sources.iter().map(path).collect(), destination, parsed))
}

impl Options {
    /// What changes the result; what has its default is not said.
    fn words(&self) -> String {
        let mut words = Vec::new();
        let mut say = |is_so: bool, word: &'static str| words.extend(is_so.then_some(word));
        for (rule, word) in RULES {
            say(self.on_conflict == rule, word);
        }
        say(self.links == Links::Follow, "follow");
        say(self.names == Names::Portable, "portable-names");
        say(self.read_only_dirs == ReadOnlyDirs::Keep, "keep-read-only-dirs");
        say(self.on_cancel == OnCancel::KeepFinished, "keep-finished");
        say(self.verify == Verify::Contents, "verify");
        say(self.durability == Some(Durability::Device), "durable");
        say(self.metadata == Metadata::Sidecar, "sidecar");
        say(self.moves == Some(Mounts::Stay), "moves");
        say(self.moves == Some(Mounts::Cross), "moves-across");
        words.join(" ")
    }
}

const RULES: [(OnConflict, &str); 5] = [
    (OnConflict::Skip, "skip"),
    (OnConflict::Replace, "replace"),
    (OnConflict::Rename, "rename"),
    (OnConflict::Newer, "newer"),
    (OnConflict::Different, "different"),
];

impl Options {
    fn hear(&mut self, word: &str) {
        match word {
            "follow" => self.links = Links::Follow,
            "portable-names" => self.names = Names::Portable,
            "keep-read-only-dirs" => self.read_only_dirs = ReadOnlyDirs::Keep,
            "keep-finished" => self.on_cancel = OnCancel::KeepFinished,
            "verify" => self.verify = Verify::Contents,
            "sidecar" => self.metadata = Metadata::Sidecar,
            "durable" => self.durability = Some(Durability::Device),
            "moves" => self.moves = Some(Mounts::Stay),
            "moves-across" => self.moves = Some(Mounts::Cross),
            // What a later program asks for.
            word => {
                self.on_conflict =
                    RULES.into_iter().find(|&(_, rule)| rule == word).map_or(self.on_conflict, |rule| rule.0)
            }
        }
    }
}
