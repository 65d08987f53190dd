//! Who may command what: one function for every way in.
//!
//! An account counts by what the forge says of it when the command is carried out, never by what stands in a comment.

use tagboat_model::{Command, Commander, Permission};
use thiserror::Error;

/// Who may bring versions past upstreams and gates.
#[derive(Debug, Clone, Copy)]
pub struct Approvers<'a> {
    /// Logins and teams, as the repository file names them. Nobody named: administrators.
    pub names: &'a [String],
}

/// Whoever gave the command may not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Refused {
    /// Why, and who may.
    pub text: String,
}

/// Whether somebody may give a command.
///
/// # Errors
/// [`Refused`] when they may not.
pub fn authorize(command: &Command, by: &Commander, policy: &Approvers<'_>) -> Result<(), Refused> {
    let refuse = |text: &str| Err(Refused { text: text.to_owned() });
    let (account, permission, approver_as) = match by {
        Commander::Operator { .. } => return Ok(()),
        Commander::Account { account, permission, approver_as } => (account, *permission, approver_as),
    };
    if account.is_bot {
        return refuse("Programs give no commands in comments; people do, or the API.");
    }
    let Some(permission) = permission else {
        return refuse("It is not known what this account may do in the repository.");
    };
    match command {
        Command::Explain if permission < Permission::Read => {
            refuse("This needs the permission to read the repository.")
        }
        Command::Promote { .. } if policy.names.is_empty() => match permission {
            Permission::Admin => Ok(()),
            _ => refuse("Passing over gates needs an administrator, since `.tagboat.yaml` names no `approvers`."),
        },
        Command::Promote { .. } => {
            let is_approver = approver_as.iter().any(|name| policy.names.contains(name));
            if !is_approver {
                return refuse("Passing over gates needs one of the `approvers` of `.tagboat.yaml`.");
            }
            // A login that an approver gave up may be somebody else's now; everybody may read what is public.
            if permission >= Permission::Write {
                return Ok(());
            }
            refuse("Passing over gates needs the permission to push to the repository, of an approver as well.")
        }
        Command::Explain => Ok(()),
        Command::Rebuild
        | Command::Hold { .. }
        | Command::Freeze { .. }
        | Command::Release { .. }
        | Command::Skip { .. }
        | Command::Rollback { .. }
        | Command::Merge => {
            if permission >= Permission::Write {
                return Ok(());
            }
            refuse("This needs the permission to push to the repository.")
        }
    }
}
