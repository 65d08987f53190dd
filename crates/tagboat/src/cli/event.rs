//! The arguments of `tagboat event`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tagboat_intake::{Kind, Scheme};
use tagboat_model::{ReceiverName, Timestamp};

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// Take a request of a sender apart, offline, and say what is in it, or why it is refused.
    Parse(EventParse),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 there is at least one event, 3 there is none, 4 the request is not authentic, 2 it cannot be read, 1 failed.\n\n\
                  Without a credential nothing is verified. Nothing is fetched and nothing is stored."
)]
pub(crate) struct EventParse {
    /// The kind of sender, as the server file calls it.
    #[arg(long, value_name = "KIND", required_unless_present = "config")]
    pub(crate) kind: Option<Kind>,
    /// File with the headers of the request, one `Name: value` a line (`-`: standard input).
    #[arg(long, value_name = "FILE")]
    pub(crate) headers: PathBuf,
    /// File with the raw body of the request (`-`: standard input).
    #[arg(long, value_name = "FILE")]
    pub(crate) body: PathBuf,
    /// File with a secret of the sender. May be given several times, as during a rotation.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Vec<PathBuf>,
    /// How the sender proves itself [default: as the other options say, else what is usual for its kind].
    #[arg(long, value_enum)]
    pub(crate) scheme: Option<SchemeName>,
    /// With the scheme `token`: the header that carries the secret [default: what is usual for the kind].
    #[arg(long, value_name = "NAME", requires = "secret_file")]
    pub(crate) header: Option<String>,
    /// The registry that images are at, where bodies do not say it.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// For JFrog: the repository by which image names mean the one in the body; empty when they name none.
    #[arg(long, value_name = "NAME")]
    pub(crate) jfrog_repository: Option<String>,
    /// With the scheme `path`: what stood behind the receiver's name in the address.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) path_token: Option<String>,
    /// With the scheme `topic`: a topic of Amazon SNS that may send. May be given several times.
    #[arg(long, value_name = "ARN")]
    pub(crate) topic: Vec<String>,
    /// With the scheme `identity`: JSON with `issuer`, `audience`, `claims` (name: pattern or list of them) and, if
    /// wanted, `provider` and `keys` (the issuer's JSON Web Key Set).
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// The JSON Web Key Set of an issuer. May be given several times.
    #[arg(long, value_name = "ISSUER=FILE", value_parser = named_file)]
    pub(crate) issuer_keys: Vec<(String, PathBuf)>,
    /// A certificate of Amazon SNS, by its address. May be given several times.
    #[arg(long, value_name = "URL=FILE", value_parser = named_file)]
    pub(crate) sns_certificate: Vec<(String, PathBuf)>,
    /// When the request came, as RFC 3339 writes it [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// The receiver of the server file that the request came to, with its secrets and images. Without `--config` only
    /// its name, from which, with its secret, an address of the scheme `path` follows.
    #[arg(long, value_name = "NAME")]
    pub(crate) receiver: Option<ReceiverName>,
    /// The server file that has the receiver.
    #[arg(
        long,
        value_name = "FILE",
        requires = "receiver",
        conflicts_with_all = ["secret_file", "scheme", "header", "registry", "jfrog_repository", "topic", "identity"]
    )]
    pub(crate) config: Option<PathBuf>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// How a sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeName {
    /// It signs the body with a shared secret.
    Signature,
    /// A header carries a shared secret.
    Token,
    /// It carries a token of its issuer (OIDC).
    Identity,
    /// Amazon SNS signs the body.
    Topic,
    /// It knows an address that cannot be guessed.
    Path,
}

impl From<SchemeName> for Scheme {
    fn from(name: SchemeName) -> Self {
        match name {
            SchemeName::Signature => Self::Signature,
            SchemeName::Token => Self::Token,
            SchemeName::Identity => Self::Identity,
            SchemeName::Topic => Self::Topic,
            SchemeName::Path => Self::Path,
        }
    }
}

/// `NAME=FILE`
fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err(format!("`{text}` has no `=` between an address and a file")),
    }
}
