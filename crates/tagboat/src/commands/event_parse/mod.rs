//! `tagboat event parse`: what is in a request of a sender, or why it is refused. Offline: nothing is fetched or
//! stored.

mod answer;
mod identity;
mod input;

use tagboat_intake::{Denied, Request, Verdict, read_unverified, receive};
use tagboat_model::KeySource;
use tagboat_ports::Clock as _;

use self::answer::Answer;
use crate::{
    cli::{EventParse, Output},
    exit::{Code, Failure},
    output,
    system::SystemClock,
};

pub(crate) fn run(arguments: &EventParse) -> Result<Code, Failure> {
    let (headers, body) = input::request(arguments)?;
    let sender = input::sender(arguments)?;
    let request = Request {
        headers: &headers,
        path_token: arguments.path_token.as_deref(),
        body: &body,
        received_at: arguments.now.unwrap_or_else(|| SystemClock.now()),
    };
    let result = match sender.unproved {
        Some(trust) => Ok(read_unverified(&sender.receiver, &request, trust)),
        None => receive(&sender.receiver, &request, &sender.keys).map_err(|denied| in_words(&denied)),
    };
    let answer = Answer { kind: sender.receiver.kind, verified: sender.unproved.is_none(), result };
    match arguments.output {
        Output::Json => output::line(answer.in_json()?),
        Output::Text => answer.in_words().iter().for_each(output::line),
    }
    Ok(match &answer.result {
        Err(_) => Code::Refused,
        Ok(accepted) => match accepted.verdict {
            Verdict::Accepted => Code::Ok,
            Verdict::Ignored => Code::Nothing,
            Verdict::Unparsable => Code::Invalid,
        },
    })
}

/// Why a request is refused. Where keys are missing: which, and how to give them.
fn in_words(denied: &Denied) -> String {
    let how = |source: &KeySource| match source {
        KeySource::Issuer(issuer) => {
            format!("save the issuer's JSON Web Key Set and give it with `--issuer-keys {issuer}=FILE`")
        }
        KeySource::SnsCertificate(url) => {
            format!("save the certificate and give it with `--sns-certificate {url}=FILE`")
        }
    };
    let which = |source: &KeySource| match source {
        KeySource::Issuer(issuer) => format!("the keys of the issuer {issuer}"),
        KeySource::SnsCertificate(url) => format!("the certificate {url}"),
    };
    match denied {
        Denied::Refused(refused) => refused.to_string(),
        Denied::Needs(source) => {
            format!("it cannot be verified without {}, and nothing is fetched here: {}", which(source), how(source))
        }
        Denied::NeedsNewer(source) => {
            format!("what was given of {} does not have the key that proves it: {}", which(source), how(source))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_missing_are_named_with_the_way_to_give_them() {
        let issuer = KeySource::Issuer("https://ci.example".to_owned());
        assert_eq!(
            in_words(&Denied::Needs(issuer.clone())),
            "it cannot be verified without the keys of the issuer https://ci.example, and nothing is fetched here: save the \
             issuer's JSON Web Key Set and give it with `--issuer-keys https://ci.example=FILE`"
        );
        assert!(in_words(&Denied::NeedsNewer(issuer)).starts_with("what was given of the keys of the issuer"));
        let certificate = KeySource::SnsCertificate("https://sns.eu-west-1.amazonaws.com/a.pem".to_owned());
        assert!(in_words(&Denied::Needs(certificate)).contains("--sns-certificate https://sns.eu-west-1"));
    }
}
