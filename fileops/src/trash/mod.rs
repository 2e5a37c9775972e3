//! The trash on disk, as the FreeDesktop.org Trash specification 1.0 has it: which folder serves a path (`serve`), its
//! directories (`folder`), its info files (`info`), taking a name in it (`claim`), what it holds (`item`), and the cache of
//! the sizes of trashed directories (`sizes`). The operations on it are in `ops/trash`.
//!
//! Source: <https://specifications.freedesktop.org/trash-spec/1.0/>.

mod claim;
mod folder;
mod info;
mod item;
mod serve;
mod sizes;

pub use item::{Damage, TrashItem};

pub(crate) use claim::{Claim, claim};
pub(crate) use folder::{Folder, Make, data_home};
pub(crate) use info::write as info_text;
pub(crate) use serve::{Place, Serving, in_top, is_absence, is_top};
pub(crate) use sizes::{Size, update as update_sizes};
