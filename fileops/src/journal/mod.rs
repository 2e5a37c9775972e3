//! What operations do, on disk: what was begun under which name, so that what an interruption leaves can be found and told
//! from everything else; and what was done, a step at a time, so that it can be undone.
//!
//! One file per operation below `$XDG_STATE_HOME/fileops/operations`, made with the first record and locked while its process
//! lives. When the operation is over it goes if it has nothing to say, and moves to `history` beside if there are steps that
//! can be undone. It is append-only text (`line`); reading (`read`) ends at the first line that does not hold together, so a
//! torn tail costs the record that was being written and nothing else.

pub(crate) mod line;
mod origin;
mod passage;
mod read;
mod rights;
mod step;

pub(crate) use origin::Origin;
pub(crate) use passage::{Passed, Told, Version, forget_passages, passages};
pub(crate) use read::{Begun, Held, Recorded, Written, history, hold, interrupted, past_count, recorded};
pub(crate) use step::{Dir, Identity, Location, Step, has_lasting_inodes};

use crate::control::lock;
use crate::sys::stat::{Id, Stat};
use crate::sys::{lock as locks, mount, name};
use line::line;
use std::collections::HashMap;
use std::env;
use std::ffi::{CStr, CString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The first line of every journal; the number changes when an older reader would misread a newer file.
const HEADER: &str = "fileops-journal";
const VERSION: &str = "1";

/// How a stage is recognised on disk: `.fileops-` + 8 characters of the operation + `-` + a number + `.part`.
const STAGE_PREFIX: &str = ".fileops-";
const STAGE_SUFFIX: &str = ".part";

/// Records of things that displaced nothing are written together: so many bytes, or after so long. A kill costs no more.
const TOGETHER: usize = 16 << 10;
const AT_LEAST_EVERY: Duration = Duration::from_millis(20);

/// Whether a name is one that stages have.
pub(crate) fn is_stage_name(name: &[u8]) -> bool {
    let inner = name.strip_prefix(STAGE_PREFIX.as_bytes()).and_then(|rest| rest.strip_suffix(STAGE_SUFFIX.as_bytes()));
    let Some((id, number)) = inner.and_then(|inner| inner.split_at_checked(8)) else { return false };
    id.iter().all(u8::is_ascii_alphanumeric)
        && number.strip_prefix(b"-").is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// A name for a stage that no journal knows; [`is_stage_name`] does.
pub(crate) fn unknown_stage_name() -> io::Result<CString> {
    let name = format!("{STAGE_PREFIX}{}-1{STAGE_SUFFIX}", random_id());
    Ok(CString::new(name)?)
}

/// The journal of one running operation.
pub(crate) struct Journal {
    id: String,
    verb: &'static str,
    next: AtomicU64,
    /// Whether steps are kept for an undo; stages and what is under way are recorded all the same.
    keeps_steps: AtomicBool,
    /// The record of what was asked for.
    asked: OnceLock<Vec<u8>>,
    has_changes: AtomicBool,
    state: Mutex<State>,
    /// Names of the file systems that are recorded, by device.
    file_systems: Mutex<HashMap<u64, Arc<str>>>,
    /// What was carried elsewhere, and is not written yet.
    passing: Mutex<passage::Passing>,
    /// Why nothing could be recorded, if so.
    error: Mutex<Option<io::Error>>,
}

enum State {
    /// Nothing was recorded yet.
    Unopened,
    Open(Open),
    /// The state directory cannot be written; the operation goes on without records.
    Missing,
}

struct Open {
    file: File,
    path: PathBuf,
    /// Records that are not written yet.
    waiting: Vec<u8>,
    written: Instant,
    /// Steps that can be undone.
    changes: u64,
    /// Directories that were touched.
    touched: Vec<Step>,
}

/// A stage that is recorded and not yet gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    number: u64,
    /// Its name on disk.
    pub(crate) name: CString,
}

/// A step that is recorded and not yet made.
#[must_use = "a step that was begun is done or not"]
#[derive(Debug)]
pub(crate) struct Pending(u64);

impl Journal {
    pub(crate) fn new(verb: &'static str) -> Journal {
        let (state, file_systems, error) = (Mutex::new(State::Unopened), Mutex::default(), Mutex::default());
        let (next, keeps_steps, has_changes) = (AtomicU64::new(1), AtomicBool::new(true), AtomicBool::new(false));
        let (asked, passing) = (OnceLock::new(), Mutex::default());
        Journal { id: random_id(), verb, next, keeps_steps, asked, has_changes, state, file_systems, passing, error }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Keeps no steps: the operation cannot be undone.
    pub(crate) fn keep_no_steps(&self) {
        self.keeps_steps.store(false, Relaxed);
    }

    pub(crate) fn keeps_steps(&self) -> bool {
        self.keeps_steps.load(Relaxed)
    }

    /// How an open directory is recorded.
    pub(crate) fn dir(&self, dir: impl AsFd, path: &Path) -> Dir {
        let device = Stat::of(&dir).map_or(0, |stat| stat.id.dev);
        let file_system = self.file_system(device, &dir, || path.to_owned());
        let real = name::real_path(&dir).or_else(|| std::path::absolute(path).ok());
        Dir { file_system, path: real.unwrap_or_else(|| path.to_owned()).into() }
    }

    /// How the file system of an open directory is recorded, which is on this device.
    pub(crate) fn file_system(&self, device: u64, dir: impl AsFd, path: impl FnOnce() -> PathBuf) -> Arc<str> {
        let known = lock(&self.file_systems).get(&device).cloned();
        known.unwrap_or_else(|| {
            let name: Arc<str> = mount::lasting_name(&dir, &path()).into();
            Arc::clone(lock(&self.file_systems).entry(device).or_insert(name))
        })
    }

    /// Records that a stage is about to be made in `dir`, to become `wanted` there.
    pub(crate) fn stage(&self, dir: &Dir, wanted: &CStr) -> Stage {
        self.stage_as(dir, None, wanted)
    }

    /// One that has a name already keeps it.
    fn stage_as(&self, dir: &Dir, name: Option<CString>, wanted: &CStr) -> Stage {
        let number = self.next.fetch_add(1, Relaxed);
        let name = name.unwrap_or_else(|| {
            let name = format!("{STAGE_PREFIX}{}-{number}{STAGE_SUFFIX}", self.id);
            CString::new(name).expect("made of letters and digits")
        });
        let stage = Stage { number, name };
        self.write(&[
            b"stage",
            number.to_string().as_bytes(),
            dir.file_system.as_bytes(),
            dir.path.as_os_str().as_bytes(),
            stage.name.to_bytes(),
            wanted.to_bytes(),
        ]);
        stage
    }

    /// Records which file the stage is. Only a record that has this is ever acted upon by name.
    pub(crate) fn made(&self, stage: &Stage, id: Id) {
        self.write(&[b"made", stage.number.to_string().as_bytes(), id.ino.to_string().as_bytes()]);
    }

    /// Records that the stage was published or removed.
    pub(crate) fn gone(&self, stage: &Stage) {
        self.write(&[b"gone", stage.number.to_string().as_bytes()]);
    }

    /// Records a step that was made, and displaced nothing that would have to be found after a kill.
    pub(crate) fn did(&self, step: &Step) {
        if self.keeps_steps() {
            let number = self.next.fetch_add(1, Relaxed);
            self.append(&step_line("did", number, step), Some(step), false);
        }
    }

    /// Writes what waits to be written for long enough: what comes next may take its time.
    pub(crate) fn flush_waiting(&self) {
        if let State::Open(open) = &mut *lock(&self.state) {
            if !open.waiting.is_empty() && open.written.elapsed() >= AT_LEAST_EVERY {
                let written = open.flush();
                self.failed(written);
            }
        }
    }

    /// Records a step that is about to displace somebody's data.
    pub(crate) fn intend(&self, step: &Step) -> Pending {
        let number = self.next.fetch_add(1, Relaxed);
        self.append(&step_line("step", number, step), None, true);
        Pending(number)
    }

    /// The step was made.
    pub(crate) fn done(&self, pending: Pending) {
        self.count();
        self.write(&[b"done", pending.0.to_string().as_bytes()]);
    }

    /// The step was not made.
    pub(crate) fn undone(&self, pending: Pending) {
        self.write(&[b"not", pending.0.to_string().as_bytes()]);
    }

    /// Records that this operation undoes another one; `verb` is what that, or what it undid itself, was.
    pub(crate) fn undoes(&self, id: &str, verb: &str) {
        self.write(&[b"undoes", id.as_bytes(), verb.as_bytes()]);
    }

    /// Whether there is something to undo, so far or in the end.
    pub(crate) fn has_changes(&self) -> bool {
        self.has_changes.load(Relaxed)
    }

    /// Whether anything was recorded.
    pub(crate) fn has_records(&self) -> bool {
        matches!(&*lock(&self.state), State::Open(_))
    }

    /// What was touched, if that is all that was done: it can be put back.
    pub(crate) fn only_touched(&self) -> Vec<Step> {
        match &mut *lock(&self.state) {
            State::Open(open) if open.changes == 0 => std::mem::take(&mut open.touched),
            _ => Vec::new(),
        }
    }

    /// The directories that were touched.
    pub(crate) fn touched(&self) -> Vec<Dir> {
        let State::Open(open) = &*lock(&self.state) else { return Vec::new() };
        let dir = |step: &Step| if let Step::Touched { dir, .. } = step { Some(dir.clone()) } else { None };
        open.touched.iter().filter_map(dir).collect()
    }

    /// Ends the journal: it goes if it has nothing left to say, to the history if there is something to undo, and stays for
    /// `recover` if something is left.
    pub(crate) fn finish(&self, is_clean: bool, is_cancelled: bool) {
        if self.has_changes() {
            self.passed_all();
        }
        let mut state = lock(&self.state);
        if let State::Open(open) = &mut *state {
            let outcome = if is_cancelled { "cancelled" } else { "done" };
            let ended = match open.changes {
                0 if is_clean => open.flush().and_then(|()| fs::remove_file(&open.path)),
                0 => open.flush(),
                _ => {
                    open.end(outcome).and_then(|()| if is_clean { archive(&open.path, &self.id, None) } else { Ok(()) })
                }
            };
            self.failed(ended);
        }
        *state = State::Missing;
    }

    /// Why records are missing, if so; once.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        lock(&self.error).take()
    }

    /// Why records are missing, so far.
    pub(crate) fn error(&self) -> Option<io::Error> {
        let error = lock(&self.error);
        error
            .as_ref()
            .map(|error| error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
    }

    fn failed(&self, result: io::Result<()>) {
        if let Err(error) = result {
            lock(&self.error).get_or_insert(error);
        }
    }

    fn count(&self) {
        if let State::Open(open) = &mut *lock(&self.state) {
            open.changes += 1;
            self.has_changes.store(true, Relaxed);
        }
    }

    fn write(&self, fields: &[&[u8]]) {
        self.append(&line(fields), None, true);
    }

    /// `did` is what the record is about, if it is a step that was made.
    fn append(&self, line: &[u8], did: Option<&Step>, is_urgent: bool) {
        let mut state = lock(&self.state);
        if let State::Unopened = *state {
            match self.open() {
                Ok(open) => *state = State::Open(open),
                Err(error) => {
                    *state = State::Missing;
                    self.failed(Err(error));
                }
            }
        }
        let State::Open(open) = &mut *state else { return };
        match did {
            Some(step) if step.is_change() => {
                open.changes += 1;
                self.has_changes.store(true, Relaxed);
            }
            Some(step @ Step::Touched { .. }) => open.touched.push(step.clone()),
            _ => {}
        }
        open.waiting.extend_from_slice(line);
        if is_urgent || open.waiting.len() >= TOGETHER || open.written.elapsed() >= AT_LEAST_EVERY {
            let written = open.flush();
            self.failed(written);
        }
    }

    fn open(&self) -> io::Result<Open> {
        let dir = directory("operations").ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        make_dir(&dir)?;
        let path = dir.join(format!("{}.journal", self.id));
        // Nobody may see it before it is locked.
        let unseen = dir.join(format!("{}.new", self.id));
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&unseen)?;
        locks::try_lock(&file)?;
        let process = std::process::id().to_string();
        let seconds = now().as_secs().to_string();
        let header = [HEADER, VERSION, self.verb, &process, &seconds].map(str::as_bytes);
        let mut first = line(&header);
        first.extend(self.asked.get().into_iter().flatten());
        let begun = file.write_all(&first).and_then(|()| fs::rename(&unseen, &path));
        if let Err(error) = begun {
            let _ = fs::remove_file(&unseen);
            return Err(error);
        }
        let (waiting, touched) = Default::default();
        Ok(Open { file, path, waiting, written: Instant::now(), changes: 0, touched })
    }
}

impl Open {
    fn flush(&mut self) -> io::Result<()> {
        self.written = Instant::now();
        if self.waiting.is_empty() {
            return Ok(());
        }
        let length = self.file.metadata()?.len();
        // Half a line would hide all that follows; what could not be written now is tried the next time.
        self.file.write_all(&self.waiting).inspect_err(|_| drop(self.file.set_len(length)))?;
        self.waiting.clear();
        Ok(())
    }

    fn end(&mut self, outcome: &str) -> io::Result<()> {
        let time = now().as_nanos().to_string();
        self.waiting.extend(line(&[b"end", outcome.as_bytes(), time.as_bytes()]));
        self.flush()
    }
}

fn step_line(word: &str, number: u64, step: &Step) -> Vec<u8> {
    let number = number.to_string();
    let fields = step.fields();
    let mut all = vec![word.as_bytes(), number.as_bytes()];
    all.extend(fields.iter().map(Vec::as_slice));
    line(&all)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Moves a journal to the history, under the time of its end: after all that are there, or where it belongs if it was
/// interrupted then.
pub(crate) fn archive(path: &Path, id: &str, interrupted: Option<Duration>) -> io::Result<()> {
    let dir = directory("history").ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    make_dir(&dir)?;
    // A clock that was set back must not put what was done later before what was done earlier.
    let last =
        || -> io::Result<_> { Ok(read::journals("history")?.iter().filter_map(|path| read::order_of(path)).max()) };
    let order = match interrupted {
        Some(time) => time,
        None => last()?.map_or_else(now, |last| now().max(last + Duration::from_nanos(1))),
    };
    fs::rename(path, dir.join(format!("{:020}-{id}.journal", order.as_nanos())))
}

/// Where the journal of an operation is: of one that was interrupted, or of one in the history.
pub(crate) fn find(id: &str) -> io::Result<Option<PathBuf>> {
    let all = [read::journals("operations")?, read::journals("history")?].concat();
    let is_it = |path: &PathBuf| read::id_of(path) == id;
    Ok(all.into_iter().find(is_it))
}

/// Makes a directory that is the user's alone, whatever the umask, and those above it.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|path| !path.exists()).collect();
    for path in missing.into_iter().rev() {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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

/// A directory of the state that is kept between runs; `None` without a home.
pub(crate) fn directory(name: &str) -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("fileops").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

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
