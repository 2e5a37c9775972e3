//! Awaits a copy on smol, and stops it after a time: `cargo run --example await_smol -- SOURCE DIRECTORY [SECONDS]`.

use smol::Timer;
use smol::future::FutureExt;
use std::{env, error::Error, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(source), Some(into)) = (arguments.next(), arguments.next()) else {
        return Err("usage: await_smol SOURCE DIRECTORY [SECONDS]".into());
    };
    let seconds = arguments.next().map_or(Ok(60), |text| text.to_string_lossy().parse())?;
    smol::block_on(async {
        let copy = async { Some(fileops::copy([source], into).await) };
        let late = async {
            Timer::after(Duration::from_secs(seconds)).await;
            None
        };
        // Dropping the future of a copy cancels it: what was begun is removed.
        let report = copy.or(late).await.ok_or("it took too long, and was cancelled")?;
        let complete = report.into_result()?;
        println!("copied {} entries, {} bytes", complete.report.entries, complete.report.bytes);
        Ok(())
    })
}
