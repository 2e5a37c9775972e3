//! Plain loops that block, in one thread or two: what the work costs without any awaiting.

use crate::{BUFFER, Done, Kind, Plan, Result, attributes, contents, piece};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

pub(crate) fn run(plan: &Plan, threads: usize) -> Result<Done> {
    let one = |call: fn(&Path) -> Result<u64>| move |path: &Path| Ok(Done { calls: 1, sum: call(path)? });
    match plan.kind {
        Kind::Stat | Kind::Many => each(threads, &plan.files, one(stat)),
        Kind::Open => each(threads, &plan.files, one(open)),
        Kind::Read => each(threads, &plan.files, one(read)),
        Kind::List => each(threads, &plan.directories, list),
        Kind::Stream | Kind::Fill => each(threads, &plan.files, stream),
    }
}

/// One part of the paths for each thread; the caller is the first.
fn each(threads: usize, paths: &[PathBuf], call: impl Fn(&Path) -> Result<Done> + Sync) -> Result<Done> {
    let part = |paths: &[PathBuf]| -> Result<Done> {
        paths.iter().try_fold(Done::default(), |done, path| Ok(done.and(call(path)?)))
    };
    let mut parts = paths.chunks(paths.len().div_ceil(threads).max(1));
    let first = parts.next().unwrap_or_default();
    thread::scope(|scope| {
        let others: Vec<_> = parts.map(|paths| scope.spawn(|| part(paths))).collect();
        let own = part(first);
        others.into_iter().try_fold(own?, |done, other| Ok(done.and(other.join().expect("no call panics")?)))
    })
}

fn stat(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path)?;
    Ok(attributes(metadata.len(), metadata.permissions().mode()))
}

fn open(path: &Path) -> Result<u64> {
    drop(File::open(path)?);
    Ok(1)
}

fn read(path: &Path) -> Result<u64> {
    Ok(contents(&fs::read(path)?))
}

fn list(path: &Path) -> Result<Done> {
    let mut done = Done::default();
    for entry in fs::read_dir(path)? {
        let metadata = entry?.metadata()?;
        done = done.one(attributes(metadata.len(), metadata.permissions().mode()));
    }
    Ok(done)
}

fn stream(path: &Path) -> Result<Done> {
    let mut file = File::open(path)?;
    let (mut buffer, mut done) = (vec![0; BUFFER], Done::default());
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(done),
            length => done = piece(done, &buffer[..length]),
        }
    }
}
