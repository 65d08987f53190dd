//! Signatures of commits, made by the programs that own their formats: `ssh-keygen` and `gpg`.
//!
//! Keys are neither read nor held here. No shell is run; what is signed goes through a pipe.

use tagboat_model::Timestamp;

use crate::{
    Failure,
    link::{bare, one_line, run_to_end},
    settings::Signing,
};

/// Sign the bytes of a commit. `time` is that of the commit, if it has one: a signature that carries a time carries this
/// one, so that the same commit has the same signature as far as its algorithm allows.
pub(crate) fn sign(signing: &Signing, commit: &[u8], time: Option<Timestamp>) -> Result<String, Failure> {
    match attempt(signing, commit, time) {
        // A key may be younger than the decision that it signs the commit of.
        Err(_) if time.is_some() && matches!(signing, Signing::OpenPgp { .. }) => attempt(signing, commit, None),
        result => result,
    }
}

fn attempt(signing: &Signing, commit: &[u8], time: Option<Timestamp>) -> Result<String, Failure> {
    let (command, program) = match signing {
        Signing::Ssh { key_file } => {
            let mut command = bare("ssh-keygen");
            // Nobody is there to type a passphrase.
            command.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
            // As `git` itself calls it (gpg-interface.c); without a file it signs what it reads.
            command.args(["-Y", "sign", "-n", "git", "-f"]).arg(key_file);
            (command, "ssh-keygen")
        }
        Signing::OpenPgp { key, home } => {
            let mut command = bare("gpg");
            if let Some(home) = home {
                command.env("GNUPGHOME", home);
            }
            command.args(["--batch", "--no-tty", "--quiet", "--pinentry-mode", "error"]);
            if let Some(time) = time {
                command.arg("--faked-system-time").arg(format!("{}!", time.0.div_euclid(1000)));
            }
            command.args(["--detach-sign", "--armor", "--local-user"]).arg(key);
            (command, "gpg")
        }
    };
    let ended = run_to_end(command, commit)?;
    let signature = String::from_utf8(ended.output).unwrap_or_default();
    if !ended.success || !signature.starts_with("-----BEGIN ") {
        let words = one_line(&ended.complaints);
        return Err(Failure::permanent(format!("the commit could not be signed; `{program}` said: {words}")));
    }
    // The header of a commit has no line end of its own.
    Ok(signature.trim_end().to_owned())
}
