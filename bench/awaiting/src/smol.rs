//! async-fs, which smol has for files, and its pool of threads.

use crate::{BUFFER, Done, Library, Result, attributes, contents, piece};
use async_fs as fs;
use futures_util::{AsyncReadExt, TryStreamExt};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) struct AsyncFs;

impl Library for AsyncFs {
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        futures_lite::future::block_on(future)
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
        while let Some(entry) = entries.try_next().await? {
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
