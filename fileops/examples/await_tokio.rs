//! Awaits a copy in a tokio runtime beside something else: `cargo run --example await_tokio -- SOURCE DIRECTORY`.

use std::{env, error::Error, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(source), Some(into)) = (arguments.next(), arguments.next()) else {
        return Err("usage: await_tokio SOURCE DIRECTORY".into());
    };
    // The runtime's one thread is free while workers of the library copy.
    let ticking = tokio::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            println!("tick");
        }
    });
    let complete = fileops::copy([source], into).await.into_result()?;
    ticking.abort();
    println!("copied {} entries, {} bytes", complete.report.entries, complete.report.bytes);
    Ok(())
}
