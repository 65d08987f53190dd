//! Secrets, read from where the server file says. They are never printed.

use secrecy::SecretString;
use tagboat_settings::{CredentialsFile, SecretSource};

use crate::exit::Failure;

/// What stands where a secret is, with the name of the place. `whose` says in a message what it is for.
fn text(whose: &str, source: &SecretSource) -> Result<(String, String), Failure> {
    Ok(match source {
        SecretSource::File(path) => {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::invalid(format!("{whose}: the file {place} cannot be read: {error}")))?;
            (place, text)
        }
        SecretSource::Env(name) => {
            let place = format!("the environment variable {name}");
            let text = std::env::var(name).map_err(|_| Failure::invalid(format!("{whose}: {place} is not set")))?;
            (place, text)
        }
    })
}

/// Read a private key, which has several lines.
pub(crate) fn read_key(whose: &str, source: &SecretSource) -> Result<SecretString, Failure> {
    let (place, text) = text(whose, source)?;
    let is_key = text.trim_start().starts_with("-----BEGIN ") && text.contains(" PRIVATE KEY-----");
    if !is_key {
        let what = "holds no private key; a PEM file of one begins with `-----BEGIN RSA PRIVATE KEY-----` or the like";
        return Err(Failure::invalid(format!("{whose}: {place} {what}")));
    }
    Ok(text.into())
}

/// Read one secret.
pub(crate) fn read(whose: &str, source: &SecretSource) -> Result<SecretString, Failure> {
    let (place, text) = text(whose, source)?;
    // Editors and `echo` end a file with a line end that is not part of the secret.
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() {
        return Err(Failure::invalid(format!("{whose}: {place} is empty")));
    }
    if secret.chars().any(char::is_control) {
        return Err(Failure::invalid(format!("{whose}: {place} holds more than one line or a control character")));
    }
    Ok(secret.to_owned().into())
}

/// User name and password.
pub(crate) fn credentials(whose: &str, file: &CredentialsFile) -> Result<(String, SecretString), Failure> {
    let source = SecretSource::of(file.password_file.as_ref(), file.password_env.as_ref())
        .ok_or_else(|| Failure::invalid(format!("{whose}: say where the password is")))?;
    Ok((file.username.clone(), read(whose, &source)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    use secrecy::ExposeSecret as _;

    fn from_file(text: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        let read = read("receiver `ci`", &SecretSource::File(path));
        read.map(|secret| secret.expose_secret().to_owned()).map_err(|failure| failure.message)
    }

    #[test]
    fn a_key_is_told_from_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            let path = folder.path().join("key.pem");
            std::fs::write(&path, text).unwrap();
            read_key("GitHub App", &SecretSource::File(path)).map(|key| key.expose_secret().to_owned())
        };
        let key = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(of(key).unwrap(), key);
        for wrong in ["", "canary", "-----BEGIN CERTIFICATE-----\ncanary\n"] {
            let message = of(wrong).unwrap_err().message;
            assert!(message.contains("holds no private key") && !message.contains("canary"), "{message}");
        }
    }

    #[test]
    fn one_line_end_is_not_part_of_a_secret_and_nothing_else_is_forgiven() {
        assert_eq!(from_file("s3cret\n"), Ok("s3cret".to_owned()));
        assert_eq!(from_file("s3cret\r\n"), Ok("s3cret".to_owned()));
        assert_eq!(from_file("s3cret"), Ok("s3cret".to_owned()));
        assert!(from_file("").unwrap_err().ends_with("is empty"));
        assert!(from_file("a\nb\n").unwrap_err().contains("more than one line"));
        let missing = read("receiver `ci`", &SecretSource::File("/nowhere/secret".into())).unwrap_err();
        assert!(missing.message.starts_with("receiver `ci`: the file /nowhere/secret cannot be read"));
    }
}
