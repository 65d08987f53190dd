//! What `tagboat event parse` is given: the request as it came, and who sent it.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use tagboat_intake::{
    Configured, Credential, Headers, ImagePattern, ImagePatternError, Keys, Kind, Receiver, Scheme, Tenancy,
};
use tagboat_model::{ImageName, KeySource, NameError, ReceiverName, TenantName, Trust};
use tagboat_settings::SecretSource;

use super::identity;
use crate::{
    cli::EventParse,
    commands::{receiver_of, server_file},
    exit::Failure,
    secrets, wiring,
};

/// The sender, as far as was said.
pub(super) struct Sender {
    /// The receiver that the request came to, or one like it.
    pub(super) receiver: Receiver,
    /// Published keys.
    pub(super) keys: Keys,
    /// Without a credential nothing is verified, and this trust is that of the scheme.
    pub(super) unproved: Option<Trust>,
}

/// Headers and body.
pub(super) fn request(arguments: &EventParse) -> Result<(Headers, Vec<u8>), Failure> {
    if is_standard_input(&arguments.headers) && is_standard_input(&arguments.body) {
        return Err(Failure::invalid("standard input can be the headers or the body, not both"));
    }
    let text = read(&arguments.headers)?;
    let name = arguments.headers.display();
    let text = String::from_utf8(text).map_err(|_| Failure::invalid(format!("{name}: the headers are not UTF-8")))?;
    let headers = headers(&text).map_err(|why| Failure::invalid(format!("{name}:{why}")))?;
    Ok((headers, read(&arguments.body)?))
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let (name, read) = if is_standard_input(path) {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    read.map_err(|error| Failure::invalid(format!("{name} cannot be read: {error}")))
}

/// Headers, one a line. What is wrong is said without their values, which may be secrets.
fn headers(text: &str) -> Result<Headers, String> {
    let mut pairs = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: &str| format!("{}: {what}; write `Name: value`, one a line", index + 1);
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("what stands before the colon is not the name of a header"));
        }
        pairs.push((name, value.trim()));
    }
    Ok(pairs.into_iter().collect())
}

/// Who sent it.
pub(super) fn sender(arguments: &EventParse) -> Result<Sender, Failure> {
    let mut sender = match (&arguments.receiver, &arguments.config) {
        (Some(name), Some(config)) => of_server_file(arguments.kind, name, config)?,
        _ => of_options(arguments)?,
    };
    for (issuer, path) in &arguments.issuer_keys {
        sender.keys.insert(KeySource::Issuer(issuer.clone()), read(path)?.into());
    }
    for (url, path) in &arguments.sns_certificate {
        sender.keys.insert(KeySource::SnsCertificate(url.clone()), read(path)?.into());
    }
    Ok(sender)
}

fn of_server_file(kind: Option<Kind>, name: &ReceiverName, config: &Path) -> Result<Sender, Failure> {
    let file = server_file(config)?;
    let found = receiver_of(config, &file, name)?;
    let receiver = wiring::receivers::receiver(found, &file.address())?;
    match kind {
        Some(kind) if kind != receiver.kind => Err(Failure::invalid(format!(
            "the receiver `{name}` is of the kind `{}`, not `{kind}`; leave `--kind` out",
            receiver.kind
        ))),
        _ => Ok(Sender { receiver, keys: Keys::default(), unproved: None }),
    }
}

fn of_options(arguments: &EventParse) -> Result<Sender, Failure> {
    let kind = arguments.kind.ok_or_else(|| Failure::invalid("say who sent it with `--kind`"))?;
    let scheme = tagboat_intake::scheme(kind, Some(scheme(arguments, kind))).map_err(|error| invalid(&error))?;
    check(arguments, kind, scheme)?;
    let name = match &arguments.receiver {
        Some(name) => name.clone(),
        None => "event".parse::<ReceiverName>().map_err(|error: NameError| invalid(&error))?,
    };
    let mut keys = Keys::default();
    let (credentials, unproved) = if has_credential(arguments, scheme) {
        (credentials(arguments, kind, scheme, &name, &mut keys)?, None)
    } else {
        (Vec::new(), Some(trust(scheme)))
    };
    let every = "**".parse::<ImagePattern>().map_err(|error: ImagePatternError| invalid(&error))?;
    let receiver = Receiver {
        name,
        tenant: TenantName::default(),
        kind,
        credentials,
        registry: arguments.registry.clone(),
        repository: arguments.jfrog_repository.clone(),
        tenancy: Tenancy::Fixed,
        images: vec![every],
    };
    Ok(Sender { receiver, keys, unproved })
}

fn invalid(error: &dyn std::error::Error) -> Failure {
    Failure::invalid(error.to_string())
}

/// The scheme that is named, else the one that the other options are for, else what is usual for the kind.
fn scheme(arguments: &EventParse, kind: Kind) -> Scheme {
    let has = |scheme: Scheme| kind.schemes().contains(&scheme);
    if let Some(named) = arguments.scheme {
        return named.into();
    }
    let meant = [
        (Scheme::Identity, arguments.identity.is_some()),
        (Scheme::Topic, !arguments.topic.is_empty()),
        (Scheme::Path, arguments.path_token.is_some()),
        (Scheme::Token, arguments.header.is_some()),
        // A secret address is in no file that is read here; a secret that is given is that of a header.
        (Scheme::Token, !arguments.secret_file.is_empty() && kind.default_scheme() == Some(Scheme::Path)),
    ];
    let meant = meant.into_iter().find(|(scheme, given)| *given && has(*scheme)).map(|(scheme, _)| scheme);
    meant.or_else(|| kind.default_scheme()).unwrap_or(Scheme::Signature)
}

/// What a sender proves by a scheme.
fn trust(scheme: Scheme) -> Trust {
    match scheme {
        Scheme::Path => Trust::Url,
        Scheme::Token => Trust::Token,
        Scheme::Signature | Scheme::Identity | Scheme::Topic => Trust::Signed,
    }
}

/// Whether there is something to verify by. A secret address can only be compared with one that is given.
fn has_credential(arguments: &EventParse, scheme: Scheme) -> bool {
    (!arguments.secret_file.is_empty() && scheme != Scheme::Path)
        || !arguments.topic.is_empty()
        || arguments.identity.is_some()
        || arguments.path_token.is_some()
}

/// The rules for options that only count together, or for some kinds.
fn check(arguments: &EventParse, kind: Kind, scheme: Scheme) -> Result<(), Failure> {
    let fail = |message: String| Err(Failure::invalid(message));
    let word = scheme.word();
    if let Some(host) = &arguments.registry {
        check_registry(kind, host)?;
    }
    if arguments.jfrog_repository.is_some() && kind != Kind::Jfrog {
        return fail(format!("`--jfrog-repository` is for `{}` only", Kind::Jfrog));
    }
    if arguments.receiver.is_some() && !(scheme == Scheme::Path && has_credential(arguments, scheme)) {
        return fail("`--receiver` needs `--config`, the server file that has it".to_owned());
    }
    if !has_credential(arguments, scheme) {
        return Ok(());
    }
    let (option, given) = match scheme {
        Scheme::Signature | Scheme::Token | Scheme::Path => ("--secret-file", !arguments.secret_file.is_empty()),
        Scheme::Topic => ("--topic", !arguments.topic.is_empty()),
        Scheme::Identity => ("--identity", arguments.identity.is_some()),
    };
    if !given {
        return fail(format!("`{kind}` proves itself by `{word}` here, which needs `{option}`"));
    }
    if option != "--secret-file" && !arguments.secret_file.is_empty() {
        return fail(format!(
            "the scheme `{word}` has no secret; leave `--secret-file` out or name another `--scheme`"
        ));
    }
    if arguments.path_token.is_some() && scheme != Scheme::Path {
        return fail(format!("`--path-token` is for the scheme `path`; `{kind}` proves itself by `{word}` here"));
    }
    if arguments.path_token.is_some() && arguments.receiver.is_none() {
        return fail(
            "an address follows from the receiver's name and secret; give the name with `--receiver`".to_owned(),
        );
    }
    Ok(())
}

fn check_registry(kind: Kind, host: &str) -> Result<(), Failure> {
    if !kind.may_have_registry() {
        return Err(Failure::invalid(format!(
            "`{kind}` says in its bodies which registry it means; leave `--registry` out"
        )));
    }
    // As image names write it: neither a URL nor a bare word, which they take for a folder.
    let is_known = host == "localhost" || host.contains(['.', ':']);
    let is_host = ImageName::at(host, "any/name").is_ok_and(|name| name.repository() == "any/name");
    match is_known && is_host {
        true => Ok(()),
        false => Err(Failure::invalid(format!(
            "`{host}` is not a registry; write host and port as image names do, as in `registry.example.org:5000`"
        ))),
    }
}

fn credentials(
    arguments: &EventParse,
    kind: Kind,
    scheme: Scheme,
    name: &ReceiverName,
    keys: &mut Keys,
) -> Result<Vec<Credential>, Failure> {
    let secret = |path: &PathBuf| secrets::read("`--secret-file`", &SecretSource::File(path.clone()));
    let identity = match &arguments.identity {
        None => None,
        Some(path) => {
            let identity = identity::read(path)?;
            if let Some(document) = identity.keys {
                keys.insert(KeySource::Issuer(identity.rule.issuer.clone()), document.into());
            }
            Some(identity.rule)
        }
    };
    let configured = Configured {
        scheme: Some(scheme),
        header: arguments.header.clone(),
        secrets: arguments.secret_file.iter().map(secret).collect::<Result<_, _>>()?,
        topics: arguments.topic.clone(),
        identity,
    };
    tagboat_intake::credentials(kind, &TenantName::default(), name, configured).map_err(|error| invalid(&error))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Arguments, Command, Event};

    fn parsed(more: &[&str]) -> EventParse {
        let all = [&["tagboat", "event", "parse", "--headers", "h", "--body", "b"], more].concat();
        match Arguments::try_parse_from(all).unwrap().command {
            Command::Event(Event::Parse(arguments)) => arguments,
            other => panic!("{other:?}"),
        }
    }

    fn refused(more: &[&str]) -> String {
        sender(&parsed(more)).map(|_| ()).unwrap_err().message
    }

    #[test]
    fn headers_are_read_a_line_each_and_what_is_wrong_is_told_without_their_values() {
        let read = headers("X-GitHub-Event: package\r\n\r\nAuthorization:Bearer a:b\nX-Empty:\n").unwrap();
        assert_eq!(read.get("x-github-event"), Some("package"));
        assert_eq!(read.get("authorization"), Some("Bearer a:b"));
        assert_eq!((read.get("x-empty"), read.filled("x-empty")), (Some(""), None));
        assert_eq!(headers("\n\n").unwrap(), Headers::default());
        let wrong = |text: &str| headers(text).unwrap_err();
        assert_eq!(wrong("A: b\ns3cret\n"), "2: there is no colon; write `Name: value`, one a line");
        assert!(wrong("POST http://x HTTP/1.1\n").starts_with("1: what stands before the colon is not the name"));
        assert!(wrong(": b\n").starts_with("1: what stands before the colon"));
    }

    #[test]
    fn without_a_credential_the_trust_is_that_of_the_scheme() {
        for (more, expect) in [
            (&["--kind", "github"][..], Trust::Signed),
            (&["--kind", "jfrog"], Trust::Signed),
            (&["--kind", "jfrog", "--scheme", "token"], Trust::Token),
            (&["--kind", "distribution", "--registry", "registry.example"], Trust::Token),
            (&["--kind", "ecr"], Trust::Token),
            (&["--kind", "dockerhub"], Trust::Url),
            (&["--kind", "gar"], Trust::Signed),
        ] {
            let sender = sender(&parsed(more)).unwrap();
            assert_eq!(sender.unproved, Some(expect), "{more:?}");
            assert!(sender.receiver.credentials.is_empty());
            assert!(sender.receiver.speaks_for(&"any.example/a/b/c".parse().unwrap()));
        }
    }

    #[test]
    fn options_that_do_not_go_together_are_told() {
        for (more, expect) in [
            (&["--kind", "github", "--scheme", "token"][..], "`github` has no scheme `token`"),
            (&["--kind", "github", "--registry", "ghcr.io/acme"], "is not a registry"),
            (&["--kind", "github", "--registry", "ghcr"], "is not a registry"),
            (&["--kind", "generic", "--registry", "ghcr.io"], "leave `--registry` out"),
            (&["--kind", "github", "--jfrog-repository", "docker"], "is for `jfrog` only"),
            (&["--kind", "github", "--receiver", "hub"], "`--receiver` needs `--config`"),
            (&["--kind", "dockerhub", "--path-token", "abc"], "`path` here, which needs `--secret-file`"),
            (&["--kind", "quay", "--secret-file", "s", "--path-token", "t"], "give the name with `--receiver`"),
            (&["--kind", "github", "--secret-file", "s", "--path-token", "abc"], "is for the scheme `path`"),
            (&["--kind", "gar", "--secret-file", "s"], "`identity` here, which needs `--identity`"),
            (&["--kind", "github", "--topic", "arn:aws:sns:eu-west-1:1:a"], "which needs `--secret-file`"),
            (&["--kind", "ecr", "--topic", "arn:aws:sns:eu-west-1:1:a", "--secret-file", "s"], "has no secret"),
            (&["--kind", "github", "--secret-file", "/nowhere/s"], "the file /nowhere/s cannot be read"),
        ] {
            let message = refused(more);
            assert!(message.contains(expect), "{more:?}: {message}");
        }
    }

    #[test]
    fn what_is_given_says_by_which_scheme_it_is_meant() {
        let topic = sender(&parsed(&["--kind", "ecr", "--topic", "arn:aws:sns:eu-west-1:1:a"])).unwrap();
        assert_eq!(topic.unproved, None);
        assert!(matches!(topic.receiver.credentials.as_slice(), [Credential::Sns { .. }]));
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "a secret that nobody guesses\n").unwrap();
        let secret = secret.to_str().unwrap();
        for (more, expect) in [
            (&["--kind", "acr", "--header", "X-Hook"][..], Scheme::Token),
            (&["--kind", "acr", "--receiver", "azure", "--path-token", "t"], Scheme::Path),
            (&["--kind", "jfrog"], Scheme::Signature),
            (&["--kind", "gitlab"], Scheme::Token),
            (&["--kind", "harbor"], Scheme::Token),
        ] {
            let sender = sender(&parsed(&[more, &["--secret-file", secret]].concat())).unwrap();
            let schemes: Vec<Scheme> = sender.receiver.credentials.iter().map(Credential::scheme).collect();
            assert_eq!(schemes, [expect], "{more:?}");
        }
    }
}
