//! Which file is the inventory: the one that is named, else the nearest `inventory.yaml` upwards, as git finds its own.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The environment's name for the inventory.
pub const VARIABLE: &str = "FLEETDEPLOY_INVENTORY";
/// The name that is looked for.
pub const FILE_NAME: &str = "inventory.yaml";

/// Why there is no inventory to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    #[error("there is no inventory: {}", looked_in(folders, other.as_deref()))]
    Nowhere {
        /// From the working folder upwards.
        folders: Vec<PathBuf>,
        /// A file whose name is nearly right.
        other: Option<PathBuf>,
    },
    /// The file may belong to another user: the writer of an inventory decides what runs as root on the fleet.
    #[error("the inventory {} above the working folder belongs to another user (uid {owner})", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("there is no file {} (named by {by})", path.display())]
    Missing { path: PathBuf, by: &'static str },
}

impl FindError {
    /// How to mend it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Nowhere { other: Some(other), .. } => {
                format!("call it `{FILE_NAME}`, or name it: `--inventory {}`", other.display())
            }
            Self::Nowhere { .. } => {
                format!("go to its folder, or name it: `--inventory FILE`, or {VARIABLE} in the environment")
            }
            Self::Foreign { path, .. } => {
                format!("if you trust it, name it: `--inventory {}`", path.display())
            }
            Self::Missing { path, .. } if path.file_name() == Some(OsStr::new("-")) => {
                "standard input is no inventory: `recover` must be able to read it again, on another day; write it \
                 into a file, and name that"
                    .to_owned()
            }
            Self::Missing { path, .. } if path.is_dir() => {
                format!("that is a folder: name the file in it, as in `{}`", path.join(FILE_NAME).display())
            }
            Self::Missing { .. } => {
                format!("name one that is there; without a name `{FILE_NAME}` is looked for from here upwards")
            }
        }
    }
}

fn looked_in(folders: &[PathBuf], other: Option<&Path>) -> String {
    let mut text = format!("no `{FILE_NAME}` in");
    for (index, folder) in folders.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma} {}", folder.display());
    }
    if let Some(other) = other {
        let _ = write!(text, "; but there is {}", other.display());
    }
    text
}

/// Finds the inventory: `named` (`--inventory`), else `variable` (the content of [`VARIABLE`]), else upwards from
/// `working_folder`, which is absolute.
///
/// An empty variable is as good as none. A file found upwards must belong to this user or root, like git's; in the
/// working folder itself, or named, it may belong to any user.
///
/// # Errors
/// [`FindError`], which says where it looked.
pub fn find(named: Option<&Path>, variable: Option<&OsStr>, working_folder: &Path) -> Result<PathBuf, FindError> {
    let from_variable = variable.filter(|text| !text.is_empty()).map(Path::new);
    let named = named.map(|path| (path, "`--inventory`")).or(from_variable.map(|path| (path, VARIABLE)));
    if let Some((path, by)) = named {
        let path = working_folder.join(path);
        // Other files than plain ones are allowed: `--inventory <(generate)` is a pipe.
        return if path.exists() && !path.is_dir() { Ok(path) } else { Err(FindError::Missing { path, by }) };
    }
    let candidates = || working_folder.ancestors().map(|folder| folder.join(FILE_NAME));
    let Some(path) = candidates().find(|path| path.is_file()) else {
        let near = |folder: &Path| ["inventory.yml", "Inventory.yaml", "inventory.json"].map(|name| folder.join(name));
        return Err(FindError::Nowhere {
            folders: working_folder.ancestors().map(Path::to_owned).collect(),
            other: working_folder.ancestors().flat_map(near).find(|path| path.is_file()),
        });
    };
    let owner = path.metadata().map_or(0, |file| file.uid());
    let is_ours = owner == 0 || owner == nix::unistd::geteuid().as_raw();
    if path.parent() != Some(working_folder) && !is_ours {
        return Err(FindError::Foreign { path, owner });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> tempfile::TempDir {
        let lab = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(lab.path().join("a/b")).unwrap();
        lab
    }

    #[test]
    fn the_nearest_file_upwards_is_found() {
        let lab = lab();
        std::fs::write(lab.path().join(FILE_NAME), "").unwrap();
        assert_eq!(find(None, None, &lab.path().join("a/b")), Ok(lab.path().join(FILE_NAME)));
        std::fs::write(lab.path().join("a").join(FILE_NAME), "").unwrap();
        assert_eq!(find(None, None, &lab.path().join("a/b")), Ok(lab.path().join("a").join(FILE_NAME)));
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_both_over_the_folders() {
        let lab = lab();
        for name in [FILE_NAME, "named.yaml", "variable.yaml"] {
            std::fs::write(lab.path().join(name), "").unwrap();
        }
        let variable = Some(OsStr::new("variable.yaml"));
        assert_eq!(find(Some(Path::new("named.yaml")), variable, lab.path()), Ok(lab.path().join("named.yaml")));
        assert_eq!(find(None, variable, lab.path()), Ok(lab.path().join("variable.yaml")));
        assert_eq!(find(None, Some(OsStr::new("")), lab.path()), Ok(lab.path().join(FILE_NAME)));
    }

    #[test]
    fn a_named_file_that_is_not_there_is_not_searched_for_elsewhere() {
        let lab = lab();
        std::fs::write(lab.path().join(FILE_NAME), "").unwrap();
        let missing = find(Some(Path::new("x.yaml")), None, lab.path()).unwrap_err();
        assert_eq!(missing, FindError::Missing { path: lab.path().join("x.yaml"), by: "`--inventory`" });
        let input = find(Some(Path::new("-")), None, lab.path()).unwrap_err();
        assert!(input.hint().starts_with("standard input is no inventory: `recover` must"), "{}", input.hint());
        let folder = find(None, Some(OsStr::new("a")), lab.path()).expect_err("a folder was taken for a file");
        assert!(folder.hint().ends_with("/a/inventory.yaml`"), "{}", folder.hint());
    }

    #[test]
    fn the_error_says_where_it_looked_and_what_is_nearly_right() {
        let lab = lab();
        let yml = lab.path().join("inventory.yml");
        std::fs::write(&yml, "").unwrap();
        let error = find(None, None, &lab.path().join("a")).unwrap_err();
        let root = lab.path().display();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("there is no inventory: no `inventory.yaml` in {root}/a, {root}, ")),
            "{text}"
        );
        assert!(text.ends_with(&format!("but there is {root}/inventory.yml")), "{text}");
        assert_eq!(error.hint(), format!("call it `inventory.yaml`, or name it: `--inventory {root}/inventory.yml`"));
    }
}
