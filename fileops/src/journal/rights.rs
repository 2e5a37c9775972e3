//! Modes that are other than they should be for a time: recorded before, so that recovery can put them back after a kill.

use super::line::number;
use super::step::{Fields, Location, location};
use super::{Held, Journal};
use std::io;
use std::sync::atomic::Ordering::Relaxed;

/// A mode that was changed for the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) number: u64,
    pub(crate) at: Location,
    pub(crate) inode: u64,
    /// Permission bits, as they should be and as they are meanwhile.
    pub(crate) before: u32,
    pub(crate) during: u32,
}

impl Opened {
    fn fields(&self) -> Vec<Vec<u8>> {
        let mut to = Fields::default();
        to.word("opened").word(self.number).location(&self.at).word(self.inode);
        to.word(format!("{:o}", self.before)).word(format!("{:o}", self.during));
        to.0
    }

    /// From what follows the word.
    pub(super) fn parse(fields: &[Vec<u8>]) -> Option<Opened> {
        let from = &mut fields.iter();
        let mode = |field: &Vec<u8>| u32::from_str_radix(std::str::from_utf8(field).ok()?, 8).ok();
        let (number, at, inode) = (number(from.next()?)?, location(from)?, number(from.next()?)?);
        let (before, during) = (mode(from.next()?)?, mode(from.next()?)?);
        Some(Opened { number, at, inode, before, during })
    }
}

impl Journal {
    /// Records that a mode is about to be changed for the time; gives what to call it when it is put back.
    pub(crate) fn opens(&self, at: Location, inode: u64, before: u32, during: u32) -> u64 {
        let number = self.next.fetch_add(1, Relaxed);
        let fields = Opened { number, at, inode, before, during }.fields();
        self.write(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>());
        number
    }

    /// Records that a mode is as it should be again.
    pub(crate) fn closed(&self, number: u64) {
        self.write(&[b"closed", number.to_string().as_bytes()]);
    }
}

impl Held {
    /// The same, after an interruption.
    pub(crate) fn closed(&mut self, number: u64) -> io::Result<()> {
        self.append(&[b"closed", number.to_string().as_bytes()])?;
        self.journal.opened.retain(|opened| opened.number != number);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Dir;
    use std::path::Path;

    #[test]
    fn an_opened_mode_comes_back_as_it_was() {
        let dir = Dir { file_system: "uuid:1".into(), path: Path::new("/a b").into() };
        let at = Location { dir, name: c"x\n%".to_owned() };
        let opened = Opened { number: 3, at, inode: 7, before: 0o2000, during: 0o2500 };
        assert_eq!(Opened::parse(&opened.fields()[1..]), Some(opened));
    }
}
