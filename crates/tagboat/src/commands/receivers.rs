//! `tagboat receivers`: what has to be set up at each sender. Addresses of the scheme `path` are shown whole, which is
//! what they are for; no other secret is.

use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use tagboat_intake::{BodySignature, Credential, PathToken, Receiver, Scheme};
use tagboat_model::Trust;
use tagboat_settings::ReceiverFile;

use crate::{
    cli::{Output, Receivers},
    commands::{server_file, words},
    exit::{Code, Failure},
    output::{self, BOLD, DIM, styled},
    secrets, wiring,
};

/// What a sender has to be given.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    tenant: String,
    kind: &'static str,
    credentials: Vec<Way>,
    /// The first is the one to use; others are of older secrets.
    addresses: Vec<String>,
    /// Where CI may send as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_address: Option<String>,
    images: Vec<String>,
    #[serde(skip)]
    may: Vec<String>,
}

/// A way in which it may prove itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Way {
    scheme: &'static str,
    trust: Trust,
    /// The headers that it takes.
    headers: Vec<String>,
    #[serde(skip)]
    words: String,
}

pub(crate) fn run(arguments: &Receivers) -> Result<Code, Failure> {
    let file = server_file(&arguments.config)?;
    let base = file.address();
    let mut all = file.receivers.iter().map(|receiver| of_file(receiver, &base)).collect::<Result<Vec<_>, _>>()?;
    if let Some(app) = &file.github_app {
        all.push(shown(&wiring::receivers::of_app(app)?, &[], &base));
    }
    match arguments.output {
        Output::Json => output::line(json!({ "receivers": all }).to_string()),
        Output::Text if all.is_empty() => output::line("the server file has no receivers"),
        Output::Text => {
            let blocks: Vec<String> = all.iter().map(|receiver| in_words(receiver).join("\n")).collect();
            output::line(blocks.join("\n\n"));
        }
    }
    Ok(if all.is_empty() { Code::Nothing } else { Code::Ok })
}

fn of_file(file: &ReceiverFile, base: &str) -> Result<Shown, Failure> {
    let receiver = wiring::receivers::receiver(file, base)?;
    let whose = format!("receiver `{}`", file.name);
    let by_path = receiver.credentials.iter().any(|credential| credential.scheme() == Scheme::Path);
    let secrets = match by_path {
        true => file.secrets().iter().map(|source| secrets::read(&whose, source)).collect::<Result<Vec<_>, _>>()?,
        false => Vec::new(),
    };
    Ok(shown(&receiver, &secrets, base))
}

/// `secrets` are those from which the tokens of its addresses follow.
fn shown(receiver: &Receiver, secrets: &[SecretString], base: &str) -> Shown {
    let address = format!("{base}/hooks/{}", receiver.name);
    let token = |secret| PathToken::derive(&receiver.tenant, &receiver.name, secret);
    let addresses = match secrets {
        [] => vec![address],
        secrets => secrets.iter().map(|secret| format!("{address}/{}", token(secret))).collect(),
    };
    let mut may: Vec<String> = Vec::new();
    for credential in &receiver.credentials {
        let trust = credential.trust();
        let text = format!("{}: {}", words::trust(trust), words::may(receiver.kind, trust));
        if !may.contains(&text) {
            may.push(text);
        }
    }
    Shown {
        name: receiver.name.to_string(),
        tenant: receiver.tenant.to_string(),
        kind: receiver.kind.word(),
        credentials: receiver.credentials.iter().map(way).collect(),
        addresses,
        events_address: receiver.kind.is_ci().then(|| format!("{base}/api/v1/events")),
        images: receiver.images.iter().map(ToString::to_string).collect(),
        may,
    }
}

fn way(credential: &Credential) -> Way {
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let (headers, words): (Vec<String>, String) = match credential {
        Credential::Path { .. } => (Vec::new(), "its address alone".to_owned()),
        Credential::Token { headers, .. } => {
            (headers.clone(), format!("the secret in the header {}", quoted(headers).join(" or ")))
        }
        Credential::BodySignature { scheme, .. } => {
            let header = signature_header(*scheme).to_owned();
            let words = format!("a signature of the body in the header `{header}`");
            (vec![header], words)
        }
        Credential::StandardWebhooks { .. } => {
            let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(str::to_owned).to_vec();
            let words = format!("a signature as Standard Webhooks 1.0 says, in {}", quoted(&headers).join(", "));
            (headers, words)
        }
        Credential::Identity(rule) => {
            (vec!["authorization".to_owned()], format!("a token of {} in `Authorization: Bearer …`", rule.issuer))
        }
        Credential::Sns { topics } => (Vec::new(), format!("Amazon SNS's signature, topic {}", topics.join(" or "))),
    };
    Way { scheme: credential.scheme().word(), trust: credential.trust(), headers, words }
}

fn signature_header(scheme: BodySignature) -> &'static str {
    match scheme {
        BodySignature::Hub => "x-hub-signature-256",
        BodySignature::Gitea => "x-gitea-signature",
        BodySignature::Nexus => "x-nexus-webhook-signature",
        BodySignature::Jfrog => "x-jfrog-event-auth",
    }
}

fn in_words(receiver: &Shown) -> Vec<String> {
    let Shown { name, tenant, kind, credentials, addresses, events_address, images, may } = receiver;
    let tenant = if tenant == "default" { String::new() } else { format!(", tenant {tenant}") };
    let mut lines = vec![format!("{}  {kind}{tenant}", styled(BOLD, name))];
    let mut add = |label: &str, text: &str| lines.push(format!("  {} {text}", styled(DIM, format!("{label:<7}"))));
    for (index, address) in addresses.iter().enumerate() {
        match index {
            0 => add("address", address),
            _ => add("", &format!("{address} (of an older secret; works until that is gone)")),
        }
    }
    if let Some(address) = events_address {
        add("or", &format!("POST {address}"));
    }
    for (index, way) in credentials.iter().enumerate() {
        add(if index == 0 { "proof" } else { "or" }, &format!("{}: {}", way.scheme, way.words));
    }
    may.iter().for_each(|text| add("trust", text));
    match images.as_slice() {
        [] => add("images", "none: it hears of config repositories"),
        images => add("images", &images.join(", ")),
    }
    lines
}

#[cfg(test)]
mod tests {
    use tagboat_intake::{Configured, Kind, Tenancy, credentials};
    use tagboat_model::TenantName;
    use tagboat_settings::ServerFile;

    use super::*;

    fn receiver(kind: Kind, scheme: Option<Scheme>, secrets: &[SecretString]) -> Receiver {
        let (tenant, name) = (TenantName::default(), "hook".parse().unwrap());
        let configured = Configured { scheme, secrets: secrets.to_vec(), ..Configured::default() };
        Receiver {
            credentials: credentials(kind, &tenant, &name, configured).unwrap(),
            name,
            tenant,
            kind,
            registry: None,
            repository: None,
            tenancy: Tenancy::Fixed,
            images: vec!["ghcr.io/acme/*".parse().unwrap(), "quay.io/acme/web".parse().unwrap()],
        }
    }

    fn lines(receiver: &Receiver, secrets: &[SecretString]) -> Vec<String> {
        let lines = in_words(&shown(receiver, secrets, "https://tagboat.example"));
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn an_address_that_is_a_secret_is_shown_whole_once_for_each_secret() {
        let secrets: [SecretString; 2] = [
            "a new secret that nobody guesses".to_owned().into(),
            "an old secret that nobody guesses".to_owned().into(),
        ];
        let receiver = receiver(Kind::Dockerhub, None, &secrets);
        let token = |secret| PathToken::derive(&receiver.tenant, &receiver.name, secret);
        assert_eq!(
            lines(&receiver, &secrets),
            [
                "hook  dockerhub".to_owned(),
                format!("  address https://tagboat.example/hooks/hook/{}", token(&secrets[0])),
                format!(
                    "          https://tagboat.example/hooks/hook/{} (of an older secret; works until that is gone)",
                    token(&secrets[1])
                ),
                "  proof   path: its address alone".to_owned(),
                "  trust   url: its events may cause a look at the registry, and supply nothing".to_owned(),
                "  images  ghcr.io/acme/*, quay.io/acme/web".to_owned(),
            ]
        );
    }

    #[test]
    fn ci_may_send_to_either_address_and_prove_itself_in_either_way() {
        let secrets: [SecretString; 1] = ["s3cret".to_owned().into()];
        let told = lines(&receiver(Kind::Generic, None, &secrets), &[]);
        assert_eq!(
            told,
            [
                "hook  generic",
                "  address https://tagboat.example/hooks/hook",
                "  or      POST https://tagboat.example/api/v1/events",
                "  proof   signature: a signature as Standard Webhooks 1.0 says, in `webhook-id`, `webhook-timestamp`, `webhook-signature`",
                "  or      signature: a signature of the body in the header `x-hub-signature-256`",
                "  trust   signed: its events may put versions forward, and announce them",
                "  images  ghcr.io/acme/*, quay.io/acme/web",
            ]
        );
    }

    #[test]
    fn a_secret_that_travels_is_named_by_its_header_alone() {
        let secrets: [SecretString; 1] = ["s3cret".to_owned().into()];
        let ecr = receiver(Kind::Ecr, Some(Scheme::Token), &secrets);
        let shown = shown(&ecr, &[], "https://tagboat.example");
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["credentials"][0]["headers"], json!(["authorization", "x-api-key", "x-webhook-secret"]));
        assert_eq!(json["credentials"][0]["trust"], json!("token"));
        assert_eq!(json["addresses"], json!(["https://tagboat.example/hooks/hook"]));
        assert!(json.get("eventsAddress").is_none() && json.get("may").is_none());
        let told = lines(&ecr, &[]).join("\n");
        assert!(
            told.contains("the secret in the header `authorization` or `x-api-key` or `x-webhook-secret`"),
            "{told}"
        );
        assert!(!told.contains("s3cret") && !json.to_string().contains("s3cret"));
    }

    #[test]
    fn the_address_is_the_public_one_where_there_is_one() {
        let mut file = ServerFile::default();
        assert_eq!(file.address(), "http://127.0.0.1:8080");
        file.public_url = Some("https://tagboat.example/".to_owned());
        assert_eq!(file.address(), "https://tagboat.example");
    }
}
