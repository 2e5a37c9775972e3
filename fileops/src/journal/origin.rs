//! Where what is staged comes from, and in which state of the machine it was written: a later copy of the same goes on with it.

use super::line::line;
use super::read::{Held, Recorded};
use super::step::{Dir, Fields, Identity, Location, identity, location, time};
use super::{Journal, Stage};
use crate::sys::stat::{Id, Time};
use std::io;

/// The source of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) source: Location,
    pub(crate) identity: Identity,
    /// What changed about the source before this was copied as it was then.
    pub(crate) since: Time,
    /// The run of the kernel and the mount that it was written through: what is not on the device is lost with either. Empty
    /// where the kernel tells no mount apart from a later one.
    pub(crate) session: String,
    /// It was to take the place of an old file.
    pub(crate) is_replacement: bool,
}

impl Origin {
    fn fields(&self, number: u64) -> Vec<Vec<u8>> {
        let mut to = Fields::default();
        to.word("origin").word(number).location(&self.source).identity(&self.identity);
        to.time(&self.since).word(&self.session).word(u8::from(self.is_replacement));
        to.0
    }

    pub(super) fn parse(fields: &[Vec<u8>]) -> Option<Origin> {
        let from = &mut fields.iter();
        Some(Origin {
            source: location(from)?,
            identity: identity(from)?,
            since: time(from)?,
            session: String::from_utf8_lossy(from.next()?).into_owned(),
            is_replacement: from.next()? == b"1",
        })
    }
}

impl Journal {
    /// Records where a stage comes from.
    pub(crate) fn origin(&self, stage: &Stage, origin: &Origin) {
        let fields = origin.fields(stage.number);
        self.write(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    /// Records that a stage of an interrupted operation is this one's from now on. It keeps its name.
    pub(crate) fn adopt(&self, found: &Recorded, dir: &Dir, id: Id, origin: &Origin) -> Stage {
        let stage = self.stage_as(dir, Some(found.name.clone()), &found.wanted);
        self.made(&stage, id);
        self.origin(&stage, origin);
        stage
    }

    /// What was asked for, so that it can be asked for again; recorded with the first record.
    pub(crate) fn asked(&self, words: &[Vec<u8>]) {
        let fields: Vec<&[u8]> = std::iter::once(b"asked".as_slice()).chain(words.iter().map(Vec::as_slice)).collect();
        let _ = self.asked.set(line(&fields));
    }
}

impl Held {
    /// Records that a stage is another operation's now. A journal with nothing left to say goes.
    pub(crate) fn gave(&mut self, stage: &Recorded) -> io::Result<()> {
        self.append(&[b"gone", stage.number.to_string().as_bytes()])?;
        self.journal.stages.retain(|other| other.number != stage.number);
        // Of a step that was begun recovery finds out what became of it.
        let is_over = self.journal.stages.is_empty() && self.journal.steps.iter().all(|begun| begun.is_done);
        match (is_over, self.journal.has_changes()) {
            (false, _) => Ok(()),
            (true, true) => self.archive(),
            (true, false) => self.forget(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn an_origin_comes_back_as_it_was() {
        let dir = Dir { file_system: "uuid:1".into(), path: Path::new("/a b").into() };
        let time = Time { seconds: 5, nanoseconds: 60 };
        let identity =
            Identity { mode: 0o40_755, inode: 7, size: 4096, modified: time, changed: time, allocated: 4096 };
        let source = Location { dir, name: c"x\n%".to_owned() };
        for (session, is_replacement) in [("boot/12", true), ("", false)] {
            let origin =
                Origin { source: source.clone(), identity, since: time, session: session.to_owned(), is_replacement };
            assert_eq!(Origin::parse(&origin.fields(3)[2..]), Some(origin));
        }
    }
}
