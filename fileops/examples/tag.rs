//! Tags a file, and prints what there is to be known of it: `cargo run -p fileops --example tag -- FILE TAG...`.

use fileops::meta::{self, Changes};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let file = PathBuf::from(args.next().ok_or("which file?")?);
    let tags = args.map(|tag| tag.to_string_lossy().into_owned());
    let changes = tags.fold(Changes::new(), Changes::add_tag);

    // In an async function these are awaited, on any executor.
    let tagged = fileops::block_on(async {
        meta::change(&file, changes).await?.into_result()?;
        meta::tags(&file).await
    })?;
    println!("tags: {}", tagged.join(", "));

    #[cfg(feature = "extract")]
    {
        let found = fileops::block_on(meta::extract(&file, meta::Cache::Read))?;
        println!("kind: {}", found.mime_type);
        if let Some((width, height)) = found.dimensions {
            println!("size: {width} x {height}");
        }
    }
    Ok(())
}
