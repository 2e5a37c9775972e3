//! Awaits one kind of file call for all of a tree, by one of several libraries, and tells what that took:
//!
//!     awaiting KIND IMPLEMENTATION TREE [REPORT]
//!
//! The kinds are those of [`Kind`], the implementations `fileops`, `tokio`, `async-fs`, and as the measure of all of them
//! `std`, a plain loop that blocks, and `std-2`, two threads of that. To the report, or to standard output, go: seconds of
//! wall time, seconds of processor time, how often the thread that awaits went to sleep, the calls, and a sum of what they
//! gave (see [`Done`]). Finding the files is not counted.

mod ours;
mod plain;
mod smol;
mod tokio_fs;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Calls that are under way at once, where it is not one.
const IN_FLIGHT: usize = 64;

/// What a file that is read from beginning to end is read in.
const BUFFER: usize = 256 << 10;

/// What is looked at of contents: one byte of so many. All of them would measure the processor.
const PAGE: usize = 4096;

const USAGE: &str = "usage: awaiting stat|stat-64|open|open-64|read|read-64|many|list|stream|fill \
                     fileops|tokio|async-fs|std|std-2 TREE [REPORT]";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `stat`: the attributes of each file.
    Stat,
    /// `open`: each file is opened for reading, and closed.
    Open,
    /// `read`: the contents of each file.
    Read,
    /// `many`: the attributes of all files in one call.
    Many,
    /// `list`: each directory, with the attributes of its entries.
    List,
    /// `stream`: each file from beginning to end, into a buffer of 256 KiB.
    Stream,
    /// `fill`: the same in the library's own buffers.
    Fill,
}

/// What was done, so that it can be seen whether it was all of it.
#[derive(Clone, Copy, Default)]
struct Done {
    /// Files or entries, of streams the bytes.
    calls: u64,
    /// Of attributes: sizes and permission bits. Of contents: their length and the first byte of each page.
    sum: u64,
}

impl Done {
    fn and(self, other: Done) -> Done {
        Done { calls: self.calls + other.calls, sum: self.sum + other.sum }
    }

    /// One call more.
    fn one(self, sum: u64) -> Done {
        self.and(Done { calls: 1, sum })
    }
}

/// A library whose calls are awaited.
trait Library {
    /// Waits as the library's users do.
    fn block_on<T>(future: impl Future<Output = T>) -> T;

    async fn stat(path: &Path) -> Result<u64>;

    async fn open(path: &Path) -> Result<u64>;

    async fn read(path: &Path) -> Result<u64>;

    async fn list(path: &Path) -> Result<Done>;

    async fn stream(path: &Path) -> Result<Done>;

    async fn many(_: &[PathBuf]) -> Result<Done> {
        Err("it has no call for many files".into())
    }

    async fn fill(_: &Path) -> Result<Done> {
        Err("it has no buffers of its own".into())
    }
}

/// What there is to do.
struct Plan {
    kind: Kind,
    in_flight: usize,
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Plan {
    fn new(kind: &str, tree: &Path) -> Result<Plan> {
        let (name, in_flight) = kind.strip_suffix("-64").map_or((kind, 1), |name| (name, IN_FLIGHT));
        let kind = match name {
            "stat" => Kind::Stat,
            "open" => Kind::Open,
            "read" => Kind::Read,
            "many" if in_flight == 1 => Kind::Many,
            "list" if in_flight == 1 => Kind::List,
            "stream" if in_flight == 1 => Kind::Stream,
            "fill" if in_flight == 1 => Kind::Fill,
            _ => return Err(USAGE.into()),
        };
        let (mut files, mut directories) = (Vec::new(), vec![tree.to_owned()]);
        let mut at = 0;
        while let Some(directory) = directories.get(at) {
            let mut below = Vec::new();
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    below.push(entry.path());
                } else if kind.is_file() {
                    files.push(entry.path());
                }
            }
            directories.append(&mut below);
            at += 1;
        }
        Ok(Plan { kind, in_flight, files, directories })
    }

    fn run<L: Library>(&self) -> Result<Done> {
        L::block_on(async {
            match self.kind {
                Kind::Stat => self.each_file(L::stat).await,
                Kind::Open => self.each_file(L::open).await,
                Kind::Read => self.each_file(L::read).await,
                Kind::Many => L::many(&self.files).await,
                Kind::List => in_turn(&self.directories, L::list).await,
                Kind::Stream => in_turn(&self.files, L::stream).await,
                Kind::Fill => in_turn(&self.files, L::fill).await,
            }
        })
    }

    async fn each_file<'a, F: Future<Output = Result<u64>>>(&'a self, call: impl Fn(&'a Path) -> F) -> Result<Done> {
        if self.in_flight == 1 {
            let mut done = Done::default();
            for file in &self.files {
                done = done.one(call(file).await?);
            }
            return Ok(done);
        }
        let calls = stream::iter(&self.files).map(|file| call(file)).buffer_unordered(self.in_flight);
        calls.try_fold(Done::default(), async |done, sum| Ok(done.one(sum))).await
    }
}

async fn in_turn<'a, F: Future<Output = Result<Done>>>(
    paths: &'a [PathBuf],
    call: impl Fn(&'a Path) -> F,
) -> Result<Done> {
    let mut done = Done::default();
    for path in paths {
        done = done.and(call(path).await?);
    }
    Ok(done)
}

fn attributes(size: u64, mode: u32) -> u64 {
    size + u64::from(mode & 0o7777)
}

fn contents(bytes: &[u8]) -> u64 {
    bytes.len() as u64 + first_bytes(bytes, 0)
}

/// The first byte of each page, of a piece that begins at `offset` of its file.
fn first_bytes(bytes: &[u8], offset: u64) -> u64 {
    let skip = offset.next_multiple_of(PAGE as u64) - offset;
    bytes.iter().skip(skip as usize).step_by(PAGE).map(|&byte| u64::from(byte)).sum()
}

/// A piece more of a stream.
fn piece(done: Done, bytes: &[u8]) -> Done {
    let sum = bytes.len() as u64 + first_bytes(bytes, done.calls);
    done.and(Done { calls: bytes.len() as u64, sum })
}

struct Taken {
    wall: Instant,
    processor: Duration,
    sleeps: u64,
}

impl Taken {
    fn now() -> Result<Taken> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let processor = Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?);
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Ok(Taken {
            sleeps: sleeps.ok_or("the kernel tells no switches")?.trim().parse()?,
            processor,
            wall: Instant::now(),
        })
    }
}

fn measure(arguments: &[OsString]) -> Result<()> {
    let (kind, implementation, tree, report) = match arguments {
        [kind, implementation, tree] => (kind, implementation, tree, None),
        [kind, implementation, tree, report] => (kind, implementation, tree, Some(report)),
        _ => return Err(USAGE.into()),
    };
    let plan = Plan::new(kind.to_str().ok_or(USAGE)?, Path::new(tree))?;
    let run = match implementation.to_str().unwrap_or_default() {
        "fileops" => Plan::run::<ours::Fileops>,
        "tokio" => Plan::run::<tokio_fs::Tokio>,
        "async-fs" => Plan::run::<smol::AsyncFs>,
        "std" => |plan: &Plan| plain::run(plan, 1),
        "std-2" => |plan: &Plan| plain::run(plan, 2),
        _ => return Err(USAGE.into()),
    };
    let before = Taken::now()?;
    let done = run(&plan)?;
    let wall = before.wall.elapsed();
    let after = Taken::now()?;
    let line = format!(
        "{:.6} {:.6} {} {} {}\n",
        wall.as_secs_f64(),
        (after.processor - before.processor).as_secs_f64(),
        after.sleeps - before.sleeps,
        done.calls,
        done.sum
    );
    match report {
        Some(report) => fs::write(report, line)?,
        None => print!("{line}"),
    }
    Ok(())
}

fn main() {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if let Err(error) = measure(&arguments) {
        eprintln!("awaiting: {error}");
        process::exit(1);
    }
}
