//! Files that targets start from.

use std::path::{Path, PathBuf};

/// A folder of this repository.
pub fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All files of a folder with one of these extensions, in order of their names.
pub fn files(path: &str, extensions: &[&str]) -> Vec<Vec<u8>> {
    let folder = folder(path);
    let entries = std::fs::read_dir(&folder).expect("a folder of seeds");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    });
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("a seed");
    paths.iter().map(read).collect()
}
