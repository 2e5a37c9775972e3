//! Other programs read what we wrote, and we read what they wrote.
fn placeholder() {}
