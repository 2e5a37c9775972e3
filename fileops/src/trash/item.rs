//! What is in a trash: an info file each, and what it tells of. Damaged ones are given too, and say so.

use super::claim::remove_info;
use super::folder::{Folder, INFO_SUFFIX, info_name};
use super::{info, sizes};
use crate::sys::data;
use crate::sys::list::{self, Batch};
use crate::sys::open::{self, Follow};
use crate::sys::stat::Stat;
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Info files are a few hundred bytes; a path of this length, escaped, is longer than any program can use.
const MOST_BYTES: usize = 1 << 20;

/// Something in the trash.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct TrashItem {
    /// What it is called here, to be given back to [`restore`](crate::restore) and the others: the path of its info file,
    /// or where that is missing its own path in the trash. No other item ever has it while this one is there.
    pub id: PathBuf,
    /// Where it was; `None` if that is not known.
    pub original: Option<PathBuf>,
    /// When it was put into the trash, in seconds since 1970; `None` if that is not known.
    pub deleted: Option<i64>,
    /// The same as the clock of this place has it: "2004-08-31T22:32:08".
    pub date: Option<String>,
    /// What it takes: a file's bytes; of a directory the bytes on the disk, if the trash knows them.
    pub size: Option<u64>,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// The trash it is in.
    pub trash: PathBuf,
    /// What is wrong with it.
    pub damage: Option<Damage>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) name: CString,
    /// Which file it is, if it is there.
    pub(crate) file: Option<Stat>,
    /// Which its info file is, if it is there.
    pub(crate) info: Option<Stat>,
}

/// What can be wrong with something in the trash.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// There is no info file: nobody knows where it was.
    NoInfo,
    /// There is an info file, but nothing that it tells of.
    NoFile,
    /// The info file does not tell where it was, or tells a path that leads out of its trash's top directory.
    BadInfo,
    /// The info file does not tell when it was put into the trash. It can be restored all the same.
    BadDate,
}

impl TrashItem {
    pub(crate) fn read(folder: &Arc<Folder>, name: &CStr) -> io::Result<TrashItem> {
        let file = found(Stat::at(&*folder.files, name))?;
        let info_name = info_name(name);
        let info = found(Stat::at(&*folder.info, &info_name))?;
        if file.is_none() && info.is_none() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let text = info.map(|_| text_of(&folder.info, &info_name));
        let told = text.as_ref().and_then(|text| info::read(text.as_ref().ok()?));
        let original = told.as_ref().and_then(|told| folder.original(&told.path));
        let deleted = told.as_ref().and_then(|told| told.deleted);
        let damage = match (&info, &file, &original, deleted) {
            (None, ..) => Some(Damage::NoInfo),
            (_, None, ..) => Some(Damage::NoFile),
            (_, _, None, _) => Some(Damage::BadInfo),
            (.., None) => Some(Damage::BadDate),
            _ => None,
        };
        Ok(TrashItem {
            id: if info.is_some() { folder.info_path(name) } else { folder.file_path(name) },
            original,
            deleted,
            date: deleted.and_then(info::date),
            size: file.filter(|stat| !stat.is_dir()).map(|stat| stat.size),
            is_dir: file.is_some_and(|stat| stat.is_dir()),
            trash: folder.path.clone(),
            damage,
            folder: Arc::clone(folder),
            name: name.to_owned(),
            file,
            info,
        })
    }

    /// The item that is called so; see [`TrashItem::id`].
    pub(crate) fn at(id: &Path) -> io::Result<TrashItem> {
        let id = std::path::absolute(id)?;
        let (Some(dir), Some(file)) = (id.parent(), id.file_name()) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        let name = match dir.file_name().map(OsStrExt::as_bytes) {
            Some(b"info") => file.as_bytes().strip_suffix(INFO_SUFFIX).unwrap_or_default(),
            Some(b"files") => file.as_bytes(),
            _ => b"",
        };
        if name.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let folder = Folder::at(dir.parent().unwrap_or(dir))?;
        TrashItem::read(&Arc::new(folder), &CString::new(name)?)
    }

    /// Whether the other is the same thing, and not another one of its name.
    pub(crate) fn is_same(&self, other: &TrashItem) -> bool {
        let ids = |item: &TrashItem| [item.file, item.info].map(|stat| stat.map(|stat| stat.id));
        ids(self) == ids(other)
    }

    /// What its info file is called.
    pub(crate) fn info_name(&self) -> CString {
        info_name(&self.name)
    }

    /// Removes its info file: there is nothing more that it could tell of.
    pub(crate) fn forget(&self) -> io::Result<()> {
        self.info.map_or(Ok(()), |stat| remove_info(&self.folder, &self.name, stat.id))
    }
}

impl Folder {
    /// Everything in it.
    pub(crate) fn items(self: &Arc<Folder>) -> io::Result<Vec<TrashItem>> {
        let mut names: HashSet<CString> = HashSet::new();
        for (dir, suffix) in [(&self.info, INFO_SUFFIX), (&self.files, b"")] {
            each_name(&**dir, |name| {
                // Anything else there belongs to somebody's work in progress.
                if let Some(name) = name.to_bytes().strip_suffix(suffix).filter(|name| !name.is_empty()) {
                    names.insert(CString::new(name).expect("a part of a name holds no NUL"));
                }
            })?;
        }
        let sizes = sizes::read(self);
        let mut items = Vec::new();
        for name in names {
            match TrashItem::read(self, &name) {
                Ok(mut item) => {
                    let size = sizes.get(&name).filter(|size| sizes::is_current(self, &name, size));
                    item.size = item.size.or(size.filter(|_| item.is_dir).map(|size| size.bytes));
                    items.push(item);
                }
                // Somebody took it out meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(items)
    }
}

fn each_name(dir: impl AsFd, mut each: impl FnMut(&CStr)) -> io::Result<()> {
    let dir = open::dir(dir, c".", Follow::No)?;
    let mut space = vec![MaybeUninit::uninit(); list::LIST_BYTES];
    let mut batch = Batch::default();
    loop {
        list::next(&dir, &mut space, &mut batch)?;
        if batch.len() == 0 {
            return Ok(());
        }
        (0..batch.len()).for_each(|index| each(batch.get(index).0));
    }
}

fn text_of(dir: impl AsFd, name: &CStr) -> io::Result<Vec<u8>> {
    let file = open::file(dir, name, Follow::No)?;
    if !Stat::of(&file)?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    data::read_all(file, MOST_BYTES)
}

fn found(stat: io::Result<Stat>) -> io::Result<Option<Stat>> {
    match stat {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        stat => stat.map(Some),
    }
}
