//! Amazon's ECR: the machine's AWS credential signs one request, whose answer is a password for twelve hours.
//!
//! Documentation: `GetAuthorizationToken` of the ECR and ECR Public APIs. The chain of places where AWS keeps
//! credentials and the signature (version 4) are those of `reqsign-aws-v4`: its parts take environment, files and
//! connections as arguments. Left out of the chain are single sign-on of people and `credential_process`.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, EnvCredentialProvider,
    IMDSv2CredentialProvider, ProfileCredentialProvider, RequestSigner,
};
use reqsign_core::{Context, FileRead, HttpSend, ProvideCredentialDyn, SignRequest as _, StaticEnv};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    Environment,
    ambient::{AmbientCredential, Links, wrong},
    answer,
};
use crate::client::{Fault, bounded_body};

/// What AWS documents.
const LIFE: Duration = Duration::from_secs(12 * 3600);
const LARGEST_FILE: u64 = 1024 * 1024;

/// Where the token of a registry is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Api {
    url: String,
    service: &'static str,
    region: String,
    target: &'static str,
    variable: &'static str,
}

impl Api {
    /// `<account>.dkr.ecr[-fips].<region>.amazonaws.com[.cn]`, `<account>.dkr-ecr[-fips].<region>.on.aws` or
    /// `public.ecr.aws`.
    fn of(registry: &str) -> Option<Self> {
        if registry == "public.ecr.aws" {
            return Some(Self {
                url: "https://api.ecr-public.us-east-1.amazonaws.com/".to_owned(),
                service: "ecr-public",
                region: "us-east-1".to_owned(),
                target: "SpencerFrontendService.GetAuthorizationToken",
                variable: "AWS_ENDPOINT_URL_ECR_PUBLIC",
            });
        }
        let (account, rest) = registry.split_once('.')?;
        let (rest, dual) = match rest.strip_prefix("dkr.") {
            Some(rest) => (rest, false),
            None => (rest.strip_prefix("dkr-")?, true),
        };
        let (kind, rest) = rest.split_once('.')?;
        let (region, suffix) = rest.split_once('.')?;
        let known = matches!((dual, suffix), (false, "amazonaws.com" | "amazonaws.com.cn") | (true, "on.aws"));
        let name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) || !name(region) || !known {
            return None;
        }
        let host = match (kind, dual) {
            ("ecr", false) => format!("api.ecr.{region}.{suffix}"),
            ("ecr-fips", false) => format!("ecr-fips.{region}.{suffix}"),
            ("ecr" | "ecr-fips", true) => format!("{kind}.{region}.api.aws"),
            _ => return None,
        };
        Some(Self {
            url: format!("https://{host}/"),
            service: "ecr",
            region: region.to_owned(),
            target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            variable: "AWS_ENDPOINT_URL_ECR",
        })
    }
}

/// ECR answers with a list, ECR Public with one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Many(Vec<Authorization>),
    One(Authorization),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: SecretString,
    /// Seconds since 1970, with a fraction.
    expires_at: Option<f64>,
}

pub(super) async fn fetch(
    links: &Links,
    registry: &str,
    environment: &Environment,
) -> Result<AmbientCredential, Fault> {
    let Some(api) = Api::of(registry) else {
        return Err(wrong(
            registry,
            "Amazon, which are `<account>.dkr.ecr.<region>.amazonaws.com` and `public.ecr.aws`",
        ));
    };
    let context = context(links, &api, environment);
    let credential = credential(&context).await?;
    let request = sign(&context, &api, environment, &credential).await?;
    let http = links.to(request.url());
    let request = reqwest::RequestBuilder::from_parts(http.clone(), request);
    let (answer, now): (Answer, _) = answer::json("ECR", request).await?;
    let data = match answer.authorization_data {
        Data::Many(many) => many.into_iter().next(),
        Data::One(one) => Some(one),
    };
    let fault = || Fault::new("ECR answered without a token");
    let data = data.ok_or_else(fault)?;
    let text =
        STANDARD.decode(data.authorization_token.expose_secret()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = SecretString::from(text.ok_or_else(fault)?);
    let (user, password) = text.expose_secret().split_once(':').ok_or_else(fault)?;
    let left = data
        .expires_at
        .zip(now)
        .map(|(end, now)| Duration::try_from_secs_f64(end - now.as_second() as f64).unwrap_or_default());
    let lifetime = left.map_or(LIFE, |left| left.min(LIFE));
    Ok(AmbientCredential { user: user.to_owned(), password: password.to_owned().into(), lifetime })
}

/// The chain as AWS documents it: environment, web identity, shared files, container, machine. A place that is configured
/// and fails is the end of it: the next one may be somebody else, as the node's role is to a pod with a role of its own.
async fn credential(context: &Context) -> Result<Credential, Fault> {
    let places: [(&str, Box<dyn ProvideCredentialDyn<Credential = Credential>>); 5] = [
        ("the environment", Box::new(EnvCredentialProvider::new())),
        ("the web identity", Box::new(AssumeRoleWithWebIdentityCredentialProvider::new())),
        ("the shared files", Box::new(ProfileCredentialProvider::new())),
        ("the container's endpoint", Box::new(ECSCredentialProvider::new())),
        ("the metadata of the machine", Box::new(IMDSv2CredentialProvider::new())),
    ];
    for (place, provider) in places {
        match provider.provide_credential_dyn(context).await {
            Ok(Some(credential)) => return Ok(credential),
            Ok(None) => {}
            // Only its kind: the texts of that library quote bodies.
            Err(error) => {
                let detail = format!("this machine has no credential of AWS: it failed at {place} ({})", error.kind());
                return Err(Fault::new(detail));
            }
        }
    }
    Err(Fault::new("this machine has no credential of AWS: nowhere was one"))
}

async fn sign(
    context: &Context,
    api: &Api,
    environment: &Environment,
    credential: &Credential,
) -> Result<reqwest::Request, Fault> {
    const BODY: &[u8] = b"{}";
    let fault = |what: &str| Fault::new(format!("the request to ECR could not be {what}"));
    let url = match environment.get(api.variable).or_else(|| environment.get("AWS_ENDPOINT_URL")) {
        Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
        None => api.url.clone(),
    };
    let hash: String = Sha256::digest(BODY).iter().map(|byte| format!("{byte:02x}")).collect();
    let request = http::Request::post(url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", api.target)
        .header("x-amz-content-sha256", hash)
        .body(());
    let (mut parts, ()) = request.map_err(|error| fault("built").because(error))?.into_parts();
    let signer = RequestSigner::new(api.service, &api.region);
    let signed = signer.sign_request(context, &mut parts, Some(credential), None).await;
    signed.map_err(|error| fault(&format!("signed ({})", error.kind())))?;
    reqwest::Request::try_from(http::Request::from_parts(parts, Bytes::from_static(BODY)))
        .map_err(|error| fault("built").because(error.without_url()))
}

/// What the library may use of the world.
fn context(links: &Links, api: &Api, environment: &Environment) -> Context {
    let mut envs = environment.with_prefix("AWS_");
    // As current SDKs do. The library would ask the one endpoint in Virginia.
    envs.entry("AWS_STS_REGIONAL_ENDPOINTS".to_owned()).or_insert_with(|| "regional".to_owned());
    envs.entry("AWS_REGION".to_owned()).or_insert_with(|| api.region.clone());
    let sts = environment.get("AWS_ENDPOINT_URL_STS").or_else(|| environment.get("AWS_ENDPOINT_URL"));
    let send = Send { links: links.clone_both(), sts: sts.and_then(|url| Url::parse(url).ok()) };
    let home_dir = environment.path("HOME");
    Context::new().with_env(StaticEnv { home_dir, envs }).with_file_read(Files).with_http_send(send)
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let size = tokio::fs::metadata(path).await.map(|metadata| metadata.len());
        if size.is_ok_and(|size| size > LARGEST_FILE) {
            return Err(reqsign_core::Error::config_invalid("the file is larger than 1 MiB"));
        }
        let bytes = tokio::fs::read(path).await;
        bytes.map_err(|error| reqsign_core::Error::config_invalid("the file cannot be read").with_source(error))
    }
}

#[derive(Debug)]
struct Send {
    links: Links,
    /// `AWS_ENDPOINT_URL_STS`, which the library does not know.
    sts: Option<Url>,
}

impl HttpSend for Send {
    async fn http_send(&self, request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |what: &str| reqsign_core::Error::unexpected(what.to_owned());
        let mut request = reqwest::Request::try_from(request).map_err(|_| failed("the request cannot be sent"))?;
        let is_sts = request.url().host_str().is_some_and(|host| host.starts_with("sts."));
        if let Some(sts) = self.sts.as_ref().filter(|_| is_sts) {
            let mut url = sts.clone();
            url.set_query(request.url().query());
            *request.url_mut() = url;
        }
        let answer =
            self.links.to(request.url()).execute(request).await.map_err(|_| failed("the endpoint did not answer"))?;
        let status = answer.status();
        let body = bounded_body(answer).await.map_err(|_| failed("the endpoint's answer cannot be read"))?;
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_registry_says_where_its_token_is_asked_for() {
        for (registry, url, region) in [
            (
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
                "https://api.ecr.eu-central-1.amazonaws.com/",
                "eu-central-1",
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "https://api.ecr.cn-north-1.amazonaws.com.cn/",
                "cn-north-1",
            ),
            (
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
                "https://ecr-fips.us-east-1.amazonaws.com/",
                "us-east-1",
            ),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "https://ecr.eu-west-1.api.aws/", "eu-west-1"),
            ("public.ecr.aws", "https://api.ecr-public.us-east-1.amazonaws.com/", "us-east-1"),
        ] {
            let api = Api::of(registry).unwrap();
            assert_eq!((api.url.as_str(), api.region.as_str()), (url, region), "{registry}");
        }
        for bad in [
            "",
            "ghcr.io",
            "127.0.0.1:5000",
            "12345678901.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com:8443",
            "123456789012.dkr.ecr.evil/x.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.s3.eu-central-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.amazonaws.com",
            "evil.public.ecr.aws",
            "123456789012.dkr.ecr.eu-central-1.on.aws",
        ] {
            assert_eq!(Api::of(bad), None, "{bad}");
        }
    }
}
