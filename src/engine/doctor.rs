//! Looks at the workstation and at every host for anything that would stop a push. It changes nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ::nix::sys::statvfs::statvfs;
use ::nix::unistd::{AccessFlags, access};
use futures::Stream;

use super::ask::{Gathered, NoAnswer, gather};
use super::causes::chain;
use super::new_login::new_login;
use super::reach::Reach;
use super::workstation::ssh_version;
use crate::decide::doctor::{Copying, DoctorFinding, Examined, Nix, Severity, Workstation};
use crate::event::reason::doctor::Stake;
use crate::event::reason::workstation::FolderObstacle;
use crate::event::stream::Events;
use crate::event::{Event, Phase};
use crate::inventory::model::{Host, HostName};
use crate::nix;
use crate::record::folder::StateFolder;
use crate::remote::answer::{self, AnswerError};
use crate::remote::step::RemoteStep;
use crate::remote::{ConnectCause, StepError};

/// How long a program of the workstation may take to say its state.
const LIMIT: Duration = Duration::from_secs(20);

/// Examines every host; the answers come in the order of `hosts`. `signing`: the keys of the nix
/// here; `None`: there is no nix to ask with.
pub fn examine<'a>(
    reach: &'a Reach,
    hosts: impl IntoIterator<Item = &'a Host>,
    signing: Option<&'a nix::SigningKeys>,
    events: &'a Events,
) -> impl Stream<Item = (HostName, Gathered<(Examined, Copying)>)> {
    gather(hosts, Phase::Ask, events, move |host| async move {
        let script = RemoteStep::Doctor.script();
        let raw = reach.run(&host.name, &script, host.limits.connect + host.limits.step).await?;
        let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut examined = answer::examined(&raw.lines)?;
        let here = i64::try_from(here.as_secs()).unwrap_or(i64::MAX);
        examined.clock_ahead = examined.now.map(|now| now.saturating_sub(here));
        examined.no_new_login = new_login(reach, host, true).await.err();
        let Some(signing) = signing else { return Ok((examined, Copying::NotAsked)) };
        events.publish(Event::HostMoved { host: host.name.clone(), doing: "asking its nix".to_owned() });
        let ssh_options = reach.workspace().nix_ssh_options();
        let store =
            nix::Destination { host: &host.name, alias: &host.name, ssh_options: &ssh_options, substitute: false };
        let copying = match nix::ping(Some(store), host.limits.connect + LIMIT).await {
            Ok(nix::Pinged { trusted: Some(true), .. }) => Copying::Trusted,
            Ok(nix::Pinged { trusted: Some(false), .. }) => untrusted(signing, &examined.trusted_keys),
            Ok(nix::Pinged { trusted: None, .. }) => Copying::NotTold,
            Err(error) => Copying::Failed(chain(&error)),
        };
        Ok((examined, copying))
    })
}

/// Says whether signatures let a copy through to a host that does not trust the login.
fn untrusted(signing: &nix::SigningKeys, trusted_there: &[String]) -> Copying {
    if let Some(key) = signing.public.iter().find(|key| trusted_there.contains(key)) {
        let name = key.split_once(':').map_or(key.as_str(), |(name, _)| name);
        return Copying::Signed { key: name.to_owned() };
    }
    match signing.unread.first() {
        Some(file) => Copying::SignedUnread { file: file.display().to_string() },
        None => Copying::Untrusted { key: signing.public.first().cloned() },
    }
}

/// By which keys this workstation's Nix signs.
pub async fn signing_here() -> nix::SigningKeys {
    nix::signing_keys(LIMIT).await
}

/// Says why a host cannot be examined at all.
#[must_use]
pub fn of_silence(host: &Host, no_answer: &NoAnswer) -> DoctorFinding {
    // A push leaves out a host that is optional and does not answer.
    let severity = if host.optional { Severity::Warning } else { Severity::Blocker };
    let stake = match no_answer {
        NoAnswer::Senseless(AnswerError::NotNixos) => Stake::NixosNeeded,
        NoAnswer::Step(StepError::NotRoot { refusal, .. }) => {
            Stake::RootNeeded { user: host.user.clone(), by: refusal.by.clone(), lack: refusal.why }
        }
        NoAnswer::Step(StepError::NoLogin { source, .. }) => match &source.cause {
            ConnectCause::AuthRefused(_) | ConnectCause::AgentFailed { .. } => {
                Stake::KeyNeeded { user: host.user.clone() }
            }
            ConnectCause::UnknownHostKey { .. } | ConnectCause::ChangedHostKey { .. } => Stake::IdentityNeeded,
            _ if host.optional => Stake::OptionalAway,
            _ => Stake::Away { host: host.name.clone() },
        },
        _ => Stake::LoginNeeded,
    };
    DoctorFinding::taken(severity, no_answer.reason(), stake)
}

/// Looks at the workstation. `fleet` and the inventory's file name the runs that may be unfinished.
pub async fn workstation(fleet: &str, inventory: &Path) -> Workstation {
    let (nix, ssh) = tokio::join!(nix_here(), ssh_version());
    let state = StateFolder::locate(|name| std::env::var_os(name));
    let unfinished = state.as_ref().ok().and_then(|state| state.unfinished(Some((fleet, inventory))).ok().flatten());
    Workstation {
        nix,
        ssh,
        record: state
            .map_err(|error| FolderObstacle::PlaceUnknown { error: chain(&error) })
            .and_then(|state| writable(state.folder())),
        free_store: free(Path::new("/nix/store")),
        unfinished: unfinished.map(|one| one.reason()),
        unlinked: None,
    }
}

async fn nix_here() -> Nix {
    match nix::version(LIMIT).await {
        Err(error) => Nix::Missing(chain(&error)),
        Ok(version) if !version.is_new_enough() => Nix::TooOld(version.to_string()),
        Ok(version) => match nix::ping(None, LIMIT).await {
            Ok(_) => Nix::Works(version.to_string()),
            Err(error) => Nix::Broken(chain(&error)),
        },
    }
}

/// Returns the folder in which it will be made, if it is not there yet.
fn writable(folder: &Path) -> Result<(String, Option<u64>), FolderObstacle> {
    let shown = |path: &Path| path.display().to_string();
    let there: Option<PathBuf> = folder.ancestors().find(|ancestor| ancestor.exists()).map(Path::to_owned);
    let there = there.ok_or_else(|| FolderObstacle::CannotBeMade { path: shown(folder) })?;
    if !there.is_dir() {
        return Err(FolderObstacle::NotAFolder { path: shown(&there) });
    }
    access(&there, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| FolderObstacle::NotWritable { path: shown(&there), error: error.desc().to_owned() })?;
    Ok((folder.display().to_string(), free(&there)))
}

fn free(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    found.blocks_available().checked_mul(found.fragment_size())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::facts::privilege::{RootLack, RootProgram};
    use crate::inventory::model::Inventory;
    use crate::remote::{ConnectError, RootRefusal};

    fn judged(optional: bool, no_answer: &NoAnswer) -> DoctorFinding {
        let text =
            format!("hosts: {{nas: {{user: ada, optional: {optional}}}}}\nfleets: {{lab: {{flake: ., hosts: all}}}}\n");
        let loaded = Inventory::parse(Path::new("inventory.yaml"), Path::new("/"), &text).unwrap();
        of_silence(&loaded.inventory.hosts[0], no_answer)
    }

    fn no_login(cause: ConnectCause) -> NoAnswer {
        let source = ConnectError { machine: "nas".into(), by_hand: "ssh ada@nas".into(), cause };
        let host = HostName::new("nas").unwrap();
        NoAnswer::Step(StepError::NoLogin { host, script: "doctor", source: Box::new(source) })
    }

    fn no_root(why: RootLack) -> NoAnswer {
        let refusal = RootRefusal { by: RootProgram::Sudo, why };
        let (host, stderr_tail) = (HostName::new("nas").unwrap(), String::new());
        NoAnswer::Step(StepError::NotRoot { host, script: "doctor", refusal, stderr_tail })
    }

    #[test]
    fn silence_has_a_cause_and_its_mend_is_configuration_where_it_can_be() {
        for (no_answer, what, mend) in [
            (no_login(ConnectCause::TimedOut(Duration::from_secs(5))), "no answer within 5 s", "ssh ada@nas"),
            (
                no_login(ConnectCause::UnknownHostKey { fingerprint: None }),
                "host key is not known",
                "compare the fingerprint",
            ),
            (
                no_login(ConnectCause::AuthRefused("Permission denied".into())),
                "Permission denied",
                "users.users.ada.openssh",
            ),
            (no_root(RootLack::Password), "sudo wants a password", "security.sudo.wheelNeedsPassword = false;"),
            (no_root(RootLack::Permission), "does not allow it", "users.users.ada.extraGroups = [ \"wheel\" ];"),
            (no_root(RootLack::Program), "there is no sudo", "security.sudo.enable = true;"),
            (AnswerError::NotNixos.into(), "not a NixOS", "nixos-anywhere"),
        ] {
            let finding = judged(false, &no_answer);
            assert_eq!(finding.severity, Severity::Blocker, "{finding:?}");
            assert!(finding.what.to_string().contains(what) && !finding.why().is_empty(), "{finding:?}");
            assert!(finding.mend().as_deref().unwrap_or_default().contains(mend), "{finding:?}");
        }
    }

    #[test]
    fn an_optional_host_that_is_away_blocks_nothing() {
        let finding = judged(true, &no_login(ConnectCause::TimedOut(Duration::from_secs(5))));
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.why().contains("goes on without it"), "{finding:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_writable_where_it_can_be_made() {
        let there = tempfile::tempdir().unwrap();
        let (shown, free) = writable(&there.path().join("a/b")).unwrap();
        assert!(shown.ends_with("a/b") && free.is_some());
        let file = there.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(writable(&file.join("a")), Err(FolderObstacle::NotAFolder { path: file.display().to_string() }));
    }
}
