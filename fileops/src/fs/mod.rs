//! POSIX, awaited: each call of `std::fs` as a future that any executor can poll, and what POSIX has beside.
//!
//! ```
//! # let base = std::env::temp_dir().join(format!("fileops-fs-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&base)?;
//! # let path = base.join("hello");
//! # std::fs::write(&path, "hello")?;
//! use fileops::fs;
//!
//! # fileops::block_on(async {
//! let metadata = fs::metadata(&path).await?;
//! assert_eq!(metadata.len(), 5);
//! assert_eq!(fs::read(&path).await?, b"hello");
//! # Ok::<_, fileops::Error>(())
//! # })?;
//! # std::fs::remove_dir_all(&base)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
mod file;
mod metadata;
mod whole;

pub use call::Call;
pub use file::File;
pub use metadata::{Kind, Metadata, metadata, symlink_metadata};
pub use whole::read;

use crate::error::{Action, Result};
use std::path::Path;

/// A call of a module beside this one, which a worker makes.
pub(crate) fn blocking<T: Send + 'static>(
    action: Action,
    path: &Path,
    run: impl FnOnce(&Path) -> Result<T> + Send + 'static,
) -> Call<T> {
    Call::new(call::Subject::new(action, path), move |subject| Ok(run(subject.path())?))
}
