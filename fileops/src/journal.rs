//! The records of running operations, on disk: what was begun under which name, so that what an interruption leaves can be
//! found and told from everything else.
//!
//! One small file per operation below `$XDG_STATE_HOME/fileops/operations`, made when the first stage is, removed when none
//! is left, and locked while its process lives. It is append-only text: a record a line, fields apart by tabs, bytes that
//! could be misread as `%XX`, the CRC-32 of the line last. Reading ends at the first line that does not hold together, so a
//! torn tail costs the record that was being written and nothing else.

use crate::control::lock;
use crate::sys::stat::Id;
use crate::sys::{lock as locks, open};
use std::env;
use std::ffi::{CStr, CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first line of every journal; the number changes when an older reader would misread a newer file.
const HEADER: &str = "fileops-journal";
const VERSION: &str = "1";

/// How a stage is recognised on disk: `.fileops-` + 8 characters of the operation + `-` + a number + `.part`.
const STAGE_PREFIX: &str = ".fileops-";
const STAGE_SUFFIX: &str = ".part";

/// Whether a name is one that stages have.
pub(crate) fn is_stage_name(name: &[u8]) -> bool {
    let inner = name.strip_prefix(STAGE_PREFIX.as_bytes()).and_then(|rest| rest.strip_suffix(STAGE_SUFFIX.as_bytes()));
    let Some((id, number)) = inner.and_then(|inner| inner.split_at_checked(8)) else { return false };
    id.iter().all(u8::is_ascii_alphanumeric)
        && number.strip_prefix(b"-").is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// The journal of one running operation.
pub(crate) struct Journal {
    id: String,
    verb: &'static str,
    next: AtomicU64,
    file: Mutex<State>,
}

enum State {
    /// Nothing was recorded yet.
    Unopened,
    Open {
        file: File,
        path: PathBuf,
    },
    /// The state directory cannot be written; the operation goes on without records.
    Missing,
}

/// A stage that is recorded and not yet gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    number: u64,
    /// Its name on disk.
    pub(crate) name: CString,
}

impl Journal {
    pub(crate) fn new(verb: &'static str) -> Journal {
        Journal { id: random_id(), verb, next: AtomicU64::new(1), file: Mutex::new(State::Unopened) }
    }

    /// Records that a stage is about to be made in `dir`, to become `wanted` there.
    ///
    /// # Errors
    /// The stage is usable all the same; the error says that no record was kept. It is given once per operation.
    pub(crate) fn intend(&self, dir: &Path, file_system: &str, wanted: &CStr) -> (Stage, io::Result<()>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STAGE_PREFIX}{}-{number}{STAGE_SUFFIX}", self.id);
        let stage = Stage { number, name: CString::new(name).expect("made of letters and digits") };
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let digits = number.to_string();
        let record = [
            b"stage".as_slice(),
            digits.as_bytes(),
            file_system.as_bytes(),
            dir.as_os_str().as_bytes(),
            stage.name.to_bytes(),
            wanted.to_bytes(),
        ];
        let written = self.write(&record);
        (stage, written)
    }

    /// Records which file the stage is. Only a record that has this is ever acted upon by name.
    pub(crate) fn made(&self, stage: &Stage, id: Id) {
        let _ = self.write(&[b"made", stage.number.to_string().as_bytes(), id.ino.to_string().as_bytes()]);
    }

    /// Records that the stage was published or removed.
    pub(crate) fn gone(&self, stage: &Stage) {
        let _ = self.write(&[b"gone", stage.number.to_string().as_bytes()]);
    }

    /// Ends the journal: it goes if it has nothing left to say.
    pub(crate) fn finish(&self, is_clean: bool) {
        let mut state = lock(&self.file);
        if let State::Open { path, .. } = &*state {
            if is_clean {
                let _ = fs::remove_file(path);
            }
        }
        *state = State::Missing;
    }

    fn write(&self, fields: &[&[u8]]) -> io::Result<()> {
        let mut state = lock(&self.file);
        if let State::Unopened = *state {
            match self.open() {
                Ok((file, path)) => *state = State::Open { file, path },
                Err(error) => {
                    *state = State::Missing;
                    return Err(error);
                }
            }
        }
        match &mut *state {
            State::Open { file, .. } => file.write_all(&line(fields)),
            _ => Ok(()),
        }
    }

    fn open(&self) -> io::Result<(File, PathBuf)> {
        let dir = directory().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let path = dir.join(format!("{}.journal", self.id));
        // Nobody may see it before it is locked.
        let unseen = dir.join(format!("{}.new", self.id));
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&unseen)?;
        locks::try_lock(&file)?;
        let process = std::process::id().to_string();
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seconds = time.as_secs().to_string();
        let header = [HEADER, VERSION, self.verb, &process, &seconds].map(str::as_bytes);
        let begun = file.write_all(&line(&header)).and_then(|()| fs::rename(&unseen, &path));
        if let Err(error) = begun {
            let _ = fs::remove_file(&unseen);
            return Err(error);
        }
        Ok((file, path))
    }
}

/// Eight letters and digits that no other operation has.
fn random_id() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; 8];
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) != Ok(bytes.len()) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seed = now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32);
        bytes = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes();
    }
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Where journals are kept; `None` without a home.
fn directory() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("fileops/operations"))
}

fn line(fields: &[&[u8]]) -> Vec<u8> {
    let mut line = Vec::new();
    for field in fields {
        for &byte in *field {
            match byte {
                b'%' | 0..=0x20 | 0x7f.. => write!(line, "%{byte:02X}").expect("a vector takes everything"),
                _ => line.push(byte),
            }
        }
        line.push(b'\t');
    }
    writeln!(line, "{:08x}", crc32fast::hash(&line)).expect("a vector takes everything");
    line
}

/// The fields of a line, if it holds together.
fn fields(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (text, sum) = line.split_at_checked(line.len().checked_sub(8)?)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if crc32fast::hash(text) != sum {
        return None;
    }
    text.strip_suffix(b"\t")?.split(|&byte| byte == b'\t').map(unescaped).collect()
}

fn unescaped(field: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let digits = rest.as_slice().get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest.nth(1);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// What an interrupted operation left in its journal.
pub(crate) struct Interrupted {
    pub(crate) path: PathBuf,
    pub(crate) verb: String,
    /// Seconds since 1970.
    pub(crate) started: u64,
    pub(crate) stages: Vec<Recorded>,
    /// Keeps others from acting on it at the same time.
    _lock: File,
}

/// A stage as it was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    number: u64,
    pub(crate) file_system: String,
    pub(crate) dir: PathBuf,
    pub(crate) name: CString,
    pub(crate) wanted: CString,
    /// `None` if the operation ended before this was recorded.
    pub(crate) inode: Option<u64>,
}

/// All journals whose process is gone. Damaged ones give what could be read of them.
pub(crate) fn interrupted() -> io::Result<Vec<Interrupted>> {
    let mut found = Vec::new();
    for path in journals()? {
        found.extend(read(&path)?);
    }
    found.sort_by_key(|journal| journal.started);
    Ok(found)
}

/// The stages in all journals, those of running operations too: for a look only.
pub(crate) fn recorded() -> io::Result<Vec<Recorded>> {
    let mut found = Vec::new();
    for path in journals()? {
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            bytes => found.extend(parse(&bytes?).into_iter().flat_map(|(_, _, stages)| stages)),
        }
    }
    Ok(found)
}

fn journals() -> io::Result<Vec<PathBuf>> {
    let Some(dir) = directory() else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "journal") {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// `None` for a journal in use, or gone meanwhile, or of a version that we do not know.
fn read(path: &Path) -> io::Result<Option<Interrupted>> {
    // A lock needs a descriptor that could write.
    let file = match OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !locks::try_lock(&file)? {
        return Ok(None);
    }
    Ok(parse(&fs::read(path)?).map(|(verb, started, stages)| Interrupted {
        path: path.to_owned(),
        verb,
        started,
        stages,
        _lock: file,
    }))
}

fn parse(bytes: &[u8]) -> Option<(String, u64, Vec<Recorded>)> {
    let mut records = bytes.split(|&byte| byte == b'\n').map_while(fields);
    let header = records.next()?;
    let [name, version, verb, _process, started] = header.as_slice() else { return None };
    if name != HEADER.as_bytes() || version != VERSION.as_bytes() {
        return None;
    }
    let mut stages: Vec<Recorded> = Vec::new();
    for record in records {
        let fields: Vec<&[u8]> = record.iter().map(Vec::as_slice).collect();
        match fields.as_slice() {
            [b"stage", at, file_system, dir, stage, wanted] => stages.push(Recorded {
                number: number(at)?,
                file_system: String::from_utf8_lossy(file_system).into_owned(),
                dir: PathBuf::from(OsString::from_vec(dir.to_vec())),
                name: CString::new(*stage).ok()?,
                wanted: CString::new(*wanted).ok()?,
                inode: None,
            }),
            [b"made", at, inode] => {
                let (at, inode) = (number(at)?, number(inode)?);
                stages.iter_mut().filter(|stage| stage.number == at).for_each(|stage| stage.inode = Some(inode));
            }
            [b"gone", at] => {
                let at = number(at)?;
                stages.retain(|stage| stage.number != at);
            }
            // A record of a newer program of the same version of the format.
            _ => {}
        }
    }
    Some((String::from_utf8_lossy(verb).into_owned(), number(started).unwrap_or(0), stages))
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Removes a journal that has nothing left to say.
pub(crate) fn forget(journal: &Interrupted) -> io::Result<()> {
    match fs::remove_file(&journal.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// Opens the directory of a recorded stage.
pub(crate) fn open_dir(stage: &Recorded) -> io::Result<std::os::fd::OwnedFd> {
    open::root(&stage.dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Vec<u8> {
        let mut bytes = line(&[b"fileops-journal", b"1", b"copy", b"77", b"1700000000"]);
        bytes.extend(line(&[b"stage", b"1", b"ext4:/dev/x", b"/a b\n\xff", b".fileops-abcdefgh-1.part", b"%"]));
        bytes.extend(line(&[b"made", b"1", b"42"]));
        bytes
    }

    #[test]
    fn a_record_comes_back_byte_for_byte() {
        let (verb, started, stages) = parse(&journal()).unwrap();
        assert_eq!((verb.as_str(), started), ("copy", 1_700_000_000));
        assert_eq!(stages[0].dir.as_os_str().as_bytes(), b"/a b\n\xff");
        assert_eq!(stages[0].wanted.as_bytes(), b"%");
        assert_eq!(stages[0].inode, Some(42));
    }

    #[test]
    fn a_torn_tail_costs_its_record_only() {
        let whole = journal();
        let parsed = parse(&whole).unwrap().2;
        for length in 0..whole.len() {
            match parse(&whole[..length]) {
                None => {}
                Some((_, _, stages)) => {
                    assert!(stages.iter().all(|stage| stage.dir == parsed[0].dir), "cut at {length}");
                }
            }
        }
    }

    #[test]
    fn a_stage_that_is_gone_is_not_given_again() {
        let mut bytes = journal();
        bytes.extend(line(&[b"gone", b"1"]));
        assert_eq!(parse(&bytes).unwrap().2, []);
    }

    #[test]
    fn only_our_names_are_stage_names() {
        assert!(is_stage_name(b".fileops-abcdefg2-17.part"));
        for other in
            [".fileops-abc-1.part", ".fileops-abcdefgh.part", ".fileops-abcdefgh-.part", "fileops-abcdefgh-1.part"]
        {
            assert!(!is_stage_name(other.as_bytes()), "{other}");
        }
    }
}
