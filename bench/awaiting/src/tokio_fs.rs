//! tokio::fs, on a runtime of the calling thread and its blocking pool.

use crate::{BUFFER, Done, Library, Result, attributes, contents, piece};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::fs;
use tokio::io::AsyncReadExt;

pub(crate) struct Tokio;

impl Library for Tokio {
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("without drivers nothing is opened").block_on(future)
    }

    async fn stat(path: &Path) -> Result<u64> {
        let metadata = fs::metadata(path).await?;
        Ok(attributes(metadata.len(), metadata.permissions().mode()))
    }

    async fn open(path: &Path) -> Result<u64> {
        drop(fs::File::open(path).await?);
        Ok(1)
    }

    async fn read(path: &Path) -> Result<u64> {
        Ok(contents(&fs::read(path).await?))
    }

    async fn list(path: &Path) -> Result<Done> {
        let mut entries = fs::read_dir(path).await?;
        let mut done = Done::default();
        while let Some(entry) = entries.next_entry().await? {
            let metadata = entry.metadata().await?;
            done = done.one(attributes(metadata.len(), metadata.permissions().mode()));
        }
        Ok(done)
    }

    async fn stream(path: &Path) -> Result<Done> {
        let mut file = fs::File::open(path).await?;
        let (mut buffer, mut done) = (vec![0; BUFFER], Done::default());
        loop {
            match file.read(&mut buffer).await? {
                0 => return Ok(done),
                length => done = piece(done, &buffer[..length]),
            }
        }
    }
}
