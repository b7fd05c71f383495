//! The gateway's own access keys: the file of keys and the master secret, which are reloaded together.

use std::{io, path::Path, sync::Arc};

use super::{Reloadable, Watched, files};
use crate::{
    auth::{IssuedKeySettings, IssuedKeys},
    error::Fault,
    metrics::Metrics,
    reload::{FileState, Snapshot},
};

#[derive(Debug)]
struct ReloadIssuedKeys(Arc<IssuedKeys>);

fn places(settings: &IssuedKeySettings) -> Vec<FileState> {
    files([settings.file.clone(), settings.master_file.clone()])
}

fn reader(files: &Snapshot) -> impl Fn(&Path) -> io::Result<Vec<u8>> {
    |path| files.read(path).map(<[u8]>::to_vec)
}

/// Loads the keys, and makes their unit.
pub(in crate::app) fn load(
    settings: &IssuedKeySettings,
    metrics: Arc<Metrics>,
) -> Result<(Arc<IssuedKeys>, Watched), Vec<Fault>> {
    let files = Snapshot::take(&places(settings));
    let keys = Arc::new(IssuedKeys::load(settings, metrics, &reader(&files))?);
    let unit = Watched::new(ReloadIssuedKeys(Arc::clone(&keys)), places(settings), &files);
    Ok((keys, unit))
}

impl Reloadable for ReloadIssuedKeys {
    fn name(&self) -> String {
        "access keys of callers".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let keys = self.0.reload(&reader(files))?;
        Ok(format!("{keys} access keys"))
    }
}
