//! The credential pair: the access key's id and its password.

use super::{Reloadable, Watched, files};
use crate::{
    error::Fault,
    reload::{FileState, Snapshot},
    zec::{AccessKey, AccessKeys, Settings},
};

/// An access key and the files that it was loaded from. If the key comes from the environment, there are no files, and
/// it never changes.
pub(in crate::app) struct LoadedKey {
    pub(in crate::app) keys: AccessKeys,
    settings: Settings,
    files: Snapshot,
}

#[derive(Debug)]
struct ReloadAccessKey {
    settings: Settings,
    keys: AccessKeys,
}

pub(in crate::app) fn load(settings: &Settings) -> Result<LoadedKey, Vec<Fault>> {
    let files = Snapshot::take(&places(settings));
    let keys = read(settings, &files)?.into();
    Ok(LoadedKey { keys, settings: settings.clone(), files })
}

fn places(settings: &Settings) -> Vec<FileState> {
    files(settings.access_key_files())
}

fn read(settings: &Settings, files: &Snapshot) -> Result<AccessKey, Vec<Fault>> {
    AccessKey::load_with(settings, &|path| files.read(path).map(<[u8]>::to_vec))
}

impl LoadedKey {
    pub(in crate::app) fn followed(self) -> Option<Watched> {
        let Self { keys, settings, files } = self;
        let places = places(&settings);
        (!places.is_empty())
            .then(|| Watched::new(ReloadAccessKey { settings, keys }, places, &files))
    }
}

impl Reloadable for ReloadAccessKey {
    fn name(&self) -> String {
        "access key".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let changed = self.keys.replace(read(&self.settings, files)?);
        Ok(if changed { "another key" } else { "the same key" }.to_owned())
    }
}
