//! What is measured.

use crate::{BUFFER, Done, Library, Result, attributes, contents, piece};
use fileops::fs;
use futures_util::{AsyncBufReadExt, AsyncReadExt};
use std::future::Future;
use std::path::{Path, PathBuf};

pub(crate) struct Fileops;

impl Library for Fileops {
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        fileops::block_on(future)
    }

    async fn stat(path: &Path) -> Result<u64> {
        let metadata = fs::metadata(path).await?;
        Ok(attributes(metadata.len(), metadata.mode()))
    }

    async fn open(path: &Path) -> Result<u64> {
        drop(fs::File::open(path).await?);
        Ok(1)
    }

    async fn read(path: &Path) -> Result<u64> {
        Ok(contents(&fs::read(path).await?))
    }

    async fn list(path: &Path) -> Result<Done> {
        let mut entries = fs::read_dir(path).with_metadata();
        let mut done = Done::default();
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            let metadata = entry.metadata().ok_or("an entry without metadata")?;
            done = done.one(attributes(metadata.len(), metadata.mode()));
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

    async fn many(paths: &[PathBuf]) -> Result<Done> {
        let mut done = Done::default();
        for answer in fs::metadata_many(paths).await {
            let metadata = answer?;
            done = done.one(attributes(metadata.len(), metadata.mode()));
        }
        Ok(done)
    }

    async fn fill(path: &Path) -> Result<Done> {
        let (mut file, mut done) = (fs::File::open(path).await?, Done::default());
        loop {
            let bytes = file.fill_buf().await?;
            let length = bytes.len();
            if length == 0 {
                return Ok(done);
            }
            done = piece(done, bytes);
            file.consume_unpin(length);
        }
    }
}
