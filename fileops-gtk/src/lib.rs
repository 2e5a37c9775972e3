//! GTK 4 widgets for running operations: progress that appears by itself, a list of all operations with pause, queue and
//! undo, and pages that answer conflicts and errors while everything else goes on.
//!
//! Nothing is here yet. What will be: an `Operation` object with properties to bind to, an `OperationManager` list model,
//! and the widgets that show both. File logic stays in the `fileops` crate.
#![deny(unsafe_code)]
