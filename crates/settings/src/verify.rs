//! `verify`: who must have signed an image.

use schemars::JsonSchema;
use serde::Deserialize;
use tagboat_model::{Identity, SignatureRule};
use tagboat_policy::Pattern;
use tagboat_promotion::Verify;

/// `verify: { cosign: { keyFile: keys/cosign.pub } }`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyFile {
    /// A signature made by cosign.
    pub cosign: CosignFile,
}

/// Either a key, or an issuer with an identity.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CosignFile {
    /// File with the public key (PEM), from the root of the config repository.
    pub key_file: Option<String>,
    /// The public key itself (PEM).
    pub key: Option<String>,
    /// For signatures without a key of one's own ("keyless"): the OIDC issuer, exactly, as in
    /// `https://token.actions.githubusercontent.com`.
    pub issuer: Option<String>,
    /// Who signed, exactly: the certificate's subject alternative name.
    pub identity: Option<String>,
    /// Who signed, as a regular expression that has to match all of the name.
    pub identity_pattern: Option<Pattern>,
}

impl VerifyFile {
    pub(crate) fn read(&self) -> Result<Verify, String> {
        let CosignFile { key_file, key, issuer, identity, identity_pattern } = &self.cosign;
        let by_key = key_file.is_some() || key.is_some();
        let keyless = issuer.is_some() || identity.is_some() || identity_pattern.is_some();
        match (by_key, keyless) {
            (true, true) => Err("`cosign` takes a key, or an issuer with an identity, not both".to_owned()),
            (false, false) => Err("`cosign` needs `keyFile`, `key`, or `issuer` with `identity`".to_owned()),
            (true, false) => match (key_file, key) {
                (Some(file), None) if is_path(file) => {
                    Ok(Verify::KeyFile(file.strip_prefix("./").unwrap_or(file).to_owned()))
                }
                (Some(file), None) => {
                    Err(format!("`keyFile` is `{file}`; write it from the root of the repository, without `..`"))
                }
                (None, key) => match key.as_deref().and_then(public_keys) {
                    Some(pem) => Ok(Verify::Rule(SignatureRule::Keys { pem })),
                    None => Err(format!("`key` is a public key in PEM, `{BEGIN}`")),
                },
                (Some(_), Some(_)) => Err("`keyFile` and `key` exclude each other".to_owned()),
            },
            (false, true) => {
                let issuer = issuer.clone().filter(|issuer| issuer.starts_with("https://"));
                let issuer =
                    issuer.ok_or("`issuer` is missing: the `https://` address of who vouched for the signer")?;
                let identity = match (identity, identity_pattern) {
                    (Some(identity), None) if !identity.is_empty() => Identity::Exact(identity.clone()),
                    (None, Some(pattern)) => Identity::Pattern(pattern.to_string()),
                    _ => return Err("say who signed: either `identity` or `identityPattern`".to_owned()),
                };
                Ok(Verify::Rule(SignatureRule::Keyless { issuer, identity }))
            }
        }
    }
}

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The public keys in a text, each as PEM of its own (during a rotation there are two); `None` when there is none.
#[must_use]
pub fn public_keys(text: &str) -> Option<Vec<String>> {
    let blocks = text.split(BEGIN).skip(1).map(|rest| rest.split_once(END).map(|(body, _)| body));
    let keys: Vec<String> = blocks.map(|body| Some(format!("{BEGIN}{}{END}\n", body?))).collect::<Option<_>>()?;
    (!keys.is_empty()).then_some(keys)
}

fn is_path(file: &str) -> bool {
    !file.is_empty() && !file.starts_with('/') && file.split('/').all(|part| !part.is_empty() && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_hold_several_keys() {
        let key = |body: &str| format!("{BEGIN}\n{body}\n{END}\n");
        let two = format!("# old\n{}# new\n{}", key("AAAA"), key("BBBB"));
        assert_eq!(public_keys(&two), Some(vec![key("AAAA"), key("BBBB")]));
        assert_eq!(public_keys("-----BEGIN PRIVATE KEY-----"), None);
        assert_eq!(public_keys(&format!("{BEGIN}\ncut")), None);
    }
}
