//! `fileops::fs`: what is answered where, and that the thread which polls never waits.

mod memory;
