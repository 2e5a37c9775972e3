//! Reading journals: those of operations that were interrupted, and those of the history.

use super::line::{fields, line, number, whole};
use super::origin::Origin;
use super::passage::is_passage;
use super::rights::Opened;
use super::step::{Step, is_name, is_real};
use super::{HEADER, VERSION, directory};
use crate::sys::{lock as locks, open};
use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// A journal that was begun and never got its name is nobody's after so long.
const UNSEEN_FOR: Duration = Duration::from_secs(600);

/// A journal of which nobody else may make use meanwhile.
pub(crate) struct Held {
    pub(crate) journal: Written,
    /// Locked.
    file: File,
}

/// A journal as it was found.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) id: String,
    pub(crate) verb: String,
    /// Seconds since 1970.
    pub(crate) started: u64,
    /// How it ended, and when (since 1970); `None` if it did not come to its end.
    pub(crate) ended: Option<(bool, Duration)>,
    pub(crate) stages: Vec<Recorded>,
    /// In the order in which they were made.
    pub(crate) steps: Vec<Begun>,
    /// What was asked for: see `Journal::asked`.
    pub(crate) asked: Vec<Vec<u8>>,
    /// Which operation this one undoes.
    pub(crate) undoes: Option<String>,
    /// What was undone or redone, in the end: "copy".
    pub(crate) original: Option<String>,
    /// Modes that were not put back.
    pub(crate) opened: Vec<Opened>,
    /// When the last record was written, for one that did not come to its end.
    pub(crate) written: Duration,
    /// What came later has more, whatever was done to the clock: the time of its end, or more.
    pub(crate) order: Duration,
}

/// A stage as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(super) number: u64,
    pub(crate) file_system: String,
    pub(crate) dir: PathBuf,
    pub(crate) name: CString,
    pub(crate) wanted: CString,
    /// `None` if the operation ended before this was recorded.
    pub(crate) inode: Option<u64>,
    /// Where it comes from, if that was recorded.
    pub(crate) origin: Option<Origin>,
}

impl Recorded {
    /// Opens the directory of the stage.
    pub(crate) fn open_dir(&self) -> io::Result<std::os::fd::OwnedFd> {
        open::real(&self.dir)
    }
}

/// A step as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) number: u64,
    pub(crate) step: Step,
    /// `false` if only its intention is known.
    pub(crate) is_done: bool,
    /// Whether it was undone since.
    pub(crate) is_inverted: bool,
}

/// All journals of operations whose process is gone. Damaged ones give what could be read of them.
pub(crate) fn interrupted() -> io::Result<Vec<Held>> {
    let mut found = Vec::new();
    for path in journals("operations")? {
        found.extend(hold(&path)?);
    }
    found.sort_by_key(|held| held.journal.started);
    Ok(found)
}

/// What the journals of all operations that are over say, the newest last.
pub(crate) fn history() -> io::Result<Vec<Written>> {
    let mut paths = journals("history")?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        found.extend(read(&path)?);
    }
    Ok(found)
}

/// How many operations the history holds.
pub(crate) fn past_count() -> usize {
    journals("history").map_or(0, |paths| paths.len())
}

/// The stages in all journals, those of running operations too: for a look only.
pub(crate) fn recorded() -> io::Result<Vec<Recorded>> {
    let mut found = Vec::new();
    for path in journals("operations")? {
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            bytes => found.extend(parse(&bytes?).into_iter().flat_map(|parsed| parsed.stages)),
        }
    }
    Ok(found)
}

pub(super) fn journals(kind: &str) -> io::Result<Vec<PathBuf>> {
    let Some(dir) = directory(kind) else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // Something else is in its place.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match path.extension() {
            Some(extension) if extension == "journal" => paths.push(path),
            Some(extension) if extension == "new" => remove_unseen(&path),
            _ => {}
        }
    }
    Ok(paths)
}

/// Which operation a journal is of, by its name.
pub(super) fn id_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    stem.rsplit('-').next().unwrap_or_default().to_owned()
}

/// The place of a journal in the history, by its name; `None` for one that is not there.
pub(super) fn order_of(path: &Path) -> Option<Duration> {
    let name = path.file_stem()?.to_str()?;
    let (time, _) = name.split_once('-')?;
    time.parse().ok().map(Duration::from_nanos)
}

/// What a kill at the first record left.
fn remove_unseen(path: &Path) {
    let age = fs::symlink_metadata(path).and_then(|stat| stat.modified()).ok().and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age > UNSEEN_FOR) {
        let _ = fs::remove_file(path);
    }
}

/// Takes a journal for oneself; `None` if it is in use, or gone, or of a version that we do not know.
pub(crate) fn hold(path: &Path) -> io::Result<Option<Held>> {
    // A lock needs a descriptor that could write.
    let Some(file) = open_journal(path, OpenOptions::new().read(true).append(true))? else { return Ok(None) };
    if !locks::try_lock(&file)? {
        return Ok(None);
    }
    let Some(journal) = read(path)? else { return Ok(None) };
    let held = Held { journal, file };
    // What is added to a torn line would be torn with it.
    let bytes = fs::read(path)?;
    let whole = whole(&bytes);
    if whole < bytes.len() {
        held.file.set_len(whole as u64)?;
        held.was_written_then()?;
    }
    Ok(Some(held))
}

/// `None` for one that is gone meanwhile, or of a version that we do not know.
pub(super) fn read(path: &Path) -> io::Result<Option<Written>> {
    let Some(mut file) = open_journal(path, OpenOptions::new().read(true))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let stat = file.metadata()?;
    let Some(mut written) = parse(&bytes) else { return Ok(None) };
    written.path = path.to_owned();
    written.id = id_of(path);
    written.written = stat.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    written.order = order_of(path).unwrap_or(written.written);
    Ok(Some(written))
}

/// Opens a journal; `None` for what is gone, and for what is none of ours: a directory, a link, a pipe, a file of root's. It
/// must not hide the others.
fn open_journal(path: &Path, options: &mut OpenOptions) -> io::Result<Option<File>> {
    match options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => Ok(Some(file).filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::EISDIR | libc::ELOOP | libc::ENXIO | libc::EACCES | libc::EPERM) => Ok(None),
            _ => Err(error),
        },
    }
}

fn parse(bytes: &[u8]) -> Option<Written> {
    // Of passages there can be very many, and hardly anybody asks for them.
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !is_passage(line));
    let mut records = lines.map_while(fields);
    let header = records.next()?;
    let [name, version, verb, _process, started] = header.as_slice() else { return None };
    if name != HEADER.as_bytes() || version != VERSION.as_bytes() {
        return None;
    }
    let verb = String::from_utf8_lossy(verb).into_owned();
    let mut parsed = Written { verb, started: number(started).unwrap_or(0), ..Written::default() };
    let mut not = BTreeSet::new();
    let mut done = BTreeSet::new();
    let mut inverted = BTreeSet::new();
    for record in records {
        let (word, rest) = record.split_first()?;
        let at = rest.first().and_then(|field| number::<u64>(field));
        match (word.as_slice(), at) {
            (b"step" | b"did", Some(at)) => parsed.steps.extend(Step::parse(&rest[1..]).map(|step| Begun {
                number: at,
                step,
                is_done: word == b"did",
                is_inverted: false,
            })),
            (b"done", Some(at)) => drop(done.insert(at)),
            (b"not", Some(at)) => drop(not.insert(at)),
            (b"inverted", Some(at)) => drop(inverted.insert(at)),
            (b"stage", Some(at)) => parsed.stages.extend(stage(at, rest)),
            (b"made", Some(at)) => {
                let inode = rest.get(1).and_then(|field| number(field));
                parsed.stages.iter_mut().filter(|stage| stage.number == at).for_each(|stage| stage.inode = inode);
            }
            (b"origin", Some(at)) => {
                let origin = Origin::parse(&rest[1..]);
                let stage = parsed.stages.iter_mut().find(|stage| stage.number == at);
                stage.into_iter().for_each(|stage| stage.origin.clone_from(&origin));
            }
            (b"asked", _) => parsed.asked = rest.to_vec(),
            (b"opened", _) => parsed.opened.extend(Opened::parse(rest)),
            (b"closed", Some(at)) => parsed.opened.retain(|opened| opened.number != at),
            (b"gone", Some(at)) => parsed.stages.retain(|stage| stage.number != at),
            (b"undoes", _) => {
                let text = |field: &Vec<u8>| String::from_utf8_lossy(field).into_owned();
                (parsed.undoes, parsed.original) = (rest.first().map(text), rest.get(1).map(text));
            }
            (b"end", _) => {
                let time = rest.get(1).and_then(|field| number(field)).map_or(Duration::ZERO, Duration::from_nanos);
                parsed.ended = Some((rest.first().is_some_and(|outcome| outcome == b"cancelled"), time));
            }
            // A record of a newer program of the same version of the format.
            _ => {}
        }
    }
    parsed.steps.retain(|begun| !not.contains(&begun.number));
    for begun in &mut parsed.steps {
        begun.is_done |= done.contains(&begun.number);
        begun.is_inverted = inverted.contains(&begun.number);
    }
    Some(parsed)
}

fn stage(number: u64, fields: &[Vec<u8>]) -> Option<Recorded> {
    let [_, file_system, dir, name, wanted, ..] = fields else { return None };
    let (dir, name) = (PathBuf::from(OsString::from_vec(dir.clone())), CString::new(name.as_slice()).ok()?);
    let wanted = CString::new(wanted.as_slice()).ok()?;
    // A damaged or forged record must not make anything else a stage.
    let is_stage = is_real(&dir) && super::is_stage_name(name.to_bytes()) && is_name(&wanted);
    is_stage.then(|| Recorded {
        number,
        file_system: String::from_utf8_lossy(file_system).into_owned(),
        dir,
        name,
        wanted,
        inode: None,
        origin: None,
    })
}

impl Written {
    /// Whether something is left to undo.
    pub(crate) fn has_changes(&self) -> bool {
        self.steps.iter().any(|begun| begun.step.is_change() && !begun.is_inverted)
    }
}

impl Held {
    /// Records that a step was undone.
    pub(crate) fn inverted(&mut self, step: u64) -> io::Result<()> {
        self.append(&[b"inverted", step.to_string().as_bytes()])
    }

    /// Records what became of a step of which only the intention was known.
    pub(crate) fn settled(&mut self, step: u64, is_done: bool) -> io::Result<()> {
        self.append(&[if is_done { b"done" } else { b"not" }, step.to_string().as_bytes()])
    }

    pub(super) fn append(&mut self, fields: &[&[u8]]) -> io::Result<()> {
        self.file.write_all(&line(fields))?;
        self.was_written_then()
    }

    /// When its operation wrote last is all that tells when an interrupted one ended: what is added later does not count.
    fn was_written_then(&self) -> io::Result<()> {
        match self.journal.ended {
            Some(_) => Ok(()),
            None => self.file.set_modified(UNIX_EPOCH + self.journal.written),
        }
    }

    /// Whether it is where the journals of interrupted operations are.
    pub(crate) fn is_interrupted(&self) -> bool {
        directory("operations").is_some_and(|dir| self.journal.path.starts_with(dir))
    }

    /// Moves it to the history.
    pub(crate) fn archive(&self) -> io::Result<()> {
        super::archive(&self.journal.path, &self.journal.id, Some(self.journal.order))
    }

    /// Removes it: it has nothing left to say, unless something went to another file system and earlier operations have to
    /// find it.
    pub(crate) fn forget_but_passages(&self) -> io::Result<()> {
        if self.retire()? { Ok(()) } else { self.forget() }
    }

    /// Removes it: it has nothing left to say.
    pub(crate) fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.journal.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn journal() -> Vec<u8> {
        let mut bytes = line(&[b"fileops-journal", b"1", b"copy", b"77", b"1700000000"]);
        bytes.extend(line(&[b"stage", b"1", b"ext4:/dev/x", b"/a b\n\xff", b".fileops-abcdefgh-1.part", b"%"]));
        bytes.extend(line(&[b"made", b"1", b"42"]));
        bytes
    }

    #[test]
    fn a_record_comes_back_byte_for_byte() {
        let parsed = parse(&journal()).unwrap();
        assert_eq!((parsed.verb.as_str(), parsed.started), ("copy", 1_700_000_000));
        assert_eq!(parsed.stages[0].dir.as_os_str().as_bytes(), b"/a b\n\xff");
        assert_eq!(parsed.stages[0].wanted.as_bytes(), b"%");
        assert_eq!(parsed.stages[0].inode, Some(42));
    }

    #[test]
    fn a_torn_tail_costs_its_record_only() {
        let whole = journal();
        let stages = parse(&whole).unwrap().stages;
        for length in 0..whole.len() {
            if let Some(parsed) = parse(&whole[..length]) {
                assert!(parsed.stages.iter().all(|stage| stage.dir == stages[0].dir), "cut at {length}");
            }
        }
    }

    #[test]
    fn a_stage_that_is_gone_is_not_given_again() {
        let mut bytes = journal();
        bytes.extend(line(&[b"gone", b"1"]));
        assert_eq!(parse(&bytes).unwrap().stages, []);
    }
}
