//! What a person needs to know of what Nix has said, where Nix itself does not say it so that it helps.
//!
//! The words were taken from Nix 2.26; the other forms are from the sources of Nix 2.30 (`derivation-building-goal.cc`)
//! and of nixpkgs (`lib.warn`).

use std::path::{Path, PathBuf};

use crate::inventory::model::Source;

/// A file that an evaluation misses, and that is in the folder of the flake: Nix takes from a git repository only what
/// git tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrackedFile {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// Relative to it.
    pub file: PathBuf,
}

/// Looks for the file that an error misses in the folder that the flake is taken from. `base` is what relative
/// references are relative to.
#[must_use]
pub fn untracked_file(source: &Source, base: &Path, said: &str) -> Option<UntrackedFile> {
    let Source::Flake { flake, .. } = source else { return None };
    let reference = flake.split(['?', '#']).next().unwrap_or_default();
    let local = reference.strip_prefix("git+file://").unwrap_or(reference);
    if local.contains(':') {
        return None;
    }
    let folder = base.join(local);
    let repository = folder.ancestors().find(|folder| folder.join(".git").exists())?;
    let missing = said.split('\'').filter_map(|word| {
        let (_, inside) = word.strip_prefix("/nix/store/")?.split_once("-source/")?;
        Some(PathBuf::from(inside))
    });
    let stays_inside = |file: &PathBuf| file.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let file = missing.filter(stays_inside).find(|file| repository.join(file).exists())?;
    said_to_be_missing(said).then(|| UntrackedFile { repository: repository.to_owned(), file })
}

fn said_to_be_missing(said: &str) -> bool {
    ["does not exist", "No such file or directory"].iter().any(|words| said.contains(words))
}

/// What the machines that may build here lack for a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBuilder {
    /// `aarch64-linux`.
    pub system_type: String,
    /// `kvm`.
    pub features: Vec<String>,
}

/// Reads it from why a build failed: such a build has never run, and has no log.
#[must_use]
pub fn missing_builder(reason: &str) -> Option<MissingBuilder> {
    let wanted = match reason.split_once("Required system: ") {
        Some((_, wanted)) => wanted,
        None => reason.split_once("a ").filter(|_| reason.contains(" is required to build "))?.1,
    };
    let (system_type, rest) = wanted.strip_prefix('\'')?.split_once('\'')?;
    let features = rest.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(features, _)| features);
    let features = features.split(',').map(str::trim).filter(|feature| !feature.is_empty()).map(str::to_owned);
    Some(MissingBuilder { system_type: system_type.to_owned(), features: features.collect() })
}

/// The warnings of an evaluation among the lines that were printed, each as one text.
#[must_use]
pub fn evaluation_warnings(lines: &[String]) -> Vec<String> {
    // A message of several lines is indented below its first.
    const CONTINUED: &str = "                    ";
    let mut warnings: Vec<String> = Vec::new();
    let mut open = false;
    for line in lines {
        let said = line.strip_prefix("trace: ");
        let warning = said.unwrap_or(line).strip_prefix("evaluation warning: ");
        // Before Nix had a word for it, nixpkgs traced its warnings.
        if let Some(warning) = warning.or_else(|| said?.strip_prefix("warning: ")) {
            warnings.push(warning.trim().to_owned());
            open = true;
        } else if let Some((last, more)) = warnings.last_mut().zip(line.strip_prefix(CONTINUED)).filter(|_| open) {
            last.push('\n');
            last.push_str(more.trim());
        } else {
            open = false;
        }
    }
    warnings
}

/// The first lines of what was traced, without the warnings among it.
pub fn evaluation_traces(lines: &[String]) -> impl Iterator<Item = &str> {
    let traced = lines.iter().filter_map(|line| line.strip_prefix("trace: "));
    traced.filter(|said| !said.starts_with("warning: ") && !said.starts_with("evaluation warning: "))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::facts::attr_path::AttrPath;

    #[test]
    fn a_file_that_is_there_and_that_git_does_not_track_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("fleet/.git")).unwrap();
        std::fs::create_dir_all(folder.path().join("fleet/hosts")).unwrap();
        std::fs::write(folder.path().join("fleet/hosts/nas.nix"), "{ }").unwrap();
        let attr = AttrPath::parse("{host}").unwrap();
        let flake = |reference: &str| Source::Flake { flake: reference.to_owned(), attr: attr.clone() };
        let found = |reference: &str, said: &str| untracked_file(&flake(reference), folder.path(), said);
        let source = "/nix/store/8g1fwzbrw87hff0y0v703lj76174iar3-source";
        let untracked = UntrackedFile { repository: folder.path().join("fleet"), file: PathBuf::from("hosts/nas.nix") };
        for said in [
            format!("path '{source}/hosts/nas.nix' does not exist"),
            format!("opening file '{source}/hosts/nas.nix': No such file or directory"),
        ] {
            assert_eq!(found("fleet", &said).as_ref(), Some(&untracked), "{said}");
            assert_eq!(found("./fleet?dir=hosts", &said).as_ref(), Some(&untracked), "{said}");
            // No file of this folder, or one that is taken as it is.
            for other in ["github:somebody/fleet", "path:./fleet", "."] {
                assert_eq!(found(other, &said), None, "{other}");
            }
        }
        for said in [
            format!("path '{source}/hosts/never.nix' does not exist"),
            format!("path '{source}/../../etc/passwd' does not exist"),
            format!("attribute 'x' missing at '{source}/hosts/nas.nix'"),
        ] {
            assert_eq!(found("fleet", &said), None, "{said}");
        }
    }

    #[test]
    fn a_build_that_no_machine_can_do_says_what_it_wants() {
        let of = |system: &str, features: &[&str]| {
            let features = features.iter().map(|&feature| feature.to_owned()).collect();
            Some(MissingBuilder { system_type: system.to_owned(), features })
        };
        let said = "a 'aarch64-linux' with features {} is required to build \
                    '/nix/store/3j9yx7499gfr8j1wg0ry8mwid6wp06q7-cross.drv', but I am a 'x86_64-linux' with features \
                    {benchmark, big-parallel}";
        assert_eq!(missing_builder(said), of("aarch64-linux", &[]));
        let kvm = said.replace("'aarch64-linux' with features {}", "'x86_64-linux' with features {kvm, nixos-test}");
        assert_eq!(missing_builder(&kvm), of("x86_64-linux", &["kvm", "nixos-test"]));
        let newer = "Cannot build '/nix/store/3j9yx7499gfr8j1wg0ry8mwid6wp06q7-cross.drv'.\nReason: required system or \
                     feature not available\nRequired system: 'aarch64-linux' with features {}\nCurrent system: \
                     'x86_64-linux' with features {kvm}";
        assert_eq!(missing_builder(newer), of("aarch64-linux", &[]));
        assert_eq!(missing_builder("builder for '/nix/store/x-a b.drv' failed with exit code 1"), None);
    }

    #[test]
    fn the_warnings_of_an_evaluation_are_found_among_what_nix_prints() {
        let lines = [
            "warning: Git tree '/home/ada/fleet' is dirty",
            "evaluation warning: this is old",
            "                    second line",
            "trace: evaluation warning: by trace",
            "trace: warning: of an older nixpkgs",
            "trace: a value",
            "                    of a trace",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(evaluation_traces(&lines).collect::<Vec<_>>(), ["a value"]);
        assert_eq!(evaluation_warnings(&lines), ["this is old\nsecond line", "by trace", "of an older nixpkgs"]);
    }
}
